// What this process counts: what matters at a glance, then every metric with its help.

import { get } from './api.js';
import { h, id, lasts, many, number, replace, time } from './dom.js';
import { table } from './list.js';
import { card, empty, every, flush, loaded, notice, tile } from './ui.js';

// Samples of one metric that are shown at most.
const SHOWN = 200;

const sum = (samples, like = () => true) =>
  samples.filter((one) => like(one.labels)).reduce((total, one) => total + one.value, 0);
const size = (bytes) => (bytes >= 1 << 30 ? `${(bytes / (1 << 30)).toFixed(1)} GiB` : `${number(Math.round(bytes / (1 << 20)))} MiB`);
const wrong = ({ status }) => status === '429' || status === 'none' || status?.startsWith('5');

// How long something took on average, out of a histogram.
function average(family) {
  const samples = family?.samples ?? [];
  const count = samples.reduce((total, one) => total + (one.count ?? 0), 0);
  return count === 0 ? 'none yet' : `${lasts(sum(samples) / count)} on average`;
}

function tiles(all) {
  const family = (name) => all.find((one) => one.name === `jira_scim_${name}`);
  const samples = (name) => family(name)?.samples ?? [];
  const own = (name) => all.find((one) => one.name === `process_${name}`)?.samples[0]?.value;
  const [asked, calls] = [samples('http_requests_total'), samples('target_calls_total')];
  const down = samples('target_up').filter((one) => one.value === 0).length;
  return h(
    'div',
    { class: 'tiles' },
    tile('Requests', number(sum(asked)), average(family('http_request_duration_seconds'))),
    tile('Answered 429 or 5xx', number(sum(asked, wrong)), `${number(sum(samples('http_rate_limited_total')))} of them 429`),
    tile('Calls to Jira', number(sum(calls)), average(family('target_call_duration_seconds'))),
    tile('Without a good answer', number(sum(calls, wrong)), `${many(down, 'target')} paused now`),
    tile('Queue', number(sum(samples('outbox_depth'))), `${number(sum(samples('late_refusals_total')))} refused late`),
    tile(
      'This process',
      own('resident_memory_bytes') ? size(own('resident_memory_bytes')) : 'memory not known',
      h('span', {}, 'since ', time(new Date(sum(samples('start_time_seconds')) * 1000).toISOString(), { exact: true })),
    ),
  );
}

const labels = (one) =>
  Object.entries(one.labels)
    .map(([name, value]) => `${name} ${value === '' ? '(none)' : value}`)
    .join(', ') || 'all';

function value(family, one) {
  if (family.kind === 'histogram') return one.count === 0 ? '0' : `${number(one.count)}, ${lasts(one.value / one.count)} each`;
  if (family.name.endsWith('timestamp_seconds') || family.name.endsWith('start_time_seconds'))
    return time(new Date(one.value * 1000).toISOString(), { exact: true });
  if (family.name.endsWith('_bytes')) return size(one.value);
  return number(one.value);
}

function described(family) {
  const shown = family.samples.slice(0, SHOWN);
  return h(
    'details',
    { class: 'metric' },
    h('summary', {}, h('code', {}, family.name), ' ', h('span', { class: 'muted small' }, many(family.samples.length, 'value'))),
    h(
      'div',
      { class: 'stack tight' },
      h('p', { class: 'small' }, family.help),
      shown.length > 0 &&
        table(
          [
            { label: 'Of', title: true, cell: labels },
            { label: 'Value', num: true, cell: (one) => value(family, one) },
          ],
          shown,
          family.name,
        ),
      family.samples.length > SHOWN && notice('', `The first ${SHOWN} are shown; /metrics has all of them.`),
    ),
  );
}

async function everything() {
  const all = [];
  let cursor;
  do {
    const page = await get('/metrics', { limit: 500, cursor });
    all.push(...page.items);
    cursor = page.next;
  } while (cursor);
  return all;
}

export default function metrics() {
  let wanted = '';
  let known = [];
  const list = h('div', { class: 'pad stack tight' });
  const draw = () => {
    const open = new Set([...list.querySelectorAll('details[open] code')].map((node) => node.textContent));
    const found = known.filter((family) => `${family.name} ${family.help}`.toLowerCase().includes(wanted));
    replace(
      list,
      found.length === 0 ? empty('No metric is called so', 'Look for another word.') : found.map(described),
    );
    for (const node of list.querySelectorAll('details'))
      if (open.has(node.querySelector('code').textContent)) node.open = true;
  };
  const key = id('metric');
  const search = h('input', { id: key, type: 'search', autocomplete: 'off', spellcheck: 'false' });
  search.addEventListener('input', () => {
    wanted = search.value.trim().toLowerCase();
    draw();
  });
  const now = loaded(everything, (all) => {
    known = all;
    draw();
    return tiles(all);
  });
  every(10, now, now.reload);
  return {
    title: 'Metrics',
    node: h(
      'div',
      { class: 'stack' },
      h('h1', {}, 'Metrics'),
      h('p', { class: 'lead' }, 'What this process has counted since it started. Prometheus reads the same at /metrics of the SCIM listener.'),
      now,
      card(null, h('div', { class: 'field' }, h('label', { for: key }, 'Look for a metric'), search)),
      flush('All metrics', null, list),
    ),
  };
}
