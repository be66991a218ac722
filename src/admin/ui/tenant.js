// One tenant: its frame with the list of sections, and the section that the address names.

import { get, slug as safe } from './api.js';
import { h, replace } from './dom.js';
import { anchor, loaded, nowhere, trouble } from './ui.js';
import { modeBadge, stateBadge } from './overview.js';
import audit from './audit.js';
import drift from './drift.js';
import explain from './explain.js';
import links from './links.js';
import overrides from './overrides.js';
import { groups, users } from './people.js';
import plan from './plan.js';
import policy from './policy.js';
import removal from './removal.js';
import runs from './runs.js';
import tokens from './tokens.js';
import summary from './summary.js';
import waiting from './waiting.js';

const SECTIONS = [
  [
    'See',
    [
      ['', 'Overview', summary],
      ['users', 'Users', users],
      ['groups', 'Groups', groups],
      ['waiting', 'Held and refused', waiting],
      ['audit', 'Audit', audit],
      ['explain', 'Explain', explain],
    ],
  ],
  [
    'Steer',
    [
      ['policy', 'Policy', policy],
      ['plan', 'Plan and release', plan],
      ['overrides', 'Overrides', overrides],
      ['links', 'Links', links],
      ['runs', 'Import and runs', runs],
      ['drift', 'Drift', drift],
    ],
  ],
  [
    'Manage',
    [
      ['tokens', 'Tokens', tokens],
      ['removal', 'Settings and removal', removal],
    ],
  ],
];
const wide = matchMedia('(min-width: 901px)');

export default function tenant({ args: [slug, section = ''], query, set, go }) {
  const found = SECTIONS.flatMap(([, list]) => list).find(([key]) => key === section);
  if (!found) return { title: 'Not found', node: nowhere(anchor(`To ${slug}`, `#/tenants/${safe(slug)}`, 'button')) };
  const badges = h('div', { class: 'row' });
  const counts = {};
  const side = h(
    'details',
    { open: wide.matches },
    h('summary', {}, `Section: ${found[1]}`),
    SECTIONS.map(([title, list]) => [
      h('h2', {}, title),
      h(
        'ul',
        {},
        list.map(([key, text]) => {
          counts[key] = h('span', { class: 'count', hidden: true });
          return h(
            'li',
            {},
            h(
              'a',
              { href: `#/tenants/${safe(slug)}${key && `/${key}`}`, 'aria-current': key === section && 'page' },
              text,
              counts[key],
            ),
          );
        }),
      ),
    ]),
  );
  const change = () => {
    if (side.isConnected) side.open = wide.matches;
    else wide.removeEventListener('change', change);
  };
  wide.addEventListener('change', change);
  const content = h('div', { class: 'stack' });
  const frame = (detail) => {
    const stuck = detail.overview.held + detail.overview.refused;
    replace(badges, stateBadge(detail.overview), modeBadge(detail.tenant.mode));
    counts.waiting.hidden = stuck === 0;
    replace(counts.waiting, stuck, h('span', { class: 'sr' }, ' steps'));
  };
  const again = async () => {
    const detail = await get(`/tenants/${safe(slug)}`);
    frame(detail);
    return detail;
  };
  const body = loaded(
    again,
    (detail) => {
      try {
        return replace(
          content,
          found[2]({
            slug,
            base: `/tenants/${safe(slug)}`,
            here: `#/tenants/${safe(slug)}`,
            detail,
            query,
            set,
            go,
            refresh: again,
          }),
        );
      } catch (error) {
        return trouble(error);
      }
    },
    { steady: true },
  );
  return {
    title: `${slug} · ${found[1]}`,
    node: h(
      'div',
      { class: 'stack' },
      h(
        'div',
        {},
        h(
          'nav',
          { class: 'crumb', 'aria-label': 'Where this is' },
          anchor('Overview', '#/'),
          ' / ',
          section ? anchor(slug, `#/tenants/${safe(slug)}`) : 'Tenant',
        ),
        h('div', { class: 'head' }, h('h1', {}, section ? found[1] : slug), badges),
      ),
      h('div', { class: 'split' }, h('nav', { class: 'side', 'aria-label': `Sections of ${slug}` }, side), body),
    ),
  };
}
