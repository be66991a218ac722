//! The planner with what it learns, against a Jira that loses answers, does work late, and is changed by hand.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::super::super::absorb::{Done, Times, absorb, absorb_error, doubt, mark, refuse, set_states};
use super::jira::Jira;
use super::*;
use crate::jira::TargetError;
use crate::policy::groups::{Remove, When};
use crate::writer::forecast::foretold::{Asked, foretold};

const LATE: TimeDelta = TimeDelta::seconds(60);
/// Groups of the identity provider; the last is barred.
const GROUPS: [&str; 4] = ["Dev", "Ops", "QA", "Admins"];
const APPLICATION: &str = "jira-software";
const NAMES: [&str; 3] = ["ann", "bo", "Ann"];

/// A call that the client gave up on, and that Jira will still execute.
#[derive(Clone, Debug)]
struct InFlight {
    step: Step,
    username: String,
}

#[derive(Clone, Debug)]
struct World {
    jira: Jira,
    facts: UserFacts,
    rules: Rules,
    late: Vec<InFlight>,
}

impl Asked for Jira {
    fn is_named(&self, username: &str) -> Option<SeenAccount> {
        let found = self.accounts.iter().find(|account| fold(&account.username) == fold(username));
        found.map(|account| self.shown(account))
    }

    fn is_keyed(&self, id: &AccountId) -> Option<SeenAccount> {
        self.accounts.iter().find(|account| account.id == *id).map(|account| self.shown(account))
    }

    fn has_address(&self, email: &str) -> Result<Option<SeenAccount>, TargetError> {
        self.with_address(email)
    }

    fn has_group(&self, key: &str) -> bool {
        self.groups.contains(key)
    }
}

/// How a round of a drive goes wrong.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    None,
    /// The process dies before this step's answer is on record: Jira did it, or does it later.
    Dies(usize, bool),
    /// This step's answer is lost: Jira did it, or does it later.
    Lost(usize, bool),
}

impl World {
    fn times(&self) -> Times {
        Times { now: self.rules.now, late: LATE, survey: self.rules.policy.groups.remove == Remove::All }
    }

    fn username(&self, facts: &UserFacts) -> String {
        facts.record.linked().map(|seen| seen.username.clone()).unwrap_or_default()
    }

    /// One claim with its calls, as the drive does it; false when nothing was to be done.
    fn round(&mut self, trouble: Trouble) -> bool {
        let times = self.times();
        let plan = loop {
            let plan = plan_user(&self.facts, &self.rules);
            match plan.steps.first() {
                Some(step @ Step::Link { .. }) => absorb(&mut self.facts, &step.clone(), Done::Linked, times),
                _ => break plan,
            }
        };
        if plan.is_empty() {
            return false;
        }
        let mut marked = self.facts.clone();
        mark(&mut marked, &plan);
        plan.steps.iter().for_each(|step| doubt(&mut marked, step, times));
        set_states(&mut self.facts, &plan);
        for (position, step) in plan.steps.iter().enumerate() {
            let joins = matches!(step, Step::AddMember { .. } | Step::EnsureGroup { .. } | Step::Grant { .. });
            if joins && self.facts.record.linked().is_none() {
                continue;
            }
            if let Step::AddMember { key, .. } = step
                && self.facts.groups.get(key).is_none_or(|group| group.known != GroupKnown::Exists)
            {
                continue;
            }
            let username = self.username(&self.facts);
            match trouble {
                Trouble::Dies(at, done) if at == position => {
                    if done {
                        let _nobody_hears_it = self.jira.execute(step, &username);
                    } else {
                        self.late.push(InFlight { step: step.clone(), username });
                    }
                    self.facts = marked;
                    return true;
                }
                Trouble::Lost(at, done) if at == position => {
                    if done {
                        let _lost = self.jira.execute(step, &username);
                    } else {
                        self.late.push(InFlight { step: step.clone(), username });
                    }
                    let error = TargetError::Unreachable { detail: String::new(), maybe_done: true };
                    absorb_error(&mut self.facts, step, &error, times);
                    return true;
                }
                _ => {}
            }
            match self.jira.execute(step, &username) {
                Ok(done) => absorb(&mut self.facts, step, done, times),
                Err(error) => {
                    absorb_error(&mut self.facts, step, &error, times);
                    if !matches!(error, TargetError::Refused { .. } | TargetError::Conflict { .. }) {
                        break;
                    }
                }
            }
        }
        true
    }

    /// Drives to the end, and fails where there is none.
    fn settle(&mut self) {
        for _ in 0..10 {
            if !self.round(Trouble::None) {
                return;
            }
        }
        panic!("no end: {:?} of {:#?}", plan_user(&self.facts, &self.rules), self.facts);
    }

    fn execute_late(&mut self) {
        for InFlight { step, username } in std::mem::take(&mut self.late) {
            let _nobody_hears_it = self.jira.execute(&step, &username);
        }
    }

    /// Everything that was in flight is over, and the second look has come.
    fn rest(&mut self) {
        self.execute_late();
        self.settle();
        self.rules.now += LATE * 2;
        self.settle();
    }

    /// A stranger has the name that the user is to have.
    fn name_is_taken(&mut self) -> bool {
        let desired = Planner::new(&self.facts, &self.rules).unwrap().desired.username;
        let holder = self.jira.named(&desired).map(|account| account.id.clone());
        holder.is_some() && holder.as_ref() != self.facts.record.account_id()
    }

    fn check(&mut self) {
        let desired = Planner::new(&self.facts, &self.rules).unwrap();
        let wanted: BTreeSet<String> = desired.wanted_groups().into_keys().filter(|key| key != "admins").collect();
        let (account, user) = (desired.desired.clone(), self.facts.user.clone().unwrap());
        let made = self.jira.accounts.iter().filter(|account| self.jira.made.contains(&account.id.0)).count();
        assert!(made <= 1, "somebody is twice: {:#?}", self.jira);
        let linked = self.facts.record.linked().cloned();
        if made == 1 {
            assert!(linked.is_some(), "an account of ours is forgotten: {:#?} {:#?}", self.jira, self.facts);
        }
        let Some(linked) = linked else {
            assert!(!account.active, "no account: {:#?}", self.facts);
            return;
        };
        let actual = self.jira.of_id(&linked.id).cloned().expect("the linked account is there");
        assert_eq!(actual.active, account.active, "{:#?}", self.facts);
        if !user.deleted && !self.name_is_taken() {
            assert!(self.facts.record.steps.is_empty(), "{:#?}", self.facts.record.steps);
            assert_eq!(fold(&actual.username), fold(&account.username));
            assert_eq!((actual.email.as_ref(), &actual.display_name), (Some(&account.email), &account.display_name));
        }
        let member = |key: &str| self.jira.members.contains(&(key.to_owned(), actual.id.0.clone()));
        for key in ["dev", "ops", "qa"] {
            if !wanted.contains(key) {
                let stays = self.rules.policy.groups.remove == Remove::Never;
                assert!(stays || !member(key), "access to {key} was not taken back: {:#?}", self.facts);
            } else if account.active {
                assert!(member(key), "not in {key}: {:#?}", self.facts);
            }
        }
        assert!(!member("admins"));
        let may_use = self.jira.access.contains(&(APPLICATION.to_owned(), actual.id.0.clone()));
        if account.active {
            assert_eq!(may_use, !account.access.is_empty(), "{:#?}", self.facts);
        } else if self.rules.policy.deprovision.strip_groups && !user.deleted {
            assert!(!may_use, "access was not taken back: {:#?}", self.facts);
        }
    }
}

/// What happens to the world.
#[derive(Clone, Debug)]
enum Event {
    Wish { name: usize, display: bool, active: bool, deleted: bool, groups: [bool; 4] },
    Drive,
    Round(Trouble),
    LateWork,
    DeletedByHand,
    Applications(bool),
    Later(i64),
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        (0..5_usize, any::<bool>()).prop_map(|(at, done)| Trouble::Dies(at, done)),
        (0..5_usize, any::<bool>()).prop_map(|(at, done)| Trouble::Lost(at, done)),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let wish =
        (0..NAMES.len(), any::<bool>(), prop::bool::weighted(0.7), prop::bool::weighted(0.2), any::<[bool; 4]>())
            .prop_map(|(name, display, active, deleted, groups)| Event::Wish {
                name,
                display,
                active,
                deleted,
                groups,
            });
    prop_oneof![
        4 => wish,
        2 => Just(Event::Drive),
        4 => trouble().prop_map(Event::Round),
        1 => Just(Event::LateWork),
        1 => Just(Event::DeletedByHand),
        1 => any::<bool>().prop_map(Event::Applications),
        1 => (0..70_i64).prop_map(Event::Later),
    ]
}

fn a_policy() -> impl Strategy<Value = Policy> {
    let remove = prop::sample::select(vec![Remove::Ours, Remove::Never, Remove::All]);
    let matching = prop::sample::select(vec![
        vec![Match::UserName],
        vec![Match::Email, Match::UserName],
        vec![Match::ExternalId, Match::Email, Match::UserName],
    ]);
    (any::<[bool; 5]>(), remove, matching).prop_map(
        |([strip_groups, delete, default, application, once], remove, matching)| {
            let mut policy = Policy { matching, ..Policy::default() };
            policy.groups.remove = remove;
            policy.groups.default_groups_when = if once { When::Create } else { When::Always };
            policy.deprovision.strip_groups = strip_groups && remove != Remove::Never;
            policy.deprovision.on_delete = if delete { OnDelete::Delete } else { OnDelete::Deactivate };
            policy.applications = application.then(|| APPLICATION.to_owned()).into_iter().collect();
            policy.groups.default_groups = if default { vec!["QA".to_owned()] } else { Vec::new() };
            policy
        },
    )
}

fn an_adoption() -> impl Strategy<Value = Adopt> {
    prop::sample::select(vec![Adopt::Link, Adopt::Ask, Adopt::Off])
}

fn world() -> impl Strategy<Value = World> {
    (a_policy(), any::<bool>(), any::<bool>()).prop_map(|(policy, hides_addresses, namesake)| {
        let mut jira = Jira { hides_addresses, ..Jira::default() };
        jira.groups.insert("dev".to_owned());
        if namesake {
            jira.add(&account("bo"));
        }
        World { jira, facts: ann(), rules: Rules { policy: policy.into(), ..rules() }, late: Vec::new() }
    })
}

fn happens(world: &mut World, event: &Event) {
    match event {
        Event::Wish { name, display, active, deleted, groups } => {
            let user = world.facts.user.as_mut().unwrap();
            let display = if *display { "Ann M." } else { "A. Moss" };
            let attrs = json!({ "userName": NAMES[*name], "displayName": display });
            user.attrs = attrs.as_object().unwrap().clone();
            user.version += 1;
            (user.active, user.deleted) = (*active, *deleted);
            let wanted = GROUPS.iter().zip(groups).filter(|(_, wanted)| **wanted);
            world.facts.wanted = wanted.map(|(name, _)| (fold(name), (*name).to_owned())).collect();
        }
        Event::Drive => world.settle(),
        Event::Round(trouble) => drop(world.round(*trouble)),
        Event::LateWork => world.execute_late(),
        Event::DeletedByHand => {
            // Only what is on record: an account that nobody knows of is not missed.
            if let Some(id) = world.facts.record.account_id().cloned() {
                world.jira.delete(&id);
                if let Known::Linked { maybe, .. } = &mut world.facts.record.known {
                    *maybe = true;
                }
            }
        }
        Event::Applications(wanted) => {
            Arc::make_mut(&mut world.rules.policy).applications =
                wanted.then(|| APPLICATION.to_owned()).into_iter().collect();
        }
        Event::Later(seconds) => {
            world.rules.now += TimeDelta::seconds(*seconds);
            // So long no call is under way.
            if world.facts.look_at.is_some_and(|at| at <= world.rules.now) {
                world.execute_late();
            }
        }
    }
}

fn random_facts() -> impl Strategy<Value = UserFacts> {
    let known = prop_oneof![
        Just(Known::Nothing),
        Just(Known::Absent),
        Just(Known::Found(seen("JIRAUSER7", "ann"))),
        Just(Known::Found(seen("JIRAUSER1", "scim"))),
        any::<[bool; 2]>().prop_map(|[active, maybe]| Known::Linked {
            seen: SeenAccount { active, ..seen("JIRAUSER7", "ann") },
            maybe
        }),
        any::<bool>().prop_map(|maybe| Known::Linked { seen: seen("JIRAUSER1", "scim"), maybe }),
    ];
    let pairs = prop::collection::btree_map(
        prop::sample::select(GROUPS.map(fold).to_vec()),
        (any::<bool>(), any::<bool>()).prop_map(|(written, maybe)| Pair { written, maybe, ..Pair::default() }),
        0..4,
    );
    let user = (prop::sample::select(vec!["ann", "bo", "scim"]), any::<[bool; 3]>(), any::<[bool; 4]>());
    (known, pairs, user, prop::option::of(-10..10_i64), any::<bool>()).prop_map(
        |(known, pairs, (name, [active, deleted, purged], groups), look, created)| {
            let mut facts = user_of(name, active, deleted);
            if let Some(user) = facts.user.as_mut().filter(|_| deleted && purged) {
                (user.undone, user.purged) = (true, true);
                facts.record.found = (!created).then(|| AsFound { active, ..AsFound::default() });
            }
            facts.record.known = known;
            facts.pairs = pairs;
            facts.look_at = look.map(|seconds| now() + TimeDelta::seconds(seconds));
            if created {
                facts.record.maybe_created = vec![account("ann")];
            }
            let wanted = GROUPS.iter().zip(groups).filter(|(_, wanted)| *wanted);
            facts.wanted = wanted.map(|(name, _)| (fold(name), (*name).to_owned())).collect();
            facts
        },
    )
}

fn user_of(name: &str, active: bool, deleted: bool) -> UserFacts {
    with(user(name), |f| {
        let user = f.user.as_mut().unwrap();
        (user.active, user.deleted) = (active, deleted);
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_jira_ends_as_the_provider_wants_it(
        mut world in world(),
        events in prop::collection::vec(event(), 0..14),
    ) {
        for event in &events {
            happens(&mut world, event);
        }
        world.rest();
        world.check();
        prop_assert!(plan_user(&world.facts, &world.rules).is_empty());
        prop_assert_eq!(plan_user(&world.facts, &world.rules).due, None);
    }

    #[test]
    fn a_forecast_tells_exactly_what_is_done(
        mut world in world(),
        events in prop::collection::vec(event(), 0..10),
        last in event().prop_filter("a wish", |event| matches!(event, Event::Wish { .. })),
    ) {
        for event in &events {
            happens(&mut world, event);
        }
        world.rest();
        happens(&mut world, &last);
        let (steps, after) = foretold(&world.facts, &world.rules, &world.jira);
        let mut expected = world.jira.clone();
        let mut username = world.username(&world.facts);
        for step in &steps {
            let _done = expected.execute(step, &username);
            match step {
                Step::Create { account, .. } => username.clone_from(&account.username),
                Step::Link { account, .. } => username.clone_from(&account.username),
                Step::Update { change, .. } => username = change.username.clone().unwrap_or(username),
                _ => {}
            }
        }
        world.settle();
        let state = |jira: &Jira| (jira.accounts.clone(), jira.groups.clone(), jira.members.clone(), jira.access.clone());
        prop_assert_eq!(state(&world.jira), state(&expected), "{:#?}", steps);
        prop_assert!(plan_user(&after, &world.rules).is_empty(), "{:#?}", plan_user(&after, &world.rules));
        prop_assert!(foretold(&world.facts, &world.rules, &world.jira).0.is_empty());
    }

    #[test]
    fn from_any_record_every_plan_comes_to_an_end(facts in random_facts(), policy in a_policy(), adopt in an_adoption()) {
        let rules = Rules { policy: Policy { adopt, ..policy }.into(), ..rules() };
        let jira = Jira { accounts: vec![seen("JIRAUSER7", "ann"), seen("JIRAUSER9", "bo")], ..Jira::default() };
        let mut world = World { jira, facts, rules, late: Vec::new() };
        world.settle();
        prop_assert!(!world.round(Trouble::None));
    }

    #[test]
    fn what_is_refused_is_not_planned_again(facts in random_facts(), policy in a_policy()) {
        let rules = Rules { policy: policy.into(), ..rules() };
        let mut facts = facts;
        for round in 0.. {
            prop_assert!(round < 8, "no end: {:#?}", facts);
            let plan = plan_user(&facts, &rules);
            if plan.is_empty() {
                break;
            }
            set_states(&mut facts, &plan);
            for step in &plan.steps {
                match step {
                    Step::Link { .. } => absorb(&mut facts, step, Done::Linked, Times { now: now(), late: LATE, survey: false }),
                    step => refuse(&mut facts, step, no(String::new())),
                }
            }
        }
        // But everything that is waived by its fingerprint is open again when somebody retries.
        let open = UserFacts { record: crate::store::link::LinkRecord { steps: Default::default(), ..facts.record.clone() }, ..facts };
        for place in plan_user(&open, &rules).steps.iter().filter_map(place_of) {
            prop_assert!(fingerprint(&open, &rules, &place).is_some());
        }
    }

    #[test]
    fn marks_leave_nothing_certain_that_the_plan_touches(facts in random_facts(), policy in a_policy()) {
        let rules = Rules { policy: policy.into(), ..rules() };
        let plan = plan_user(&facts, &rules);
        let mut marked = facts.clone();
        mark(&mut marked, &plan);
        let again = plan_user(&marked, &rules);
        for step in &plan.steps {
            let still = match step {
                Step::Look { .. } | Step::Link { .. } => again.steps.contains(step),
                Step::Create { account, .. } => marked.record.maybe_created.contains(account),
                Step::Update { .. } | Step::SetActive { .. } | Step::Delete { .. } => {
                    matches!(again.steps[..], [Step::Look { id: Some(_), .. }])
                }
                Step::DeleteGroup { .. } => false,
                Step::EnsureGroup { key, .. } => marked.groups[key].known != GroupKnown::Exists,
                Step::AddMember { key, .. } | Step::RemoveMember { key, .. } => marked.pairs[key].maybe,
                Step::Grant { access, .. } | Step::Revoke { access, .. } => marked.record.maybe_granted.contains(access),
            };
            prop_assert!(still, "after a crash nobody would think of {:?}: {:?}", step, again);
        }
        if !plan.steps.is_empty() {
            prop_assert!(!again.steps.is_empty());
        }
    }

    #[test]
    fn what_was_never_attempted_is_as_it_was(facts in random_facts(), policy in a_policy()) {
        let rules = Rules { policy: policy.into(), ..rules() };
        let plan = plan_user(&facts, &rules);
        let mut after = facts.clone();
        set_states(&mut after, &plan);
        for step in &plan.steps {
            for error in [
                TargetError::Stopped { reason: "shutdown" },
                TargetError::Throttled { retry_after: None },
                TargetError::Denied { detail: String::new() },
                TargetError::Unreachable { detail: String::new(), maybe_done: false },
            ] {
                absorb_error(&mut after, step, &error, Times { now: now(), late: LATE, survey: false });
            }
        }
        prop_assert_eq!(plan_user(&after, &rules).steps, plan.steps);
        prop_assert_eq!((after.record.known, after.record.maybe_created), (facts.record.known, facts.record.maybe_created));
    }

    #[test]
    fn what_may_be_a_membership_and_is_not_wanted_is_taken_away(facts in random_facts(), policy in a_policy()) {
        let rules = Rules { policy: policy.into(), ..rules() };
        let mut facts = facts;
        facts.record.known = Known::Linked { seen: seen("JIRAUSER7", "ann"), maybe: false };
        facts.look_at = None;
        facts.record.surveyed = true;
        let planner = Planner::new(&facts, &rules).unwrap();
        let wanted = planner.wanted_groups();
        let plan = plan_user(&facts, &rules);
        let leaves_all = plan.steps.iter().any(|step| matches!(step, Step::Delete { .. }));
        for (key, pair) in facts.pairs.iter().filter(|(key, pair)| pair.maybe && *key != "admins") {
            if !leaves_all && !wanted.contains_key(key) && planner.takes_away(key, pair) {
                let taken = plan.steps.iter().any(|s| matches!(s, Step::RemoveMember { key: k, .. } if k == key));
                prop_assert!(taken, "{:?} {:?} {:?}", key, pair, plan);
            }
        }
    }

    #[test]
    fn a_plan_never_touches_barred_groups_or_our_own_account(facts in random_facts(), policy in a_policy()) {
        let rules = Rules { policy: policy.into(), ..rules() };
        for step in plan_user(&facts, &rules).steps {
            let own = AccountId("JIRAUSER1".to_owned());
            let fine = match &step {
                Step::DeleteGroup { .. } => false,
                Step::Look { .. } => true,
                Step::Link { account, .. } => account.id != own,
                Step::Create { account, .. } => fold(&account.username) != "scim",
                Step::Update { id, .. } | Step::SetActive { id, .. } | Step::Delete { id } => *id != own,
                Step::Grant { .. } | Step::Revoke { .. } => facts.record.account_id() != Some(&own),
                Step::EnsureGroup { key, .. } | Step::AddMember { key, .. } | Step::RemoveMember { key, .. } => {
                    key != "admins" && facts.record.account_id() != Some(&own)
                }
            };
            prop_assert!(fine, "{:?}", step);
        }
    }
}
