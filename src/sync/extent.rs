//! How much a run reads: everything, what changed since the last read, or one person; and what is kept so that the next one may
//! read changes. Whatever speaks against a read of changes makes it a full one, never a wrong one.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::run::{Asked, SyncError, Work};
use super::source::{Mark, SourceError};
use crate::config::{Schedule, SourceConfig};
use crate::store::source::{self, Held, Of, known};

/// How much is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// Everything.
    Whole,
    /// What changed since.
    Changes(Marks),
    /// The person of this userName, and the groups that this person is in.
    One(String),
}

impl Extent {
    /// For people and programs to read.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Whole => "full",
            Self::Changes(_) => "changes",
            Self::One(_) => "person",
        }
    }
}

/// From where the next read may ask for changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marks {
    /// The configuration that the last read was made with: with another one other entries may be meant.
    config: String,
    /// Of people.
    pub(super) people: Mark,
    /// Of groups, if they are read.
    pub(super) groups: Option<Mark>,
}

/// How much the next read that nobody asked anything particular of will read, and why it is everything.
pub(super) fn next(config: &SourceConfig, held: Option<&Held>, was_removed: bool) -> (Extent, Option<String>) {
    let whole = |why: &str| (Extent::Whole, Some(why.to_owned()));
    let Some(held) = held.filter(|held| held.applied.is_some()) else { return whole("it is the first") };
    if config.full_every <= 1 {
        return (Extent::Whole, None);
    }
    let marks = held.marks.clone().and_then(|marks| serde_json::from_value::<Marks>(marks).ok());
    let Some(marks) = marks else { return whole("the last one did not end with a mark to read changes from") };
    if marks.config != fingerprint(config) {
        return whole("the source is configured otherwise than for the last one");
    }
    if was_removed {
        return whole("people were removed from the store since the last one");
    }
    if held.runs.unsigned_abs().saturating_add(1) >= config.full_every {
        return whole("it is its turn (full_every)");
    }
    (Extent::Changes(marks), None)
}

/// What of a configuration decides which entries are read and what they become.
fn fingerprint(config: &SourceConfig) -> String {
    let same = SourceConfig {
        schedule: Schedule::ByHand,
        at_start: false,
        full_every: 1,
        fall_percent: 0,
        fall_min: 0,
        ..config.clone()
    };
    Sha256::digest(format!("{same:?}")).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Work<'_> {
    /// Decides how much is read.
    pub(super) async fn decide(&mut self, asked: &Asked) -> Result<(), SyncError> {
        let mut conn = self.conn().await?;
        let held = source::held(&mut *conn, self.stage.tenant_id).await?;
        let was_removed = source::was_removed(&mut conn, self.stage.tenant_id).await?;
        let (extent, why) = match &asked.user {
            Some(user) => (Extent::One(user.clone()), None),
            None if asked.full => (Extent::Whole, Some("it was asked for".to_owned())),
            None if self.attempt() > 1 || source::last_failed(&mut conn, self.stage.tenant_id).await? => {
                (Extent::Whole, Some("the last read failed".to_owned()))
            }
            None => next(&self.configured.config, held.as_ref(), was_removed),
        };
        self.reads(extent, why);
        Ok(())
    }

    fn reads(&mut self, extent: Extent, why: Option<String>) {
        self.counters =
            super::Counters { extent: extent.as_str().to_owned(), because: why, ..super::Counters::default() };
        self.extent = extent;
        self.members = 0;
    }

    /// Reads and stages what is to be read. A read of changes that is not enough is followed by one of everything.
    pub(super) async fn take_in(&mut self) -> Result<(), SyncError> {
        loop {
            self.keep("reading people").await?;
            self.clear().await?;
            let lacks = match self.read().await {
                Ok(()) => self.lacks().await?,
                Err(SyncError::Source(SourceError::Stale(why))) => Some(why),
                Err(error) => return Err(error),
            };
            match lacks {
                None => return Ok(()),
                Some(why) if matches!(self.extent, Extent::Changes(_)) => {
                    tracing::info!("source {}: everything is read: {why}", self.configured.config.name);
                    self.reads(Extent::Whole, Some(why));
                }
                Some(why) => return Err(SourceError::Stale(why).into()),
            }
        }
    }

    /// Why what changed cannot be understood without the rest.
    async fn lacks(&self) -> Result<Option<String>, SyncError> {
        if !matches!(self.extent, Extent::Changes(_)) {
            return Ok(None);
        }
        let mut conn = self.conn().await?;
        if let Some(place) = known::stranger(&mut conn, self.stage).await? {
            return Ok(Some(format!("a group names {place}, of whom nothing was read yet")));
        }
        if let Some(place) = known::newcomer(&mut conn, self.stage).await? {
            return Ok(Some(format!("{place} is new, and groups named it before")));
        }
        if self.is_scoped()
            && let Some(place) = known::scope_changed(&mut conn, self.stage).await?
        {
            return Ok(Some(format!("the members of {place} changed, which decides who comes")));
        }
        Ok(None)
    }

    pub(super) fn is_scoped(&self) -> bool {
        !self.configured.config.scope_groups.is_empty()
    }

    /// Whether groups are read at all.
    pub(super) fn reads_groups(&self) -> bool {
        self.configured.config.groups || self.is_scoped()
    }

    /// Keeps what the next read needs to read changes only.
    pub(super) async fn remember(&mut self) -> Result<(), SyncError> {
        let whole = self.extent == Extent::Whole;
        if !whole && !matches!(self.extent, Extent::Changes(_)) {
            return Ok(());
        }
        let marks = self.marks().and_then(|marks| serde_json::to_value(marks).ok());
        let tenant_id = self.stage.tenant_id;
        let mut conn = self.conn().await?;
        // What is remembered is half old and half new from here on, until there are marks again.
        source::unmark(&mut conn, tenant_id).await?;
        drop(conn);
        // One person of a source with a scope is looked up in it, even where nothing else is.
        if self.reads_groups() && (marks.is_some() || self.is_scoped()) {
            self.remember_names(whole).await?;
        }
        let mut conn = self.conn().await?;
        match whole {
            true => source::applied(&mut conn, tenant_id, marks.as_ref()).await?,
            false => source::changes_applied(&mut conn, tenant_id, marks.as_ref()).await?,
        }
        Ok(())
    }

    fn marks(&self) -> Option<Marks> {
        let config = &self.configured.config;
        let people = self.people_mark.clone().filter(|_| config.full_every > 1)?;
        let groups = match self.reads_groups() {
            true => Some(self.groups_mark.clone()?),
            false => None,
        };
        Some(Marks { config: fingerprint(config), people, groups })
    }

    async fn remember_names(&mut self, whole: bool) -> Result<(), SyncError> {
        if !whole {
            let mut conn = self.conn().await?;
            known::forget_displaced(&mut conn, self.stage).await?;
        }
        let scope = if whole { Some(self.scope.clone().unwrap_or_default()) } else { None };
        for of in [Of::Users, Of::Groups] {
            let mut after = String::new();
            loop {
                let mut conn = self.conn().await?;
                let last = known::remember(&mut conn, self.stage, of, &after, scope.as_deref()).await?;
                drop(conn);
                let Some(last) = last else { break };
                after = last;
                self.keep("remembering").await?;
            }
        }
        if whole { self.forget_the_rest().await } else { Ok(()) }
    }

    async fn forget_the_rest(&mut self) -> Result<(), SyncError> {
        let mut after = String::new();
        loop {
            let mut conn = self.conn().await?;
            let last = known::remember_others(&mut conn, self.stage, &after).await?;
            drop(conn);
            let Some(last) = last else { break };
            after = last;
            self.keep("remembering").await?;
        }
        let mut after = (String::new(), String::new());
        loop {
            let mut conn = self.conn().await?;
            let last = known::forget_unseen(&mut conn, self.stage, (&after.0, &after.1)).await?;
            drop(conn);
            let Some(last) = last else { return Ok(()) };
            after = last;
            self.keep("remembering").await?;
        }
    }
}
