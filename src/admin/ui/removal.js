// Mode and target of a tenant, and the three ways to take it away; each wants its name typed.

import { del, get, patch, post } from './api.js';
import { h, say } from './dom.js';
import { field, form, formDialog } from './form.js';
import { paged } from './list.js';
import { button, card, empty, guarded, head, loaded, mayNotice, notice } from './ui.js';
import { brakeSays } from './plan.js';
import { watched } from './runs.js';

// Writes what may take much away: where the daemon says that it would, it is shown first and asked once more.
export async function careful(write, done) {
  try {
    done(await write(false));
  } catch (error) {
    if (error.code !== 'takes-too-much') throw error;
    const { taken } = error.body;
    formDialog(
      'This would take much away',
      [
        notice('warn', taken?.sentence ?? error.message),
        brakeSays(taken?.brake),
        notice('', 'The brake holds what is too much, even then.'),
      ],
      {
        text: 'Do it all the same',
        role: 'admin',
        kind: 'destroy',
        send: async () => done(await write(true)),
      },
    );
  }
}

function danger(title, text, what, act) {
  return h(
    'section',
    { class: 'card danger' },
    head(title),
    h('div', { class: 'stack tight' }, h('p', { class: 'muted' }, text), what, act && h('div', { class: 'row' }, act)),
  );
}

const NAMED = [
  ['made', 'Accounts that were made from here'],
  ['found', 'Accounts that were there before'],
  ['memberships', 'Memberships'],
  ['access', 'Access to applications'],
  ['groups', 'Groups'],
];

// Who and what it is about, by name; asked for only when somebody opens it.
function named(base) {
  const hold = h('div', {});
  const which = h(
    'select',
    { 'aria-label': 'Which names', onchange: () => draw() },
    NAMED.map(([value, text]) => h('option', { value }, text)),
  );
  const columns = [{ label: 'Name', title: true, cell: (row) => row.name }];
  const draw = () =>
    hold.replaceChildren(
      paged(columns, (page) => get(`${base}/purge/names`, { ...page, what: which.value }), {
        caption: 'Names',
        none: empty('Nobody and nothing', ''),
      }),
    );
  return h(
    'details',
    { ontoggle: (event) => event.target.open && hold.childElementCount === 0 && draw() },
    h('summary', {}, 'By name'),
    h('div', { class: 'stack tight' }, which, hold),
  );
}

function removes(slug, base, kind, live, { title, text, go, more = [] }) {
  return danger(
    title,
    text,
    loaded(
      () => get(`${base}/${kind}`),
      (found) => {
        const begin = (confirm, values) =>
          post(`${base}/${kind}`, { confirm, ...(kind === 'purge' ? { past_the_brake: values.past_the_brake } : {}) });
        const ask = guarded(
          button(
            `${go} …`,
            () =>
              formDialog(`${title}: ${slug}`, [found.sentences.map((sentence) => h('p', {}, sentence)), more], {
                text: go,
                role: 'admin',
                kind: 'destroy',
                typed: slug,
                send: async (values) => {
                  live.replaceChildren(watched(base, await begin(values.confirm, values)));
                  say('It is on its way.');
                },
              }),
            'destroy',
          ),
          'admin',
        );
        return h(
          'div',
          { class: 'stack tight' },
          h(
            'ul',
            {},
            found.sentences.map((sentence) => h('li', {}, sentence)),
          ),
          kind === 'purge' && named(base),
          found.possible ? h('div', { class: 'row' }, ask) : notice('warn', found.why_not ?? 'It is not possible now.'),
        );
      },
    ),
  );
}

export default function removal({ slug, base, detail, go, refresh }) {
  const { tenant } = detail;
  const live = h('div', {});
  const settings = tenant.declared
    ? notice('', 'The configuration file declares this tenant: mode and target are changed there.')
    : loaded(
        () => get('/targets', { limit: 500 }),
        ({ items }) =>
          form(
            [
              field('Mode', {
                name: 'mode',
                value: tenant.mode,
                options: [
                  ['observe', 'Observe: accept everything, write nothing'],
                  ['enforce', 'Enforce: make Jira agree'],
                ],
              }),
              field('Jira', {
                name: 'target',
                value: tenant.target,
                options: items.map((one) => [one.name, one.name]),
                hint: 'Can change only while none of its people has an account there.',
              }),
            ],
            {
              role: 'admin',
              send: ({ mode, target }) =>
                careful(
                  (yes) => patch(base, { mode, target, yes }),
                  (now) => {
                    tenant.mode = now.mode;
                    say('Saved.');
                    refresh();
                  },
                ),
            },
          ),
      );
  const past = field('Let all of it through the brake', { name: 'past_the_brake', type: 'check' });
  const remove = guarded(
    button(
      'Delete …',
      () =>
        formDialog(
          `Delete the tenant ${slug}?`,
          [
            notice(
              'warn',
              'Its users, groups and tokens go from the mapping store. Jira is left as it is. Purge it first if Jira is to be cleaned.',
            ),
            tenant.declared &&
              notice('warn', 'The configuration file declares it: it comes back, empty, at the next start.'),
          ],
          {
            text: 'Delete it',
            role: 'admin',
            kind: 'destroy',
            typed: slug,
            send: async ({ confirm }) => {
              await del(base, undefined, { confirm, force: tenant.declared || undefined });
              say(`${slug} is deleted.`);
              go('');
            },
          },
        ),
      'destroy',
    ),
    'admin',
  );
  return [
    mayNotice('admin', 'changing or removing a tenant'),
    card('Settings', settings),
    live,
    removes(slug, base, 'purge', live, {
      title: 'Purge',
      go: 'Purge',
      more: past,
      text: 'Takes back from Jira everything that came from this tenant. Take the identity provider’s token away first, or it makes everybody again.',
    }),
    removes(slug, base, 'reset', live, {
      title: 'Reset',
      go: 'Reset',
      text: 'Forgets what is on record of Jira, which is left as it is. A fresh import, or the identity provider, finds the same ids again.',
    }),
    danger('Delete', 'Deletes the tenant from the mapping store; Jira is left as it is.', null, remove),
  ];
}
