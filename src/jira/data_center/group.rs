//! Groups and their members: `/rest/api/2/group`, `/group/user`, `/group/member` and `/groups/picker`. A group has no
//! identity but its name (DC-60), and most of its errors need a look to be understood.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::super::client::Request;
use super::super::reply::{Rejection, Words};
use super::super::{AccountRef, Calls, EnsuredGroup, TargetError};
use super::user::same_name;
use super::{DataCenter, get, refuse};
use crate::account::{SeenGroup, fold};

const GROUP: &str = "/rest/api/2/group";
const MEMBERSHIP: &str = "/rest/api/2/group/user";
pub(super) const MEMBERS: &str = "/rest/api/2/group/member";
const PICKER: &str = "/rest/api/2/groups/picker";

/// Rows asked of the picker at once (DC-70).
const ROWS: &str = "1000";

/// How many times the picker is asked before a listing is given up: it is made in the background, but not for ever.
const QUESTIONS: usize = 500;

impl DataCenter {
    /// Whether there is a group of exactly that name. The members are not of interest: this is the only existence test.
    async fn group_exists(&self, calls: &Calls<'_>, name: &str) -> Result<bool, TargetError> {
        let request = get("group.probe", MEMBERS).about("groupname", name).with("maxResults", "1");
        match self.call(calls, request).await {
            Ok(_) => Ok(true),
            Err(Rejection::NotFound(_)) => Ok(false),
            Err(rejection) => Err(self.settle(calls, rejection, || named(name)).await),
        }
    }

    /// The group in Jira's spelling and with its label; the picker alone would match substrings (DC-70).
    pub(super) async fn group_named(&self, calls: &Calls<'_>, name: &str) -> Result<Option<SeenGroup>, TargetError> {
        let name = trimmed(name)?;
        if !self.group_exists(calls, name).await? {
            return Ok(None);
        }
        let page = self.pick(calls, name).await?;
        let found = page.groups.into_iter().find(|group| same_name(&group.name, name));
        // Without the label nobody may write to the group, so a missing row is not "no label".
        let found = found.ok_or_else(|| {
            refuse(format!(
                "Jira does not list {}, so that it cannot be told whether it grants administration",
                named(name)
            ))
        })?;
        Ok(Some(found.seen()))
    }

    /// Creates; a 400 is "exists" only if a look finds the group (DC-61).
    pub(super) async fn make_group(&self, calls: &Calls<'_>, name: &str) -> Result<EnsuredGroup, TargetError> {
        let name = trimmed(name)?;
        let request = Request::new("group.create", Method::POST, GROUP).json(json!({ "name": name }));
        match self.call(calls, request).await {
            Ok(_) => Ok(EnsuredGroup::New { id: None }),
            Err(Rejection::BadRequest(words) | Rejection::Conflict(words)) => {
                self.group_named(calls, name).await?.map(EnsuredGroup::Existed).ok_or_else(|| words.refused())
            }
            Err(rejection) => Err(self.settle(calls, rejection, || named(name)).await),
        }
    }

    /// Deletes; gone is gone, whichever way Jira says it (DC-62).
    pub(super) async fn remove_group(&self, calls: &Calls<'_>, name: &str) -> Result<(), TargetError> {
        let name = trimmed(name)?;
        let request = Request::new("group.delete", Method::DELETE, GROUP).about("groupname", name);
        match self.call(calls, request).await {
            Ok(_) | Err(Rejection::NotFound(_)) => Ok(()),
            Err(Rejection::BadRequest(words)) => {
                if self.group_exists(calls, name).await? {
                    Err(words.refused())
                } else {
                    Ok(())
                }
            }
            Err(rejection) => Err(self.settle(calls, rejection, || named(name)).await),
        }
    }

    /// Adds by username (DC-63). A no is looked into: it may be a member already (DC-64), or one of the two is gone (DC-65).
    pub(super) async fn join(
        &self,
        calls: &Calls<'_>,
        group: &str,
        account: AccountRef<'_>,
    ) -> Result<(), TargetError> {
        let group = trimmed(group)?;
        let words = match self.add(calls, group, account.username).await {
            Ok(()) => return Ok(()),
            Err(Rejection::BadRequest(words) | Rejection::NotFound(words) | Rejection::Conflict(words)) => words,
            Err(rejection) => return Err(self.settle(calls, rejection, || named(group)).await),
        };
        match self.membership(calls, group, account).await? {
            (Membership::NoAccount, _) => {
                Err(TargetError::Gone { what: format!("the account \"{}\"", account.username) })
            }
            (Membership::Member, _) => Ok(()),
            (_, Some(name)) => match self.add(calls, group, &name).await {
                Ok(()) => Ok(()),
                Err(Rejection::NotFound(words)) => self.why_not_joined(calls, group, words).await,
                Err(rejection) => Err(self.settle(calls, rejection, || named(group)).await),
            },
            // Jira did not tell the groups; its text is the last resort.
            (Membership::Unknown, None) if fold(&words.reason).contains("already") => Ok(()),
            (Membership::Stranger | Membership::Unknown, None) => self.why_not_joined(calls, group, words).await,
        }
    }

    async fn add(&self, calls: &Calls<'_>, group: &str, username: &str) -> Result<(), Rejection> {
        let request = Request::new("member.add", Method::POST, MEMBERSHIP)
            .about("groupname", group)
            .json(json!({ "name": username }));
        self.call(calls, request).await.map(drop)
    }

    async fn why_not_joined(&self, calls: &Calls<'_>, group: &str, words: Words) -> Result<(), TargetError> {
        if self.group_exists(calls, group).await? {
            return Err(words.refused());
        }
        Err(TargetError::Gone { what: named(group) })
    }

    /// Removes by username. A no is looked into: somebody who is no member, or no longer there, is done (DC-66); whoever
    /// has another name by now is still a member (DC-47).
    pub(super) async fn leave(
        &self,
        calls: &Calls<'_>,
        group: &str,
        account: AccountRef<'_>,
    ) -> Result<(), TargetError> {
        let group = trimmed(group)?;
        let (words, missing) = match self.take_out(calls, group, account.username).await {
            Ok(()) => return Ok(()),
            Err(Rejection::BadRequest(words) | Rejection::Conflict(words)) => (words, false),
            Err(Rejection::NotFound(words)) => (words, true),
            Err(rejection) => return Err(self.settle(calls, rejection, || named(group)).await),
        };
        match self.membership(calls, group, account).await? {
            (Membership::NoAccount | Membership::Stranger, _) => Ok(()),
            (_, Some(name)) => match self.take_out(calls, group, &name).await {
                Ok(()) | Err(Rejection::NotFound(_)) => Ok(()),
                Err(rejection) => Err(self.settle(calls, rejection, || named(group)).await),
            },
            (Membership::Unknown, None) if missing => Ok(()),
            (Membership::Member | Membership::Unknown, None) => Err(words.refused()),
        }
    }

    async fn take_out(&self, calls: &Calls<'_>, group: &str, username: &str) -> Result<(), Rejection> {
        let request = Request::new("member.remove", Method::DELETE, MEMBERSHIP)
            .about("groupname", group)
            .about("username", username);
        self.call(calls, request).await.map(drop)
    }

    /// By key, for the name on record may be out of date, and somebody else's (DC-47): then with the name of today.
    async fn membership(
        &self,
        calls: &Calls<'_>,
        group: &str,
        account: AccountRef<'_>,
    ) -> Result<(Membership, Option<String>), TargetError> {
        let Some(seen) = self.account_with_key(calls, account.id).await? else {
            return Ok((Membership::NoAccount, None));
        };
        let membership = match seen.groups {
            None => Membership::Unknown,
            Some(groups) if groups.iter().any(|name| same_name(name, group)) => Membership::Member,
            Some(_) => Membership::Stranger,
        };
        Ok((membership, Some(seen.username).filter(|name| !same_name(name, account.username))))
    }

    /// The groups that grant administration (DC-71).
    pub(super) async fn groups_that_administer(&self, calls: &Calls<'_>) -> Result<Vec<String>, TargetError> {
        let groups = self.all_groups(calls).await?.into_iter().filter(|group| group.administrative);
        Ok(groups.map(|group| group.name).collect())
    }

    /// All groups. The picker has no second page, so where it falls short the names are gathered by asking for ever
    /// longer parts of them (DC-70).
    pub(super) async fn all_groups(&self, calls: &Calls<'_>) -> Result<Vec<SeenGroup>, TargetError> {
        let mut gathering = Gathering::default();
        let first = self.pick(calls, "").await?;
        let total = gathering.take("", first);
        for _ in 0..QUESTIONS {
            let Some(part) = gathering.next_part(total) else { break };
            let page = self.pick(calls, &part).await?;
            gathering.take(&part, page);
        }
        if gathering.seen.len() < total {
            return Err(refuse(format!(
                "Jira listed only {} of its {total} groups, which makes the list useless: members and labels of the others would be unknown",
                gathering.seen.len()
            )));
        }
        Ok(gathering.seen.into_values().collect())
    }

    async fn pick(&self, calls: &Calls<'_>, part: &str) -> Result<Page, TargetError> {
        let request = get("group.pick", PICKER).about("query", part).with("maxResults", ROWS);
        match self.call(calls, request).await {
            Ok(reply) => reply.parse(),
            Err(rejection) => Err(self.settle(calls, rejection, || "the list of groups".to_owned()).await),
        }
    }
}

/// What a look says about somebody and a group.
enum Membership {
    NoAccount,
    Member,
    Stranger,
    Unknown,
}

/// Jira trims a group's name when it reads and not when it writes (DC-72).
pub(super) fn trimmed(name: &str) -> Result<&str, TargetError> {
    let name = name.trim();
    if name.is_empty() { Err(refuse("a group without a name")) } else { Ok(name) }
}

pub(super) fn named(group: &str) -> String {
    format!("the group \"{group}\"")
}

/// One answer of the picker.
#[derive(Deserialize)]
struct Page {
    total: Option<usize>,
    groups: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    #[serde(default)]
    labels: Vec<Label>,
}

#[derive(Deserialize)]
struct Label {
    #[serde(rename = "type")]
    kind: Option<String>,
}

impl Row {
    fn seen(self) -> SeenGroup {
        let administrative = self.labels.iter().any(|label| label.kind.as_deref() == Some("ADMIN"));
        SeenGroup { name: self.name, administrative, ..SeenGroup::default() }
    }
}

/// Groups gathered from a picker that shows only so many at once.
#[derive(Default)]
struct Gathering {
    /// By folded name.
    seen: BTreeMap<String, SeenGroup>,
    /// Every character that has been seen in a name; a name made of others only would not be found.
    letters: BTreeSet<char>,
    /// Parts whose answer was cut off, with how many names have them; the last is completed first.
    short: Vec<(String, usize)>,
    asked: BTreeSet<String>,
}

impl Gathering {
    /// Takes an answer in; how many groups there are to it in all.
    fn take(&mut self, part: &str, page: Page) -> usize {
        let total = page.total.unwrap_or(page.groups.len());
        if page.groups.len() < total {
            // As many names have the longer part as have a shorter one in it: then they are the same names.
            self.short.retain(|(shorter, hits)| !(part.contains(shorter.as_str()) && *hits == total));
            self.short.push((part.to_owned(), total));
        }
        self.asked.insert(part.to_owned());
        for group in page.groups {
            let key = fold(&group.name);
            self.letters.extend(key.chars());
            self.seen.insert(key, group.seen());
        }
        total
    }

    /// What to ask next: a part that was cut off, one letter longer at either end; `None` when all are there or nothing
    /// is left to ask.
    fn next_part(&mut self, total: usize) -> Option<String> {
        if self.seen.len() >= total {
            return None;
        }
        while let Some((part, hits)) = self.short.last() {
            let complete = self.seen.keys().filter(|name| name.contains(part.as_str())).count() >= *hits;
            if !complete && let Some(next) = self.longer(part) {
                return Some(next);
            }
            self.short.pop();
        }
        None
    }

    /// The part with one letter more that was not asked for yet: one that is seen beside it, then any that names have here,
    /// then any that names have elsewhere.
    fn longer(&self, part: &str) -> Option<String> {
        let beside = |end: bool| {
            self.seen.keys().filter_map(move |name| {
                let (head, tail) = name.split_once(part)?;
                if end { tail.chars().next() } else { head.chars().next_back() }
            })
        };
        let usual = ('a'..='z').chain('0'..='9').chain(['-', '_', '.', ' ']);
        let (after, before): (BTreeSet<char>, BTreeSet<char>) = (beside(true).collect(), beside(false).collect());
        let known = || self.letters.iter().copied();
        let at_end = after.into_iter().chain(known()).map(|c| format!("{part}{c}"));
        let at_start = before.into_iter().chain(known()).map(|c| format!("{c}{part}"));
        let others = usual.flat_map(|c| [format!("{part}{c}"), format!("{c}{part}")]);
        at_end.chain(at_start).chain(others).find(|next| !self.asked.contains(next))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A picker over `names` that shows `rows` at once.
    fn picker(names: &[String], rows: usize, part: &str) -> Page {
        let hits: Vec<_> = names.iter().filter(|name| fold(name).contains(part)).collect();
        let groups = hits.iter().take(rows).map(|name| Row { name: name.to_string(), labels: vec![] }).collect();
        Page { total: Some(hits.len()), groups }
    }

    fn gather(names: &[String], rows: usize) -> (usize, usize) {
        let mut gathering = Gathering::default();
        let total = gathering.take("", picker(names, rows, ""));
        let mut questions = 1;
        while let Some(part) = gathering.next_part(total) {
            let page = picker(names, rows, &part);
            gathering.take(&part, page);
            questions += 1;
            assert!(questions < QUESTIONS);
        }
        (gathering.seen.len(), questions)
    }

    #[test]
    fn a_picker_without_pages_is_read_completely_by_asking_for_parts_of_names() {
        // DC-70
        let names: Vec<String> = (0..400).map(|n| format!("crew {}{n}", char::from(b'a' + (n % 26) as u8))).collect();
        assert_eq!(gather(&names, 50).0, 400);
    }

    #[test]
    fn names_that_begin_alike_are_told_apart_by_their_ends() {
        let mut names: Vec<String> = (0..5000).map(|n| format!("crew-{n:06}")).collect();
        names.extend(["jira-administrators", "jira-software-users", "Équipe Zoé"].map(str::to_owned));
        let (found, questions) = gather(&names, 1000);
        assert_eq!(found, names.len());
        assert!(questions < 150, "{questions}");
        let (found, questions) = gather(&names, 200);
        assert_eq!(found, names.len());
        assert!(questions < QUESTIONS, "{questions}");
    }

    #[test]
    fn a_picker_that_shows_all_is_asked_once() {
        let names: Vec<String> = (0..20).map(|n| format!("crew {n}")).collect();
        assert_eq!(gather(&names, 50), (20, 1));
    }

    #[test]
    fn only_the_label_admin_marks_an_administrative_group() {
        // DC-71
        let page: Page = serde_json::from_value(json!({"header": "Showing 3 of 3", "total": 3, "groups": [
            {"name": "jira-administrators", "html": "x", "labels": [{"text": "Admin", "title": "t", "type": "ADMIN"}]},
            {"name": "jira-software-users", "labels": [{"text": "Jira Software", "type": "MULTIPLE"}]},
            {"name": "platform-crew"}]}))
        .unwrap();
        let labelled: Vec<_> = page.groups.into_iter().map(|row| row.seen().administrative).collect();
        assert_eq!(labelled, [true, false, false]);
    }

    #[test]
    fn a_groups_name_is_trimmed_and_never_empty() {
        // DC-72
        assert_eq!(trimmed(" platform-crew\t").unwrap(), "platform-crew");
        assert!(matches!(trimmed("  "), Err(TargetError::Refused { .. })));
    }
}
