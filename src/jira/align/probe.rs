//! Who the daemon is at a Jira Align, and what `doctor` tells about the site: everybody is read, a hundred at a time.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Utc;
use serde_json::Map;

use super::super::{Calls, Examination, Finding, Probe, TargetError};
use super::record::User;
use super::{Align, MatchOn, Owner};
use crate::account::fold;

/// How many ids a finding names.
const NAMED: usize = 10;

impl Align {
    /// Who am I. Nothing that can be read tells whether the role of the token's owner may manage users (ALIGN-4): the first
    /// write does.
    pub(super) async fn look_around(&self, calls: &Calls<'_>) -> Result<Probe, TargetError> {
        let own_account = self.seen(&self.own_user(calls).await?)?;
        Ok(Probe { own_account, version: "API 2.0".to_owned(), version_numbers: vec![2, 0], administers: true })
    }

    async fn own_user(&self, calls: &Calls<'_>) -> Result<User, TargetError> {
        let found = match &self.owner {
            Owner::Id(id) => self.user_with_id(calls, id).await?,
            Owner::Email(email) => {
                let mut found = self.users_with(calls, "email", email).await?;
                if found.len() > 1 {
                    let detail =
                        format!("{} the address of the token's owner", users(&found.iter().collect::<Vec<_>>()));
                    return Err(TargetError::Denied { detail });
                }
                found.pop()
            }
            Owner::Unknown => {
                let detail = "the token does not say whose it is, so that its owner could not be kept from being locked; \
                              a token of Jira Align is user:<id>|<secret>";
                return Err(TargetError::Denied { detail: detail.to_owned() });
            }
        };
        let missing = || TargetError::Denied { detail: "Jira Align does not show the token's owner".to_owned() };
        let own = found.ok_or_else(missing)?;
        self.owner_id.get_or_init(|| own.id.to_string());
        Ok(own)
    }

    pub(super) async fn look_closely(&self, calls: &Calls<'_>) -> Result<Examination, TargetError> {
        let own = self.own_user(calls).await?;
        let everybody = self.everybody(calls).await?;
        let mut examination = Examination::default();
        let active = everybody.iter().filter(|user| user.active() == Some(true)).count();
        let mut fact = |name: &str, value: String| examination.facts.push((name.to_owned(), value));
        fact("token's owner", format!("user {}, role {}", own.id, role_of(&own)));
        fact("matches on", self.match_on.name().to_owned());
        fact("users", format!("{} ({active} active)", everybody.len()));
        fact("roles in use", roles(&everybody));
        for (name, path) in [
            ("regions", "/rest/align/api/2/regions"),
            ("cities", "/rest/align/api/2/cities"),
            ("divisions", "/rest/align/api/2/Divisions"),
        ] {
            let rows = self.names(calls, path).await?;
            fact(name, rows.map_or_else(|| "no list".to_owned(), |rows| some_of(&rows)));
        }
        fact("may manage users", "not to be read over the API; the first write tells".to_owned());
        examination.findings = self.findings(&everybody);
        Ok(examination)
    }

    fn findings(&self, everybody: &[User]) -> Vec<Finding> {
        let ignored = |user: &&User| user.role().is_some_and(|role| self.ignore_roles.contains(&role));
        let (theirs, ours): (Vec<&User>, Vec<&User>) = everybody.iter().partition(ignored);
        let mut findings = vec![];
        findings.extend(self.without_key(&ours));
        findings.extend(self.with_one_key(&ours));
        findings.extend(self.refusing(&ours));
        findings.extend(contradictory(&ours));
        if !theirs.is_empty() {
            let text = format!("{} a role of ignore_roles: left alone", users(&theirs));
            findings.push(Finding::note(text, ""));
        }
        findings
    }

    /// ALIGN-14.
    fn without_key(&self, ours: &[&User]) -> Option<Finding> {
        let without: Vec<&User> = ours.iter().filter(|user| user.text("externalId").is_empty()).copied().collect();
        if without.is_empty() {
            return None;
        }
        let text = format!("{} no externalId", users(&without));
        Some(match self.match_on {
            MatchOn::ExternalId => Finding::warning(
                text,
                "Nobody is found by what is not there: fill it in, in the browser or by a PATCH, or match on email",
            ),
            MatchOn::Email => Finding::note(text, "Whoever logs in by single sign-on may need one"),
        })
    }

    fn with_one_key(&self, ours: &[&User]) -> Option<Finding> {
        let mut by_key: BTreeMap<String, Vec<&User>> = BTreeMap::new();
        for user in ours {
            by_key.entry(fold(user.key(self.match_on))).or_default().push(user);
        }
        by_key.remove("");
        let shared: Vec<&User> = by_key.into_values().filter(|users| users.len() > 1).flatten().collect();
        if shared.is_empty() {
            return None;
        }
        let text = format!("{} the {} of somebody else", users(&shared), self.match_on.member());
        Some(Finding::warning(text, "They cannot be told apart and are not written: give all but one of them another"))
    }

    /// ALIGN-19.
    fn refusing(&self, ours: &[&User]) -> Option<Finding> {
        let (unchanged, now) = (Map::new(), Utc::now());
        let mut refusing = Vec::new();
        let mut reasons = BTreeSet::new();
        for user in ours {
            let mut defects = user.defects(&unchanged, &self.repair, now);
            // Everybody who was locked some days ago has one; an unlock clears it.
            defects.retain(|defect| defect.member != "userEndDate" || user.active() == Some(true));
            if !defects.is_empty() {
                refusing.push(*user);
                reasons.extend(defects.iter().map(|defect| defect.member));
            }
        }
        if refusing.is_empty() {
            return None;
        }
        let reasons: Vec<&str> = reasons.into_iter().collect();
        let text =
            format!("{} a record that may refuse every change, because of {}", users(&refusing), reasons.join(", "));
        let advice = "Each is repaired when it is next changed; what is missing comes from the policy's fields or from the \
                      target's repair";
        Some(Finding::note(text, advice))
    }
}

/// ALIGN-17.
fn contradictory(ours: &[&User]) -> Option<Finding> {
    let found: Vec<&User> = ours.iter().filter(|user| user.contradicts_itself()).copied().collect();
    if found.is_empty() {
        return None;
    }
    let text = format!("{} a status that contradicts isLocked", users(&found));
    Some(Finding::warning(text, "isLocked is believed; look at them in the browser"))
}

/// `2 users (4203, 4207) have`.
fn users(users: &[&User]) -> String {
    let ids: Vec<String> = users.iter().map(|user| user.id.to_string()).collect();
    let (noun, verb) = if users.len() == 1 { ("user", "has") } else { ("users", "have") };
    format!("{} {noun} ({}) {verb}", users.len(), some_of(&ids))
}

/// The first of them, and that there are more.
fn some_of(all: &[String]) -> String {
    let more = if all.len() > NAMED { ", ..." } else { "" };
    format!("{}{more}", all[..all.len().min(NAMED)].join(", "))
}

fn role_of(user: &User) -> String {
    user.role().map_or_else(|| "none".to_owned(), |role| role.to_string())
}

/// `91 (12 users), 95 (3 users)`: the ids that a policy needs are nowhere else to be read (ALIGN-28).
fn roles(everybody: &[User]) -> String {
    let mut count: BTreeMap<i64, usize> = BTreeMap::new();
    for role in everybody.iter().filter_map(User::role) {
        *count.entry(role).or_default() += 1;
    }
    let told: Vec<String> = count.into_iter().map(|(role, users)| format!("{role} ({users} users)")).collect();
    told.join(", ")
}
