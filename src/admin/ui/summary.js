// The first view of a tenant: how it is, and what went on.

import { get } from './api.js';
import { chart, points } from './chart.js';
import { h, lasts, many, number, time } from './dom.js';
import { daysLeft } from './overview.js';
import { anchor, card, copyable, every, facts, head, loaded, notice, tile } from './ui.js';
import { IDPS } from './idp.js';
import { steps } from './tenant_new.js';

function tiles(one) {
  return h(
    'div',
    { class: 'tiles' },
    tile('Users', number(one.users), many(one.groups, 'group')),
    tile('Last contact', one.last_contact ? time(one.last_contact) : 'Never', 'of the identity provider'),
    tile(
      'Queue',
      number(one.queue.depth),
      one.queue.depth ? `oldest ${lasts(one.queue.oldest_seconds)}` : 'Jira agrees with all',
    ),
    tile('Not written', number(one.refused + one.held), `${number(one.refused)} refused, ${number(one.held)} held`),
    tile(
      'Brake',
      one.brake.tripped ? 'Tripped' : 'Ready',
      one.brake.tripped ? time(one.brake.at) : 'nothing is stopped',
    ),
    tile('Token', daysLeft(one.token_days_left, one.live_tokens), many(one.live_tokens, 'live token')),
  );
}

export default function summary({ slug, here, detail, base, refresh }) {
  const now = loaded(
    async () => detail ?? (await get(base)),
    ({ overview: one }) =>
      h(
        'div',
        { class: 'stack tight' },
        one.reasons.map((reason) => notice('warn', reason, ' ', anchor('See held and refused', `${here}/waiting`))),
        one.runs.map((run) =>
          notice('', `A run goes on: ${run.kind}, ${run.stage || run.state}. `, anchor('Watch it', `${here}/runs`)),
        ),
        tiles(one),
      ),
  );
  let first = detail;
  detail = null;
  every(5, now, async () => {
    detail = await refresh();
    await now.reload();
    detail = null;
  });
  const charts = loaded(
    () => get('/overview'),
    ({ series }) =>
      h(
        'div',
        { class: 'two' },
        h(
          'section',
          { class: 'card' },
          head('Requests of the last day'),
          chart(`Requests to ${slug}`, points(series, 'requests', slug)),
        ),
        h(
          'section',
          { class: 'card' },
          head(`Calls to ${first.tenant.target}`),
          chart(`Calls to ${first.tenant.target}, of all its tenants`, points(series, 'calls', first.tenant.target)),
        ),
      ),
    { steady: true },
  );
  const which = h(
    'select',
    { 'aria-label': 'Identity provider' },
    Object.entries(IDPS).map(([key, idp]) => h('option', { value: key }, idp.name)),
  );
  const how = h('div', { class: 'stack tight' }, steps('okta', first.tenant.urls, null));
  which.addEventListener('change', () => {
    how.replaceChildren(...steps(which.value, first.tenant.urls, null).filter(Boolean));
  });
  return [
    now,
    charts,
    card(
      'Connection',
      facts(
        ['SCIM 2.0', copyable(first.tenant.urls.scim2, 'the SCIM 2.0 address')],
        ['SCIM 1.1', copyable(first.tenant.urls.scim1, 'the SCIM 1.1 address')],
        ['Jira', anchor(first.tenant.target, '#/targets')],
        ['Made', time(first.tenant.created)],
        first.tenant.declared && ['Declared', 'by the configuration file, which decides about target, mode and policy'],
      ),
    ),
    h(
      'details',
      { class: 'card' },
      h('summary', {}, 'What to type at the identity provider'),
      h('div', { class: 'stack tight' }, h('div', { class: 'field' }, which), how),
    ),
  ];
}
