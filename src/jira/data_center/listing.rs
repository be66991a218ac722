//! All accounts and all members, a page at a time: by the Crowd API where we have it, else by `user/list`, else by a walk over
//! the beginnings of usernames. Never by one search alone, which is cut off (DC-40, DC-41, DC-52, DC-67, DC-83).

use std::sync::Arc;

use serde::Deserialize;

use super::super::crowd::{self, Crowd};
use super::super::{Calls, Page, TargetError};
use super::bean::User;
use super::group::{MEMBERS, named, trimmed};
use super::user::the_account;
use super::walk::{Walk, known_cap, may_be_capped};
use super::{DataCenter, get, refuse};
use crate::account::{AccountId, By, SeenAccount};

const LIST: &str = "/rest/api/2/user/list";
const SEARCH: &str = "/rest/api/2/user/search";

/// Rows of a search; it gives what it likes (DC-40).
const ROWS: &str = "1000";

/// How a listing began, and where it is.
enum Place<'a> {
    Start,
    Crowd(usize),
    List(&'a str),
    Walk(Walk),
}

impl<'a> Place<'a> {
    fn read(after: Option<&'a str>) -> Result<Self, TargetError> {
        let Some(after) = after else { return Ok(Self::Start) };
        let (way, place) = after.split_once(' ').unwrap_or((after, ""));
        let read = match way {
            "crowd" => place.parse().ok().map(Self::Crowd),
            "list" => Some(Self::List(place)),
            "walk" => serde_json::from_str(place).ok().map(Self::Walk),
            _ => None,
        };
        read.ok_or_else(|| refuse("this listing did not begin here"))
    }
}

impl DataCenter {
    /// A page of all accounts.
    pub(super) async fn list_accounts(
        &self,
        calls: &Calls<'_>,
        after: Option<&str>,
    ) -> Result<Page<SeenAccount>, TargetError> {
        match (Place::read(after)?, &self.crowd) {
            (Place::Start, Some(crowd)) => match self.page_by_crowd(calls, crowd, 0).await {
                Ok(Some(page)) => Ok(page),
                // It does not tell the keys, which links are made of, or does not let us in.
                Ok(None) | Err(TargetError::Refused { .. }) => self.page_by_rest(calls).await,
                Err(error) => Err(error),
            },
            (Place::Start, None) => self.page_by_rest(calls).await,
            (Place::Crowd(start), Some(crowd)) => {
                let page = self.page_by_crowd(calls, crowd, start).await?;
                page.ok_or_else(|| refuse("the Crowd API names an account without its key"))
            }
            (Place::Crowd(_), None) => Err(refuse("this listing began with a Crowd credential, which is gone")),
            (Place::List(cursor), _) => {
                let page = self.page_of_list(calls, Some(cursor)).await?;
                page.ok_or_else(|| refuse("Jira no longer has user/list"))
            }
            (Place::Walk(walk), _) => self.page_of_walk(calls, walk).await,
        }
    }

    /// A page of all accounts without the Crowd API.
    pub(super) async fn list_by_rest(
        &self,
        calls: &Calls<'_>,
        after: Option<&str>,
    ) -> Result<Page<SeenAccount>, TargetError> {
        match Place::read(after)? {
            Place::Start => self.page_by_rest(calls).await,
            Place::Crowd(_) => Err(refuse("this listing did not begin here")),
            Place::List(_) | Place::Walk(_) => self.list_accounts(calls, after).await,
        }
    }

    async fn page_by_rest(&self, calls: &Calls<'_>) -> Result<Page<SeenAccount>, TargetError> {
        // Before 10 nobody has seen it, and a path that is not there looks like a Jira that is starting (DC-18).
        if self.known().user_list != Some(false) && !self.is_older_than(&[10]) {
            if let Some(page) = self.page_of_list(calls, None).await? {
                return Ok(page);
            }
            self.running(calls).await?;
            self.known().user_list = Some(false);
        }
        self.page_of_walk(calls, Walk::default()).await
    }

    /// `None` where this Jira has no such list.
    async fn page_of_list(
        &self,
        calls: &Calls<'_>,
        cursor: Option<&str>,
    ) -> Result<Option<Page<SeenAccount>>, TargetError> {
        let request = get("user.list", LIST);
        let request = match cursor {
            Some(cursor) => request.with("cursor", cursor),
            None => request,
        };
        let reply = match self.client.call_if_known(calls, request).await {
            Ok(Some(reply)) => reply,
            Ok(None) => return Ok(None),
            Err(rejection) => return Err(self.settle(calls, rejection, the_account).await),
        };
        let stream: Stream = reply.parse()?;
        let next = stream.next_cursor.map(Cursor::text).filter(|_| !stream.is_last.unwrap_or(false));
        // An end that is none would make everybody behind it look deleted; a place that does not move has no end.
        if stream.is_last == Some(false) && next.is_none() {
            return Err(refuse("the list of accounts is not at its end, but Jira does not say where it goes on"));
        }
        if next.is_some() && next.as_deref() == cursor {
            return Err(refuse(
                "the list of accounts does not go on: Jira answers with the place that it was asked for",
            ));
        }
        let items = stream.values.into_iter().map(User::seen).collect::<Result<_, _>>()?;
        Ok(Some(Page { items, next: next.map(|cursor| format!("list {cursor}")) }))
    }

    /// One question of the walk.
    async fn page_of_walk(&self, calls: &Calls<'_>, mut walk: Walk) -> Result<Page<SeenAccount>, TargetError> {
        let rows = match walk.question() {
            None => None,
            Some(text) => Some(self.search(calls, text).await?),
        };
        let cap = known_cap(&self.known().version);
        rows.iter().flatten().for_each(|seen| walk.learn(&seen.username));
        let (items, next) = match rows {
            Some(rows) if !may_be_capped(rows.len(), cap) => {
                let items = rows.into_iter().filter(|seen| walk.covers(&seen.username)).collect();
                (items, walk.onward())
            }
            _ => {
                let itself = match walk.itself() {
                    Some(name) => self.account_named(calls, name).await?,
                    None => None,
                };
                let next = walk.inward().ok_or_else(|| {
                    refuse(
                        "the list of accounts cannot be complete: Jira cuts its search off however much is asked for",
                    )
                })?;
                (itself.into_iter().collect(), Some(next))
            }
        };
        let next = next.map(|walk| serde_json::to_string(&walk)).transpose();
        let next = next.map_err(|error| refuse(format!("the place in the list cannot be written: {error}")))?;
        Ok(Page { items, next: next.map(|walk| format!("walk {walk}")) })
    }

    /// The only account of that address, with its groups. A search finds more than it is asked for, and may be cut off (DC-40).
    pub(super) async fn account_with_email(
        &self,
        calls: &Calls<'_>,
        email: &str,
    ) -> Result<Option<SeenAccount>, TargetError> {
        let rows = self.search(calls, email).await?;
        let cut_off = may_be_capped(rows.len(), known_cap(&self.known().version));
        let wanted = By::Email(email.to_owned());
        let mut having = rows.into_iter().filter(|seen| wanted.is(seen));
        match (having.next(), having.next()) {
            (Some(_), Some(_)) => Err(refuse(format!("more than one account has the address {email}"))),
            _ if cut_off => Err(refuse(format!("Jira cuts its search for {email} off: there may be more accounts"))),
            (Some(seen), None) => self.account_with_key(calls, &seen.id).await,
            (None, _) => Ok(None),
        }
    }

    async fn search(&self, calls: &Calls<'_>, text: &str) -> Result<Vec<SeenAccount>, TargetError> {
        let request =
            get("user.search", SEARCH).about("username", text).with("includeInactive", "true").with("maxResults", ROWS);
        let rows: Vec<User> = match self.call(calls, request).await {
            Ok(reply) => reply.parse()?,
            Err(rejection) => return Err(self.settle(calls, rejection, || "the search for accounts".to_owned()).await),
        };
        rows.into_iter().map(User::seen).collect()
    }

    /// With the groups of each account, from one snapshot for the whole listing. `None` where there are no keys.
    async fn page_by_crowd(
        &self,
        calls: &Calls<'_>,
        crowd: &Crowd,
        start: usize,
    ) -> Result<Option<Page<SeenAccount>>, TargetError> {
        let failed = |no: crowd::No| no.into_error(|| "the list of accounts".to_owned());
        let users = crowd.users(calls, start).await.map_err(failed)?;
        let kept = self.known().memberships.take().filter(|_| start > 0);
        let memberships = match kept {
            Some(kept) => kept,
            None => Arc::new(crowd.memberships(calls).await.map_err(failed)?),
        };
        let full = users.len() >= crowd::ROWS;
        let items: Option<Vec<_>> = users
            .into_iter()
            .map(|user| {
                let groups = memberships.groups_of(&user.name);
                user.seen(Some(groups))
            })
            .collect();
        if full {
            self.known().memberships = Some(memberships);
        }
        let next = full.then(|| format!("crowd {}", start + crowd::ROWS));
        Ok(items.map(|items| Page { items, next }))
    }

    /// A page of a group's members, active or not (DC-67, DC-68).
    pub(super) async fn list_members(
        &self,
        calls: &Calls<'_>,
        group: &str,
        after: Option<&str>,
    ) -> Result<Page<AccountId>, TargetError> {
        let group = trimmed(group)?;
        match (after.map(|after| after.split_once(' ').unwrap_or((after, ""))), &self.crowd) {
            (None, Some(crowd)) => match self.members_by_crowd(calls, crowd, group, 0).await? {
                Some(page) => Ok(page),
                None => self.members_by_rest(calls, group, "0").await,
            },
            (Some(("crowd", start)), Some(crowd)) => {
                let start = start.parse().map_err(|_| refuse("this listing did not begin here"))?;
                let page = self.members_by_crowd(calls, crowd, group, start).await?;
                page.ok_or_else(|| refuse("the Crowd API names a member without the key"))
            }
            (None, None) => self.members_by_rest(calls, group, "0").await,
            (Some(("rest", start)), _) => self.members_by_rest(calls, group, start).await,
            _ => Err(refuse("this listing did not begin here")),
        }
    }

    async fn members_by_rest(
        &self,
        calls: &Calls<'_>,
        group: &str,
        start: &str,
    ) -> Result<Page<AccountId>, TargetError> {
        let request = get("group.members", MEMBERS)
            .about("groupname", group)
            .with("includeInactiveUsers", "true")
            .with("startAt", start)
            .with("maxResults", "50");
        let page: Members = match self.call(calls, request).await {
            Ok(reply) => reply.parse()?,
            Err(rejection) => return Err(self.settle(calls, rejection, || named(group)).await),
        };
        let rows = page.values.len();
        let asked = start.parse().map_err(|_| refuse("this listing did not begin here"))?;
        // Where the answer does not say where it begins, it begins where it was asked to.
        let next = page.start_at.unwrap_or(asked) + rows;
        // By the rows received: fewer may come than were asked for, and there are more all the same.
        let more = rows > 0 && !page.is_last.unwrap_or_else(|| page.total.is_some_and(|total| next >= total));
        let items = page.values.into_iter().map(|member| AccountId(member.key)).collect();
        Ok(Page { items, next: more.then(|| format!("rest {next}")) })
    }

    async fn members_by_crowd(
        &self,
        calls: &Calls<'_>,
        crowd: &Crowd,
        group: &str,
        start: usize,
    ) -> Result<Option<Page<AccountId>>, TargetError> {
        let users = crowd.members(calls, group, start).await.map_err(|no| no.into_error(|| named(group)))?;
        let next = (users.len() >= crowd::ROWS).then(|| format!("crowd {}", start + crowd::ROWS));
        let items: Option<Vec<_>> = users.into_iter().map(|user| user.key.map(AccountId)).collect();
        Ok(items.map(|items| Page { items, next }))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stream {
    values: Vec<User>,
    next_cursor: Option<Cursor>,
    is_last: Option<bool>,
}

/// Documented as a string, and sent back as a number (DC-41).
#[derive(Deserialize)]
#[serde(untagged)]
enum Cursor {
    Text(String),
    Number(i64),
}

impl Cursor {
    fn text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Members {
    values: Vec<Member>,
    start_at: Option<usize>,
    is_last: Option<bool>,
    total: Option<usize>,
}

#[derive(Deserialize)]
struct Member {
    key: String,
}
