// The credentials of the identity provider: make, replace, revoke. A text is shown once, when it is made.

import { del, get, post } from './api.js';
import { h, say, time } from './dom.js';
import { alertDialog, field, formDialog } from './form.js';
import { paged } from './list.js';
import issuers from './issuers.js';
import { endOf, inDays } from './tenant_new.js';
import { badge, button, copyable, empty, facts, flush, guarded, mayNotice, notice } from './ui.js';

export const STATE = { live: 'good', expired: 'bad', revoked: '' };
const WAYS = [
  ['bearer', 'Bearer token'],
  ['basic', 'User name, with a password that is made here'],
  ['chosen', 'User name, with a password of your choice'],
  ['client', 'OAuth client, which gets its tokens at the tenant’s token endpoint'],
];

// Shows a text that is never shown again; where there is none, what was done.
export function secret(title, text, { username, kind, endpoint } = {}) {
  if (!text) return say('It is made.');
  const client = kind === 'client';
  return alertDialog(
    title,
    notice('warn', 'It is shown this once and kept nowhere. Copy it now.'),
    username &&
      facts(
        [client ? 'Client id' : 'User name', copyable(username, client ? 'the client id' : 'the user name')],
        client && endpoint && ['Token endpoint', copyable(endpoint, 'the token endpoint')],
      ),
    copyable(text, client ? 'the client’s secret' : username ? 'the password' : 'the token'),
  );
}

export function ends(row) {
  if (!row.expires) return h('span', { class: 'muted' }, 'never');
  const days = (new Date(row.expires) - Date.now()) / 86400000;
  const soon = row.state === 'live' && days < 30;
  return h('div', { class: 'row' }, time(row.expires), soon && badge(days < 7 ? 'bad' : 'warn', 'ends soon'));
}

function kind(row) {
  if (row.kind === 'client') return `OAuth client ${row.username}`;
  if (row.username) return `${row.kind === 'password' ? 'Chosen password' : 'Password'} of ${row.username}`;
  return 'Bearer token';
}

function limits(row) {
  const found = [row.scope === 'read' && 'only reads', row.users_only && 'no groups', row.me && 'stands for a user'];
  return found.filter(Boolean).join(', ');
}

const until = () =>
  field('Good until the end of', {
    name: 'expires',
    type: 'date',
    value: inDays(365),
    min: inDays(1),
    hint: 'Empty: it does not end.',
  });

export default function tokens({ base, detail }) {
  const endpoint = detail.tenant.urls.scim2.replace(/v2$/, 'oauth/token');
  const list = h('div', {});
  const draw = () =>
    list.replaceChildren(
      paged(
        [
          { label: 'Label', title: true, cell: (row) => h('strong', {}, row.label) },
          {
            label: 'State',
            cell: (row) =>
              h(
                'div',
                { class: 'row' },
                badge(STATE[row.state], row.state),
                row.declared && badge('', 'declared'),
                row.rotated && badge('warn', 'replaced'),
              ),
          },
          { label: 'Kind', cell: (row) => h('div', {}, kind(row), h('div', { class: 'muted small' }, limits(row))) },
          { label: 'Last used', cell: (row) => time(row.last_used) },
          { label: 'Ends', cell: ends },
          {
            label: 'Do',
            act: true,
            cell: (row) =>
              row.state === 'live' &&
              h(
                'div',
                { class: 'row' },
                !row.declared &&
                  !row.rotated &&
                  guarded(
                    button('Replace', () => replace(row), 'slim'),
                    'admin',
                  ),
                guarded(
                  button('Revoke', () => revoke(row), 'slim destroy'),
                  'admin',
                ),
              ),
          },
        ],
        (page) => get(`${base}/tokens`, page),
        { caption: 'Tokens', none: empty('No token', 'Without one the identity provider is not let in.') },
      ),
    );
  const revoke = (row) =>
    formDialog(`Revoke ${row.label}?`, notice('warn', 'Whoever uses it is refused within two seconds.'), {
      text: 'Revoke',
      role: 'admin',
      kind: 'destroy',
      send: async () => {
        await del(`${base}/tokens/${row.id}`);
        say(`${row.label} is revoked.`);
        draw();
      },
    });
  const replace = (row) =>
    formDialog(
      `Replace ${row.label}`,
      [
        notice('', 'Both are good for a while: give the new one to the identity provider meanwhile.'),
        until(),
        field('The old one is good until the end of', {
          name: 'until',
          type: 'date',
          value: inDays(7),
          min: inDays(0),
        }),
        row.kind === 'password' &&
          field('The new password', { name: 'password', type: 'password', autocomplete: 'new-password' }),
      ],
      {
        text: 'Replace it',
        role: 'admin',
        send: async (found) => {
          const body = { expires: endOf(found.expires), until: endOf(found.until) };
          const made = await post(
            `${base}/tokens/${row.id}/rotate`,
            found.password ? { ...body, password: found.password } : body,
          );
          draw();
          setTimeout(() => secret(`In the place of ${row.label}`, made.secret, { ...made.token, endpoint }));
        },
      },
    );
  const make = () => {
    const name = field('User name', { name: 'username', hint: 'Of an OAuth client its id; empty: it is made.' });
    const password = field('Password', {
      name: 'password',
      type: 'password',
      autocomplete: 'new-password',
      hint: 'At least 12 characters.',
    });
    const way = field('Kind', { name: 'way', options: WAYS });
    const show = () => {
      const chosen = way.querySelector('select').value;
      name.hidden = chosen === 'bearer';
      password.hidden = chosen !== 'chosen';
    };
    way.addEventListener('change', show);
    show();
    formDialog(
      'New token',
      [
        field('Label', { name: 'label', maxlength: 100, hint: 'Who uses it. Unique among the live ones.' }),
        way,
        name,
        password,
        until(),
        field('Scope', {
          name: 'scope',
          options: [
            ['write', 'Reads and writes'],
            ['read', 'Only reads'],
          ],
        }),
        field('Users only, no groups', { name: 'users_only', type: 'check' }),
        field('Stands for a user at /Me', { name: 'me', hint: 'User name or id. Empty: for nobody.' }),
      ],
      {
        text: 'Make it',
        role: 'admin',
        send: async (found) => {
          const body = {
            label: found.label,
            expires: endOf(found.expires),
            scope: found.scope,
            users_only: found.users_only,
          };
          // A client's id is made where none is given.
          if (found.way !== 'bearer' && (found.way !== 'client' || found.username)) body.username = found.username;
          if (found.me) body.me = found.me;
          if (found.way === 'chosen') body.password = found.password;
          if (found.way === 'client') body.client = true;
          const made = await post(`${base}/tokens`, body);
          draw();
          setTimeout(() => secret(`The token ${found.label}`, made.secret, { ...made.token, endpoint }));
        },
      },
    );
  };
  draw();
  return [
    mayNotice('admin', 'making and revoking tokens'),
    flush('Tokens', guarded(button('New token', make, 'primary'), 'admin'), list),
    issuers({ base }),
  ];
}
