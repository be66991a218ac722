// Why somebody is, or is not, as they should be in Jira: sentences first, then what happened when.

import { get } from './api.js';
import { h, replace, time } from './dom.js';
import { field, form } from './form.js';
import { picker } from './list.js';
import { anchor, card, empty, json, loaded } from './ui.js';

// People by the beginning of their name, for a picker.
export const people = (base) => async (text, signal) =>
  (await get(`${base}/users`, { q: text, limit: 8 }, signal)).items;
export const person = (row) => [row.user_name, row.display_name ?? ''];

// How grave an event is, by what it says; a delivery that nothing is said against has arrived.
function gravity({ kind, sentence }) {
  if (/refus|fail|no answer/i.test(sentence)) return 'bad';
  if (/held|wait|paus/i.test(sentence)) return 'warn';
  return kind === 'delivery' ? 'good' : '';
}

function event(one, here) {
  return h(
    'li',
    { class: gravity(one) },
    h('div', {}, one.sentence),
    h(
      'div',
      { class: 'muted small' },
      time(one.at, { exact: true }),
      one.request_id && [' · ', anchor('the request', `${here}/audit?request=${one.request_id}`)],
    ),
  );
}

function told(found, here) {
  return h(
    'div',
    { class: 'stack' },
    card(
      'The answer',
      h(
        'ul',
        { class: 'says' },
        found.sentences.map((sentence, index) => h('li', {}, index === 0 ? h('strong', {}, sentence) : sentence)),
      ),
    ),
    found.timeline?.length > 0 &&
      card(
        'What happened',
        h(
          'ul',
          { class: 'time' },
          found.timeline.map((one) => event(one, here)),
        ),
      ),
    found.facts && h('details', { class: 'card' }, h('summary', {}, 'As data'), json(found.facts)),
  );
}

export default function explain({ base, here, query, set }) {
  const box = h('div', { class: 'stack', 'aria-live': 'polite' });
  const ask = (user, group) => {
    set({ user, group });
    if (!user) {
      replace(
        box,
        h(
          'div',
          { class: 'card' },
          empty('Whom is it about?', 'Choose a user. With a group, the answer is about that membership.'),
        ),
      );
      return;
    }
    const path = group ? `${base}/explain/membership` : `${base}/explain/user`;
    replace(
      box,
      loaded(
        () => get(path, { user, group }),
        (found) => told(found, here),
        { steady: true },
      ),
    );
  };
  const who = picker('User', {
    name: 'user',
    value: query.user ?? '',
    find: people(base),
    show: person,
    chosen: () => {},
    hint: 'User name or id, also a former one',
  });
  const node = form(
    [
      h(
        'div',
        { class: 'two' },
        who,
        field('Group', {
          name: 'group',
          value: query.group ?? '',
          hint: 'Empty: everything about the user. Else a Jira group or a group of the provider.',
        }),
      ),
    ],
    {
      text: 'Explain',
      role: null,
      send: ({ user, group }) => ask(user, group),
    },
  );
  ask(query.user, query.group);
  return [h('div', { class: 'card' }, node), box];
}
