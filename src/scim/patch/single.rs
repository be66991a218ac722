//! Setting what is single: an attribute, a sub-attribute, the parts of a complex one.

use serde_json::{Map, Value};

use super::{put_object, take_object};
use crate::scim::error::ScimError;
use crate::scim::schema::check::{At, accept};
use crate::scim::schema::{Attribute, Kind};

/// Sets an attribute that is not a list, or one part of it. A value that means "no value" clears (P-20, P-22, P-42).
pub(super) fn set(
    attribute: &'static Attribute,
    sub: Option<&'static Attribute>,
    value: Value,
    holder: &mut Map<String, Value>,
) -> Result<(), ScimError> {
    let at = At::root(attribute.name);
    if attribute.kind != Kind::Complex {
        return set_part(attribute, value, at, holder);
    }
    let mut object = take_object(holder, attribute.name);
    let outcome = match sub {
        Some(part) => set_part(part, value, at.then(part.name), &mut object),
        None => merge(attribute, value, at, &mut object),
    };
    put_object(holder, attribute.name, object);
    outcome
}

/// Sets one member of an object, or clears it.
pub(super) fn set_part(
    part: &'static Attribute,
    value: Value,
    at: At<'_>,
    object: &mut Map<String, Value>,
) -> Result<(), ScimError> {
    match accept(part, value, at)? {
        Some(value) => object.insert(part.name.to_owned(), value),
        None => object.remove(part.name),
    };
    Ok(())
}

/// Clears what the client may write.
fn clear(attribute: &Attribute, object: &mut Map<String, Value>) {
    object.retain(|key, _| attribute.sub(key).is_some_and(Attribute::read_only));
}

/// Merges a value into a complex one: parts that are not named stay (P-21), parts given without a value are cleared. A
/// plain string stands for `value` (P-18), a list of one for the object (P-19), no value at all clears the whole.
pub(super) fn merge(
    attribute: &'static Attribute,
    value: Value,
    at: At<'_>,
    object: &mut Map<String, Value>,
) -> Result<(), ScimError> {
    match (value, attribute.sub("value")) {
        (Value::Null, _) => clear(attribute, object),
        (Value::String(text), _) if text.is_empty() => clear(attribute, object),
        (Value::String(text), Some(part)) => set_part(part, Value::String(text), at.then(part.name), object)?,
        (Value::Object(given), _) => {
            for (key, value) in given {
                if let Some(part) = attribute.sub(&key).filter(|part| !part.read_only()) {
                    set_part(part, value, at.then(part.name), object)?;
                }
            }
        }
        (Value::Array(mut list), _) if list.len() <= 1 && !list.iter().any(Value::is_array) => {
            merge(attribute, list.pop().unwrap_or(Value::Null), at, object)?;
        }
        _ => return Err(ScimError::invalid_value(format!("{at} must be an object."))),
    }
    Ok(())
}
