//! Rules that guard against surprises: how much may be taken away at a time, what is learnt from the target, and what is done
//! about accounts and changes there that nobody of ours made.

use serde::{Deserialize, Deserializer, Serialize};

use super::pattern::Pattern;
use super::span::Span;

/// How much may be taken away within a time before everything that takes away is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Brake {
    /// Whether there is one.
    pub enabled: bool,
    /// The time that is looked at, up to now.
    pub window: Span,
    /// For accounts that are switched off or deleted.
    #[serde(deserialize_with = "accounts")]
    pub accounts: Limit,
    /// For memberships that are taken away.
    #[serde(deserialize_with = "memberships")]
    pub memberships: Limit,
}

/// How much is allowed: `percent` of the tenant's people, but `min` in any case, and never more than `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// Never more than so many.
    pub max: u32,
    /// Of the people that the tenant has, in percent.
    pub percent: u32,
    /// So many in any case.
    pub min: u32,
}

const ACCOUNTS: Limit = Limit { max: 100, percent: 10, min: 5 };
const MEMBERSHIPS: Limit = Limit { max: 2000, percent: 20, min: 50 };

/// A limit of which only a part is said.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    max: Option<u32>,
    percent: Option<u32>,
    min: Option<u32>,
}

fn accounts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Limit, D::Error> {
    Said::deserialize(deserializer).map(|said| said.or(ACCOUNTS))
}

fn memberships<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Limit, D::Error> {
    Said::deserialize(deserializer).map(|said| said.or(MEMBERSHIPS))
}

impl Said {
    fn or(self, default: Limit) -> Limit {
        Limit {
            max: self.max.unwrap_or(default.max),
            percent: self.percent.unwrap_or(default.percent),
            // A maximum alone may be below the default's minimum.
            min: self.min.unwrap_or(default.min.min(self.max.unwrap_or(default.max))),
        }
    }
}

impl Default for Brake {
    fn default() -> Self {
        Self { enabled: true, window: Span::seconds(3600), accounts: ACCOUNTS, memberships: MEMBERSHIPS }
    }
}

impl Limit {
    /// How many are allowed of a tenant with so many people.
    pub fn of(&self, people: u64) -> u64 {
        self.share_of(people).min(u64::from(self.max))
    }

    /// The same without a maximum: for what can be undone.
    pub fn share_of(&self, people: u64) -> u64 {
        let share = people.saturating_mul(u64::from(self.percent)) / 100;
        share.max(u64::from(self.min))
    }
}

impl Brake {
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.window.is_zero() {
            problems.push("policy.brake.window: must be longer than nothing.".to_owned());
        }
        for (key, limit) in [("accounts", &self.accounts), ("memberships", &self.memberships)] {
            if limit.percent > 100 {
                problems.push(format!("policy.brake.{key}.percent: must be between 0 and 100."));
            }
            if limit.min > limit.max {
                problems.push(format!("policy.brake.{key}.min: must not be more than max, which is {}.", limit.max));
            }
        }
        problems
    }
}

/// Learning what the target has already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Import {
    /// See [`OnPost`].
    pub post: OnPost,
    /// How often the daemon imports; nothing: only when it is told to.
    pub every: Option<Span>,
}

/// What answers the POST of a resource that was imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnPost {
    /// 409: the client finds it by a filter and changes it.
    #[default]
    Conflict,
    /// 201, with the id that it has: it is the client's from now on.
    Claim,
}

/// What is done about changes that were made at the target by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drift {
    /// See [`DriftAction`].
    pub action: DriftAction,
    /// How often the daemon looks; nothing: only when it is told to.
    pub every: Option<Span>,
}

/// What is done about a change that was made by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriftAction {
    /// It is listed.
    #[default]
    Report,
    /// What the identity provider wants is written again.
    Revert,
    /// It stays, until the identity provider wants something else.
    Accept,
}

/// When people were last seen at the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LastLogin {
    /// Whether SCIM clients see it.
    pub publish: bool,
    /// How often the daemon asks; nothing: only when it is told to.
    pub every: Option<Span>,
}

/// What to do about an account that no tenant knows of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unmatched {
    /// Nothing.
    #[default]
    Keep,
    /// It is listed.
    Report,
    /// It is listed, and switched off.
    Deactivate,
}

/// Accounts that are active at the target and linked to or claimed by nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnmatchedAccounts {
    /// See [`Unmatched`].
    pub action: Unmatched,
    /// Only accounts whose login name or address fits this regular expression.
    pub only: Option<Pattern>,
    /// Login names and addresses (regular expression) that are never touched: service accounts, guests.
    pub except: Option<Pattern>,
    /// The most accounts that one run switches off; with more, none is, and the run says so.
    pub limit: u32,
}

impl Default for UnmatchedAccounts {
    fn default() -> Self {
        Self { action: Unmatched::Keep, only: None, except: None, limit: 20 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_share_of_the_people_between_two_numbers() {
        let limit = Limit { max: 100, percent: 10, min: 5 };
        for (people, allowed) in [(0, 5), (20, 5), (50, 5), (60, 6), (999, 99), (20_000, 100), (u64::MAX, 100)] {
            assert_eq!(limit.of(people), allowed, "{people}");
        }
    }

    #[test]
    fn what_is_not_said_of_a_limit_is_the_default() {
        let brake = |text: &str| serde_json::from_str::<Brake>(text).ok().map(|brake| brake.accounts);
        assert_eq!(brake(r#"{"accounts": {"percent": 3}}"#), Some(Limit { percent: 3, ..ACCOUNTS }));
        assert_eq!(brake(r#"{"accounts": {"max": 2}}"#), Some(Limit { max: 2, min: 2, ..ACCOUNTS }));
        assert_eq!(brake(r#"{"accounts": {"maximum": 2}}"#), None);
    }
}
