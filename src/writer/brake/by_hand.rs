//! What an administrator does about a brake that has tripped: release what it holds, or give it up. Pages over what is held;
//! the writer finds the decisions when it drives the subjects, which are put into the outbox with them.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::store::brake::{self, Decision, Held, HeldAfter, HeldFilter};
use crate::store::by_hand::{Noted, note};
use crate::store::outbox::{self, NudgeAs};
use crate::store::tenant::{Mode, Origin, Tenant};
use crate::store::{Store, StoreError, release};
use crate::writer::plan::StepKind;
use crate::writer::release::marked;

/// Things that are decided about in one transaction.
const PAGE: i64 = 500;
/// How often a transaction is tried that the database breaks off to end a deadlock.
const TRIES: usize = 5;

/// What a decision was about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct DecidedByHand {
    /// The brake was tripped, and is ready again.
    pub reset: bool,
    /// Steps that were released, or given up.
    pub steps: u64,
}

/// Decides about what a tenant's brake holds. Without a filter the brake is ready again, too: released, it counts from
/// nothing; otherwise the next step of the same storm trips it again. `told` hears how many steps it was so far.
///
/// # Errors
/// The store's; what was decided until then stays, and the same command goes on from there.
pub async fn decide_by_hand(
    store: &Store,
    tenant: &Tenant,
    origin: Origin<'_>,
    decision: Decision,
    filter: HeldFilter,
    told: &mut (dyn FnMut(u64) + Send),
) -> Result<DecidedByHand, StoreError> {
    let mut hand = Hand { store, tenant, origin, decision, filter };
    let mut done = DecidedByHand::default();
    let part = filter.user.is_some() || filter.class.is_some();
    let (reset, by) = if part { (false, hand.clock().await?) } else { hand.reset().await? };
    done.reset = reset;
    // Whatever is held from now on nobody has looked at.
    hand.filter.by = Some(by);
    let mut after = Some(HeldAfter::default());
    while let Some(place) = after {
        let mut conn = store.pool().acquire().await?;
        let (held, next) = brake::held(&mut conn, tenant.id, hand.filter, &place, PAGE).await?;
        drop(conn);
        if !held.is_empty() {
            done.steps += hand.decide_persistently(&held, &place).await?;
            told(done.steps);
        }
        after = next;
    }
    Ok(done)
}

struct Hand<'a> {
    store: &'a Store,
    tenant: &'a Tenant,
    origin: Origin<'a>,
    decision: Decision,
    filter: HeldFilter,
}

impl Hand<'_> {
    /// Whether it was tripped, and when it was reset.
    async fn reset(&self) -> Result<(bool, DateTime<Utc>), StoreError> {
        let mut tx = self.store.pool().begin().await?;
        let reset = brake::reset(&mut tx, self.tenant.id, self.decision == Decision::Pass).await?;
        self.note(&mut tx, json!({ "reset": reset.was_tripped })).await?;
        tx.commit().await?;
        Ok((reset.was_tripped, reset.at))
    }

    async fn clock(&self) -> Result<DateTime<Utc>, StoreError> {
        let mut tx = self.store.pool().begin().await?;
        let at = brake::clock(&mut tx, self.tenant.id).await?;
        tx.commit().await?;
        Ok(at)
    }

    async fn decide_persistently(&self, held: &[Held], place: &HeldAfter) -> Result<u64, StoreError> {
        for _ in 1..TRIES {
            match self.decide(held, place).await {
                Err(error) if error.is_transient() => {}
                other => return other,
            }
        }
        self.decide(held, place).await
    }

    /// The outbox rows first: they are the locks of their subjects. What is held is read again behind them.
    async fn decide(&self, held: &[Held], place: &HeldAfter) -> Result<u64, StoreError> {
        let tenant_id = self.tenant.id;
        let users: BTreeSet<Uuid> = held.iter().filter_map(|held| held.id).collect();
        let any_group = held.iter().any(|held| held.id.is_none());
        let priority = i16::from(self.filter.user.is_none());
        let how = NudgeAs { priority, request_id: Some(self.origin.request_id), ..NudgeAs::BULK };
        let mut tx = self.store.pool().begin().await?;
        let groups = if any_group { brake::waiting_groups(&mut tx, tenant_id).await? } else { Vec::new() };
        let subjects: [(&str, Vec<Uuid>); 2] = [("user", users.into_iter().collect()), ("group", groups)];
        for (kind, ids) in subjects.into_iter().filter(|(_, ids)| !ids.is_empty()) {
            match self.tenant.mode {
                Mode::Enforce => drop(outbox::nudge(&mut tx, tenant_id, kind, &ids, how).await?),
                // Of a tenant that observes only what is released is done: these steps, and nothing else of the person.
                Mode::Observe => {
                    let marked = marked(&mut tx, self.tenant, kind, &ids).await?;
                    release::release(&mut tx, tenant_id, kind, &marked, &kinds_of(held), self.origin.request_id)
                        .await?;
                }
            }
        }
        if any_group && self.tenant.mode == Mode::Enforce {
            // The groups that a purge wants deleted are the tenant's own.
            outbox::nudge(&mut tx, tenant_id, "tenant", &[tenant_id], how).await?;
        }
        let (still, _) = brake::held(&mut tx, tenant_id, self.filter, place, PAGE).await?;
        let held: Vec<Held> = still.into_iter().filter(|found| held.contains(found)).collect();
        brake::lock(&mut tx, tenant_id).await?;
        brake::decide(&mut tx, tenant_id, self.decision, &held).await?;
        let steps: Vec<_> =
            held.iter().map(|held| json!({ "name": held.name, "id": held.id, "step": held.step })).collect();
        self.note(&mut tx, json!({ "steps": steps })).await?;
        tx.commit().await?;
        Ok(held.len() as u64)
    }

    async fn note(&self, conn: &mut sqlx::PgConnection, body: serde_json::Value) -> Result<(), StoreError> {
        let noted = Noted {
            tenant_id: self.tenant.id,
            request_id: self.origin.request_id,
            actor: self.origin.actor,
            action: match self.decision {
                Decision::Pass => "brake.release",
                Decision::Drop => "brake.drop",
            },
            kind: "tenant",
            subject_id: self.tenant.id,
            body: &body,
        };
        note(conn, noted).await
    }
}

/// The kinds of some steps that are held, as a release names them.
fn kinds_of(held: &[Held]) -> Vec<String> {
    let kind = |held: &Held| match held.step.split(':').next() {
        Some("active") => StepKind::Deactivate,
        Some("delete") => StepKind::Delete,
        Some("access") => StepKind::Access,
        Some("group") => StepKind::Group,
        _ => StepKind::Leave,
    };
    let kinds: BTreeSet<&str> = held.iter().map(|held| kind(held).name()).collect();
    kinds.into_iter().map(str::to_owned).collect()
}
