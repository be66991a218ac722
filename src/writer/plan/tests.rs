//! The planner by tables: each branch once, by what the plan is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod groups;
mod jira;
mod pinned;
mod properties;
mod removal;
mod rules;
mod states;

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::json;

use super::*;
use crate::account::{Access, AccountId, Kind};
use crate::policy::{Match, OnGroupDelete};
use crate::store::link::{GroupKnown, JiraGroup, Pair};

pub(super) fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

pub(super) fn seen(id: &str, username: &str) -> SeenAccount {
    SeenAccount {
        id: AccountId(id.to_owned()),
        username: username.to_owned(),
        email: Some(format!("{username}@users.invalid")),
        display_name: username.to_owned(),
        active: true,
        ..SeenAccount::default()
    }
}

pub(super) fn rules() -> Rules {
    Rules {
        policy: Arc::default(),
        protected: Protected {
            own: Some(seen("JIRAUSER1", "scim")),
            administrative: ["admins".to_owned()].into(),
            ..Protected::default()
        },
        ground: Ground::default(),
        now: now(),
        only: None,
    }
}

fn user(name: &str) -> UserFacts {
    let attrs = json!({ "userName": name }).as_object().unwrap().clone();
    UserFacts { user: Some(UserNow { attrs, active: true, version: 1, ..UserNow::default() }), ..UserFacts::default() }
}

fn ann() -> UserFacts {
    user("ann")
}

/// Ann with her account, as wanted.
fn linked() -> UserFacts {
    let mut facts = ann();
    facts.record.known = Known::Linked { seen: seen("JIRAUSER7", "ann"), maybe: false };
    facts
}

fn found() -> UserFacts {
    let mut facts = ann();
    facts.record.known = Known::Found(seen("JIRAUSER7", "ann"));
    facts
}

fn account(name: &str) -> Account {
    mapping::account(json!({ "userName": name }).as_object().unwrap(), true, [], &Policy::default(), &Ground::default())
        .account
}

fn inactive(mut facts: UserFacts) -> UserFacts {
    facts.user.as_mut().unwrap().active = false;
    facts
}

fn deleted(mut facts: UserFacts) -> UserFacts {
    facts.user.as_mut().unwrap().deleted = true;
    facts
}

fn with(mut facts: UserFacts, change: impl FnOnce(&mut UserFacts)) -> UserFacts {
    change(&mut facts);
    facts
}

fn wants(facts: UserFacts, group: &str) -> UserFacts {
    with(facts, |f| {
        f.groups_in.push(InGroup { name: group.to_owned(), direct: true, ..InGroup::default() });
        f.wanted.insert(fold(group), group.to_owned());
    })
}

fn pair(facts: UserFacts, key: &str, written: bool, maybe: bool) -> UserFacts {
    with(facts, |f| drop(f.pairs.insert(key.to_owned(), Pair { written, maybe, ..Pair::default() })))
}

fn group(facts: UserFacts, name: &str, known: GroupKnown) -> UserFacts {
    let group = JiraGroup { name: name.to_owned(), known, ..JiraGroup::default() };
    with(facts, |f| drop(f.groups.insert(fold(name), group)))
}

fn no(fingerprint: String) -> StepState {
    refused(fingerprint, "No.".to_owned(), None, now())
}

fn policy(change: impl FnOnce(&mut Policy)) -> Rules {
    let mut rules = rules();
    change(Arc::make_mut(&mut rules.policy));
    rules
}

fn finder(by: &By) -> String {
    match by {
        By::Username(name) => format!("name {name}"),
        By::Email(email) => format!("address {email}"),
        By::Id(id) => format!("key {id}"),
    }
}

/// A plan in few words.
fn words(facts: &UserFacts, rules: &Rules) -> Vec<String> {
    let plan = plan_user(facts, rules);
    let steps = plan.steps.iter().map(|step| match step {
        Step::Look { id: Some(id), .. } => format!("look {id}"),
        Step::Look { username, by, .. } if by.is_empty() => format!("look {username}"),
        Step::Look { by, .. } => format!("look by {}", by.iter().map(finder).collect::<Vec<_>>().join(", ")),
        Step::Link { account, made, .. } => format!("link {} {}", account.id, if *made { "made" } else { "adopted" }),
        Step::Create { account, .. } => format!("create {}", account.username),
        Step::Update { change, .. } => {
            let fields = [
                change.username.as_ref().map(|n| format!(" name={n}")),
                change.email.as_ref().map(|n| format!(" email={n}")),
                change.display_name.as_ref().map(|n| format!(" display={n}")),
            ];
            format!("update{}", fields.into_iter().flatten().collect::<String>())
        }
        Step::SetActive { active, .. } => format!("active={active}"),
        Step::Grant { access, .. } => format!("grant {access}"),
        Step::Revoke { access, .. } => format!("revoke {access}"),
        Step::Delete { .. } => "delete".to_owned(),
        Step::EnsureGroup { name, create, .. } => format!("{} {name}", if *create { "ensure" } else { "find" }),
        Step::AddMember { name, .. } => format!("add {name}"),
        Step::RemoveMember { name, .. } => format!("remove {name}"),
        Step::DeleteGroup { name, .. } => format!("delete group {name}"),
    });
    let place = |place: &Place| match place {
        Place::Account(step) => step.to_string(),
        Place::Pair(key) => key.clone(),
        Place::Group(key) => format!("group {key}"),
    };
    let stuck = plan.stuck.iter().map(|(at, state)| format!("{:?} {}", state.state, place(at)).to_lowercase());
    let void = plan.void.iter().map(|at| format!("void {}", place(at)));
    steps.chain(stuck).chain(void).collect()
}

fn table(rows: Vec<(&str, UserFacts, Rules, &[&str])>) {
    for (what, facts, rules, expected) in rows {
        assert_eq!(words(&facts, &rules), expected, "{what}");
    }
}

#[test]
fn an_account_is_found_by_what_the_policy_matches_by() {
    let by = |matching: &[Match]| policy(|p| p.matching = matching.to_vec());
    let either = || by(&[Match::Email, Match::UserName]);
    let cloud = || with_kind(by(&[Match::ExternalId, Match::Email]), Kind::Cloud);
    let numbered = |facts: UserFacts| {
        with(facts, |f| {
            f.user.as_mut().unwrap().attrs.insert("externalId".to_owned(), "e-7".into());
        })
    };
    let there = |name: &str, email: &str| {
        with(ann(), |f| {
            let seen = SeenAccount { email: Some(email.to_owned()), ..seen("JIRAUSER7", name) };
            f.record.known = Known::Found(seen);
        })
    };
    let absent = with(ann(), |f| f.record.known = Known::Absent);
    table(vec![
        (
            "nothing known: a create would find by name only",
            ann(),
            either(),
            &["look by address ann@users.invalid, name ann"],
        ),
        ("looked, nobody", absent, either(), &["create ann"]),
        ("by the address", there("amoss", "Ann@users.invalid"), either(), &["link JIRAUSER7 adopted"]),
        ("by the name", there("ann", "other@users.invalid"), either(), &["link JIRAUSER7 adopted"]),
        ("by neither", there("bo", "bo@users.invalid"), either(), &["look by address ann@users.invalid, name ann"]),
        (
            "the name is somebody's who does not count",
            there("ann", "bo@users.invalid"),
            by(&[Match::Email]),
            &["refused write"],
        ),
        ("no external id", ann(), by(&[Match::ExternalId]), &["create ann"]),
        ("an external id", numbered(ann()), by(&[Match::ExternalId]), &["look by name e-7"]),
        ("of Cloud", numbered(ann()), cloud(), &["look by key e-7, address ann@users.invalid"]),
        ("deleted", deleted(ann()), either(), &[]),
    ]);
}

fn with_kind(mut rules: Rules, kind: Kind) -> Rules {
    rules.ground.capabilities.kind = kind;
    rules
}

#[test]
fn the_account_follows_what_is_known_and_wanted() {
    let absent = |facts: UserFacts| with(facts, |f| f.record.known = Known::Absent);
    let off = || policy(|p| p.adopt = Adopt::Off);
    table(vec![
        ("nobody", UserFacts::default(), rules(), &[]),
        ("nothing known, active", ann(), rules(), &["create ann"]),
        ("nothing known, inactive: a namesake may log in", inactive(ann()), rules(), &["look ann"]),
        ("nothing known, deleted", deleted(ann()), rules(), &[]),
        ("absent, active", absent(ann()), rules(), &["create ann"]),
        ("absent, inactive", absent(inactive(ann())), rules(), &[]),
        ("absent, deleted", absent(deleted(ann())), rules(), &[]),
        ("found, active", found(), rules(), &["link JIRAUSER7 adopted"]),
        ("found, inactive", inactive(found()), rules(), &["link JIRAUSER7 adopted"]),
        ("found, deleted: not ours", deleted(found()), rules(), &[]),
        ("found, adoption off", found(), off(), &["refused write"]),
        ("found, wanted under another name", with(found(), |f| f.user = user("bo").user), rules(), &["look bo"]),
        ("linked, as wanted", linked(), rules(), &[]),
        ("linked, inactive", inactive(linked()), rules(), &["active=false"]),
        ("linked, deleted", deleted(linked()), rules(), &["active=false"]),
        ("linked, re-hired", with(linked(), deactivated), rules(), &["active=true"]),
        (
            "linked, renamed",
            with(linked(), |f| f.user = user("bo").user),
            rules(),
            &["update name=bo email=bo@users.invalid display=bo"],
        ),
    ]);
}

fn deactivated(facts: &mut UserFacts) {
    if let Known::Linked { seen, .. } = &mut facts.record.known {
        seen.active = false;
    }
}

#[test]
fn a_name_that_differs_only_in_case_is_no_rename() {
    let facts = with(linked(), |f| {
        let attrs = json!({"userName": "ANN", "displayName": "ann", "emails": [{"value": "ann@users.invalid"}]});
        f.user.as_mut().unwrap().attrs = attrs.as_object().unwrap().clone();
    });
    assert!(plan_user(&facts, &rules()).is_empty());
}

#[test]
fn a_refusal_of_a_name_that_differs_in_case_too_is_remembered() {
    // Jira's spelling stays; what is refused is the display name.
    let facts = with(linked(), |f| {
        let attrs = json!({"userName": "ANN", "displayName": "Ann!", "emails": [{"value": "ann@users.invalid"}]});
        f.user.as_mut().unwrap().attrs = attrs.as_object().unwrap().clone();
    });
    let mut after = facts.clone();
    let plan = plan_user(&facts, &rules());
    super::super::absorb::refuse(&mut after, &plan.steps[0], no(String::new()));
    assert_eq!(words(&after, &rules()), [""; 0]);
}

#[test]
fn a_hidden_address_is_written_once_and_then_believed() {
    let hidden = |email: Option<&str>| {
        with(linked(), |f| {
            let seen = SeenAccount { email: email.map(str::to_owned), ..seen("JIRAUSER7", "ann") };
            f.record.known = Known::Linked { seen, maybe: false };
        })
    };
    table(vec![
        ("adopted, nobody knows the address", hidden(None), rules(), &["update email=ann@users.invalid"]),
        ("what was sent is on record", hidden(Some("ann@users.invalid")), rules(), &[]),
        ("another was sent", hidden(Some("old@x.example")), rules(), &["update email=ann@users.invalid"]),
    ]);
}

#[test]
fn what_is_maybe_is_looked_at_before_anything_else() {
    let doubted = with(linked(), |f| {
        f.record.known = Known::Linked { seen: seen("JIRAUSER7", "ann"), maybe: true };
    });
    let created = with(ann(), |f| f.record.maybe_created = vec![account("ann")]);
    let renamed = with(created.clone(), |f| f.user = user("bo").user);
    let ours = with(found(), |f| f.record.maybe_created = vec![account("ann")]);
    let other =
        with(found(), |f| f.record.maybe_created = vec![Account { display_name: "?".into(), ..account("ann") }]);
    let off = || policy(|p| p.adopt = Adopt::Off);
    table(vec![
        ("a doubted account", wants(doubted.clone(), "Dev"), rules(), &["look JIRAUSER7"]),
        ("a doubted leaver", deleted(doubted), rules(), &["look JIRAUSER7"]),
        ("a doubted create", created.clone(), rules(), &["look ann"]),
        ("a doubted create of a leaver", deleted(created), rules(), &["look ann"]),
        ("a doubted create under the old name", renamed, rules(), &["look ann"]),
        ("found what we sent", ours.clone(), off(), &["link JIRAUSER7 made"]),
        ("found what we sent, deleted since", deleted(ours.clone()), rules(), &["link JIRAUSER7 made"]),
        (
            "found what we sent, renamed since",
            with(ours, |f| f.user = user("bo").user),
            rules(),
            &["link JIRAUSER7 made"],
        ),
        ("found another than we sent", other.clone(), rules(), &["link JIRAUSER7 adopted"]),
        ("found another, adoption off", other.clone(), off(), &["refused write"]),
        ("found another, deleted since", deleted(other), rules(), &[]),
    ]);
}

#[test]
fn a_second_look_is_taken_when_its_time_has_come_whatever_is_known() {
    let at = |facts: UserFacts, seconds: i64| with(facts, |f| f.look_at = Some(now() + TimeDelta::seconds(seconds)));
    let absent = with(ann(), |f| f.record.known = Known::Absent);
    let created = with(absent.clone(), |f| f.record.maybe_created = vec![account("old")]);
    let off = || policy(|p| p.adopt = Adopt::Off);
    table(vec![
        ("linked, not yet", at(linked(), 60), rules(), &[]),
        ("linked, now", at(linked(), 0), rules(), &["look JIRAUSER7"]),
        ("absent, now", at(absent.clone(), -5), rules(), &["look ann"]),
        ("absent and deleted, now", at(deleted(absent.clone()), 0), rules(), &["look ann"]),
        ("found, now", at(found(), 0), off(), &["look ann"]),
        ("found and deleted, now", at(deleted(found()), 0), rules(), &["look ann"]),
        ("a create under another name may still come: wait", at(created.clone(), 60), rules(), &[]),
        ("the name that was sent is looked for", at(created.clone(), 0), rules(), &["look old"]),
        ("nobody can tell when it began", created, rules(), &["create ann"]),
    ]);
    for seconds in [60, 0] {
        for facts in [linked(), found(), absent.clone(), deleted(absent.clone())] {
            let plan = plan_user(&at(facts, seconds), &off());
            let future = plan.due.is_none_or(|due| due > now());
            assert!(future, "a row that is due although nothing is planned is driven for ever: {plan:?}");
        }
    }
    assert_eq!(plan_user(&at(linked(), 60), &rules()).due, Some(now() + TimeDelta::seconds(60)));
}

#[test]
fn the_account_of_jira_scim_itself_is_never_touched() {
    let own = |known| with(wants(user("scim"), "Dev"), |f| f.record.known = known);
    let me = || seen("JIRAUSER1", "scim");
    let stale = pair(own(Known::Linked { seen: me(), maybe: false }), "old", true, false);
    table(vec![
        ("created", own(Known::Nothing), rules(), &["refused write"]),
        ("somebody renamed to it", with(linked(), |f| f.user = user("Scim").user), rules(), &["refused write"]),
        ("created in other letters", user("SCIM"), rules(), &["refused write"]),
        ("adopted", own(Known::Found(me())), rules(), &["refused write"]),
        ("changed", stale.clone(), rules(), &["refused write"]),
        ("deactivated", inactive(stale.clone()), rules(), &["refused write"]),
        ("deleted", deleted(stale), policy(|p| p.deprovision.on_delete = OnDelete::Delete), &["refused write"]),
    ]);
}

#[test]
fn deleting_falls_back_to_deactivating_and_is_not_tried_for_ever() {
    let delete = || policy(|p| p.deprovision.on_delete = OnDelete::Delete);
    let refused = |facts| {
        with(facts, |f: &mut UserFacts| {
            drop(f.record.steps.insert(AccountStep::Delete, no(DELETE_FINGERPRINT.to_owned())));
        })
    };
    let leaver = || deleted(pair(linked(), "dev", true, false));
    let gone = with(deleted(ann()), |f| f.record.known = Known::Absent);
    table(vec![
        ("deleted with everything", leaver(), delete(), &["delete"]),
        ("refused: deactivated", refused(leaver()), delete(), &["active=false", "remove dev"]),
        ("refused and deactivated", refused(deleted(with(linked(), deactivated))), delete(), &[]),
        ("not the policy any more", refused(deleted(with(linked(), deactivated))), rules(), &["void delete"]),
        ("gone", refused(gone), delete(), &["void delete"]),
        ("re-hired", refused(with(linked(), deactivated)), delete(), &["active=true", "void delete"]),
    ]);
}

#[test]
fn an_account_that_an_undone_create_had_adopted_is_left_as_it_was_found() {
    let delete = || policy(|p| p.deprovision.on_delete = OnDelete::Delete);
    let undone = |active, facts| {
        with(deleted(facts), |f: &mut UserFacts| {
            f.user.as_mut().unwrap().undone = true;
            f.record.found = Some(AsFound { active, groups: ["staff".to_owned()].into() });
        })
    };
    let joined = || pair(pair(linked(), "dev", true, false), "staff", true, false);
    table(vec![
        ("only ours goes", undone(true, joined()), delete(), &["remove dev"]),
        ("inactive again", undone(false, linked()), rules(), &["active=false"]),
        ("nobody is switched on", undone(true, with(linked(), deactivated)), rules(), &[]),
        ("gone meanwhile", with(undone(true, ann()), |f| f.record.known = Known::Absent), rules(), &[]),
        ("made by us", with(undone(true, linked()), |f| f.record.found = None), rules(), &["active=false"]),
    ]);
}
