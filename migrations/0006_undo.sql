-- A create that the target refused is taken back as a tombstone where it had got somewhere. Such a person never left:
-- an account that was there before the create is left as it was found.
ALTER TABLE scim_user ADD COLUMN undone boolean NOT NULL DEFAULT false;
