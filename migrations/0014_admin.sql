-- Who may use the admin API.
CREATE TABLE admin_token (
    id uuid NOT NULL,
    -- SHA-256 of 256 random bits; the token itself is shown once and never stored.
    hash bytea NOT NULL,
    -- The actor in the audit: admin:LABEL.
    label text COLLATE "C" NOT NULL,
    -- viewer looks, operator also acts on what is configured, admin also configures.
    role text COLLATE "C" NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    -- NULL: does not expire.
    expires timestamptz,
    revoked timestamptz,
    -- The configuration file declares it; taken out of there, it is revoked.
    declared boolean NOT NULL DEFAULT false,
    -- Written at most once a minute.
    last_used timestamptz,
    CONSTRAINT admin_token_pkey PRIMARY KEY (id),
    CONSTRAINT admin_token_hash_key UNIQUE (hash),
    CONSTRAINT admin_token_role_check CHECK (role IN ('viewer', 'operator', 'admin'))
);

-- Among the living a label names one token, so that the audit's actor does.
CREATE UNIQUE INDEX admin_token_label_key ON admin_token (label) WHERE revoked IS NULL;

-- Sessions that were ended before their time: a copy of the cookie opens nothing, in no replica.
CREATE TABLE ended_session (
    id uuid NOT NULL,
    -- When it would have ended by itself.
    until timestamptz NOT NULL,
    CONSTRAINT ended_session_pkey PRIMARY KEY (id)
);

-- SCIM requests by quarter of an hour, for the charts: what each replica adds up once a minute.
CREATE TABLE request_count (
    tenant_id uuid NOT NULL,
    -- Beginning of the quarter.
    at timestamptz NOT NULL,
    total bigint NOT NULL,
    -- Answered 429 or 5xx.
    failed bigint NOT NULL,
    CONSTRAINT request_count_pkey PRIMARY KEY (tenant_id, at),
    CONSTRAINT request_count_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE CASCADE
);

-- Calls to Jira by quarter of an hour, likewise.
CREATE TABLE call_count (
    target text COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    total bigint NOT NULL,
    -- No answer, or one of 4xx or 5xx.
    failed bigint NOT NULL,
    CONSTRAINT call_count_pkey PRIMARY KEY (target, at)
);
