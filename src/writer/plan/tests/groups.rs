//! Groups in a plan: joined, left, waited for, barred.

use super::*;

#[test]
fn groups_are_joined_and_left() {
    use GroupKnown::{Exists, Maybe, Unknown};
    let dev = || wants(linked(), "Dev");
    let strip = || policy(|p| p.deprovision.strip_groups = true);
    let find = || policy(|p| p.groups.create_missing = false);
    let default = || policy(|p| p.groups.default_groups = vec![" Jira-Users ".to_owned(), "Dev".to_owned()]);
    table(vec![
        ("of a new account", wants(ann(), "Dev"), rules(), &["create ann", "ensure Dev", "add Dev"]),
        ("unknown group", dev(), rules(), &["ensure Dev", "add Dev"]),
        ("group on its way", group(dev(), "Dev", Maybe), rules(), &["ensure Dev", "add Dev"]),
        ("group that must exist", group(dev(), "Dev", Unknown), find(), &["find Dev", "add Dev"]),
        ("group that exists", group(dev(), "Dev", Exists), rules(), &["add Dev"]),
        ("member already", pair(dev(), "dev", true, false), rules(), &[]),
        ("member, maybe", group(pair(dev(), "dev", true, true), "Dev", Exists), rules(), &["add Dev"]),
        ("not wanted, member", pair(linked(), "dev", true, false), rules(), &["remove dev"]),
        (
            "in the spelling of the group",
            group(pair(linked(), "dev", true, false), "Dev", Exists),
            rules(),
            &["remove Dev"],
        ),
        ("not wanted, maybe", pair(linked(), "dev", false, true), rules(), &["remove dev"]),
        ("not wanted, no member", pair(linked(), "dev", false, false), rules(), &[]),
        ("default groups", linked(), default(), &["ensure Dev", "add Dev", "ensure Jira-Users", "add Jira-Users"]),
        ("inactive: joins nothing", inactive(with(dev(), deactivated)), rules(), &[]),
        ("inactive: default groups neither", inactive(with(linked(), deactivated)), default(), &[]),
        ("inactive: stays", pair(inactive(with(dev(), deactivated)), "dev", true, false), rules(), &[]),
        ("inactive: stripped", pair(inactive(with(dev(), deactivated)), "dev", true, false), strip(), &["remove dev"]),
        (
            "inactive: what is maybe is settled",
            group(pair(inactive(dev()), "dev", false, true), "Dev", Exists),
            rules(),
            &["active=false", "add Dev"],
        ),
        (
            "inactive: leaves what it must",
            pair(inactive(linked()), "dev", true, false),
            rules(),
            &["active=false", "remove dev"],
        ),
        ("deleted: leaves all", pair(deleted(dev()), "dev", true, false), rules(), &["active=false", "remove dev"]),
        (
            "deleted: also what is default",
            pair(deleted(linked()), "jira-users", true, false),
            default(),
            &["active=false", "remove jira-users"],
        ),
        ("found: first the account", wants(found(), "Dev"), rules(), &["link JIRAUSER7 adopted"]),
    ]);
}

#[test]
fn a_pair_waits_for_its_group_and_no_longer() {
    let group_refused = |fingerprint: String| {
        with(group(wants(linked(), "Dev"), "Dev", GroupKnown::Unknown), |f| {
            f.groups.get_mut("dev").unwrap().step = Some(no(fingerprint));
        })
    };
    let waiting = |facts: UserFacts| {
        with(facts, |f| {
            let step = Some(StepState { state: Stuck::Waiting, ..no(pair_fingerprint(true)) });
            f.pairs.insert("dev".to_owned(), Pair { step, ..Pair::default() });
        })
    };
    let find = || policy(|p| p.groups.create_missing = false);
    let create = group_fingerprint("Dev", true);
    let look = group_fingerprint("Dev", false);
    table(vec![
        ("the group was refused", group_refused(create.clone()), rules(), &["waiting dev"]),
        ("it waits", waiting(group_refused(create.clone())), rules(), &[]),
        ("the refusal is gone", waiting(wants(linked(), "Dev")), rules(), &["ensure Dev", "add Dev"]),
        (
            "the group is there",
            waiting(group(wants(linked(), "Dev"), "Dev", GroupKnown::Exists)),
            rules(),
            &["add Dev"],
        ),
        ("nobody wants it", with(waiting(group_refused(create.clone())), |f| f.wanted.clear()), rules(), &["void dev"]),
        ("it must not be created", waiting(group_refused(look.clone())), find(), &[]),
        ("it may be created now", waiting(group_refused(look)), rules(), &["ensure Dev", "add Dev"]),
        (
            "a refusal of a group that is there",
            with(group_refused(create), |f| {
                f.groups.get_mut("dev").unwrap().known = GroupKnown::Exists;
            }),
            rules(),
            &["add Dev", "void group dev"],
        ),
    ]);
}

#[test]
fn groups_that_grant_administration_are_barred_until_they_are_allowed() {
    let allow = || policy(|p| p.protect.allow = vec![" ADMINS ".to_owned()]);
    let join = || group(wants(linked(), "Admins"), "Admins", GroupKnown::Exists);
    let leave = || pair(linked(), "admins", true, false);
    let labelled = with(group(wants(linked(), "Ops"), "Ops", GroupKnown::Exists), |f| {
        f.groups.get_mut("ops").unwrap().administrative = true;
    });
    let again = |facts: UserFacts| {
        let plan = plan_user(&facts, &rules());
        with(facts, |f| super::super::super::absorb::set_states(f, &plan))
    };
    table(vec![
        ("joined", join(), rules(), &["refused admins"]),
        ("unknown to us and labelled there", labelled, rules(), &["refused ops"]),
        ("joined, once", again(join()), rules(), &[]),
        ("joined, allowed since", again(join()), allow(), &["add Admins", "void admins"]),
        ("left", leave(), rules(), &["refused admins"]),
        ("left, once", again(leave()), rules(), &[]),
        ("left, allowed since", again(leave()), allow(), &["remove admins", "void admins"]),
        ("allowed", join(), allow(), &["add Admins"]),
    ]);
}
