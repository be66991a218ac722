// Everything at a glance: each tenant, each target, and what went on in the last day.

import { get } from './api.js';
import { chart, points } from './chart.js';
import { h, lasts, many, number, time } from './dom.js';
import { table } from './list.js';
import { anchor, badge, empty, every, flush, guarded, head, loaded } from './ui.js';

const STATES = { ok: ['good', 'OK'], waiting: ['info', 'Working'], attention: ['bad', 'Needs attention'] };
export const stateBadge = (tenant) => badge(...(STATES[tenant.state] ?? ['', tenant.state]));
export const modeBadge = (mode) =>
  badge(mode === 'enforce' ? '' : 'warn', mode === 'enforce' ? 'Writes to Jira' : 'Observes only');

export function daysLeft(days, live) {
  if (live === 0) return badge('bad', 'No token');
  if (days === null || days === undefined) return h('span', { class: 'muted' }, 'Never ends');
  if (days < 0) return badge('bad', 'Expired');
  return days <= 30
    ? badge(days <= 7 ? 'bad' : 'warn', `${many(days, 'day')} left`)
    : h('span', { class: 'nowrap' }, `${many(days, 'day')} left`);
}

export function queue(tenant) {
  const { depth, oldest_seconds: oldest } = tenant.queue;
  return depth === 0
    ? h('span', { class: 'muted' }, 'Empty')
    : h('div', {}, number(depth), h('div', { class: 'muted small' }, `oldest ${lasts(oldest)}`));
}

export function unwritten(tenant) {
  const parts = ['refused', 'held', 'waived'].filter((name) => tenant[name] > 0);
  return parts.length === 0
    ? h('span', { class: 'muted' }, 'None')
    : h(
        'a',
        { href: `#/tenants/${tenant.slug}/waiting` },
        parts.map((name) => `${number(tenant[name])} ${name}`).join(', '),
      );
}

export const brakeBadge = (brake) => (brake.tripped ? badge('bad', 'Tripped') : h('span', { class: 'muted' }, 'Ready'));

const COLUMNS = [
  {
    label: 'Tenant',
    title: true,
    cell: (tenant) =>
      h(
        'div',
        {},
        h('a', { href: `#/tenants/${tenant.slug}` }, h('strong', {}, tenant.slug)),
        h(
          'div',
          { class: 'muted small' },
          `${tenant.target} · ${many(tenant.users, 'user')}, ${many(tenant.groups, 'group')}`,
        ),
      ),
  },
  {
    label: 'State',
    cell: (tenant) =>
      h(
        'div',
        {},
        h('div', { class: 'row' }, stateBadge(tenant), tenant.mode === 'observe' && modeBadge(tenant.mode)),
        tenant.reasons.map((reason) => h('div', { class: 'small muted' }, reason)),
      ),
  },
  { label: 'Last contact', cell: (tenant) => time(tenant.last_contact) },
  { label: 'Queue', cell: queue },
  { label: 'Not written', cell: unwritten },
  { label: 'Brake', cell: (tenant) => brakeBadge(tenant.brake) },
  { label: 'Token', cell: (tenant) => daysLeft(tenant.token_days_left, tenant.live_tokens) },
];

export function healthBadge(target) {
  const { state, pause_kind: kind } = target.health;
  return badge(
    { up: 'good', paused: 'bad' }[state] ?? '',
    { up: 'Up', paused: `Paused: ${kind ?? 'unknown'}` }[state] ?? 'Not asked yet',
  );
}

function targets(all) {
  return table(
    [
      {
        label: 'Target',
        title: true,
        cell: (target) => h('div', {}, h('strong', {}, target.name), h('div', { class: 'muted small' }, target.url)),
      },
      { label: 'State', cell: healthBadge },
      { label: 'Last answer', cell: (target) => time(target.health.last_success) },
      {
        label: 'Credential',
        cell: (target) =>
          target.credentials.length === 0
            ? h('span', { class: 'muted' }, 'No end is known')
            : target.credentials.map((one) =>
                h(
                  'div',
                  {},
                  one.near || one.days_left < 0
                    ? badge(
                        one.days_left < 7 ? 'bad' : 'warn',
                        `${one.what}: ${one.days_left < 0 ? 'expired' : `${many(one.days_left, 'day')} left`}`,
                      )
                    : `${one.what}: ${many(one.days_left, 'day')} left`,
                ),
              ),
      },
    ],
    all,
    'Targets',
  );
}

export default function overview() {
  const box = loaded(
    () => get('/overview'),
    (found) => {
      if (found.tenants.length === 0) {
        return h(
          'div',
          { class: 'card' },
          empty(
            'No tenant yet',
            'A tenant is one identity provider: its address, its token, its rules, and the Jira that it writes to.',
            guarded(anchor('Make the first one', '#/tenants/new', 'button primary'), 'admin'),
          ),
        );
      }
      return h(
        'div',
        { class: 'stack' },
        flush('Tenants', null, table(COLUMNS, found.tenants, 'Tenants')),
        h(
          'div',
          { class: 'two' },
          h(
            'section',
            { class: 'card' },
            head('Requests of the last day'),
            chart('Requests of identity providers', points(found.series, 'requests')),
          ),
          h(
            'section',
            { class: 'card' },
            head('Calls to Jira of the last day'),
            chart('Calls to Jira', points(found.series, 'calls')),
          ),
        ),
        flush('Targets', anchor('Details and test', '#/targets'), targets(found.targets)),
      );
    },
    { steady: true },
  );
  every(10, box, box.reload);
  return {
    title: 'Overview',
    node: h(
      'div',
      { class: 'stack' },
      h(
        'div',
        { class: 'head' },
        h('h1', {}, 'Overview'),
        h('div', { class: 'row' }, guarded(anchor('New tenant', '#/tenants/new', 'button primary'), 'admin')),
      ),
      box,
    ),
  };
}
