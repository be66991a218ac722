-- When people were last seen at the target; and what a target has that is not what was written there.

-- As the target told it last; NULL where it never did. Nothing of the resource: its version does not count it.
ALTER TABLE scim_user ADD COLUMN last_login timestamptz;
CREATE INDEX scim_user_last_login ON scim_user (tenant_id, last_login, id)
    WHERE deleted_at IS NULL AND last_login IS NOT NULL;
