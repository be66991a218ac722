// The issuers whose JWTs a tenant accepts.

import { ApiError, del, get, post } from './api.js';
import { h, say, time } from './dom.js';
import { field, formDialog } from './form.js';
import { paged } from './list.js';
import { badge, button, empty, flush, guarded, notice } from './ui.js';

const ALGORITHMS = ['RS256', 'ES256', 'EdDSA'];
const given = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ''));

// What the form says, as the API takes it.
function wanted({ jwks, skew_seconds: skew, ...rest }) {
  const body = given(rest);
  for (const name of ALGORITHMS) delete body[name];
  body.algorithms = ALGORITHMS.filter((name) => rest[name]);
  if (skew !== '') body.skew_seconds = Number(skew);
  if (jwks) {
    try {
      body.jwks = JSON.parse(jwks);
    } catch {
      throw new ApiError(422, { message: 'This is no JSON.', field: 'jwks' });
    }
  }
  return body;
}

// The card with the list of them.
export default function issuers({ base }) {
  const list = h('div', {});
  const forget = (row) =>
    formDialog(`Trust ${row.label} no longer?`, notice('warn', 'Its tokens are refused within two seconds.'), {
      text: 'Trust it no longer',
      role: 'admin',
      kind: 'destroy',
      send: async () => {
        await del(`${base}/issuers/${row.id}`);
        say(`${row.label} is trusted no longer.`);
        draw();
      },
    });
  const trust = () =>
    formDialog(
      'Trust an issuer',
      [
        field('Label', { name: 'label', maxlength: 100, hint: 'What lists call it, and the actor in the audit.' }),
        field('Issuer', { name: 'issuer', hint: 'What the claim iss is, to the letter.' }),
        field('Address of its keys', {
          name: 'jwks_url',
          type: 'text',
          hint: 'https, or an address of the daemon’s machine. Empty: the keys are given here.',
        }),
        field('The keys themselves', {
          name: 'jwks',
          type: 'area',
          hint: 'A JWKS with public keys, for an issuer that the daemon cannot reach.',
        }),
        field('Audience', { name: 'audience', hint: 'What the claim aud names.' }),
        h(
          'fieldset',
          { 'data-field': 'algorithms' },
          h('legend', {}, 'Algorithms'),
          h(
            'div',
            { class: 'choice' },
            ALGORITHMS.map((name) => h('label', {}, h('input', { type: 'checkbox', name, checked: true }), name)),
          ),
          h('div', { class: 'wrong', hidden: true }),
        ),
        field('Its clock may be off by so many seconds', { name: 'skew_seconds', type: 'number', value: '60' }),
        field('Subject', {
          name: 'subject',
          hint: 'Whom the tokens must be of. Empty: everybody whom the issuer gives one for this audience.',
        }),
        field('Required scope', { name: 'granted', hint: 'A word that their scope must have. Empty: none.' }),
        field('What they may do here', {
          name: 'scope',
          options: [
            ['write', 'Read and write'],
            ['read', 'Only read'],
          ],
        }),
        field('Users only, no groups', { name: 'users_only', type: 'check' }),
      ],
      {
        text: 'Trust it',
        role: 'admin',
        send: async (found) => {
          await post(`${base}/issuers`, wanted(found));
          say(`${found.label} is trusted.`);
          draw();
        },
      },
    );
  const draw = () =>
    list.replaceChildren(
      paged(
        [
          {
            label: 'Label',
            title: true,
            cell: (row) => h('div', {}, h('strong', {}, row.label), row.declared && badge('', 'declared')),
          },
          {
            label: 'Issuer',
            cell: (row) => h('div', {}, row.issuer, h('div', { class: 'muted small' }, `for ${row.audience}`)),
          },
          {
            label: 'May',
            cell: (row) =>
              `${row.scope === 'read' ? 'only read' : 'read and write'}${row.users_only ? ', no groups' : ''}`,
          },
          { label: 'Last used', cell: (row) => time(row.last_used) },
          {
            label: 'Do',
            act: true,
            cell: (row) =>
              !row.declared &&
              guarded(
                button('Forget', () => forget(row), 'slim destroy'),
                'admin',
              ),
          },
        ],
        (page) => get(`${base}/issuers`, page),
        {
          caption: 'Issuers',
          none: empty('No issuer', 'JWTs of an issuer that is listed here are accepted instead of a token.'),
        },
      ),
    );
  draw();
  return flush('Issuers of JWTs', guarded(button('Trust an issuer', trust), 'admin'), list);
}
