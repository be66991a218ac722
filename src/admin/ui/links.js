// Whose Jira account is whose: all, those without a user, those about which there is a quarrel.

import { del, get, post } from './api.js';
import { h, say } from './dom.js';
import { field, formDialog } from './form.js';
import { paged, picker } from './list.js';
import { badge, button, empty, flush, guarded, mayNotice, notice } from './ui.js';
import { people, person } from './explain.js';

const LISTS = [
  ['', 'All'],
  ['orphans', 'Accounts whose user is deleted'],
  ['conflicts', 'Conflicts'],
];
const STATE = {
  linked: ['good', 'Linked'],
  found: ['warn', 'Found'],
  creating: ['info', 'Being made'],
  none: ['', 'None'],
};

export default function links({ base, here, query, set }) {
  const hold = h('div', {});
  let which = query.list ?? '';
  const act = (row) => {
    const forget = () =>
      formDialog(
        `Forget the account of ${row.user_name}?`,
        notice('', 'Jira is left as it is. The user looks for an account again when something is written for them.'),
        {
          text: 'Forget the link',
          kind: 'destroy',
          send: async () => {
            await del(`${base}/links/${row.user_id}`);
            say('The link is forgotten.');
            draw();
          },
        },
      );
    return row.account && guarded(button('Unlink', forget, 'slim'), 'operator');
  };
  const draw = () =>
    hold.replaceChildren(
      paged(
        [
          {
            label: 'User',
            title: true,
            cell: (row) =>
              h(
                'div',
                {},
                h('a', { href: `${here}/users?id=${row.user_id}` }, h('strong', {}, row.user_name)),
                h('div', { class: 'muted small' }, row.deleted ? 'deleted' : row.active ? 'active' : 'inactive'),
              ),
          },
          {
            label: 'Account',
            cell: (row) =>
              row.account
                ? h('div', {}, row.account.username, h('div', { class: 'muted small' }, row.account.id))
                : h('span', { class: 'muted' }, 'none'),
          },
          {
            label: 'Link',
            cell: (row) =>
              h(
                'div',
                { class: 'row' },
                badge(...(STATE[row.state] ?? ['', row.state])),
                row.conflict && badge('bad', 'Conflict'),
                row.maybe && badge('warn', 'Not sure'),
              ),
          },
          { label: 'Origin', cell: (row) => (row.account ? (row.made ? 'made here' : 'was there') : '') },
          { label: 'Why', cell: (row) => row.reason ?? '' },
          { label: 'Do', act: true, cell: act },
        ],
        (page) => get(`${base}/links${which && `/${which}`}`, page),
        {
          caption: 'Links',
          none: empty(
            which === 'conflicts' ? 'No conflicts' : which === 'orphans' ? 'No orphans' : 'No links yet',
            which ? 'Everything is as it should be.' : 'They are made when the first users are written.',
          ),
        },
      ),
    );
  const whom = (label, name) => picker(label, { name, find: people(base), show: person, chosen: () => {} });
  const join = () =>
    formDialog(
      'Link a user to an account',
      [
        whom('User', 'user'),
        field('Account', { name: 'account', hint: 'Its id or login name at Jira, which is asked for it.' }),
      ],
      {
        text: 'Link',
        send: async ({ user, account }) => {
          await post(`${base}/links`, { user, account });
          say('Linked.');
          draw();
        },
      },
    );
  const merge = () =>
    formDialog(
      'Two users are one person',
      [notice('', 'The account of the first becomes the second’s.'), whom('From', 'from'), whom('Into', 'into')],
      {
        text: 'Merge',
        send: async ({ from, into }) => {
          await post(`${base}/links/merge`, { from, into });
          say('Merged.');
          draw();
        },
      },
    );
  const choose = h(
    'select',
    {
      'aria-label': 'Which links',
      onchange: () => {
        which = choose.value;
        set({ list: which });
        draw();
      },
    },
    LISTS.map(([key, text]) => h('option', { value: key, selected: key === which }, text)),
  );
  draw();
  return [
    mayNotice('operator', 'linking'),
    flush(
      'Links',
      [choose, guarded(button('Link …', join), 'operator'), guarded(button('Merge …', merge), 'operator')],
      hold,
    ),
  ];
}
