// The directories that are read on a schedule: how they are, a test, a plan and a read of each, and what the last came to.

import { del, get, job, post, put, slug as safe } from './api.js';
import { h, many, number, replace, say, time } from './dom.js';
import { doer, field, form, formDialog } from './form.js';
import { paged, table } from './list.js';
import { KIND, STATE, messages, open, took, watched } from './runs.js';
import { settingsOf } from './source_new.js';
import { anchor, badge, busy, button, card, empty, every, facts, flush, guarded, head, json } from './ui.js';
import { loaded, mayNotice, notice, trouble } from './ui.js';

const HOW = {
  new: ['info', 'Not read yet'],
  waiting: ['info', 'Waiting'],
  running: ['info', 'Being read'],
  well: ['good', 'Well'],
  failing: ['bad', 'Failing'],
  stopped: ['warn', 'Stopped'],
  broken: ['bad', 'Cannot be read'],
};
const WHAT = { ldap: 'LDAP', scim: 'SCIM' };
// Lines of a plan that are drawn at once.
const LINES = 200;

const howBadge = (one) => badge(...(HOW[one.state] ?? ['', one.state]));
const path = (one) => `/sources/${safe(one.name)}`;

// Of what the next read is.
function extent(next) {
  if (next.extent === 'changes') return `of changes only; of everything in ${many(next.full_in, 'read')}`;
  return next.because ? `of everything: ${next.because}` : 'of everything';
}

function seen(found) {
  if (!found.ok) return notice('bad', found.error ?? 'It cannot be read.');
  return h(
    'div',
    { class: 'stack tight' },
    notice(
      'good',
      `It lets us in and has ${many(found.people, 'person', 'people')} `,
      `and ${many(found.groups, 'group')} with ${many(found.members, 'member')}.`,
    ),
    found.shown.length > 0 && h('p', { class: 'muted small' }, 'People, as they would be brought in:'),
    found.shown.map((person) => json(person)),
    messages(found.messages, 0),
  );
}

function planned(found) {
  const rows = found.lines.slice(0, LINES);
  const unsaid = found.lines.length - rows.length + found.more;
  return h(
    'div',
    { class: 'stack tight' },
    found.error && notice('bad', found.error),
    !found.error &&
      notice(
        found.wanted === 0 ? 'good' : '',
        found.wanted === 0 ? 'Nothing would be changed.' : `${many(found.wanted, 'thing')} would be changed.`,
      ),
    rows.length > 0 &&
      table(
        [
          { label: 'Name', title: true, cell: (line) => line.name },
          { label: 'What', cell: (line) => (line.what === 'members' ? 'change members' : `${line.what} ${line.of}`) },
          { label: 'Details', cell: (line) => line.detail },
        ],
        rows,
        'What would be changed',
      ),
    unsaid > 0 && h('p', { class: 'muted small' }, `and ${many(unsaid, 'more line')}`),
    messages(found.counters?.messages ?? [], found.counters?.unsaid ?? 0),
  );
}

// A button for work that takes long; what came of it is drawn in the box.
function worker(text, box, path, draw, waits) {
  const node = button(
    text,
    () =>
      busy(node, async () => {
        replace(box, notice('', waits));
        try {
          const told = ({ progress }) =>
            replace(box, notice('', progress === null ? waits : `${waits} ${number(progress)} so far.`));
          replace(box, draw(await job(post(path), told)));
        } catch (error) {
          replace(box, trouble(error));
        }
      }),
    'slim',
  );
  return guarded(node, 'operator');
}

function shown(one) {
  return facts(
    one.address && ['Address', one.address],
    one.kind && ['Kind', WHAT[one.kind] ?? one.kind],
    ['Feeds', anchor(one.tenant, `#/tenants/${safe(one.tenant)}`)],
    one.schedule && ['Is read', one.schedule],
    one.next && ['Next read', h('span', {}, time(one.next.at, { none: 'when somebody asks' }), ', ', extent(one.next))],
    ['Last read', one.last ? time(one.last.finished ?? one.last.requested) : time(null)],
    ['Complete read', time(one.applied)],
    ['Made', one.declared ? 'in the configuration' : 'here'],
  );
}

function listed(one) {
  return h(
    'section',
    { class: 'card' },
    head(one.name, [
      howBadge(one),
      h('div', { class: 'row' }, anchor('Open', `#/sources/${safe(one.name)}`, 'button slim')),
    ]),
    h(
      'div',
      { class: 'stack tight' },
      one.problem && notice('bad', one.problem),
      one.state === 'failing' && one.last?.error && notice('bad', one.last.error),
      shown(one),
    ),
  );
}

function all({ items }) {
  if (items.length === 0)
    return h(
      'div',
      { class: 'card' },
      empty(
        'No source',
        'Where nobody pushes, one is read on a schedule: an LDAP server, Active Directory, or another SCIM server.',
      ),
    );
  return h('div', { class: 'stack' }, items.map(listed));
}

// All sources.
export function sources() {
  const box = loaded(() => get('/sources', { limit: 500 }), all, { steady: true });
  every(10, box, () => box.reload());
  const make = guarded(anchor('New source', '#/sources/new', 'button primary'), 'admin');
  return {
    title: 'Sources',
    node: h(
      'div',
      { class: 'stack' },
      h('div', { class: 'head' }, h('h1', {}, 'Sources'), h('div', { class: 'row' }, make)),
      mayNotice('operator', 'testing and reading a source'),
      box,
    ),
  };
}

function history(one, live) {
  return paged(
    [
      {
        label: 'Read',
        title: true,
        cell: (run) =>
          h(
            'button',
            {
              type: 'button',
              class: 'plain ask',
              onclick: () => {
                replace(live, watched(`/tenants/${safe(one.tenant)}`, run));
                live.scrollIntoView({ block: 'nearest' });
              },
            },
            run.options.user ? `of ${run.options.user}` : (KIND[run.kind] ?? run.kind),
          ),
      },
      { label: 'State', cell: (run) => badge(STATE[run.state], run.state) },
      {
        label: 'Asked for',
        cell: (run) => h('div', {}, time(run.requested), h('div', { class: 'muted small' }, run.actor)),
      },
      { label: 'Took', cell: took },
      { label: 'People', num: true, cell: (run) => number(run.counters.people?.read) },
      { label: 'Groups', num: true, cell: (run) => number(run.counters.groups?.read) },
      { label: 'Changes', num: true, cell: (run) => number(run.counters.done) },
      {
        label: 'Skipped',
        num: true,
        cell: ({ counters: { people, groups } }) => number((people?.skip ?? 0) + (groups?.skip ?? 0)),
      },
      { label: 'Error', cell: (run) => run.error ?? '' },
    ],
    (page) => get(`${path(one)}/runs`, page),
    { caption: 'Reads', none: empty('Not read yet', 'Test it, look at the plan, then read it.') },
  );
}

function changes(one, again, go) {
  const edit = () =>
    formDialog(
      `Settings of ${one.name}`,
      field('Settings', {
        name: 'settings',
        type: 'area',
        rows: 14,
        value: JSON.stringify(one.settings, null, 2),
        hint: 'The keys of [[source]] but name and tenant, as JSON. Files are names in the folder admin.source_files.',
      }),
      {
        text: 'Save',
        role: 'admin',
        send: async ({ settings }) => {
          await put(path(one), { settings: settingsOf(settings) });
          say('It is saved, and used from the next read on.');
          again();
        },
      },
    );
  const forget = () =>
    formDialog(
      `Delete the source ${one.name}?`,
      notice('warn', `The people of ${one.tenant} stay as they are. SCIM clients may write to it again.`),
      {
        text: 'Delete it',
        role: 'admin',
        kind: 'destroy',
        typed: one.name,
        send: async () => {
          await del(path(one), undefined, { confirm: one.name });
          say(`The source ${one.name} is deleted.`);
          go('sources');
        },
      },
    );
  return card(
    'Settings',
    h(
      'div',
      { class: 'stack tight' },
      json(one.settings),
      h(
        'div',
        { class: 'row' },
        guarded(button('Change …', edit, 'slim'), 'admin'),
        guarded(button('Delete …', forget, 'slim destroy'), 'admin'),
      ),
    ),
  );
}

function details(one, { again, go, live, result, list }) {
  const reads = (run) => {
    replace(live, watched(`/tenants/${safe(one.tenant)}`, run, again));
    again();
  };
  const read = async (how) => reads(await post(`${path(one)}/run${how}`));
  return h(
    'div',
    { class: 'stack' },
    h(
      'section',
      { class: 'card' },
      head('How it is', [
        howBadge(one),
        h(
          'div',
          { class: 'row' },
          worker('Test', result, `${path(one)}/test`, seen, 'It is being read, and nothing is changed.'),
          worker('Plan', result, `${path(one)}/plan`, planned, 'It is being read and compared; nothing is changed.'),
          doer('Read now', 'operator', () => read(''), 'It is on its way.', 'slim primary'),
          doer('Read everything', 'operator', () => read('?full=true'), 'It is on its way.', 'slim'),
        ),
      ]),
      h(
        'div',
        { class: 'stack tight' },
        one.problem && notice('bad', one.problem),
        one.last?.error && !open(one.last) && one.last.state === 'failed' && notice('bad', one.last.error),
        shown(one),
        messages(one.last?.counters.messages ?? [], one.last?.counters.unsaid ?? 0),
        result,
      ),
    ),
    card(
      'One person',
      form(
        field('userName', {
          name: 'user',
          maxlength: 1000,
          hint: 'Read and brought in now, as a login page may ask for it.',
        }),
        {
          text: 'Read this person',
          role: 'operator',
          kind: '',
          send: ({ user }) => read(`?user=${safe(user)}`),
        },
      ),
    ),
    live,
    flush('Reads', null, list),
    !one.declared && changes(one, again, go),
  );
}

// One source.
export function source({ args: [name], go }) {
  const [live, result, list] = ['stack', '', ''].map((cls) => h('div', { class: cls || null, 'aria-live': 'polite' }));
  const box = loaded(
    () => get(`/sources/${safe(name)}`),
    (one) => {
      replace(list, history(one, live));
      return details(one, { again: () => box.reload(), go, live, result, list });
    },
    { steady: true },
  );
  return {
    title: name,
    node: h(
      'div',
      { class: 'stack' },
      h('div', {}, h('div', { class: 'crumb' }, anchor('Sources', '#/sources')), h('h1', {}, name)),
      mayNotice('operator', 'testing and reading a source'),
      box,
    ),
  };
}
