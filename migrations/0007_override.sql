-- A person or a membership pinned by hand until a time: it beats the identity provider until then.
CREATE TABLE override (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    user_id uuid NOT NULL,
    -- active | inactive | member
    what text COLLATE "C" NOT NULL,
    -- The Jira group of a member, folded and as it is written.
    group_key text COLLATE "C",
    group_name text,
    -- NULL: inactive until the identity provider itself switches the person off.
    until timestamptz,
    reason text NOT NULL,
    actor text NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    -- Ended before its time.
    lifted timestamptz,
    CONSTRAINT override_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT override_what_check CHECK (what IN ('active', 'inactive', 'member')),
    CONSTRAINT override_group_check CHECK ((what = 'member') = (group_key IS NOT NULL AND group_name IS NOT NULL)),
    CONSTRAINT override_until_check CHECK (what = 'inactive' OR until IS NOT NULL)
);

CREATE INDEX override_user ON override (tenant_id, user_id) WHERE lifted IS NULL;
