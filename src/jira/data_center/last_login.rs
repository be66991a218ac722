//! When people last logged in: from the Crowd API's attributes where we have it, else from `user/list` (DC-41, DC-45, DC-87).

use super::super::crowd::{self, Crowd};
use super::super::{Calls, LastLogin, Page, TargetError};
use super::{DataCenter, refuse};
use crate::account::SeenAccount;

/// The field in which an account carries it; see [`super::bean`] and [`crowd::User::seen`].
const FIELD: &str = "lastLoginTime";
/// The beginning of a place in the Crowd API's list; what does not begin so is a place in Jira's own.
const BY_CROWD: &str = "logins ";

impl DataCenter {
    /// A page of those who have logged in, as far as Jira tells.
    pub(super) async fn list_last_logins(
        &self,
        calls: &Calls<'_>,
        after: Option<&str>,
    ) -> Result<Page<LastLogin>, TargetError> {
        match (after.and_then(|after| after.strip_prefix(BY_CROWD)), after, &self.crowd) {
            (Some(start), _, Some(crowd)) => {
                let start = start.parse().map_err(|_| refuse("this listing did not begin here"))?;
                let page = self.logins_by_crowd(calls, crowd, start).await?;
                page.ok_or_else(|| refuse("the Crowd API names an account without its key"))
            }
            (None, None, Some(crowd)) => match self.logins_by_crowd(calls, crowd, 0).await {
                Ok(Some(page)) => Ok(page),
                // It does not tell the keys, or does not let us in.
                Ok(None) | Err(TargetError::Refused { .. }) => self.logins_by_rest(calls, None).await,
                Err(error) => Err(error),
            },
            _ => self.logins_by_rest(calls, after).await,
        }
    }

    async fn logins_by_rest(&self, calls: &Calls<'_>, after: Option<&str>) -> Result<Page<LastLogin>, TargetError> {
        if self.is_older_than(&[10]) {
            return Err(refuse(
                "this Jira tells the time of the last login to its Crowd API alone: give the target a crowd credential",
            ));
        }
        let page = self.list_by_rest(calls, after).await?;
        Ok(Page { items: page.items.iter().filter_map(login).collect(), next: page.next })
    }

    /// Without the snapshot of memberships that a list of accounts begins with. `None` where there are no keys.
    async fn logins_by_crowd(
        &self,
        calls: &Calls<'_>,
        crowd: &Crowd,
        start: usize,
    ) -> Result<Option<Page<LastLogin>>, TargetError> {
        let users = crowd.users(calls, start).await;
        let users = users.map_err(|no| no.into_error(|| "the list of accounts".to_owned()))?;
        let next = (users.len() >= crowd::ROWS).then(|| format!("{BY_CROWD}{}", start + crowd::ROWS));
        let seen: Option<Vec<SeenAccount>> = users.into_iter().map(|user| user.seen(None)).collect();
        Ok(seen.map(|seen| Page { items: seen.iter().filter_map(login).collect(), next }))
    }
}

/// Nobody, where the account says nothing: it was never used, or Jira does not tell.
fn login(account: &SeenAccount) -> Option<LastLogin> {
    let at = account.extra.get(FIELD)?;
    let at = chrono::DateTime::parse_from_rfc3339(at).ok()?.to_utc();
    Some(LastLogin { id: account.id.clone(), at })
}
