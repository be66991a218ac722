//! Application access and its seats (DC-24, DC-46, DC-51). Seats are read before one is used, kept for a minute, and counted
//! down by our own grants meanwhile; at nought they are read again before anybody is turned away.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde::Deserialize;

use super::super::client::Request;
use super::super::reply::{Rejection, Words};
use super::super::{AccountRef, Calls, TargetError};
use super::bean::User;
use super::user::{USER, named, same_name};
use super::{DataCenter, get, refuse};
use crate::account::{Account, Field};

const ROLES: &str = "/rest/api/2/applicationrole";
const ACCESS: &str = "/rest/api/2/user/application";

/// How long seats are believed.
const FRESH: Duration = Duration::from_secs(60);

/// The applications as they were at a time.
pub(super) struct Roles {
    read: Instant,
    by_key: BTreeMap<String, Role>,
}

/// An application as Jira shows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Role {
    pub(super) key: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) selected_by_default: bool,
    number_of_seats: Option<i64>,
    remaining_seats: Option<i64>,
    has_unlimited_seats: Option<bool>,
}

impl Role {
    /// Seats that are left; `None` where there is no limit, or Jira does not say.
    pub(super) fn left(&self) -> Option<i64> {
        let unlimited = self.has_unlimited_seats.unwrap_or(self.number_of_seats.is_some_and(|seats| seats < 0));
        self.remaining_seats.filter(|_| !unlimited).map(|seats| seats.max(0))
    }

    /// `3 of 25 seats left`.
    pub(super) fn told(&self) -> String {
        match (self.left(), self.number_of_seats) {
            (None, _) => "unlimited".to_owned(),
            (Some(left), Some(all)) => format!("{left} of {all} seats left"),
            (Some(left), None) => format!("{left} seats left"),
        }
    }

    fn none_left(&self) -> TargetError {
        let name = if self.name.is_empty() { &self.key } else { &self.name };
        let all = self.number_of_seats.map_or_else(String::new, |all| format!(": all {all} are in use"));
        TargetError::NoSeats { reason: format!("{name} ({}) has no free seat{all}", self.key) }
    }
}

impl DataCenter {
    /// The applications, read now.
    pub(super) async fn read_roles(&self, calls: &Calls<'_>) -> Result<BTreeMap<String, Role>, TargetError> {
        let roles: Vec<Role> = match self.call(calls, get("application.roles", ROLES)).await {
            Ok(reply) => reply.parse()?,
            Err(rejection) => {
                return Err(self.settle(calls, rejection, || "the list of applications".to_owned()).await);
            }
        };
        let by_key: BTreeMap<_, _> = roles.into_iter().map(|role| (role.key.clone(), role)).collect();
        self.known().roles = Some(Roles { read: Instant::now(), by_key: by_key.clone() });
        Ok(by_key)
    }

    /// Something went otherwise than our count says.
    pub(super) fn forget_seats(&self) {
        self.known().roles = None;
    }

    /// Takes a seat from our count, after a look where the count is old or at nought.
    pub(super) async fn reserve_seat(&self, calls: &Calls<'_>, key: &str) -> Result<(), TargetError> {
        if self.take_counted(key) {
            return Ok(());
        }
        let roles = self.read_roles(calls).await?;
        let Some(role) = roles.get(key) else {
            let known: Vec<&str> = roles.keys().map(String::as_str).collect();
            return Err(refuse(format!("Jira has no application {key}; it has {}", known.join(", "))));
        };
        match self.take_counted(key) {
            true => Ok(()),
            false => Err(role.none_left()),
        }
    }

    fn take_counted(&self, key: &str) -> bool {
        let mut known = self.known();
        let roles = known.roles.as_mut().filter(|roles| roles.read.elapsed() < FRESH);
        let Some(role) = roles.and_then(|roles| roles.by_key.get_mut(key)) else { return false };
        match (role.left(), &mut role.remaining_seats) {
            (None, _) => true,
            (Some(left), Some(remaining)) if left > 0 => {
                *remaining -= 1;
                true
            }
            _ => false,
        }
    }

    /// Gives access (DC-46). Somebody who has it needs no seat, so a look precedes a refusal for want of one.
    pub(super) async fn give(&self, calls: &Calls<'_>, account: AccountRef<'_>, key: &str) -> Result<(), TargetError> {
        match self.reserve_seat(calls, key).await {
            Ok(()) => {}
            Err(TargetError::NoSeats { reason }) => {
                // Who is gone waits for no seat.
                let gone = || TargetError::Gone { what: named(account.id) };
                let user = self.with_applications(calls, account).await?.ok_or_else(gone)?;
                return if user.has_application(key) { Ok(()) } else { Err(TargetError::NoSeats { reason }) };
            }
            Err(error) => return Err(error),
        }
        let words = match self.change_access(calls, "application.grant", Method::POST, account.username, key).await {
            Ok(()) => return Ok(()),
            Err(Rejection::BadRequest(words) | Rejection::NotFound(words) | Rejection::Conflict(words)) => words,
            Err(rejection) => {
                self.forget_seats();
                return Err(self.settle(calls, rejection, || named(account.id)).await);
            }
        };
        let gone = || TargetError::Gone { what: named(account.id) };
        let user = self.with_applications(calls, account).await?.ok_or_else(gone)?;
        if user.has_application(key) {
            return Ok(());
        }
        if !same_name(user.name(), account.username) {
            // The name on record is out of date, and may be somebody else's (DC-47).
            let again = self.change_access(calls, "application.grant", Method::POST, user.name(), key).await;
            return match again {
                Ok(()) => Ok(()),
                Err(Rejection::BadRequest(words)) => Err(self.no_seat_or(calls, words, |role| role.key == key).await),
                Err(rejection) => Err(self.settle(calls, rejection, || named(account.id)).await),
            };
        }
        Err(self.no_seat_or(calls, words, |role| role.key == key).await)
    }

    /// Takes access away (DC-46); a no is looked into: who has none, or is gone, is done.
    pub(super) async fn take_away(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        key: &str,
    ) -> Result<(), TargetError> {
        let words = match self.change_access(calls, "application.revoke", Method::DELETE, account.username, key).await {
            Ok(()) => return Ok(()),
            Err(Rejection::BadRequest(words) | Rejection::NotFound(words) | Rejection::Conflict(words)) => words,
            Err(rejection) => return Err(self.settle(calls, rejection, || named(account.id)).await),
        };
        match self.with_applications(calls, account).await? {
            None => Ok(()),
            Some(user) if !user.has_application(key) => Ok(()),
            Some(user) if !same_name(user.name(), account.username) => {
                let again = self.change_access(calls, "application.revoke", Method::DELETE, user.name(), key).await;
                match again {
                    Ok(()) => Ok(()),
                    Err(rejection) => Err(self.settle(calls, rejection, || named(account.id)).await),
                }
            }
            Some(_) => Err(words.refused()),
        }
    }

    async fn change_access(
        &self,
        calls: &Calls<'_>,
        operation: &'static str,
        method: Method,
        username: &str,
        key: &str,
    ) -> Result<(), Rejection> {
        let request = Request::new(operation, method, ACCESS).about("username", username).with("applicationKey", key);
        self.call(calls, request).await.map(drop)
    }

    async fn with_applications(&self, calls: &Calls<'_>, account: AccountRef<'_>) -> Result<Option<User>, TargetError> {
        let request = get("user.applications", USER).about("key", &account.id.0).with("expand", "applicationRoles");
        match self.call(calls, request).await {
            Ok(reply) => reply.parse().map(Some),
            Err(Rejection::NotFound(_)) => Ok(None),
            Err(rejection) => Err(self.settle(calls, rejection, || named(account.id)).await),
        }
    }

    /// A create was refused and there is no such account: for want of a seat, or for something else (DC-24).
    pub(super) async fn why_not_created(&self, calls: &Calls<'_>, account: &Account, words: Words) -> TargetError {
        if words.field.is_some_and(|field| field != Field::Active) {
            return words.refused();
        }
        let asked = |role: &Role| account.access.iter().any(|access| access.resource == role.key);
        self.no_seat_or(
            calls,
            words,
            |role| if account.access.is_empty() { role.selected_by_default } else { asked(role) },
        )
        .await
    }

    /// Jira's no, told as want of a seat where one of these applications has none. What Jira said is told in any case.
    async fn no_seat_or(&self, calls: &Calls<'_>, words: Words, concerns: impl Fn(&Role) -> bool) -> TargetError {
        let roles = self.read_roles(calls).await.unwrap_or_default();
        let full = roles.values().find(|role| concerns(role) && role.left() == Some(0));
        match full.map(Role::none_left) {
            Some(TargetError::NoSeats { reason }) => {
                TargetError::NoSeats { reason: format!("{reason}. Jira says: {}", words.reason) }
            }
            _ => words.refused(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn seats_are_read_in_all_the_ways_in_which_jira_writes_no_limit() {
        // DC-51
        let left = |role| serde_json::from_value::<Role>(role).unwrap().left();
        assert_eq!(
            left(json!({"key": "a", "numberOfSeats": 25, "remainingSeats": 3, "hasUnlimitedSeats": false})),
            Some(3)
        );
        assert_eq!(left(json!({"key": "a", "numberOfSeats": 25, "remainingSeats": -2})), Some(0), "over the limit");
        assert_eq!(
            left(json!({"key": "a", "numberOfSeats": -1, "remainingSeats": -1, "hasUnlimitedSeats": true})),
            None
        );
        assert_eq!(left(json!({"key": "a", "numberOfSeats": -1, "remainingSeats": -1})), None);
        assert_eq!(left(json!({"key": "a"})), None);
    }
}
