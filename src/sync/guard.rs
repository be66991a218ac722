//! What a read may take away: who would go is counted before the first change, and too many are nobody.

use uuid::Uuid;

use super::counters::Line;
use super::extent::Extent;
use super::plan::Limit;
use super::read::PAGE;
use super::run::{SyncError, Work};
use crate::config::{Vanished, VanishedGroups};
use crate::store::source::compare;
use crate::store::source::{Of, members};

impl Work<'_> {
    /// Counts who would go, and stops before the first change where that is too many.
    pub(super) async fn check_fall(&mut self) -> Result<(), SyncError> {
        let config = self.configured.config.clone();
        let mut conn = self.conn().await?;
        let (people, groups) = compare::present(&mut conn, self.stage.tenant_id).await?;
        drop(conn);
        if self.extent == Extent::Whole && self.counters.people.read == 0 && people > 0 {
            let what = "The source has nobody any more; nothing was changed.";
            return Err(SyncError::Refused(what.to_owned()));
        }
        if self.extent == Extent::Whole
            && config.groups
            && groups > 0
            && self.counters.groups.read + self.counters.nameless_groups == 0
        {
            let what = "The source has no group any more; nothing was changed.";
            return Err(SyncError::Refused(what.to_owned()));
        }
        let limit = Limit { percent: config.fall_percent, min: config.fall_min };
        let gone = if self.takes_people_away() { self.gone_users().await? } else { 0 };
        self.counters.people.vanish = gone;
        refuse("people would be switched off or deleted", gone + self.losses, people, limit)?;
        let gone = if self.takes_groups_away() { self.gone_groups().await? } else { 0 };
        self.counters.groups.vanish = gone;
        refuse("groups would be deleted", gone, groups, limit)?;
        // One person is in many groups; whoever may not read members any more sees none.
        let limit = Limit { min: config.fall_min.saturating_mul(10), ..limit };
        if self.counters.leaves > 1 {
            let mut conn = self.conn().await?;
            let memberships = members::memberships(&mut conn, self.stage.tenant_id).await?;
            refuse("memberships would be taken away", self.counters.leaves, memberships, limit)?;
        }
        Ok(())
    }

    /// Whether people who are not in the source are taken away: not where somebody in it cannot be told from others.
    pub(super) fn takes_people_away(&self) -> bool {
        let config = &self.configured.config;
        self.extent == Extent::Whole && config.users && config.vanished != Vanished::Keep && self.counters.nameless == 0
    }

    /// The same of groups.
    pub(super) fn takes_groups_away(&self) -> bool {
        let config = &self.configured.config;
        self.extent == Extent::Whole
            && config.groups
            && config.vanished_groups == VanishedGroups::Delete
            && self.counters.nameless_groups == 0
    }

    /// The same of those whom a group that was read does not name: not where it was not read with all its members.
    pub(super) fn takes_members_away(&self) -> bool {
        !matches!(self.extent, Extent::One(_)) && self.counters.nameless + self.counters.nameless_groups == 0
    }

    async fn gone_users(&mut self) -> Result<u64, SyncError> {
        let (mut after, mut gone) = (Uuid::nil(), 0);
        let deletes = self.configured.config.vanished == Vanished::Delete;
        let what = if deletes { "delete" } else { "deactivate" };
        loop {
            let mut conn = self.conn().await?;
            let page = compare::gone_users(&mut conn, self.stage, after, !deletes, PAGE).await?;
            let Some(last) = page.last() else { return Ok(gone) };
            after = last.id;
            gone += page.len() as u64;
            for person in page {
                self.tell(Line::new(Of::Users, what, &person.name, "not in the source any more".to_owned()));
            }
        }
    }

    async fn gone_groups(&mut self) -> Result<u64, SyncError> {
        let (mut after, mut gone) = (Uuid::nil(), 0);
        loop {
            let mut conn = self.conn().await?;
            let page = compare::gone_groups(&mut conn, self.stage, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(gone) };
            after = last.id;
            gone += page.len() as u64;
            for group in page {
                self.tell(Line::new(Of::Groups, "delete", &group.name, "not in the source any more".to_owned()));
            }
        }
    }
}

fn refuse(what: &str, losses: u64, present: u64, limit: Limit) -> Result<(), SyncError> {
    // However few there are: that all of them go at once is the look of a directory that cannot be read any more.
    let all = losses > 1 && losses >= present && limit.percent < 100;
    let most = if all { limit.of(present).min(present.saturating_sub(1)) } else { limit.of(present) };
    if losses <= most {
        return Ok(());
    }
    Err(SyncError::Refused(format!(
        "{losses} of {present} {what}, and {most} may be at once (fall_percent, fall_min); nothing was changed."
    )))
}
