// The credentials of the identity provider: make, replace, revoke. A text is shown once, when it is made.

import { del, get, post } from './api.js';
import { h, say, time } from './dom.js';
import { alertDialog, field, formDialog } from './form.js';
import { paged } from './list.js';
import { badge, button, copyable, empty, flush, guarded, mayNotice, notice } from './ui.js';
import { endOf, inDays } from './tenant_new.js';

export const STATE = { live: 'good', expired: 'bad', revoked: '' };

export function secret(title, text) {
  alertDialog(
    title,
    notice('warn', 'It is shown this once and kept nowhere. Copy it now.'),
    copyable(text, 'the token'),
  );
}

export function ends(row) {
  if (!row.expires) return h('span', { class: 'muted' }, 'never');
  const days = (new Date(row.expires) - Date.now()) / 86400000;
  return h(
    'div',
    {},
    time(row.expires),
    row.state === 'live' && days < 30 && badge(days < 7 ? 'bad' : 'warn', 'ends soon'),
  );
}

export default function tokens({ base }) {
  const list = h('div', {});
  const draw = () =>
    list.replaceChildren(
      paged(
        [
          {
            label: 'Label',
            title: true,
            cell: (row) =>
              h(
                'div',
                {},
                h('strong', {}, row.label),
                row.username && h('div', { class: 'muted small' }, `for the user name ${row.username}`),
              ),
          },
          {
            label: 'State',
            cell: (row) =>
              h('div', { class: 'row' }, badge(STATE[row.state], row.state), row.declared && badge('', 'declared')),
          },
          {
            label: 'Kind',
            cell: (row) =>
              h(
                'div',
                {},
                row.kind ?? (row.username ? 'basic' : 'bearer'),
                h(
                  'div',
                  { class: 'muted small' },
                  [row.scope === 'read' && 'only reads', row.users_only && 'no groups', row.me && 'stands for a user']
                    .filter(Boolean)
                    .join(', '),
                ),
              ),
          },
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
                guarded(
                  button('Replace', () => make(row), 'slim'),
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
  const fresh = (label) =>
    `${label.replace(/ \d{4}-\d\d-\d\d.*$/, '')} ${new Date().toISOString().slice(0, 16).replace('T', ' ')}`;
  const make = (old) =>
    formDialog(
      old ? `Replace ${old.label}` : 'New token',
      [
        old &&
          notice(
            '',
            'Both are good until the old one is revoked: give the new one to the identity provider, see it used here, then revoke the old one.',
          ),
        field('Label', {
          name: 'label',
          value: old ? fresh(old.label) : '',
          maxlength: 100,
          hint: 'Who uses it. Unique among the live ones.',
        }),
        field('Good until the end of', {
          name: 'expires',
          type: 'date',
          value: inDays(365),
          min: inDays(1),
          hint: 'Empty: it does not end.',
        }),
        field('User name for HTTP Basic', {
          name: 'username',
          value: old?.username ?? '',
          hint: 'Empty: a bearer token. Else a password for this name.',
        }),
        field('Scope', {
          name: 'scope',
          value: old?.scope ?? 'write',
          options: [
            ['write', 'Reads and writes'],
            ['read', 'Only reads'],
          ],
        }),
        field('Users only, no groups', { name: 'users_only', type: 'check', value: old?.users_only }),
      ],
      {
        text: 'Make it',
        role: 'admin',
        send: async ({ label, expires, username, scope, users_only: only }) => {
          const made = await post(`${base}/tokens`, {
            label,
            expires: endOf(expires),
            ...(username ? { username } : {}),
            ...(scope === 'read' ? { scope } : {}),
            ...(only ? { users_only: true } : {}),
          });
          draw();
          setTimeout(() => secret(`The token ${label}`, made.secret));
        },
      },
    );
  draw();
  return [
    mayNotice('admin', 'making and revoking tokens'),
    flush(
      'Tokens',
      guarded(
        button('New token', () => make(null), 'primary'),
        'admin',
      ),
      list,
    ),
  ];
}
