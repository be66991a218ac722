-- Sources that were made by the admin API rather than in the configuration file.
CREATE TABLE source_made (
    -- The tenant that it feeds; a tenant has one source.
    tenant_id uuid NOT NULL,
    -- What commands call it.
    name text COLLATE "C" NOT NULL,
    -- The keys of [[source]] but name and tenant. Secrets are files, of which only the names are here.
    settings jsonb NOT NULL,
    -- Grows with every change, so that every replica notices.
    version bigint NOT NULL DEFAULT 1,
    created timestamptz NOT NULL,
    modified timestamptz NOT NULL,
    CONSTRAINT source_made_pkey PRIMARY KEY (tenant_id),
    CONSTRAINT source_made_name_key UNIQUE (name),
    CONSTRAINT source_made_tenant_fkey FOREIGN KEY (tenant_id) REFERENCES tenant (id) ON DELETE CASCADE
);
