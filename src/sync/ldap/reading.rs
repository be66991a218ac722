//! A search, page by page (RFC 2696), and the members of large groups range by range. Complete is what ended with the server's
//! word that it was all; limits, referrals and lost connections are errors.

use std::collections::VecDeque;

use futures_util::future::BoxFuture;
use ldap3::controls::{Control, ControlType, MakeCritical, PagedResults};
use ldap3::{DerefAliases, Ldap, LdapResult, Scope, SearchOptions, SearchStream, ldap_escape};

use super::changes::Changes;
use super::connect::{told, unreachable};
use super::entry::Raw;
use super::member::{self, Member, members};
use super::options::Options;
use super::person;
use crate::config::Referrals;
use crate::sync::source::{Mark, Piece, Reading, SourceError, Step, Wanted, WantedGroups};

/// The most bytes of values in one page.
const LARGEST_PAGE: usize = 256 << 20;
/// The most values of one group that one range may begin at.
const LARGEST_GROUP: u32 = 10_000_000;

/// What is searched for.
#[derive(Clone)]
pub(super) struct Search {
    base: String,
    filter: String,
    attributes: Vec<String>,
    groups: bool,
    /// The one member that is meant, where it is one person's groups.
    member: Option<String>,
}

impl Search {
    pub(super) fn people(options: &Options, wanted: &Wanted) -> Self {
        let filter = match wanted {
            Wanted::All | Wanted::Changed(_) => options.user_filter.clone(),
            Wanted::Person(name) => {
                let literal = ldap_escape(name.as_str());
                let named: String =
                    options.mapping.user_names().map(|attribute| format!("({attribute}={literal})")).collect();
                format!("(&{}(|{named}))", options.user_filter)
            }
        };
        let mut attributes: Vec<String> = options.mapping.attributes().map(str::to_owned).collect();
        attributes.extend(person::disabled_attribute(options.disabled).map(str::to_owned));
        attributes.push(options.id.clone());
        attributes.extend(options.member_name().map(str::to_owned));
        if options.primary_groups {
            attributes.extend(["objectSid", "primaryGroupID"].map(str::to_owned));
        }
        Self { base: options.user_base.clone(), filter, attributes: distinct(attributes), groups: false, member: None }
    }

    pub(super) fn groups(options: &Options, wanted: &WantedGroups) -> Self {
        let mut attributes = vec![options.group_name.clone(), options.id.clone()];
        let (filter, member) = match wanted {
            WantedGroups::All | WantedGroups::Changed(_) => {
                attributes.extend(options.members.iter().map(Member::first));
                attributes.push(options.version.to_owned());
                attributes.extend(options.primary_groups.then(|| "objectSid".to_owned()));
                (options.group_filter.clone(), None)
            }
            WantedGroups::Of { place, also } => (groups_of(options, place, also.as_deref()), Some(place.clone())),
        };
        Self { base: options.group_base.clone(), filter, attributes: distinct(attributes), groups: true, member }
    }
}

/// The groups that name this person.
fn groups_of(options: &Options, place: &str, also: Option<&str>) -> String {
    let named = options.members.iter().filter_map(|member| {
        let value = if member.is_by_name() { member::name_of(also?)? } else { place };
        Some(format!("({}={})", member.name, ldap_escape(value)))
    });
    let named: String = named.chain(also.and_then(member::primary_filter)).collect();
    format!("(&{}(|{named}))", options.group_filter)
}

fn distinct(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    names
}

/// More members of a group to be asked for.
struct Range {
    dn: String,
    key: String,
    member: Member,
    from: u32,
    /// The group's count or time of its last change when its first members were read.
    version: Option<String>,
    /// So often it changed in the middle.
    changed: u32,
}

/// So many pages in a row may have nothing in them.
const MOST_EMPTY: u32 = 1000;
/// How often a large group may change while it is being read.
const MOST_CHANGES: u32 = 5;

/// A search under way.
pub(super) struct Searching {
    ldap: Ldap,
    address: String,
    options: Options,
    search: Search,
    /// Where the next page begins; `None` after the last.
    cookie: Option<Vec<u8>>,
    changes: Changes,
    ranges: VecDeque<Range>,
    /// Pages without an entry, since the last one that had some.
    empty: u32,
}

type Stream = SearchStream<'static, String, Vec<String>>;

impl Searching {
    pub(super) fn new(ldap: Ldap, address: String, options: Options, mut search: Search, changes: Changes) -> Self {
        if let Some(filter) = changes.filter() {
            search.filter = format!("(&{}{filter})", search.filter);
        }
        search.attributes.extend(changes.attribute().map(str::to_owned));
        search.attributes = distinct(search.attributes);
        Self { ldap, address, options, search, cookie: Some(Vec::new()), changes, ranges: VecDeque::new(), empty: 0 }
    }

    async fn page(&mut self, cookie: Vec<u8>) -> Result<Vec<Piece>, SourceError> {
        let control = PagedResults { size: self.options.page_size, cookie }.critical();
        let options = SearchOptions::new().deref(DerefAliases::Never);
        let (base, filter) = (self.search.base.clone(), self.search.filter.clone());
        let searching = self
            .ldap
            .with_controls(control)
            .with_search_options(options)
            .with_timeout(self.options.timeout)
            .streaming_search(&base, Scope::Subtree, &filter, self.search.attributes.clone())
            .await;
        let mut stream: Stream = searching.map_err(|error| unreachable(&self.address, &error))?;
        let entries = self.entries(&mut stream).await?;
        let result = stream.finish().await;
        self.judge(&result)?;
        self.cookie = cookie_of(&result);
        self.empty = if entries.is_empty() { self.empty + 1 } else { 0 };
        if self.empty > MOST_EMPTY {
            return Err(partial("the server sends one empty page after the other"));
        }
        Ok(entries.into_iter().flat_map(|raw| self.pieces(&raw)).collect())
    }

    /// All entries of a page, which is as large as was asked for at most.
    async fn entries(&self, stream: &mut Stream) -> Result<Vec<Raw>, SourceError> {
        let (mut entries, mut size) = (Vec::new(), 0);
        let most = usize::try_from(self.options.page_size).unwrap_or(usize::MAX);
        while let Some(entry) = stream.next().await.map_err(|error| unreachable(&self.address, &error))? {
            if entry.is_ref() {
                if self.options.referrals == Referrals::Refuse {
                    return Err(partial(
                        "a part of the directory is on another server, to which no referral is followed",
                    ));
                }
                continue;
            }
            if entry.is_intermediate() {
                continue;
            }
            let raw = Raw::read(entry).ok_or_else(|| partial("an entry came that is not formed as LDAP has it"))?;
            size += raw.size;
            if size > LARGEST_PAGE {
                return Err(SourceError::Unusable(
                    "a page is larger than 256 MiB; ask for fewer entries (page_size)".into(),
                ));
            }
            entries.push(raw);
            if entries.len() > most {
                return Err(partial("the server sends larger pages than were asked for"));
            }
        }
        Ok(entries)
    }

    fn judge(&self, result: &LdapResult) -> Result<(), SourceError> {
        match result.rc {
            0 => Ok(()),
            1 | 50 if self.options.bind.is_none() => {
                let why = format!("{} lets nobody read without a bind (bind_dn): {}", self.address, told(result));
                Err(SourceError::Unusable(why))
            }
            // Nobody but the reader itself ends a search early.
            88 => {
                Err(SourceError::Unreachable { address: self.address.clone(), why: "the connection was lost".into() })
            }
            12 => {
                Err(SourceError::Unusable(format!("{} does not offer paged results: {}", self.address, told(result))))
            }
            32 => Err(SourceError::Unusable(format!("there is no {}: {}", self.search.base, told(result)))),
            _ => Err(SourceError::Partial { why: told(result) }),
        }
    }

    fn pieces(&mut self, raw: &Raw) -> Vec<Piece> {
        self.changes.saw(raw);
        if !self.search.groups {
            return vec![person::person(raw, &self.options)];
        }
        let mut pieces = person::group(raw, &self.options);
        if let (Some(member), Some(Piece::Members { members, .. })) = (&self.search.member, pieces.last_mut()) {
            *members = vec![member.clone()];
            return pieces;
        }
        if let Some(Piece::Entry(entry)) = pieces.first() {
            for (name, from) in &raw.ranges {
                let members = self.options.members.iter();
                for member in members.filter(|member| member.name.eq_ignore_ascii_case(name)) {
                    let (dn, key, member) = (raw.dn.clone(), entry.key.clone(), member.clone());
                    let version = raw.text(self.options.version).map(str::to_owned);
                    self.ranges.push_back(Range { dn, key, member, from: *from, version, changed: 0 });
                }
            }
        }
        pieces
    }

    /// The next members of a group of which only the first were sent.
    async fn range(&mut self, range: Range) -> Result<Vec<Piece>, SourceError> {
        if range.from > LARGEST_GROUP {
            return Err(SourceError::Unusable(format!("{} has more than {LARGEST_GROUP} members", range.dn)));
        }
        let attributes = vec![range.member.from(range.from), self.options.version.to_owned()];
        let searching = self
            .ldap
            .with_timeout(self.options.timeout)
            .streaming_search(&range.dn, Scope::Base, "(objectClass=*)", attributes)
            .await;
        let mut stream: Stream = searching.map_err(|error| unreachable(&self.address, &error))?;
        let entries = self.entries(&mut stream).await?;
        let result = stream.finish().await;
        if result.rc != 0 {
            return Err(partial(&format!("{} was not read to its end: {}", range.dn, told(&result))));
        }
        let Some(raw) = entries.first() else {
            return Err(partial(&format!("{} is gone, which was being read", range.dn)));
        };
        let version = raw.text(self.options.version).map(str::to_owned);
        if version != range.version {
            // Who comes after somebody who left is not where he was, and would be passed over.
            if range.changed == MOST_CHANGES {
                return Err(partial(&format!("{} changes while it is being read", range.dn)));
            }
            self.ranges.push_front(Range { from: 0, version, changed: range.changed + 1, ..range });
            return Ok(Vec::new());
        }
        let key = range.key.clone();
        if let Some((_, next)) = raw.ranges.iter().find(|(name, _)| name.eq_ignore_ascii_case(&range.member.name)) {
            if *next <= range.from {
                return Err(partial(&format!("{} is answered with the same members again", range.dn)));
            }
            self.ranges.push_front(Range { from: *next, ..range });
        }
        Ok(vec![Piece::Members { group: key, members: members(raw, &self.options) }])
    }
}

impl Reading for Searching {
    fn next(&mut self) -> BoxFuture<'_, Result<Step, SourceError>> {
        Box::pin(async {
            // Before the next page: the server keeps the place of a paged search, and nothing else of it is needed here.
            if let Some(range) = self.ranges.pop_front() {
                return Ok(Step::Page(self.range(range).await?));
            }
            match self.cookie.take() {
                Some(cookie) => Ok(Step::Page(self.page(cookie).await?)),
                None => Ok(Step::Complete),
            }
        })
    }

    fn mark(&self) -> Option<Mark> {
        self.changes.mark()
    }
}

/// Where the next page begins; an answer without the control, or with an empty cookie, was the last.
fn cookie_of(result: &LdapResult) -> Option<Vec<u8>> {
    result.ctrls.iter().find_map(|Control(known, raw)| match known {
        Some(ControlType::PagedResults) => {
            let cookie = raw.parse::<PagedResults>().cookie;
            (!cookie.is_empty()).then_some(cookie)
        }
        _ => None,
    })
}

fn partial(why: &str) -> SourceError {
    SourceError::Partial { why: why.to_owned() }
}
