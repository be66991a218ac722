// A new source in one form: the few settings that most need, and all others as JSON.

import { ApiError, get, post } from './api.js';
import { h, say } from './dom.js';
import { field, form } from './form.js';
import { anchor, loaded, mayNotice, notice } from './ui.js';

// Settings as somebody typed them; what is no JSON is told at their field.
export function settingsOf(text, name = 'settings') {
  const wrong = (message) => new ApiError(422, { message, field: name });
  try {
    const found = JSON.parse(text.trim() || '{}');
    if (found === null || typeof found !== 'object' || Array.isArray(found)) throw wrong('This must be a JSON object.');
    return found;
  } catch (error) {
    throw error instanceof ApiError ? error : wrong(`This is not JSON: ${error.message}`);
  }
}

const KINDS = [
  ['ldap', 'LDAP, Active Directory'],
  ['scim', 'Another SCIM server'],
];
const LISTS = ['urls', 'scope_groups'];

const FIELDS = {
  ldap: () => [
    field('Kind of server', {
      name: 'settings.preset',
      options: [
        ['openldap', 'OpenLDAP'],
        ['active-directory', 'Active Directory'],
        ['389ds', '389 Directory Server'],
      ],
    }),
    field('Addresses', {
      name: 'settings.urls',
      hint: 'Such as ldaps://ldap.example.com; several with blanks between.',
    }),
    field('Base DN', { name: 'settings.base_dn', hint: 'Where people and groups are looked for.' }),
    field('Bind DN', { name: 'settings.bind_dn', hint: 'As whom it is read.' }),
    field('File with the password', {
      name: 'settings.bind_password_file',
      hint: 'Its name in the folder admin.source_files.',
    }),
  ],
  scim: () => [
    field('Address', { name: 'settings.url', hint: 'What /Users is below, such as https://idp.example.com/scim/v2.' }),
    field('Version', {
      name: 'settings.version',
      options: [
        ['', 'Ask it'],
        ['2.0', 'SCIM 2.0'],
        ['1.1', 'SCIM 1.1'],
      ],
    }),
    field('File with the bearer token', {
      name: 'settings.token_file',
      hint: 'Its name in the folder admin.source_files. Empty: by user name and password.',
    }),
    field('User name', { name: 'settings.username', hint: 'Only without a token.' }),
    field('File with the password', { name: 'settings.password_file', hint: 'Only without a token.' }),
  ],
};

const SHARED = () => [
  field('File with certificate authorities', { name: 'settings.ca_file', hint: 'Empty: those of the machine.' }),
  field('Only people of this filter', { name: 'settings.user_filter', hint: 'Empty: everybody.' }),
  field('Is read every', {
    name: 'settings.every',
    value: '1h',
    hint: 'Such as 15m, 1h or 1day. Empty: only when somebody asks.',
  }),
  field('People who vanish are', {
    name: 'settings.vanished',
    options: [
      ['deactivate', 'switched off'],
      ['keep', 'kept'],
      ['delete', 'deleted'],
    ],
  }),
  field('Further settings', {
    name: 'more',
    type: 'area',
    rows: 4,
    hint: 'As JSON, by the names that they have in [[source]] of the configuration: {"fall_percent": 20}',
  }),
];

function settings(found) {
  const made = { kind: found.kind };
  for (const [name, value] of Object.entries(found)) {
    const key = name.replace(/^settings\./, '');
    if (key === name || value === '') continue;
    made[key] = LISTS.includes(key) ? value.split(/\s+/) : value;
  }
  return { ...made, ...settingsOf(found.more, 'more') };
}

function fields(tenants, go) {
  const part = h('div', { class: 'stack' });
  const draw = (kind) => part.replaceChildren(...FIELDS[kind]());
  const kind = field('What is read', { name: 'kind', options: KINDS });
  kind.querySelector('select').addEventListener('change', (event) => draw(event.target.value));
  draw('ldap');
  return form(
    [
      field('Name', {
        name: 'name',
        maxlength: 63,
        required: true,
        hint: 'Small letters, digits and hyphens, such as corp.',
      }),
      field('Tenant that it feeds', {
        name: 'tenant',
        options: tenants.map((one) => [one.slug, one.slug]),
        hint: 'While it does, SCIM clients of that tenant only read.',
      }),
      kind,
      part,
      SHARED(),
    ],
    {
      text: 'Make the source',
      role: 'admin',
      send: async (found) => {
        const { name, tenant } = found;
        await post('/sources', { name, tenant, settings: settings(found) });
        say(`The source ${name} is made.`);
        go(`sources/${name}`);
      },
    },
  );
}

export default function sourceNew({ go }) {
  const body = loaded(
    () => get('/tenants', { limit: 500 }),
    ({ items }) =>
      items.length === 0
        ? notice('warn', 'There is no tenant yet that it could feed. ', anchor('Make one', '#/tenants/new'), ' first.')
        : h('div', { class: 'card' }, fields(items, go)),
    { steady: true },
  );
  return {
    title: 'New source',
    node: h(
      'div',
      { class: 'stack' },
      h('div', {}, h('div', { class: 'crumb' }, anchor('Sources', '#/sources')), h('h1', {}, 'New source')),
      mayNotice('admin', 'making a source'),
      body,
    ),
  };
}
