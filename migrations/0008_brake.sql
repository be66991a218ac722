-- The brake: how much was taken away lately, whether that was too much, and who has to hear of it.

-- One row a tenant, made by its first step that takes something away; the lock of all its grants.
CREATE TABLE brake (
    tenant_id uuid NOT NULL,
    -- Since when everything that takes away is held; NULL: it flows.
    tripped_at timestamptz,
    -- Which limit was reached: accounts | memberships
    class text COLLATE "C",
    -- For people.
    reason text,
    -- What was let through before this time does not count any more: somebody has released the brake.
    counts_since timestamptz NOT NULL DEFAULT '-infinity',
    -- What was ever let through, by class, and how many of the accounts were of people who were deleted. Each grant holds
    -- the sums before it, so that what lies within a window is a difference, and nobody counts rows.
    accounts bigint NOT NULL DEFAULT 0,
    memberships bigint NOT NULL DEFAULT 0,
    gone bigint NOT NULL DEFAULT 0,
    CONSTRAINT brake_pkey PRIMARY KEY (tenant_id),
    CONSTRAINT brake_class_check CHECK (class IN ('accounts', 'memberships')),
    CONSTRAINT brake_tripped_check CHECK ((tripped_at IS NULL) = (class IS NULL) AND (class IS NULL) = (reason IS NULL))
) WITH (fillfactor = 50);

-- One row for each thing that was let through lately, or that somebody decided about by hand.
CREATE TABLE brake_grant (
    tenant_id uuid NOT NULL,
    -- Whose: user (id) | group (folded name of the Jira group) | account (key at the target)
    kind text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    -- What: account | member:GROUP | group
    place text COLLATE "C" NOT NULL,
    -- accounts | memberships
    class text COLLATE "C" NOT NULL,
    -- granted: let through, and counted. pass: released by hand, not counted. drop: given up by hand.
    verdict text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    -- Asked for again before this time it is the same grant.
    until timestamptz NOT NULL,
    weight bigint NOT NULL DEFAULT 1,
    -- The sums of its class, and of the people who were deleted, before it; what is not counted has none.
    sum_before bigint,
    gone_before bigint,
    CONSTRAINT brake_grant_pkey PRIMARY KEY (tenant_id, kind, subject, place),
    CONSTRAINT brake_grant_kind_check CHECK (kind IN ('user', 'group', 'account')),
    CONSTRAINT brake_grant_class_check CHECK (class IN ('accounts', 'memberships')),
    CONSTRAINT brake_grant_verdict_check CHECK (verdict IN ('granted', 'pass', 'drop')),
    CONSTRAINT brake_grant_sum_check CHECK ((verdict = 'granted') = (sum_before IS NOT NULL)
        AND (verdict = 'granted') = (gone_before IS NOT NULL))
);

-- The oldest that still counts.
CREATE INDEX brake_grant_window ON brake_grant (tenant_id, class, at) WHERE verdict = 'granted';
-- Those that the janitor takes.
CREATE INDEX brake_grant_until ON brake_grant (until);

-- What people have to be told. Written with what it tells of, sent afterwards, until somebody has taken it.
CREATE TABLE alert (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    -- brake; more to come
    kind text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    body jsonb NOT NULL,
    -- Not before this time; whoever sends it moves the time on first, so that no two do.
    due_at timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 0,
    last_error text,
    CONSTRAINT alert_pkey PRIMARY KEY (tenant_id, id)
);

CREATE INDEX alert_due ON alert (due_at);
