//! Reading users: by id, by the key of the site, and all of them, a hundred at a time (ALIGN-7).

use std::time::Instant;

use reqwest::Method;
use serde_json::Value;

use super::super::client::Request;
use super::super::{Calls, Page, TargetError};
use super::answer::Rejection;
use super::record::User;
use super::{Align, USER, USERS};
use crate::account::{AccountId, SeenAccount, fold};

/// Rows of one answer, whatever is asked for.
const ROWS: usize = 100;

impl Align {
    /// The user of that id; `None` where there is none. A 404 has no body and may as well be about the path, so that it is
    /// believed only when the list does not have the user either (ALIGN-2).
    pub(super) async fn user_with_id(&self, calls: &Calls<'_>, id: &str) -> Result<Option<User>, TargetError> {
        match self.call(calls, get("user.get", USER).segment("id", id)).await {
            Ok(document) => match User::read(document) {
                Some(user) if user.id.to_string() == id => Ok(Some(user)),
                _ => Err(strange("the answer is not the user that was asked for")),
            },
            Err(Rejection::NotFound) => self.really_gone(calls, id).await,
            Err(rejection) => Err(rejection.into_error(|| named(id))),
        }
    }

    async fn really_gone(&self, calls: &Calls<'_>, id: &str) -> Result<Option<User>, TargetError> {
        let Ok(number) = id.parse::<u64>() else { return Ok(None) };
        let filter = format!("id eq {number}");
        match self.call(calls, get("user.check", USERS).about("$filter", &filter)).await {
            Ok(document) => Ok(rows(document)?.into_iter().find(|user| user.id == number)),
            // It understood the path and not the filter: the path is there.
            Err(Rejection::Refused(_)) => Ok(None),
            Err(rejection) => Err(no_path(rejection)),
        }
    }

    /// The one user whose key is that, compared without regard to case.
    pub(super) async fn user_with_key(&self, calls: &Calls<'_>, key: &str) -> Result<Option<User>, TargetError> {
        let found = self.users_with(calls, self.match_on.member(), key).await?;
        self.only_one(found, self.match_on.member())
    }

    /// All users whose `member` is that text: by a filter, or where the site does not honour one by reading everybody
    /// (ALIGN-9, ALIGN-25).
    pub(super) async fn users_with(
        &self,
        calls: &Calls<'_>,
        member: &'static str,
        text: &str,
    ) -> Result<Vec<User>, TargetError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let fits = |user: &User| fold(user.text(member)) == fold(text);
        if !self.index.is_needed() {
            let filter = format!("{member} eq '{}'", text.replace('\'', "''"));
            match self.call(calls, get("user.find", USERS).about("$filter", &filter)).await {
                Ok(document) => {
                    let found = rows(document)?;
                    // A row that does not fit says that nobody looked at the filter.
                    if found.iter().all(fits) {
                        return Ok(found);
                    }
                }
                Err(Rejection::Refused(_)) => {}
                Err(rejection) => return Err(no_path(rejection)),
            }
            // A quote may be all that was wrong (ALIGN-10): that says nothing of other texts.
            if !text.contains('\'') && self.index.is_needed_from_now_on() {
                tracing::warn!(member, "this Jira Align does not honour filters: everybody is read to find somebody");
            }
        }
        if let Some(found) = self.index.find(fits) {
            return Ok(found);
        }
        let read_at = Instant::now();
        let everybody = self.everybody(calls).await?;
        self.index.keep(read_at, &everybody);
        Ok(everybody.into_iter().filter(fits).collect())
    }

    /// Several records with one key cannot be told apart, unless only one of them is ours to write.
    fn only_one(&self, found: Vec<User>, member: &str) -> Result<Option<User>, TargetError> {
        if found.len() < 2 {
            return Ok(found.into_iter().next());
        }
        let ids: Vec<String> = found.iter().map(|user| user.id.to_string()).collect();
        let ignored = |user: &User| user.role().is_some_and(|role| self.ignore_roles.contains(&role));
        let mut ours = found.into_iter().filter(|user| !ignored(user));
        match (ours.next(), ours.next()) {
            (Some(user), None) => Ok(Some(user)),
            _ => {
                let reason = format!("the users {} of Jira Align have the same {member}", ids.join(", "));
                Err(TargetError::Refused { reason, field: Some(crate::account::Field::Username) })
            }
        }
    }

    /// Every user, locked or not.
    pub(super) async fn everybody(&self, calls: &Calls<'_>) -> Result<Vec<User>, TargetError> {
        let mut all = Vec::new();
        loop {
            let page = self.page(calls, all.len()).await?;
            let last = page.len() < ROWS;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }

    /// A page of a listing. There is no total and no link to the next one: a page that is not full is the last.
    pub(super) async fn listed(
        &self,
        calls: &Calls<'_>,
        after: Option<&str>,
    ) -> Result<Page<SeenAccount>, TargetError> {
        let skip = match after.map(str::parse) {
            None => 0,
            Some(Ok(skip)) => skip,
            Some(Err(_)) => return Err(strange("that is no place in a listing of Jira Align")),
        };
        let users = self.page(calls, skip).await?;
        let next = (users.len() >= ROWS).then(|| (skip + users.len()).to_string());
        let items = users.iter().map(|user| self.seen(user)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    }

    /// Without an order a listing may show somebody twice and somebody never, so one is asked for; a site that does not
    /// know it is read without (ALIGN-8).
    async fn page(&self, calls: &Calls<'_>, skip: usize) -> Result<Vec<User>, TargetError> {
        let (skip, top) = (skip.to_string(), ROWS.to_string());
        let request = || get("user.list", USERS).with("$skip", &skip).with("$top", &top);
        let document = match self.call(calls, request().with("$orderby", "id")).await {
            Err(Rejection::Refused(_)) => self.call(calls, request()).await,
            answer => answer,
        };
        rows(document.map_err(no_path)?)
    }

    /// A list of ids and names, as `17 Europe`, as far as one answer shows it; `None` where this site does not have it
    /// (ALIGN-28).
    pub(super) async fn names(
        &self,
        calls: &Calls<'_>,
        path: &'static str,
    ) -> Result<Option<Vec<String>>, TargetError> {
        let row = |row: &Value| format!("{} {}", row["id"], row["name"].as_str().unwrap_or_default());
        match self.call(calls, get("list.get", path)).await {
            Ok(Value::Array(rows)) => Ok(Some(rows.iter().map(row).collect())),
            Ok(_) | Err(Rejection::NotFound | Rejection::Refused(_)) => Ok(None),
            Err(rejection) => Err(rejection.into_error(|| path.to_owned())),
        }
    }

    pub(super) fn seen(&self, user: &User) -> Result<SeenAccount, TargetError> {
        user.seen(self.match_on, &self.ignore_roles)
    }

    pub(super) fn maybe_seen(&self, user: Option<User>) -> Result<Option<SeenAccount>, TargetError> {
        user.map(|user| self.seen(&user)).transpose()
    }

    pub(super) async fn account(&self, calls: &Calls<'_>, id: &AccountId) -> Result<Option<SeenAccount>, TargetError> {
        let found = self.user_with_id(calls, &id.0).await?;
        self.maybe_seen(found)
    }

    pub(super) async fn account_of(&self, calls: &Calls<'_>, key: &str) -> Result<Option<SeenAccount>, TargetError> {
        let found = self.user_with_key(calls, key).await?;
        self.maybe_seen(found)
    }
}

/// A read.
fn get<'a>(operation: &'static str, path: &'static str) -> Request<'a> {
    Request::new(operation, Method::GET, path)
}

/// The users of a bare array; whatever else came is not an answer of Jira Align.
fn rows(document: Value) -> Result<Vec<User>, TargetError> {
    let Value::Array(documents) = document else { return Err(strange("the answer is not a list of users")) };
    let users: Option<Vec<User>> = documents.into_iter().map(User::read).collect();
    users.ok_or_else(|| strange("the answer is not a list of users"))
}

/// The list itself is never gone: a 404 is about the address (ALIGN-2).
fn no_path(rejection: Rejection) -> TargetError {
    match rejection {
        Rejection::NotFound => strange("there is no /rest/align/api/2/Users: is the target's url right?"),
        other => other.into_error(|| "the list of users".to_owned()),
    }
}

fn strange(detail: &str) -> TargetError {
    TargetError::Unreachable { detail: detail.to_owned(), maybe_done: false }
}

pub(super) fn named(id: &str) -> String {
    format!("the user {id}")
}
