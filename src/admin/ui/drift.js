// What the last comparison found to be different in Jira, and accounts there that nobody claims.

import { get, job, post } from './api.js';
import { h, replace, time } from './dom.js';
import { doer, field, formDialog } from './form.js';
import { paged, table } from './list.js';
import { badge, busy, button, empty, flush, guarded, mayNotice, notice, trouble } from './ui.js';
import { progress } from './plan.js';
import { watched } from './runs.js';

const value = (text) => (text === null ? h('span', { class: 'muted' }, 'nothing') : h('span', {}, text));

export default function drift({ slug, base, here }) {
  const live = h('div', {});
  const list = h('div', {});
  const draw = () =>
    list.replaceChildren(
      paged(
        [
          {
            label: 'Whom',
            title: true,
            cell: (row) =>
              h(
                'div',
                {},
                row.kind === 'user'
                  ? h('a', { href: `${here}/users?id=${row.subject}` }, h('strong', {}, row.name))
                  : h('strong', {}, row.name),
                h('div', { class: 'muted small' }, row.field),
              ),
          },
          { label: 'Written', cell: (row) => value(row.written) },
          { label: 'In Jira', cell: (row) => value(row.found) },
          { label: 'Wanted', cell: (row) => value(row.wanted) },
          {
            label: 'Done',
            cell: (row) =>
              badge(
                { revert: 'good', accept: 'warn' }[row.action] ?? '',
                { revert: 'Put back', accept: 'Left so', report: 'Listed' }[row.action] ?? row.action,
              ),
          },
          { label: 'Since', cell: (row) => time(row.first_seen) },
        ],
        (page) => get(`${base}/drift`, page),
        {
          caption: 'Differences',
          none: empty('No differences are on record', 'When a comparison ran, Jira was as it was written from here.'),
        },
      ),
    );
  const compare = doer(
    'Compare now',
    'operator',
    async () => {
      live.replaceChildren(watched(base, await post(`${base}/reconcile`), draw));
    },
    'It is on its way.',
    'primary',
  );
  draw();
  const strays = h('div', {}, empty('Not looked for yet', 'Asks Jira for all of its accounts, and changes nothing.'));
  const show = (found) => {
    strays.replaceChildren(
      found.withheld ? notice('warn', found.withheld) : '',
      found.strays.length === 0
        ? empty('Every account is claimed', '')
        : table(
            [
              {
                label: 'Account',
                title: true,
                cell: (row) => h('div', {}, h('strong', {}, row.username), h('div', { class: 'muted small' }, row.id)),
              },
              { label: 'Name', cell: (row) => row.display_name ?? '' },
              { label: 'E-mail', cell: (row) => row.email ?? '' },
              {
                label: 'Outcome',
                cell: (row) =>
                  typeof row.outcome === 'string'
                    ? row.outcome.replaceAll('_', ' ')
                    : row.outcome
                      ? JSON.stringify(row.outcome)
                      : '',
              },
            ],
            found.strays,
            'Accounts that nobody claims',
          ),
    );
  };
  const look = (path, body) => async () => {
    try {
      show(await job(post(`${base}/${path}`, body), progress(strays, 'Asking Jira')));
    } catch (error) {
      replace(strays, trouble(error));
    }
  };
  const ask = guarded(
    button('Look for them', () => busy(ask, look('unmatched')), 'slim'),
    'operator',
  );
  const off = guarded(
    button(
      'Switch them off …',
      () =>
        formDialog(
          'Switch off accounts that nobody claims?',
          [
            notice(
              'warn',
              'They are deactivated in Jira, at most as many as given. Nobody is switched off while a user of that Jira waits to be written.',
            ),
            field('At most', { name: 'limit', type: 'number', value: 10, min: 1 }),
          ],
          {
            text: 'Switch them off',
            role: 'admin',
            kind: 'destroy',
            typed: slug,
            send: async ({ confirm, limit }) => {
              const found = await job(post(`${base}/unmatched/switch-off`, { confirm, limit: Number(limit) }));
              show(found);
            },
          },
        ),
      'slim destroy',
    ),
    'admin',
  );
  return [
    mayNotice('operator', 'comparing'),
    live,
    flush('Drift', compare, list),
    flush('Accounts that nobody claims', [ask, off], strays),
  ];
}
