//! Pages of the list: requests and changes of one tenant or of several, merged by time.

use std::collections::BTreeMap;

use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{Cursor, Query, Row, inside, search as rows, show};
use crate::store::{Store, StoreError};

/// A page of the list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The newest first.
    pub rows: Vec<Row>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Cursor>,
}

/// The next `limit` rows of these tenants ([`NOBODY`](super::NOBODY) is one, too) that fit.
///
/// # Errors
/// The database's.
pub async fn search(conn: &mut PgConnection, tenants: &[Uuid], query: &Query, limit: u32) -> Result<Page, StoreError> {
    let wanted = i64::from(limit) + 1;
    let mut tx = conn.begin().await?;
    // Which rows there are of something decides how they are found: these statements are planned for their values.
    sqlx::query!("SET LOCAL plan_cache_mode = force_custom_plan").execute(&mut *tx).await?;
    sqlx::query!("SET LOCAL statement_timeout = '30s'").execute(&mut *tx).await?;
    let mut all = Vec::new();
    for tenant in tenants {
        all.extend(rows::requests(&mut tx, *tenant, query, wanted).await?);
        all.extend(inside::inside(&mut tx, *tenant, query, wanted).await?);
    }
    all.sort_by_key(|row| std::cmp::Reverse((row.at, row.id)));
    let more = all.len() > limit as usize;
    all.truncate(limit as usize);
    let next = all.last().filter(|_| more).map(|row| Cursor { at: row.at, id: row.id });
    for (tenant, mut of_tenant) in by_tenant(&mut all) {
        show::complete(&mut tx, tenant, &mut of_tenant).await?;
        all.extend(of_tenant);
    }
    all.sort_by_key(|row| std::cmp::Reverse((row.at, row.id)));
    tx.rollback().await?;
    Ok(Page { rows: all, next })
}

fn by_tenant(all: &mut Vec<Row>) -> BTreeMap<Uuid, Vec<Row>> {
    let mut sorted: BTreeMap<Uuid, Vec<Row>> = BTreeMap::new();
    for row in all.drain(..) {
        sorted.entry(row.tenant.unwrap_or_default()).or_default().push(row);
    }
    sorted
}

/// The whole list, a page at a time: what holds it has a page in memory, however long it is.
#[derive(Clone, Debug)]
pub struct Pages {
    tenants: Vec<Uuid>,
    query: Query,
    ended: bool,
}

/// Rows of a page of an export.
const EXPORTED: u32 = 500;
/// Changes and deliveries of a page beyond the first of each row. A row that has more of them tells how many are left out.
const ROOM: usize = 10_000;

impl Pages {
    /// From the newest on.
    pub fn new(tenants: Vec<Uuid>, query: Query) -> Self {
        Self { tenants, query, ended: false }
    }

    /// The next page; `None` at the end.
    ///
    /// # Errors
    /// The database's.
    pub async fn next(&mut self, store: &Store) -> Result<Option<Vec<Row>>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        let mut conn = store.pool().acquire().await?;
        let mut page = search(&mut conn, &self.tenants, &self.query, EXPORTED).await?;
        let mut room = ROOM;
        let mut fits = 0;
        for row in &mut page.rows {
            if room == 0 {
                break;
            }
            show::whole(&mut conn, row.tenant.unwrap_or_default(), row, &mut room).await?;
            fits += 1;
        }
        if fits < page.rows.len() {
            // The rest of the page is the next one.
            page.rows.truncate(fits);
            page.next = page.rows.last().map(|row| Cursor { at: row.at, id: row.id });
        }
        self.query.after = page.next;
        self.ended = page.next.is_none();
        Ok(Some(page.rows))
    }
}
