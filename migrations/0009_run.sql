-- Long work on a tenant that keeps its place: imports, comparisons, removals. A row is one run, while it waits, works, and
-- afterwards.
CREATE TABLE run (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    -- import | reconcile | last_login | reset | purge
    kind text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL DEFAULT 'queued',
    -- What it was asked for; typed where the kind is.
    options jsonb NOT NULL DEFAULT '{}',
    -- What it is at (accounts, groups, members), and where: written in one transaction with each page's rows.
    stage text COLLATE "C" NOT NULL DEFAULT '',
    place jsonb NOT NULL DEFAULT '{}',
    counters jsonb NOT NULL DEFAULT '{}',
    -- Why it failed, why it waits, or what somebody has to know although it is through.
    error text,
    -- Failures since its last page.
    attempts integer NOT NULL DEFAULT 0,
    actor text NOT NULL,
    request_id uuid NOT NULL,
    requested timestamptz NOT NULL DEFAULT now(),
    -- It is not taken up before this time.
    due_at timestamptz NOT NULL DEFAULT now(),
    started timestamptz,
    finished timestamptz,
    -- Who works on it, until when (both by the database's clock).
    lease_token uuid,
    lease_until timestamptz,
    CONSTRAINT run_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT run_state_check CHECK (state IN ('queued', 'running', 'done', 'failed', 'stopped')),
    CONSTRAINT run_lease_check CHECK ((lease_token IS NULL) = (lease_until IS NULL))
);

-- A tenant has at most one open run of a kind.
CREATE UNIQUE INDEX run_open ON run (tenant_id, kind) WHERE state IN ('queued', 'running');
-- What decides who is in the store goes one after the other: an import beside a reset would bring back what that buries.
CREATE UNIQUE INDEX run_population ON run (tenant_id) WHERE state = 'running' AND kind IN ('import', 'reset', 'purge');
CREATE INDEX run_history ON run (tenant_id, kind, requested);

-- The membership was there when it was imported: nobody of ours gave it, so a removal of all that came from here leaves it.
ALTER TABLE jira_membership ADD COLUMN imported boolean NOT NULL DEFAULT false;

-- Tombstones of groups by name: a fresh import finds the same ids again.
CREATE INDEX scim_group_tombstone_name ON scim_group (tenant_id, display_name_key) WHERE deleted_at IS NOT NULL;

-- The import that last saw the account of a user, or the Jira group of an imported group. Not indexed on purpose: it is
-- written for everybody with each import, and stays on its page where half of that is free. (100,000 links, three times: all
-- updates were such, the table as large as one that was filled to the brim before the first, its index a quarter smaller.)
ALTER TABLE link ADD COLUMN seen_run uuid, SET (fillfactor = 50);
ALTER TABLE scim_group ADD COLUMN seen_run uuid, SET (fillfactor = 50);

-- A purge asked for the Jira group, which was made from here, to be deleted.
ALTER TABLE jira_group ADD COLUMN purged boolean NOT NULL DEFAULT false;
CREATE INDEX jira_group_purged ON jira_group (tenant_id, name_key) WHERE purged;
