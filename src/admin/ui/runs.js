// Imports, comparisons and the other long runs: started here, watched while they run.

import { get, may, post } from './api.js';
import { add, h, lasts, number, say, time } from './dom.js';
import { doer, field } from './form.js';
import { paged, table } from './list.js';
import { badge, empty, facts, flush, loaded, mayNotice, notice } from './ui.js';

export const STATE = { queued: 'info', running: 'info', done: 'good', failed: 'bad', stopped: 'warn' };
export const KIND = {
  import: 'Import',
  reconcile: 'Comparison',
  last_login: 'Last logins',
  reset: 'Reset',
  purge: 'Purge',
  sync: 'Read of the source',
  sync_plan: 'Plan of a read',
};
export const open = (run) => ['queued', 'running'].includes(run.state);

// What is wrong with single entries.
export const messages = (all, unsaid) =>
  (all.length > 0 || unsaid > 0) &&
  h(
    'div',
    { class: 'notice warn' },
    h('strong', {}, 'Left as they are:'),
    h(
      'ul',
      {},
      all.map((sentence) => h('li', {}, sentence)),
      unsaid > 0 && h('li', {}, `and ${number(unsaid)} more`),
    ),
  );

// Counters of any kind of run: a table where each part counts the same things, a list else.
export function counters(run) {
  const parts = Object.entries(run.counters ?? {});
  const nested = parts.filter(([, value]) => value && typeof value === 'object' && !Array.isArray(value));
  const flat = parts.filter(([, value]) => typeof value === 'number' || typeof value === 'string');
  const names = [
    ...new Set(nested.flatMap(([, value]) => Object.keys(value).filter((key) => typeof value[key] === 'number'))),
  ];
  const skipped = nested.flatMap(([part, value]) =>
    Object.entries(value.skipped ?? {}).map(([reason, count]) => [
      `${part} skipped: ${reason.replaceAll('_', ' ')}`,
      number(count),
    ]),
  );
  return [
    flat.length > 0 &&
      facts(
        ...flat.map(([name, value]) => [name.replaceAll('_', ' '), typeof value === 'number' ? number(value) : value]),
      ),
    names.length > 0 &&
      table(
        [
          { label: 'Of', title: true, cell: ([part]) => part },
          ...names.map((name) => ({ label: name, num: true, cell: ([, value]) => number(value[name]) })),
        ],
        nested,
        `Counts of ${KIND[run.kind] ?? run.kind}`,
      ),
    skipped.length > 0 && facts(...skipped),
    messages(run.counters?.messages ?? [], run.counters?.unsaid ?? 0),
  ];
}

export function took(run) {
  if (!run.started) return '';
  return lasts((new Date(run.finished ?? Date.now()) - new Date(run.started)) / 1000);
}

// One run; while it is open its numbers follow it.
export function watched(base, begun, done = () => {}) {
  let fresh = begun;
  let over = false;
  let told = !open(begun);
  const box = loaded(
    async () => {
      const now = fresh ?? (await get(`${base}/runs/${begun.id}`));
      fresh = null;
      return now;
    },
    (now) => {
      over = !open(now);
      if (over && !told) {
        told = true;
        say(`${KIND[now.kind] ?? now.kind}: ${now.state}.`);
        done(now);
      }
      return h(
        'section',
        { class: 'card' },
        h(
          'div',
          { class: 'head' },
          h('h2', {}, KIND[now.kind] ?? now.kind),
          badge(STATE[now.state], now.state),
          now.stage && open(now) && h('span', { class: 'muted' }, `at ${now.stage}`),
          open(now) &&
            h(
              'div',
              { class: 'row' },
              doer(
                'Stop',
                'operator',
                async () => {
                  await post(`${base}/runs/${now.id}/stop`);
                  box.reload();
                },
                'It stops.',
                'slim',
              ),
            ),
        ),
        h(
          'div',
          { class: 'stack tight' },
          now.error && notice(now.state === 'failed' ? 'bad' : 'warn', now.error),
          h(
            'p',
            { class: 'muted small' },
            'Begun ',
            time(now.started, { none: 'soon' }),
            now.started && ` · ${took(now)}`,
            ` · ${now.actor}`,
          ),
          counters(now),
        ),
      );
    },
  );
  const timer = setInterval(() => {
    if (!box.isConnected || over) clearInterval(timer);
    else box.reload();
  }, 1000);
  return box;
}

export default function runs({ base, detail }) {
  const live = h('div', { class: 'stack' });
  const list = h('div', {});
  const draw = () =>
    list.replaceChildren(
      paged(
        [
          {
            label: 'Run',
            title: true,
            cell: (run) =>
              h(
                'button',
                {
                  type: 'button',
                  class: 'plain ask',
                  onclick: () => {
                    live.replaceChildren(watched(base, run));
                    live.scrollIntoView({ block: 'nearest' });
                  },
                },
                KIND[run.kind] ?? run.kind,
              ),
          },
          { label: 'State', cell: (run) => badge(STATE[run.state], run.state) },
          {
            label: 'Asked for',
            cell: (run) => h('div', {}, time(run.requested), h('div', { class: 'muted small' }, run.actor)),
          },
          { label: 'Took', cell: took },
          { label: 'Error', cell: (run) => run.error ?? '' },
        ],
        (page) => get(`${base}/runs`, page),
        {
          caption: 'Runs',
          none: empty('Nothing ran yet', 'An import learns what is in Jira already, without writing to it.'),
        },
      ),
    );
  const past = field('Import past the brake: imported people and groups that Jira does not have any more are removed here, however many', {
    name: 'past_the_brake',
    type: 'check',
  });
  const begin = (path, text) =>
    doer(
      text,
      'operator',
      async () => {
        const through = path === 'import' && past.querySelector('input').checked;
        const begun = await post(`${base}/${path}${through ? '?past_the_brake=true' : ''}`);
        live.replaceChildren(watched(base, begun, draw));
        draw();
      },
      'It is on its way.',
      path === 'import' ? 'primary' : '',
    );
  add(
    live,
    detail.overview.runs.map((run) => watched(base, run, draw)),
  );
  draw();
  return [
    mayNotice('operator', 'starting runs'),
    h(
      'section',
      { class: 'card' },
      h(
        'div',
        { class: 'stack tight' },
        h(
          'p',
          { class: 'lead' },
          'An import learns which accounts, groups and memberships Jira has already: nothing is written there. A comparison looks for what somebody changed in Jira. Last logins asks when people were seen there.',
        ),
        h(
          'div',
          { class: 'row' },
          begin('import', 'Import'),
          begin('reconcile', 'Compare'),
          begin('last-login', 'Last logins'),
        ),
        may('operator') && past,
      ),
    ),
    live,
    flush('Runs', null, list),
  ];
}
