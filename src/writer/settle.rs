//! Settling: a request drives its own subjects within a budget, so that the IdP hears a refusal from Jira.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::drive::DriveEnd;
use super::plan::Place;
use super::{Inner, Writer};
use crate::account::Field;
use crate::store::StoreError;
use crate::store::link::{AccountStep, StepState, Stuck};
use crate::store::outbox::{Nudge, Subject};
use crate::store::tenant::{Mode, Tenant};

/// How often a subject that somebody else drives is asked for.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// What settling came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Settled {
    /// Jira is as the store says, or nothing had to be done.
    Applied,
    /// It is durably accepted, and the workers go on.
    Pending,
    /// Jira, or a rule, said no.
    Refused(Refusal),
}

/// Why Jira, or a rule, said no.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// In Jira's own words, or ours where a rule speaks.
    pub reason: String,
    /// The field that was objected to.
    pub field: Option<Field>,
    /// A name is taken: 409 `uniqueness`; else 400 `invalidValue`.
    pub conflict: bool,
}

impl Writer {
    /// Whether requests of this tenant drive their own subjects now.
    pub fn settles(&self, tenant: &Tenant) -> bool {
        !self.0.options.settle.is_zero()
            && tenant.mode == Mode::Enforce
            && self
                .0
                .targets
                .get(&tenant.target)
                .is_some_and(|runtime| !runtime.is_paused() && !runtime.last_was_slow.load(Ordering::Relaxed))
    }

    /// How long the rows of a request that settles are leased to it.
    pub fn settle_lease(&self) -> Duration {
        self.0.options.settle + Duration::from_secs(5)
    }

    /// Drives what a request touched, for at most `writer.settle`. `about` is the resource of the request: a refusal is one
    /// of its own account or group, or, for a group, of every member that it named.
    pub async fn settle(&self, tenant: &Tenant, about: Subject, subjects: &[Nudge]) -> Settled {
        if subjects.is_empty() {
            return Settled::Applied;
        }
        if !self.settles(tenant) {
            self.let_go(tenant, subjects).await;
            self.wake(&tenant.target);
            return Settled::Pending;
        }
        let until = Instant::now() + self.0.options.settle;
        let mut ends = Vec::with_capacity(subjects.len());
        for (position, subject) in subjects.iter().enumerate() {
            if Instant::now() >= until {
                self.let_go(tenant, &subjects[position..]).await;
                break;
            }
            ends.push((*subject, self.within(tenant, *subject, until).await));
        }
        self.wake(&tenant.target);
        let all = ends.len() == subjects.len();
        judge(about, &ends, all)
    }

    /// One subject within the budget. The drive itself goes on when the budget is spent.
    async fn within(&self, tenant: &Tenant, what: Nudge, until: Instant) -> Option<DriveEnd> {
        let writer = self.clone();
        let (tenant_id, token) = (tenant.id, what.lease.unwrap_or_else(Uuid::new_v4));
        let (answer, end) = tokio::sync::oneshot::channel();
        self.0.life.spawn("settle", async move {
            let end = writer.drive_when_free(tenant_id, what.subject, token, until).await;
            let _nobody_waits_any_more = answer.send(end);
        });
        match tokio::time::timeout_at(until, end).await {
            Ok(Ok(Ok(end))) => Some(end),
            Ok(Ok(Err(error))) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a drive failed in the store; the workers go on"
                );
                None
            }
            Ok(Err(_)) | Err(_) => None,
        }
    }

    async fn drive_when_free(
        &self,
        tenant_id: Uuid,
        subject: Subject,
        token: Uuid,
        until: Instant,
    ) -> Result<DriveEnd, StoreError> {
        loop {
            let end = self.drive(tenant_id, subject, token).await?.end;
            if end != DriveEnd::Taken {
                return Ok(end);
            }
            if !self.0.is_open(tenant_id, subject).await? {
                return Ok(DriveEnd::Settled { refused: Vec::new(), standing: Vec::new() });
            }
            if Instant::now() + ASK_AGAIN >= until {
                return Ok(DriveEnd::Pending);
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// Rows that are still leased to a request that has no time left for them.
    async fn let_go(&self, tenant: &Tenant, subjects: &[Nudge]) {
        for what in subjects {
            let Some(token) = what.lease else { continue };
            if let Err(error) = self.0.hand_over(tenant.id, what.subject, token).await {
                // The lease runs out by itself.
                tracing::debug!(error = &error as &dyn std::error::Error, "a lease was not handed over");
            }
        }
    }
}

impl Inner {
    async fn is_open(&self, tenant_id: Uuid, subject: Subject) -> Result<bool, StoreError> {
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        crate::store::outbox::is_due(&mut conn, tenant_id, subject).await
    }

    pub(super) async fn hand_over(&self, tenant_id: Uuid, subject: Subject, token: Uuid) -> Result<(), StoreError> {
        let mut conn = self.store.pool().acquire().await.map_err(StoreError::from)?;
        crate::store::outbox::hand_over(&mut conn, tenant_id, subject, token).await
    }
}

/// One answer for the request from the ends of its drives.
fn judge(about: Subject, ends: &[(Nudge, Option<DriveEnd>)], all: bool) -> Settled {
    if let Some((nudge, Some(DriveEnd::Settled { refused, standing }))) = ends.iter().find(|(n, _)| n.subject == about)
    {
        // A request that changed nothing asks for what was asked before, and hears the same. One that changed something
        // else must not fail for what it did not ask.
        let standing = if nudge.lease.is_none() { own_refusal(standing) } else { None };
        if let Some(state) = own_refusal(refused).or(standing) {
            return Settled::Refused(Refusal::from(state));
        }
    }
    let members: Vec<_> = ends.iter().filter(|(nudge, _)| nudge.subject != about).collect();
    let pair = |end: &Option<DriveEnd>| match end {
        Some(DriveEnd::Settled { refused, .. }) => refused
            .iter()
            .find(|(place, state)| matches!(place, Place::Pair(_)) && state.state == Stuck::Refused)
            .map(|(_, state)| state.clone()),
        _ => None,
    };
    if all && matches!(about, Subject::Group(_)) && !members.is_empty() {
        let refusals: Vec<StepState> = members.iter().filter_map(|(_, end)| pair(end)).collect();
        if refusals.len() == members.len() {
            return Settled::Refused(Refusal::from(&refusals[0]));
        }
    }
    let done = |end: &Option<DriveEnd>| matches!(end, Some(DriveEnd::Settled { .. }));
    if all && ends.iter().all(|(_, end)| done(end)) { Settled::Applied } else { Settled::Pending }
}

/// The refusal of the resource's own step: its account, or the group itself. That an account cannot be deleted is no
/// refusal, because it is deactivated instead.
fn own_refusal(refused: &[(Place, StepState)]) -> Option<&StepState> {
    refused
        .iter()
        .find(|(place, _)| matches!(place, Place::Account(AccountStep::Write | AccountStep::Active) | Place::Group(_)))
        .map(|(_, state)| state)
}

impl From<&StepState> for Refusal {
    fn from(state: &StepState) -> Self {
        Self { reason: state.reason.clone(), field: state.field, conflict: state.conflict }
    }
}
