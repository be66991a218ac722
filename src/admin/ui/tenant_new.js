// A new tenant in one form. It ends with what has to be typed at the identity provider; the token is shown this once.

import { get, post } from './api.js';
import { h, replace, say } from './dom.js';
import { IDPS } from './idp.js';
import { field, form } from './form.js';
import { anchor, card, copyable, facts, head, loaded, mayNotice, notice } from './ui.js';

// The end of a day, as the API wants a time.
export const endOf = (day) => (day ? `${day}T23:59:59Z` : null);
export const inDays = (days) => new Date(Date.now() + days * 86400000).toISOString().slice(0, 10);

// Steps for one provider, with what has to be typed in each field, each with a button to copy it.
export function steps(kind, urls, token) {
  const idp = IDPS[kind] ?? IDPS.other;
  const put = (text) =>
    text
      .replace('URL2', urls.scim2)
      .replace('URL1', urls.scim1)
      .replace('TOKEN', token ?? 'TOKEN');
  const value = (text) => {
    if (!/URL[12]|TOKEN/.test(text)) return text;
    return token === null && text.includes('TOKEN') ? h('em', {}, 'a token: make one under Tokens') : null;
  };
  const list = h(
    'ol',
    { class: 'steps' },
    idp.steps.map(([text, fields]) =>
      h(
        'li',
        {},
        h('div', {}, put(text)),
        fields && facts(...fields.map(([name, what]) => [name, value(what) ?? copyable(put(what), name)])),
      ),
    ),
  );
  return [list, idp.note && h('p', { class: 'muted small' }, put(idp.note))];
}

function made(found) {
  const { tenant, token, idp } = found;
  const name = (IDPS[idp] ?? IDPS.other).name;
  const title = h('h1', { tabindex: '-1' }, `The tenant ${tenant.slug} is ready`);
  const node = h(
    'div',
    { class: 'stack' },
    title,
    token &&
      h(
        'section',
        { class: 'card' },
        head('The token'),
        h(
          'div',
          { class: 'stack tight' },
          notice('warn', 'It is shown this once and kept nowhere. Copy it now; if it gets lost, make another one.'),
          copyable(token.secret, 'the token'),
        ),
      ),
    card(
      'The addresses',
      facts(
        ['SCIM 2.0', copyable(tenant.urls.scim2, 'the SCIM 2.0 address')],
        ['SCIM 1.1', copyable(tenant.urls.scim1, 'the SCIM 1.1 address')],
      ),
    ),
    card(`What to type at ${name}`, h('div', { class: 'stack tight' }, steps(idp, tenant.urls, token?.secret ?? null))),
    h(
      'div',
      { class: 'row' },
      anchor('Go to the tenant', `#/tenants/${tenant.slug}`, 'button primary'),
      tenant.mode === 'observe' && anchor('See what it would do', `#/tenants/${tenant.slug}/plan`, 'button'),
    ),
  );
  return { node, title };
}

export default function tenantNew() {
  const page = h('div', { class: 'stack' });
  const body = loaded(
    () => get('/targets', { limit: 500 }),
    ({ items }) => {
      if (items.length === 0)
        return notice(
          'warn',
          'The configuration names no target yet. Add a [[target]] to the daemon’s configuration and restart it.',
        );
      const kinds = h(
        'fieldset',
        { 'data-field': 'idp' },
        h('legend', {}, 'Identity provider'),
        h(
          'div',
          { class: 'choice' },
          Object.entries(IDPS).map(([key, idp], index) =>
            h('label', {}, h('input', { type: 'radio', name: 'idp', value: key, checked: index === 0 }), idp.name),
          ),
        ),
        h('div', { class: 'wrong', hidden: true }),
      );
      const node = form(
        [
          kinds,
          field('Name', {
            name: 'slug',
            hint: 'Part of the address. Small letters, digits and hyphens, such as okta.',
            maxlength: 63,
            required: true,
          }),
          field('Jira', {
            name: 'target',
            options: items.map((target) => [target.name, `${target.name} (${target.url})`]),
          }),
          field('To begin with', {
            name: 'mode',
            value: 'observe',
            options: [
              ['observe', 'Observe: accept everything, write nothing, show the plan'],
              ['enforce', 'Enforce: write to Jira at once'],
            ],
          }),
          field('The token is good until', {
            name: 'expires',
            type: 'date',
            value: inDays(365),
            min: inDays(1),
            hint: 'Empty: it does not end.',
          }),
        ],
        {
          text: 'Make the tenant',
          role: 'admin',
          send: async (found) => {
            const { slug, target, mode, idp, expires } = found;
            const result = await post('/tenants', {
              slug,
              target,
              mode,
              idp,
              token: { label: idp, expires: endOf(expires) },
            });
            const { node: done, title } = made(result);
            replace(page, done);
            title.focus();
            scrollTo(0, 0);
            say('The tenant is made.');
          },
        },
      );
      return h('div', { class: 'card' }, node);
    },
    { steady: true },
  );
  page.append(
    h('div', {}, h('div', { class: 'crumb' }, anchor('Overview', '#/')), h('h1', {}, 'New tenant')),
    mayNotice('admin', 'making a tenant') ?? '',
    body,
  );
  return { title: 'New tenant', node: page };
}
