-- Directories that are read on a schedule instead of pushing: which tenant is fed by one, and what a run of it read.

-- The source that a tenant's people come from. While there is a row, SCIM clients of that tenant may only read.
CREATE TABLE source (
    tenant_id uuid NOT NULL,
    -- Name of the [[source]] in the configuration.
    name text COLLATE "C" NOT NULL,
    -- When it took the tenant over.
    since timestamptz NOT NULL DEFAULT now(),
    -- When a complete read was last applied. NULL: never; until then people are also found by their userName.
    applied timestamptz,
    -- So many reads of changes were applied since.
    runs integer NOT NULL DEFAULT 0,
    -- From where the next read may ask for changes. NULL: everything has to be read.
    marks jsonb,
    CONSTRAINT source_pkey PRIMARY KEY (tenant_id)
);

-- What a run read, one row a person or group; gone when the run is over. Not logged: a run whose rows are lost begins anew.
CREATE UNLOGGED TABLE source_entry (
    tenant_id uuid NOT NULL,
    run_id uuid NOT NULL,
    -- user | group
    kind text COLLATE "C" NOT NULL,
    -- The id that stays through renames and moves; it becomes the externalId.
    key text COLLATE "C" NOT NULL,
    -- What members of groups are named by: a folded DN, an id.
    place text COLLATE "C" NOT NULL,
    -- What else they are named by.
    also text COLLATE "C",
    -- The folded userName or displayName.
    name_key text COLLATE "C" NOT NULL,
    -- The SCIM document; NULL: the entry cannot be used.
    body jsonb,
    -- Whom it was found to be.
    subject_id uuid,
    -- NULL: not judged, or out of scope. same | create | change | skip | known (not read, but of source_known)
    verdict text COLLATE "C",
    CONSTRAINT source_entry_pkey PRIMARY KEY (tenant_id, run_id, kind, key)
);

-- Of several entries of one name the first is asked for.
CREATE INDEX source_entry_name ON source_entry (tenant_id, run_id, kind, name_key, key);
CREATE INDEX source_entry_place ON source_entry (tenant_id, run_id, place);
CREATE INDEX source_entry_also ON source_entry (tenant_id, run_id, also) WHERE also IS NOT NULL;
CREATE INDEX source_entry_subject ON source_entry (tenant_id, run_id, subject_id);

-- Who is in the groups that a run read, by place.
CREATE UNLOGGED TABLE source_member (
    tenant_id uuid NOT NULL,
    run_id uuid NOT NULL,
    group_key text COLLATE "C" NOT NULL,
    member text COLLATE "C" NOT NULL,
    CONSTRAINT source_member_pkey PRIMARY KEY (tenant_id, run_id, group_key, member)
);

CREATE INDEX source_member_member ON source_member (tenant_id, run_id, member);

-- By which names the entries of the last complete read are members of groups, so that a changed group is understood without the
-- people in it being read again.
CREATE TABLE source_known (
    tenant_id uuid NOT NULL,
    -- user | group | other (a member that is neither, or a name that people have in common; its key is its place)
    kind text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    place text COLLATE "C" NOT NULL,
    also text COLLATE "C",
    -- A person who comes, or a group whose members do.
    in_scope boolean NOT NULL,
    subject_id uuid,
    -- Of a group that decides who comes: its members.
    digest text COLLATE "C",
    CONSTRAINT source_known_pkey PRIMARY KEY (tenant_id, kind, key)
);

CREATE INDEX source_known_place ON source_known (tenant_id, place);
CREATE INDEX source_known_also ON source_known (tenant_id, also) WHERE also IS NOT NULL;

-- A sync, too, decides who is in the store.
DROP INDEX run_population;
CREATE UNIQUE INDEX run_population ON run (tenant_id)
    WHERE state = 'running' AND kind IN ('import', 'reset', 'purge', 'sync');
