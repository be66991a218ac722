-- What the writer must do, what it knows about each Jira, and what it did.

-- One row for each subject whose Jira side may be out of date.
CREATE TABLE outbox (
    tenant_id uuid NOT NULL,
    -- user | group | tenant
    kind text COLLATE "C" NOT NULL,
    subject_id uuid NOT NULL,
    -- Grows with every nudge. A drive removes the row only where it is still the number it claimed.
    seq bigint NOT NULL DEFAULT 1,
    -- 0: somebody waits for it. 1: bulk.
    priority smallint NOT NULL,
    due_at timestamptz NOT NULL,
    -- Failures of this subject alone; a target that is down costs none.
    attempts integer NOT NULL DEFAULT 0,
    first_failure timestamptz,
    last_error text,
    -- When the subject became out of date.
    since timestamptz NOT NULL,
    -- Who works on it, until when (both by the database's clock).
    lease_token uuid,
    lease_until timestamptz,
    -- A group or tenant whose structure changed: its drive enqueues the users concerned.
    fan_out boolean NOT NULL DEFAULT false,
    -- Where the fan-out has got to.
    page_after uuid,
    -- The request that asked for it last.
    request_id uuid,
    CONSTRAINT outbox_pkey PRIMARY KEY (tenant_id, kind, subject_id),
    CONSTRAINT outbox_kind_check CHECK (kind IN ('user', 'group', 'tenant')),
    CONSTRAINT outbox_lease_check CHECK ((lease_token IS NULL) = (lease_until IS NULL))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_cost_delay = 0);

CREATE INDEX outbox_due ON outbox (tenant_id, priority, due_at);

-- Which account a user is, and what is on record about it.
CREATE TABLE link (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    target text COLLATE "C" NOT NULL,
    -- What is known about the account, what is uncertain, which account steps wait; typed in src/store/link.rs.
    record jsonb NOT NULL DEFAULT '{}',
    -- After an unknown outcome: when to look once more, because Jira also executes calls that we gave up on.
    look_at timestamptz,
    -- The version of the user that the record was last brought up to.
    -- An import or reconcile may write the record only while this has not changed since it read.
    applied_version bigint NOT NULL DEFAULT 0,
    CONSTRAINT link_pkey PRIMARY KEY (tenant_id, user_id)
);

-- Which user of ours holds which login name or account at a target; taken before the first write, kept by tombstones.
-- Across tenants on purpose (two tenants may share a Jira), hence not tenant first.
CREATE TABLE claim (
    target text COLLATE "C" NOT NULL,
    -- name (folded login name) | account (the target's immutable key)
    what text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    CONSTRAINT claim_pkey PRIMARY KEY (target, what, key),
    CONSTRAINT claim_what_check CHECK (what IN ('name', 'account'))
);

CREATE INDEX claim_user ON claim (tenant_id, user_id);

-- Jira groups that we know or made.
CREATE TABLE jira_group (
    tenant_id uuid NOT NULL,
    name_key text COLLATE "C" NOT NULL,
    name text NOT NULL,
    -- unknown | maybe (a create is on its way) | exists
    known text NOT NULL DEFAULT 'unknown',
    -- We made it (and may delete it again).
    made boolean NOT NULL DEFAULT false,
    -- Jira labels it as one that grants administration: never written unless protect.allow names it.
    administrative boolean NOT NULL DEFAULT false,
    -- The group's key at the target, where groups have one (Cloud).
    target_id text COLLATE "C",
    -- The state of the step "ensure group", where it is held, refused or waived.
    step jsonb,
    CONSTRAINT jira_group_pkey PRIMARY KEY (tenant_id, name_key),
    CONSTRAINT jira_group_known_check CHECK (known IN ('unknown', 'maybe', 'exists'))
);

-- (user, Jira group) pairs that we wrote, may have written, or that wait.
CREATE TABLE jira_membership (
    tenant_id uuid NOT NULL,
    user_id uuid NOT NULL,
    group_key text COLLATE "C" NOT NULL,
    -- On record as a member at the target.
    written boolean NOT NULL DEFAULT false,
    -- A write is on its way, or its outcome is unknown: wanted means look, unwanted means remove.
    maybe boolean NOT NULL DEFAULT false,
    -- It was there and is not ours; on record only for tenants that take away what nobody asks for (remove = "all").
    theirs boolean NOT NULL DEFAULT false,
    -- The state of the pair's step, where it is held, refused, waived or waits for its group.
    step jsonb,
    CONSTRAINT jira_membership_pkey PRIMARY KEY (tenant_id, user_id, group_key)
);

CREATE INDEX jira_membership_group ON jira_membership (tenant_id, group_key, user_id);

-- Accounts at a tenant's target that nobody claimed when they were last compared, and since when.
CREATE TABLE unmatched_account (
    tenant_id uuid NOT NULL,
    account_id text COLLATE "C" NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT unmatched_account_pkey PRIMARY KEY (tenant_id, account_id)
);

-- What all replicas share about a target.
CREATE TABLE target_state (
    name text COLLATE "C" NOT NULL,
    -- No call starts before this time.
    paused_until timestamptz,
    -- unreachable | throttled | denied
    pause_kind text,
    pause_reason text,
    -- Pauses in a row; the first success sets it back.
    failures integer NOT NULL DEFAULT 0,
    -- What the target's rate-limit headers leave us, all replicas together; NULL: no limit seen.
    calls_per_second double precision,
    -- Who the daemon is there, which version, which groups grant administration.
    probe jsonb,
    probed_at timestamptz,
    last_success timestamptz,
    -- When somebody who administered it was last switched off, deleted or taken out of the groups that grant it.
    administrator_left timestamptz,
    CONSTRAINT target_state_pkey PRIMARY KEY (name)
);

-- Who shares the work: each process says every few seconds that it lives, and takes its part of each target's pace.
CREATE TABLE replica (
    id uuid NOT NULL,
    seen_at timestamptz NOT NULL,
    CONSTRAINT replica_pkey PRIMARY KEY (id)
);
