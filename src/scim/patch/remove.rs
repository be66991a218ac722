//! `remove` (RFC 7644 section 3.5.2.2), and the form with a value list that removes only what is listed (P-26).

use serde_json::{Map, Value};

use super::list::{selects, stands_for};
use super::target::Target;
use super::{put_list, put_object, take_list, take_object};
use crate::scim::error::ScimError;
use crate::scim::schema::Attribute;
use crate::scim::schema::check::{At, accept};

/// Removes. What is not there is removed already.
///
/// # Errors
///
/// 400 `invalidValue` for a value list that is none.
pub(super) fn apply(
    target: &Target,
    attribute: &'static Attribute,
    value: Option<&Value>,
    holder: &mut Map<String, Value>,
) -> Result<(), ScimError> {
    match (attribute.multi_valued, target.place.sub) {
        (false, None) => {
            holder.remove(attribute.name);
        }
        (false, Some(part)) => {
            let mut object = take_object(holder, attribute.name);
            object.remove(part.name);
            put_object(holder, attribute.name, object);
        }
        (true, sub) => {
            // `emails.value` with a list is a long way to say `emails` with it.
            let of_entries = sub.is_none_or(|part| part.name == "value");
            let listed = match (value, &target.selection) {
                (Some(value), None) if of_entries && !value.is_null() => Some(listed(attribute, value)?),
                _ => None,
            };
            let mut entries = take_list(holder, attribute.name);
            match (listed, sub) {
                (Some(listed), _) => {
                    entries.retain(|entry| !listed.iter().any(|given| stands_for(attribute, given, entry)));
                }
                (None, None) => entries.retain(|entry| !selects(target, attribute, entry)),
                (None, Some(part)) => remove_part(target, attribute, part, &mut entries)?,
            }
            put_list(holder, attribute.name, entries);
        }
    }
    Ok(())
}

/// The entries that a value lists; none where it is an empty list, which removes nothing.
fn listed(attribute: &'static Attribute, value: &Value) -> Result<Vec<Value>, ScimError> {
    match accept(attribute, value.clone(), At::root(attribute.name))? {
        Some(Value::Array(listed)) => Ok(listed),
        _ => Ok(Vec::new()),
    }
}

fn remove_part(
    target: &Target,
    attribute: &Attribute,
    part: &Attribute,
    entries: &mut Vec<Value>,
) -> Result<(), ScimError> {
    for entry in entries.iter_mut() {
        if selects(target, attribute, entry)
            && let Value::Object(entry) = entry
            && entry.remove(part.name).is_some()
            && part.immutable()
        {
            return Err(ScimError::mutability(format!("{}.{} is set once.", attribute.name, part.name)));
        }
    }
    entries.retain(|entry| entry.as_object().is_none_or(|entry| !entry.is_empty()));
    Ok(())
}
