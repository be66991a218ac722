// Users and groups as the identity provider sees them, with the account that each is in Jira.

import { get, slug as safe } from './api.js';
import { h, number, time } from './dom.js';
import { paged, table } from './list.js';
import { anchor, badge, card, empty, facts, flush, json, loaded, notice } from './ui.js';

function search(label, hint, query, set, again) {
  const box = h('input', {
    type: 'search',
    'aria-label': label,
    placeholder: hint,
    value: query.q ?? '',
    autocomplete: 'off',
    spellcheck: 'false',
  });
  let timer;
  box.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      set(box.value.trim() ? { q: box.value.trim() } : {});
      again(box.value.trim());
    }, 250);
  });
  return h('div', { class: 'field' }, box);
}

function list({ what, columns, path, none, hint, query, set }) {
  let q = query.q ?? '';
  const hold = h('div', {});
  const draw = () =>
    hold.replaceChildren(
      paged(columns, (page) => get(path, { ...page, q }), {
        caption: what,
        none: q ? empty('Nothing begins like that', hint) : none,
      }),
    );
  draw();
  return flush(
    what,
    search(`Search ${what.toLowerCase()}`, hint, query, set, (text) => {
      q = text;
      draw();
    }),
    hold,
  );
}

export function users({ base, here, query, set }) {
  if (query.id) return user({ base, here, id: query.id });
  return list({
    what: 'Users',
    path: `${base}/users`,
    query,
    set,
    hint: 'Beginning of a user name, or a whole e-mail address',
    none: empty(
      'No users yet',
      'They come when the identity provider pushes them, or by an import of what Jira has already.',
      anchor('Import', `${here}/runs`, 'button'),
    ),
    columns: [
      {
        label: 'User',
        title: true,
        cell: (row) =>
          h(
            'div',
            {},
            h('a', { href: `${here}/users?id=${safe(row.id)}` }, h('strong', {}, row.user_name)),
            h('div', { class: 'muted small' }, row.display_name ?? ''),
          ),
      },
      { label: 'E-mail', cell: (row) => row.email ?? h('span', { class: 'muted' }, 'none') },
      {
        label: 'State',
        cell: (row) =>
          h(
            'div',
            { class: 'row' },
            badge(row.active ? 'good' : '', row.active ? 'Active' : 'Inactive'),
            row.imported && badge('info', 'Imported'),
          ),
      },
      { label: 'Jira account', cell: (row) => row.account ?? h('span', { class: 'muted' }, 'none yet') },
      { label: 'Changed', cell: (row) => time(row.modified) },
    ],
  });
}

const KINDS = { refused: 'bad', held: 'warn', waived: '', waiting: 'info' };

function standing(found, here) {
  const { standing: now, account } = found;
  const steps = Object.entries(now.steps);
  return [
    now.paused && notice('warn', `The target is paused: ${now.paused}`),
    now.error && notice('bad', now.error),
    facts(
      [
        'Account',
        account
          ? h('span', {}, h('strong', {}, account.username), h('span', { class: 'muted' }, ` (${account.id})`))
          : h('span', { class: 'muted' }, 'none yet'),
      ],
      account && ['Name in Jira', account.display_name ?? '—'],
      account && ['E-mail in Jira', account.email ?? '—'],
      ['May log in', now.active === null ? 'not known' : now.active ? 'yes' : 'no'],
      ['Work', now.open ? h('span', {}, 'open, next try ', time(now.again_at, { none: 'now' })) : 'none: Jira agrees'],
      now.doubtful && ['Doubt', 'The last answer of Jira got lost; it is looked at again.'],
      ['Last seen in Jira', time(found.last_login, { none: 'not known' })],
    ),
    steps.length > 0 &&
      table(
        [
          { label: 'Step', title: true, cell: ([name]) => h('code', {}, name) },
          { label: 'State', cell: ([, step]) => badge(KINDS[step.state] ?? '', step.state) },
          { label: 'Reason', cell: ([, step]) => step.reason },
          { label: 'Since', cell: ([, step]) => time(step.since) },
        ],
        steps,
        'Steps that are not done',
      ),
    steps.length > 0 && anchor('Retry or waive', `${here}/waiting`),
  ];
}

function user({ base, here, id }) {
  return loaded(
    () => get(`${base}/users/${safe(id)}`),
    (found) => {
      const name = found.attrs.userName ?? found.id;
      return h(
        'div',
        { class: 'stack' },
        h(
          'div',
          { class: 'row' },
          anchor('All users', `${here}/users`, 'button slim'),
          anchor('Explain', `${here}/explain?user=${safe(name)}`, 'button slim'),
          anchor('Audit', `${here}/audit?user=${safe(name)}`, 'button slim'),
          anchor('Override', `${here}/overrides?user=${safe(name)}`, 'button slim'),
        ),
        h(
          'section',
          { class: 'card' },
          h(
            'div',
            { class: 'head' },
            h('h2', {}, name),
            badge(found.attrs.active === false ? '' : 'good', found.attrs.active === false ? 'Inactive' : 'Active'),
            found.imported && badge('info', 'Imported'),
          ),
          h('div', { class: 'stack tight' }, standing(found, here)),
        ),
        card(
          'Groups',
          found.groups.length === 0
            ? h('p', { class: 'muted' }, 'In no group.')
            : h(
                'ul',
                {},
                found.groups.map((group) =>
                  h(
                    'li',
                    {},
                    h(
                      'a',
                      { href: `${here}/explain?user=${safe(name)}&group=${safe(group.display_name)}` },
                      group.display_name,
                    ),
                    !group.direct && h('span', { class: 'muted' }, ' through another group'),
                  ),
                ),
              ),
        ),
        card(
          'As the identity provider wrote it',
          h('p', { class: 'muted small' }, `Version ${found.version}, changed `, time(found.modified)),
          json(found.attrs),
        ),
      );
    },
    { steady: true },
  );
}

export function groups({ base, here, query, set }) {
  return list({
    what: 'Groups',
    path: `${base}/groups`,
    query,
    set,
    hint: 'Beginning of a group’s name',
    none: empty(
      'No groups yet',
      'They come when the identity provider pushes them, or by an import of what Jira has already.',
      anchor('Import', `${here}/runs`, 'button'),
    ),
    columns: [
      { label: 'Group', title: true, cell: (row) => h('strong', {}, row.display_name) },
      { label: 'Members', num: true, cell: (row) => number(row.members) },
      { label: 'State', cell: (row) => (row.imported ? badge('info', 'Imported') : badge('good', 'Pushed')) },
      { label: 'Changed', cell: (row) => time(row.modified) },
      { label: 'More', act: true, cell: (row) => anchor('Audit', `${here}/audit?group=${safe(row.display_name)}`) },
    ],
  });
}
