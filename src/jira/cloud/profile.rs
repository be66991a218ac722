//! Name, profile and address of managed accounts (reference, section 8). Of others nobody here may change anything, and
//! the answer says so once and for all.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::access::named;
use super::answer::{No, Words};
use super::hosts::Host;
use super::switch::is_not_managed;
use super::{AccountChange, AccountRef, Calls, Cloud, TargetError, Written};
use crate::account::{Field, SeenAccount, fold};
use crate::jira::client::Request;

const PROFILE: &str = "/users/{account_id}/manage/profile";
const EMAIL: &str = "/users/{account_id}/manage/email";
/// The members of `extended_profile`.
const EXTENDED: [&str; 4] = ["job_title", "department", "organization", "location"];
/// The others that may be written.
const PLAIN: [&str; 3] = ["nickname", "zoneinfo", "locale"];
/// The longest name (CLOUD-53).
const LONGEST: usize = 100;

impl Cloud {
    /// The address first, since it is the login name; then the profile. One call each.
    pub(super) async fn write_profile(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        change: &AccountChange,
    ) -> Result<Written, TargetError> {
        if !self.hosts.has_organization() {
            return self.as_it_is(calls, account, |_| ()).await;
        }
        if let Some(email) = change.email.as_ref().or(change.username.as_ref())
            && let Some(stays) = self.write_email(calls, account, email).await?
        {
            return Ok(stays);
        }
        let body = profile(change)?;
        if body.is_empty() {
            return Ok(Written::AsAsked { off: None });
        }
        let request = Request::new("user.profile", Method::PATCH, PROFILE)
            .segment("account_id", &account.id.0)
            .json(Value::Object(body));
        match self.hosts.call(calls, Host::Organization, request).await {
            Ok(_) => Ok(Written::AsAsked { off: None }),
            Err(No::Forbidden(words)) => self.not_ours(calls, account, words).await,
            Err(No::NotFound(_)) => Err(self.not_there(&account.id.0)),
            Err(No::BadRequest(words)) => Err(refused(words)),
            Err(no) => Err(no.into_error(|| named(account))),
        }
    }

    /// `Some` where nothing more is to be written.
    async fn write_email(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        email: &str,
    ) -> Result<Option<Written>, TargetError> {
        let request = Request::new("user.email", Method::PUT, EMAIL)
            .segment("account_id", &account.id.0)
            .json(json!({ "email": email }));
        match self.hosts.call(calls, Host::Organization, request).await {
            Ok(_) => Ok(None),
            Err(No::Forbidden(words)) if words.code == "forbidden.unclaimedDomain" => {
                let domain = words.context["domain"].as_str().unwrap_or("of the new address");
                let reason = format!(
                    "The domain {domain} is not verified by the organisation, so that Atlassian lets no address move \
                     there; verify it at admin.atlassian.com"
                );
                Err(TargetError::Refused { reason, field: Some(Field::Email) })
            }
            Err(No::Forbidden(words)) => self.not_ours(calls, account, words).await.map(Some),
            Err(No::NotFound(_)) => Err(self.not_there(&account.id.0)),
            Err(No::BadRequest(words) | No::Conflict(words)) => Err(self.taken(calls, account, email, words).await),
            Err(no) => Err(no.into_error(|| named(account))),
        }
    }

    /// An address that another account has, or one that is wrong in itself: the code does not tell (CLOUD-54).
    async fn taken(&self, calls: &Calls<'_>, account: AccountRef<'_>, email: &str, words: Words) -> TargetError {
        match self.row_with_email(calls, email).await {
            Ok(Some(row)) if row.account_id != account.id.0 => {
                TargetError::Conflict { reason: format!("Another Atlassian account has the address {email}") }
            }
            Ok(_) => words.refused(Some(Field::Email)),
            Err(error) => error,
        }
    }

    /// Fields, or all of it, are not ours to write: the answer shows what is there, and what is to be left alone.
    async fn not_ours(&self, calls: &Calls<'_>, account: AccountRef<'_>, words: Words) -> Result<Written, TargetError> {
        if is_not_managed(&words) {
            return self.as_it_is(calls, account, |_| ()).await;
        }
        match words.code.as_str() {
            "forbidden.fieldMutation" | "forbidden.action" => {
                self.as_it_is(calls, account, |seen| forbid(seen, &words)).await
            }
            _ => Err(No::Forbidden(words).into_error(|| named(account))),
        }
    }

    async fn as_it_is(
        &self,
        calls: &Calls<'_>,
        account: AccountRef<'_>,
        how: impl FnOnce(&mut SeenAccount),
    ) -> Result<Written, TargetError> {
        let seen = self.person_with_id(calls, account.id).await?;
        let mut seen = seen.ok_or_else(|| self.not_there(&account.id.0))?;
        if seen.read_only.is_empty() {
            how(&mut seen);
        }
        if seen.read_only.is_empty() && seen.hands_off.is_none() {
            // The refusal says what the row does not.
            seen.read_only = [Field::Username, Field::Email, Field::DisplayName, Field::Extra].into();
        }
        Ok(Written::Seen(seen))
    }
}

/// The fields that a refusal names, and whose they are (CLOUD-50, CLOUD-51).
fn forbid(seen: &mut SeenAccount, words: &Words) {
    // An action that is forbidden as a whole is the move of the address; else the fields are named.
    let whole = Some(("email.set", &words.context)).filter(|_| words.code == "forbidden.action");
    let fields = words.context.as_object().into_iter().flatten().map(|(name, rule)| (name.as_str(), rule));
    let fields = fields.filter(|_| whole.is_none()).chain(whole);
    for (name, rule) in fields {
        seen.read_only.extend(match name {
            "name" => vec![Field::DisplayName],
            "email.set" => vec![Field::Username, Field::Email],
            _ => vec![Field::Extra],
        });
        let owner = rule["reason"]["key"].as_str().filter(|key| key.starts_with("externalDirectory"));
        if let Some(owner) = owner {
            let why = format!("Another provisioner owns this account at Atlassian ({owner}); change it there");
            seen.hands_off = Some(why);
        }
    }
}

/// What differs, and nothing else. A name that is too long is cut at the last character that fits, and what cannot be empty
/// is not emptied (CLOUD-53).
fn profile(change: &AccountChange) -> Result<Map<String, Value>, TargetError> {
    let mut body = Map::new();
    let mut extended = Map::new();
    if let Some(name) = change.display_name.as_deref().filter(|name| !name.trim().is_empty()) {
        let name: String = name.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
        body.insert("name".to_owned(), name.into());
    }
    for (name, value) in &change.extra {
        if EXTENDED.contains(&name.as_str()) {
            extended.insert(name.clone(), value.as_str().into());
        } else if PLAIN.contains(&name.as_str()) && value.trim().is_empty() {
            continue;
        } else if name == "locale" {
            // BCP 47 has a hyphen; Jira's own form has not.
            body.insert(name.clone(), value.replace('_', "-").into());
        } else if PLAIN.contains(&name.as_str()) {
            body.insert(name.clone(), value.as_str().into());
        } else {
            let reason = format!("An Atlassian account has no field {name}; there are {}", field_names());
            return Err(TargetError::Refused { reason, field: Some(Field::Extra) });
        }
    }
    if !extended.is_empty() {
        body.insert("extended_profile".to_owned(), Value::Object(extended));
    }
    Ok(body)
}

fn field_names() -> String {
    EXTENDED.iter().chain(&PLAIN).copied().collect::<Vec<_>>().join(", ")
}

/// Whether an account of Jira Cloud has such a further field; for the configuration to say so early.
///
/// # Errors
/// A sentence.
pub(in crate::jira) fn field_problem(name: &str) -> Result<(), String> {
    match EXTENDED.contains(&name) || PLAIN.contains(&name) {
        true => Ok(()),
        false => Err(format!("an Atlassian account has no field \"{name}\"; there are {}", field_names())),
    }
}

/// The field that was objected to, and how (CLOUD-53).
fn refused(words: Words) -> TargetError {
    let violations = words.context["fieldViolations"].as_array().cloned().unwrap_or_default();
    let named: Vec<String> = violations
        .iter()
        .map(|violation| {
            let keys = violation["violations"].as_array().into_iter().flatten().filter_map(|one| one["key"].as_str());
            format!("{}: {}", violation["field"].as_str().unwrap_or("?"), keys.collect::<Vec<_>>().join(", "))
        })
        .collect();
    let field = match violations.first().and_then(|violation| violation["field"].as_str()) {
        Some(name) if fold(name) == "name" => Some(Field::DisplayName),
        Some(_) => Some(Field::Extra),
        None => None,
    };
    let reason = if named.is_empty() { words.reason } else { format!("{} ({})", words.reason, named.join("; ")) };
    TargetError::Refused { reason, field }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn change(display_name: &str, extra: &[(&str, &str)]) -> AccountChange {
        let extra = extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        AccountChange { display_name: Some(display_name.to_owned()), extra, ..AccountChange::default() }
    }

    #[test]
    fn a_profile_has_one_name_and_its_extended_fields_in_a_place_of_their_own() {
        // CLOUD-14, CLOUD-53
        let body = profile(&change("Ada\u{7} Reyes", &[("job_title", "Engineer"), ("locale", "pl_PL")])).unwrap();
        let wanted = json!({"name": "Ada Reyes", "locale": "pl-PL", "extended_profile": {"job_title": "Engineer"}});
        assert_eq!(Value::Object(body), wanted);
        let long = profile(&change(&"é".repeat(120), &[])).unwrap();
        assert_eq!(long["name"].as_str().unwrap().chars().count(), 100);
        assert!(profile(&change("A", &[("roleId", "1")])).is_err());
    }

    #[test]
    fn a_violation_names_its_field() {
        // CLOUD-53
        let context = json!({"fieldViolations": [{"field": "nickname", "violations": [{"key": "maxLength"}]}]});
        let words = Words { reason: "fieldConstraintsViolated".to_owned(), context, ..Words::default() };
        let TargetError::Refused { reason, field } = refused(words) else { unreachable!() };
        assert!(reason.contains("nickname: maxLength"), "{reason}");
        assert_eq!(field, Some(Field::Extra));
    }
}
