// Another level of the log for one module, for a while.

import { del, get, put } from './api.js';
import { h, say, time } from './dom.js';
import { doer, field, form } from './form.js';
import { table } from './list.js';
import { badge, card, empty, facts, flush, loaded, mayNotice } from './ui.js';

const LEVELS = ['error', 'warn', 'info', 'debug', 'trace', 'off'].map((level) => [level, level]);
const MODULES = [
  'jira_scim',
  'jira_scim::writer',
  'jira_scim::jira',
  'jira_scim::http',
  'jira_scim::store',
  'jira_scim::admin',
  'sqlx',
];

export default function logLevels() {
  const box = loaded(
    () => get('/log'),
    (now) =>
      h(
        'div',
        { class: 'stack' },
        card('As configured', facts(['Levels', h('code', {}, now.configured)])),
        flush(
          'For a while',
          doer(
            'Back to what is configured',
            'admin',
            async () => {
              await del('/log');
              box.reload();
            },
            'As configured again.',
            'slim',
          ),
          now.overrides.length === 0
            ? empty('Nothing differs', 'The log is as configured.')
            : table(
                [
                  { label: 'Module', title: true, cell: (one) => h('code', {}, one.module) },
                  { label: 'Level', cell: (one) => badge('info', one.level) },
                  { label: 'Until', cell: (one) => time(one.until) },
                ],
                now.overrides,
                'Levels for a while',
              ),
        ),
      ),
    { steady: true },
  );
  const list = h(
    'datalist',
    { id: 'modules' },
    MODULES.map((value) => h('option', { value })),
  );
  const node = form(
    [
      list,
      h(
        'div',
        { class: 'filters' },
        field('Module', { name: 'module', value: 'jira_scim::writer', list: 'modules' }),
        field('Level', { name: 'level', options: LEVELS, value: 'debug' }),
        field('For', {
          name: 'for',
          options: [
            ['10m', '10 minutes'],
            ['1h', 'an hour'],
            ['4h', '4 hours'],
            ['24h', 'a day'],
          ],
        }),
      ),
    ],
    {
      text: 'Set',
      role: 'admin',
      send: async (found) => {
        await put('/log', found);
        say('The level is set.');
        box.reload();
      },
    },
  );
  return {
    title: 'Log level',
    node: h(
      'div',
      { class: 'stack' },
      h('h1', {}, 'Log level'),
      mayNotice('admin', 'changing it'),
      h('p', { class: 'lead' }, 'Holds for the daemon that answers this page, and goes back by itself.'),
      h('div', { class: 'card' }, node),
      box,
    ),
  };
}
