-- One identity provider's configuration: its URL, its credentials, its policy, its one target.
CREATE TABLE tenant (
    id uuid NOT NULL,
    -- The name in the URL: /scim/{slug}/v2.
    slug text COLLATE "C" NOT NULL,
    -- Name of the [[target]] in the configuration.
    target text COLLATE "C" NOT NULL,
    -- observe: answer from the store, write nothing. enforce: write.
    mode text NOT NULL DEFAULT 'enforce',
    -- The rules from SCIM to Jira; typed in src/policy.
    policy jsonb NOT NULL DEFAULT '{}',
    -- Grows with every change of policy, mode or target; a drive plans with one version of it.
    policy_version bigint NOT NULL DEFAULT 1,
    -- True when the configuration file declares this tenant: then nothing else may change it.
    declared boolean NOT NULL DEFAULT false,
    created timestamptz NOT NULL DEFAULT now(),
    modified timestamptz NOT NULL DEFAULT now(),
    -- When the target's accounts were last compared with the tenants' users (policy.unmatched_accounts).
    compared_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT tenant_pkey PRIMARY KEY (id),
    CONSTRAINT tenant_slug_key UNIQUE (slug),
    CONSTRAINT tenant_mode_check CHECK (mode IN ('observe', 'enforce'))
);

-- Credentials. Several may be live at once, so that they can be rotated without a gap.
CREATE TABLE token (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    -- SHA-256 of 256 random bits; the token itself is shown once and never stored.
    hash bytea NOT NULL,
    label text COLLATE "C" NOT NULL,
    -- HTTP Basic: the user name that the secret is the password of. NULL: a bearer token.
    username text COLLATE "C",
    -- The user whom this credential stands for at /Me, by id; NULL: nobody.
    me uuid,
    created timestamptz NOT NULL DEFAULT now(),
    -- NULL: does not expire.
    expires timestamptz,
    revoked timestamptz,
    -- The configuration file declares this token; taken out of there, it is revoked.
    declared boolean NOT NULL DEFAULT false,
    -- Written at most once a minute.
    last_used timestamptz,
    CONSTRAINT token_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT token_hash_key UNIQUE (hash),
    CONSTRAINT token_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE CASCADE
);

-- Among the living a label names one credential, so that the audit's actor does.
CREATE UNIQUE INDEX token_label_key ON token (tenant_id, label) WHERE revoked IS NULL;
