-- When people were last seen at the target; and what a target has that is not what was written there.

-- As the target told it last; NULL where it never did. Nothing of the resource: its version does not count it.
ALTER TABLE scim_user ADD COLUMN last_login timestamptz;
CREATE INDEX scim_user_last_login ON scim_user (tenant_id, last_login, id)
    WHERE deleted_at IS NULL AND last_login IS NOT NULL;

-- What a target was found to have that is not what was written there: the findings of a tenant's last comparison.
CREATE TABLE drift (
    tenant_id uuid NOT NULL,
    -- user | group
    kind text COLLATE "C" NOT NULL,
    -- The user's id, or the folded name of the Jira group.
    subject text COLLATE "C" NOT NULL,
    -- account, active, username, email, display_name, a further field, access:..., group:...; group where a group is gone
    field text COLLATE "C" NOT NULL,
    -- For people: the userName, or the group's name.
    name text NOT NULL,
    -- What was written last, what is there, and what is to be; NULL: nothing.
    written text,
    found text,
    wanted text,
    -- What was done about it: report | revert | accept
    action text COLLATE "C" NOT NULL,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL DEFAULT now(),
    -- The run that saw it last.
    run_id uuid NOT NULL,
    CONSTRAINT drift_pkey PRIMARY KEY (tenant_id, kind, subject, field),
    CONSTRAINT drift_kind_check CHECK (kind IN ('user', 'group')),
    CONSTRAINT drift_action_check CHECK (action IN ('report', 'revert', 'accept'))
);
