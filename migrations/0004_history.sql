-- Who asked for what (audit) and what was done (delivery). Both are partitioned by day and dropped whole.

-- A request that changed something, or tried to.
CREATE TABLE audit (
    tenant_id uuid NOT NULL,
    at timestamptz NOT NULL,
    id uuid NOT NULL,
    request_id uuid NOT NULL,
    -- Label of the token, or who started an internal change.
    actor text NOT NULL,
    remote text,
    -- user.create, group.patch, undo, ...
    action text NOT NULL,
    -- user | group | tenant | token
    kind text NOT NULL,
    subject_id uuid NOT NULL,
    -- The request's body without secrets.
    body jsonb,
    -- The status that the request is answered with; an undo appends a row of its own.
    status smallint NOT NULL,
    -- Member ids that were named and are unknown.
    skipped text[],
    CONSTRAINT audit_pkey PRIMARY KEY (tenant_id, at, id)
) PARTITION BY RANGE (at);

CREATE INDEX audit_subject ON audit (tenant_id, subject_id, at);

-- One attempt to bring a subject up to date.
CREATE TABLE delivery (
    tenant_id uuid NOT NULL,
    at timestamptz NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    subject_id uuid NOT NULL,
    request_id uuid,
    -- The steps that were planned, with what became of each.
    steps jsonb NOT NULL,
    -- The calls that were made: method, path template, status, duration.
    calls jsonb NOT NULL DEFAULT '[]',
    -- NULL while it runs, or for ever when the process died.
    outcome text,
    error text,
    finished timestamptz,
    CONSTRAINT delivery_pkey PRIMARY KEY (tenant_id, at, id)
) PARTITION BY RANGE (at);

CREATE INDEX delivery_subject ON delivery (tenant_id, subject_id, at);

-- A safety net: rows of a day that nobody made a partition for.
CREATE TABLE audit_default PARTITION OF audit DEFAULT;
CREATE TABLE delivery_default PARTITION OF delivery DEFAULT;
