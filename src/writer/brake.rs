//! The brake: so much may be taken away within a while and no more, until somebody has looked. What gives flows on.
//!
//! Each step that takes away asks first, in the transaction of its claim and under the lock of the tenant's brake, so that
//! replicas together let no more through than one. How much is too much is [`decide`], a pure function. A brake that is
//! tripped stays tripped until somebody releases it, or gives up what it holds.

mod by_hand;
mod group;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::Inner;
use super::absorb::set_state;
use super::by_hand::waived;
use super::plan::{Place, Plan, Rules, Step, fingerprint, place_of, refused};
use crate::policy::Brake;
use crate::store::brake::{self, BrakeClass, Levels, Trip, Wanted, Whose};
use crate::store::link::{AccountStep, StepState, Stuck, UserFacts};
use crate::store::{StoreError, alert};

pub use by_hand::{DecidedByHand, decide_by_hand};
pub(crate) use group::GroupVerdict;

/// What became of some steps that take away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// For each of them, whether it is let through.
    pub granted: Vec<bool>,
    /// The limit that was reached just now.
    pub trips: Option<BrakeClass>,
}

/// How many of a class are allowed. `levels` are before the step that asks: who was deleted within the window was one of the
/// people when it began, so that a base that shrinks during the storm does not matter.
pub fn limit(brake: &Brake, levels: &Levels, class: BrakeClass) -> u64 {
    let people = levels.people.saturating_add(levels.gone);
    match class {
        BrakeClass::Accounts => brake.accounts.of(people),
        BrakeClass::Memberships => brake.memberships.of(people),
    }
}

/// Which of some steps, each with its class and how many people it concerns, may be done. The first that is too much trips
/// the brake, and nothing goes through a brake that is tripped.
pub fn decide(brake: &Brake, levels: Levels, tripped: bool, wanted: &[(BrakeClass, u64)]) -> Decided {
    let mut used = levels;
    let mut decided = Decided::default();
    for (class, weight) in wanted {
        let open = !tripped && decided.trips.is_none();
        let fits = used.of(*class).saturating_add(*weight) <= limit(brake, &levels, *class);
        decided.granted.push(open && fits);
        if open && fits {
            match class {
                BrakeClass::Accounts => used.accounts += weight,
                BrakeClass::Memberships => used.memberships += weight,
            }
        } else if open {
            decided.trips = Some(*class);
        }
    }
    decided
}

/// Which limit a step is under.
pub fn class_of(step: &Step) -> Option<BrakeClass> {
    match step {
        Step::SetActive { active: false, .. } | Step::Delete { .. } => Some(BrakeClass::Accounts),
        Step::RemoveMember { .. } | Step::Revoke { .. } => Some(BrakeClass::Memberships),
        _ => None,
    }
}

/// A step as the book calls it. Switching an account off and deleting it are one thing: where Jira refuses the one, the
/// other is tried, and a person who leaves counts once.
fn in_the_book(place: &Place) -> Option<String> {
    match place {
        Place::Account(AccountStep::Active | AccountStep::Delete) => Some("account".to_owned()),
        Place::Account(AccountStep::Write) => None,
        Place::Account(access @ AccountStep::Access(_)) => Some(access.to_string()),
        Place::Pair(key) => Some(format!("member:{key}")),
        Place::Group(_) => Some("group".to_owned()),
    }
}

/// The tenant that asks.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// Its id.
    pub id: Uuid,
    /// Its name in the URL.
    pub slug: &'a str,
}

/// What came of asking.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// For each thing that was wanted: nothing where it is let through, else why it is held.
    pub held: Vec<Option<String>>,
    /// The brake tripped just now.
    pub tripped: Option<Trip>,
    /// The database's clock under the brake's lock; none where nobody had to be asked.
    pub at: Option<DateTime<Utc>>,
}

/// Asks whether some things of one subject may be taken away, and enters in the book what is let through. Whatever follows
/// must be in the same transaction, after the outbox row of the subject; the brake stays locked until its end.
///
/// # Errors
/// The store's.
pub async fn ask(
    conn: &mut PgConnection,
    rules: &Brake,
    tenant: Asker<'_>,
    whose: &Whose,
    wanted: &[Wanted],
) -> Result<Asked, StoreError> {
    if !rules.enabled || wanted.is_empty() {
        return Ok(Asked { held: vec![None; wanted.len()], ..Asked::default() });
    }
    let window = rules.window.duration();
    let locked = brake::lock(conn, tenant.id).await?;
    let places: Vec<String> = wanted.iter().map(|wanted| wanted.place.clone()).collect();
    let read = brake::read(conn, tenant.id, &locked, window, whose, &places).await?;
    let unknown: Vec<&Wanted> = wanted.iter().filter(|wanted| !read.known.contains(&wanted.place)).collect();
    let asked: Vec<(BrakeClass, u64)> = unknown.iter().map(|wanted| (wanted.class, wanted.weight)).collect();
    let decided = decide(rules, read.levels, locked.trip.is_some(), &asked);
    let granted: Vec<Wanted> = unknown
        .iter()
        .zip(&decided.granted)
        .filter(|(_, granted)| **granted)
        .map(|(wanted, _)| (*wanted).clone())
        .collect();
    if !granted.is_empty() || !read.known.is_empty() {
        brake::grant(conn, tenant.id, &locked, window, whose, (&granted, &read.known)).await?;
    }
    let tripped = match decided.trips {
        Some(class) => {
            let mut levels = read.levels;
            granted.iter().for_each(|wanted| match wanted.class {
                BrakeClass::Accounts => levels.accounts += wanted.weight,
                BrakeClass::Memberships => levels.memberships += wanted.weight,
            });
            let more = unknown[granted.len()].weight;
            Some(trip(conn, rules, tenant, Excess { class, levels, more, before: read.levels }, read.now).await?)
        }
        None => None,
    };
    let why = tripped.as_ref().or(locked.trip.as_ref()).map(|trip| why_held(trip, tenant.slug)).unwrap_or_default();
    let through = |place: &String| read.known.contains(place) || granted.iter().any(|granted| granted.place == *place);
    let held = places.iter().map(|place| (!through(place)).then(|| why.clone())).collect();
    Ok(Asked { held, tripped, at: Some(read.now) })
}

/// What was too much.
struct Excess {
    class: BrakeClass,
    /// What was let through.
    levels: Levels,
    /// How many people the step concerns that was not.
    more: u64,
    /// What the limit was reckoned from.
    before: Levels,
}

/// Trips the brake, and has people told.
async fn trip(
    conn: &mut PgConnection,
    rules: &Brake,
    tenant: Asker<'_>,
    excess: Excess,
    now: DateTime<Utc>,
) -> Result<Trip, StoreError> {
    let (class, used) = (excess.class, excess.levels.of(excess.class));
    let limit = limit(rules, &excess.before, class);
    let trip = Trip { at: now, class, reason: sentence(class, used, excess.more, limit, rules) };
    brake::set_tripped(conn, tenant.id, &trip).await?;
    let body = json!({
        "class": class, "reason": trip.reason, "let_through": used, "limit": limit, "window": rules.window,
    });
    alert::raise(conn, tenant.id, "brake", &body).await?;
    Ok(trip)
}

/// Why the brake tripped.
fn sentence(class: BrakeClass, used: u64, more: u64, limit: u64, rules: &Brake) -> String {
    let what = match (class, used) {
        (BrakeClass::Accounts, 1) => "account was switched off or deleted",
        (BrakeClass::Accounts, _) => "accounts were switched off or deleted",
        (BrakeClass::Memberships, 1) => "membership was taken away",
        (BrakeClass::Memberships, _) => "memberships were taken away",
    };
    let more = if more > 1 { format!(", {more} more were to be at once") } else { String::new() };
    format!("{used} {what} within {}{more}, and the limit is {limit}", rules.window)
}

fn why_held(trip: &Trip, slug: &str) -> String {
    format!("Held by the brake: {}; release with `jira-scim brake release {slug}`.", trip.reason)
}

/// The state of a step that the brake holds.
pub fn held(fingerprint: String, reason: String, now: DateTime<Utc>) -> StepState {
    StepState { state: Stuck::Held, brake: true, ..refused(fingerprint, reason, None, now) }
}

/// What the brake did in one claim.
#[derive(Clone, Debug, Default)]
pub(crate) struct Braking {
    /// What is let through, as the book calls it: asked for once.
    granted: BTreeSet<String>,
    /// What is held, as the planner calls it.
    at: BTreeSet<Place>,
    /// How many steps are held, by class.
    held: Vec<BrakeClass>,
    tripped: Option<Trip>,
    /// Something that was given up is about to be put on record.
    given_up: bool,
}

impl Braking {
    /// Puts on record what was decided since about steps that the brake holds: those that were released, or whose tenant has no
    /// brake any more, are not held, and those that were given up are waived. True where anything changed.
    pub(crate) async fn take_over(
        &mut self,
        conn: &mut PgConnection,
        tenant_id: Uuid,
        facts: &mut UserFacts,
        rules: &Rules,
    ) -> Result<bool, StoreError> {
        let held = held_in(facts);
        if held.is_empty() || let_go(facts, rules) {
            return Ok(!held.is_empty());
        }
        let verdicts = brake::verdicts(conn, tenant_id, &Whose::User(facts.user_id)).await?;
        let mut changed = false;
        for (place, state) in held {
            let name = in_the_book(&place);
            let Some(verdict) = verdicts.iter().find(|verdict| Some(&verdict.place) == name.as_ref()) else { continue };
            let fingerprint = state.fingerprint.clone();
            let after = verdict.dropped.then(|| waived(fingerprint, Some(&state), rules.now));
            set_state(facts, &place, after);
            self.given_up |= verdict.dropped;
            changed = true;
        }
        Ok(changed)
    }

    /// With the states on record: what was given up is not given up again.
    pub(crate) async fn put_on_record(
        &self,
        conn: &mut PgConnection,
        tenant_id: Uuid,
        user_id: Uuid,
    ) -> Result<(), StoreError> {
        if self.given_up { brake::forget_drops(conn, tenant_id, &Whose::User(user_id)).await } else { Ok(()) }
    }

    /// Asks for what a plan takes away, and puts on record what is held. True where the plan has to be made anew.
    pub(crate) async fn hold_back(
        &mut self,
        conn: &mut PgConnection,
        tenant: Asker<'_>,
        facts: &mut UserFacts,
        rules: &Rules,
        plan: &mut Plan,
    ) -> Result<bool, StoreError> {
        // Whatever the planner makes of its state: what is held is not done.
        plan.steps.retain(|step| place_of(step).is_none_or(|place| !self.at.contains(&place)));
        let gone = facts.user.as_ref().is_some_and(|user| user.deleted);
        let mut places = Vec::new();
        let mut wanted = Vec::new();
        for step in &plan.steps {
            if let (Some(class), Some(place)) = (class_of(step), place_of(step))
                && let Some(name) = in_the_book(&place).filter(|name| !self.granted.contains(name))
            {
                places.push(place);
                wanted.push(Wanted { class, place: name, weight: 1, gone: gone && class == BrakeClass::Accounts });
            }
        }
        let whose = Whose::User(facts.user_id);
        let asked = ask(conn, &rules.policy.brake, tenant, &whose, &wanted).await?;
        let at = asked.at.unwrap_or(rules.now);
        self.tripped = self.tripped.take().or(asked.tripped);
        let mut anew = false;
        for ((place, wanted), reason) in places.into_iter().zip(wanted).zip(asked.held) {
            match reason {
                None => drop(self.granted.insert(wanted.place)),
                Some(reason) => {
                    let state = held(fingerprint(facts, rules, &place).unwrap_or_default(), reason, at);
                    set_state(facts, &place, Some(state));
                    self.held.push(wanted.class);
                    self.at.insert(place);
                    anew = true;
                }
            }
        }
        Ok(anew)
    }
}

/// Where the policy has no brake, nothing is held by it. True where that is so.
pub(crate) fn let_go(facts: &mut UserFacts, rules: &Rules) -> bool {
    if !rules.policy.brake.enabled {
        for (place, _) in held_in(facts) {
            set_state(facts, &place, None);
        }
    }
    !rules.policy.brake.enabled
}

/// Those of some users whom the brake holds no more, because somebody decided so, and who do not know it yet.
pub(crate) async fn decided(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    all: &[UserFacts],
) -> Result<BTreeSet<Uuid>, StoreError> {
    let held: Vec<Uuid> = all.iter().filter(|facts| !held_in(facts).is_empty()).map(|facts| facts.user_id).collect();
    if held.is_empty() {
        return Ok(BTreeSet::new());
    }
    Ok(brake::decided(conn, tenant_id, &held).await?.into_iter().collect())
}

/// The steps of a user that the brake holds.
fn held_in(facts: &UserFacts) -> Vec<(Place, StepState)> {
    let account = facts.record.steps.iter().map(|(step, state)| (Place::Account(step.clone()), state));
    let pairs = facts.pairs.iter().filter_map(|(key, pair)| Some((Place::Pair(key.clone()), pair.step.as_ref()?)));
    account.chain(pairs).filter(|(_, state)| state.brake).map(|(place, state)| (place, state.clone())).collect()
}

impl Inner {
    /// Counts and logs what the brake did, once it is certain.
    pub(crate) fn tell_braking(&self, slug: &str, braking: &Braking) {
        for class in &braking.held {
            self.metrics.brake_held(slug, class.as_str());
        }
        if let Some(trip) = &braking.tripped {
            self.tell_trip(slug, trip);
        }
    }

    /// Logs that a brake has tripped.
    pub(crate) fn tell_trip(&self, slug: &str, trip: &Trip) {
        self.metrics.brake_tripped(slug, true);
        tracing::warn!(
            tenant = slug,
            class = trip.class.as_str(),
            "the brake of tenant {slug} has tripped: {}. Everything that takes away is held until `jira-scim brake release \
             {slug}` or `jira-scim brake drop {slug}`",
            trip.reason
        );
    }
}
