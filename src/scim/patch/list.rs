//! Changing entries of a list: those a bracket selects, or a part of every entry.

use serde_json::{Map, Value};

use super::single::{merge, set_part};
use super::target::Target;
use super::{put_list, take_list};
use crate::scim::error::ScimError;
use crate::scim::folded::folded_value;
use crate::scim::lasting::hold_parts;
use crate::scim::schema::check::{At, accept_one, is_primary, keep_primary};
use crate::scim::schema::{Attribute, Kind};

/// How the entry's parts are treated where no sub-attribute is named.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// Parts that are not given stay.
    Merge,
    /// The entry becomes what is given, and what its bracket says.
    Replace,
}

/// Sets the selected entries, or a part of them; without a bracket, of all. Where none is selected, the entry is created
/// from the bracket (P-12, P-13, P-14, P-16) unless the value means "no value".
///
/// # Errors
///
/// 400 `noTarget` where the bracket is more than `eq` joined by `and`; 400 `invalidValue` for the value.
pub(super) fn set_entries(
    target: &Target,
    attribute: &'static Attribute,
    value: Value,
    manner: Manner,
    holder: &mut Map<String, Value>,
) -> Result<(), ScimError> {
    let mut entries = take_list(holder, attribute.name);
    let outcome = set_in(target, attribute, value, manner, &mut entries);
    put_list(holder, attribute.name, entries);
    outcome
}

fn nothing_selected(attribute: &Attribute) -> ScimError {
    ScimError::no_target(format!("No entry of {} is selected by the path.", attribute.name))
}

/// The selected entries of a list without parts become the value; no value takes them away.
fn set_plain(
    attribute: &'static Attribute,
    value: Value,
    selected: &[usize],
    entries: &mut Vec<Value>,
) -> Result<(), ScimError> {
    let value = accept_one(attribute, value, At::root(attribute.name))?;
    let Some(first) = selected.first() else {
        return if value.is_some() { Err(nothing_selected(attribute)) } else { Ok(()) };
    };
    let mut index = 0..;
    entries.retain(|_| index.next().is_some_and(|index| !selected.contains(&index)));
    if let Some(value) = value.filter(|value| !entries.iter().any(|entry| stands_for(attribute, value, entry))) {
        entries.insert(*first, value);
    }
    Ok(())
}

fn set_in(
    target: &Target,
    attribute: &'static Attribute,
    value: Value,
    manner: Manner,
    entries: &mut Vec<Value>,
) -> Result<(), ScimError> {
    let selected: Vec<usize> =
        (0..entries.len()).filter(|index| selects(target, attribute, &entries[*index])).collect();
    if attribute.kind != Kind::Complex {
        return set_plain(attribute, value, &selected, entries);
    }
    let seed = match &target.selection {
        Some(selection) => selection.seed.clone(),
        None => Some(Map::new()),
    };
    if selected.is_empty() {
        let mut given = Map::new();
        set_entry(target, attribute, value, Manner::Merge, &mut given)?;
        if given.is_empty() {
            return Ok(());
        }
        let Some(mut entry) = seed else {
            return Err(nothing_selected(attribute));
        };
        entry.extend(given);
        let index = merge_entry(attribute, Value::Object(entry), entries)?;
        settle_primary(entries, std::iter::once(index));
        return Ok(());
    }
    for index in selected.iter().copied() {
        let Value::Object(entry) = &mut entries[index] else { continue };
        set_entry(target, attribute, value.clone(), manner, entry)?;
        if manner == Manner::Replace && target.place.sub.is_none() && !entry.is_empty() {
            // What the bracket says of the entry stays true of it, or the next request would not find it.
            for (key, value) in seed.iter().flatten() {
                entry.entry(key.clone()).or_insert_with(|| value.clone());
            }
        }
    }
    settle_primary(entries, selected.into_iter());
    entries.retain(|entry| entry.as_object().is_none_or(|entry| !entry.is_empty()));
    Ok(())
}

/// Adds an entry, or merges it into the one that it stands for, so that a repeated request adds nothing (GEN-22).
/// Returns where it is.
///
/// # Errors
///
/// 400 `mutability` for another value of a part that is set once.
pub(super) fn merge_entry(attribute: &Attribute, entry: Value, entries: &mut Vec<Value>) -> Result<usize, ScimError> {
    let present = entries.iter().position(|stored| stands_for(attribute, &entry, stored));
    let Some(index) = present else {
        entries.push(entry);
        return Ok(entries.len() - 1);
    };
    merge_into(attribute, entry, &mut entries[index])?;
    Ok(index)
}

/// Merges an entry into the one that it stands for; one without parts is there already.
///
/// # Errors
///
/// 400 `mutability` for another value of a part that is set once.
pub(super) fn merge_into(attribute: &Attribute, entry: Value, there: &mut Value) -> Result<(), ScimError> {
    if let (Value::Object(stored), Value::Object(entry)) = (there, entry) {
        let before = stored.clone();
        stored.extend(entry);
        hold_parts(attribute, &before, stored)?;
    }
    Ok(())
}

fn set_entry(
    target: &Target,
    attribute: &'static Attribute,
    value: Value,
    manner: Manner,
    entry: &mut Map<String, Value>,
) -> Result<(), ScimError> {
    let at = At::root(attribute.name);
    let before = entry.clone();
    match target.place.sub {
        Some(part) => set_part(part, value, at.then(part.name), entry)?,
        None => {
            if manner == Manner::Replace {
                let stays = |part: &Attribute| part.read_only() || part.immutable();
                entry.retain(|key, _| attribute.sub(key).is_some_and(stays));
            }
            merge(attribute, value, at, entry)?;
        }
    }
    // An entry that loses everything is removed, which is no change of it.
    if entry.is_empty() { Ok(()) } else { hold_parts(attribute, &before, entry) }
}

/// Whether the target means the entry; without a bracket it means each.
pub(super) fn selects(target: &Target, attribute: &Attribute, entry: &Value) -> bool {
    target.selection.as_ref().is_none_or(|selection| selection.selects(attribute, entry))
}

/// The first of the changed entries that is primary takes the mark from all others (RFC 7644 section 3.5.2).
pub(super) fn settle_primary(entries: &mut [Value], mut changed: impl Iterator<Item = usize>) {
    if let Some(first) = changed.find(|index| is_primary(&entries[*index])) {
        keep_primary(entries, first);
    }
}

/// Whether a value that a client lists stands for a stored entry: by `value`, and by `type` where it is given; entries
/// without `value` (addresses) by everything that is given (S11-33).
pub(super) fn stands_for(attribute: &Attribute, given: &Value, stored: &Value) -> bool {
    let same = |key: &str, given: &Value| {
        let part = attribute.sub(key);
        match (part, stored.get(key)) {
            (Some(part), Some(stored)) => folded_value(part, given) == folded_value(part, stored),
            _ => false,
        }
    };
    let Some(given) = given.as_object() else {
        return folded_value(attribute, given) == folded_value(attribute, stored);
    };
    match given.get("value") {
        Some(value) => same("value", value) && given.get("type").is_none_or(|value| same("type", value)),
        None => given.iter().all(|(key, value)| key == "primary" || same(key, value)),
    }
}
