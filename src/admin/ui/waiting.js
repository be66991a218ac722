// What is not written: the brake with what it holds, and every step that is refused, held, waived or waits.

import { get, job, post } from './api.js';
import { h, id, many, number, replace, time } from './dom.js';
import { doer, formDialog } from './form.js';
import { paged } from './list.js';
import { badge, button, empty, every, facts, flush, guarded, loaded, mayNotice, notice } from './ui.js';

const KINDS = { refused: 'bad', held: 'warn', waived: '', waiting: 'info', due: 'info', leased: 'info' };
const STATES = [
  ['', 'Everything'],
  ['held', 'Held'],
  ['refused', 'Refused'],
  ['waived', 'Waived'],
  ['due', 'Due now'],
  ['waiting', 'Waiting'],
];

function meter(name, level, window) {
  const part = level.limit > 0 ? Math.min(100, (100 * level.let_through) / level.limit) : 0;
  const bar = h('div', {});
  bar.style.width = `${part}%`;
  return [
    name,
    h(
      'div',
      {},
      `${number(level.let_through)} of ${number(level.limit)} within ${window}; ${number(level.held)} held`,
      h('div', { class: `meter ${part >= 100 ? 'full' : ''}`, 'aria-hidden': 'true' }, bar),
    ),
  ];
}

function decide(base, done, part) {
  const ask = (kind, title, text, warn) =>
    formDialog(title, notice(kind === 'drop' ? 'warn' : '', warn), {
      text,
      kind: kind === 'drop' ? 'destroy' : 'primary',
      send: async () => {
        const { steps } = await job(post(`${base}/brake/${kind}`, part));
        done(`${many(steps, 'step')} ${kind === 'drop' ? 'given up' : 'let through'}.`);
      },
    });
  const whose = part.user ? ' of this person' : '';
  return [
    guarded(
      button(
        'Release',
        () =>
          ask(
            'release',
            `Release what is held${whose}?`,
            'Release',
            `Jira is written: accounts are switched off and memberships taken, as the identity provider asked.${part.user ? '' : ' The brake is ready again and counts from nothing.'}`,
          ),
        part.user ? 'slim' : 'primary',
      ),
      'operator',
    ),
    guarded(
      button(
        'Drop',
        () =>
          ask(
            'drop',
            `Give up what is held${whose}?`,
            'Give up',
            'Nothing is taken away. The steps stay undone until something else is wanted, or somebody retries them.',
          ),
        part.user ? 'slim' : 'destroy',
      ),
      'operator',
    ),
  ];
}

function brake({ base, done }) {
  return loaded(
    () => get(`${base}/brake`),
    (now) => {
      const held = now.accounts.held + now.memberships.held;
      const list =
        held > 0 &&
        paged(
          [
            { label: 'Whom', title: true, cell: (row) => h('strong', {}, row.name ?? row.id ?? row.kind) },
            { label: 'Step', cell: (row) => h('code', {}, row.step) },
            { label: 'Since', cell: (row) => time(row.since) },
            {
              label: 'Decide',
              act: true,
              cell: (row) =>
                row.kind === 'user' && row.id && h('div', { class: 'row' }, decide(base, done, { user: row.id })),
            },
          ],
          (page) => get(`${base}/brake/held`, page),
          { caption: 'Held by the brake', none: empty('Nothing is held', ''), limit: 20 },
        );
      const top = h(
        'div',
        { class: 'head' },
        h('h2', {}, 'Brake'),
        now.tripped
          ? badge('bad', 'Tripped')
          : badge(now.enabled ? 'good' : 'warn', now.enabled ? 'Ready' : 'Switched off'),
        (now.tripped || held > 0) && h('div', { class: 'row' }, decide(base, done, {})),
      );
      return h(
        'section',
        { class: 'card', id: 'brake' },
        top,
        h(
          'div',
          { class: 'stack tight' },
          now.tripped &&
            notice(
              'bad',
              now.tripped.reason,
              h(
                'div',
                { class: 'small' },
                time(now.tripped.at, { exact: true }),
                '. Everything that takes away is held, everything else flows on. Ask whoever runs the identity provider whether it is meant.',
              ),
            ),
          now.enabled &&
            facts(meter('Accounts', now.accounts, now.window), meter('Memberships', now.memberships, now.window)),
          list && h('div', { class: 'card flush' }, list),
        ),
      );
    },
  );
}

function whom(row) {
  if (row.kind === 'jira-group' || row.kind === 'group') return { group: row.kind === 'group' ? row.id : row.name };
  return { user: row.id };
}

function actions({ base, row, done }) {
  if (!['refused', 'held', 'waived', 'waiting'].includes(row.state) || row.kind === 'tenant') return '';
  const one = { ...whom(row), ...(row.step && row.kind === 'user' ? { step: row.step } : {}) };
  const act = (path, body, text) => async () => {
    await job(post(`${base}/outbox/${path}`, body));
    done(text);
  };
  return h(
    'div',
    { class: 'row' },
    doer('Retry', 'operator', act('retry', one, 'It is tried again.'), 'It is tried again.', 'slim'),
    row.state === 'held' &&
      row.step === 'account' &&
      doer(
        'Approve',
        'operator',
        act('approve', { user: row.id }, 'Approved.'),
        'Approved: the account is theirs.',
        'slim',
      ),
    row.step &&
      row.state !== 'waived' &&
      doer('Waive', 'operator', act('waive', one, 'Waived.'), 'Waived: it stays undone.', 'slim'),
  );
}

export default function waiting({ base, here, query, set, refresh }) {
  const hold = h('div', {});
  let state = query.state ?? '';
  const key = id('state');
  const said = h('div', { role: 'status' });
  const done = (text) => {
    if (text) replace(said, notice('good', text));
    refresh();
    top.reload();
    draw();
  };
  const draw = () =>
    hold.replaceChildren(
      paged(
        [
          {
            label: 'What',
            title: true,
            cell: (row) =>
              h(
                'div',
                {},
                row.id && row.kind === 'user'
                  ? h('a', { href: `${here}/users?id=${row.id}` }, h('strong', {}, row.name ?? row.id))
                  : h('strong', {}, row.name ?? row.kind),
                h('div', { class: 'muted small' }, row.kind, row.deleted && ', deleted'),
              ),
          },
          { label: 'Step', cell: (row) => (row.step ? h('code', {}, row.step) : h('span', { class: 'muted' }, 'all')) },
          { label: 'State', cell: (row) => badge(KINDS[row.state] ?? '', row.state) },
          {
            label: 'Why',
            long: true,
            cell: (row) => row.reason ?? h('span', { class: 'muted' }, 'it is about to be written'),
          },
          {
            label: 'Since',
            cell: (row) =>
              h('div', {}, time(row.since), row.due && h('div', { class: 'muted small' }, 'next ', time(row.due))),
          },
          { label: 'Do', act: true, cell: (row) => actions({ base, row, done }) },
        ],
        (page) => get(`${base}/outbox`, { ...page, state }),
        {
          caption: 'What is not written',
          none: empty(
            'Nothing waits',
            state ? 'Nothing is in that state.' : 'Jira agrees with everything that the identity provider asked for.',
          ),
        },
      ),
    );
  const choose = h(
    'select',
    { id: key },
    STATES.map(([value, text]) => h('option', { value, selected: value === state }, text)),
  );
  choose.addEventListener('change', () => {
    state = choose.value;
    set({ state });
    draw();
  });
  const top = brake({ base, done });
  draw();
  every(10, top, top.reload);
  every(10, hold, () => hold.firstElementChild?.reload?.());
  return [
    mayNotice('operator', 'releasing, retrying and waiving'),
    said,
    top,
    flush(
      'Not written yet',
      [
        h('label', { for: key, class: 'small' }, 'Show'),
        choose,
        doer(
          'Retry all',
          'operator',
          async () => {
            const { changed } = await job(post(`${base}/outbox/retry`, { all: true }));
            done(`${many(changed, 'subject')} tried again.`);
          },
          'All of it is tried again.',
          'slim',
        ),
      ],
      hold,
    ),
  ];
}
