// What the views are built of: states of loading, tables, forms, dialogs. Nothing here knows what it shows.

import { ApiError, may, who } from './api.js';
import { add, announce, h, id, replace, s, say } from './dom.js';

export const logo = () => s('svg', { viewBox: '0 0 32 32', 'aria-hidden': 'true' }, s('rect', { width: 32, height: 32, rx: 8 }),
  s('path', { d: 'M8 11h11m-4-4 4 4-4 4M24 21H13m4-4-4 4 4 4', fill: 'none', 'stroke-width': 2.6, 'stroke-linecap': 'round', 'stroke-linejoin': 'round' }));
export const badge = (kind, text) => h('span', { class: `badge ${kind}` }, text);
export const notice = (kind, ...children) => h('div', { class: `notice ${kind}`, role: kind === 'bad' ? 'alert' : null }, children);
export const button = (text, onclick, kind = '', more = {}) => h('button', { type: 'button', class: kind, onclick, ...more }, text);
export const anchor = (text, href, kind) => h('a', { href, class: kind }, text);
export const facts = (...pairs) => h('dl', { class: 'facts' }, pairs.filter(Boolean).map(([name, ...value]) => [h('dt', {}, name), h('dd', {}, value)]));
export const bones = () => h('div', { 'aria-hidden': 'true' }, h('div', { class: 'bone' }), h('div', { class: 'bone' }), h('div', { class: 'bone' }));
export const json = (value) => h('pre', { class: 'json', tabindex: '0' }, JSON.stringify(value, null, 2));

export function head(title, ...more) {
  return h('div', { class: 'head' }, h('h2', {}, title), more);
}

export function card(title, ...children) {
  return h('section', { class: 'card' }, title && head(title), children);
}

export function empty(title, text, ...actions) {
  return h('div', { class: 'empty' }, h('strong', {}, title), text, actions.length > 0 && h('div', { class: 'row' }, actions));
}

// What a failure means for the person in front of the page.
export function trouble(error, again) {
  const todo = {
    0: 'Start the daemon, or look at its log, then try again.',
    403: `You are signed in as ${who()?.role ?? 'nobody'}. Sign in with a token of a higher role.`,
    404: 'It may have been deleted meanwhile. Go back to the list.',
    429: 'Wait a moment, then try again.',
    503: 'The database is not there or too slow. Nothing is lost; try again when it is back.',
  }[error.status] ?? (error.status >= 500 ? 'The daemon’s log says why.' : '');
  const text = error instanceof ApiError ? error.message : `The page itself failed: ${error.message}`;
  if (!(error instanceof ApiError)) console.error(error);
  return h('div', { class: 'notice bad', role: 'alert' }, h('strong', {}, text), todo && h('div', {}, todo),
    again && h('div', { class: 'row' }, button('Try again', again, 'slim')));
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
  node.addEventListener('click', (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    say(reason);
  }, { capture: true });
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

// A button that does one thing, then says so.
export function doer(text, role, work, done, kind = '') {
  const node = button(text, () => busy(node, async () => {
    try {
      const result = await work();
      say(typeof done === 'function' ? done(result) : done);
    } catch (error) {
      alertDialog('That did not work', trouble(error));
    }
  }), kind);
  return guarded(node, role);
}

const CONTROL = { text: 'input', password: 'input', number: 'input', search: 'input', date: 'input', 'datetime-local': 'input' };

// A labelled control. `field` is the name by which the API's errors call it.
export function field(label, { type = 'text', name, hint, options, value, rows, ...more } = {}) {
  const key = id(name ?? 'f');
  const about = id('hint');
  const wrong = id('wrong');
  let control;
  const shared = { id: key, name, 'aria-describedby': [hint && about, wrong].filter(Boolean).join(' '), ...more };
  if (options) {
    control = h('select', shared, options.map(([key, text]) => h('option', { value: key, selected: key === value }, text)));
  } else if (type === 'area') {
    control = h('textarea', { rows: rows ?? 3, ...shared, value });
  } else if (type === 'check') {
    control = h('input', { type: 'checkbox', ...shared, checked: Boolean(value) });
    return h('div', { class: 'field', 'data-field': name }, h('label', { class: 'check', for: key }, control, h('span', {}, label)),
      hint && h('div', { class: 'hint', id: about }, hint), h('div', { class: 'wrong', id: wrong, hidden: true }));
  } else {
    control = h(CONTROL[type] ?? 'input', { type, autocomplete: 'off', spellcheck: 'false', ...shared, value });
  }
  return h('div', { class: 'field', 'data-field': name }, h('label', { for: key }, label), control,
    hint && h('div', { class: 'hint', id: about }, hint), h('div', { class: 'wrong', id: wrong, hidden: true }));
}

export function values(form) {
  const found = {};
  for (const control of form.elements) {
    if (!control.name) continue;
    if (control.type === 'checkbox') found[control.name] = control.checked;
    else if (control.type === 'radio') { if (control.checked) found[control.name] = control.value; }
    else found[control.name] = control.value.trim();
  }
  return found;
}

function clear(form) {
  for (const wrong of form.querySelectorAll('.wrong')) wrong.hidden = true;
  for (const control of form.querySelectorAll('[aria-invalid]')) control.removeAttribute('aria-invalid');
  form.querySelector(':scope > .said')?.remove();
}

// Puts an error of the API to the field that it names, or at the form's foot where it names none that is here.
export function blame(form, error) {
  const name = error.field?.replace(/^\/?/, '').replace(/[./[].*$/, '');
  const box = error.field && (form.querySelector(`[data-field="${CSS.escape(error.field)}"]`) ?? form.querySelector(`[data-field="${CSS.escape(name)}"]`));
  if (!box) {
    const said = h('div', { class: 'said' }, trouble(error));
    form.insertBefore(said, form.querySelector(':scope > .foot'));
    return;
  }
  const wrong = box.querySelector('.wrong');
  wrong.textContent = error.message;
  wrong.hidden = false;
  const control = box.querySelector('input, select, textarea');
  control.setAttribute('aria-invalid', 'true');
  control.focus();
  announce(error.message);
}

// A form whose button sends it, with errors at their fields.
export function form(children, { send, text = 'Save', role = 'operator', kind = 'primary', after = null, cls = 'form' }) {
  const submit = guarded(h('button', { type: 'submit', class: kind }, text), role);
  const node = h('form', { class: cls, novalidate: true, autocomplete: 'off' }, children, h('div', { class: 'foot row' }, submit, after));
  node.addEventListener('submit', (event) => {
    event.preventDefault();
    if (submit.getAttribute('aria-disabled') === 'true') return;
    clear(node);
    busy(submit, () => Promise.resolve(send(values(node), node)).catch((error) => blame(node, error)));
  });
  return node;
}

function open(title, body, wide) {
  const label = id('title');
  const from = document.activeElement;
  const dialog = h('dialog', { 'aria-labelledby': label, class: wide }, h('div', { class: 'stack tight' }, h('h2', { id: label }, title), body));
  dialog.addEventListener('close', () => {
    dialog.remove();
    if (from?.isConnected) from.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

export function alertDialog(title, ...body) {
  const dialog = open(title, h('div', { class: 'stack tight' }, body, h('div', { class: 'foot' }, button('Close', () => dialog.close(), 'primary'))));
  return dialog;
}

// A dialog with a form; `send` gets its values. Ends when `send` has come through. `typed` is a word that has to be typed.
export function formDialog(title, children, { send, text, role = 'operator', kind = 'primary', typed = null }) {
  const cancel = button('Cancel', () => dialog.close());
  const word = typed && field(`To confirm, type ${typed}`, { name: 'confirm', 'data-word': typed });
  const node = form([children, word], {
    text, role, kind, after: cancel,
    send: async (found, where) => {
      if (typed && found.confirm !== typed) {
        blame(where, Object.assign(new ApiError(422, { message: `Type ${typed}, exactly.`, field: 'confirm' })));
        return;
      }
      await send(found, where);
      dialog.close();
    },
  });
  const dialog = open(title, node);
  return dialog;
}

// A text with a button that puts it into the clipboard.
export function copyable(text, label) {
  const node = button('Copy', async () => {
    try {
      await navigator.clipboard.writeText(text);
      node.firstChild.data = 'Copied';
      say(`${label} is in the clipboard.`);
    } catch {
      // Without TLS a browser has no clipboard for pages: the text is selected instead.
      getSelection().selectAllChildren(code);
      say('It is selected: press Ctrl+C.');
    }
    setTimeout(() => { node.firstChild.data = 'Copy'; }, 2500);
  }, 'slim');
  node.append(h('span', { class: 'sr' }, ` ${label}`));
  const code = h('code', {}, text);
  return h('div', { class: 'copy' }, code, node);
}

// A table of rows; each column is {label, cell(row), title, act, num}.
export function table(columns, rows, caption) {
  return h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
    h('table', { class: 'rows', role: 'table' },
      h('caption', { class: 'sr' }, caption),
      h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, columns.map((column) =>
        h('th', { scope: 'col', role: 'columnheader', class: column.num && 'num' }, column.act ? h('span', { class: 'sr' }, column.label) : column.label)))),
      h('tbody', { role: 'rowgroup' }, rows.map((row) => h('tr', { role: 'row' }, columns.map((column) =>
        h('td', { role: 'cell', 'data-label': column.label, class: [column.title && 'title', column.act && 'act', column.num && 'num'].filter(Boolean).join(' ') || null },
          column.cell(row))))))));
}

// A list that the daemon gives in pages. `fetch({limit, cursor})` answers {items, next}. Memory holds one page.
export function paged(columns, fetch, { caption, none, limit = 50 }) {
  const cursors = [undefined];
  let from = 0;
  const box = loaded(() => fetch({ limit, cursor: cursors.at(-1) }), (page) => {
    if (page.items.length === 0 && cursors.length === 1) return none;
    const step = (move) => () => {
      move();
      box.reload().then(() => { announce(`${caption}, page ${cursors.length}`); box.querySelector('.scroll')?.focus(); });
    };
    const first = from + 1;
    return [table(columns, page.items, caption), (page.next || cursors.length > 1) && h('nav', { class: 'pager', 'aria-label': `Pages of ${caption}` },
      h('span', { class: 'muted small' }, `${first}–${from + page.items.length}`),
      button('Previous', step(() => { if (cursors.length > 1) { cursors.pop(); from = Math.max(0, from - limit); } }), 'slim', { disabled: cursors.length === 1 }),
      button('Next', step(() => { cursors.push(page.next); from += page.items.length; }), 'slim', { disabled: !page.next }))];
  }, { steady: true });
  return box;
}

export const flush = (title, actions, body) => h('section', { class: 'card flush' }, title && head(title, actions && h('div', { class: 'row' }, actions)), body);

// A search that suggests: `find(text)` answers rows, `label(row)` names one, `chosen(row)` gets it.
export function picker(label, { name, find, show, chosen, hint, value = '' }) {
  const list = id('list');
  const box = field(label, { name, hint, type: 'search', value, role: 'combobox', 'aria-expanded': 'false', 'aria-controls': list, 'aria-autocomplete': 'list' });
  const control = box.querySelector('input');
  const options = h('ul', { id: list, role: 'listbox', 'aria-label': label, hidden: true });
  const frame = h('div', { class: 'suggest' }, options);
  control.after(frame);
  frame.prepend(control);
  let rows = [];
  let at = -1;
  let turn = 0;
  const close = () => { options.hidden = true; at = -1; control.setAttribute('aria-expanded', 'false'); control.removeAttribute('aria-activedescendant'); };
  const take = (row) => { control.value = show(row)[0]; close(); chosen(row); };
  const mark = () => [...options.children].forEach((node, index) => {
    node.setAttribute('aria-selected', String(index === at));
    if (index === at) { control.setAttribute('aria-activedescendant', node.id); node.scrollIntoView({ block: 'nearest' }); }
  });
  const look = async () => {
    const mine = (turn += 1);
    await new Promise((go) => setTimeout(go, 180));
    if (mine !== turn) return;
    try { rows = await find(control.value.trim()); } catch { rows = []; }
    if (mine !== turn || document.activeElement !== control) return;
    at = -1;
    replace(options, rows.map((row) => h('li', { role: 'option', id: id('option'), 'aria-selected': 'false', onmousedown: (event) => { event.preventDefault(); take(row); } },
      show(row)[0], show(row)[1] && h('span', { class: 'muted small' }, ` ${show(row)[1]}`))));
    if (rows.length === 0) add(options, h('li', { role: 'option', 'aria-disabled': 'true', 'aria-selected': 'false', class: 'muted' }, 'Nobody by that name'));
    options.hidden = false;
    control.setAttribute('aria-expanded', 'true');
    announce(many(rows.length));
  };
  const many = (count) => (count === 1 ? 'One is suggested.' : `${count} are suggested.`);
  control.addEventListener('input', look);
  control.addEventListener('focus', look);
  control.addEventListener('blur', close);
  control.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !options.hidden) { event.preventDefault(); close(); }
    if (options.hidden || rows.length === 0) return;
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      at = (at + (event.key === 'ArrowDown' ? 1 : rows.length - (at < 0 ? 0 : 1)) + (at < 0 && event.key === 'ArrowDown' ? 0 : 0)) % rows.length;
      mark();
    } else if (event.key === 'Enter' && at >= 0) {
      event.preventDefault();
      take(rows[at]);
    }
  });
  return box;
}

// Asks again every few seconds for as long as the node is on the page and the page is looked at.
export function every(seconds, node, again) {
  const timer = setInterval(() => {
    if (!node.isConnected) clearInterval(timer);
    else if (!document.hidden && !node.contains(document.activeElement)) again();
  }, seconds * 1000);
}
