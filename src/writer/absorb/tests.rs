//! What each answer teaches, by tables. How it all plays together is in the planner's properties.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use super::*;
use crate::account::{Access, Account, AccountId, Field, OffSwitch};
use crate::jira::AccountChange;
use crate::store::link::JiraGroup;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn times() -> Times {
    Times { now: now(), late: TimeDelta::seconds(60), survey: false }
}

fn seen() -> SeenAccount {
    SeenAccount {
        id: AccountId("JIRAUSER7".to_owned()),
        username: "ann".to_owned(),
        email: Some("ann@x.example".to_owned()),
        display_name: "Ann".to_owned(),
        active: true,
        ..SeenAccount::default()
    }
}

fn account() -> Account {
    Account {
        username: "ann".to_owned(),
        email: "ann@x.example".to_owned(),
        display_name: "Ann".to_owned(),
        active: true,
        extra: Default::default(),
        access: Default::default(),
    }
}

fn linked() -> UserFacts {
    let mut facts = UserFacts::default();
    facts.record.known = Known::Linked { seen: seen(), maybe: false };
    facts
}

fn id() -> AccountId {
    seen().id
}

fn add() -> Step {
    Step::AddMember { key: "dev".to_owned(), name: "Dev".to_owned() }
}

fn remove() -> Step {
    Step::RemoveMember { key: "dev".to_owned(), name: "Dev".to_owned() }
}

fn ensure(create: bool) -> Step {
    Step::EnsureGroup { key: "dev".to_owned(), name: "Dev".to_owned(), create }
}

fn update(change: AccountChange) -> Step {
    Step::Update { id: id(), change, desired: "desired".to_owned() }
}

fn set(active: bool) -> Step {
    Step::SetActive { id: id(), active, off: None, hand_over_to: None }
}

fn display(name: &str) -> AccountChange {
    AccountChange { display_name: Some(name.to_owned()), ..AccountChange::default() }
}

fn lost() -> TargetError {
    TargetError::Unreachable { detail: String::new(), maybe_done: true }
}

fn no() -> TargetError {
    TargetError::Refused { reason: "No.".to_owned(), field: Some(Field::Email) }
}

fn is_maybe(facts: &UserFacts) -> bool {
    matches!(facts.record.known, Known::Linked { maybe: true, .. })
}

#[test]
fn a_created_account_is_linked_and_ours() {
    let mut facts = UserFacts::default();
    facts.record.steps.insert(AccountStep::Write, refused(String::new(), String::new(), None, now()));
    facts.record.maybe_created = vec![account()];
    let hidden = SeenAccount { email: None, ..seen() };
    absorb(
        &mut facts,
        &Step::Create { account: account(), welcome: BTreeMap::new() },
        Done::Created(Created::New(hidden)),
        times(),
    );
    assert_eq!(facts.record.linked(), Some(&seen()), "a hidden address is the one that was sent");
    assert!(facts.record.made && facts.record.steps.is_empty() && facts.record.maybe_created.is_empty());
}

#[test]
fn a_create_that_may_still_come_is_remembered_after_the_link() {
    let mut facts = UserFacts { look_at: Some(now()), ..UserFacts::default() };
    facts.record.maybe_created = vec![account()];
    absorb(
        &mut facts,
        &Step::Create { account: account(), welcome: BTreeMap::new() },
        Done::Created(Created::New(seen())),
        times(),
    );
    assert_eq!(facts.record.maybe_created, [account()]);
    absorb(
        &mut facts,
        &Step::Look { id: Some(id()), username: "ann".to_owned(), by: Vec::new() },
        Done::Looked(Some(seen())),
        times(),
    );
    assert_eq!((facts.record.maybe_created.len(), facts.look_at), (0, None));
}

#[test]
fn an_account_that_is_there_already_is_found_and_not_linked() {
    let mut facts = UserFacts::default();
    absorb(
        &mut facts,
        &Step::Create { account: account(), welcome: BTreeMap::new() },
        Done::Created(Created::Exists(seen())),
        times(),
    );
    assert_eq!(facts.record.known, Known::Found(seen()));
    let with_groups = SeenAccount { groups: Some(vec!["Dev".to_owned(), "Other".to_owned()]), ..seen() };
    facts.wanted.insert("dev".to_owned(), "Dev".to_owned());
    absorb(
        &mut facts,
        &Step::Link { account: with_groups, made: false, welcome: BTreeMap::new() },
        Done::Linked,
        times(),
    );
    assert_eq!((facts.record.linked(), facts.record.made), (Some(&seen()), false));
    // A wanted group that the account is in already is taken over; another is none of our business.
    assert_eq!(facts.pairs.keys().collect::<Vec<_>>(), ["dev"]);
    assert!(facts.pairs["dev"].written);
}

#[test]
fn what_was_written_is_on_record_and_clears_its_own_state_only() {
    let mut facts = linked();
    for step in [AccountStep::Write, AccountStep::Active] {
        facts.record.steps.insert(step, refused(String::new(), String::new(), None, now()));
    }
    let written = SeenAccount { display_name: "Ann M.".to_owned(), email: None, ..seen() };
    absorb(&mut facts, &update(display("Ann M.")), Done::Written(Written::Seen(written)), times());
    assert_eq!(facts.record.steps.keys().collect::<Vec<_>>(), [&AccountStep::Active]);
    let linked = facts.record.linked().unwrap();
    assert_eq!((linked.display_name.as_str(), linked.email.as_deref()), ("Ann M.", Some("ann@x.example")));
    let inactive = SeenAccount { active: false, ..seen() };
    absorb(&mut facts, &set(false), Done::Written(Written::Seen(inactive)), times());
    assert!(facts.record.steps.is_empty() && !facts.record.linked().unwrap().active);
}

fn jira_core() -> Access {
    Access { resource: "jira-core".to_owned(), ..Access::default() }
}

fn grant() -> Step {
    Step::Grant { access: jira_core() }
}

#[test]
fn access_is_on_record_once_it_is_written_and_in_doubt_until_then() {
    let mut facts = linked();
    mark(&mut facts, &Plan { steps: vec![grant()], ..Plan::default() });
    assert!(facts.record.maybe_granted.contains(&jira_core()) && facts.record.granted.is_empty());
    absorb(&mut facts, &grant(), Done::AccessWritten, times());
    assert!(facts.record.maybe_granted.is_empty() && facts.record.granted.contains(&jira_core()));
    absorb_error(&mut facts, &grant(), &lost(), times());
    assert!(facts.record.watch_access.contains(&jira_core()) && facts.look_at.is_some(), "a second look");
    let revoke = Step::Revoke { access: jira_core() };
    absorb(&mut facts, &revoke, Done::AccessWritten, times());
    assert!(facts.record.maybe_granted.is_empty() && facts.record.granted.is_empty());
}

#[test]
fn no_seat_is_a_refusal_or_a_wait() {
    let full = TargetError::NoSeats { reason: "jira-core has no seat left".to_owned() };
    let mut facts = linked();
    absorb_error(&mut facts, &grant(), &full, times());
    let access = AccountStep::Access(jira_core());
    let state = facts.record.steps[&access].clone();
    assert_eq!((state.state, state.fingerprint.as_str(), state.retry_at), (Stuck::Refused, "granted=true", None));
    for (step, place, fingerprint) in [
        (
            Step::Create { account: account(), welcome: BTreeMap::new() },
            AccountStep::Write,
            write_fingerprint(&account()),
        ),
        (set(true), AccountStep::Active, active_fingerprint(true)),
        (grant(), access, access_fingerprint(true)),
    ] {
        hold(&mut facts, &step, "jira-core has no seat left", times());
        let state = facts.record.steps[&place].clone();
        assert_eq!((state.state, state.retry_at), (Stuck::Held, Some(now() + TimeDelta::hours(1))), "{step:?}");
        assert_eq!(state.fingerprint, fingerprint);
    }
}

#[test]
fn what_an_answer_does_not_show_is_as_it_was_asked_for() {
    let mut facts = linked();
    let change = AccountChange {
        email: Some("new@x.example".to_owned()),
        extra: [("title".to_owned(), "Engineer".to_owned())].into(),
        ..AccountChange::default()
    };
    absorb(&mut facts, &update(change), Done::Written(Written::AsAsked { off: None }), times());
    let linked = facts.record.linked().unwrap();
    assert_eq!((linked.email.as_deref(), linked.extra["title"].as_str()), (Some("new@x.example"), "Engineer"));
    facts.pairs.insert("dev".to_owned(), Pair { written: true, ..Pair::default() });
    facts.record.granted.insert(jira_core());
    absorb(&mut facts, &set(false), Done::Written(Written::AsAsked { off: Some(OffSwitch::Suspend) }), times());
    let linked = facts.record.linked().unwrap();
    assert_eq!((linked.active, linked.off), (false, Some(OffSwitch::Suspend)));
    assert!(facts.pairs["dev"].written && !facts.record.granted.is_empty(), "a suspension keeps everything");
    absorb(&mut facts, &set(false), Done::Written(Written::AsAsked { off: Some(OffSwitch::Remove) }), times());
    assert!(!facts.pairs["dev"].written && facts.record.granted.is_empty(), "a removal loses everything");
    absorb(&mut facts, &set(true), Done::Written(Written::AsAsked { off: Some(OffSwitch::Remove) }), times());
    let linked = facts.record.linked().unwrap();
    assert_eq!((linked.active, linked.off), (true, None));
}

#[test]
fn an_account_that_is_gone_takes_its_memberships_with_it() {
    for step in [Step::Delete { id: id() }, update(display("x")), set(true)] {
        let mut facts = linked();
        facts.record.made = true;
        facts.pairs.insert("dev".to_owned(), Pair { written: true, maybe: true, ..Pair::default() });
        match &step {
            Step::Delete { .. } => absorb(&mut facts, &step, Done::Deleted, times()),
            step => absorb_error(&mut facts, step, &TargetError::Gone { what: String::new() }, times()),
        }
        assert_eq!((&facts.record.known, facts.record.made), (&Known::Absent, false), "{step:?}");
        assert!(facts.pairs["dev"].is_void());
    }
}

#[test]
fn a_look_by_key_brings_pairs_up_to_what_jira_shows() {
    let mut facts = linked();
    facts.wanted.insert("qa".to_owned(), "QA".to_owned());
    for (key, written) in [("dev", false), ("ops", true)] {
        facts.pairs.insert(key.to_owned(), Pair { written, maybe: true, ..Pair::default() });
    }
    facts.record.watch.insert("old".to_owned());
    let groups = ["Dev", "Old", "qa", "Unrelated"].map(str::to_owned).to_vec();
    let look = Step::Look { id: Some(id()), username: "ann".to_owned(), by: Vec::new() };
    absorb(&mut facts, &look, Done::Looked(Some(SeenAccount { groups: Some(groups), ..seen() })), times());
    let written: Vec<_> = facts.pairs.iter().map(|(key, pair)| (key.as_str(), pair.written, pair.maybe)).collect();
    assert_eq!(written, [("dev", true, false), ("old", true, false), ("ops", false, false), ("qa", true, false)]);
    assert!(facts.record.watch.contains("old"), "the second look is still to come");
    facts.look_at = Some(now());
    absorb(&mut facts, &look, Done::Looked(Some(seen())), times());
    assert!(facts.record.watch.is_empty() && facts.look_at.is_none());
}

#[test]
fn a_look_by_name_finds_or_not_and_is_certain_only_late() {
    let look = Step::Look { id: None, username: "ann".to_owned(), by: Vec::new() };
    let created = |late: bool| {
        let mut facts = UserFacts { look_at: late.then(now), ..UserFacts::default() };
        facts.record.maybe_created = vec![account()];
        facts
    };
    let mut facts = created(false);
    absorb(&mut facts, &look, Done::Looked(None), times());
    assert_eq!((&facts.record.known, facts.record.maybe_created.len()), (&Known::Absent, 1));
    let mut facts = created(true);
    absorb(&mut facts, &look, Done::Looked(None), times());
    assert_eq!((&facts.record.known, facts.record.maybe_created.len()), (&Known::Absent, 0));
    let mut facts = created(true);
    absorb(&mut facts, &look, Done::Looked(Some(seen())), times());
    assert_eq!((facts.record.known, facts.record.maybe_created.len()), (Known::Found(seen()), 1));
    let mut facts = created(true);
    let other = SeenAccount { display_name: "Ann Other".to_owned(), ..seen() };
    absorb(&mut facts, &look, Done::Looked(Some(other.clone())), times());
    assert_eq!((facts.record.known, facts.record.maybe_created.len()), (Known::Found(other), 0));
}

#[test]
fn groups_are_there_or_not() {
    let mut facts = linked();
    absorb(&mut facts, &ensure(false), Done::NoGroup { reason: "no".to_owned() }, times());
    let state = facts.groups["dev"].step.clone().unwrap();
    assert_eq!((state.state, state.fingerprint), (Stuck::Refused, group_fingerprint("Dev", false)));
    absorb(
        &mut facts,
        &ensure(true),
        Done::Ensured { made: true, administrative: false, id: Some("5f0e".to_owned()) },
        times(),
    );
    absorb(&mut facts, &ensure(true), Done::Ensured { made: false, administrative: true, id: None }, times());
    let group = &facts.groups["dev"];
    assert_eq!((group.name.as_str(), group.known, group.step.is_none()), ("Dev", GroupKnown::Exists, true));
    assert!(group.made && group.administrative && group.id.is_some(), "none of it is unlearned");
    absorb(&mut facts, &add(), Done::PairWritten, times());
    assert_eq!(facts.pairs["dev"], Pair { written: true, ..Pair::default() });
    absorb(&mut facts, &remove(), Done::PairWritten, times());
    assert!(facts.pairs["dev"].is_void());
}

#[test]
fn a_lost_answer_leaves_doubt_and_a_second_look() {
    let look = Some(now() + TimeDelta::seconds(60));
    for step in [update(display("x")), set(false), Step::Delete { id: id() }] {
        let mut facts = linked();
        absorb_error(&mut facts, &step, &lost(), times());
        assert!(is_maybe(&facts) && facts.look_at == look, "{step:?}");
    }
    for step in [add(), remove()] {
        let mut facts = linked();
        absorb_error(&mut facts, &step, &lost(), times());
        assert!(facts.pairs["dev"].maybe && facts.record.watch.contains("dev") && facts.look_at == look, "{step:?}");
    }
    let mut facts = UserFacts::default();
    facts.record.known = Known::Absent;
    for _twice in 0..2 {
        absorb_error(&mut facts, &Step::Create { account: account(), welcome: BTreeMap::new() }, &lost(), times());
    }
    assert_eq!((&facts.record.known, facts.record.maybe_created.len(), facts.look_at), (&Known::Nothing, 1, look));
    let mut facts = linked();
    absorb_error(&mut facts, &ensure(true), &lost(), times());
    assert_eq!((facts.groups["dev"].known, facts.look_at), (GroupKnown::Maybe, None));
    // A later look is never brought forward.
    let mut facts = UserFacts { look_at: Some(now() + TimeDelta::seconds(90)), ..linked() };
    absorb_error(&mut facts, &add(), &lost(), times());
    assert_eq!(facts.look_at, Some(now() + TimeDelta::seconds(90)));
}

#[test]
fn an_address_that_may_have_been_written_is_not_known_any_more() {
    let change = AccountChange { email: Some("new@x.example".to_owned()), ..AccountChange::default() };
    let mut facts = linked();
    absorb_error(&mut facts, &update(change.clone()), &lost(), times());
    assert_eq!(facts.record.linked().unwrap().email, None);
    let mut facts = linked();
    mark(&mut facts, &Plan { steps: vec![update(change)], ..Plan::default() });
    assert_eq!(facts.record.linked().unwrap().email, None);
    // Jira hides it: so it is written again.
    let hidden = SeenAccount { email: None, ..seen() };
    let look = Step::Look { id: Some(id()), username: "ann".to_owned(), by: Vec::new() };
    absorb(&mut facts, &look, Done::Looked(Some(hidden)), times());
    assert_eq!(facts.record.linked().unwrap().email, None);
}

#[test]
fn what_gives_is_refused_for_good_and_what_takes_away_for_a_day() {
    let tomorrow = Some(now() + TimeDelta::days(1));
    let account_steps = [
        (update(display("x")), AccountStep::Write, None),
        (set(true), AccountStep::Active, None),
        (set(false), AccountStep::Active, tomorrow),
        (Step::Delete { id: id() }, AccountStep::Delete, None),
    ];
    for (step, place, retry_at) in account_steps {
        let mut facts = linked();
        absorb_error(&mut facts, &step, &no(), times());
        let state = &facts.record.steps[&place];
        assert_eq!(
            (state.state, state.retry_at, state.field),
            (Stuck::Refused, retry_at, Some(Field::Email)),
            "{step:?}"
        );
        assert!(!state.conflict && state.reason == "No.");
        assert!(!is_maybe(&facts), "a refusal is certain");
    }
    for (step, retry_at) in [(add(), None), (remove(), tomorrow)] {
        let mut facts = linked();
        absorb_error(&mut facts, &step, &no(), times());
        assert_eq!(facts.pairs["dev"].step.as_ref().unwrap().retry_at, retry_at, "{step:?}");
    }
    let mut facts = linked();
    absorb_error(&mut facts, &ensure(true), &no(), times());
    assert_eq!(facts.groups["dev"].known, GroupKnown::Unknown);
    assert_eq!(facts.groups["dev"].step.as_ref().unwrap().fingerprint, group_fingerprint("Dev", true));
}

#[test]
fn a_name_that_is_taken_is_a_conflict() {
    let mut facts = UserFacts::default();
    let taken = TargetError::Conflict { reason: "Taken.".to_owned() };
    absorb_error(&mut facts, &Step::Create { account: account(), welcome: BTreeMap::new() }, &taken, times());
    let state = &facts.record.steps[&AccountStep::Write];
    assert_eq!((state.conflict, state.field), (true, Some(Field::Username)));
    assert_eq!(state.fingerprint, write_fingerprint(&account()));
}

#[test]
fn a_join_that_finds_nothing_doubts_both_account_and_group() {
    let gone = TargetError::Gone { what: String::new() };
    let mut facts = linked();
    facts.groups.insert("dev".to_owned(), JiraGroup { known: GroupKnown::Exists, ..named("Dev") });
    absorb_error(&mut facts, &add(), &gone, times());
    assert!(is_maybe(&facts));
    assert_eq!(facts.groups["dev"].known, GroupKnown::Unknown);
    let mut facts = linked();
    facts.pairs.insert("dev".to_owned(), Pair { written: true, ..Pair::default() });
    absorb_error(&mut facts, &remove(), &gone, times());
    assert!(facts.pairs["dev"].is_void() && !is_maybe(&facts));
}

#[test]
fn marks_doubt_what_is_touched_and_nothing_else() {
    let mut facts = linked();
    facts.pairs.insert("other".to_owned(), Pair { written: true, ..Pair::default() });
    let plan = Plan { steps: vec![update(display("x")), ensure(true), add()], ..Plan::default() };
    mark(&mut facts, &plan);
    assert!(is_maybe(&facts) && facts.pairs["dev"].maybe && !facts.pairs["other"].maybe);
    assert_eq!(facts.groups["dev"].known, GroupKnown::Maybe);
    let mut facts = UserFacts::default();
    mark(
        &mut facts,
        &Plan {
            steps: vec![Step::Create { account: account(), welcome: BTreeMap::new() }, ensure(false)],
            ..Plan::default()
        },
    );
    assert_eq!((facts.record.maybe_created.len(), facts.groups["dev"].known), (1, GroupKnown::Unknown));
}

#[test]
fn states_are_set_and_cleared_without_a_call() {
    let mut facts = linked();
    let state = refused("f".to_owned(), "No.".to_owned(), None, now());
    facts.record.steps.insert(AccountStep::Active, state.clone());
    facts.pairs.insert("old".to_owned(), Pair { step: Some(state.clone()), ..Pair::default() });
    facts.groups.insert("old".to_owned(), JiraGroup { step: Some(state.clone()), ..named("Old") });
    let plan = Plan {
        void: vec![Place::Account(AccountStep::Active), Place::Pair("old".to_owned()), Place::Group("old".to_owned())],
        stuck: vec![(Place::Account(AccountStep::Write), state.clone())],
        ..Plan::default()
    };
    set_states(&mut facts, &plan);
    assert_eq!(facts.record.steps.into_iter().collect::<Vec<_>>(), [(AccountStep::Write, state)]);
    assert!(facts.pairs["old"].is_void() && facts.groups["old"].step.is_none());
}
