// Puts the page together: who is signed in, which view the address names, and the frame around it.
// A view is a function of {path, query, go, set} that answers {title, node}; it asks the daemon by itself.

import { onSignedOut, resume, signOut, who } from './api.js';
import { h, replace } from './dom.js';
import { alertDialog } from './form.js';
import { anchor, button, logo, nowhere, trouble } from './ui.js';
import adminTokens from './admin_tokens.js';
import { everywhere } from './audit.js';
import logLevels from './log.js';
import metrics from './metrics.js';
import overview from './overview.js';
import signin from './signin.js';
import sourceNew from './source_new.js';
import { source, sources } from './sources.js';
import targets from './targets.js';
import tenant from './tenant.js';
import tenantNew from './tenant_new.js';

const root = document.getElementById('app');
const ROUTES = [
  [/^$/, overview],
  [/^tenants\/new$/, tenantNew],
  [/^tenants\/([^/]+)(?:\/([a-z-]+))?$/, tenant],
  [/^targets$/, targets],
  [/^sources$/, sources],
  [/^sources\/new$/, sourceNew],
  [/^sources\/([^/]+)$/, source],
  [/^audit$/, everywhere],
  [/^admin-tokens$/, adminTokens],
  [/^log$/, logLevels],
  [/^metrics$/, metrics],
];
const NAV = [
  ['', 'Overview'],
  ['targets', 'Targets'],
  ['sources', 'Sources'],
  ['audit', 'Audit'],
  ['admin-tokens', 'Admin tokens'],
  ['log', 'Log'],
  ['metrics', 'Metrics'],
];

function address() {
  const [path, search] = location.hash.replace(/^#\/?/, '').split('?');
  return { path: path.replace(/\/+$/, ''), query: Object.fromEntries(new URLSearchParams(search)) };
}

// The same view under another query, so that a link to it can be shared; it is not drawn anew.
function set(query) {
  const given = new URLSearchParams(
    Object.entries(query).filter(([, value]) => value !== '' && value !== undefined && value !== null),
  );
  const text = given.toString();
  history.replaceState(null, '', `#/${address().path}${text ? `?${text}` : ''}`);
}

const go = (path) => {
  location.hash = `#/${path}`;
};
let view = null;
let frame = null;

function makeFrame() {
  const session = who();
  const nav = h(
    'nav',
    { class: 'nav', 'aria-label': 'Main' },
    NAV.map(([path, text]) => anchor(text, `#/${path}`)),
  );
  const main = h('main', { class: 'page', id: 'main', tabindex: '-1' });
  const leave = button(
    'Sign out',
    async () => {
      try {
        await signOut();
        frame = null;
        show();
      } catch (error) {
        alertDialog('You are still signed in', trouble(error));
      }
    },
    'slim',
  );
  replace(
    root,
    h(
      'header',
      { class: 'bar' },
      h(
        'div',
        { class: 'bar-in' },
        h('a', { class: 'brand', href: '#/' }, logo(), 'jira-scim'),
        nav,
        h('div', { class: 'who' }, h('span', {}, `${session.label} · ${session.role}`), leave),
      ),
    ),
    main,
  );
  return { main, nav };
}

function mark(nav, path) {
  const here = NAV.map(([name]) => name).find((name) => name && path.startsWith(name)) ?? '';
  for (const link of nav.children) {
    if (link.getAttribute('href') === `#/${here}`) link.setAttribute('aria-current', path === here ? 'page' : 'true');
    else link.removeAttribute('aria-current');
  }
}

function pick(path) {
  for (const [pattern, make] of ROUTES) {
    const found = pattern.exec(path);
    if (found)
      return () =>
        make({ ...address(), args: found.slice(1).map((part) => part && decodeURIComponent(part)), go, set });
  }
  return () => ({ title: 'Not found', node: nowhere(anchor('To the overview', '#/', 'button')) });
}

function show(from) {
  if (!who()) {
    frame = null;
    view = signin({ lost: from === 'lost', done: () => show() });
    document.title = 'Sign in · jira-scim';
    replace(root, view.node);
    view.focus();
    return;
  }
  const first = frame === null;
  frame ??= makeFrame();
  const { path } = address();
  mark(frame.nav, path);
  try {
    view = pick(path)();
  } catch (error) {
    view = { title: 'Error', node: trouble(error) };
  }
  document.title = `${view.title} · jira-scim`;
  replace(frame.main, view.node);
  const title = frame.main.querySelector('h1');
  title?.setAttribute('tabindex', '-1');
  // A reader of screens hears where it is now; somebody who scrolled begins at the top.
  if (!first || from === 'moved') title?.focus({ preventScroll: true });
  scrollTo(0, 0);
}

onSignedOut(() => show('lost'));
addEventListener('hashchange', () => show('moved'));
addEventListener('click', (event) => {
  // The skip link must not be taken for a route.
  if (event.target.closest?.('.skip')) {
    event.preventDefault();
    document.getElementById('main')?.focus();
  }
});

resume().then(
  () => show(),
  (error) => {
    replace(
      root,
      h(
        'div',
        { class: 'door' },
        h(
          'main',
          { class: 'card', id: 'main', tabindex: '-1' },
          h('h1', { class: 'brand' }, logo(), 'jira-scim'),
          trouble(error, () => location.reload()),
        ),
      ),
    );
  },
);
