// What would be written to Jira, and, of a tenant that observes, the release of parts of it.

import { get, job, link, may, post } from './api.js';
import { h, id, many, number, replace, say } from './dom.js';
import { field, formDialog } from './form.js';
import { paged, picker, table } from './list.js';
import {
  anchor,
  badge,
  busy,
  button,
  card,
  empty,
  facts,
  flush,
  guarded,
  loaded,
  mayNotice,
  notice,
  trouble,
} from './ui.js';
import { people, person } from './explain.js';

export const KINDS = {
  create: 'Create accounts',
  link: 'Link accounts',
  update: 'Update accounts',
  activate: 'Switch on',
  deactivate: 'Switch off',
  delete: 'Delete',
  access: 'Access to applications',
  group: 'Make groups',
  join: 'Join groups',
  leave: 'Leave groups',
  refused: 'Refused',
  held: 'Held',
  waived: 'Waived',
};
const TAKES = new Set(['deactivate', 'delete', 'leave', 'refused']);

export const lines = [
  {
    label: 'Whom',
    title: true,
    cell: (line) =>
      h(
        'div',
        {},
        h('strong', {}, line.user ?? line.group ?? '—'),
        line.account && line.account !== line.user && h('div', { class: 'muted small' }, `account ${line.account}`),
      ),
  },
  {
    label: 'What',
    cell: (line) =>
      badge(TAKES.has(line.kind) ? 'warn' : line.kind === 'held' || line.kind === 'waived' ? '' : 'info', line.kind),
  },
  { label: 'Group', cell: (line) => line.group ?? '' },
  { label: 'In detail', cell: (line) => line.detail ?? '' },
];

export function brakeSays(list) {
  const some = (list ?? []).filter((one) => one.trips || one.wanted > 0);
  return some.map((one) =>
    notice(
      one.trips ? 'bad' : '',
      `${one.trips ? 'The brake would trip: ' : ''}${many(one.wanted, one.class.replace(/s$/, ''))} would be taken away at once; the limit is ${number(one.limit)}.`,
    ),
  );
}

function sums(found) {
  const groups = Object.entries(found.groups).sort((a, b) => b[1].plus + b[1].minus - a[1].plus - a[1].minus);
  const tally = (caption, word, list) =>
    list.length > 0 &&
    table(
      [
        { label: word, title: true, cell: ([name]) => name },
        { label: 'Join', num: true, cell: ([, one]) => one.plus > 0 && `+${number(one.plus)}` },
        { label: 'Leave', num: true, cell: ([, one]) => one.minus > 0 && `−${number(one.minus)}` },
      ],
      list,
      caption,
    );
  return h(
    'div',
    { class: 'stack tight' },
    h('p', {}, `${many(found.concerned, 'user')} of ${number(found.users)} would be written.`),
    brakeSays(found.brake),
    facts(
      ...Object.entries(found.lines).map(([kind, count]) => [KINDS[kind] ?? kind, number(count)]),
      found.renames > 0 && ['Renames', number(found.renames)],
    ),
    tally('Memberships by group', 'Group', groups.slice(0, 50)),
    tally('Seats by application', 'Application', Object.entries(found.seats)),
    Object.keys(found.refused).length > 0 &&
      facts(...Object.entries(found.refused).map(([reason, count]) => [many(count, 'refusal'), reason])),
  );
}

// How far a job is, while it is.
export const progress = (box, word) => (now) =>
  replace(box, h('p', { role: 'status' }, `${word} … `, now.progress ? `${number(now.progress)} so far` : ''));

export default function plan({ base, detail, query, set, refresh }) {
  if (!may('operator')) return mayNotice('operator', 'a plan asks Jira, and');
  const observes = detail.tenant.mode === 'observe';
  const state = { user: query.user ?? '', kind: query.kind ?? '' };
  const summary = h(
    'div',
    {},
    h('p', { class: 'muted' }, 'Adds up everybody. With many people this takes a while; it goes on in the daemon.'),
  );
  const count = button(
    'Reckon the sums',
    () =>
      busy(count, async () => {
        try {
          replace(summary, sums(await job(post(`${base}/plan/summary`), progress(summary, 'Reckoning'))));
        } catch (error) {
          replace(summary, trouble(error));
        }
      }),
    'slim',
  );
  const hold = h('div', {});
  const draw = () =>
    hold.replaceChildren(
      paged(
        lines,
        async (page) => {
          // A page of people may hold no line; the next ones may.
          let found = await get(`${base}/plan`, { ...page, ...state });
          for (let tries = 0; found.items.length === 0 && found.next && tries < 20; tries += 1)
            found = await get(`${base}/plan`, { ...page, ...state, cursor: found.next });
          return found;
        },
        {
          caption: 'What would be written',
          none: empty('Nothing would be written', 'Jira agrees with everything that the identity provider asked for.'),
        },
      ),
    );
  const key = id('kind');
  const kinds = h(
    'select',
    {
      id: key,
      onchange: () => {
        state.kind = kinds.value;
        set(state);
        draw();
      },
    },
    h('option', { value: '' }, 'All kinds'),
    Object.entries(KINDS).map(([value, text]) => h('option', { value, selected: value === state.kind }, text)),
  );
  const user = picker('Only this user', {
    name: 'user',
    value: state.user,
    find: people(base),
    show: person,
    chosen: (row) => {
      state.user = row.user_name;
      set(state);
      draw();
    },
  });
  user.querySelector('input').addEventListener('change', (event) => {
    if (event.target.value.trim() === '' && state.user) {
      state.user = '';
      set(state);
      draw();
    }
  });
  draw();
  return [
    observes && released({ base, refresh, draw }),
    h(
      'section',
      { class: 'card' },
      h('div', { class: 'head' }, h('h2', {}, 'Sums'), h('div', { class: 'row' }, count)),
      summary,
    ),
    h(
      'section',
      { class: 'card' },
      h('div', { class: 'two' }, user, h('div', { class: 'field' }, h('label', { for: key }, 'Only this kind'), kinds)),
    ),
    flush(
      'Line by line',
      [
        anchor('Export CSV', link(`${base}/plan/export`, { format: 'csv' }), 'button slim'),
        anchor('Export JSON', link(`${base}/plan/export`, { format: 'json' }), 'button slim'),
      ],
      hold,
    ),
  ];
}

function released({ base, draw }) {
  const box = loaded(
    () => get(`${base}/release`),
    (now) =>
      now.users + now.groups + now.waiting === 0
        ? h('p', { class: 'muted' }, 'Nothing that was released still waits.')
        : h('p', {}, `Released and still waiting: ${many(now.users, 'user')}, ${many(now.groups, 'group')}.`),
  );
  const ask = () =>
    formDialog(
      'Release a part of the plan',
      [
        notice(
          '',
          'It is written to Jira once, while the tenant goes on observing. The brake holds for it as for everything else.',
        ),
        field('Only this user', { name: 'user', hint: 'User name or id. Empty: everybody.' }),
        h(
          'fieldset',
          {},
          h('legend', {}, 'What (nothing ticked: everything)'),
          h(
            'div',
            { class: 'choice' },
            Object.entries(KINDS)
              .slice(0, 10)
              .map(([kind, text]) => h('label', {}, h('input', { type: 'checkbox', name: `kind-${kind}` }), text)),
          ),
        ),
      ],
      {
        text: 'Release',
        send: async (found) => {
          const kinds = Object.keys(KINDS).filter((kind) => found[`kind-${kind}`]);
          const body = found.user
            ? { user: found.user, ...(kinds.length ? { kinds } : {}) }
            : kinds.length
              ? { kinds }
              : { all: true };
          const done = await job(post(`${base}/release`, body));
          say(`${many(done.users, 'user')} and ${many(done.groups, 'group')} released.`);
          box.reload();
          draw();
        },
      },
    );
  return card(
    null,
    h(
      'div',
      { class: 'head' },
      h('h2', {}, 'This tenant only observes'),
      h('div', { class: 'row' }, guarded(button('Release …', ask, 'primary'), 'operator')),
    ),
    box,
  );
}
