//! The statements behind filtered, sorted and walked lists.
//!
//! A walk goes on behind (sort value, id) of the last resource, so its last page costs what its first one does. In the
//! order a resource without a value is greater than any that has one; an index cannot jump to such a place with one
//! condition, so a page that lies on both sides of that border is read in two [`Segment`]s. A resource whose sort value
//! changes during a walk may be seen twice or not at all; every other one is seen once.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{Connection, PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use super::{Listed, Of, Place, Start, Wanted, clamp};
use crate::scim::Attrs;
use crate::scim::filter::{AttrRef, Expr};
use crate::scim::folded::instant;
use crate::store::StoreError;
use crate::store::filter_sql::{self, Key, KeyType};

type Sql = QueryBuilder<Postgres>;

/// Resources of one type among those that are listed.
pub(super) struct Part<'a> {
    pub(super) of: Of,
    pub(super) wanted: Wanted<'a>,
}

impl<'a> Part<'a> {
    fn attr(&self) -> Option<&'a AttrRef> {
        self.wanted.sort.and_then(|sort| sort.attr.as_ref())
    }
}

/// A stretch of the order.
#[derive(Clone, Copy, Debug)]
pub(super) enum Segment<'a> {
    /// Everything.
    Whole,
    /// Behind that id, where ids are the order.
    Behind(&'a Place),
    /// What has a sort value; behind that place.
    Valued(Option<&'a Place>),
    /// What has none; behind that place.
    Missing(Option<&'a Place>),
}

/// Reads what is listed, segment by segment until the page is full.
pub(super) async fn rows(
    conn: &mut PgConnection,
    parts: &[Part<'_>],
    start: Start<'_>,
    limit: u64,
) -> Result<Vec<Listed>, StoreError> {
    let order = Order::of(parts);
    let (offset, segments) = match start {
        Start::Offset(offset) => (offset, vec![Segment::Whole]),
        Start::After(place) => (0, order.segments(place)),
    };
    let mut rows = Vec::new();
    for segment in segments {
        let left = limit.saturating_sub(rows.len() as u64);
        if left == 0 {
            break;
        }
        let (mut sql, plan) = order.query(parts, segment, offset, left);
        let read: Vec<Row> = match plan {
            Plan::Once => {
                let mut tx = planned_by_value(conn).await?;
                let read = sql.build_query_as().persistent(false).fetch_all(&mut *tx).await?;
                tx.commit().await?;
                read
            }
            plan => sql.build_query_as().persistent(plan == Plan::Kept).fetch_all(&mut *conn).await?,
        };
        rows.extend(read.into_iter().map(Listed::from));
    }
    Ok(rows)
}

/// How many match.
pub(super) async fn count(conn: &mut PgConnection, part: &Part<'_>) -> Result<i64, StoreError> {
    let (mut sql, plan) = hits(std::slice::from_ref(part), None);
    sql.push(" SELECT count(*) FROM hit");
    let query = sql.build_query_scalar();
    if plan == Plan::Once {
        let mut tx = planned_by_value(conn).await?;
        let n = query.persistent(false).fetch_one(&mut *tx).await?;
        tx.commit().await?;
        return Ok(n);
    }
    Ok(query.persistent(plan == Plan::Kept).fetch_one(conn).await?)
}

/// How a statement is planned. The connections plan by default without looking at the values, which is right where an
/// index finds the few rows that are wanted, whatever they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan {
    /// Once for all: it comes again and again.
    Kept,
    /// Each time alike.
    Alike,
    /// For its values: how many rows a range has, and how many are wanted of an order, decides which index serves.
    Once,
}

async fn planned_by_value(conn: &mut PgConnection) -> Result<sqlx::Transaction<'_, Postgres>, StoreError> {
    let mut tx = conn.begin().await?;
    sqlx::query("SET LOCAL plan_cache_mode = force_custom_plan").execute(&mut *tx).await?;
    Ok(tx)
}

#[derive(sqlx::FromRow)]
struct Row {
    is_group: bool,
    id: Uuid,
    attrs: Json<Attrs>,
    version: i64,
    created: DateTime<Utc>,
    modified: DateTime<Utc>,
    key: Option<String>,
}

impl From<Row> for Listed {
    fn from(row: Row) -> Self {
        Self {
            of: if row.is_group { Of::Groups } else { Of::Users },
            id: row.id,
            attrs: row.attrs.0,
            version: row.version,
            created: row.created,
            modified: row.modified,
            key: row.key,
        }
    }
}

/// The order of a list.
struct Order {
    /// `None`: the ids are the order.
    key: Option<Key>,
    descending: bool,
    /// Users and groups: with the same sort value, users come first.
    both: bool,
}

impl Order {
    fn of(parts: &[Part<'_>]) -> Self {
        let keys: Vec<Option<Key>> = parts.iter().map(|part| part.attr().and_then(|a| Key::of(part.of, a))).collect();
        let known = keys.iter().flatten().next().copied();
        let lacks = |of_part: &Option<Key>, ty| of_part.is_none_or(|of_part| of_part.nullable || of_part.ty != ty);
        let nullable = |key: Key| Key { nullable: keys.iter().any(|of_part| lacks(of_part, key.ty)), ..key };
        Self {
            key: known.map(nullable),
            descending: parts.iter().any(|part| part.wanted.sort.is_some_and(|sort| sort.descending)),
            both: parts.len() > 1,
        }
    }

    /// What lies behind a place, in order.
    fn segments<'a>(&self, place: Option<&'a Place>) -> Vec<Segment<'a>> {
        let Some(key) = self.key else { return vec![place.map_or(Segment::Whole, Segment::Behind)] };
        let missing_first = self.descending;
        let here = match place {
            Some(place) if place.key.is_some() => Segment::Valued(Some(place)),
            Some(place) => Segment::Missing(Some(place)),
            None if missing_first && key.nullable => Segment::Missing(None),
            None => Segment::Valued(None),
        };
        let next = match here {
            Segment::Missing(_) if missing_first => Some(Segment::Valued(None)),
            Segment::Valued(_) if !missing_first && key.nullable => Some(Segment::Missing(None)),
            _ => None,
        };
        std::iter::once(here).chain(next).collect()
    }

    fn query(&self, parts: &[Part<'_>], segment: Segment<'_>, offset: u64, limit: u64) -> (Sql, Plan) {
        let (mut sql, plan) = hits(parts, self.key);
        sql.push(", page AS (SELECT * FROM hit");
        self.push_segment(&mut sql, segment);
        self.push_order(&mut sql, "");
        sql.push(" OFFSET ").push_bind(clamp(offset)).push(" LIMIT ").push_bind(clamp(limit));
        sql.push(") SELECT p.is_group, p.id, p.attrs, p.created, ");
        if parts.iter().any(|part| part.of == Of::Groups) {
            sql.push("p.version + t.n AS version, greatest(p.modified, t.at) AS modified, ");
        } else {
            sql.push("p.version, p.modified, ");
        }
        sql.push(match self.key.map(|key| key.ty) {
            None => "NULL AS key",
            Some(KeyType::Instant) => r#"to_char(p.key AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS key"#,
            Some(_) => "p.key::text AS key",
        });
        sql.push(" FROM page p");
        if parts.iter().any(|part| part.of == Of::Groups) {
            // Users have no touches.
            sql.push(
                ", LATERAL (SELECT count(*) AS n, max(at) AS at FROM group_touch
                   WHERE tenant_id = p.tenant_id AND group_id = p.id) t",
            );
        }
        self.push_order(&mut sql, "p.");
        (sql, plan)
    }

    fn push_order(&self, sql: &mut Sql, of: &'static str) {
        // NULLS LAST ascending and FIRST descending is what Postgres does by itself, and what its indexes give.
        let direction = if self.descending { " DESC" } else { "" };
        sql.push(" ORDER BY ");
        if self.key.is_some() {
            sql.push(of).push("key").push(direction).push(", ");
        }
        if self.both {
            sql.push(of).push("is_group").push(direction).push(", ");
        }
        sql.push(of).push("id").push(direction);
    }

    fn push_segment(&self, sql: &mut Sql, segment: Segment<'_>) {
        match segment {
            Segment::Whole => {}
            Segment::Behind(place) => {
                sql.push(" WHERE ");
                self.push_behind(sql, place);
            }
            Segment::Missing(place) => {
                sql.push(" WHERE key IS NULL");
                if let Some(place) = place {
                    sql.push(" AND ");
                    self.push_behind(sql, place);
                }
            }
            Segment::Valued(None) => {
                if self.key.is_some_and(|key| key.nullable) {
                    sql.push(" WHERE key IS NOT NULL");
                }
            }
            Segment::Valued(Some(place)) => {
                sql.push(" WHERE ");
                self.push_behind(sql, place);
            }
        }
    }

    /// Row comparison: exactly the order, and what an index can jump to.
    fn push_behind(&self, sql: &mut Sql, place: &Place) {
        let valued = self.key.zip(place.key.as_deref());
        sql.push("(").push(if valued.is_some() { "key, " } else { "" });
        sql.push(if self.both { "is_group, id) " } else { "id) " });
        sql.push(if self.descending { "< (" } else { "> (" });
        if let Some((key, value)) = valued {
            push_key_value(sql, key.ty, value);
            sql.push(", ");
        }
        if self.both {
            sql.push_bind(place.of == Of::Groups).push(", ");
        }
        sql.push_bind(place.id).push(")");
    }
}

/// A sort value as it came from [`Listed::key`]; the cursor that brought it was checked.
fn push_key_value(sql: &mut Sql, ty: KeyType, value: &str) {
    match ty {
        KeyType::Text => sql.push_bind(value.to_owned()),
        KeyType::Instant => sql.push_bind(instant(value)),
        KeyType::Flag => sql.push_bind(value == "true"),
        KeyType::Number => sql.push_bind(value.to_owned()).push("::numeric"),
    };
}

/// `WITH hit AS (...)`: the living resources of the tenant that match, with what they are sorted by.
///
/// Where an index finds them the matches are materialised, so that `ORDER BY id LIMIT` cannot tempt the planner into
/// walking the primary key instead; elsewhere the page may stop early.
pub(super) fn hits(parts: &[Part<'_>], key: Option<Key>) -> (Sql, Plan) {
    let filters = || parts.iter().map(|part| part.wanted.filter);
    let indexed = parts.iter().all(|part| part.wanted.filter.is_some_and(|f| filter_sql::is_indexed(part.of, f)));
    let compound = filters().flatten().any(|filter| matches!(filter, Expr::And(_) | Expr::Or(_)));
    let plan = match key {
        Some(_) => Plan::Once,
        None if !indexed && filters().any(|filter| filter.is_some()) => Plan::Once,
        None if compound => Plan::Alike,
        None => Plan::Kept,
    };
    let mut sql = QueryBuilder::new("WITH hit AS ");
    sql.push(if indexed { "MATERIALIZED (" } else { "NOT MATERIALIZED (" });
    for (index, part) in parts.iter().enumerate() {
        sql.push(if index > 0 { " UNION ALL " } else { "" });
        push_hits(&mut sql, part, key);
    }
    sql.push(")");
    (sql, plan)
}

fn push_hits(sql: &mut Sql, part: &Part<'_>, key: Option<Key>) {
    let Wanted { tenant_id, filter, base, .. } = part.wanted;
    sql.push(match part.of {
        Of::Users => "SELECT FALSE AS is_group, u.tenant_id, u.id, u.attrs, u.version, u.created, u.modified",
        Of::Groups => "SELECT TRUE AS is_group, g.tenant_id, g.id, g.attrs, g.version, g.created, g.modified",
    });
    if let Some(key) = key {
        sql.push(", ");
        // At the root an attribute may have another type there, which cannot be put in one order: such values count as none.
        match part.attr().filter(|attr| Key::of(part.of, attr).is_some_and(|of_part| of_part.ty == key.ty)) {
            Some(attr) => filter_sql::push_key(sql, part.of, base, attr),
            None => {
                sql.push("NULL::").push(key.ty.as_sql());
            }
        }
        sql.push(" AS key");
    }
    sql.push(match part.of {
        Of::Users => " FROM scim_user u WHERE u.deleted_at IS NULL AND u.tenant_id = ",
        Of::Groups => " FROM scim_group g WHERE g.deleted_at IS NULL AND g.tenant_id = ",
    });
    sql.push_bind(tenant_id);
    if let Some(filter) = filter {
        sql.push(" AND ");
        filter_sql::push(sql, part.of, tenant_id, base, filter);
    }
}
