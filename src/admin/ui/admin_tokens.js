// The tokens of administrators.

import { del, get, may, post } from './api.js';
import { h, say, time } from './dom.js';
import { field, formDialog } from './form.js';
import { paged } from './list.js';
import { badge, button, empty, flush, guarded, notice } from './ui.js';
import { endOf, inDays } from './tenant_new.js';
import { STATE, ends, secret } from './tokens.js';

const ROLES = [
  ['viewer', 'Viewer: sees'],
  ['operator', 'Operator: also releases, retries, starts runs'],
  ['admin', 'Admin: everything'],
];

export default function adminTokens() {
  const title = h('h1', {}, 'Admin tokens');
  if (!may('admin'))
    return {
      title: 'Admin tokens',
      node: h(
        'div',
        { class: 'stack' },
        title,
        notice('', 'The tokens of administrators are shown to the role admin.'),
      ),
    };
  const list = h('div', {});
  const draw = () =>
    list.replaceChildren(
      paged(
        [
          { label: 'Label', title: true, cell: (row) => h('strong', {}, row.label) },
          { label: 'Role', cell: (row) => badge(row.role === 'admin' ? 'info' : '', row.role) },
          {
            label: 'State',
            cell: (row) =>
              h('div', { class: 'row' }, badge(STATE[row.state], row.state), row.declared && badge('', 'declared')),
          },
          { label: 'Last used', cell: (row) => time(row.last_used) },
          { label: 'Ends', cell: ends },
          {
            label: 'Do',
            act: true,
            cell: (row) =>
              row.state === 'live' &&
              guarded(
                button(
                  'Revoke',
                  () =>
                    formDialog(
                      `Revoke ${row.label}?`,
                      notice('warn', 'It and its sessions end within seconds. If it is your own, you are signed out.'),
                      {
                        text: 'Revoke',
                        role: 'admin',
                        kind: 'destroy',
                        send: async () => {
                          await del(`/admin-tokens/${row.id}`);
                          say(`${row.label} is revoked.`);
                          draw();
                        },
                      },
                    ),
                  'slim destroy',
                ),
                'admin',
              ),
          },
        ],
        (page) => get('/admin-tokens', page),
        { caption: 'Admin tokens', none: empty('No token', '') },
      ),
    );
  const make = () =>
    formDialog(
      'New admin token',
      [
        field('Label', { name: 'label', maxlength: 100, hint: 'Whose it is. It is shown in the audit.' }),
        field('Role', { name: 'role', options: ROLES }),
        field('Good until the end of', {
          name: 'expires',
          type: 'date',
          value: inDays(90),
          min: inDays(1),
          hint: 'Empty: it does not end.',
        }),
      ],
      {
        text: 'Make it',
        role: 'admin',
        send: async ({ label, role, expires }) => {
          const made = await post('/admin-tokens', { label, role, expires: endOf(expires) });
          draw();
          setTimeout(() => secret(`The token ${label}`, made.secret));
        },
      },
    );
  draw();
  return {
    title: 'Admin tokens',
    node: h(
      'div',
      { class: 'stack' },
      h(
        'div',
        { class: 'head' },
        title,
        h('div', { class: 'row' }, guarded(button('New admin token', make, 'primary'), 'admin')),
      ),
      flush(null, null, list),
    ),
  };
}
