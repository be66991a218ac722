// What a test asks the page: things by the names that people know them by, and what is wrong with a view.

const rendered = (node) => node.checkVisibility({ visibilityProperty: true }) && node.getClientRects().length > 0;
const scope = () => [...document.querySelectorAll('dialog[open]')].at(-1) ?? document;
const words = (text) => (text ?? '').replace(/\s+/g, ' ').trim();

function nameOf(node) {
  const labelled = node.getAttribute('aria-labelledby');
  if (labelled)
    return words(
      labelled
        .split(' ')
        .map((id) => document.getElementById(id)?.textContent ?? '')
        .join(' '),
    );
  if (node.getAttribute('aria-label')) return words(node.getAttribute('aria-label'));
  if (node.labels?.length) return words([...node.labels].map((label) => label.textContent).join(' '));
  return words(node.textContent) || words(node.getAttribute('title'));
}

const KINDS = {
  button: 'button, summary, a.button',
  link: 'a',
  section: '.side a',
  field: 'input, select, textarea',
  heading: 'h1, h2, h3',
  badge: '.badge',
  notice: '.notice',
};

// The first rendered thing of a kind whose name is, or begins with, what is said.
function find(kind, name) {
  const all = [...scope().querySelectorAll(KINDS[kind])].filter(rendered);
  return all.find((node) => nameOf(node) === name) ?? all.find((node) => nameOf(node).startsWith(name)) ?? null;
}

// A button in the row of a table that says something.
function inRow(text, name) {
  const row = [...document.querySelectorAll('tbody tr')].find((one) => words(one.innerText).includes(text));
  return [...(row?.querySelectorAll('button') ?? [])].find((one) => nameOf(one) === name) ?? null;
}

const says = (text) => words(scope() === document ? document.body.innerText : scope().innerText).includes(text);
const settled = () => document.querySelector('h1') !== null && document.querySelector('[aria-busy="true"]') === null;

function colour(text) {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
  canvas.fillStyle = text;
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
  return { r, g, b, a: a / 255 };
}

function luminance({ r, g, b }) {
  const [x, y, z] = [r, g, b].map((part) =>
    part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
}

const colours = new Map();
const known = (text) => {
  if (!colours.has(text)) colours.set(text, colour(text));
  return colours.get(text);
};

function behind(node) {
  for (let at = node; at; at = at.parentElement) {
    const found = known(getComputedStyle(at).backgroundColor);
    if (found.a > 0.99) return found;
  }
  return { r: 255, g: 255, b: 255 };
}

function unreadable(node) {
  const style = getComputedStyle(node);
  const [light, dark] = [luminance(known(style.color)), luminance(behind(node))].sort((a, b) => b - a);
  const large =
    parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
  const ratio = (light + 0.05) / (dark + 0.05);
  return ratio < (large ? 3 : 4.5) ? ratio.toFixed(2) : null;
}

const shown = (node) =>
  `<${node.tagName.toLowerCase()} class="${node.getAttribute('class') ?? ''}"> ${words(node.textContent).slice(0, 40)}`;

// Everything that is wrong with the view, a sentence each.
function faults() {
  const wrong = [];
  const say = (what, node) => wrong.push(node ? `${what}: ${shown(node)}` : what);
  if (document.documentElement.scrollWidth > innerWidth)
    say(`it is ${document.documentElement.scrollWidth} px wide in a window of ${innerWidth}`);
  for (const [what, selector] of [
    ['h1', 'h1'],
    ['main', 'main'],
  ]) {
    if (document.querySelectorAll(selector).length !== 1) say(`there is not exactly one ${what}`);
  }
  if (!document.documentElement.lang || !document.title) say('it has no language or no title');
  const ids = new Set();
  for (const node of document.querySelectorAll('[id]')) {
    if (ids.has(node.id)) say('an id is there twice', node);
    ids.add(node.id);
  }
  for (const key of ['aria-describedby', 'aria-labelledby', 'aria-controls', 'for']) {
    for (const node of document.querySelectorAll(`[${key}]`)) {
      if (
        node
          .getAttribute(key)
          .split(' ')
          .some((id) => !ids.has(id))
      )
        say(`${key} points at nothing`, node);
    }
  }
  for (const node of document.querySelectorAll(
    'a[href], button, input, select, textarea, summary, [role="combobox"], dialog, nav, [role="region"]',
  )) {
    if (!rendered(node)) continue;
    if (!nameOf(node)) say('it has no name', node);
    const box = node.getBoundingClientRect();
    if (
      node.matches('button, select, input, textarea') &&
      !node.closest('label') &&
      box.height < 24 &&
      !node.matches('[type="checkbox"], [type="radio"]')
    )
      say(`it is ${box.height} px high`, node);
  }
  for (const node of document.querySelectorAll('svg')) {
    if (
      node.getAttribute('aria-hidden') !== 'true' &&
      !(node.getAttribute('role') === 'img' && node.getAttribute('aria-label'))
    )
      say('a drawing has no words', node);
  }
  for (const node of document.querySelectorAll('table'))
    if (!node.querySelector('th')) say('a table has no headings', node);
  let level = 0;
  for (const node of document.querySelectorAll('h1, h2, h3')) {
    const now = Number(node.tagName[1]);
    if (rendered(node) && now > level + 1 && level > 0) say('a level of headings is left out', node);
    if (rendered(node)) level = now;
  }
  if (document.querySelector('[tabindex]:not([tabindex="0"]):not([tabindex="-1"])'))
    say('the order of the keyboard is not that of the page');
  const seen = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (seen.nextNode()) {
    const node = seen.currentNode.parentElement;
    if (!words(seen.currentNode.data) || !rendered(node) || node.closest('.sr, svg, option, .toast, .skip')) continue;
    const ratio = unreadable(node);
    if (ratio) say(`its contrast is ${ratio}`, node);
  }
  return wrong;
}
