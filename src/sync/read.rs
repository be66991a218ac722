//! The first half of a run: everything is read and staged, then held against the store. Changes nobody.

use uuid::Uuid;

use super::counters::Line;
use super::extent::Extent;
use super::plan::{Limit, Verdict, judge_group, judge_person};
use super::run::{SyncError, Work};
use super::source::{Entry, Mark, Piece, Reading, Step, Wanted, WantedGroups};
use crate::account::fold;
use crate::config::{Vanished, VanishedGroups};
use crate::store::source::compare::{self, Found, Judged, Page, Scope};
use crate::store::source::{self, Of, known, members};

/// Entries that go into one statement at most.
pub(super) const PAGE: i64 = 500;
/// Members that go into one statement at most.
const MEMBERS: usize = 5000;

impl Work<'_> {
    /// Reads what is to be read to its end.
    pub(super) async fn read(&mut self) -> Result<(), SyncError> {
        let source = self.configured.source.clone();
        let (people, groups) = match &self.extent {
            Extent::Whole => (Wanted::All, Some(WantedGroups::All)),
            Extent::Changes(marks) => {
                (Wanted::Changed(marks.people.clone()), marks.groups.clone().map(WantedGroups::Changed))
            }
            Extent::One(name) => (Wanted::Person(name.clone()), None),
        };
        self.people_mark = self.staged(Of::Users, source.people(&people).await?).await?;
        if self.reads_groups() {
            let wanted = match groups {
                Some(groups) => vec![groups],
                None => self.groups_of_those().await?,
            };
            for wanted in &wanted {
                self.groups_mark = self.staged(Of::Groups, source.groups(wanted).await?).await?;
            }
        }
        let mut conn = self.conn().await?;
        if matches!(self.extent, Extent::Changes(_)) {
            source::measure(&mut conn).await?;
            known::stage(&mut conn, self.stage).await?;
        }
        source::resolve_names(&mut conn, self.stage).await?;
        source::measure(&mut conn).await?;
        Ok(())
    }

    async fn groups_of_those(&self) -> Result<Vec<WantedGroups>, SyncError> {
        let mut conn = self.conn().await?;
        let places = source::places(&mut conn, self.stage).await?;
        Ok(places.into_iter().map(|(place, also)| WantedGroups::Of { place, also }).collect())
    }

    /// Stages one read to its end; answers from where changes may be asked for after it.
    async fn staged(&mut self, of: Of, mut reading: Box<dyn Reading>) -> Result<Option<Mark>, SyncError> {
        let stage = if of == Of::Users { "reading people" } else { "reading groups" };
        loop {
            match reading.next().await? {
                Step::Complete => return Ok(reading.mark()),
                Step::Page(pieces) => self.page(of, pieces).await?,
            }
            self.keep(stage).await?;
        }
    }

    async fn page(&mut self, of: Of, pieces: Vec<Piece>) -> Result<(), SyncError> {
        let (mut entries, mut members) = (Vec::new(), Vec::new());
        for piece in pieces {
            match piece {
                Piece::Entry(entry) => entries.push(self.entry(of, entry)),
                Piece::Members { group, members: some } => members.push((group, some)),
                Piece::MembersBy { group, also } => members.push((group, vec![also])),
                Piece::Nameless { shown, why } => {
                    self.counters.nameless += 1;
                    self.counters.say(format!("{shown}: {why}"));
                }
            }
        }
        let mut conn = self.conn().await?;
        let new = source::stage(&mut conn, self.stage, of, &entries).await?;
        self.counters.of(of).read += new.len() as u64;
        for (group, members) in members {
            for some in members.chunks(MEMBERS) {
                source::stage_members(&mut conn, self.stage, &group, some).await?;
                self.breathe("reading groups").await?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, of: Of, entry: Entry) -> source::Entry {
        let Entry { key, place, also, shown, body } = entry;
        let body = match body {
            Ok(body) => Some(body),
            Err(why) => {
                self.counters.say(format!("{shown}: {why}"));
                None
            }
        };
        let attribute = if of == Of::Users { "userName" } else { "displayName" };
        let name = body.as_ref().and_then(|body| body.get(attribute)?.as_str()).unwrap_or_default();
        source::Entry { key, place, also, name_key: fold(name.trim()), body }
    }

    /// Holds everything against the store; a line for each thing that is to be done.
    pub(super) async fn judge(&mut self) -> Result<(), SyncError> {
        self.scope = self.groups_in_scope().await?;
        let keys = self.scope.clone();
        let scope = match (&keys, &self.extent) {
            (Some(keys), _) => Scope::In(keys),
            (None, Extent::Changes(_)) if self.is_scoped() => Scope::Known,
            (None, _) => Scope::Everybody,
        };
        let mut after = String::new();
        // Until a complete read was applied, and where people are not written, a name is all there is to go by.
        let all_names = self.first || !self.configured.config.users;
        loop {
            let mut conn = self.conn().await?;
            let page = Page { after: &after, limit: PAGE };
            let found = compare::users(&mut conn, self.stage, page, all_names, scope).await?;
            let Some(last) = found.last() else { break };
            after = last.key.clone();
            self.judged(&mut conn, Of::Users, found).await?;
            self.keep("comparing people").await?;
        }
        if self.configured.config.groups {
            self.judge_groups().await?;
        }
        Ok(())
    }

    async fn judge_groups(&mut self) -> Result<(), SyncError> {
        let mut after = String::new();
        loop {
            let mut conn = self.conn().await?;
            let page = Page { after: &after, limit: PAGE };
            let found = compare::groups(&mut conn, self.stage, page, self.first).await?;
            let Some(last) = found.last() else { break };
            after = last.key.clone();
            self.judged(&mut conn, Of::Groups, found).await?;
            self.keep("comparing groups").await?;
        }
        after.clear();
        loop {
            let mut conn = self.conn().await?;
            let page = members::standing(&mut conn, self.stage, Page { after: &after, limit: PAGE }).await?;
            let Some(last) = page.last() else { break };
            after = last.key.clone();
            for group in page {
                let (joins, leaves) = members::difference(&mut conn, self.stage, &group.key, group.id).await?;
                let leaves = if self.takes_members_away() { leaves } else { 0 };
                self.counters.joins += joins;
                self.counters.leaves += leaves;
                if joins + leaves > 0 {
                    self.tell(Line::members(&group.name, joins, leaves));
                }
                self.breathe("comparing members").await?;
            }
            self.keep("comparing members").await?;
        }
        for (_, _, name) in self.left_behind().await? {
            self.counters.leaves += 1;
            self.tell(Line::members(&name, 0, 1));
        }
        Ok(())
    }

    /// The groups that the one person who was read is in, and that do not say so any more: group, person, name.
    pub(super) async fn left_behind(&self) -> Result<Vec<(Uuid, Uuid, String)>, SyncError> {
        if !matches!(self.extent, Extent::One(_)) || self.counters.nameless > 0 {
            return Ok(Vec::new());
        }
        let mut conn = self.conn().await?;
        Ok(members::left_behind(&mut conn, self.stage).await?)
    }

    async fn judged(&mut self, conn: &mut sqlx::PgConnection, of: Of, found: Vec<Found>) -> Result<(), SyncError> {
        let mut judged = Vec::with_capacity(found.len());
        for found in found {
            let verdict = self.verdict(of, &found);
            let subject = found.stored.as_ref().map(|stored| stored.id);
            self.count(of, &found, &verdict);
            judged.push(Judged { key: found.key, subject, verdict: verdict.as_str() });
        }
        compare::judged(conn, self.stage, of, &judged).await?;
        Ok(())
    }

    fn verdict(&self, of: Of, found: &Found) -> Verdict {
        // What is wrong with it was told when it was read.
        let Some(body) = &found.body else { return Verdict::Skip(String::new()) };
        let stored = found.stored.as_ref().map(|stored| &stored.attrs);
        match of {
            Of::Users if !self.configured.config.users => match stored {
                Some(_) => Verdict::Same,
                None => Verdict::Skip(String::new()),
            },
            Of::Users => judge_person(self.caller.types.user, body, stored),
            Of::Groups => judge_group(self.caller.types.group, body, stored),
        }
    }

    fn count(&mut self, of: Of, found: &Found, verdict: &Verdict) {
        let name = name_of(of, found);
        let tally = self.counters.of(of);
        match verdict {
            Verdict::Same => tally.same += 1,
            Verdict::Create => tally.create += 1,
            Verdict::Change { switches_off, .. } => {
                tally.change += 1;
                self.losses += u64::from(*switches_off);
            }
            Verdict::Skip(_) => tally.skip += 1,
        }
        match verdict {
            Verdict::Same => {}
            Verdict::Create => self.tell(Line::new(of, "create", &name, String::new())),
            Verdict::Change { fields, .. } => self.tell(Line::new(of, "change", &name, fields.join(", "))),
            Verdict::Skip(why) if why.is_empty() => {}
            Verdict::Skip(why) => self.counters.say(format!("{} {name}: {why}", of.as_str())),
        }
    }

    /// The groups whose members alone come, where they were all read.
    async fn groups_in_scope(&self) -> Result<Option<Vec<String>>, SyncError> {
        let config = &self.configured.config;
        match &self.extent {
            _ if !self.is_scoped() => return Ok(None),
            Extent::Changes(_) => return Ok(None),
            Extent::One(name) => return self.check_in_scope(name).await.map(|()| None),
            Extent::Whole => {}
        }
        let place = |written: &String| self.configured.source.place(written).map_err(SyncError::Refused);
        let places = config.scope_groups.iter().map(place).collect::<Result<Vec<String>, _>>()?;
        let mut conn = self.conn().await?;
        let missing = source::groups_missing(&mut conn, self.stage, &places).await?;
        if !missing.is_empty() {
            let what = "is in scope_groups and was not read: it is not there, or group_filter leaves it out";
            return Err(SyncError::Refused(format!("{} {what}", missing.join("; "))));
        }
        Ok(Some(source::groups_within(&mut conn, self.stage, &places).await?))
    }

    /// One person comes who is in a group that decided it at the last complete read.
    async fn check_in_scope(&self, name: &str) -> Result<(), SyncError> {
        let mut conn = self.conn().await?;
        let why = match known::scope(&mut conn, self.stage).await? {
            (false, _) => {
                "everything has to be read once before one person of a source with scope_groups can be".to_owned()
            }
            (true, false) => format!("{name} is not in scope_groups"),
            (true, true) => return Ok(()),
        };
        Err(SyncError::Refused(why))
    }

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
        let limit = Limit { percent: config.fall_percent, min: config.fall_min };
        let gone = if self.takes_people_away() { self.gone_users().await? } else { 0 };
        self.counters.people.vanish = gone;
        refuse("people would be switched off or deleted", gone + self.losses, people, limit)?;
        let gone = if self.takes_groups_away() { self.gone_groups().await? } else { 0 };
        self.counters.groups.vanish = gone;
        refuse("groups would be deleted", gone, groups, limit)?;
        // One person is in many groups; whoever may not read members any more sees none.
        let limit = Limit { min: config.fall_min.saturating_mul(10), ..limit };
        if self.counters.leaves > u64::from(limit.min) {
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
            && self.counters.nameless == 0
    }

    /// The same of those whom a group that was read does not name: not where it was not read with all its members.
    pub(super) fn takes_members_away(&self) -> bool {
        !matches!(self.extent, Extent::One(_)) && self.counters.nameless == 0
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

fn name_of(of: Of, found: &Found) -> String {
    let attribute = if of == Of::Users { "userName" } else { "displayName" };
    let said = found.body.as_ref().and_then(|body| body.get(attribute)?.as_str());
    let stored = || found.stored.as_ref().and_then(|stored| stored.attrs.get(attribute)?.as_str());
    said.or_else(stored).unwrap_or(&found.place).to_owned()
}

fn refuse(what: &str, losses: u64, present: u64, limit: Limit) -> Result<(), SyncError> {
    let most = limit.of(present);
    if losses <= most {
        return Ok(());
    }
    Err(SyncError::Refused(format!(
        "{losses} of {present} {what}, and {most} may be at once (fall_percent, fall_min); nothing was changed."
    )))
}
