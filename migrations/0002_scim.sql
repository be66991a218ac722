-- SCIM resources. No foreign keys to the tenant here: they would take a share lock on its row for every insert.

-- A person as the identity provider describes him or her.
CREATE TABLE scim_user (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    -- userName folded by account::fold; compared, never shown.
    user_name_key text COLLATE "C" NOT NULL,
    external_id text COLLATE "C",
    active boolean NOT NULL,
    -- Every e-mail address, folded: what filters on emails.value look up.
    email_keys text[] COLLATE "C" NOT NULL,
    -- What the client owns, in canonical spelling. Never the password.
    attrs jsonb NOT NULL,
    -- The same document folded for comparison (scim::resource::folded); filters read only this one.
    folded jsonb NOT NULL,
    version bigint NOT NULL DEFAULT 1,
    created timestamptz NOT NULL,
    modified timestamptz NOT NULL,
    -- A tombstone: 404 to the client, kept with its link so that a re-hire gets the same id back.
    deleted_at timestamptz,
    -- imported: learnt from the target, and not written by a client yet. NULL: a client's.
    origin text COLLATE "C",
    -- A tombstone that no client made (a reset; an import that did not find the account any more): what the client matches by
    -- comes back with it.
    forgotten boolean NOT NULL DEFAULT false,
    -- A tombstone of a purge: what came from here is taken back, also what the policy would keep or wait for.
    purged boolean NOT NULL DEFAULT false,
    CONSTRAINT scim_user_pkey PRIMARY KEY (tenant_id, id)
);

-- The n-th of the living is found here without reading the rows before it.
CREATE INDEX scim_user_living ON scim_user (tenant_id, id) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX scim_user_user_name_key ON scim_user (tenant_id, user_name_key) WHERE deleted_at IS NULL;
-- With those that have none and the id behind it: it also gives the order of a sorted list.
CREATE INDEX scim_user_external_id ON scim_user (tenant_id, external_id, id) WHERE deleted_at IS NULL;
CREATE INDEX scim_user_created ON scim_user (tenant_id, created, id) WHERE deleted_at IS NULL;
CREATE INDEX scim_user_modified ON scim_user (tenant_id, modified, id);
-- No pending list: an e-mail address is as good as unique, so a direct insert costs one descent and has no spikes.
CREATE INDEX scim_user_email ON scim_user USING gin (email_keys) WITH (fastupdate = off);
-- Tombstones by what a re-hire is recognised by.
CREATE INDEX scim_user_tombstone_external_id ON scim_user (tenant_id, external_id) WHERE deleted_at IS NOT NULL;
CREATE INDEX scim_user_tombstone_user_name ON scim_user (tenant_id, user_name_key) WHERE deleted_at IS NOT NULL;
-- What the janitor purges, oldest first.
CREATE INDEX scim_user_tombstone_age ON scim_user (deleted_at) WHERE deleted_at IS NOT NULL;

-- A group without its members, which are edges.
CREATE TABLE scim_group (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    display_name_key text COLLATE "C" NOT NULL,
    external_id text COLLATE "C",
    attrs jsonb NOT NULL,
    folded jsonb NOT NULL,
    -- The name that the rules see, which say for which Jira groups it stands: its first name, kept through renames (a Jira
    -- group cannot be renamed), unless the policy says that members move.
    alias text NOT NULL,
    alias_key text COLLATE "C" NOT NULL,
    -- Whether nobody else may have this alias. Not where the policy's table says what a group of this name stands for.
    alias_reserved boolean NOT NULL DEFAULT true,
    -- Touches not counted: the version a client sees is this plus the group's rows in group_touch.
    version bigint NOT NULL DEFAULT 1,
    created timestamptz NOT NULL,
    modified timestamptz NOT NULL,
    deleted_at timestamptz,
    -- As of a user.
    origin text COLLATE "C",
    -- A tombstone that no client made: an import may bring it back. One that a client deleted stays deleted.
    forgotten boolean NOT NULL DEFAULT false,
    CONSTRAINT scim_group_pkey PRIMARY KEY (tenant_id, id)
);

CREATE UNIQUE INDEX scim_group_display_name_key ON scim_group (tenant_id, display_name_key) WHERE deleted_at IS NULL;
-- A new group of the name that a renamed one had would get the renamed one's Jira group.
CREATE UNIQUE INDEX scim_group_alias_key ON scim_group (tenant_id, alias_key) WHERE deleted_at IS NULL AND alias_reserved;
CREATE INDEX scim_group_alias ON scim_group (tenant_id, alias_key) WHERE deleted_at IS NULL;
CREATE INDEX scim_group_tombstone_alias ON scim_group (tenant_id, alias_key) WHERE deleted_at IS NOT NULL;
CREATE INDEX scim_group_external_id ON scim_group (tenant_id, external_id) WHERE deleted_at IS NULL AND external_id IS NOT NULL;
CREATE INDEX scim_group_modified ON scim_group (tenant_id, modified, id);
CREATE INDEX scim_group_tombstone_age ON scim_group (deleted_at) WHERE deleted_at IS NOT NULL;

-- Edges, one row each: the cost of a change follows the change, not the group.
CREATE TABLE group_member (
    tenant_id uuid NOT NULL,
    group_id uuid NOT NULL,
    -- A user, or a group when is_group.
    member_id uuid NOT NULL,
    is_group boolean NOT NULL,
    CONSTRAINT group_member_pkey PRIMARY KEY (tenant_id, group_id, member_id)
);

CREATE INDEX group_member_member ON group_member (tenant_id, member_id, group_id);
-- Groups in groups: few or none, among a great many members.
CREATE INDEX group_member_nested ON group_member (tenant_id, group_id, member_id) WHERE is_group;

-- One row for each change of a group's members. Updating the group's row instead would make it the bottleneck.
CREATE TABLE group_touch (
    tenant_id uuid NOT NULL,
    group_id uuid NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL,
    CONSTRAINT group_touch_pkey PRIMARY KEY (tenant_id, group_id, id)
);

-- Exact totals without counting: folded number plus the deltas not folded in yet.
CREATE TABLE tally (
    tenant_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    n bigint NOT NULL,
    CONSTRAINT tally_pkey PRIMARY KEY (tenant_id, kind)
);

-- Resources that came (+1) or went (-1) since the last folding.
CREATE TABLE tally_delta (
    tenant_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    id bigint GENERATED ALWAYS AS IDENTITY,
    delta smallint NOT NULL,
    CONSTRAINT tally_delta_pkey PRIMARY KEY (tenant_id, kind, id)
);
