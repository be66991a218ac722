//! What becomes of one account. Pure.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::account::{Naming, SeenAccount, fold};
use crate::policy::mapping::{self, Ground};
use crate::policy::protect::Protected;
use crate::policy::{Adopt, Policy};
use crate::scim::schema::user;
use crate::scim::{self, Attrs, urn};
use crate::store::import::{Found, FromAccount, IMPORTED, Known};
use crate::store::link::{self, AccountStep, AsFound, LinkRecord};
use crate::writer::plan::to_approve;

/// What an import goes by.
pub(super) struct Rules<'a> {
    pub(super) policy: &'a Policy,
    pub(super) protected: &'a Protected,
    pub(super) ground: &'a Ground,
    /// Since when whatever waits has been waiting.
    pub(super) now: DateTime<Utc>,
}

/// What is to be done about an account.
pub(super) enum Verdict {
    /// Nothing, and why.
    Skip(&'static str),
    /// It is on record as it is.
    Known,
    /// An imported user is brought up to date.
    Refresh(Box<FromAccount>),
    /// It is the account of a living user.
    Link(Box<FromAccount>),
    /// It would become the account of a living user if somebody approved of it: it is put on record as found.
    Ask(Box<FromAccount>),
    /// A user is made of it.
    Create(Box<FromAccount>),
}

pub(super) const OWN: &str = "our own account";
pub(super) const LEFT_ALONE: &str = "left alone: somebody else provisions it";
pub(super) const PROTECTED: &str = "protected by the policy";
pub(super) const OTHER_TENANT: &str = "another tenant's";
pub(super) const DELETED: &str = "its user was deleted here";
pub(super) const BUSY: &str = "being written";
pub(super) const NAME_TAKEN: &str = "the name is another user's";
pub(super) const NO_NAME: &str = "no login name is shown";
pub(super) const NO_ADOPTION: &str = "adoption is not allowed";
pub(super) const TO_APPROVE: &str = "it waits for approval: jira-scim outbox approve";

/// Judges one account by what the store knows of it.
pub(super) fn judge(account: SeenAccount, found: Found, rules: &Rules<'_>) -> Verdict {
    let Rules { policy, protected, .. } = rules;
    // The record of an account never has these.
    let account = SeenAccount { groups: None, access: None, ..account };
    if protected.is_own(&account.id) {
        return Verdict::Skip(OWN);
    }
    if account.hands_off.is_some() {
        return Verdict::Skip(LEFT_ALONE);
    }
    if policy.protect.covers_user(&account.username) {
        return Verdict::Skip(PROTECTED);
    }
    match found.by_account {
        Some(Err(())) => Verdict::Skip(OTHER_TENANT),
        Some(Ok(known)) => on_record(account, *known),
        None => stranger(account, found.name_held_by, found.candidates, found.ghost, rules),
    }
}

fn on_record(account: SeenAccount, known: Known) -> Verdict {
    if !known.living {
        return Verdict::Skip(DELETED);
    }
    let Some(record) = known.record.clone().filter(|_| known.imported) else { return Verdict::Known };
    let attrs = attributes(&account, known.attrs.clone());
    if attrs == known.attrs {
        return Verdict::Known;
    }
    if known.open {
        return Verdict::Skip(BUSY);
    }
    // Nobody has written to it: as it is now it was found.
    let found = record.found.clone().map(|found| AsFound { active: account.active, ..found });
    let after = LinkRecord { known: linked(&account), found, ..record.clone() };
    let user =
        FromAccount { version: known.version, before: Some(record), ..from_account(known.id, account, attrs, after) };
    Verdict::Refresh(Box::new(user))
}

fn stranger(
    account: SeenAccount,
    name_held_by: Option<(bool, Uuid)>,
    candidates: Vec<Known>,
    ghost: Option<Known>,
    rules: &Rules<'_>,
) -> Verdict {
    let user_name = user_name(&account, rules.ground.capabilities.naming);
    if user_name.is_empty() || account.username.is_empty() {
        return Verdict::Skip(NO_NAME);
    }
    let key = fold(&user_name);
    let named = |user: &Known| user.attrs.get("userName").and_then(Value::as_str).map(fold) == Some(key.clone());
    let taken = candidates.iter().any(named);
    let owner = candidates.into_iter().find(|user| is_whose(user, &account, rules));
    match (name_held_by, &owner) {
        (Some((false, _)), _) => return Verdict::Skip(OTHER_TENANT),
        (Some((true, holder)), Some(owner)) if holder == owner.id => {}
        (Some((true, _)), _) => return Verdict::Skip(NAME_TAKEN),
        (None, _) => {}
    }
    match owner {
        Some(owner) => link(account, owner, rules),
        None if taken => Verdict::Skip(NAME_TAKEN),
        None => {
            let mut attrs = attributes(&account, Attrs::new());
            attrs.insert("userName".to_owned(), Value::String(user_name));
            let record = first_record(&account, LinkRecord::default());
            let id = ghost.as_ref().map_or_else(Uuid::now_v7, |ghost| ghost.id);
            let user = FromAccount { revives: ghost.is_some(), ..from_account(id, account, attrs, record) };
            Verdict::Create(Box::new(user))
        }
    }
}

/// Whether the policy finds this account for a user.
fn is_whose(user: &Known, account: &SeenAccount, rules: &Rules<'_>) -> bool {
    let mapped = mapping::account(&user.attrs, true, [], rules.policy, rules.ground);
    let finders = mapping::finders(&user.attrs, &mapped, rules.policy, rules.ground);
    mapped.problem.is_none() && finders.iter().any(|by| by.is(account))
}

fn link(account: SeenAccount, owner: Known, rules: &Rules<'_>) -> Verdict {
    let before = owner.record.clone().unwrap_or_default();
    if before.linked().is_some() {
        return Verdict::Skip(NAME_TAKEN);
    }
    if owner.open || !before.maybe_created.is_empty() {
        return Verdict::Skip(BUSY);
    }
    let asks = match rules.policy.adopt {
        Adopt::Off => return Verdict::Skip(NO_ADOPTION),
        Adopt::Ask => before.approved.as_ref() != Some(&account.id),
        Adopt::Link => false,
    };
    let record = if asks { asked(&account, &owner, before, rules) } else { first_record(&account, before) };
    if owner.record.as_ref() == Some(&record) {
        return Verdict::Skip(TO_APPROVE);
    }
    let attrs = owner.attrs.clone();
    let user =
        FromAccount { version: owner.version, before: owner.record, ..from_account(owner.id, account, attrs, record) };
    if asks { Verdict::Ask(Box::new(user)) } else { Verdict::Link(Box::new(user)) }
}

/// The record of a user whose account was found, and waits for approval as it does after a drive.
fn asked(account: &SeenAccount, owner: &Known, before: LinkRecord, rules: &Rules<'_>) -> LinkRecord {
    let mapped = mapping::account(&owner.attrs, true, [], rules.policy, rules.ground);
    let mut state = to_approve(&mapped.account, account, rules.now);
    let mut steps = before.steps;
    if let Some(waits) = steps.get(&AccountStep::Write).filter(|waits| waits.fingerprint == state.fingerprint) {
        state = waits.clone();
    }
    steps.insert(AccountStep::Write, state);
    LinkRecord { known: link::Known::Found(account.clone()), steps, ..before }
}

fn user_name(account: &SeenAccount, naming: Naming) -> String {
    match (naming, &account.email) {
        (Naming::Email, Some(email)) if account.username.is_empty() => email.clone(),
        _ => account.username.clone(),
    }
}

fn from_account(id: Uuid, account: SeenAccount, attrs: Attrs, record: LinkRecord) -> FromAccount {
    let folded = scim::folded(user(), &attrs);
    FromAccount {
        id,
        name: fold(&account.username),
        user_name: attrs.get("userName").and_then(Value::as_str).map(fold).unwrap_or_default(),
        email: account.email.as_deref().map(fold),
        active: account.active,
        account: account.id.0,
        attrs,
        folded,
        record,
        revives: false,
        version: 0,
        before: None,
    }
}

/// The account as a user: the attributes that a target shows, over those that are there.
fn attributes(account: &SeenAccount, mut attrs: Attrs) -> Attrs {
    if !account.username.is_empty() {
        attrs.insert("userName".to_owned(), account.username.clone().into());
    }
    match account.display_name.as_str() {
        "" => drop(attrs.remove("displayName")),
        name => drop(attrs.insert("displayName".to_owned(), name.into())),
    }
    // One that is hidden may be as it was.
    if let Some(email) = &account.email {
        attrs.insert("emails".to_owned(), json!([{ "value": email, "type": "work", "primary": true }]));
    }
    attrs.insert("active".to_owned(), account.active.into());
    attrs.insert(urn::ORIGIN_USER.to_owned(), json!({ "origin": IMPORTED }));
    attrs
}

fn linked(account: &SeenAccount) -> link::Known {
    link::Known::Linked { seen: account.clone(), maybe: false }
}

/// The record of an account that was there before us.
fn first_record(account: &SeenAccount, before: LinkRecord) -> LinkRecord {
    let found = AsFound { active: account.active, groups: before.found.map(|found| found.groups).unwrap_or_default() };
    let steps = Default::default();
    LinkRecord { known: linked(account), found: Some(found), made: false, steps, ..before }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn account() -> SeenAccount {
        SeenAccount {
            id: crate::account::AccountId("JIRAUSER1".into()),
            username: "Mara".into(),
            email: Some("mara@x.example".into()),
            display_name: "Mara Lund".into(),
            active: true,
            ..SeenAccount::default()
        }
    }

    fn user_of(attrs: Value) -> Known {
        Known {
            id: Uuid::from_u128(7),
            attrs: attrs.as_object().unwrap().clone(),
            version: 3,
            living: true,
            imported: false,
            open: false,
            record: None,
        }
    }

    fn verdict(found: Found, policy: Value) -> String {
        let policy = Policy::from_value(&policy).unwrap();
        let (protected, ground) = (Protected::default(), Ground::default());
        let rules = Rules { policy: &policy, protected: &protected, ground: &ground, now: DateTime::UNIX_EPOCH };
        match judge(account(), found, &rules) {
            Verdict::Skip(why) => why.to_owned(),
            Verdict::Known => "known".to_owned(),
            Verdict::Refresh(user) => format!("refresh {}", user.attrs["userName"]),
            Verdict::Link(user) => format!("link {}", user.id.as_u128()),
            Verdict::Ask(user) => format!("ask {}", user.id.as_u128()),
            Verdict::Create(user) => format!("create {}", Value::Object(user.attrs)),
        }
    }

    #[test]
    fn nobodys_account_becomes_a_user_with_what_the_target_shows() {
        let made = verdict(Found::default(), json!({}));
        assert_eq!(
            made,
            "create {\"active\":true,\"displayName\":\"Mara Lund\",\"emails\":[{\"primary\":true,\"type\":\"work\",\
             \"value\":\"mara@x.example\"}],\"urn:jira-scim:params:scim:schemas:extension:origin:2.0:User\":\
             {\"origin\":\"imported\"},\"userName\":\"Mara\"}"
        );
    }

    #[test]
    fn a_living_user_gets_the_account_that_the_policy_gives_it() {
        let found = |attrs: Value| Found { candidates: vec![user_of(attrs)], ..Found::default() };
        assert_eq!(verdict(found(json!({"userName": "MARA"})), json!({})), "link 7");
        let by_address = json!({"userName": "mara@x.example", "emails": [{"value": "mara@x.example"}]});
        let rule = json!({"account": {"username": "{{ userName | before('@') }}"}});
        assert_eq!(verdict(found(by_address.clone()), rule.clone()), "link 7");
        assert!(verdict(found(by_address), json!({})).starts_with("create"), "another login name");
        let rule = json!({"account": {"username": "{{ userName }}-x"}});
        assert_eq!(verdict(found(json!({"userName": "mara"})), rule), NAME_TAKEN);
        assert_eq!(verdict(found(json!({"userName": "mara"})), json!({"adopt": "off"})), NO_ADOPTION);
        assert_eq!(verdict(found(json!({"userName": "mara"})), json!({"adopt": "ask"})), "ask 7");
        let approved = LinkRecord { approved: Some(account().id), ..LinkRecord::default() };
        let approved = Known { record: Some(approved), ..user_of(json!({"userName": "mara"})) };
        let found = |known: Known| Found { candidates: vec![known], ..Found::default() };
        assert_eq!(verdict(found(approved), json!({"adopt": "ask"})), "link 7");
        let open = Known { open: true, ..user_of(json!({"userName": "mara"})) };
        assert_eq!(verdict(Found { candidates: vec![open], ..Found::default() }, json!({})), BUSY);
    }

    #[test]
    fn what_somebody_holds_stays_with_whoever_holds_it() {
        assert_eq!(verdict(Found { by_account: Some(Err(())), ..Found::default() }, json!({})), OTHER_TENANT);
        assert_eq!(
            verdict(Found { name_held_by: Some((false, Uuid::nil())), ..Found::default() }, json!({})),
            OTHER_TENANT
        );
        assert_eq!(
            verdict(Found { name_held_by: Some((true, Uuid::nil())), ..Found::default() }, json!({})),
            NAME_TAKEN
        );
        let dead = Known { living: false, ..user_of(json!({"userName": "mara"})) };
        assert_eq!(verdict(Found { by_account: Some(Ok(Box::new(dead))), ..Found::default() }, json!({})), DELETED);
        assert_eq!(verdict(Found::default(), json!({"protect": {"users": ["^mara$"]}})), PROTECTED);
    }

    #[test]
    fn only_what_nobody_has_written_to_follows_the_target() {
        let record = LinkRecord { known: linked(&account()), ..LinkRecord::default() };
        let known = |attrs: Value, imported: bool| {
            let user = Known { imported, record: Some(record.clone()), ..user_of(attrs) };
            Found { by_account: Some(Ok(Box::new(user))), ..Found::default() }
        };
        let as_it_is = Value::Object(attributes(&account(), Attrs::new()));
        assert_eq!(verdict(known(as_it_is, true), json!({})), "known");
        assert_eq!(verdict(known(json!({"userName": "mara.old"}), true), json!({})), "refresh \"Mara\"");
        assert_eq!(verdict(known(json!({"userName": "mara.old"}), false), json!({})), "known");
    }
}
