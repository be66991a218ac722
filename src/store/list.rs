//! Reading many resources: pages of users and groups in any order, by place or by cursor, with exact totals.
//!
//! A group's version and `meta.lastModified` are derived here from its row and its touches; a page and its total may
//! come from two snapshots, each row is consistent in itself. Only the living are seen. Nothing is ever read into memory
//! but the rows of the page: what no index helps ends with the statement's time-out.

mod ordered;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use self::ordered::Part;
use super::StoreError;
use crate::scim::filter::Expr;
use crate::scim::{Attrs, Sort};

pub use super::filter_sql::Of;

/// Which resources of a tenant, and in which order.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The tenant.
    pub tenant_id: Uuid,
    /// Only those.
    pub filter: Option<&'a Expr>,
    /// By id where it does not say.
    pub sort: Option<&'a Sort>,
    /// The URL that `meta.location` and `$ref` begin with.
    pub base: &'a str,
}

impl Wanted<'_> {
    /// All of a tenant's, by id.
    pub fn all(tenant_id: Uuid) -> Self {
        Self { tenant_id, filter: None, sort: None, base: "" }
    }
}

/// Where a page begins.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    /// After so many.
    Offset(u64),
    /// Behind this resource, or with the first one.
    After(Option<&'a Place>),
}

/// A place in an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Users or groups, where both are listed.
    pub of: Of,
    /// The sort value in the words of [`Listed::key`].
    pub key: Option<String>,
    /// The id.
    pub id: Uuid,
}

/// A user or group as stored, with version and time of change derived.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// What it is.
    pub of: Of,
    /// The SCIM id.
    pub id: Uuid,
    /// What the client owns, without `members`.
    pub attrs: Attrs,
    /// For the ETag; of a group, its own plus one for each change of its members.
    pub version: i64,
    /// `meta.created`.
    pub created: DateTime<Utc>,
    /// `meta.lastModified`, of a group changes of its members included.
    pub modified: DateTime<Utc>,
    /// What it is sorted by, as text; instants in the form of [`instant_text`](crate::scim::folded::instant_text). `None`
    /// where it has no value, or the order is that of the ids.
    pub key: Option<String>,
}

impl Listed {
    /// Where the next page begins if this is the last of its page.
    pub fn place(&self) -> Place {
        Place { of: self.of, key: self.key.clone(), id: self.id }
    }
}

/// How many there are in all, where a page tells: one that is not full is the last one, so it says how many there are; an empty one behind the end says nothing.
pub fn total_from_page(offset: u64, limit: u64, rows: usize) -> Option<u64> {
    let rows = rows as u64;
    let last = rows < limit && (rows > 0 || offset == 0);
    last.then_some(offset + rows)
}

/// Offsets and limits beyond what Postgres counts with mean "very far".
fn clamp(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Users or groups in order, at most `limit` of them.
///
/// # Errors
/// The store failed; [`StoreError::TimedOut`] where a filter or an order that no index helps takes too long.
pub async fn rows(
    conn: &mut PgConnection,
    of: Of,
    wanted: &Wanted<'_>,
    start: Start<'_>,
    limit: u64,
) -> Result<Vec<Listed>, StoreError> {
    match (start, wanted) {
        _ if limit == 0 => Ok(Vec::new()),
        (Start::Offset(offset), Wanted { filter: None, sort: None, tenant_id, .. }) => {
            let rows = match of {
                Of::Users => every_user(conn, *tenant_id, offset, limit).await?,
                Of::Groups => every_group(conn, *tenant_id, offset, limit).await?,
            };
            Ok(rows.into_iter().map(|row| row.listed(of)).collect())
        }
        _ => ordered::rows(conn, &[Part { of, wanted: *wanted }], start, limit).await,
    }
}

/// Users and groups in one list, at most `limit` of them: in one order where both are sorted, else users before groups.
///
/// # Errors
/// As for [`rows`].
pub async fn rows_of_both(
    conn: &mut PgConnection,
    users: &Wanted<'_>,
    groups: &Wanted<'_>,
    start: Start<'_>,
    limit: u64,
) -> Result<Vec<Listed>, StoreError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    if users.sort.is_some() {
        let parts = [Part { of: Of::Users, wanted: *users }, Part { of: Of::Groups, wanted: *groups }];
        return ordered::rows(conn, &parts, start, limit).await;
    }
    if let Start::After(Some(Place { of: Of::Groups, .. })) = start {
        return rows(conn, Of::Groups, groups, start, limit).await;
    }
    let mut found = rows(conn, Of::Users, users, start, limit).await?;
    let left = limit.saturating_sub(found.len() as u64);
    if left > 0 {
        let start = match start {
            Start::After(_) => Start::After(None),
            Start::Offset(offset) => {
                let of_users = match total_from_page(offset, limit, found.len()) {
                    Some(total) => total,
                    None => count(conn, Of::Users, users).await?,
                };
                Start::Offset(offset.saturating_sub(of_users))
            }
        };
        found.extend(rows(conn, Of::Groups, groups, start, left).await?);
    }
    Ok(found)
}

/// How many match. Without a filter nothing is counted: the folded tally plus its deltas.
///
/// # Errors
/// As for [`rows`].
pub async fn count(conn: &mut PgConnection, of: Of, wanted: &Wanted<'_>) -> Result<u64, StoreError> {
    if wanted.filter.is_none() {
        let kind = if of == Of::Users { "user" } else { "group" };
        return tally(conn, wanted.tenant_id, kind).await;
    }
    let n = ordered::count(conn, &Part { of, wanted: Wanted { sort: None, ..*wanted } }).await?;
    Ok(u64::try_from(n).unwrap_or(0))
}

/// A row as the queries give it.
#[derive(sqlx::FromRow)]
struct Stored {
    id: Uuid,
    attrs: Json<Attrs>,
    version: i64,
    created: DateTime<Utc>,
    modified: DateTime<Utc>,
}

impl Stored {
    fn listed(self, of: Of) -> Listed {
        Listed {
            of,
            id: self.id,
            attrs: self.attrs.0,
            version: self.version,
            created: self.created,
            modified: self.modified,
            key: None,
        }
    }
}

/// What clients read page by page when they import everything. The place is looked for in an index of the living alone, so
/// that the rows before it are counted and not read.
async fn every_user(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    offset: u64,
    limit: u64,
) -> Result<Vec<Stored>, StoreError> {
    let rows = sqlx::query_as!(
        Stored,
        r#"SELECT id, attrs AS "attrs: Json<Attrs>", version, created, modified FROM scim_user
           WHERE tenant_id = $1 AND deleted_at IS NULL AND id >= (
               SELECT id FROM scim_user WHERE tenant_id = $1 AND deleted_at IS NULL ORDER BY id OFFSET $2 LIMIT 1
           ) ORDER BY id LIMIT $3"#,
        tenant_id,
        clamp(offset),
        clamp(limit),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

async fn every_group(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    offset: u64,
    limit: u64,
) -> Result<Vec<Stored>, StoreError> {
    let rows = sqlx::query_as!(
        Stored,
        r#"WITH page AS (
               SELECT tenant_id, id, attrs, version, created, modified FROM scim_group
               WHERE tenant_id = $1 AND deleted_at IS NULL ORDER BY id OFFSET $2 LIMIT $3
           )
           SELECT p.id, p.attrs AS "attrs: Json<Attrs>", p.version + t.n AS "version!", p.created,
                  greatest(p.modified, t.at) AS "modified!"
           FROM page p, LATERAL (
               SELECT count(*) AS n, max(at) AS at FROM group_touch
               WHERE tenant_id = p.tenant_id AND group_id = p.id
           ) t ORDER BY p.id"#,
        tenant_id,
        clamp(offset),
        clamp(limit),
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

async fn tally(conn: &mut PgConnection, tenant_id: Uuid, kind: &str) -> Result<u64, StoreError> {
    // One statement, hence one snapshot: the janitor's folding never shows.
    let n = sqlx::query_scalar!(
        r#"SELECT coalesce((SELECT n FROM tally WHERE tenant_id = $1 AND kind = $2), 0)
                + coalesce((SELECT sum(delta) FROM tally_delta WHERE tenant_id = $1 AND kind = $2), 0) AS "n!""#,
        tenant_id,
        kind,
    )
    .fetch_one(conn)
    .await?;
    Ok(u64::try_from(n).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::total_from_page;

    #[test]
    fn only_the_last_page_tells_the_total() {
        assert_eq!(total_from_page(0, 10, 3), Some(3));
        assert_eq!(total_from_page(20, 10, 3), Some(23));
        assert_eq!(total_from_page(0, 10, 0), Some(0));
        assert_eq!(total_from_page(20, 10, 0), None, "behind the end");
        assert_eq!(total_from_page(0, 10, 10), None, "there may be more");
        assert_eq!(total_from_page(0, 0, 0), None, "count=0 asks for the total only");
    }
}
