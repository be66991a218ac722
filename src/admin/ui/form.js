// Fields, forms and dialogs, with the API's errors at the fields that they name.

import { ApiError } from './api.js';
import { announce, h, id, say } from './dom.js';
import { busy, button, guarded, trouble } from './ui.js';

// A button that does one thing, then says so.
export function doer(text, role, work, done, kind = '') {
  const node = button(
    text,
    () =>
      busy(node, async () => {
        try {
          const result = await work();
          say(typeof done === 'function' ? done(result) : done);
        } catch (error) {
          if (error.name !== 'AbortError') alertDialog('That did not work', trouble(error));
        }
      }),
    kind,
  );
  return guarded(node, role);
}

const CONTROL = {
  text: 'input',
  password: 'input',
  number: 'input',
  search: 'input',
  date: 'input',
  'datetime-local': 'input',
};

// A labelled control. `field` is the name by which the API's errors call it.
export function field(label, { type = 'text', name, hint, options, value, rows, ...more } = {}) {
  const key = id(name ?? 'f');
  const about = id('hint');
  const wrong = id('wrong');
  let control;
  const shared = { id: key, name, 'aria-describedby': [hint && about, wrong].filter(Boolean).join(' '), ...more };
  if (options) {
    control = h(
      'select',
      shared,
      options.map(([key, text]) => h('option', { value: key, selected: key === value }, text)),
    );
  } else if (type === 'area') {
    control = h('textarea', { rows: rows ?? 3, ...shared, value });
  } else if (type === 'check') {
    control = h('input', { type: 'checkbox', ...shared, checked: Boolean(value) });
    return h(
      'div',
      { class: 'field', 'data-field': name },
      h('label', { class: 'check', for: key }, control, h('span', {}, label)),
      hint && h('div', { class: 'hint', id: about }, hint),
      h('div', { class: 'wrong', id: wrong, hidden: true }),
    );
  } else {
    control = h(CONTROL[type] ?? 'input', { type, autocomplete: 'off', spellcheck: 'false', ...shared, value });
  }
  return h(
    'div',
    { class: 'field', 'data-field': name },
    h('label', { for: key }, label),
    control,
    hint && h('div', { class: 'hint', id: about }, hint),
    h('div', { class: 'wrong', id: wrong, hidden: true }),
  );
}

export function values(form) {
  const found = {};
  for (const control of form.elements) {
    if (!control.name) continue;
    if (control.type === 'checkbox') found[control.name] = control.checked;
    else if (control.type === 'radio') {
      if (control.checked) found[control.name] = control.value;
    } else found[control.name] = control.value.trim();
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
  const box =
    error.field &&
    (form.querySelector(`[data-field="${CSS.escape(error.field)}"]`) ??
      form.querySelector(`[data-field="${CSS.escape(name)}"]`));
  if (!box) {
    const said = h('div', { class: 'said' }, trouble(error));
    form.insertBefore(said, form.querySelector(':scope > .foot'));
    return;
  }
  const wrong = box.querySelector('.wrong');
  // It stands at the field: to name that once more says nothing.
  wrong.textContent = error.message.replace(`${error.field}: `, '');
  wrong.hidden = false;
  const control = box.querySelector('input, select, textarea');
  control.setAttribute('aria-invalid', 'true');
  control.focus();
  announce(error.message);
}

// A form whose button sends it, with errors at their fields.
export function form(
  children,
  { send, text = 'Save', role = 'operator', kind = 'primary', after = null, cls = 'form' },
) {
  const submit = guarded(h('button', { type: 'submit', class: kind }, text), role);
  const node = h(
    'form',
    { class: cls, novalidate: true, autocomplete: 'off' },
    children,
    h('div', { class: 'foot row' }, submit, after),
  );
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
  const dialog = h(
    'dialog',
    { 'aria-labelledby': label, class: wide },
    h('div', { class: 'stack tight' }, h('h2', { id: label }, title), body),
  );
  dialog.addEventListener('close', () => {
    dialog.remove();
    if (from?.isConnected) from.focus();
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

export function alertDialog(title, ...body) {
  const dialog = open(
    title,
    h(
      'div',
      { class: 'stack tight' },
      body,
      h(
        'div',
        { class: 'foot' },
        button('Close', () => dialog.close(), 'primary'),
      ),
    ),
  );
  return dialog;
}

// A dialog with a form; `send` gets its values. Ends when `send` has come through. `typed` is a word that has to be typed.
export function formDialog(title, children, { send, text, role = 'operator', kind = 'primary', typed = null }) {
  const cancel = button('Cancel', () => dialog.close());
  const word = typed && field(`To confirm, type ${typed}`, { name: 'confirm', 'data-word': typed });
  const node = form([children, word], {
    text,
    role,
    kind,
    after: cancel,
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
  // Where there is nothing to fill in, Enter must not do what was only to be asked about.
  if (!node.querySelector('input, select, textarea')) cancel.focus();
  return dialog;
}
