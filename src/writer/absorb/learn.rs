//! What a look and a write teach about the account, its memberships and its access. Pure.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::super::plan::{is_no_account, is_what_we_sent};
use super::Times;
use crate::account::{Account, OffSwitch, SeenAccount, fold};
use crate::jira::{AccountChange, Written};
use crate::store::link::{AsFound, GroupKnown, JiraGroup, Known, LinkRecord, Pair, UserFacts};

pub(super) fn looked(facts: &mut UserFacts, by_id: bool, seen: Option<SeenAccount>, times: Times) {
    let late = facts.look_at.is_some_and(|at| at <= times.now);
    // The account went, but one that was asked for before may have come since: the same look goes on by name.
    let goes_on = by_id && seen.is_none() && !facts.record.maybe_created.is_empty();
    match seen {
        Some(seen) => {
            learn_pairs(facts, seen.groups.as_deref(), times.survey && by_id);
            if late {
                // Names are unique: what is not the one account of that name was never created.
                facts.record.maybe_created.retain(|sent| !by_id && is_what_we_sent(sent, &seen));
            }
            facts.record.known = if by_id {
                // What the target hides may be that of a write that came late: it is written once more.
                let old = facts.record.linked().cloned().unwrap_or_default();
                let old = if late { SeenAccount { email: None, extra: Default::default(), ..old } } else { old };
                learn_access(&mut facts.record, &seen);
                Known::Linked { seen: merged(seen, &old), maybe: false }
            } else {
                Known::Found(seen)
            };
        }
        None if by_id => forget_account(facts),
        None => {
            facts.record.known = Known::Absent;
            facts.record.steps.retain(|_, state| !is_no_account(&state.fingerprint));
            if late {
                facts.record.maybe_created.clear();
            }
        }
    }
    if late && !goes_on {
        facts.look_at = None;
        facts.record.watch.clear();
        let watched = std::mem::take(&mut facts.record.watch_access);
        facts.record.maybe_granted.extend(watched);
    }
}

/// Pairs on record, watched or wanted are as the target shows them, where it does; in a survey, those of other groups, too.
fn learn_pairs(facts: &mut UserFacts, groups: Option<&[String]>, survey: bool) {
    // A target that shows none has none to be surveyed.
    facts.record.surveyed |= survey;
    let Some(groups) = groups else { return };
    let actual: BTreeMap<String, &String> = groups.iter().map(|name| (fold(name), name)).collect();
    for (key, pair) in &mut facts.pairs {
        pair.written = actual.contains_key(key);
        pair.maybe = false;
        pair.theirs &= pair.written;
    }
    for key in facts.record.watch.iter().chain(facts.wanted.keys()).filter(|key| actual.contains_key(*key)) {
        facts.pairs.entry(key.clone()).or_insert(Pair { written: true, ..Pair::default() });
    }
    for (key, name) in actual.into_iter().filter(|_| survey) {
        if let Entry::Vacant(vacant) = facts.pairs.entry(key.clone()) {
            vacant.insert(Pair { written: true, theirs: true, ..Pair::default() });
            facts.groups.entry(key).or_insert_with(|| JiraGroup { known: GroupKnown::Exists, ..named(name) });
        }
    }
}

/// The groups that come with a new account are on record as wanted: what was there before the account is not.
pub(super) fn owe(facts: &mut UserFacts, welcome: &BTreeMap<String, String>) {
    for (key, name) in welcome {
        facts.groups.entry(key.clone()).or_insert_with(|| named(name));
        facts.pairs.entry(key.clone()).or_default().maybe = true;
    }
}

pub(super) fn link(facts: &mut UserFacts, account: SeenAccount, made: bool, survey: bool) {
    let actual: BTreeSet<String> = account.groups.iter().flatten().map(|name| fold(name)).collect();
    facts.record.surveyed = false;
    learn_pairs(facts, account.groups.as_deref(), survey && account.groups.is_some());
    let ours = |key: &String| facts.pairs.contains_key(key) || facts.groups.contains_key(key);
    let groups = actual.into_iter().filter(ours).collect();
    facts.record.found = (!made).then_some(AsFound { active: account.active, groups });
    if made {
        // What a create asked for whose answer was lost may have been given.
        let sent = facts.record.maybe_created.iter().filter(|sent| is_what_we_sent(sent, &account));
        let access: Vec<_> = sent.flat_map(|sent| sent.access.clone()).collect();
        facts.record.maybe_granted.extend(access);
    }
    // A create that we gave up on may still come, until the second look; see `Planner::awaits_another_name`.
    if facts.look_at.is_none() {
        facts.record.maybe_created.clear();
    }
    facts.record.made = made;
    learn_access(&mut facts.record, &account);
    facts.record.known = Known::Linked { seen: SeenAccount { groups: None, access: None, ..account }, maybe: false };
}

/// Access is as the target shows it, where it does: of what we wrote or may have written.
pub(super) fn learn_access(record: &mut LinkRecord, seen: &SeenAccount) {
    if let Some(access) = &seen.access {
        let ours = record.granted.union(&record.maybe_granted).filter(|ours| access.contains(*ours));
        record.granted = ours.cloned().collect();
        record.maybe_granted.clear();
    }
}

/// The account as it is after it was switched on or off, with what went with that.
pub(super) fn switched(facts: &mut UserFacts, active: bool, written: Written, survey: bool) {
    let old = facts.record.linked().cloned().unwrap_or_default();
    let (seen, off) = match written {
        Written::Seen(seen) => {
            learn_pairs(facts, seen.groups.as_deref(), survey && seen.groups.is_some());
            learn_access(&mut facts.record, &seen);
            let off = seen.off;
            (merged(seen, &old), off)
        }
        Written::AsAsked { off } => (SeenAccount { active, off: off.filter(|_| !active), ..old }, off),
    };
    if !active && matches!(off, Some(OffSwitch::Remove | OffSwitch::Delete)) {
        facts.pairs.values_mut().for_each(|pair| *pair = Pair::default());
        facts.record.granted.clear();
        facts.record.maybe_granted.clear();
    }
    facts.record.known = Known::Linked { seen, maybe: false };
}

/// The account on record after a change that was accepted.
pub(super) fn applied(old: SeenAccount, change: &AccountChange) -> SeenAccount {
    let mut seen = old;
    seen.username = change.username.clone().unwrap_or(seen.username);
    seen.email = change.email.clone().or(seen.email);
    seen.display_name = change.display_name.clone().unwrap_or(seen.display_name);
    seen.extra.extend(change.extra.clone());
    seen
}

/// What a create asks for, as if it had been seen.
pub(super) fn sent(account: &Account) -> SeenAccount {
    SeenAccount { email: Some(account.email.clone()), extra: account.extra.clone(), ..SeenAccount::default() }
}

pub(super) fn forget_account(facts: &mut UserFacts) {
    facts.record.known = Known::Absent;
    facts.record.made = false;
    facts.record.surveyed = false;
    facts.record.found = None;
    facts.record.granted.clear();
    facts.record.maybe_granted.clear();
    // What was said of the account that is gone says nothing of the next one.
    facts.record.steps.clear();
    for pair in facts.pairs.values_mut() {
        *pair = Pair::default();
    }
}

pub(super) fn unknown_create(facts: &mut UserFacts, account: &Account) {
    facts.record.known = Known::Nothing;
    if !facts.record.maybe_created.contains(account) {
        facts.record.maybe_created.push(account.clone());
    }
}

pub(super) fn doubt_account(facts: &mut UserFacts) {
    if let Known::Linked { maybe, .. } = &mut facts.record.known {
        *maybe = true;
    }
}

/// Where the target hides addresses, no look will tell which one it has.
pub(super) fn doubt_update(facts: &mut UserFacts, change: &AccountChange) {
    doubt_account(facts);
    if let Known::Linked { seen, .. } = &mut facts.record.known {
        seen.email.take_if(|_| change.email.is_some());
        seen.extra.retain(|name, _| !change.extra.contains_key(name));
    }
}

/// What the target hides is on record as we sent it.
pub(super) fn merged(seen: SeenAccount, sent: &SeenAccount) -> SeenAccount {
    let mut extra = sent.extra.clone();
    extra.extend(seen.extra);
    // A site of Jira Cloud may hide the address, and with it the login name: it is as it was then (CLOUD-17).
    let username = if seen.username.is_empty() { sent.username.clone() } else { seen.username };
    SeenAccount {
        username,
        email: seen.email.or_else(|| sent.email.clone()),
        extra,
        groups: None,
        access: None,
        ..seen
    }
}

pub(super) fn named(name: &str) -> JiraGroup {
    JiraGroup { name: name.to_owned(), ..JiraGroup::default() }
}
