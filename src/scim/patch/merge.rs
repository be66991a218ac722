//! What a partial resource of SCIM 1.1 says of an attribute: what is single is replaced, what is complex is merged, the
//! entries of a list are found by `value` and merged, added, or deleted (S11-17, S11-18).

use serde_json::{Map, Value};

use super::list::{Manner, merge_into, set_entries, settle_primary, stands_for};
use super::partial::entries;
use super::target::Target;
use super::{put_list, single, take_list};
use crate::scim::error::ScimError;
use crate::scim::folded::folded_value;
use crate::scim::schema::Attribute;
use crate::scim::schema::check::{At, accept, accept_one};

/// Merges a value.
///
/// # Errors
///
/// 400 `invalidValue`, or `mutability` for another value of a part that is set once.
pub(super) fn apply(
    target: &Target,
    attribute: &'static Attribute,
    value: Value,
    holder: &mut Map<String, Value>,
) -> Result<(), ScimError> {
    if !attribute.multi_valued {
        return single::set(attribute, target.place.sub, value, holder);
    }
    if target.selection.is_some() || target.place.sub.is_some() {
        return set_entries(target, attribute, value, Manner::Merge, holder);
    }
    let mut stored = take_list(holder, attribute.name);
    let outcome = entries(attribute.name, value)?.into_iter().try_for_each(|(entry, goes)| {
        if goes { delete(attribute, entry, &mut stored) } else { merge(attribute, entry, &mut stored) }
    });
    put_list(holder, attribute.name, stored);
    outcome
}

/// Adds an entry or merges it into the one that it means. The last one that is set as primary has the mark (S11-34).
fn merge(attribute: &'static Attribute, entry: Value, stored: &mut Vec<Value>) -> Result<(), ScimError> {
    let Some(Value::Array(mut accepted)) = accept(attribute, Value::Array(vec![entry]), At::root(attribute.name))?
    else {
        return Ok(());
    };
    let Some(entry) = accepted.pop() else { return Ok(()) };
    let known = match entry.get("value") {
        Some(_) => by_value(attribute, &entry, stored).first().copied(),
        // Addresses have none: the same one is there, or it is added (S11-33).
        None => stored.iter().position(|there| stands_for(attribute, &entry, there)),
    };
    let index = known.unwrap_or(stored.len());
    match stored.get_mut(index) {
        Some(there) => merge_into(attribute, entry, there)?,
        None => stored.push(entry),
    }
    settle_primary(stored, std::iter::once(index));
    Ok(())
}

/// Deletes the entries that are meant; one that is not there has gone (S11-31).
fn delete(attribute: &'static Attribute, entry: Value, stored: &mut Vec<Value>) -> Result<(), ScimError> {
    let Some(entry) = accept_one(attribute, entry, At::root(attribute.name))? else { return Ok(()) };
    let meant = match entry.get("value") {
        Some(_) => by_value(attribute, &entry, stored),
        None => (0..stored.len()).filter(|index| has_all(attribute, &stored[*index], &entry)).collect(),
    };
    let mut index = 0;
    stored.retain(|_| {
        index += 1;
        !meant.contains(&(index - 1))
    });
    Ok(())
}

/// The entries of that `value`. Where it is there more than once, as an address that serves for two purposes (PING-8), a
/// `type` tells them apart.
fn by_value(attribute: &Attribute, given: &Value, stored: &[Value]) -> Vec<usize> {
    let same = |part: &str, index: &usize| is_same(attribute, part, given, &stored[*index]);
    let mut found: Vec<usize> = (0..stored.len()).filter(|index| same("value", index)).collect();
    if found.len() > 1 && given.get("type").is_some() {
        found.retain(|index| same("type", index));
    }
    found
}

/// Whether an entry has every part that is given.
fn has_all(attribute: &Attribute, there: &Value, given: &Value) -> bool {
    given.as_object().is_some_and(|given_parts| given_parts.keys().all(|key| is_same(attribute, key, given, there)))
}

fn is_same(attribute: &Attribute, key: &str, given: &Value, there: &Value) -> bool {
    match (attribute.sub(key), given.get(key), there.get(key)) {
        (Some(part), Some(given), Some(there)) => folded_value(part, given) == folded_value(part, there),
        // Not marked as primary is the same as marked as not primary.
        (Some(_), Some(Value::Bool(false)), None) => true,
        _ => false,
    }
}
