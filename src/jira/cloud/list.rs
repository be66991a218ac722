//! Complete listings. A place in a list is a cursor of Atlassian's, or where the next row begins.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::No;
use super::group::group_called;
use super::hosts::Host;
use super::person::{Found, Row, User};
use super::site_group::Bean;
use super::{Calls, Cloud, GroupRef, Page, TargetError, get, parse};
use crate::account::{AccountId, SeenAccount, SeenGroup};
use crate::jira::client::Request;

/// Rows of a page of the organisation, at most.
const PAGE: usize = 100;
/// Rows of a page of the site's users, at most; halved where the server needs too long for them (CLOUD-16).
const USERS: usize = 1000;
const FEWEST_USERS: usize = 50;

impl Cloud {
    /// All rows of what the organisation lists a page at a time with the cursor in the query (CLOUD-15).
    pub(super) async fn every_page<'a, T: DeserializeOwned>(
        &'a self,
        calls: &Calls<'_>,
        ask: impl Fn() -> Request<'a>,
    ) -> Result<Vec<T>, No> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let request = match cursor.as_deref() {
                Some(cursor) => ask().about("cursor", cursor),
                None => ask(),
            };
            let page: Found<T> = parse(self.hosts.look(calls, Host::Organization, request).await?)?;
            all.extend(page.data);
            cursor = page.links.next;
            if cursor.is_none() {
                return Ok(all);
            }
        }
    }

    /// Everybody in the directory, whatever the state; or everybody whom the site ever knew.
    pub(super) async fn page_of_people(
        &self,
        calls: &Calls<'_>,
        after: Option<&str>,
    ) -> Result<Page<SeenAccount>, TargetError> {
        if !self.hosts.has_organization() {
            return self.page_of_users(calls, after).await;
        }
        let directory = self.directory(calls).await?;
        let found = self.search_people(calls, directory, page(after, json!({}))).await?;
        let belongs = |row: &Row| row.state() != "not_invited" && row.is_person();
        let items = found.data.into_iter().filter(belongs).map(Row::seen).collect();
        Ok(Page { items, next: found.links.next })
    }

    /// No total and no cursor: an empty page is the end, a short one is not (CLOUD-16).
    async fn page_of_users(&self, calls: &Calls<'_>, after: Option<&str>) -> Result<Page<SeenAccount>, TargetError> {
        let start = place(after)?;
        let mut rows = USERS;
        loop {
            let (at, size) = (start.to_string(), rows.to_string());
            let request = get("user.list", "/rest/api/3/users/search").about("startAt", &at).about("maxResults", &size);
            let users = match self.hosts.look(calls, Host::Site, request).await {
                Ok(document) => parse::<Vec<User>>(document)?,
                Err(No::Conflict(_)) if rows > FEWEST_USERS => {
                    rows /= 2;
                    continue;
                }
                Err(no) => return Err(self.settle(calls, no, || "the list of users".to_owned()).await),
            };
            if users.is_empty() && start == 0 && !self.permissions(calls).await?.browses {
                return Err(super::probe::blind());
            }
            let next = (!users.is_empty()).then(|| (start + users.len()).to_string());
            let people =
                users.into_iter().filter(|user| user.account_type.as_deref().unwrap_or("atlassian") == "atlassian");
            return Ok(Page { items: people.map(User::seen).collect(), next });
        }
    }

    pub(super) async fn page_of_groups(
        &self,
        calls: &Calls<'_>,
        after: Option<&str>,
    ) -> Result<Page<SeenGroup>, TargetError> {
        let powers = self.powers(calls).await?;
        if self.hosts.has_organization() {
            let directory = self.directory(calls).await?;
            let found = self.search_groups(calls, directory, page(after, json!({}))).await?;
            let items = found.data.into_iter().map(|group| group.seen(&powers)).collect();
            return Ok(Page { items, next: found.links.next });
        }
        let start = place(after)?;
        let found = self.groups_in_bulk(calls, None, start).await?;
        let next = following(&found, start);
        let group = |group: super::person::GroupName| SeenGroup {
            administrative: powers.include(&group.name),
            name: group.name,
            id: group.group_id,
            read_only: None,
        };
        Ok(Page { items: found.values.into_iter().map(group).collect(), next })
    }

    /// Suspended members as well (CLOUD-38).
    pub(super) async fn page_of_members(
        &self,
        calls: &Calls<'_>,
        group: GroupRef<'_>,
        after: Option<&str>,
    ) -> Result<Page<AccountId>, TargetError> {
        let gone = || TargetError::Gone { what: group_called(group.name) };
        let id = self.group_id(calls, group).await?.ok_or_else(gone)?;
        if self.hosts.has_organization() {
            let directory = self.directory(calls).await?;
            let found = self.search_people(calls, directory, page(after, json!({"groupIds": [id]}))).await?;
            let items = found.data.into_iter().map(|row| AccountId(row.account_id)).collect();
            return Ok(Page { items, next: found.links.next });
        }
        let start = place(after)?;
        let at = start.to_string();
        let request = get("member.list", "/rest/api/3/group/member")
            .about("groupId", &id)
            .with("includeInactiveUsers", "true")
            .about("startAt", &at)
            .with("maxResults", "50");
        let found: Bean<User> = match self.hosts.look(calls, Host::Site, request).await {
            Ok(document) => parse(document)?,
            Err(no) => return Err(self.settle(calls, no, || group_called(group.name)).await),
        };
        let next = following(&found, start);
        Ok(Page { items: found.values.into_iter().map(|user| AccountId(user.account_id)).collect(), next })
    }
}

/// With a cursor every other filter is ignored (CLOUD-15).
fn page(after: Option<&str>, filters: Value) -> Value {
    match after {
        Some(cursor) => json!({"cursor": cursor, "limit": PAGE}),
        None => {
            let mut body = filters;
            body["limit"] = PAGE.into();
            body
        }
    }
}

fn place(after: Option<&str>) -> Result<usize, TargetError> {
    let wrong = |_| TargetError::Refused { reason: "This is no place in a list of Jira's".to_owned(), field: None };
    after.map_or(Ok(0), |text| text.parse().map_err(wrong))
}

fn following<T>(page: &Bean<T>, start: usize) -> Option<String> {
    let more = !page.values.is_empty() && page.is_last != Some(true);
    more.then(|| (start + page.values.len()).to_string())
}
