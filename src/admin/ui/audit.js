// Requests on record: search, pages, one request in full, export, clear.

import { get, job, link, may, post, slug as safe } from './api.js';
import { announce, h, many, time } from './dom.js';
import { alertDialog, field, formDialog, values } from './form.js';
import { paged } from './list.js';
import { anchor, badge, button, copyable, empty, facts, flush, guarded, json, notice } from './ui.js';

const KEYS = ['q', 'tenant', 'user', 'group', 'status', 'method', 'actor', 'from', 'to', 'request', 'side', 'remote'];
const METHODS = [
  ['', 'Any'],
  ['GET', 'GET'],
  ['POST', 'POST'],
  ['PUT', 'PUT'],
  ['PATCH', 'PATCH'],
  ['DELETE', 'DELETE'],
];
const SIDES = [
  ['any', 'Anywhere'],
  ['scim', 'Identity provider'],
  ['admin', 'Administrators'],
  ['inside', 'Commands and the daemon'],
];
const STATUS = [
  ['', 'Any'],
  ['2xx', '2xx: done'],
  ['4xx', '4xx: refused'],
  ['5xx', '5xx: failed'],
  ['401', '401'],
  ['409', '409'],
  ['429', '429'],
];

const kind = (status) => (status >= 500 ? 'bad' : status >= 400 ? 'warn' : 'good');
const local = (at) =>
  at ? new Date(new Date(at) - new Date().getTimezoneOffset() * 60000).toISOString().slice(0, 16) : '';
const sent = (text) => (text ? new Date(text).toISOString() : undefined);

const what = (row) =>
  row.method
    ? [h('strong', {}, row.method), ` ${row.path}`]
    : [h('strong', {}, row.changes[0]?.action ?? 'change'), ' inside'];

function subjects(row, here) {
  const changes = row.changes ?? [];
  if (changes.length === 0) return h('span', { class: 'muted' }, 'nothing');
  const seen = [...new Map(changes.map((one) => [one.id, one])).values()];
  const name = (one) => one.name ?? one.kind;
  return seen
    .slice(0, 3)
    .map((one, index) => [
      index > 0 && ', ',
      here && one.kind === 'user' && one.name
        ? h('a', { href: `${here}/explain?user=${safe(one.name)}` }, name(one))
        : name(one),
    ])
    .concat(seen.length + (row.more_changes ?? 0) > 3 ? [` and ${seen.length - 3 + (row.more_changes ?? 0)} more`] : []);
}

function delivery(one, row) {
  const calls = Array.isArray(one.calls) ? one.calls : [];
  const steps = Array.isArray(one.steps) ? one.steps : [];
  const outcome = (step) => (typeof step.outcome === 'string' ? step.outcome : Object.keys(step.outcome ?? {})[0]);
  return h(
    'li',
    { class: one.outcome === 'applied' ? 'good' : one.error ? 'bad' : '' },
    h(
      'div',
      {},
      h('strong', {}, one.name ?? one.kind),
      ` ${one.outcome ?? 'under way'} `,
      time(one.at, { exact: true }),
    ),
    one.request_id && one.request_id !== row.request_id && h('div', { class: 'small muted' }, 'with a later request'),
    one.error && h('div', { class: 'wrong' }, one.error),
    steps.length > 0 &&
      h(
        'div',
        { class: 'small' },
        steps.map((step) => `${step.step?.step ?? 'step'}: ${outcome(step) ?? 'open'}`).join(', '),
      ),
    calls.map((call) =>
      h(
        'div',
        { class: 'mono small' },
        `${call.method} ${call.path} ${call.status ?? 'no answer'}, ${call.duration_ms} ms`,
      ),
    ),
  );
}

const rest = (count, one, more) =>
  h('p', { class: 'muted small' }, `And ${many(count, one, more)} more, all of them in an export.`);

function more(row) {
  return h(
    'div',
    { class: 'stack tight' },
    facts(
      ['Who', row.actor || 'nobody was let in'],
      row.remote && ['From', row.remote],
      row.duration_ms !== undefined && ['Took', `${Math.round(row.duration_ms * 10) / 10} ms`],
      ['Request', copyable(row.given ?? row.request_id, 'the request’s id')],
    ),
    row.error && notice('bad', row.error),
    row.body !== undefined && row.body !== null && [h('h3', {}, 'Sent'), json(row.body)],
    row.changes?.length > 0 && [
      h('h3', {}, 'Changed here'),
      row.changes.map((one) =>
        h(
          'details',
          { open: row.changes.length === 1 },
          h('summary', {}, `${one.action}: ${one.name ?? one.id}`),
          one.body ? json(one.body) : h('p', { class: 'muted' }, 'No body is kept.'),
          one.skipped?.length > 0 && h('p', { class: 'small' }, `Unknown members, left out: ${one.skipped.join(', ')}`),
        ),
      ),
      row.more_changes > 0 && rest(row.more_changes, 'change', 'changes'),
    ],
    row.deliveries?.length > 0 && [
      h('h3', {}, 'Done to Jira because of it'),
      h(
        'ul',
        { class: 'time' },
        row.deliveries.map((one) => delivery(one, row)),
      ),
      row.more_deliveries > 0 && rest(row.more_deliveries, 'delivery', 'deliveries'),
    ],
  );
}

function show(row) {
  alertDialog(
    row.method ? `${row.method} ${row.path}` : (row.changes[0]?.action ?? 'Change'),
    h('div', { class: 'row' }, row.status && badge(kind(row.status), row.status), time(row.at, { exact: true })),
    more(row),
  );
}

function list({ path, here, query, set, all }) {
  // Rows of all tenants name theirs by id.
  let slugs = null;
  const slugOf = (key) => slugs?.get(key) ?? key;
  const rows = async (page) => {
    if (all) slugs ??= new Map((await get('/tenants', { limit: 500 })).items.map((one) => [one.id, one.slug]));
    return get(path, { ...page, ...asked() });
  };
  // A tenant's own audit is of no other.
  const keys = KEYS.filter((key) => all || key !== 'tenant');
  const state = Object.fromEntries(keys.map((key) => [key, query[key] ?? '']));
  // This page asks the daemon all the time, which is on record, too: it is shown to whoever asks for it.
  const usual = all ? 'any' : 'scim';
  state.side ||= state.request ? 'any' : usual;
  const hold = h('div', {});
  const asked = () => ({
    ...state,
    side: state.side === 'any' ? undefined : state.side,
    from: sent(state.from),
    to: sent(state.to),
  });
  const csv = guarded(anchor('Export CSV', '#', 'button slim'), 'operator');
  const whole = guarded(anchor('Export JSON', '#', 'button slim'), 'operator');
  const filtered = () => keys.some((key) => state[key] && (key !== 'side' || state.side !== usual));
  const draw = () => {
    if (may('operator')) {
      csv.setAttribute('href', link(`${path}/export`, { format: 'csv', ...asked() }));
      whole.setAttribute('href', link(`${path}/export`, { format: 'json', ...asked() }));
      for (const one of [csv, whole]) one.setAttribute('download', '');
    }
    hold.replaceChildren(
      paged(
        [
          {
            label: 'Request',
            title: true,
            cell: (row) =>
              h(
                'div',
                {},
                h('button', { type: 'button', class: 'plain ask', onclick: () => show(row) }, h('span', {}, what(row))),
              ),
          },
          { label: 'When', cell: (row) => time(row.at) },
          all && {
            label: 'Tenant',
            cell: (row) =>
              row.tenant
                ? slugs?.has(row.tenant)
                  ? anchor(slugOf(row.tenant), `#/tenants/${safe(slugOf(row.tenant))}`)
                  : h('span', { class: 'muted', title: row.tenant }, 'deleted')
                : h('span', { class: 'muted' }, 'none'),
          },
          { label: 'Status', cell: (row) => (row.status ? badge(kind(row.status), row.status) : '—') },
          {
            label: 'Who',
            cell: (row) => h('div', {}, row.actor || 'nobody', h('div', { class: 'muted small' }, row.remote ?? '')),
          },
          { label: 'Changed', cell: (row) => subjects(row, here) },
        ].filter(Boolean),
        rows,
        {
          caption: 'Requests',
          none: filtered()
            ? empty('Nothing on record is like that', 'Take a filter away, or look at an earlier time.')
            : empty(
                'Nothing on record yet',
                'Every request of the identity provider and of administrators appears here.',
              ),
        },
      ),
    );
  };
  const node = h(
    'form',
    { class: 'stack tight', role: 'search', 'aria-label': 'Search the audit' },
    h(
      'div',
      { class: 'filters' },
      field('Words', { name: 'q', type: 'search', value: state.q, placeholder: 'a family name, an address …' }),
      all && field('Tenant', { name: 'tenant', value: state.tenant, placeholder: 'also one that was deleted' }),
      field('User', { name: 'user', value: state.user }),
      field('Group', { name: 'group', value: state.group }),
      field('Status', { name: 'status', value: state.status, options: STATUS }),
      field('Method', { name: 'method', value: state.method, options: METHODS }),
      field('Who asked', { name: 'actor', value: state.actor }),
      field('From', { name: 'from', type: 'datetime-local', value: local(state.from) }),
      field('To', { name: 'to', type: 'datetime-local', value: local(state.to) }),
      field('Came from', { name: 'side', value: state.side, options: SIDES }),
      field('Address', { name: 'remote', value: state.remote }),
      field('Request', { name: 'request', value: state.request, placeholder: 'its id' }),
    ),
    h(
      'div',
      { class: 'row' },
      h('button', { type: 'submit', class: 'primary slim' }, 'Search'),
      button(
        'Clear the search',
        () => {
          for (const key of keys) state[key] = key === 'side' ? usual : '';
          for (const control of node.elements) if (control.name) control.value = state[control.name];
          set({});
          draw();
        },
        'plain slim',
      ),
    ),
  );
  node.addEventListener('submit', (event) => {
    event.preventDefault();
    Object.assign(state, values(node));
    set({ ...state, side: state.side === usual ? '' : state.side, from: sent(state.from), to: sent(state.to) });
    draw();
    announce('Searching.');
  });
  draw();
  return { filters: h('section', { class: 'card' }, node), hold, csv, whole, draw };
}

export default function audit({ slug, base, here, query, set }) {
  const parts = list({ path: `${base}/audit`, here, query, set });
  const clear = guarded(
    button(
      'Clear …',
      () =>
        formDialog(
          'Forget requests on record?',
          [
            notice('warn', 'What is forgotten cannot be found or exported any more. That it was done stays on record.'),
            field('Only what is older than', { name: 'before', type: 'date', hint: 'Empty: all of it.' }),
          ],
          {
            text: 'Forget them',
            role: 'admin',
            kind: 'destroy',
            typed: slug,
            send: async ({ before, confirm }) => {
              const cleared = post(`${base}/audit/clear`, {
                confirm,
                ...(before ? { before: `${before}T00:00:00Z` } : {}),
              });
              const { requests } = await job(cleared);
              announce(`${many(requests, 'request')} forgotten.`);
              parts.draw();
            },
          },
        ),
      'slim destroy',
    ),
    'admin',
  );
  return [parts.filters, flush('Requests', [parts.csv, parts.whole, clear], parts.hold)];
}

export function everywhere({ query, set }) {
  const title = h('h1', {}, 'Audit of all tenants');
  if (!may('admin'))
    return {
      title: 'Audit',
      node: h(
        'div',
        { class: 'stack' },
        title,
        notice(
          '',
          'Requests of all tenants together are shown to the role admin. The audit of one tenant is among its sections.',
        ),
      ),
    };
  const parts = list({ path: '/audit', here: null, query, set, all: true });
  return {
    title: 'Audit',
    node: h('div', { class: 'stack' }, title, parts.filters, flush('Requests', [parts.csv, parts.whole], parts.hold)),
  };
}
