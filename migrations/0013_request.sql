-- Every request, also those that changed nothing: who asked for what, when, and how it was answered. Written a moment after the
-- answer, many at a time; what a request changed is in audit, which is written with the change itself.
CREATE TABLE request (
    -- Nobody's (a wrong credential for a tenant that there is not, or of the whole installation): the nil UUID.
    tenant_id uuid NOT NULL,
    at timestamptz NOT NULL,
    id uuid NOT NULL,
    -- Ours, as audit and delivery know it.
    request_id uuid NOT NULL,
    -- The client's own id, which it may have given to many requests.
    given text,
    -- scim | admin
    side text COLLATE "C" NOT NULL,
    -- Label of the credential; empty where none was accepted.
    actor text NOT NULL,
    remote text,
    method text COLLATE "C" NOT NULL,
    -- With its query, without secrets.
    path text NOT NULL,
    -- NULL: nobody heard an answer.
    status smallint,
    duration_us integer NOT NULL,
    -- Whether it has rows in audit.
    changed boolean NOT NULL,
    -- The body of a request that changed nothing, without secrets.
    body jsonb,
    -- What the client was told when it was refused.
    error text,
    -- Every word of it, folded, and what the filters look for (m:post, s:409, a:label, r:address, id:request): made by the program.
    words tsvector NOT NULL,
    CONSTRAINT request_pkey PRIMARY KEY (tenant_id, at, id),
    CONSTRAINT request_side_check CHECK (side IN ('scim', 'admin'))
) PARTITION BY RANGE (at);

CREATE INDEX request_request_id ON request (tenant_id, request_id);
-- A short pending list: every search reads all of it.
CREATE INDEX request_words ON request USING gin (words) WITH (gin_pending_list_limit = 1024);

-- A safety net: rows of a day that nobody made a partition for.
CREATE TABLE request_default PARTITION OF request DEFAULT;

-- What a request changed, and what was done to Jira because of it.
CREATE INDEX audit_request_id ON audit (tenant_id, request_id);
CREATE INDEX delivery_request_id ON delivery (tenant_id, request_id);
-- Changes that no client asked for over the network: by command, of the daemon itself, of a source that is read.
CREATE INDEX audit_inside ON audit (tenant_id, at, id) WHERE remote IS NULL;

-- Their words, which no request has. Cut alike by every server: only ASCII separates words and has small letters here.
CREATE FUNCTION audit_words(actor text, action text, subject uuid, body jsonb) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_to_tsvector(ARRAY(
        SELECT DISTINCT left(word, 60) FROM regexp_split_to_table(
            lower((actor || ' ' || action || ' ' || subject::text || ' ' || coalesce(body::text, '')) COLLATE "C"),
            '[\x01-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]+') AS word
        WHERE word <> '' LIMIT 400))
$$;
ALTER TABLE audit ADD COLUMN words tsvector
    GENERATED ALWAYS AS (CASE WHEN remote IS NULL THEN audit_words(actor, action, subject_id, body) END) STORED;
CREATE INDEX audit_inside_words ON audit USING gin (words) WITH (gin_pending_list_limit = 1024) WHERE remote IS NULL;
