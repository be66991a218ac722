//! When people were last active: from the organisation's list of the accounts that it manages (CLOUD-67). Atlassian counts a
//! page that was looked at, in any of its products, and is up to a day late.

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde::Deserialize;
use url::Url;

use super::answer::No;
use super::hosts::Host;
use super::person::Found;
use super::{Calls, Cloud, LastLogin, Page, TargetError, parse};
use crate::account::AccountId;

const USERS: &str = "/admin/v1/orgs/{orgId}/users";

#[derive(Deserialize)]
struct Managed {
    account_id: String,
    #[serde(default)]
    last_active: Option<String>,
}

impl Cloud {
    /// A page of the managed accounts that were ever active.
    pub(super) async fn page_of_last_active(
        &self,
        calls: &Calls<'_>,
        after: Option<&str>,
    ) -> Result<Page<LastLogin>, TargetError> {
        if !self.hosts.has_organization() {
            return Err(refused(
                "the site does not tell when a person was last active: give the target its organisation's key",
            ));
        }
        let request = self.of_organization("account.list", Method::GET, USERS);
        let request = match after {
            Some(cursor) => request.about("cursor", cursor),
            None => request,
        };
        let found: Found<Managed> = match self.hosts.look(calls, Host::Organization, request).await {
            Ok(document) => parse(document)?,
            // Our key is fine for everything else: only this list wants one more scope.
            Err(No::Forbidden(words)) => {
                return Err(refused(&format!(
                    "the organisation's key may not list the managed accounts: {}",
                    words.reason
                )));
            }
            Err(no) => return Err(no.into_error(|| "the list of managed accounts".to_owned())),
        };
        let login = |account: Managed| {
            Some(LastLogin { at: instant(&account.last_active?)?, id: AccountId(account.account_id) })
        };
        Ok(Page { items: found.data.into_iter().filter_map(login).collect(), next: found.links.next.map(cursor) })
    }
}

fn refused(reason: &str) -> TargetError {
    TargetError::Refused { reason: reason.to_owned(), field: None }
}

/// The link is documented as a URL; elsewhere in this API it is the cursor itself (CLOUD-15).
fn cursor(link: String) -> String {
    let address = Url::parse(&link).ok();
    let named = address
        .and_then(|url| url.query_pairs().find(|(name, _)| name == "cursor").map(|(_, value)| value.into_owned()));
    named.unwrap_or(link)
}

/// A time, or a day.
fn instant(text: &str) -> Option<DateTime<Utc>> {
    let day = || text.parse::<chrono::NaiveDate>().ok()?.and_hms_opt(0, 0, 0).map(|at| at.and_utc());
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc()).or_else(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_an_address_or_a_cursor() {
        // CLOUD-67
        let of = |link: &str| cursor(link.to_owned());
        assert_eq!(of("https://api.atlassian.com/admin/v1/orgs/o/users?cursor=YWI%3D"), "YWI=");
        assert_eq!(of("YWI="), "YWI=");
    }

    #[test]
    fn a_day_is_a_time_too() {
        let at = |text: &str| instant(text).map(|at| at.to_rfc3339());
        assert_eq!(at("2026-11-20T08:41:07.000Z").as_deref(), Some("2026-11-20T08:41:07+00:00"));
        assert_eq!(at("2026-11-20").as_deref(), Some("2026-11-20T00:00:00+00:00"));
        assert_eq!(at("yesterday"), None);
    }
}
