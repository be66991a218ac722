-- What is not being done, found without reading what is: both indexes hold only the rows that have something to show.

-- A column of its own: an index on the record itself would make each of a drive's two writes of it a new index entry.
ALTER TABLE link ADD COLUMN stuck boolean NOT NULL GENERATED ALWAYS AS (record ? 'steps') STORED;
CREATE INDEX link_stuck ON link (tenant_id, user_id) WHERE stuck;

-- By state first: a refused group may leave a hundred thousand members waiting, and nobody who counts refusals reads those.
CREATE INDEX jira_membership_step ON jira_membership (tenant_id, (step ->> 'state'), user_id, group_key)
    WHERE step IS NOT NULL;
