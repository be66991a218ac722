// Who is pinned against the identity provider, until when and why; and the switch for an emergency.

import { del, get, post } from './api.js';
import { h, id, say, time } from './dom.js';
import { field, formDialog } from './form.js';
import { paged, picker } from './list.js';
import { badge, button, empty, flush, guarded, mayNotice, notice } from './ui.js';
import { people, person } from './explain.js';
import { endOf, inDays } from './tenant_new.js';

const OUTCOME = {
  done: 'Done in Jira.',
  refused: 'Jira refused it.',
  pending: 'On record; it is not done in Jira yet.',
};
const say2 = (pinned) => say(`${OUTCOME[pinned.outcome] ?? pinned.outcome} ${pinned.detail ?? ''}`.trim());
const WHAT = [
  ['active', 'May log in'],
  ['inactive', 'May not log in'],
  ['member', 'Is in a Jira group'],
];

export default function overrides({ base, here, query }) {
  const hold = h('div', {});
  let all = false;
  let user = query.user ?? '';
  const draw = () =>
    hold.replaceChildren(
      paged(
        [
          {
            label: 'Who',
            title: true,
            cell: (row) =>
              h(
                'a',
                { href: `${here}/explain?user=${encodeURIComponent(row.user_name)}` },
                h('strong', {}, row.user_name),
              ),
          },
          {
            label: 'What',
            cell: (row) =>
              h(
                'div',
                {},
                (WHAT.find(([key]) => key === row.what) ?? [])[1] ?? row.what,
                row.group && h('div', { class: 'mono small' }, row.group),
              ),
          },
          {
            label: 'Until',
            cell: (row) =>
              h(
                'div',
                {},
                time(row.until, { none: 'the provider agrees', exact: true }),
                !row.in_force && badge('', 'Over'),
              ),
          },
          { label: 'Why', cell: (row) => h('div', {}, row.reason, h('div', { class: 'muted small' }, row.actor)) },
          {
            label: 'Do',
            act: true,
            cell: (row) =>
              row.in_force &&
              guarded(
                button(
                  'Lift',
                  () =>
                    formDialog(
                      `Lift the override of ${row.user_name}?`,
                      notice('', 'From then on the identity provider decides again.'),
                      {
                        text: 'Lift it',
                        send: async () => {
                          say2(await del(`${base}/overrides/${row.id}`, undefined, { wait_seconds: 5 }));
                          draw();
                        },
                      },
                    ),
                  'slim',
                ),
                'operator',
              ),
          },
        ],
        (page) => get(`${base}/overrides`, { ...page, user, all: all || undefined }),
        {
          caption: 'Overrides',
          none: empty(
            user ? `Nothing is pinned of ${user}` : 'Nobody is pinned',
            'The identity provider decides about everybody.',
          ),
        },
      ),
    );
  const whom = (value = '') =>
    picker('User', { name: 'user', value, find: people(base), show: person, chosen: () => {} });
  const pin = () =>
    formDialog(
      'Pin somebody',
      [
        whom(user),
        field('What', { name: 'what', options: WHAT }),
        field('Jira group', { name: 'group', hint: 'For a membership only.' }),
        field('Until the end of', { name: 'until', type: 'date', value: inDays(7), min: inDays(0) }),
        field('Reason', { name: 'reason', hint: 'Kept in the audit and in this list.' }),
      ],
      {
        text: 'Pin',
        send: async ({ user: name, what, group, until, reason }) => {
          say2(
            await post(`${base}/overrides`, {
              user: name,
              what,
              until: endOf(until),
              reason,
              wait_seconds: 5,
              ...(group ? { group } : {}),
            }),
          );
          draw();
        },
      },
    );
  const off = () =>
    formDialog(
      'Switch somebody off now',
      [
        notice(
          'warn',
          'At once, past the brake, and whatever the identity provider says. It ends by itself when the provider deactivates the person.',
        ),
        whom(user),
        field('Reason', { name: 'reason' }),
      ],
      {
        text: 'Switch off now',
        kind: 'destroy',
        send: async ({ user: name, reason }) => {
          say2(await post(`${base}/deactivate-now`, { user: name, reason, wait_seconds: 10 }));
          draw();
        },
      },
    );
  const key = id('over');
  const box = h('input', {
    type: 'checkbox',
    id: key,
    onchange: () => {
      all = box.checked;
      draw();
    },
  });
  draw();
  return [
    mayNotice('operator', 'pinning people'),
    flush(
      'Overrides',
      [
        h('label', { class: 'check small', for: key }, box, 'Those that are over, too'),
        user &&
          button(
            `Only ${user} ×`,
            () => {
              location.hash = `${here}/overrides`.slice(1);
            },
            'slim',
          ),
        guarded(button('Switch off now …', off, 'destroy'), 'operator'),
        guarded(button('Pin …', pin, 'primary'), 'operator'),
      ],
      hold,
    ),
  ];
}
