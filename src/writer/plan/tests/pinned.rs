//! What is pinned by hand, protected, imported, or left to others: it goes before what the identity provider says.

use super::*;
use crate::account::fold;
use crate::policy::pattern::Pattern;

fn pinned(facts: UserFacts, what: Pinned, until: Option<i64>) -> UserFacts {
    let until = until.map(|seconds| now() + TimeDelta::seconds(seconds));
    with(facts, |f| f.overrides.push(Override { id: uuid::Uuid::nil(), what, until }))
}

fn member(name: &str) -> Pinned {
    Pinned::Member { key: fold(name), name: name.to_owned() }
}

fn off(facts: UserFacts) -> UserFacts {
    with(facts, deactivated)
}

#[test]
fn what_is_pinned_beats_the_identity_provider_until_its_time_is_over() {
    let active = |facts, until| pinned(facts, Pinned::Active, until);
    let locked = |facts| pinned(facts, Pinned::Inactive, None);
    table(vec![
        ("a contractor stays in", active(inactive(linked()), Some(60)), rules(), &[]),
        ("and goes then", active(inactive(linked()), Some(0)), rules(), &["active=false"]),
        ("also one who was deleted", active(deleted(linked()), Some(60)), rules(), &[]),
        ("one who never came is made", active(inactive(ann()), Some(60)), rules(), &["create ann"]),
        ("locked", locked(linked()), rules(), &["active=false"]),
        ("locked, and the identity provider still says active", locked(off(linked())), rules(), &[]),
        ("it caught up, and takes the person back", off(linked()), rules(), &["active=true"]),
        ("locked for a time", pinned(off(linked()), Pinned::Inactive, Some(60)), rules(), &[]),
        ("and in again", pinned(off(linked()), Pinned::Inactive, Some(-1)), rules(), &["active=true"]),
        ("in a group", pinned(linked(), member("Ops"), Some(60)), rules(), &["ensure Ops", "add Ops"]),
        (
            "out again where nothing else is taken away",
            pinned(pair(pair(linked(), "dev", true, false), "ops", true, false), member("Ops"), Some(0)),
            policy(|p| p.groups.remove = crate::policy::groups::Remove::Never),
            &["remove ops"],
        ),
        ("out again", pinned(pair(linked(), "ops", true, false), member("Ops"), Some(0)), rules(), &["remove ops"]),
    ]);
    let due = plan_user(&active(inactive(linked()), Some(60)), &rules()).due;
    assert_eq!(due, Some(now() + TimeDelta::seconds(60)), "somebody has to look when the time is over");
    assert!(caught_up(&locked(linked())).is_empty());
    assert_eq!(
        caught_up(&locked(inactive(linked()))).len(),
        1,
        "the lock is over when the identity provider says so, too"
    );
    assert_eq!(caught_up(&locked(deleted(linked()))).len(), 1);
    assert!(caught_up(&active(inactive(linked()), Some(60))).is_empty());
}

#[test]
fn protected_accounts_are_left_alone() {
    let protect = || policy(|p| p.protect.users = vec![Pattern::new("^ann$").unwrap()]);
    let known = |known: Known| with(wants(ann(), "Dev"), |f| f.record.known = known);
    let there = || Known::Linked { seen: seen("JIRAUSER7", "Ann"), maybe: false };
    let to_ann = with(linked(), |f| {
        f.record.known = Known::Linked { seen: seen("JIRAUSER7", "bo"), maybe: false };
    });
    table(vec![
        ("created", known(Known::Nothing), protect(), &["refused write"]),
        ("adopted", known(Known::Found(seen("JIRAUSER7", "ann"))), protect(), &["refused write"]),
        ("deactivated", inactive(known(there())), protect(), &["refused write"]),
        ("deleted", deleted(known(there())), protect(), &["refused write"]),
        ("renamed to", to_ann, protect(), &["refused write"]),
        ("another", user("bo"), protect(), &["create bo"]),
    ]);
}

#[test]
fn what_was_imported_is_not_written_until_somebody_claims_it() {
    let imported = |facts: UserFacts| with(facts, |f| f.user.as_mut().unwrap().imported = true);
    let other = with(linked(), |f| {
        f.record.known = Known::Linked { seen: seen("JIRAUSER7", "somebody-else"), maybe: false };
    });
    let default = || policy(|p| p.groups.default_groups = vec!["Staff".to_owned()]);
    table(vec![
        ("as it is", imported(linked()), default(), &[]),
        ("named otherwise", imported(other), rules(), &[]),
        ("without an account", imported(ann()), rules(), &[]),
        ("inactive there", imported(off(linked())), rules(), &[]),
        ("locked by hand", imported(pinned(linked(), Pinned::Inactive, None)), rules(), &["active=false"]),
        ("a client puts it into a group", imported(wants(linked(), "Dev")), default(), &["ensure Dev", "add Dev"]),
        ("a client takes it out", imported(pair(linked(), "dev", true, false)), rules(), &["remove dev"]),
    ]);
}

#[test]
fn where_users_are_not_written_their_accounts_are_found_for_their_groups() {
    let groups_only = || policy(|p| p.users.enabled = false);
    let absent = |facts: UserFacts| with(facts, |f| f.record.known = Known::Absent);
    let mut refused = absent(wants(ann(), "Dev"));
    let plan = plan_user(&refused, &groups_only());
    super::super::super::absorb::set_states(&mut refused, &plan);
    let tomorrow = || Rules { now: now() + TimeDelta::days(1), ..groups_only() };
    let changed = with(linked(), |f| f.user = user("bo").user);
    table(vec![
        ("nobody looked", wants(ann(), "Dev"), groups_only(), &["look ann"]),
        ("not there", absent(wants(ann(), "Dev")), groups_only(), &["refused write"]),
        ("not there, and told", refused.clone(), groups_only(), &[]),
        ("looked for again the next day", refused, tomorrow(), &["look ann"]),
        ("there", wants(found(), "Dev"), groups_only(), &["link JIRAUSER7 adopted"]),
        ("linked", wants(linked(), "Dev"), groups_only(), &["ensure Dev", "add Dev"]),
        ("a leaver", inactive(linked()), groups_only(), &[]),
        ("another name", changed, groups_only(), &[]),
        ("deleted", deleted(pair(linked(), "dev", true, false)), groups_only(), &["remove dev"]),
    ]);
}

#[test]
fn an_adoption_waits_until_somebody_approves() {
    let ask = || policy(|p| p.adopt = Adopt::Ask);
    let approved = |id: &str| with(found(), |f| f.record.approved = Some(AccountId(id.to_owned())));
    table(vec![
        ("asked", found(), ask(), &["held write"]),
        ("approved", approved("JIRAUSER7"), ask(), &["link JIRAUSER7 adopted"]),
        ("approved of another", approved("JIRAUSER8"), ask(), &["held write"]),
        ("nobody to ask about", ann(), ask(), &["create ann"]),
    ]);
}

#[test]
fn a_deletion_waits_out_its_grace() {
    let rules = |at: i64| {
        let mut rules = policy(|p| {
            p.deprovision.on_delete = OnDelete::Delete;
            p.deprovision.delete_after = crate::policy::span::Span::seconds(60);
        });
        rules.now += TimeDelta::seconds(at);
        rules
    };
    let gone = || with(deleted(linked()), |f| f.user.as_mut().unwrap().deleted_at = Some(now()));
    table(vec![
        ("at once", gone(), rules(0), &["active=false"]),
        ("meanwhile", off(gone()), rules(59), &[]),
        ("then", off(gone()), rules(60), &["delete"]),
    ]);
    assert_eq!(plan_user(&gone(), &rules(0)).due, Some(now() + TimeDelta::seconds(60)));
}

#[test]
fn only_the_kinds_that_are_released_are_planned() {
    let only = |kinds: &[StepKind]| Rules { only: Some(kinds.iter().copied().collect()), ..rules() };
    let joiner = || wants(ann(), "Dev");
    let leaver = || inactive(pair(linked(), "dev", true, false));
    table(vec![
        ("a create", joiner(), only(&[StepKind::Create]), &["create ann"]),
        ("nothing without its account", joiner(), only(&[StepKind::Join, StepKind::Group]), &[]),
        ("a leaver", leaver(), only(&[StepKind::Deactivate]), &["active=false"]),
        ("his groups", leaver(), only(&[StepKind::Leave]), &["remove dev"]),
        ("nothing", leaver(), only(&[]), &[]),
    ]);
}
