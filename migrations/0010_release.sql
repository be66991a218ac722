-- A subject of a tenant in `observe` that is to be driven all the same, once, as far as these kinds of steps go.
ALTER TABLE outbox ADD COLUMN release text[], ADD COLUMN release_mark text COLLATE "C";
COMMENT ON COLUMN outbox.release IS
    'Kinds of steps (create, join, ...) that somebody released while the tenant observes; NULL: the mode decides alone.';
COMMENT ON COLUMN outbox.release_mark IS
    'A digest of what was wanted when it was released: whatever is wanted since then was not released with it.';
CREATE INDEX outbox_release ON outbox (tenant_id) WHERE release IS NOT NULL;
