//! The planner by tables: each branch once, by what the plan is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde_json::json;

use super::*;
use crate::account::{Access, AccountId, OffSwitch};
use crate::policy::OnGroupDelete;
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
        policy: Policy::default(),
        protected: Protected { own: Some(seen("JIRAUSER1", "scim")), administrative: ["admins".to_owned()].into() },
        ground: Ground::default(),
        now: now(),
    }
}

fn user(name: &str) -> UserFacts {
    let attrs = json!({ "userName": name }).as_object().unwrap().clone();
    UserFacts {
        user: Some(UserNow { attrs, active: true, version: 1, deleted: false, undone: false }),
        ..UserFacts::default()
    }
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
    with(facts, |f| drop(f.wanted.insert(fold(group), group.to_owned())))
}

fn pair(facts: UserFacts, key: &str, written: bool, maybe: bool) -> UserFacts {
    with(facts, |f| drop(f.pairs.insert(key.to_owned(), Pair { written, maybe, step: None })))
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
    change(&mut rules.policy);
    rules
}

/// A plan in few words.
fn words(facts: &UserFacts, rules: &Rules) -> Vec<String> {
    let plan = plan_user(facts, rules);
    let steps = plan.steps.iter().map(|step| match step {
        Step::Look { id: Some(id), .. } => format!("look {id}"),
        Step::Look { id: None, username } => format!("look {username}"),
        Step::Link { account, made } => format!("link {} {}", account.id, if *made { "made" } else { "adopted" }),
        Step::Create { account } => format!("create {}", account.username),
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

fn applications(names: &[&str]) -> Rules {
    policy(|p| p.applications = names.iter().map(|name| (*name).to_owned()).collect())
}

fn granted(facts: UserFacts, name: &str, maybe: bool) -> UserFacts {
    let access = Access { resource: name.to_owned(), ..Access::default() };
    with(facts, |f| {
        let set = if maybe { &mut f.record.maybe_granted } else { &mut f.record.granted };
        set.insert(access);
    })
}

#[test]
fn access_to_applications_is_given_and_taken_like_memberships() {
    let strip = || {
        let mut rules = applications(&["jira-core"]);
        rules.policy.deprovision.strip_groups = true;
        rules
    };
    let core = || granted(linked(), "jira-core", false);
    table(vec![
        ("a create gives it at once", ann(), applications(&["jira-core"]), &["create ann"]),
        ("somebody adopted", linked(), applications(&["jira-core"]), &["grant jira-core"]),
        ("given", core(), applications(&["jira-core"]), &[]),
        ("perhaps given", granted(linked(), "jira-core", true), applications(&["jira-core"]), &["grant jira-core"]),
        ("perhaps given, not wanted", granted(linked(), "jira-core", true), rules(), &["revoke jira-core"]),
        ("another one", core(), applications(&["jira-software"]), &["revoke jira-core", "grant jira-software"]),
        ("a leaver keeps what costs no seat", inactive(core()), applications(&["jira-core"]), &["active=false"]),
        ("a leaver is stripped", inactive(core()), strip(), &["active=false", "revoke jira-core"]),
        ("a leaver is given nothing", with(inactive(linked()), deactivated), applications(&["jira-core"]), &[]),
        ("not twice what was refused", refused_access(linked()), applications(&["jira-core"]), &[]),
        (
            "what was refused keeps nothing else back",
            refused_access(linked()),
            applications(&["jira-core", "jira-software"]),
            &["grant jira-software"],
        ),
        ("what was refused, wanted no more", refused_access(linked()), rules(), &["void access:jira-core"]),
        (
            "a leaver loses what was given, whatever else was refused",
            inactive(refused_access(granted(linked(), "jira-software", false))),
            strip(),
            &["active=false", "revoke jira-software", "void access:jira-core"],
        ),
    ]);
}

fn refused_access(facts: UserFacts) -> UserFacts {
    let core = Access { resource: "jira-core".to_owned(), ..Access::default() };
    with(facts, |f| drop(f.record.steps.insert(AccountStep::Access(core), no(access_fingerprint(true)))))
}

#[test]
fn only_who_is_in_a_required_group_is_provisioned() {
    let staff = || policy(|p| p.users.required_groups = vec![" Staff".to_owned()]);
    table(vec![
        ("a stranger", with(ann(), |f| f.record.known = Known::Absent), staff(), &[]),
        ("a member", wants(ann(), "staff"), staff(), &["create ann", "ensure staff", "add staff"]),
        ("one who left the group", linked(), staff(), &["active=false"]),
    ]);
}

#[test]
fn what_the_target_does_not_let_us_write_is_left_as_it_is() {
    let fixed = |fields: &[Field]| {
        with(linked(), |f| {
            let seen = SeenAccount { read_only: fields.iter().copied().collect(), ..seen("JIRAUSER7", "ann") };
            f.record.known = Known::Linked { seen, maybe: false };
            f.user.as_mut().unwrap().attrs.insert("displayName".to_owned(), "Ann M.".into());
        })
    };
    let hands_off = |known: fn(SeenAccount) -> Known| {
        with(ann(), |f| {
            let why = Some("Another provisioner owns it.".to_owned());
            f.record.known = known(SeenAccount { hands_off: why, active: false, ..seen("JIRAUSER7", "ann") });
        })
    };
    table(vec![
        ("writable", fixed(&[]), rules(), &["update display=Ann M."]),
        ("the name is not", fixed(&[Field::DisplayName]), rules(), &[]),
        ("found, hands off", hands_off(Known::Found), rules(), &["refused write"]),
        (
            "linked, hands off",
            wants(hands_off(|seen| Known::Linked { seen, maybe: false }), "Dev"),
            rules(),
            &["refused write"],
        ),
    ]);
}

#[test]
fn a_policy_that_does_not_come_out_writes_nothing_and_still_lets_leavers_go() {
    let rules = || policy(|p| *p = Policy::from_value(&json!({"account": {"email": "{{ title }}"}})).unwrap());
    let facts =
        || with(linked(), |f| drop(f.user.as_mut().unwrap().attrs.insert("displayName".to_owned(), "A".into())));
    table(vec![
        ("a create", ann(), rules(), &["refused write"]),
        ("a change", facts(), rules(), &["refused write"]),
        ("a leaver", inactive(facts()), rules(), &["active=false", "refused write"]),
    ]);
}

#[test]
fn where_there_are_no_groups_none_is_written() {
    let mut rules = rules();
    rules.ground.capabilities.groups = false;
    table(vec![("a member", wants(linked(), "Dev"), rules, &[])]);
}

#[test]
fn a_switch_says_how_somebody_goes_and_how_he_went() {
    let step = |facts: &UserFacts, rules: &Rules| plan_user(facts, rules).steps.remove(0);
    let mut rules = rules();
    rules.policy.deprovision.off_switch = Some(OffSwitch::Remove);
    rules.policy.deprovision.hand_over_to = Some("boss".to_owned());
    let (off, hand_over_to) = (Some(OffSwitch::Remove), Some("boss".to_owned()));
    let id = AccountId("JIRAUSER7".to_owned());
    let went = Step::SetActive { id: id.clone(), active: false, off, hand_over_to };
    assert_eq!(step(&inactive(linked()), &rules), went);
    let back = with(linked(), |f| {
        let off = Some(OffSwitch::Suspend);
        let seen = SeenAccount { active: false, off, ..seen("JIRAUSER7", "ann") };
        f.record.known = Known::Linked { seen, maybe: false };
    });
    let comes = Step::SetActive { id, active: true, off: Some(OffSwitch::Suspend), hand_over_to: None };
    assert_eq!(step(&back, &rules), comes);
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
fn a_step_that_is_stuck_is_left_alone_until_its_value_changes() {
    let write = |f: &mut UserFacts, name: &str| {
        drop(f.record.steps.insert(AccountStep::Write, no(write_fingerprint(&account(name)))));
    };
    let active = |f: &mut UserFacts, active| {
        drop(f.record.steps.insert(AccountStep::Active, no(active_fingerprint(active))));
    };
    let stuck = |f: &mut UserFacts, member| f.pairs.get_mut("dev").unwrap().step = Some(no(pair_fingerprint(member)));
    let retry = |f: &mut UserFacts, seconds| {
        f.record.steps.get_mut(&AccountStep::Active).unwrap().retry_at = Some(now() + TimeDelta::seconds(seconds));
    };
    let dev = |written| group(pair(wants(linked(), "Dev"), "dev", written, false), "Dev", GroupKnown::Exists);
    let bo = |f: UserFacts| with(f, |f| f.user = user("bo").user);
    table(vec![
        ("a create", wants(with(ann(), |f| write(f, "ann")), "Dev"), rules(), &[]),
        ("a create of another name", with(ann(), |f| write(f, "bo")), rules(), &["create ann", "void write"]),
        ("a create of a leaver", deleted(with(ann(), |f| write(f, "ann"))), rules(), &["void write"]),
        ("a link", with(found(), |f| write(f, "ann")), rules(), &[]),
        (
            "an update does not block the rest",
            pair(inactive(bo(with(linked(), |f| write(f, "bo")))), "dev", true, false),
            rules(),
            &["active=false", "remove dev"],
        ),
        ("an update that is not wanted any more", with(linked(), |f| write(f, "bo")), rules(), &["void write"]),
        ("a deactivation", inactive(with(linked(), |f| active(f, false))), rules(), &[]),
        ("a deactivation that is not wanted any more", with(linked(), |f| active(f, false)), rules(), &["void active"]),
        (
            "a deactivation, tomorrow",
            inactive(with(linked(), |f| {
                active(f, false);
                retry(f, 60)
            })),
            rules(),
            &[],
        ),
        (
            "a deactivation, today",
            inactive(with(linked(), |f| {
                active(f, false);
                retry(f, 0)
            })),
            rules(),
            &["active=false"],
        ),
        ("a join", with(dev(false), |f| stuck(f, true)), rules(), &[]),
        ("a join that is done", with(dev(true), |f| stuck(f, true)), rules(), &["void dev"]),
        (
            "a join that is not wanted any more",
            with(dev(false), |f| {
                stuck(f, true);
                f.wanted.clear()
            }),
            rules(),
            &["void dev"],
        ),
        (
            "a leave",
            with(dev(true), |f| {
                stuck(f, false);
                f.wanted.clear()
            }),
            rules(),
            &[],
        ),
        ("a leave that became a join", with(dev(false), |f| stuck(f, false)), rules(), &["add Dev", "void dev"]),
    ]);
    let tomorrow = inactive(with(linked(), |f| {
        active(f, false);
        retry(f, 60)
    }));
    assert_eq!(plan_user(&tomorrow, &rules()).due, Some(now() + TimeDelta::seconds(60)));
}

#[test]
fn a_look_that_was_given_up_holds_everything_until_the_user_changes() {
    let facts = with(linked(), |f| {
        f.record.known = Known::Linked { seen: seen("JIRAUSER7", "ann"), maybe: true };
        f.look_at = Some(now());
    });
    let look = plan_user(&facts, &rules()).steps.remove(0);
    let mut after = facts;
    super::super::absorb::refuse(&mut after, &look, no(String::new()));
    let plan = plan_user(&after, &rules());
    assert!(plan.is_empty(), "{plan:?}");
    assert_eq!(plan.due, Some(now() + TimeDelta::days(1)), "but it is tried again");
    let changed = with(after.clone(), |f| f.user.as_mut().unwrap().version += 1);
    assert_eq!(words(&changed, &rules()), ["look JIRAUSER7"]);
    let read = with(after, |f| *f = UserFacts { look_at: None, record: f.record.clone(), ..linked() });
    let read = with(read, |f| f.record.known = linked().record.known);
    assert_eq!(words(&read, &rules()), ["void write"]);
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
        with(facts, |f| super::super::absorb::set_states(f, &plan))
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

#[test]
fn a_rule_that_ends_ends_its_refusals() {
    let off = policy(|p| p.adopt = Adopt::Off);
    let mut facts = found();
    let plan = plan_user(&facts, &off);
    assert!(plan.stuck[0].1.conflict);
    super::super::absorb::set_states(&mut facts, &plan);
    assert!(plan_user(&facts, &off).is_empty());
    assert_eq!(words(&facts, &rules()), ["link JIRAUSER7 adopted", "void write"]);
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
        ("active again", undone(true, with(linked(), deactivated)), rules(), &["active=true"]),
        ("gone meanwhile", with(undone(true, ann()), |f| f.record.known = Known::Absent), rules(), &[]),
        ("made by us", with(undone(true, linked()), |f| f.record.found = None), rules(), &["active=false"]),
    ]);
}

#[test]
fn the_fingerprint_of_each_place_is_the_one_that_blocks_it() {
    let keep = policy(|p| p.deprovision.on_group_delete = OnGroupDelete::Keep);
    let delete = policy(|p| p.deprovision.on_delete = OnDelete::Delete);
    let cases: Vec<(UserFacts, &Rules)> = vec![
        (wants(ann(), "Dev"), &keep),
        (wants(inactive(with(linked(), |f| f.user = user("bo").user)), "Dev"), &keep),
        (pair(deleted(linked()), "dev", true, false), &delete),
        (with(linked(), |f| f.look_at = Some(now())), &keep),
        (wants(linked(), "Admins"), &keep),
        (wants(linked(), "Dev"), &keep),
    ];
    for (facts, rules) in cases {
        let mut waived = facts.clone();
        for round in 0.. {
            assert!(round < 8, "{waived:?}");
            let plan = plan_user(&waived, rules);
            let places: Vec<Place> = plan.steps.iter().filter_map(place_of).collect();
            if plan.is_empty() {
                break;
            }
            let stuck = plan.stuck.iter().map(|(place, _)| place.clone());
            for place in places.into_iter().chain(stuck) {
                let fingerprint = fingerprint(&waived, rules, &place).unwrap();
                let state = StepState { state: Stuck::Waived, ..no(fingerprint) };
                super::super::absorb::set_state(&mut waived, &place, Some(state));
            }
        }
    }
}

#[test]
fn what_is_done_has_no_fingerprint() {
    let facts = pair(wants(linked(), "Dev"), "dev", true, false);
    for place in [
        Place::Account(AccountStep::Write),
        Place::Account(AccountStep::Active),
        Place::Account(AccountStep::Delete),
        Place::Pair("dev".to_owned()),
        Place::Pair("other".to_owned()),
    ] {
        assert_eq!(fingerprint(&facts, &rules(), &place), None, "{place:?}");
    }
    assert_eq!(fingerprint(&UserFacts::default(), &rules(), &Place::Account(AccountStep::Write)), None);
}

#[test]
fn fingerprints_tell_values_apart() {
    let base = account("ann");
    let all: BTreeMap<String, &str> = [
        (write_fingerprint(&base), "base"),
        (write_fingerprint(&account("bo")), "name"),
        (write_fingerprint(&Account { email: "x@y.example".into(), ..base.clone() }), "email"),
        (write_fingerprint(&Account { display_name: "x".into(), ..base.clone() }), "display name"),
        (
            write_fingerprint(&Account { email: "annx".into(), display_name: String::new(), ..base.clone() }),
            "boundaries",
        ),
    ]
    .into();
    assert_eq!(all.len(), 5, "{all:?}");
    assert_eq!(write_fingerprint(&base), write_fingerprint(&Account { username: "ANN".into(), ..base.clone() }));
    assert_eq!(write_fingerprint(&base), write_fingerprint(&Account { active: false, ..base }));
}

mod properties;
