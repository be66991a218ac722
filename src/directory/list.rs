//! Lists: pages of users, of groups, or of both, by place or by cursor.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::group::member;
use super::{Directory, DirectoryError, GroupRef, GroupView, Members, UserView};
use crate::scim::filter::Expr;
use crate::scim::{Cursor, Fingerprint, Sort};
use crate::store::list::{self, Listed, Of, Place, Wanted};
use crate::store::related;
use crate::store::tenant::Tenant;

/// So many members of each group of a page are read with it.
const FIRST_OF_MANY: i64 = 100;

/// A list request.
#[derive(Clone, Debug)]
pub struct ListQuery {
    /// Only those.
    pub filter: Option<Expr>,
    /// In this order; by id where it does not say.
    pub sort: Option<Sort>,
    /// Where the page begins.
    pub start: Start,
    /// At most so many.
    pub count: u64,
    /// Groups of users, members of groups.
    pub with_related: bool,
    /// The URL that `meta.location` and `$ref` begin with.
    pub base: String,
}

/// Where a page begins.
#[derive(Clone, Debug)]
pub enum Start {
    /// At this position, 1 being the first (RFC 7644 section 3.4.2.4).
    Index(u64),
    /// Where the page before ended, or with the first resource (RFC 9865).
    Cursor {
        /// Of this query.
        query: Fingerprint,
        /// Behind this place.
        after: Option<Cursor>,
    },
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// How many there are in all; with a cursor, how many there were when the first page was read.
    pub total: u64,
    /// Those of the page.
    pub items: Vec<T>,
    /// Where the next page begins, if cursors were asked for and there is one.
    pub next: Option<Cursor>,
}

/// A resource as a client may see it.
#[derive(Clone, Debug)]
pub enum View {
    /// A user.
    User(UserView),
    /// A group.
    Group(GroupView),
}

impl ListQuery {
    fn wanted(&self, tenant_id: Uuid) -> Wanted<'_> {
        Wanted { tenant_id, filter: self.filter.as_ref(), sort: self.sort.as_ref(), base: &self.base }
    }
}

/// What a list is of.
#[derive(Clone, Copy)]
enum Asked<'a> {
    One(Of, Wanted<'a>),
    Both { users: Wanted<'a>, groups: Wanted<'a> },
}

impl Asked<'_> {
    async fn rows(
        &self,
        conn: &mut PgConnection,
        start: list::Start<'_>,
        limit: u64,
    ) -> Result<Vec<Listed>, DirectoryError> {
        Ok(match self {
            Self::One(of, wanted) => list::rows(conn, *of, wanted, start, limit).await?,
            Self::Both { users, groups } => list::rows_of_both(conn, users, groups, start, limit).await?,
        })
    }

    async fn count(&self, conn: &mut PgConnection) -> Result<u64, DirectoryError> {
        Ok(match self {
            Self::One(of, wanted) => list::count(conn, *of, wanted).await?,
            Self::Both { users, groups } => {
                list::count(conn, Of::Users, users).await? + list::count(conn, Of::Groups, groups).await?
            }
        })
    }

    async fn page(&self, conn: &mut PgConnection, start: &Start, count: u64) -> Result<Page<Listed>, DirectoryError> {
        match start {
            Start::Index(index) => self.page_at(conn, index.saturating_sub(1), count).await,
            Start::Cursor { query, after } => self.page_behind(conn, *query, after.as_ref(), count).await,
        }
    }

    async fn page_at(&self, conn: &mut PgConnection, offset: u64, count: u64) -> Result<Page<Listed>, DirectoryError> {
        let items = self.rows(conn, list::Start::Offset(offset), count).await?;
        let total = match list::total_from_page(offset, count, items.len()) {
            Some(total) => total,
            None => self.count(conn).await?,
        };
        Ok(Page { total, items, next: None })
    }

    async fn page_behind(
        &self,
        conn: &mut PgConnection,
        query: Fingerprint,
        after: Option<&Cursor>,
        count: u64,
    ) -> Result<Page<Listed>, DirectoryError> {
        let place = after.map(|cursor| Place {
            of: if cursor.group { Of::Groups } else { Of::Users },
            key: cursor.key.clone(),
            id: cursor.id,
        });
        // One more tells whether there is another page. With count=0 there are no pages, only the total.
        let limit = if count == 0 { 0 } else { count.saturating_add(1) };
        let mut items = self.rows(conn, list::Start::After(place.as_ref()), limit).await?;
        let more = count > 0 && items.len() as u64 > count;
        items.truncate(usize::try_from(count).unwrap_or(usize::MAX));
        let total = match after {
            Some(cursor) => cursor.total,
            None if count > 0 && !more => items.len() as u64,
            None => self.count(conn).await?,
        };
        let last = items.last().filter(|_| more);
        let next = last.map(|row| Cursor::after(query, total, row.of == Of::Groups, row.key.clone(), row.id));
        Ok(Page { total, items, next })
    }
}

impl Directory {
    /// Lists users.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_users(&self, tenant: &Tenant, query: &ListQuery) -> Result<Page<UserView>, DirectoryError> {
        let mut conn = self.conn().await?;
        let asked = Asked::One(Of::Users, query.wanted(tenant.id));
        let page = asked.page(&mut conn, &query.start, query.count).await?;
        let mut items: Vec<UserView> = page.items.into_iter().map(|row| user(row, query.with_related)).collect();
        with_groups(&mut conn, tenant.id, items.iter_mut()).await?;
        Ok(Page { total: page.total, items, next: page.next })
    }

    /// Lists groups.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_groups(&self, tenant: &Tenant, query: &ListQuery) -> Result<Page<GroupView>, DirectoryError> {
        let mut conn = self.conn().await?;
        let asked = Asked::One(Of::Groups, query.wanted(tenant.id));
        let page = asked.page(&mut conn, &query.start, query.count).await?;
        let mut items: Vec<GroupView> = page.items.into_iter().map(|row| group(row, query.with_related)).collect();
        with_members(&mut conn, tenant.id, items.iter_mut()).await?;
        Ok(Page { total: page.total, items, next: page.next })
    }

    /// Lists users and groups together (RFC 7644 section 3.4.2.1): by their order, or else users before groups. Where the
    /// page begins and how long it is, the query for users says.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_both(
        &self,
        tenant: &Tenant,
        users: &ListQuery,
        groups: &ListQuery,
    ) -> Result<Page<View>, DirectoryError> {
        let mut conn = self.conn().await?;
        let asked = Asked::Both { users: users.wanted(tenant.id), groups: groups.wanted(tenant.id) };
        let page = asked.page(&mut conn, &users.start, users.count).await?;
        let view = |row: Listed| match row.of {
            Of::Users => View::User(user(row, users.with_related)),
            Of::Groups => View::Group(group(row, groups.with_related)),
        };
        let mut items: Vec<View> = page.items.into_iter().map(view).collect();
        let users = items.iter_mut().filter_map(|item| match item {
            View::User(user) => Some(user),
            View::Group(_) => None,
        });
        with_groups(&mut conn, tenant.id, users).await?;
        let groups = items.iter_mut().filter_map(|item| match item {
            View::Group(group) => Some(group),
            View::User(_) => None,
        });
        with_members(&mut conn, tenant.id, groups).await?;
        Ok(Page { total: page.total, items, next: page.next })
    }
}

fn user(row: Listed, with_groups: bool) -> UserView {
    UserView {
        id: row.id,
        attrs: row.attrs,
        version: row.version,
        created: row.created,
        modified: row.modified,
        groups: with_groups.then(Vec::new),
        last_login: None,
    }
}

fn group(row: Listed, with_members: bool) -> GroupView {
    GroupView {
        id: row.id,
        attrs: row.attrs,
        version: Some(row.version),
        created: row.created,
        modified: row.modified,
        members: with_members.then(Members::default),
    }
}

/// Reads the groups of those users that are to have them.
async fn with_groups(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    users: impl Iterator<Item = &mut UserView>,
) -> Result<(), DirectoryError> {
    let mut groups: HashMap<Uuid, &mut Vec<GroupRef>> =
        users.filter_map(|user| Some((user.id, user.groups.as_mut()?))).collect();
    if groups.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = groups.keys().copied().collect();
    for row in related::groups_of(conn, tenant_id, &ids).await? {
        if let Some(groups) = groups.get_mut(&row.user_id) {
            groups.push(GroupRef { id: row.group_id, display: row.display, direct: row.direct });
        }
    }
    Ok(())
}

/// Reads the first members of those groups that are to have them.
async fn with_members(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    groups: impl Iterator<Item = &mut GroupView>,
) -> Result<(), DirectoryError> {
    let mut members: HashMap<Uuid, &mut Members> =
        groups.filter_map(|group| Some((group.id, group.members.as_mut()?))).collect();
    if members.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = members.keys().copied().collect();
    for row in related::first_members(conn, tenant_id, &ids, FIRST_OF_MANY).await? {
        if let Some(members) = members.get_mut(&row.group_id) {
            members.first.push(member(row));
            members.more = members.first.len() as i64 == FIRST_OF_MANY;
        }
    }
    Ok(())
}
