// Making elements. Text from outside becomes text nodes only: nothing here, or anywhere on the page, parses HTML.

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'value') node.value = value;
    else node.setAttribute(name === 'class' ? 'class' : name, value === true ? '' : value);
  }
  add(node, children);
  return node;
}

// Appends children: nodes, texts, numbers, lists of them; what is empty is left out.
export function add(node, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false || child === '') continue;
    node.append(child instanceof Node ? child : String(child));
  }
  return node;
}

export const h = (tag, props, ...children) => fill(document.createElement(tag), props, children);
export const s = (tag, props, ...children) => fill(document.createElementNS(SVG, tag), props, children);

export function replace(node, ...children) {
  node.replaceChildren();
  return add(node, children);
}

let last = 0;
// An id for a label, a hint or an error to point at.
export const id = (word) => `${word}-${(last += 1)}`;

let said;
// Says a result to whoever listens; shown for a moment to whoever looks.
export function say(text) {
  document.getElementById('live').textContent = text;
  said?.remove();
  const toast = (said = h('div', { class: 'toast', 'aria-hidden': 'true' }, text));
  document.body.append(toast);
  setTimeout(() => toast.remove(), 4000);
}

// Says something that is on the page already.
export function announce(text) {
  document.getElementById('live').textContent = text;
}

const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const UNITS = [
  ['year', 31536000],
  ['month', 2592000],
  ['day', 86400],
  ['hour', 3600],
  ['minute', 60],
];

export function ago(at) {
  const seconds = (new Date(at) - Date.now()) / 1000;
  const unit = UNITS.find(([, size]) => Math.abs(seconds) >= size);
  if (!unit) return seconds > 10 ? 'in under a minute' : 'just now';
  return relative.format(Math.trunc(seconds / unit[1]), unit[0]);
}

export const stamp = (at) => full.format(new Date(at));

// A time: how long ago, and exactly when for whoever asks.
export function time(at, { none = 'never', exact = false } = {}) {
  if (!at) return h('span', { class: 'muted' }, none);
  return h('time', { datetime: at, title: exact ? ago(at) : stamp(at), class: 'nowrap' }, exact ? stamp(at) : ago(at));
}

export function lasts(seconds) {
  if (seconds === undefined || seconds === null) return 'none';
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  const unit = UNITS.find(([, size]) => seconds >= size) ?? ['second', 1];
  const count = Math.floor(seconds / unit[1]);
  return `${count} ${unit[0]}${count === 1 ? '' : 's'}`;
}

export const many = (count, one, more = `${one}s`) =>
  `${Number(count).toLocaleString('en')} ${count === 1 ? one : more}`;
export const number = (count) => Number(count ?? 0).toLocaleString('en');
