//! Users and groups for those who look for one: by the beginning of a name, by a whole address or id. A page costs what it
//! shows, however many there are.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::StoreError;
use crate::account::fold;

/// The members of a group are counted this far: a page of large groups costs no more than that for each.
pub const MOST_COUNTED: i64 = 10_000;

/// A user as lists show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UserListed {
    /// The id.
    pub id: Uuid,
    /// Where it stands in the list.
    #[serde(skip)]
    pub key: String,
    /// As the client wrote it.
    pub user_name: String,
    /// The name that is shown.
    pub display_name: Option<String>,
    /// The first address.
    pub email: Option<String>,
    /// What the identity provider says.
    pub active: bool,
    /// Found in Jira, and not written by a client yet.
    pub imported: bool,
    /// When it was changed last.
    pub modified: DateTime<Utc>,
    /// Login name of the linked account.
    pub account: Option<String>,
}

/// A group as lists show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupListed {
    /// The id.
    pub id: Uuid,
    /// Where it stands in the list.
    #[serde(skip)]
    pub key: String,
    /// As the client wrote it.
    pub display_name: String,
    /// Direct members, counted up to [`MOST_COUNTED`].
    pub members: i64,
    /// Found in Jira, and not written by a client yet.
    pub imported: bool,
    /// When its own attributes were changed last.
    pub modified: DateTime<Utc>,
}

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub struct Sought {
    /// The beginning of a folded name.
    prefix: String,
    /// The first name that does not begin so any more; none: there is no such.
    beyond: Option<String>,
    /// The whole of an address, or an id.
    whole: Option<(String, Option<Uuid>)>,
}

impl Sought {
    /// Everything, or what this text means.
    pub fn of(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self::default();
        }
        let prefix = fold(text);
        Self { beyond: beyond(&prefix), whole: Some((prefix.clone(), Uuid::parse_str(text).ok())), prefix }
    }
}

/// The first text, by bytes, behind all that begin with this one.
fn beyond(prefix: &str) -> Option<String> {
    let mut letters: Vec<char> = prefix.chars().collect();
    while let Some(last) = letters.pop() {
        // Surrogates are no letters.
        let next = if last == '\u{d7ff}' { Some('\u{e000}') } else { char::from_u32(u32::from(last) + 1) };
        if let Some(next) = next {
            letters.push(next);
            return Some(letters.into_iter().collect());
        }
    }
    None
}

/// The living users behind `after` by name, so many.
///
/// # Errors
/// The store failed.
pub async fn users(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    sought: &Sought,
    after: &str,
    limit: i64,
) -> Result<Vec<UserListed>, StoreError> {
    let mut found = users_by_name(conn, tenant_id, sought, after, limit).await?;
    // Whoever is meant by an address or an id comes first, once.
    if let (Some((email, id)), true) = (&sought.whole, after.is_empty()) {
        let mut whole = users_by_whole(conn, tenant_id, email, *id).await?;
        whole.retain(|one| found.iter().all(|other| other.id != one.id));
        whole.append(&mut found);
        found = whole;
    }
    Ok(found)
}

async fn users_by_name(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    sought: &Sought,
    after: &str,
    limit: i64,
) -> Result<Vec<UserListed>, StoreError> {
    Ok(sqlx::query_as!(
        UserListed,
        r#"-- people.users
        SELECT u.id, u.user_name_key AS key, u.attrs ->> 'userName' AS "user_name!",
            coalesce(u.attrs ->> 'displayName', u.attrs #>> '{name,formatted}') AS display_name,
            u.attrs #>> '{emails,0,value}' AS email, u.active, u.origin IS NOT NULL AS "imported!", u.modified,
            l.record #>> '{known,linked,seen,username}' AS account
        FROM scim_user u LEFT JOIN link l ON l.tenant_id = u.tenant_id AND l.user_id = u.id
        WHERE u.tenant_id = $1 AND u.deleted_at IS NULL AND u.user_name_key > $2 AND u.user_name_key >= $3
          AND ($4::text IS NULL OR u.user_name_key < $4)
        ORDER BY u.user_name_key LIMIT $5"#,
        tenant_id,
        after,
        sought.prefix,
        sought.beyond,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

async fn users_by_whole(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    email: &str,
    id: Option<Uuid>,
) -> Result<Vec<UserListed>, StoreError> {
    Ok(sqlx::query_as!(
        UserListed,
        r#"-- people.users_by_whole
        SELECT u.id, u.user_name_key AS key, u.attrs ->> 'userName' AS "user_name!",
            coalesce(u.attrs ->> 'displayName', u.attrs #>> '{name,formatted}') AS display_name,
            u.attrs #>> '{emails,0,value}' AS email, u.active, u.origin IS NOT NULL AS "imported!", u.modified,
            l.record #>> '{known,linked,seen,username}' AS account
        FROM scim_user u LEFT JOIN link l ON l.tenant_id = u.tenant_id AND l.user_id = u.id
        WHERE u.tenant_id = $1 AND u.deleted_at IS NULL AND u.id IN (
            SELECT id FROM scim_user WHERE tenant_id = $1 AND id = $3
            UNION SELECT id FROM scim_user WHERE tenant_id = $1 AND email_keys @> ARRAY[$2] AND deleted_at IS NULL)
        ORDER BY u.user_name_key LIMIT 20"#,
        tenant_id,
        email,
        id,
    )
    .fetch_all(conn)
    .await?)
}

/// The living groups behind `after` by name, so many.
///
/// # Errors
/// The store failed.
pub async fn groups(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    sought: &Sought,
    after: &str,
    limit: i64,
) -> Result<Vec<GroupListed>, StoreError> {
    let id = sought.whole.as_ref().and_then(|(_, id)| *id);
    Ok(sqlx::query_as!(
        GroupListed,
        r#"-- people.groups
        SELECT g.id, g.display_name_key AS key, g.attrs ->> 'displayName' AS "display_name!",
            (SELECT count(*) FROM (SELECT FROM group_member m
                WHERE m.tenant_id = g.tenant_id AND m.group_id = g.id LIMIT $7) AS counted) AS "members!",
            g.origin IS NOT NULL AS "imported!", g.modified
        FROM scim_group g
        WHERE g.tenant_id = $1 AND g.deleted_at IS NULL AND g.display_name_key > $2
          AND (($6::uuid IS NULL AND g.display_name_key >= $3 AND ($4::text IS NULL OR g.display_name_key < $4))
            OR g.id = $6)
        ORDER BY g.display_name_key LIMIT $5"#,
        tenant_id,
        after,
        sought.prefix,
        sought.beyond,
        limit,
        id,
        MOST_COUNTED,
    )
    .fetch_all(conn)
    .await?)
}

/// One user with what is on record of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UserDetail {
    /// The id.
    pub id: Uuid,
    /// What the client owns.
    pub attrs: Value,
    /// Its version.
    pub version: i64,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was changed last.
    pub modified: DateTime<Utc>,
    /// Found in Jira, and not written by a client yet.
    pub imported: bool,
}

/// The living user of that id.
///
/// # Errors
/// The store failed.
pub async fn user(conn: &mut PgConnection, tenant_id: Uuid, id: Uuid) -> Result<Option<UserDetail>, StoreError> {
    Ok(sqlx::query_as!(
        UserDetail,
        r#"-- people.user
        SELECT id, attrs, version, created, modified, origin IS NOT NULL AS "imported!"
        FROM scim_user WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL"#,
        tenant_id,
        id,
    )
    .fetch_optional(conn)
    .await?)
}

/// One user as lists show it.
///
/// # Errors
/// The store failed.
pub async fn listed(conn: &mut PgConnection, tenant_id: Uuid, id: Uuid) -> Result<Option<UserListed>, StoreError> {
    Ok(users_by_whole(conn, tenant_id, "", Some(id)).await?.pop())
}

/// A group that a user is in, directly or through another one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InGroup {
    /// The id.
    pub id: Uuid,
    /// Its name.
    pub display_name: String,
    /// Not through another group.
    pub direct: bool,
}

/// The groups that a user is in, by name, so many.
///
/// # Errors
/// The store failed.
pub async fn groups_of(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    user_id: Uuid,
    limit: i64,
) -> Result<Vec<InGroup>, StoreError> {
    Ok(sqlx::query_as!(
        InGroup,
        r#"-- people.groups_of
        WITH RECURSIVE above (id, direct) AS (
            SELECT group_id, true FROM group_member WHERE tenant_id = $1 AND member_id = $2
          UNION
            SELECT m.group_id, false FROM above a JOIN group_member m ON m.tenant_id = $1 AND m.member_id = a.id
        )
        SELECT g.id, g.attrs ->> 'displayName' AS "display_name!", bool_or(a.direct) AS "direct!"
        FROM above a JOIN scim_group g ON g.tenant_id = $1 AND g.id = a.id AND g.deleted_at IS NULL
        GROUP BY g.id, g.attrs, g.display_name_key ORDER BY g.display_name_key LIMIT $3"#,
        tenant_id,
        user_id,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

#[cfg(test)]
mod tests {
    use super::beyond;

    #[test]
    fn behind_everything_that_begins_so_comes_the_next_letter() {
        assert_eq!(beyond("ann"), Some("ano".to_owned()));
        assert_eq!(beyond("a\u{10ffff}"), Some("b".to_owned()));
        assert_eq!(beyond("\u{d7ff}"), Some("\u{e000}".to_owned()));
        assert_eq!(beyond("\u{10ffff}"), None);
    }
}
