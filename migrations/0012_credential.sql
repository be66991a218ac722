-- Further ways for an identity provider to say who it is, what each of them may do, and what people are told of them.

ALTER TABLE token
    -- secret: made here. password: chosen by somebody. client: an OAuth client of the token endpoint, its secret made here.
    ADD COLUMN kind text COLLATE "C" NOT NULL DEFAULT 'secret',
    -- A chosen password, as argon2id in the PHC form. What is made here has a hash instead.
    ADD COLUMN password text,
    -- read | write
    ADD COLUMN scope text COLLATE "C" NOT NULL DEFAULT 'write',
    -- Whether groups are out of bounds.
    ADD COLUMN users_only boolean NOT NULL DEFAULT false,
    -- When another one took its place; it is accepted until it expires.
    ADD COLUMN rotated timestamptz,
    ALTER COLUMN hash DROP NOT NULL,
    ADD CONSTRAINT token_kind_check CHECK (kind IN ('secret', 'password', 'client')),
    ADD CONSTRAINT token_scope_check CHECK (scope IN ('read', 'write')),
    ADD CONSTRAINT token_proof_check CHECK ((kind = 'password') = (password IS NOT NULL)
        AND (kind = 'password') = (hash IS NULL)),
    ADD CONSTRAINT token_username_check CHECK (kind = 'secret' OR username IS NOT NULL);

-- Chosen passwords and clients are found by their user name.
CREATE INDEX token_username ON token (tenant_id, username) WHERE username IS NOT NULL AND revoked IS NULL;

-- Who else may vouch for an identity provider: issuers of JWTs that a tenant trusts.
CREATE TABLE jwt_issuer (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    -- Its name; the actor in the audit.
    label text COLLATE "C" NOT NULL,
    -- What the claim iss must be.
    issuer text COLLATE "C" NOT NULL,
    -- Where its keys are, or the keys themselves.
    jwks_url text,
    jwks jsonb,
    -- What the claim aud must name.
    audience text COLLATE "C" NOT NULL,
    -- RS256, ES256, EdDSA
    algorithms text[] NOT NULL,
    -- How far its clock may be off.
    skew_seconds integer NOT NULL,
    -- What the claims sub (or azp, appid, client_id) and scope (or scp, roles) must have; NULL: anything.
    subject text,
    granted text,
    -- As for tokens.
    scope text COLLATE "C" NOT NULL DEFAULT 'write',
    users_only boolean NOT NULL DEFAULT false,
    -- The configuration file declares it; taken out of there, it is removed.
    declared boolean NOT NULL DEFAULT false,
    created timestamptz NOT NULL DEFAULT now(),
    -- Written at most once a minute.
    last_used timestamptz,
    CONSTRAINT jwt_issuer_pkey PRIMARY KEY (tenant_id, id),
    CONSTRAINT jwt_issuer_label_key UNIQUE (tenant_id, label),
    CONSTRAINT jwt_issuer_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE CASCADE,
    CONSTRAINT jwt_issuer_keys_check CHECK ((jwks_url IS NULL) <> (jwks IS NULL)),
    CONSTRAINT jwt_issuer_scope_check CHECK (scope IN ('read', 'write'))
);

-- What the token endpoint signs with, in every replica. A key is used for a day and known for two, so that whoever finds
-- an older copy of this database can forge nothing with it.
CREATE TABLE signing_key (
    id uuid NOT NULL,
    key bytea NOT NULL,
    created timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT signing_key_pkey PRIMARY KEY (id)
);

-- What people were told of and is not over: so that each is told once, by one replica, and its end as well.
CREATE TABLE alert_state (
    -- All zeros: of no tenant, but of a target.
    tenant_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    -- A credential, a target.
    subject text COLLATE "C" NOT NULL,
    -- How far it has come: days before the end, for instance.
    stage text COLLATE "C" NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT alert_state_pkey PRIMARY KEY (tenant_id, kind, subject)
);

-- The log has it.
ALTER TABLE alert ADD COLUMN logged boolean NOT NULL DEFAULT false;
-- What Jira refuses late is told in one alert, as long as nobody has heard of it.
CREATE UNIQUE INDEX alert_refused_key ON alert (tenant_id) WHERE kind = 'refused' AND attempts = 0 AND NOT logged;
