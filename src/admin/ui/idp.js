// What to type where at each identity provider, in short; the long version is in docs/idp. A step is a text, or a text
// with the fields to fill in. URL2, URL1 and TOKEN are put in.

const T = 'TOKEN';

export const IDPS = {
  okta: {
    name: 'Okta',
    steps: [
      ['Applications, Create App Integration (SAML or SWA); then General, App Settings, Edit: Provisioning: SCIM.'],
      [
        'Provisioning, Integration, Edit:',
        [
          ['SCIM connector base URL', 'URL2'],
          ['Unique identifier field for users', 'userName'],
          ['Supported provisioning actions', 'Push New Users, Push Profile Updates, Push Groups'],
          ['Authentication Mode', 'HTTP Header'],
          ['Authorization (Bearer)', T],
        ],
      ],
      ['Test Connector Configuration. An empty list is a good answer; a wrong token is 401.'],
      ['Provisioning, To App, Edit: enable Create Users, Update User Attributes, Deactivate Users.'],
      ['Assignments: assign people. Push Groups: choose groups. Only members who are assigned to the app are pushed.'],
    ],
    note: 'An older app of the catalogue that speaks SCIM 1.1 gets the other base URL. A suspension in Okta sends nothing: deactivate or unassign.',
  },
  'okta-on-premises': {
    name: 'Okta, on-premises agent',
    steps: [
      ['Applications, the app (SWA or SAML), General, App Settings, Edit: On-Premises Provisioning.'],
      [
        'Provisioning, Integration, Configure:',
        [
          ['SCIM connector base URL', 'URL1'],
          ['Authorization type', 'HTTP Headers'],
          ['Header', 'Authorization'],
          ['Value', `Bearer ${T}`],
          ['Unique user field name', 'userName'],
          ['Accept User Updates, Import Groups', 'as you like'],
        ],
      ],
      ['Test Connector Configuration. Okta offers exactly what the answer says that the connector can do.'],
      ['To App, Edit: Create Users, Update User Attributes, Deactivate Users.'],
    ],
    note: 'If the daemon has a certificate of a private authority, import that into the agent’s Java trust store.',
  },
  entra: {
    name: 'Microsoft Entra ID',
    steps: [
      ['Enterprise applications, New application, Create your own application, Integrate any other application.'],
      [
        'Provisioning, Automatic, Admin Credentials:',
        [
          ['Tenant URL', 'URL2?aadOptscim062020'],
          ['Secret Token', T],
        ],
      ],
      ['Test Connection: it looks for a user with a random name, and an empty list is what it wants.'],
      [
        'Mappings: keep userName as the matching attribute for users and displayName for groups; Not([IsSoftDeleted]) goes to active, as it does by default.',
      ],
      ['Settings, Scope: assigned users and groups. Assign them. Provisioning Status: On.'],
    ],
    note: 'A cycle runs about every 40 minutes; Provision on demand is immediate.',
  },
  google: {
    name: 'Google Workspace',
    steps: [
      [
        'Admin console, Apps, Web and mobile apps, Add app, Search for apps: an application whose provisioning asks for an endpoint and a token.',
      ],
      [
        'Its page, Autoprovisioning, Configure autoprovisioning:',
        [
          ['Access token', T],
          ['Endpoint URL', 'URL2'],
        ],
      ],
      [
        'Attribute mapping: primary e-mail to userName and to the work address, first and last name to name.givenName and name.familyName.',
      ],
      [
        'Provisioning scope: the groups whose members are provisioned. They choose people; the groups themselves are mostly not sent.',
      ],
      ['Deprovisioning: for each trigger choose suspend, and a short delay: until then the person can log in to Jira.'],
    ],
    note: 'As groups do not come, let the policy put people into one: "groups": {"default_groups": ["jira-users"]}.',
  },
  onelogin: {
    name: 'OneLogin',
    steps: [
      ['Applications, Add App: SCIM Provisioner with SAML (SCIM v2 Enterprise), or SCIM v2 Core.'],
      [
        'Configuration:',
        [
          ['SCIM Base URL', 'URL2'],
          ['SCIM Bearer Token', T],
          ['SCIM JSON Template', 'as it is'],
          ['Custom Headers', 'empty'],
        ],
      ],
      ['API Connection, Enable: it asks for a user that does not exist.'],
      [
        'Provisioning: tick Enable provisioning, untick the approvals. When users are deleted or the app is removed: Suspend.',
      ],
      [
        'Parameters: SCIM Username as the name in Jira, or the e-mail address. For groups: Include in User Provisioning, then Rules.',
      ],
    ],
    note: 'A template for SCIM 1.1 gets the other base URL.',
  },
  jumpcloud: {
    name: 'JumpCloud',
    steps: [
      [
        'User Authentication, SSO Applications, Add New Application, Custom Application; tick Export users to this app.',
      ],
      [
        'Identity Management:',
        [
          ['API Type', 'SCIM API'],
          ['SCIM Version', 'SCIM 2.0'],
          ['Base URL', 'URL2'],
          ['Token Key', T],
          ['Test User Email', 'scim-trial@example.com, or any that nobody has'],
        ],
      ],
      [
        'Test Connection, then Activate. Both make a person and a group and delete them again: keep the tenant in observe until then.',
      ],
      ['Group Management: Enable management of User Groups and Group Membership in this application.'],
      ['User Groups: tick the groups. Empty ones are not sent.'],
    ],
  },
  ping: {
    name: 'Ping (PingOne, PingFederate)',
    steps: [
      ['PingOne: Integrations, Provisioning, +, New connection, Identity Store, SCIM Outbound.'],
      [
        'Configure authentication:',
        [
          ['SCIM BASE URL', 'URL2'],
          ['Users Resource', '/Users'],
          ['SCIM Version', '2.0'],
          ['Authentication Method', 'OAuth 2 Bearer Token'],
          ['Oauth Access Token', T],
          ['Auth Type Header', 'Bearer'],
        ],
      ],
      [
        'Test Connection. Then the preferences:',
        [
          ['User Filter Expression', 'userName Eq "%s"'],
          ['User Identifier', 'userName'],
          ['Group Membership Handling', 'Overwrite'],
          ['Remove Action', 'Disable'],
        ],
      ],
      ['A rule with the population, then Group provisioning. Enable both.'],
      [
        'PingFederate: SP connection, Outbound Provisioning, Configure Channel, SCIM Provisioner, with the same URL and token; Use PATCH for Group Updates: on.',
      ],
    ],
    note: 'PingFederate’s own plug-in speaks SCIM 1.1: URL1/Users and URL1/Groups, with a name and a password (make one under Tokens).',
  },
  'one-identity': {
    name: 'One Identity Manager',
    steps: [
      [
        'Synchronization Editor, Start a new synchronization project, the SCIM connector:',
        [
          ['URL of the service', 'URL2'],
          ['Authentication type', 'bearer'],
          ['Token', T],
          ['Resource endpoints', '/Users, /Groups'],
          ['Test URI', '/Users'],
          ['Project template', 'Synchronize SCIM environment'],
        ],
      ],
      ['For large installations raise limits.page_max, and run full synchronisations at night.'],
    ],
    note: 'To find accounts that nobody uses, set "last_login": {"publish": true, "every": "1d"} in the policy and map lastLogin.',
  },
  other: {
    name: 'Any other',
    steps: [
      [
        'Type this where the client asks for a SCIM server:',
        [
          ['Base URL, SCIM 2.0', 'URL2'],
          ['Base URL, SCIM 1.1', 'URL1'],
          ['Bearer token', T],
          ['Unique name', 'userName'],
        ],
      ],
      ['Test the connection: a list, also an empty one, is a good answer.'],
      ['Let it deactivate (active false) rather than delete, if it can be chosen.'],
    ],
    note: 'Keycloak, authentik, Rippling, SailPoint and scripts have their own parts in docs/idp/other.md.',
  },
};
