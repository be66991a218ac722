//! The claim: one transaction with the lease, desired and applied from one snapshot, the plan, the delivery with its steps,
//! and everything that is about to be touched marked `maybe`. Calls come after its commit.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;
use tokio::time::Instant;
use uuid::Uuid;

use super::Inner;
use super::absorb::{self, Done, Times};
use super::brake::{Asker, Braking};
use super::facts::user_facts;
use super::last_administrator::{self, Guarded};
use super::plan::{Place, Plan, Rules, Step, StepKind, caught_up, names, plan_user, refused, write_fingerprint};
use super::release::user_mark;
use super::runtime::Runtime;
use crate::account::{Field, fold};
use crate::policy::groups::Remove;
use crate::policy::mapping::{self, Ground};
use crate::store::StoreError;
use crate::store::delivery::DeliveryId;
use crate::store::drive::{self, Delivery, Finish, Holder, HolderState, Knowledge, Lease, TenantRules, What, With};
use crate::store::link::{AccountStep, Known, StepState, UserFacts};
use crate::store::outbox::{self, Subject};
use crate::store::overrides;
use crate::store::tenant::Mode;

/// What a claim came to.
pub(crate) enum Claimed {
    /// Somebody else has the lease, or there is no row.
    Taken,
    /// Nothing has to be done now: the row is settled.
    Settled {
        /// The user's record as it is, for the states of its steps.
        facts: Option<Box<UserFacts>>,
        /// The database's clock.
        now: DateTime<Utc>,
    },
    /// The target is paused, or nobody has said yet what is protected there: the row is left as it is.
    Waits,
    /// Before somebody is switched off it has to be known who administers the target. Nothing is claimed.
    Asks(Arc<Runtime>, DateTime<Utc>),
    /// The tenant only observes.
    Observed,
    /// A name or account is held by another living user, who goes first.
    Behind(Holder),
    /// Work.
    User(Box<Work>),
    /// A group or tenant: see `fan_out`.
    Structure(Box<Structure>),
}

/// Where a drive is when it claims.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// Its first claim: what is on record was seen by an earlier drive.
    pub(crate) first: bool,
    /// Whoever stood in the way has been driven already.
    pub(crate) insist: bool,
    /// From before it was asked anew who administers the target, by the database's clock.
    pub(crate) asked: Option<DateTime<Utc>>,
}

/// A claimed user with its plan.
pub(crate) struct Work {
    /// The tenant's slug, for the metrics.
    pub(crate) tenant: String,
    pub(crate) lease: Lease,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) taken: Instant,
    pub(crate) rules: Rules,
    /// As they were before the marks.
    pub(crate) before: UserFacts,
    /// As they are on record until the calls are through.
    pub(crate) marked: UserFacts,
    pub(crate) plan: Plan,
    pub(crate) delivery: DeliveryId,
}

/// A claimed group or tenant.
pub(crate) struct Structure {
    /// The tenant's slug, for the metrics.
    pub(crate) tenant: String,
    pub(crate) lease: Lease,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) taken: Instant,
    pub(crate) rules: Rules,
}

impl Inner {
    /// Claims a subject.
    pub(crate) async fn claim(
        &self,
        tenant_id: Uuid,
        subject: Subject,
        token: Uuid,
        turn: Turn,
    ) -> Result<Claimed, StoreError> {
        let taken = Instant::now();
        let mut tx = self.store.pool().begin().await?;
        let Some(lease) = drive::take(&mut tx, tenant_id, subject, token, self.options.lease).await? else {
            return Ok(Claimed::Taken);
        };
        let tenant = lease.rules.clone();
        let Some(runtime) = self.targets.get(&tenant.target).cloned() else {
            // The configuration does not name the target (any more): kept, and looked at again now and then.
            let at = lease.now + TimeDelta::seconds(60);
            let error = "The tenant's target is not in the configuration.".to_owned();
            let again = Finish::Again { at, attempts: lease.attempts, first_failure: lease.first_failure, error };
            drive::finish(&mut tx, &lease, &again).await?;
            tx.commit().await?;
            return Ok(Claimed::Waits);
        };
        if tenant.mode == Mode::Observe && lease.release.is_none() {
            drive::finish(&mut tx, &lease, &Finish::Done { due: None }).await?;
            tx.commit().await?;
            return Ok(Claimed::Observed);
        }
        if runtime.is_paused() || runtime.protected().is_none() {
            outbox::hand_over(&mut tx, tenant_id, subject, token).await?;
            tx.commit().await?;
            return Ok(Claimed::Waits);
        }
        let Some(rules) = self.rules(&tenant, &runtime, &lease) else {
            let at = lease.now + TimeDelta::seconds(60);
            let error = "The tenant's policy is not understood by this version of jira-scim.".to_owned();
            let again = Finish::Again { at, attempts: lease.attempts, first_failure: lease.first_failure, error };
            drive::finish(&mut tx, &lease, &again).await?;
            tx.commit().await?;
            return Ok(Claimed::Waits);
        };
        let mut braking = Braking::default();
        let slug = tenant.slug.clone();
        let claimed = match subject {
            Subject::User(id) => {
                let brakes = &mut braking;
                self.claim_user(&mut tx, tenant.slug, lease, runtime, rules, taken, id, turn, brakes).await?
            }
            Subject::Group(_) | Subject::Tenant(_) => {
                Claimed::Structure(Box::new(Structure { tenant: tenant.slug, lease, runtime, taken, rules }))
            }
        };
        if let Claimed::Asks(..) = &claimed {
            // As if it had not been claimed: whatever was learnt on the way is learnt again.
            tx.rollback().await?;
            return Ok(claimed);
        }
        tx.commit().await?;
        self.tell_braking(&slug, &braking);
        Ok(claimed)
    }

    /// `None` where the policy is not understood: it was checked when it was written, perhaps by a later version than this
    /// one, and nobody may guess what it forbids.
    fn rules(&self, tenant: &TenantRules, runtime: &Runtime, lease: &Lease) -> Option<Rules> {
        match self.policy(lease.tenant_id, tenant) {
            Ok(policy) => Some(Rules {
                policy,
                protected: runtime.protected().unwrap_or_default(),
                ground: Ground {
                    capabilities: runtime.target.capabilities(),
                    email_fallback: self.options.email_fallback.clone(),
                    tables: self.tables(),
                },
                now: lease.now,
                only: released(tenant, lease),
            }),
            Err(problems) => {
                tracing::error!(tenant.id = %lease.tenant_id, "the stored policy is not understood: {problems:?}");
                None
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one transaction's worth of context, used once")]
    async fn claim_user(
        &self,
        tx: &mut PgConnection,
        tenant: String,
        lease: Lease,
        runtime: Arc<Runtime>,
        rules: Rules,
        taken: Instant,
        user_id: Uuid,
        Turn { first, insist, asked }: Turn,
        braking: &mut Braking,
    ) -> Result<Claimed, StoreError> {
        let now = lease.now;
        let Some(mut facts) = user_facts(tx, lease.tenant_id, user_id, &rules).await? else {
            drive::finish(tx, &lease, &Finish::Done { due: None }).await?;
            return Ok(Claimed::Settled { facts: None, now });
        };
        let as_released = || Some(user_mark(&facts, lease.rules.policy_version)) == lease.release_mark;
        if rules.only.is_some() && !as_released() {
            // What changed since somebody released it is only observed.
            drive::finish(tx, &lease, &Finish::Done { due: None }).await?;
            return Ok(Claimed::Observed);
        }
        if first && matches!(facts.record.known, Known::Found(_)) && !plan_user(&facts, &rules).is_empty() {
            // An account that an earlier drive found may be gone by now.
            facts.record.known = Known::Nothing;
        }
        let stored = facts.clone();
        let me = Holder { tenant_id: lease.tenant_id, user_id };
        let asker = Asker { id: lease.tenant_id, slug: &tenant };
        let mut changed = braking.take_over(tx, lease.tenant_id, &mut facts, &rules).await?;
        let plan = loop {
            let mut plan = plan_user(&facts, &rules);
            match reserve(tx, &runtime.name, me, &facts, &rules, &plan, insist).await? {
                Reserved::Nothing | Reserved::Mine(None) => {
                    if last_administrator::has_to_ask(&plan, &rules) {
                        return Ok(Claimed::Asks(runtime, now));
                    }
                    match last_administrator::guard(tx, &runtime.name, &facts, &rules, &plan, asked).await? {
                        Guarded::Asks => return Ok(Claimed::Asks(runtime, now)),
                        Guarded::Forbidden(place, state) => absorb::set_state(&mut facts, &place, Some(state)),
                        Guarded::Free if braking.hold_back(tx, asker, &mut facts, &rules, &mut plan).await? => {}
                        Guarded::Free => break plan,
                    }
                    changed = true;
                }
                Reserved::Mine(Some(step)) => {
                    absorb::absorb(&mut facts, &step, Done::Linked, times(&rules, &runtime, taken));
                    changed = true;
                }
                Reserved::Refused(place, state) => {
                    absorb::set_state(&mut facts, &place, Some(state));
                    changed = true;
                }
                Reserved::Behind(holder) => {
                    if changed || matches!(facts.record.known, Known::Found(_)) {
                        if matches!(facts.record.known, Known::Found(_)) {
                            // It changes while the holder goes first: the next claim looks again.
                            facts.record.known = Known::Nothing;
                        }
                        let knowledge = knowledge(&facts, &stored, &stored);
                        drive::save(tx, &lease, &facts, &knowledge, With::default()).await?;
                        braking.put_on_record(tx, lease.tenant_id, user_id).await?;
                    }
                    let at = lease.now + TimeDelta::seconds(if insist { 2 } else { 0 });
                    let error =
                        format!("Waits for user {}, who still holds the login name or account.", holder.user_id);
                    let again =
                        Finish::Again { at, attempts: lease.attempts, first_failure: lease.first_failure, error };
                    drive::finish(tx, &lease, &again).await?;
                    return Ok(Claimed::Behind(holder));
                }
            }
        };
        let ended = caught_up(&facts);
        if !ended.is_empty() {
            overrides::end(tx, lease.tenant_id, &ended).await?;
        }
        if plan.steps.is_empty() {
            if changed || !plan.is_empty() {
                absorb::mark(&mut facts, &plan);
                let knowledge = knowledge(&facts, &stored, &stored);
                drive::save(tx, &lease, &facts, &knowledge, With::default()).await?;
                braking.put_on_record(tx, lease.tenant_id, user_id).await?;
            }
            // A time that has passed without anything to do would make the subject due for ever.
            let due = plan.due.map(|at| at.max(now + TimeDelta::seconds(1)));
            drive::finish(tx, &lease, &Finish::Done { due }).await?;
            return Ok(Claimed::Settled { facts: Some(Box::new(facts)), now });
        }
        let mut marked = facts.clone();
        absorb::mark(&mut marked, &plan);
        // Should nobody live to record what became of the calls, the subject gets its second look all the same.
        plan.steps.iter().for_each(|step| absorb::doubt(&mut marked, step, times(&rules, &runtime, taken)));
        let delivery = DeliveryId { id: Uuid::now_v7(), at: lease.now };
        let (steps, calls) = (planned(&plan), Value::Array(Vec::new()));
        let begun = Delivery { id: delivery.id, steps: &steps, calls: &calls, outcome: None, error: None };
        let with = With { delivery: Some(&begun), account: None };
        drive::save(tx, &lease, &marked, &knowledge(&marked, &stored, &stored), with).await?;
        braking.put_on_record(tx, lease.tenant_id, user_id).await?;
        absorb::set_states(&mut facts, &plan);
        Ok(Claimed::User(Box::new(Work {
            tenant,
            lease,
            runtime,
            taken,
            rules,
            before: facts,
            marked,
            plan,
            delivery,
        })))
    }
}

/// The kinds of steps that may be done of a tenant that observes; all where it does not.
fn released(tenant: &TenantRules, lease: &Lease) -> Option<BTreeSet<StepKind>> {
    let kinds = lease.release.as_ref().filter(|_| tenant.mode == Mode::Observe)?;
    Some(StepKind::ALL.into_iter().filter(|kind| kinds.iter().any(|name| name == kind.name())).collect())
}

/// The times for a drive under these rules: the database's clock as of now, reckoned from when the lease was taken.
pub(crate) fn times(rules: &Rules, runtime: &Runtime, taken: Instant) -> Times {
    // In the database's own precision, so that a time that comes back from there is the time that went in.
    let elapsed = TimeDelta::microseconds(i64::try_from(taken.elapsed().as_micros()).unwrap_or_default());
    let survey = rules.policy.groups.remove == Remove::All;
    Times { now: rules.now + elapsed, late: runtime.late, survey }
}

/// What is written back: the account, the pairs that differ from what is `stored`, and the groups that this drive learned
/// something about since `before`. Groups are shared by all users, so what was merely read is not written back over what
/// others learned meanwhile.
pub(crate) fn knowledge(facts: &UserFacts, stored: &UserFacts, before: &UserFacts) -> Knowledge {
    let same_pair = |key: &String, pair| stored.pairs.get(key) == Some(pair);
    let same_group = |key: &String, group| before.groups.get(key) == Some(group);
    Knowledge {
        record: facts.record.clone(),
        look_at: facts.look_at,
        pairs: facts.pairs.iter().filter(|(k, v)| !same_pair(k, *v)).map(|(k, v)| (k.clone(), v.clone())).collect(),
        groups: facts.groups.iter().filter(|(k, v)| !same_group(k, *v)).map(|(k, v)| (k.clone(), v.clone())).collect(),
    }
}

/// The steps as a delivery shows them before the first call.
fn planned(plan: &Plan) -> Value {
    plan.steps.iter().map(|step| json!({ "step": step })).collect()
}

enum Reserved {
    /// The plan needs no claim.
    Nothing,
    /// It is ours; a link has to be put on record before the next plan.
    Mine(Option<Step>),
    /// It cannot become ours.
    Refused(Place, StepState),
    /// Somebody living has it.
    Behind(Holder),
}

/// Claims the login name or account that the plan is going to write.
async fn reserve(
    tx: &mut PgConnection,
    target: &str,
    me: Holder,
    facts: &UserFacts,
    rules: &Rules,
    plan: &Plan,
    insist: bool,
) -> Result<Reserved, StoreError> {
    let name = |username: &str| (What::Name, fold(username), None);
    let wanted = plan.steps.iter().find_map(|step| match step {
        Step::Create { account, .. } => Some(name(&account.username)),
        Step::Update { change, .. } => change.username.as_deref().map(name),
        Step::Link { account, .. } => Some((What::Account, account.id.0.clone(), Some(step.clone()))),
        _ => None,
    });
    let Some((what, key, link)) = wanted else { return Ok(Reserved::Nothing) };
    if let Step::Link { account, .. } = &plan.steps[0] {
        // The linked account's name is held too, so that nobody else of ours writes it.
        let holder = drive::claim(tx, target, What::Name, &fold(&account.username), me).await?;
        if holder != me
            && let Some(blocked) =
                in_the_way(tx, target, What::Name, &fold(&account.username), holder, me, facts, rules, insist).await?
        {
            return Ok(blocked);
        }
    }
    let holder = drive::claim(tx, target, what, &key, me).await?;
    if holder != me
        && let Some(blocked) = in_the_way(tx, target, what, &key, holder, me, facts, rules, insist).await?
    {
        return Ok(blocked);
    }
    Ok(Reserved::Mine(link))
}

/// Somebody else holds it: may we have it, do we wait, or is it refused? `None` when it is ours now.
#[expect(clippy::too_many_arguments, reason = "the claim's key is three of them")]
async fn in_the_way(
    tx: &mut PgConnection,
    target: &str,
    what: What,
    key: &str,
    holder: Holder,
    me: Holder,
    facts: &UserFacts,
    rules: &Rules,
    insist: bool,
) -> Result<Option<Reserved>, StoreError> {
    let state = drive::holder_state(tx, holder).await?;
    if !state.living && !state.has_account && drive::pass_claim(tx, target, what, key, holder, me).await? {
        return Ok(None);
    }
    if holder.tenant_id == me.tenant_id && (state.open || (state.living && !insist)) {
        return Ok(Some(Reserved::Behind(holder)));
    }
    let Some(user) = &facts.user else { return Ok(None) };
    let active = user.active && !user.deleted;
    let names = names(&facts.groups_in, &rules.policy.groups);
    let desired = mapping::account(&user.attrs, active, names, &rules.policy, &rules.ground).account;
    let state = StepState {
        conflict: true,
        ..refused(
            write_fingerprint(&desired),
            why_held(what, &desired.username, holder, me, state),
            Some(Field::Username),
            rules.now,
        )
    };
    Ok(Some(Reserved::Refused(Place::Account(AccountStep::Write), state)))
}

pub(super) fn why_held(what: What, username: &str, holder: Holder, me: Holder, state: HolderState) -> String {
    let thing = match what {
        What::Name => format!("The login name {username}"),
        What::Account => format!("The Jira account {username}"),
    };
    if holder.tenant_id != me.tenant_id {
        format!("{thing} belongs to another tenant.")
    } else if state.living {
        format!("{thing} is in use by another user ({}).", holder.user_id)
    } else {
        format!("{thing} belonged to a person who was deleted; taking it over needs approval.")
    }
}
