//! The states of steps in a plan: what is left alone, until when, and by which fingerprint.

use super::*;

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
    super::super::super::absorb::refuse(&mut after, &look, no(String::new()));
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
fn a_rule_that_ends_ends_its_refusals() {
    let off = policy(|p| p.adopt = Adopt::Off);
    let mut facts = found();
    let plan = plan_user(&facts, &off);
    assert!(plan.stuck[0].1.conflict);
    super::super::super::absorb::set_states(&mut facts, &plan);
    assert!(plan_user(&facts, &off).is_empty());
    assert_eq!(words(&facts, &rules()), ["link JIRAUSER7 adopted", "void write"]);
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
                super::super::super::absorb::set_state(&mut waived, &place, Some(state));
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
