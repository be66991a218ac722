//! Reading many resources: pages of users and groups with exact totals.
//!
//! A group's version and `meta.lastModified` are derived here from its row and its touches; a page and its total may
//! come from two snapshots, each row is consistent in itself. Only the living are seen.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use super::{StoreError, filter_sql};
use crate::scim::Attrs;
use crate::scim::filter::Expr;

/// A user as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct UserRow {
    /// The SCIM id.
    pub id: Uuid,
    /// What the client owns.
    pub attrs: Attrs,
    /// For the ETag.
    pub version: i64,
    /// `meta.created`.
    pub created: DateTime<Utc>,
    /// `meta.lastModified`.
    pub modified: DateTime<Utc>,
}

/// A group as stored, with version and time of change derived.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupRow {
    /// The SCIM id.
    pub id: Uuid,
    /// What the client owns, without `members`.
    pub attrs: Attrs,
    /// For the ETag: the group's own version plus one for each change of its members.
    pub version: i64,
    /// `meta.created`.
    pub created: DateTime<Utc>,
    /// `meta.lastModified`, changes of its members included.
    pub modified: DateTime<Utc>,
}

/// One page of a list, with the number of all matches.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// How many match in all.
    pub total: u64,
    /// Those of this page, by id.
    pub rows: Vec<T>,
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

impl From<Stored> for UserRow {
    fn from(row: Stored) -> Self {
        Self { id: row.id, attrs: row.attrs.0, version: row.version, created: row.created, modified: row.modified }
    }
}

impl From<Stored> for GroupRow {
    fn from(row: Stored) -> Self {
        Self { id: row.id, attrs: row.attrs.0, version: row.version, created: row.created, modified: row.modified }
    }
}

/// A page of users with the exact total; one query where the page itself tells the total.
///
/// # Errors
/// The store failed; [`StoreError::TimedOut`] where a filter that no index helps takes too long.
pub async fn user_page(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    filter: Option<&Expr>,
    offset: u64,
    limit: u64,
) -> Result<Page<UserRow>, StoreError> {
    let rows = users(conn, tenant_id, filter, offset, limit).await?;
    let total = match total_from_page(offset, limit, rows.len()) {
        Some(total) => total,
        None => count_users(conn, tenant_id, filter).await?,
    };
    Ok(Page { total, rows })
}

/// A page of groups with the exact total; one query where the page itself tells the total.
///
/// # Errors
/// As for [`user_page`].
pub async fn group_page(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    filter: Option<&Expr>,
    offset: u64,
    limit: u64,
) -> Result<Page<GroupRow>, StoreError> {
    let rows = groups(conn, tenant_id, filter, offset, limit).await?;
    let total = match total_from_page(offset, limit, rows.len()) {
        Some(total) => total,
        None => count_groups(conn, tenant_id, filter).await?,
    };
    Ok(Page { total, rows })
}

/// A page that is not full is the last one, so it says how many there are; an empty one behind the end says nothing.
fn total_from_page(offset: u64, limit: u64, rows: usize) -> Option<u64> {
    let rows = rows as u64;
    let last = rows < limit && (rows > 0 || offset == 0);
    last.then_some(offset + rows)
}

/// Offsets and limits beyond what Postgres counts with mean "very far".
fn clamp(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Users by id, from `offset` on, at most `limit` of them.
///
/// # Errors
/// The store failed.
pub async fn users(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    filter: Option<&Expr>,
    offset: u64,
    limit: u64,
) -> Result<Vec<UserRow>, StoreError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let rows = match filter {
        None => {
            sqlx::query_as!(
                Stored,
                r#"SELECT id, attrs AS "attrs: Json<Attrs>", version, created, modified FROM scim_user
                   WHERE tenant_id = $1 AND deleted_at IS NULL ORDER BY id OFFSET $2 LIMIT $3"#,
                tenant_id,
                clamp(offset),
                clamp(limit),
            )
            .fetch_all(conn)
            .await?
        }
        Some(filter) => {
            let (mut sql, keep) = matching(filter_sql::Of::Users, tenant_id, filter);
            sql.push(" SELECT id, attrs, version, created, modified FROM hit ORDER BY id OFFSET ");
            sql.push_bind(clamp(offset)).push(" LIMIT ").push_bind(clamp(limit));
            sql.build_query_as::<Stored>().persistent(keep).fetch_all(conn).await?
        }
    };
    Ok(rows.into_iter().map(UserRow::from).collect())
}

/// How many users match. Without a filter nothing is counted: the folded tally plus its deltas.
///
/// # Errors
/// The store failed.
pub async fn count_users(conn: &mut PgConnection, tenant_id: Uuid, filter: Option<&Expr>) -> Result<u64, StoreError> {
    match filter {
        None => tally(conn, tenant_id, "user").await,
        Some(filter) => count(conn, filter_sql::Of::Users, tenant_id, filter).await,
    }
}

/// Groups by id, from `offset` on, at most `limit` of them.
///
/// # Errors
/// The store failed.
pub async fn groups(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    filter: Option<&Expr>,
    offset: u64,
    limit: u64,
) -> Result<Vec<GroupRow>, StoreError> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let rows = match filter {
        None => {
            sqlx::query_as!(
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
            .await?
        }
        Some(filter) => {
            let (mut sql, keep) = matching(filter_sql::Of::Groups, tenant_id, filter);
            sql.push(", page AS (SELECT * FROM hit ORDER BY id OFFSET ").push_bind(clamp(offset));
            sql.push(" LIMIT ").push_bind(clamp(limit));
            sql.push(
                ") SELECT p.id, p.attrs, p.version + t.n AS version, p.created, greatest(p.modified, t.at) AS modified
                   FROM page p, LATERAL (
                       SELECT count(*) AS n, max(at) AS at FROM group_touch
                       WHERE tenant_id = p.tenant_id AND group_id = p.id
                   ) t ORDER BY p.id",
            );
            sql.build_query_as::<Stored>().persistent(keep).fetch_all(conn).await?
        }
    };
    Ok(rows.into_iter().map(GroupRow::from).collect())
}

/// How many groups match. Without a filter nothing is counted: the folded tally plus its deltas.
///
/// # Errors
/// The store failed.
pub async fn count_groups(conn: &mut PgConnection, tenant_id: Uuid, filter: Option<&Expr>) -> Result<u64, StoreError> {
    match filter {
        None => tally(conn, tenant_id, "group").await,
        Some(filter) => count(conn, filter_sql::Of::Groups, tenant_id, filter).await,
    }
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

async fn count(conn: &mut PgConnection, of: filter_sql::Of, tenant_id: Uuid, filter: &Expr) -> Result<u64, StoreError> {
    let (mut sql, keep) = matching(of, tenant_id, filter);
    sql.push(" SELECT count(*) FROM hit");
    let n: i64 = sql.build_query_scalar().persistent(keep).fetch_one(conn).await?;
    Ok(u64::try_from(n).unwrap_or(0))
}

/// `WITH hit AS (...)`: the living resources of the tenant that match.
///
/// Where an index finds them the matches are materialised, so that `ORDER BY id LIMIT` cannot tempt the planner into
/// walking the primary key instead; elsewhere the page may stop early. With it comes whether the statement is one that
/// comes again and again, so that the connection should keep it prepared.
fn matching(of: filter_sql::Of, tenant_id: Uuid, filter: &Expr) -> (QueryBuilder<Postgres>, bool) {
    let indexed = filter_sql::is_indexed(of, filter);
    let how = if indexed { "MATERIALIZED" } else { "NOT MATERIALIZED" };
    let (table, alias) = match of {
        filter_sql::Of::Users => ("scim_user", "u"),
        filter_sql::Of::Groups => ("scim_group", "g"),
    };
    let mut sql = QueryBuilder::new(format!(
        "WITH hit AS {how} (SELECT {alias}.tenant_id, {alias}.id, {alias}.attrs, {alias}.version, {alias}.created,
         {alias}.modified FROM {table} {alias} WHERE {alias}.deleted_at IS NULL AND {alias}.tenant_id = "
    ));
    sql.push_bind(tenant_id).push(" AND ");
    filter_sql::push(&mut sql, of, tenant_id, filter);
    sql.push(")");
    (sql, indexed && !matches!(filter, Expr::And(_) | Expr::Or(_)))
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
