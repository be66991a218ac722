//! A list, page by page: by index, where each page begins with the last entry of the one before so that a list that moved
//! underneath is noticed, or by cursor. Complete is a list of which as much came as was announced.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::client::Heard;
use super::document::{self, Raw, RawGroup, person_id};
use super::{Able, Server};
use crate::account::fold;
use crate::config::{ScimMembers, ScimVersion};
use crate::sync::source::{Mark, Piece, Reading, SourceError, Step, Wanted, WantedGroups};

/// The most entries of one list.
const MOST: u64 = 20_000_000;
/// So often in a row a server may say that it is busy.
const PATIENCE: u32 = 10;
/// So many pages in a row may be empty where the next one is asked for by cursor.
const EMPTY: u32 = 100;
/// Changes are asked for from so long before the last one that was seen: servers stamp them before they are seen.
const MARGIN: TimeDelta = TimeDelta::minutes(2);
/// A clock may be wrong by less than this.
const TOMORROW: TimeDelta = TimeDelta::days(1);

/// What is looked for.
pub(super) struct Search {
    groups: bool,
    /// Changes since then.
    since: Option<Mark>,
    /// This person, by folded userName.
    person: Option<String>,
    /// Groups in which the person at this place is, and what else this one is named by.
    member: Option<(String, Option<String>)>,
}

impl Search {
    pub(super) fn people(wanted: &Wanted) -> Self {
        let (since, person) = match wanted {
            Wanted::All => (None, None),
            Wanted::Changed(mark) => (Some(mark.clone()), None),
            Wanted::Person(name) => (None, Some(name.trim().to_owned())),
        };
        Self { groups: false, since, person, member: None }
    }

    pub(super) fn groups(wanted: &WantedGroups) -> Self {
        let (since, member) = match wanted {
            WantedGroups::All => (None, None),
            WantedGroups::Changed(mark) => (Some(mark.clone()), None),
            WantedGroups::Of { place, also } => (None, Some((place.clone(), also.clone()))),
        };
        Self { groups: true, since, person: None, member }
    }
}

/// Where the next page begins.
enum Place {
    /// From this one on, of that many; the last that came.
    Index {
        from: u64,
        total: Option<u64>,
        last: Option<String>,
    },
    /// Behind this, and the smallest number of entries that was announced.
    Cursor {
        cursor: String,
        least: Option<u64>,
    },
    End,
}

/// A list under way.
pub(super) struct Listing {
    server: Arc<Server>,
    able: Able,
    search: Search,
    filter: Option<String>,
    /// Members are asked for group by group.
    each: bool,
    place: Place,
    /// How many came.
    read: u64,
    /// Groups of which the members are to be asked for.
    alone: VecDeque<String>,
    /// When the last change was of all that came; `None` where one does not say.
    newest: Option<DateTime<Utc>>,
    undated: bool,
    busy: u32,
    empty: u32,
}

/// A page as it comes.
#[derive(Deserialize)]
struct Page<T> {
    #[serde(default, rename = "totalResults")]
    total: Option<u64>,
    #[serde(default, rename = "startIndex")]
    start: Option<u64>,
    #[serde(default, rename = "nextCursor")]
    next: Option<String>,
    #[serde(default = "Vec::new", rename = "Resources")]
    resources: Vec<T>,
}

impl Listing {
    pub(super) fn new(server: Arc<Server>, able: Able, search: Search) -> Result<Self, SourceError> {
        let filter = filter(&server, able, &search)?;
        let place = match able.cursor {
            true => Place::Cursor { cursor: String::new(), least: None },
            false => Place::Index { from: 1, total: None, last: None },
        };
        let each = search.groups && server.config.members == ScimMembers::Each;
        Ok(Self {
            server,
            able,
            search,
            filter,
            each,
            place,
            read: 0,
            alone: VecDeque::new(),
            newest: None,
            undated: false,
            busy: 0,
            empty: 0,
        })
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let most = u64::from(self.server.config.page_size);
        let count = self.able.most.map_or(most, |able| most.min(able));
        let mut query = vec![("count", count.to_string())];
        match &self.place {
            Place::Index { from, last, .. } => {
                query.push(("startIndex", (if last.is_some() { from - 1 } else { *from }).to_string()));
            }
            Place::Cursor { cursor, .. } => query.push(("cursor", cursor.clone())),
            Place::End => {}
        }
        if let Some(filter) = &self.filter {
            query.push(("filter", filter.clone()));
        }
        match (self.search.groups, self.each, self.able.version) {
            (true, false, _) => {}
            // SCIM 1.1 knows only what is to be there.
            (true, true, ScimVersion::V1) => query.push(("attributes", "externalId,displayName,meta".to_owned())),
            (true, true, ScimVersion::V2) => query.push(("excludedAttributes", "members".to_owned())),
            (false, _, ScimVersion::V1) => {}
            (false, _, ScimVersion::V2) => query.push(("excludedAttributes", "groups".to_owned())),
        }
        query
    }

    /// An answer to a question; `None` where it is to be asked again.
    async fn ask(&mut self, path: &[&str], query: &[(&'static str, String)]) -> Result<Option<Vec<u8>>, SourceError> {
        match self.server.client.get(Some(self.able.version), path, query).await? {
            Heard::Body(body) => {
                self.busy = 0;
                Ok(Some(body))
            }
            Heard::Missing if path.len() > 1 => {
                Err(partial(format!("the group {} is gone, which was being read", path[1])))
            }
            Heard::Missing => Err(SourceError::Unusable(format!("{}/{} is not there", self.address(), path[0]))),
            Heard::Later(_) if self.busy >= PATIENCE => {
                Err(self.server.client.unreachable(format!("it said {PATIENCE} times that it is busy")))
            }
            Heard::Later(wait) => {
                self.busy += 1;
                // Not longer than an answer may take: the run is renewed between answers.
                tokio::time::sleep(wait.min(self.server.config.timeout)).await;
                Ok(None)
            }
        }
    }

    fn address(&self) -> &str {
        &self.server.config.url
    }

    async fn people(&mut self) -> Result<Vec<Piece>, SourceError> {
        let Some(body) = self.ask(&["Users"], &self.query()).await? else { return Ok(Vec::new()) };
        let page: Vec<Value> = self.turned(&body)?;
        let (id, mapping) = (self.server.config.id, &self.server.mapping);
        let pieces = page.into_iter().map(|raw| document::person(raw, id, mapping));
        Ok(match &self.search.person {
            Some(name) => {
                let name = fold(name);
                pieces.filter(|piece| document::is_named(piece, &name)).collect()
            }
            None => pieces.collect(),
        })
    }

    async fn groups(&mut self) -> Result<Vec<Piece>, SourceError> {
        let Some(body) = self.ask(&["Groups"], &self.query()).await? else { return Ok(Vec::new()) };
        let page: Vec<RawGroup> = self.turned(&body)?;
        if self.each {
            // Whole with its members, one after the other: of a large group there is one in memory.
            self.alone.extend(page.iter().filter_map(RawGroup::id));
            let nameless = page.into_iter().filter(|raw| raw.id().is_none());
            return Ok(nameless
                .filter_map(|raw| document::group(raw, self.server.config.id).err().map(|piece| *piece))
                .collect());
        }
        Ok(page.into_iter().flat_map(|raw| self.pieces(raw)).collect())
    }

    /// A group with its members.
    fn pieces(&self, raw: RawGroup) -> Vec<Piece> {
        let (entry, members) = match document::group(raw, self.server.config.id) {
            Ok(both) => both,
            Err(piece) => return vec![*piece],
        };
        let mut members = members.unwrap_or_default();
        if let Some((place, also)) = &self.search.member {
            members.retain(|member| member == place || also.as_ref() == Some(member));
            // Not every server looks at a filter.
            if members.is_empty() {
                return Vec::new();
            }
        }
        let group = entry.key.clone();
        vec![Piece::Entry(entry), Piece::Members { group, members }]
    }

    async fn one_group(&mut self, id: &str) -> Result<Vec<Piece>, SourceError> {
        if matches!(id, "." | "..") {
            return Ok(vec![Piece::Nameless { shown: id.to_owned(), why: "this is no id".to_owned() }]);
        }
        let Some(body) = self.ask(&["Groups", id], &[]).await? else {
            self.alone.push_front(id.to_owned());
            return Ok(Vec::new());
        };
        let raw: RawGroup = serde_json::from_slice(&body).map_err(|error| self.malformed(&error))?;
        if raw.id().as_deref() != Some(id) {
            return Err(partial(format!("the group {id} was asked for, and another one came")));
        }
        Ok(self.pieces(raw))
    }

    fn malformed(&self, error: &serde_json::Error) -> SourceError {
        partial(format!("{} answers something that is not formed as SCIM has it: {error}", self.address()))
    }

    /// The entries of a page, and the place moved behind them.
    fn turned<T: Raw + DeserializeOwned>(&mut self, body: &[u8]) -> Result<Vec<T>, SourceError> {
        let page: Page<T> = serde_json::from_slice(body).map_err(|error| self.malformed(&error))?;
        let place = std::mem::replace(&mut self.place, Place::End);
        let resources = match place {
            Place::Index { from, total, last } => self.turned_by_index(page, from, total, last)?,
            Place::Cursor { cursor, least } => self.turned_by_cursor(page, &cursor, least)?,
            Place::End => Vec::new(),
        };
        if self.read > MOST {
            return Err(SourceError::Unusable(format!("{} lists more than {MOST} entries", self.address())));
        }
        for raw in &resources {
            match raw.modified() {
                Some(at) => self.newest = self.newest.max(Some(at)),
                None => self.undated = true,
            }
        }
        Ok(resources)
    }

    fn turned_by_index<T: Raw>(
        &mut self,
        page: Page<T>,
        from: u64,
        announced: Option<u64>,
        last: Option<String>,
    ) -> Result<Vec<T>, SourceError> {
        let total = page.total.ok_or_else(|| {
            partial(format!("{} does not say how many entries its list has (totalResults)", self.address()))
        })?;
        if let Some(before) = announced.filter(|before| *before != total) {
            return Err(partial(format!("the list had {before} entries and has {total} now: it changed meanwhile")));
        }
        let asked = if last.is_some() { from - 1 } else { from };
        let mut resources = page.resources;
        if let Some(start) = page.start.filter(|start| *start != asked && !resources.is_empty()) {
            return Err(partial(format!("the list was asked for from {asked} on and came from {start} on")));
        }
        if let Some(last) = last.filter(|_| !resources.is_empty()) {
            if resources[0].id() != Some(last) {
                return Err(partial("the list has moved while it was read".to_owned()));
            }
            resources.remove(0);
        }
        self.read += resources.len() as u64;
        if self.read > total || (resources.is_empty() && self.read < total) {
            return Err(partial(format!("{total} entries were announced and {} came", self.read)));
        }
        if self.read < total {
            // Where one comes at a time there is no room for the last one once more.
            let last = resources.last().filter(|_| resources.len() > 1).and_then(Raw::id);
            self.place = Place::Index { from: self.read + 1, total: Some(total), last };
        }
        Ok(resources)
    }

    fn turned_by_cursor<T>(&mut self, page: Page<T>, cursor: &str, least: Option<u64>) -> Result<Vec<T>, SourceError> {
        let least = match (least, page.total) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.read += page.resources.len() as u64;
        self.empty = if page.resources.is_empty() { self.empty + 1 } else { 0 };
        match page.next.filter(|next| !next.is_empty()) {
            Some(next) if next == cursor || self.empty > EMPTY => {
                return Err(partial("the list does not come to an end".to_owned()));
            }
            Some(next) => self.place = Place::Cursor { cursor: next, least },
            // Whoever came or went meanwhile is no reason: a cursor skips nobody who stayed.
            None if least.is_some_and(|least| self.read < least) => {
                let least = least.unwrap_or_default();
                return Err(partial(format!("{least} entries were announced and {} came", self.read)));
            }
            None => {}
        }
        Ok(page.resources)
    }
}

impl Reading for Listing {
    fn next(&mut self) -> BoxFuture<'_, Result<Step, SourceError>> {
        Box::pin(async {
            if let Some(id) = self.alone.pop_front() {
                return Ok(Step::Page(self.one_group(&id).await?));
            }
            match (&self.place, self.search.groups) {
                (Place::End, _) => Ok(Step::Complete),
                (_, true) => Ok(Step::Page(self.groups().await?)),
                (_, false) => Ok(Step::Page(self.people().await?)),
            }
        })
    }

    fn mark(&self) -> Option<Mark> {
        // A date that is still to come would leave out every change until then.
        let odd = self.newest.is_some_and(|newest| newest > Utc::now() + TOMORROW);
        if odd || self.undated || !self.able.filters || !matches!(self.place, Place::End) {
            return None;
        }
        let seen = self.newest.and_then(|newest| newest.checked_sub_signed(MARGIN)).map(written);
        let since = self.search.since.as_ref().map(|mark| mark.at.clone());
        // Written alike, times are in order as texts.
        let at = seen.max(since)?;
        Some(Mark { server: self.address().to_owned(), at })
    }
}

fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Everything that a list is to be cut down by.
fn filter(server: &Server, able: Able, search: &Search) -> Result<Option<String>, SourceError> {
    let own = if search.groups { &server.config.group_filter } else { &server.config.user_filter };
    let literal = |text: &str| Value::from(text).to_string();
    let asked = match search {
        Search { since: Some(mark), .. } => {
            if !able.filters || mark.server != server.config.url {
                return Err(SourceError::Stale("the changes since then cannot be asked for".to_owned()));
            }
            Some(format!("meta.lastModified gt {}", literal(&mark.at)))
        }
        Search { person: Some(name), .. } => {
            let equal = |path: String| format!("{path} eq {}", literal(name));
            Some(server.mapping.user_names().into_iter().map(equal).collect::<Vec<_>>().join(" or "))
        }
        Search { member: Some((place, _)), .. } => Some(format!("members.value eq {}", literal(person_id(place)))),
        Search { .. } => None,
    };
    if asked.is_some() && !able.filters {
        let what = format!("{} understands no filters: only everything can be read", server.config.url);
        return Err(SourceError::Unusable(what));
    }
    Ok(match (own, asked) {
        (Some(own), Some(asked)) => Some(format!("({own}) and ({asked})")),
        (own, asked) => asked.or_else(|| own.clone()),
    })
}

fn partial(why: String) -> SourceError {
    SourceError::Partial { why }
}
