// Tables, lists that come in pages, and a search that suggests.

import { add, announce, h, id, replace } from './dom.js';
import { field } from './form.js';
import { button, loaded } from './ui.js';

// A table of rows; each column is {label, cell(row), title, act, num}.
export function table(columns, rows, caption) {
  return h(
    'div',
    { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
    h(
      'table',
      { class: 'rows', role: 'table' },
      h('caption', { class: 'sr' }, caption),
      h(
        'thead',
        { role: 'rowgroup' },
        h(
          'tr',
          { role: 'row' },
          columns.map((column) =>
            h(
              'th',
              { scope: 'col', role: 'columnheader', class: column.num && 'num' },
              column.act ? h('span', { class: 'sr' }, column.label) : column.label,
            ),
          ),
        ),
      ),
      h(
        'tbody',
        { role: 'rowgroup' },
        rows.map((row) =>
          h(
            'tr',
            { role: 'row' },
            columns.map((column) =>
              h(
                'td',
                {
                  role: 'cell',
                  'data-label': column.label,
                  class:
                    [column.title && 'title', column.long && 'long', column.act && 'act', column.num && 'num']
                      .filter(Boolean)
                      .join(' ') || null,
                },
                column.cell(row),
              ),
            ),
          ),
        ),
      ),
    ),
  );
}

// A list that the daemon gives in pages. `fetch({limit, cursor})` answers {items, next}. Memory holds one page.
export function paged(columns, fetch, { caption, none, limit = 50 }) {
  const cursors = [undefined];
  let from = 0;
  const box = loaded(
    () => fetch({ limit, cursor: cursors.at(-1) }),
    (page) => {
      if (page.items.length === 0 && cursors.length === 1) return none;
      const step = (move) => () => {
        move();
        box.reload().then(() => {
          announce(`${caption}, page ${cursors.length}`);
          box.querySelector('.scroll')?.focus();
        });
      };
      const first = from + 1;
      return [
        table(columns, page.items, caption),
        (page.next || cursors.length > 1) &&
          h(
            'nav',
            { class: 'pager', 'aria-label': `Pages of ${caption}` },
            h('span', { class: 'muted small' }, `${first}–${from + page.items.length}`),
            button(
              'Previous',
              step(() => {
                if (cursors.length > 1) {
                  cursors.pop();
                  from = Math.max(0, from - limit);
                }
              }),
              'slim',
              { disabled: cursors.length === 1 },
            ),
            button(
              'Next',
              step(() => {
                cursors.push(page.next);
                from += page.items.length;
              }),
              'slim',
              { disabled: !page.next },
            ),
          ),
      ];
    },
    { steady: true },
  );
  return box;
}

// A search that suggests: `find(text)` answers rows, `label(row)` names one, `chosen(row)` gets it.
export function picker(label, { name, find, show, chosen, hint, value = '' }) {
  const list = id('list');
  const box = field(label, {
    name,
    hint,
    type: 'search',
    value,
    role: 'combobox',
    'aria-expanded': 'false',
    'aria-controls': list,
    'aria-autocomplete': 'list',
  });
  const control = box.querySelector('input');
  const options = h('ul', { id: list, role: 'listbox', 'aria-label': label, hidden: true });
  const frame = h('div', { class: 'suggest' }, options);
  control.after(frame);
  frame.prepend(control);
  let rows = [];
  let at = -1;
  let turn = 0;
  let asking = null;
  const close = () => {
    // What was about to be suggested is not wanted any more.
    turn += 1;
    asking?.abort();
    options.hidden = true;
    at = -1;
    control.setAttribute('aria-expanded', 'false');
    control.removeAttribute('aria-activedescendant');
  };
  const take = (row) => {
    control.value = show(row)[0];
    close();
    chosen(row);
  };
  const mark = () =>
    [...options.children].forEach((node, index) => {
      node.setAttribute('aria-selected', String(index === at));
      if (index === at) {
        control.setAttribute('aria-activedescendant', node.id);
        node.scrollIntoView({ block: 'nearest' });
      }
    });
  const look = async () => {
    const mine = (turn += 1);
    await new Promise((go) => setTimeout(go, 180));
    // Whoever has gone on needs no proposals any more.
    if (mine !== turn || document.activeElement !== control) return;
    try {
      asking?.abort();
      asking = new AbortController();
      rows = await find(control.value.trim(), asking.signal);
    } catch {
      rows = [];
    }
    if (mine !== turn || document.activeElement !== control) return;
    at = -1;
    replace(
      options,
      rows.map((row) =>
        h(
          'li',
          {
            role: 'option',
            id: id('option'),
            'aria-selected': 'false',
            onmousedown: (event) => {
              event.preventDefault();
              take(row);
            },
          },
          show(row)[0],
          show(row)[1] && h('span', { class: 'muted small' }, ` ${show(row)[1]}`),
        ),
      ),
    );
    if (rows.length === 0)
      add(
        options,
        h(
          'li',
          { role: 'option', 'aria-disabled': 'true', 'aria-selected': 'false', class: 'muted' },
          'Nobody by that name',
        ),
      );
    options.hidden = false;
    control.setAttribute('aria-expanded', 'true');
    announce(many(rows.length));
  };
  const many = (count) => (count === 1 ? 'One is suggested.' : `${count} are suggested.`);
  control.addEventListener('input', look);
  control.addEventListener('click', look);
  control.addEventListener('blur', close);
  control.addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !options.hidden) {
      event.preventDefault();
      close();
    }
    if (options.hidden && event.key === 'ArrowDown') look();
    if (options.hidden || rows.length === 0) return;
    if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      event.preventDefault();
      const down = event.key === 'ArrowDown';
      at = down ? (at + 1) % rows.length : (at <= 0 ? rows.length : at) - 1;
      mark();
    } else if (event.key === 'Enter' && at >= 0) {
      event.preventDefault();
      take(rows[at]);
    }
  });
  return box;
}
