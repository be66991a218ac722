// The Jiras: their health, the credentials that are used there with their end, and a test of them.

import { get, post, slug as safe } from './api.js';
import { h, many, replace, stamp, time } from './dom.js';
import { doer } from './form.js';
import { anchor, badge, busy, button, empty, facts, guarded, head, loaded, mayNotice, notice, trouble } from './ui.js';
import { healthBadge } from './overview.js';

const LEVEL = { note: '', warning: 'warn', problem: 'bad' };

function result(found) {
  return h(
    'div',
    { class: 'stack tight' },
    notice(
      found.ok ? 'good' : 'bad',
      found.ok ? 'Jira answers and accepts the credential.' : (found.error ?? 'Jira does not accept it.'),
    ),
    found.facts.length > 0 && facts(...found.facts.map(({ name, value }) => [name, value])),
    found.findings.map((one) =>
      notice(LEVEL[one.level] ?? '', h('strong', {}, one.text), one.advice && h('div', {}, one.advice)),
    ),
  );
}

function credential(one) {
  const over = one.days_left < 0;
  return h(
    'div',
    { class: 'row' },
    h('span', {}, `${stamp(one.expires)}, `, over ? 'which is over' : `in ${many(one.days_left, 'day')}`),
    (one.near || over) && badge(over || one.days_left < 7 ? 'bad' : 'warn', over ? 'Expired' : 'Ends soon'),
  );
}

function target(one, again) {
  const box = h('div', { 'aria-live': 'polite' });
  const test = guarded(
    button(
      'Test the credential',
      () =>
        busy(test, async () => {
          try {
            replace(box, result(await post(`/targets/${safe(one.name)}/test`)));
          } catch (error) {
            replace(box, trouble(error));
          }
        }),
      'slim',
    ),
    'operator',
  );
  const { health } = one;
  const near = one.credentials.filter((cred) => cred.near || cred.days_left < 0);
  return h(
    'section',
    { class: 'card' },
    head(one.name, [
      healthBadge(one),
      h(
        'div',
        { class: 'row' },
        health.state === 'paused' &&
          doer(
            'Ask again now',
            'operator',
            async () => {
              await post(`/targets/${safe(one.name)}/resume`);
              again();
            },
            'It is asked again.',
            'slim',
          ),
        test,
      ),
    ]),
    h(
      'div',
      { class: 'stack tight' },
      health.last_error &&
        health.state !== 'up' &&
        notice(
          'bad',
          health.last_error,
          health.paused_until && h('div', { class: 'small' }, 'Asked again ', time(health.paused_until), '.'),
        ),
      near.length > 0 &&
        notice(
          'warn',
          'A credential ends soon. Make a new one in Jira and put it into its file: it is read again without a restart.',
        ),
      facts(
        ['Address', anchor(one.url, one.url)],
        ['Kind', { 'data-center': 'Data Center', cloud: 'Cloud', align: 'Jira Align' }[one.kind] ?? one.kind],
        health.version && ['Version', health.version],
        ['Last answer', time(health.last_success)],
        ...(one.credentials.length === 0
          ? [['Credential', h('span', { class: 'muted' }, 'its end is not known')]]
          : one.credentials.map((cred) => [`${cred.what} ends`, credential(cred)])),
        [
          'Tenants',
          one.tenants.length === 0
            ? 'none'
            : one.tenants.map((slug, index) => [index > 0 && ', ', anchor(slug, `#/tenants/${safe(slug)}`)]),
        ],
      ),
      box,
    ),
  );
}

export default function targets() {
  const box = loaded(
    () => get('/targets', { limit: 500 }),
    ({ items }) =>
      items.length === 0
        ? h(
            'div',
            { class: 'card' },
            empty('No target', 'Add a [[target]] to the daemon’s configuration and restart it.'),
          )
        : h(
            'div',
            { class: 'stack' },
            items.map((one) => target(one, () => box.reload())),
          ),
    { steady: true },
  );
  return {
    title: 'Targets',
    node: h('div', { class: 'stack' }, h('h1', {}, 'Targets'), mayNotice('operator', 'testing a target'), box),
  };
}
