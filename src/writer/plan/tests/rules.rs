//! What the tenant's rules and the target's facts make of a plan: access, required groups, what must not be written.

use super::*;
use crate::account::OffSwitch;

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
        Arc::make_mut(&mut rules.policy).deprovision.strip_groups = true;
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
    let rules = policy(|p| {
        p.deprovision.off_switch = Some(OffSwitch::Remove);
        p.deprovision.hand_over_to = Some("boss".to_owned());
    });
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
