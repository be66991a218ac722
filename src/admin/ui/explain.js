// Why somebody is, or is not, as they should be in Jira: sentences first, then what happened when.

import { get } from './api.js';
import { h, replace, time } from './dom.js';
import { badge, card, empty, field, form, json, loaded, picker } from './ui.js';

const KINDS = { applied: 'good', done: 'good', refused: 'bad', failed: 'bad', held: 'warn', waiting: 'warn', pending: 'warn' };

// People by the beginning of their name, for a picker.
export const people = (base) => async (text) => (await get(`${base}/users`, { q: text, limit: 8 })).items;
export const person = (row) => [row.user_name, row.display_name ?? ''];

const text = (value) => (typeof value === 'string' ? value : value?.text ?? value?.sentence ?? JSON.stringify(value));

function event(one) {
  const kind = KINDS[one.outcome ?? one.state] ?? '';
  return h('li', { class: kind }, h('div', {}, text(one)),
    h('div', { class: 'muted small' }, one.at && time(one.at, { exact: true }), one.actor && ` · ${one.actor}`, one.remote && ` · ${one.remote}`));
}

export function told(found) {
  const sentences = (found.sentences ?? []).map(text);
  const timeline = found.timeline ?? found.events ?? [];
  return [
    h('section', { class: 'card' }, h('div', { class: 'head' }, h('h2', {}, 'The answer'), found.state && badge(KINDS[found.state] ?? '', found.state)),
      h('ul', { class: 'says' }, sentences.map((sentence, index) => h('li', {}, index === 0 ? h('strong', {}, sentence) : sentence)))),
    timeline.length > 0 && card('What happened', h('ul', { class: 'time' }, timeline.map(event))),
    h('details', { class: 'card' }, h('summary', {}, 'As data'), json(found)),
  ];
}

export default function explain({ base, query, set }) {
  const box = h('div', { class: 'stack', 'aria-live': 'polite' });
  const ask = (user, group) => {
    set({ user, group });
    if (!user) {
      replace(box, h('div', { class: 'card' }, empty('Whom is it about?', 'Choose a user. With a group, the answer is about that membership.')));
      return;
    }
    const path = group ? `${base}/explain/membership` : `${base}/explain/user`;
    replace(box, loaded(() => get(path, { user, group }), (found) => h('div', { class: 'stack' }, told(found)), { steady: true }));
  };
  const who = picker('User', { name: 'user', value: query.user ?? '', find: people(base), show: person, chosen: () => {}, hint: 'User name or id, also a former one' });
  const node = form([h('div', { class: 'two' }, who, field('Group', { name: 'group', value: query.group ?? '', hint: 'Empty: everything about the user. Else a Jira group or a group of the provider.' }))], {
    text: 'Explain', role: null, send: ({ user, group }) => ask(user, group),
  });
  ask(query.user, query.group);
  return [h('div', { class: 'card' }, node), box];
}

