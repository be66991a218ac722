// What every view is built of: badges, cards, states of loading, what a role may not do. Nothing here knows what it shows.

import { ApiError, may, who } from './api.js';
import { h, id, replace, s, say } from './dom.js';

export const logo = () =>
  s(
    'svg',
    { viewBox: '0 0 32 32', 'aria-hidden': 'true' },
    s('rect', { width: 32, height: 32, rx: 8 }),
    s('path', {
      d: 'M8 11h11m-4-4 4 4-4 4M24 21H13m4-4-4 4 4 4',
      fill: 'none',
      'stroke-width': 2.6,
      'stroke-linecap': 'round',
      'stroke-linejoin': 'round',
    }),
  );

export const badge = (kind, text) => h('span', { class: `badge ${kind}` }, text);

export const notice = (kind, ...children) =>
  h('div', { class: `notice ${kind}`, role: kind === 'bad' ? 'alert' : null }, children);

export const button = (text, onclick, kind = '', more = {}) =>
  h('button', { type: 'button', class: kind, onclick, ...more }, text);

export const anchor = (text, href, kind) => h('a', { href, class: kind }, text);

export const facts = (...pairs) =>
  h(
    'dl',
    { class: 'facts' },
    pairs.filter(Boolean).map(([name, ...value]) => [h('dt', {}, name), h('dd', {}, value)]),
  );

export const bones = () =>
  h(
    'div',
    { 'aria-hidden': 'true' },
    h('div', { class: 'bone' }),
    h('div', { class: 'bone' }),
    h('div', { class: 'bone' }),
  );

export const json = (value) => h('pre', { class: 'json', tabindex: '0' }, JSON.stringify(value, null, 2));

export function head(title, ...more) {
  return h('div', { class: 'head' }, h('h2', {}, title), more);
}

export function card(title, ...children) {
  return h('section', { class: 'card' }, title && head(title), children);
}

export function empty(title, text, ...actions) {
  return h(
    'div',
    { class: 'empty' },
    h('strong', {}, title),
    text,
    actions.length > 0 && h('div', { class: 'row' }, actions),
  );
}

// For an address that leads nowhere.
export const nowhere = (way) =>
  h(
    'div',
    { class: 'card empty' },
    h('h1', {}, 'There is nothing here'),
    'The address may be from another version, or mistyped.',
    h('div', { class: 'row' }, way),
  );

// What a failure means for the person in front of the page.
export function trouble(error, again) {
  const todo =
    {
      0: 'Start the daemon, or look at its log, then try again.',
      403: `You are signed in as ${who()?.role ?? 'nobody'}. Sign in with a token of a higher role.`,
      404: 'It may have been deleted meanwhile. Go back to the list.',
      429: 'Wait a moment, then try again.',
      503: 'The database is not there or too slow. Nothing is lost; try again when it is back.',
    }[error.status] ?? (error.status >= 500 ? 'The daemon’s log says why.' : '');
  const text = error instanceof ApiError ? error.message : `The page itself failed: ${error.message}`;
  if (!(error instanceof ApiError)) console.error(error);
  return h(
    'div',
    { class: 'notice bad', role: 'alert' },
    h('strong', {}, text),
    todo && h('div', {}, todo),
    again && h('div', { class: 'row' }, button('Try again', again, 'slim')),
  );
}

// A part of the page that comes from the daemon: bones at first, then what `draw` makes of it. `reload` keeps the old
// content until the new is there, so that nothing jumps.
export function loaded(fetch, draw, { steady = false } = {}) {
  const box = h('div', { class: steady ? 'steady' : null, 'aria-busy': 'true' }, bones());
  let turn = 0;
  box.reload = async () => {
    const mine = (turn += 1);
    box.setAttribute('aria-busy', 'true');
    try {
      const found = await fetch();
      if (mine === turn) replace(box, draw(found));
    } catch (error) {
      if (mine === turn && error.name !== 'AbortError') replace(box, trouble(error, box.reload));
    } finally {
      if (mine === turn) box.removeAttribute('aria-busy');
    }
  };
  box.reload();
  return box;
}

// Who may not press it still finds it, and hears why not.
export function guarded(node, role) {
  if (may(role)) return node;
  const reason = `Needs the role ${role}; you are signed in as ${who()?.role}.`;
  const hint = id('why');
  node.setAttribute('aria-disabled', 'true');
  node.setAttribute('title', reason);
  node.setAttribute('aria-describedby', hint);
  if (node.tagName === 'A') node.removeAttribute('href');
  node.append(h('span', { class: 'sr', id: hint }, ` (${reason})`));
  node.addEventListener(
    'click',
    (event) => {
      event.preventDefault();
      event.stopImmediatePropagation();
      say(reason);
    },
    { capture: true },
  );
  return node;
}

// One line at the head of what a role cannot do.
export function mayNotice(role, what) {
  return may(role) ? null : notice('', `You are signed in as ${who()?.role}: ${what} needs the role ${role}.`);
}

// Runs what a button is for: busy meanwhile, once at a time, with the failure said beside it.
export async function busy(node, work) {
  if (node.getAttribute('aria-busy') === 'true') return;
  node.setAttribute('aria-busy', 'true');
  try {
    return await work();
  } finally {
    node.removeAttribute('aria-busy');
  }
}

// A text with a button that puts it into the clipboard.
export function copyable(text, label) {
  const node = button(
    'Copy',
    async () => {
      try {
        await navigator.clipboard.writeText(text);
        node.firstChild.data = 'Copied';
        say(`${label} is in the clipboard.`);
      } catch {
        // Without TLS a browser has no clipboard for pages: the text is selected instead.
        getSelection().selectAllChildren(code);
        say('It is selected: press Ctrl+C.');
      }
      setTimeout(() => {
        node.firstChild.data = 'Copy';
      }, 2500);
    },
    'slim',
  );
  node.append(h('span', { class: 'sr' }, ` ${label}`));
  const code = h('code', {}, text);
  return h('div', { class: 'copy' }, code, node);
}

export const flush = (title, actions, body) =>
  h('section', { class: 'card flush' }, title && head(title, actions && h('div', { class: 'row' }, actions)), body);

// One number with its name.
export function tile(name, value, more) {
  return h(
    'dl',
    { class: 'card tile' },
    h('dt', {}, name),
    h('dd', {}, value),
    more && h('dd', { class: 'small' }, more),
  );
}

// Asks again every few seconds for as long as the node is on the page and the page is looked at.
export function every(seconds, node, again) {
  const timer = setInterval(() => {
    if (!node.isConnected) clearInterval(timer);
    else if (!document.hidden && !node.contains(document.activeElement)) again();
  }, seconds * 1000);
}
