//! What this process knows of a target while it runs: its pace, and a copy of the state that all replicas share.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::expiry::Expiry;
use super::gate::OpenGate;
use super::outcome::{Failure, Verdict, backoff, judge};
use super::pace::Pace;
use super::{Inner, TargetOptions};
use crate::account::{AccountId, fold};
use crate::jira::{Calls, GroupRef, Target, TargetError};
use crate::policy::protect::Protected;
use crate::store::StoreError;
use crate::store::target::{self, PauseKind, ProbeRecord, TargetState};
use uuid::Uuid;

/// See the module.
pub(crate) struct Runtime {
    pub(crate) name: String,
    pub(crate) target: Arc<dyn Target>,
    pub(crate) pace: Arc<Pace>,
    pub(crate) timeout: Duration,
    pub(crate) late: TimeDelta,
    pub(crate) expiries: Vec<Expiry>,
    /// There is work.
    pub(crate) wake: Notify,
    /// The last call timed out or was cut off: requests do not wait for such a target.
    pub(crate) last_was_slow: AtomicBool,
    state: Mutex<Copy>,
    probing: tokio::sync::Mutex<()>,
    /// Who else administers the target, and when that was read: asked only when somebody is to be switched off.
    administrators: Mutex<Option<(Instant, BTreeSet<AccountId>)>>,
}

/// A copy of the shared state, with the time it was read.
#[derive(Default)]
struct Copy {
    state: TargetState,
    read: Option<Instant>,
}

/// A target as the health page shows it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Health {
    /// Its name in the configuration.
    pub name: String,
    /// Its kind.
    pub kind: &'static str,
    /// `up`, `paused`, or `unknown` before the first call.
    pub state: &'static str,
    /// `unreachable`, `throttled` or `denied`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_kind: Option<String>,
    /// In words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// No call before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<DateTime<Utc>>,
    /// The last probe that it answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success: Option<DateTime<Utc>>,
    /// The version it prints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Credentials whose end is known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub credentials: Vec<Expiry>,
}

impl Runtime {
    pub(crate) fn new(options: TargetOptions) -> Self {
        Self {
            name: options.name,
            target: options.target,
            pace: Pace::new(options.pace),
            timeout: options.timeout,
            late: TimeDelta::from_std(options.late).unwrap_or(TimeDelta::MAX),
            expiries: options.expiries,
            wake: Notify::new(),
            last_was_slow: AtomicBool::new(false),
            state: Mutex::default(),
            probing: tokio::sync::Mutex::default(),
            administrators: Mutex::default(),
        }
    }

    fn copy(&self) -> std::sync::MutexGuard<'_, Copy> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether no drive may make a call, as far as this process knows. The end of its time does not end a pause: the
    /// answer to a trial does.
    pub(crate) fn is_paused(&self) -> bool {
        self.copy().state.is_paused()
    }

    /// Whether a paused target has been left alone for long enough.
    fn may_be_tried(&self) -> bool {
        let copy = self.copy();
        let (Some(read), Some(until)) = (copy.read, copy.state.paused_until) else { return false };
        let elapsed = TimeDelta::from_std(read.elapsed()).unwrap_or(TimeDelta::MAX);
        copy.state.is_paused() && until <= copy.state.now + elapsed
    }

    /// What all replicas know of the target's rate limit, as this process last read it.
    pub(crate) fn rate_on_record(&self) -> Option<f64> {
        self.copy().state.calls_per_second
    }

    /// What nothing may touch at this target; `None` before the first probe.
    pub(crate) fn protected(&self) -> Option<Protected> {
        let copy = self.copy();
        let probe = copy.state.probe.as_ref()?;
        Some(Protected { administrators: self.administrators(), ..protected_by(probe) })
    }

    /// Who administers the target besides ourselves and can log in, where somebody asked lately.
    pub(crate) fn administrators(&self) -> Option<BTreeSet<AccountId>> {
        let known = self.administrators.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(read, _)| read.elapsed() < ADMINISTRATORS).map(|(_, who)| who.clone())
    }

    /// Asks who administers the target. One that does not answer is paused. False where this process ends.
    pub(crate) async fn know_administrators(self: &Arc<Self>, inner: &Inner) -> Result<bool, StoreError> {
        let gate = OpenGate { runtime: Arc::clone(self), metrics: inner.metrics.clone() };
        let calls = Calls::new(Uuid::now_v7(), &gate);
        let found = async {
            let groups = self.target.administrative_groups(&calls).await?;
            let mut who = administrators(self.target.as_ref(), &calls, &groups).await?;
            let own = self.copy().state.probe.as_ref().and_then(|probe| probe.own_account.clone());
            who.retain(|id| own.as_ref().is_none_or(|own| own.id != *id));
            match who.len() {
                0..=FEW => self.who_can_log_in(&calls, who).await,
                len if len > MANY => Ok(BTreeSet::new()),
                _ => Ok(who),
            }
        };
        match found.await {
            Ok(who) => {
                *self.administrators.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), who));
                Ok(true)
            }
            Err(TargetError::Stopped { .. }) => Ok(false),
            Err(error) => self.pause_because(inner, &error).await.map(|()| true),
        }
    }

    /// Lists of members name those who are switched off, too.
    async fn who_can_log_in(
        &self,
        calls: &Calls<'_>,
        who: BTreeSet<AccountId>,
    ) -> Result<BTreeSet<AccountId>, TargetError> {
        let mut active = BTreeSet::new();
        for id in who {
            if self.target.get_account(calls, &id).await?.is_some_and(|account| account.active) {
                active.insert(id);
            }
        }
        Ok(active)
    }

    /// Reads the shared state anew.
    pub(crate) async fn refresh(&self, inner: &Inner) -> Result<TargetState, StoreError> {
        let mut conn = inner.store.pool().acquire().await.map_err(StoreError::from)?;
        let state = target::state(&mut conn, &self.name).await?;
        self.pace.tell(state.calls_per_second);
        *self.copy() = Copy { state: state.clone(), read: Some(Instant::now()) };
        Ok(state)
    }

    /// Pauses the target for all replicas.
    pub(crate) async fn pause(
        &self,
        inner: &Inner,
        kind: PauseKind,
        wait: Duration,
        reason: &str,
    ) -> Result<(), StoreError> {
        let mut conn = inner.store.pool().acquire().await.map_err(StoreError::from)?;
        target::pause(&mut conn, &self.name, kind, reason, wait.as_secs_f64()).await?;
        drop(conn);
        self.tell_of_pause(inner, kind, wait, reason);
        self.refresh(inner).await.map(drop)
    }

    fn tell_of_pause(&self, inner: &Inner, kind: PauseKind, wait: Duration, reason: &str) {
        inner.metrics.target_paused(&self.name, kind.as_str());
        inner.metrics.target_up(&self.name, false);
        tracing::warn!(
            target.name = self.name,
            kind = kind.as_str(),
            wait_ms = wait.as_millis() as u64,
            "{} is paused: {reason}",
            self.name
        );
    }

    /// Asks the target who we are and which groups are administrative, unless that is known and fresh. A paused target is
    /// left alone.
    ///
    /// True when it is known now. A target that does not answer is paused.
    pub(crate) async fn probe(self: &Arc<Self>, inner: &Inner, max_age: Duration) -> Result<bool, StoreError> {
        let _one_at_a_time = self.probing.lock().await;
        let state = self.refresh(inner).await?;
        let max_age = TimeDelta::from_std(max_age).unwrap_or(TimeDelta::MAX);
        if state.is_paused() || state.probed_at.is_some_and(|at| state.now - at < max_age) {
            return Ok(state.probe.is_some());
        }
        match self.ask(inner).await {
            Ok(found) => self.keep(inner, &found).await.map(|()| true),
            Err(error) => {
                let (kind, wait) = self.pause_for(&error, inner);
                self.pause(inner, kind, wait, &error.to_string()).await?;
                Ok(false)
            }
        }
    }

    /// Finds out whether a target whose pause has run its time is back; of all replicas only one asks.
    pub(crate) async fn trial(self: &Arc<Self>, inner: &Inner) -> Result<(), StoreError> {
        let _one_at_a_time = self.probing.lock().await;
        if !self.may_be_tried() {
            return Ok(());
        }
        let mut conn = inner.store.pool().acquire().await.map_err(StoreError::from)?;
        let mine = target::begin_trial(&mut conn, &self.name, self.timeout.as_secs_f64() * 2.0).await?;
        drop(conn);
        self.refresh(inner).await?;
        if !mine {
            return Ok(());
        }
        match self.ask(inner).await {
            Ok(found) => self.keep(inner, &found).await,
            Err(error) => {
                let (kind, wait) = self.pause_for(&error, inner);
                let mut conn = inner.store.pool().acquire().await.map_err(StoreError::from)?;
                target::fail_trial(&mut conn, &self.name, kind, &error.to_string(), wait.as_secs_f64()).await?;
                drop(conn);
                self.tell_of_pause(inner, kind, wait, &error.to_string());
                self.refresh(inner).await.map(drop)
            }
        }
    }

    async fn keep(&self, inner: &Inner, found: &ProbeRecord) -> Result<(), StoreError> {
        let mut conn = inner.store.pool().acquire().await.map_err(StoreError::from)?;
        target::save_probe(&mut conn, &self.name, found).await?;
        drop(conn);
        self.last_was_slow.store(false, Ordering::Relaxed);
        inner.metrics.target_up(&self.name, true);
        self.refresh(inner).await?;
        self.wake.notify_one();
        Ok(())
    }

    /// Pauses the target because of an error that says something of the whole of it.
    pub(crate) async fn pause_because(&self, inner: &Inner, error: &TargetError) -> Result<(), StoreError> {
        let (kind, wait) = self.pause_for(error, inner);
        self.pause(inner, kind, wait, &error.to_string()).await
    }

    /// How long a target is left alone that did not answer a probe as it should.
    fn pause_for(&self, error: &TargetError, inner: &Inner) -> (PauseKind, Duration) {
        let failure = self.failure(DateTime::UNIX_EPOCH, false);
        match judge(error, failure, inner.options.patience) {
            Some(Verdict::Pause { kind, wait }) => (kind, wait),
            _ => (PauseKind::Denied, backoff(failure.target_failures, inner.options.patience.max_backoff, 1.0)),
        }
    }

    async fn ask(self: &Arc<Self>, inner: &Inner) -> Result<ProbeRecord, TargetError> {
        let gate = OpenGate { runtime: Arc::clone(self), metrics: inner.metrics.clone() };
        let calls = Calls::new(Uuid::now_v7(), &gate);
        let probe = self.target.probe(&calls).await?;
        if !probe.administers {
            let detail = format!("{} may not administer users and groups", probe.own_account.username);
            return Err(TargetError::Denied { detail });
        }
        let administrative = self.target.administrative_groups(&calls).await?;
        Ok(ProbeRecord {
            own_account: Some(probe.own_account),
            version: probe.version,
            administrative: administrative.iter().map(|name| fold(name)).collect(),
        })
    }

    /// Whether the target answers anybody at all, asked right after a call failed.
    pub(crate) async fn answers(self: &Arc<Self>, inner: &Inner) -> bool {
        let gate = OpenGate { runtime: Arc::clone(self), metrics: inner.metrics.clone() };
        let calls = Calls::new(Uuid::now_v7(), &gate);
        self.target.probe(&calls).await.is_ok()
    }

    pub(crate) fn failure(&self, now: DateTime<Utc>, target_answers: bool) -> Failure {
        let target_failures = self.copy().state.failures;
        Failure { attempts: 0, first_failure: None, target_failures, target_answers, now, chance: rand::random() }
    }
}

/// How long it is believed who administers a target.
const ADMINISTRATORS: Duration = Duration::from_secs(600);

/// Of so many administrators it is looked who can log in; of more, enough can.
const FEW: usize = 20;

/// So many administrators are never all gone by accident: nobody counts them.
const MANY: usize = 500;

/// Everybody who is in one of the groups that grant administration.
pub(super) async fn administrators(
    target: &dyn Target,
    calls: &Calls<'_>,
    groups: &[String],
) -> Result<BTreeSet<AccountId>, TargetError> {
    let mut found = BTreeSet::new();
    for name in groups {
        let group = GroupRef { name, id: None };
        let mut after = None;
        loop {
            let page = match target.members(calls, group, after.as_deref()).await {
                // Gone meanwhile, or not to be read by us: nobody is known to be in it.
                Err(TargetError::Gone { .. } | TargetError::Refused { .. }) => break,
                page => page?,
            };
            found.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(found)
}

/// What a probe says that nothing may touch; who administers is not on record.
pub(super) fn protected_by(probe: &ProbeRecord) -> Protected {
    Protected {
        own: probe.own_account.clone(),
        administrative: probe.administrative.iter().cloned().collect(),
        administrators: None,
    }
}

/// See [`super::Writer::health`].
pub(crate) async fn health(inner: &Inner) -> Result<Vec<Health>, StoreError> {
    let mut all = Vec::with_capacity(inner.targets.len());
    for runtime in inner.targets.values() {
        let state = runtime.refresh(inner).await?;
        let standing = match (state.failures, &state.last_success) {
            (0, Some(_)) => "up",
            (0, None) => "unknown",
            _ => "paused",
        };
        all.push(Health {
            name: runtime.name.clone(),
            kind: runtime.target.kind(),
            state: standing,
            pause_kind: state.pause_kind,
            last_error: state.pause_reason,
            paused_until: state.paused_until,
            last_success: state.last_success,
            version: state.probe.map(|probe| probe.version),
            credentials: runtime.expiries.clone(),
        });
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}
