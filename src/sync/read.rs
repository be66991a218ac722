//! The first half of a run: everything is read and staged, then held against the store. Changes nobody.

use std::collections::HashSet;

use serde_json::Value;
use uuid::Uuid;

use super::counters::Line;
use super::extent::Extent;
use super::plan::{Verdict, judge_group, judge_person};
use super::run::{SyncError, Work};
use super::source::{Entry, Mark, Piece, Reading, SourceError, Step, Wanted, WantedGroups};
use crate::account::fold;
use crate::store::source::compare::{self, Found, Judged, Page, Scope};
use crate::store::source::{self, Of, known, members, staging};

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
        self.read_movers().await?;
        self.check_staged().await?;
        if matches!(self.extent, Extent::Changes(_)) {
            self.measure().await?;
            self.stage_known().await?;
        }
        self.resolve_names().await?;
        self.measure().await
    }

    async fn measure(&self) -> Result<(), SyncError> {
        let mut conn = self.conn().await?;
        Ok(staging::measure(&mut conn).await?)
    }

    /// A read is no snapshot: who moved while groups were read is named by them with a place that nobody had before.
    async fn read_movers(&mut self) -> Result<(), SyncError> {
        if self.extent != Extent::Whole || !self.reads_groups() {
            return Ok(());
        }
        let Some(mark) = self.people_mark.clone() else { return Ok(()) };
        let mut reading = match self.configured.source.people(&Wanted::Changed(mark)).await {
            // Another server answers: then this is a read as good as others.
            Err(SourceError::Stale(_)) => return Ok(()),
            reading => reading?,
        };
        while let Step::Page(pieces) = reading.next().await? {
            let mut entries = Vec::new();
            for piece in pieces {
                // What is wrong with single ones was told before, or is the next time.
                if let Piece::Entry(Entry { key, place, also, body: Ok(body), .. }) = piece {
                    entries.push(staged(Of::Users, key, place, also, Some(body)));
                }
            }
            let mut conn = self.conn().await?;
            self.counters.people.read += staging::restage(&mut conn, self.stage, &entries).await?;
            drop(conn);
            self.keep("reading people").await?;
        }
        Ok(())
    }

    /// Rows that are not logged are lost when the database server dies; what is left of them is no directory.
    async fn check_staged(&self) -> Result<(), SyncError> {
        let mut conn = self.conn().await?;
        let there = staging::staged(&mut conn, self.stage).await?;
        if there == (self.counters.people.read, self.counters.groups.read, self.members) {
            return Ok(());
        }
        Err(SourceError::Partial { why: "the database lost what was read".to_owned() }.into())
    }

    async fn stage_known(&self) -> Result<(), SyncError> {
        let mut after = (String::new(), String::new());
        loop {
            let mut conn = self.conn().await?;
            let last = known::stage(&mut conn, self.stage, (&after.0, &after.1)).await?;
            drop(conn);
            let Some(last) = last else { return Ok(()) };
            after = last;
            self.breathe("reading groups").await?;
        }
    }

    async fn resolve_names(&self) -> Result<(), SyncError> {
        let mut after = (String::new(), String::new());
        loop {
            let mut conn = self.conn().await?;
            let last = staging::resolve_names(&mut conn, self.stage, (&after.0, &after.1)).await?;
            drop(conn);
            let Some(last) = last else { return Ok(()) };
            after = last;
            self.breathe("reading groups").await?;
        }
    }

    async fn groups_of_those(&self) -> Result<Vec<WantedGroups>, SyncError> {
        let mut conn = self.conn().await?;
        let places = staging::places(&mut conn, self.stage).await?;
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
        let (mut entries, mut members, mut shown) = (Vec::new(), Vec::new(), Vec::new());
        for piece in pieces {
            match piece {
                Piece::Entry(entry) => {
                    shown.push(entry.shown.clone());
                    entries.push(self.entry(of, entry));
                }
                Piece::Members { group, members: some } => members.push((group, some)),
                Piece::MembersBy { group, also } => members.push((group, vec![also])),
                Piece::Nameless { shown, why } => {
                    match of {
                        Of::Users => self.counters.nameless += 1,
                        Of::Groups => self.counters.nameless_groups += 1,
                    }
                    self.counters.say(format!("{shown}: {why}"));
                }
            }
        }
        let mut conn = self.conn().await?;
        let mut new: HashSet<String> = staging::stage(&mut conn, self.stage, of, &entries).await?.into_iter().collect();
        self.counters.of(of).read += new.len() as u64;
        let mut twice = HashSet::new();
        for (entry, shown) in entries.iter().zip(shown) {
            // The first of a page that has this key is the one that was staged.
            if new.remove(&entry.key) {
                continue;
            }
            let place = staging::place_of(&mut conn, self.stage, of, &entry.key).await?;
            if place.is_some_and(|place| place != entry.place) {
                self.counters.say(format!("{shown}: another entry has the same id; it is left out"));
                twice.insert(entry.key.clone());
            }
        }
        for (group, members) in members {
            // Whose members they are nobody knows.
            if twice.contains(&group) {
                continue;
            }
            for some in members.chunks(MEMBERS) {
                self.members += staging::stage_members(&mut conn, self.stage, &group, some).await?;
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
        staged(of, key, place, also, body)
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
        let unsure = self.counters.nameless + self.counters.nameless_groups > 0;
        // Somebody who is in no group at all may as well be somebody whose groups cannot be read any more.
        if !matches!(self.extent, Extent::One(_)) || unsure || self.counters.groups.read == 0 {
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
        let missing = staging::groups_missing(&mut conn, self.stage, &places).await?;
        if !missing.is_empty() {
            let what = "is in scope_groups and was not read: it is not there, or group_filter leaves it out";
            return Err(SyncError::Refused(format!("{} {what}", missing.join("; "))));
        }
        Ok(Some(staging::groups_within(&mut conn, self.stage, &places).await?))
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
}

fn staged(of: Of, key: String, place: String, also: Option<String>, body: Option<Value>) -> source::Entry {
    let attribute = if of == Of::Users { "userName" } else { "displayName" };
    let name = body.as_ref().and_then(|body| body.get(attribute)?.as_str()).unwrap_or_default();
    source::Entry { key, place, also, name_key: fold(name.trim()), body }
}

fn name_of(of: Of, found: &Found) -> String {
    let attribute = if of == Of::Users { "userName" } else { "displayName" };
    let said = found.body.as_ref().and_then(|body| body.get(attribute)?.as_str());
    let stored = || found.stored.as_ref().and_then(|stored| stored.attrs.get(attribute)?.as_str());
    said.or_else(stored).unwrap_or(&found.place).to_owned()
}
