//! Which memberships go and which stay: the three modes, and groups that come with the account.

use super::*;
use crate::policy::groups::{Remove, When};
use crate::policy::pattern::Pattern;

fn remove(mode: Remove) -> Rules {
    policy(|p| {
        p.groups.remove = mode;
        if mode == Remove::All {
            p.groups.remove_exclude = vec![Pattern::new("^jira-administrators$").unwrap()];
        }
    })
}

/// In three groups by hand, and in the two that the identity provider sends.
fn usual() -> UserFacts {
    let facts = with(wants(wants(linked(), "developers"), "employees"), |f| f.record.surveyed = true);
    let facts = pair(pair(facts, "developers", true, false), "employees", true, false);
    ["jira-software-users", "jira-administrators", "support-team"].into_iter().fold(facts, |facts, key| {
        with(facts, |f| drop(f.pairs.insert(key.to_owned(), Pair { written: true, theirs: true, ..Pair::default() })))
    })
}

fn without(facts: UserFacts, key: &str) -> UserFacts {
    with(facts, |f| drop(f.wanted.remove(key)))
}

#[test]
fn what_nobody_asks_for_goes_by_the_policys_mode() {
    use Remove::{All, Never, Ours};
    let new = || with(usual(), |f| drop(f.pairs.remove("employees")));
    let all = &["remove jira-software-users", "remove support-team"][..];
    table(vec![
        ("ours, as it is", usual(), remove(Ours), &[]),
        ("ours, an addition", new(), remove(Ours), &["ensure employees", "add employees"]),
        ("ours, a removal", without(usual(), "developers"), remove(Ours), &["remove developers"]),
        ("ours, a deactivation", inactive(usual()), remove(Ours), &["active=false"]),
        ("never, an addition", new(), remove(Never), &["ensure employees", "add employees"]),
        ("never, a removal", without(usual(), "developers"), remove(Never), &[]),
        ("never, a deactivation", inactive(usual()), remove(Never), &["active=false"]),
        ("never, a deletion", deleted(usual()), remove(Never), &["active=false"]),
        ("all, as it is", usual(), remove(All), all),
        (
            "all, an addition",
            new(),
            remove(All),
            &["remove jira-software-users", "remove support-team", "ensure employees", "add employees"],
        ),
        (
            "all, a removal",
            without(usual(), "developers"),
            remove(All),
            &["remove developers", "remove jira-software-users", "remove support-team"],
        ),
        (
            "all, a deactivation",
            inactive(usual()),
            remove(All),
            &["active=false", "remove jira-software-users", "remove support-team"],
        ),
    ]);
}

#[test]
fn before_all_others_go_somebody_looks_which_there_are() {
    let facts = || with(usual(), |f| f.record.surveyed = false);
    table(vec![
        ("all", facts(), remove(Remove::All), &["look JIRAUSER7"]),
        ("ours", facts(), remove(Remove::Ours), &[]),
    ]);
}

#[test]
fn a_group_that_was_there_becomes_ours_when_the_identity_provider_asks_for_it() {
    let facts = || wants(usual(), "support-team");
    table(vec![("asked for", facts(), remove(Remove::Ours), &["ensure support-team", "add support-team"])]);
}

#[test]
fn administrative_and_protected_groups_are_never_swept() {
    let administrator = |facts: UserFacts| {
        with(facts, |f| {
            drop(f.pairs.insert("admins".to_owned(), Pair { written: true, theirs: true, ..Pair::default() }))
        })
    };
    let protect = || {
        let mut rules = remove(Remove::All);
        Arc::make_mut(&mut rules.policy).protect.groups = vec![Pattern::new("^support-").unwrap()];
        rules
    };
    table(vec![
        ("administrative", administrator(usual()), protect(), &["remove jira-software-users"]),
        ("nobody joins", wants(ann(), "Support-Desk"), protect(), &["create ann", "refused support-desk"]),
    ]);
}

#[test]
fn default_groups_are_given_always_or_with_the_account() {
    let once = || {
        policy(|p| {
            p.groups.default_groups = vec!["Staff".to_owned()];
            p.groups.default_groups_when = When::Create;
        })
    };
    let always = || policy(|p| p.groups.default_groups = vec!["Staff".to_owned()]);
    table(vec![
        ("always, new", ann(), always(), &["create ann", "ensure Staff", "add Staff"]),
        ("always, there", linked(), always(), &["ensure Staff", "add Staff"]),
        ("once, new", ann(), once(), &["create ann", "ensure Staff", "add Staff"]),
        ("once, there", linked(), once(), &[]),
        ("once, adopted", found(), once(), &["link JIRAUSER7 adopted"]),
        (
            "once, the account came and the membership may not",
            pair(linked(), "staff", false, true),
            once(),
            &["ensure Staff", "add Staff"],
        ),
        ("once, given", pair(linked(), "staff", true, false), once(), &[]),
        (
            "once, a leaver who is deleted",
            deleted(pair(linked(), "staff", true, false)),
            once(),
            &["active=false", "remove staff"],
        ),
    ]);
    let Step::Create { welcome, .. } = plan_user(&ann(), &once()).steps.remove(0) else { panic!("no create") };
    assert_eq!(welcome, BTreeMap::from([("staff".to_owned(), "Staff".to_owned())]));
}

#[test]
fn groups_can_be_left_alone_altogether() {
    let off = || policy(|p| p.groups.enabled = false);
    table(vec![
        ("a new member", wants(ann(), "Dev"), off(), &["create ann"]),
        ("an old one", pair(linked(), "dev", true, false), off(), &[]),
        ("a leaver", deleted(pair(linked(), "dev", true, false)), off(), &["active=false"]),
    ]);
}

#[test]
fn the_rules_say_for_which_groups_the_groups_stand_and_whether_nesting_counts() {
    let of = |groups: serde_json::Value| {
        let rules: Groups = serde_json::from_value(groups).unwrap();
        let direct = |name: &str, direct| InGroup { name: name.to_owned(), direct, ..InGroup::default() };
        wanted(&[direct("Red", true), direct("Blue", true), direct("All", false)], &rules)
            .into_values()
            .collect::<Vec<_>>()
    };
    assert_eq!(of(json!({})), ["All", "Blue", "Red"]);
    assert_eq!(of(json!({"nesting": false})), ["Blue", "Red"]);
    assert_eq!(of(json!({"table": {"red": ["crew"], "blue": ["Crew", "x"]}, "mode": "manual"})), ["crew", "x"]);
}

#[test]
fn a_purge_takes_back_what_came_from_here_whatever_the_rules_keep_or_wait_for() {
    use Remove::{All, Never, Ours};
    let purged = |facts| {
        with(deleted(facts), |f: &mut UserFacts| {
            let user = f.user.as_mut().unwrap();
            (user.undone, user.purged, user.deleted_at) = (true, true, Some(now()));
            f.record.made = f.record.found.is_none();
            f.wanted.clear();
        })
    };
    let adopted = |facts| {
        with(facts, |f: &mut UserFacts| {
            f.record.found = Some(AsFound { active: true, groups: ["employees".to_owned()].into() });
        })
    };
    let imported = |facts| with(facts, |f: &mut UserFacts| f.pairs.get_mut("developers").unwrap().imported = true);
    let granted = with(linked(), |f| {
        f.record.granted.insert(Access { resource: "jira-core".to_owned(), ..Access::default() });
    });
    let applications = || policy(|p| p.applications = vec!["jira-core".to_owned()]);
    let later = || {
        policy(|p| {
            p.deprovision.on_delete = OnDelete::Delete;
            p.deprovision.delete_after = crate::policy::span::Span::seconds(60);
        })
    };
    let both = &["active=false", "remove developers", "remove employees"][..];
    table(vec![
        ("ours", purged(usual()), remove(Ours), both),
        ("never", purged(usual()), remove(Never), both),
        ("all", purged(usual()), remove(All), both),
        (
            "was there when it was imported",
            purged(imported(usual())),
            remove(Never),
            &["active=false", "remove employees"],
        ),
        ("there before us", purged(adopted(usual())), remove(Never), &["remove developers"]),
        ("access of somebody adopted", purged(adopted(granted.clone())), applications(), &["revoke jira-core"]),
        ("access of an account that we made", purged(granted), applications(), &["active=false"]),
        ("without waiting", purged(linked()), later(), &["delete"]),
        (
            "people are not provisioned any more",
            purged(linked()),
            policy(|p| p.users.enabled = false),
            &["active=false"],
        ),
        ("groups are not any more", purged(usual()), policy(|p| p.groups.enabled = false), both),
        ("adopted, deleted, and back", with(purged(linked()), |f| f.record.made = false), later(), &[]),
        ("never what was there", purged(adopted(linked())), later(), &[]),
    ]);
}
