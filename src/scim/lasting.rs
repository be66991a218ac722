//! What a change leaves as it is: values that are set once, and what a PUT cannot mean because its sender neither sees nor
//! writes it (RFC 7643 section 2.2, RFC 7644 section 3.5.1).
//!
//! Of the built-in schemas only `members` has such parts, and members are no part of a document. So only extensions are
//! looked at here.

use serde_json::{Map, Value};

use super::error::ScimError;
use super::folded::folded_value;
use super::resource::Attrs;
use super::schema::{Attribute, ResourceType, Schema};

/// The parts of a stored document that a PUT with this body leaves as they are: whole extensions that are not declared
/// (any more), and in the others what is not returned by default, what only the server writes, and what is set once.
/// What the body names is its own, but for what only the server writes.
pub(super) fn unsaid(ty: &ResourceType, stored: &Attrs, body: &Value) -> Attrs {
    let mut kept = Attrs::new();
    for (key, value) in stored {
        match (ty.extension(key), value) {
            (Some(extension), Value::Object(object)) => {
                let kept_parts = unsaid_of(extension, object, member(body, &|name| extension.is_called(name)));
                if !kept_parts.is_empty() {
                    kept.insert(key.clone(), Value::Object(kept_parts));
                }
            }
            (None, _) if ty.attribute(key).is_none() => {
                kept.insert(key.clone(), value.clone());
            }
            _ => {}
        }
    }
    kept
}

fn unsaid_of(extension: &Schema, stored: &Attrs, given: Option<&Value>) -> Attrs {
    let mut kept = Attrs::new();
    for (name, value) in stored {
        let Some(attribute) = extension.attribute(name) else {
            kept.insert(name.clone(), value.clone());
            continue;
        };
        let named = given.and_then(|given| member(given, &|name| attribute.is_called(name))).is_some();
        if attribute.read_only() || !named && (attribute.hidden() || attribute.immutable()) {
            kept.insert(name.clone(), value.clone());
        } else if let (false, Value::Object(parts)) = (named, value) {
            let visible = parts.keys().any(|key| attribute.sub(key).is_some_and(|part| !part.hidden()));
            let stays = |part: &Attribute| part.read_only() || part.immutable() || part.hidden() && !visible;
            let parts = some_of(attribute, parts, &stays);
            if !parts.is_empty() {
                kept.insert(name.clone(), Value::Object(parts));
            }
        }
    }
    kept
}

fn some_of(attribute: &Attribute, parts: &Attrs, wanted: &dyn Fn(&Attribute) -> bool) -> Attrs {
    let wanted = |(key, _): &(&String, &Value)| attribute.sub(key).is_some_and(wanted);
    parts.iter().filter(wanted).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// The member of a JSON object that is meant, whatever it is called.
fn member<'a>(value: &'a Value, is_called: &dyn Fn(&str) -> bool) -> Option<&'a Value> {
    value.as_object()?.iter().find(|(name, _)| is_called(name)).map(|(_, value)| value)
}

/// Puts what was kept into the new document, and into its objects and entries the parts that their senders do not see.
pub(super) fn restore(ty: &ResourceType, kept: Attrs, stored: &Attrs, new: &mut Attrs) {
    for (key, value) in kept {
        match (new.get_mut(&key), value) {
            (Some(Value::Object(object)), Value::Object(parts)) => object.extend(parts),
            (_, value) => drop(new.insert(key, value)),
        }
    }
    for extension in ty.extensions {
        let Some(Value::Object(old)) = stored.get(extension.id) else { continue };
        let Some(Value::Object(new)) = new.get_mut(extension.id) else { continue };
        for attribute in extension.attributes {
            let unsaid = |part: &Attribute| part.hidden() || part.read_only() || part.immutable();
            if attribute.sub_attributes.iter().any(unsaid) {
                for (old, new) in pairs(attribute, old.get(attribute.name), new.get_mut(attribute.name)) {
                    for (key, value) in some_of(attribute, old, &unsaid) {
                        new.entry(key).or_insert(value);
                    }
                }
            }
        }
    }
}

/// Holds a new document to what is set once: a value that was there is there still. One that differs only in how it is
/// written keeps its old spelling.
///
/// # Errors
///
/// 400 `mutability` naming the attribute.
pub(super) fn hold(ty: &ResourceType, stored: &Attrs, new: &mut Attrs) -> Result<(), ScimError> {
    for extension in ty.extensions {
        let Some(Value::Object(old)) = stored.get(extension.id) else { continue };
        let set_once =
            |attribute: &Attribute| attribute.immutable() || attribute.sub_attributes.iter().any(Attribute::immutable);
        if !extension.attributes.iter().any(set_once) {
            continue;
        }
        let named = |error: ScimError| ScimError { detail: format!("{}:{}", extension.id, error.detail), ..error };
        let mut nothing = Attrs::new();
        let new = match new.get_mut(extension.id) {
            Some(Value::Object(new)) => new,
            _ => &mut nothing,
        };
        for attribute in extension.attributes.iter().filter(|attribute| set_once(attribute)) {
            if attribute.immutable() {
                hold_one(attribute, attribute.name, old, new).map_err(named)?;
            } else if !attribute.multi_valued && !new.contains_key(attribute.name) {
                let Some(Value::Object(old)) = old.get(attribute.name) else { continue };
                hold_parts(attribute, old, &mut Attrs::new()).map_err(named)?;
            }
            for (old, new) in pairs(attribute, old.get(attribute.name), new.get_mut(attribute.name)) {
                hold_parts(attribute, old, new).map_err(named)?;
            }
        }
    }
    Ok(())
}

/// As [`hold`], for the parts of one object.
pub(super) fn hold_parts(attribute: &Attribute, old: &Attrs, new: &mut Attrs) -> Result<(), ScimError> {
    for part in attribute.sub_attributes.iter().filter(|part| part.immutable()) {
        hold_one(part, &format!("{}.{}", attribute.name, part.name), old, new)?;
    }
    Ok(())
}

fn hold_one(attribute: &Attribute, path: &str, old: &Attrs, new: &mut Attrs) -> Result<(), ScimError> {
    let Some(before) = old.get(attribute.name) else { return Ok(()) };
    let same =
        new.get(attribute.name).is_some_and(|after| folded_value(attribute, after) == folded_value(attribute, before));
    if !same {
        return Err(ScimError::mutability(format!("{path} is set once, and it has another value already.")));
    }
    new.insert(attribute.name.to_owned(), before.clone());
    Ok(())
}

/// The objects of a complex attribute before and after: the object itself, or the entries of one `value`.
fn pairs<'a>(
    attribute: &Attribute,
    old: Option<&'a Value>,
    new: Option<&'a mut Value>,
) -> Vec<(&'a Attrs, &'a mut Attrs)> {
    match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => vec![(old, new)],
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            let Some(value) = attribute.sub("value") else { return Vec::new() };
            let id = |entry: &Attrs| entry.get(value.name).map(|id| folded_value(value, id));
            let before = |new: &Attrs| {
                let wanted = id(new)?;
                old.iter().filter_map(Value::as_object).find(|old| id(old).as_ref() == Some(&wanted))
            };
            new.iter_mut()
                .filter_map(Value::as_object_mut)
                .filter_map(|new: &mut Map<_, _>| Some((before(new)?, new)))
                .collect()
        }
        _ => Vec::new(),
    }
}
