//! One value against one attribute: coerced, cleaned, or refused with the attribute's path in the sentence.
//!
//! Used for whole bodies and for the values of PATCH operations alike, so that both are equally lenient. It knows nothing
//! of required attributes (a PATCH value need not be complete) and nothing of the document around the value.

use std::fmt;

use serde_json::{Map, Value};

use super::{Attribute, Kind};
use crate::scim::error::{ScimError, quoted};
use crate::scim::folded;

/// Where a value stands, for the sentence of an error; costs nothing until it is printed.
#[derive(Clone, Copy)]
pub(in crate::scim) struct At<'a> {
    parent: Option<&'a At<'a>>,
    name: &'a str,
}

impl<'a> At<'a> {
    /// The root of a path.
    pub(in crate::scim) fn root(name: &'a str) -> Self {
        Self { parent: None, name }
    }

    /// A step further.
    pub(in crate::scim) fn then(&'a self, name: &'a str) -> At<'a> {
        At { parent: Some(self), name }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            // The last colon parts an extension's URN from the attribute (ENTRA-16).
            write!(f, "{parent}{}", if parent.name.contains(':') { ":" } else { "." })?;
        }
        f.write_str(&quoted(self.name))
    }
}

fn wrong(at: At<'_>, expected: &str) -> ScimError {
    ScimError::invalid_value(format!("{at} must be {expected}."))
}

/// The value as it is stored, or `None` where it stands for "no value": null (GEN-9), an empty string (OL-2, P-42), an
/// empty list or an object of which nothing is left.
///
/// # Errors
///
/// 400 `invalidValue` naming the attribute.
pub(in crate::scim) fn accept(
    attribute: &'static Attribute,
    value: Value,
    at: At<'_>,
) -> Result<Option<Value>, ScimError> {
    if !attribute.multi_valued {
        return accept_one(attribute, value, at);
    }
    let given = match value {
        Value::Null => return Ok(None),
        Value::Array(list) => list,
        // An object, or a bare string, where a list is expected (OL-5, P-35).
        single => vec![single],
    };
    let whole_entries = attribute.sub_attributes.iter().any(|part| part.required);
    let mut kept = Vec::with_capacity(given.len());
    for element in given {
        match accept_one(attribute, element, at)? {
            Some(element) => kept.push(element),
            // A list whose entries lost their ids must not pass for an empty one: it would empty a group.
            None if whole_entries => return Err(incomplete(attribute, at)),
            None => {}
        }
    }
    kept.retain(says_something);
    keep_first_primary(&mut kept);
    // An empty list of members is kept apart from none: `patch::take_members` tells them apart.
    Ok(if kept.is_empty() && !whole_entries { None } else { Some(Value::Array(kept)) })
}

fn incomplete(attribute: &Attribute, at: At<'_>) -> ScimError {
    let missing = attribute.sub_attributes.iter().find(|part| part.required).map_or("value", |part| part.name);
    ScimError::invalid_value(format!("{} is required in every entry.", at.then(missing)))
}

/// One value of the attribute, or one element of its list.
pub(in crate::scim) fn accept_one(
    attribute: &'static Attribute,
    value: Value,
    at: At<'_>,
) -> Result<Option<Value>, ScimError> {
    match (attribute.kind, value) {
        (_, Value::Null) => Ok(None),
        (_, Value::String(text)) if text.is_empty() => Ok(None),
        (Kind::Complex, value) => accept_complex(attribute, value, at),
        (Kind::String | Kind::Reference | Kind::Binary, Value::String(text)) => Ok(Some(Value::String(text))),
        (Kind::String | Kind::Reference | Kind::Binary, _) => Err(wrong(at, "a string")),
        (Kind::Boolean, Value::Bool(flag)) => Ok(Some(Value::Bool(flag))),
        (Kind::Boolean, Value::String(text)) => match boolean(&text) {
            Some(flag) => Ok(Some(Value::Bool(flag))),
            None => Err(wrong(at, "true or false")),
        },
        (Kind::Boolean, _) => Err(wrong(at, "true or false")),
        (Kind::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => Ok(Some(Value::Number(number))),
        (Kind::Integer, _) => Err(wrong(at, "a whole number")),
        (Kind::Decimal, Value::Number(number)) => Ok(Some(Value::Number(number))),
        (Kind::Decimal, _) => Err(wrong(at, "a number")),
        // Stored as it was written (GEN-21); only comparisons normalise it.
        (Kind::DateTime, Value::String(text)) if folded::instant(&text).is_some() => Ok(Some(Value::String(text))),
        (Kind::DateTime, _) => Err(wrong(at, "a date and time such as 2026-04-07T14:19:34Z")),
    }
}

fn accept_complex(attribute: &'static Attribute, value: Value, at: At<'_>) -> Result<Option<Value>, ScimError> {
    match value {
        Value::Object(object) => {
            let kept = accept_parts(attribute.sub_attributes, object, at)?;
            if attribute.sub_attributes.iter().any(|part| part.required && !kept.contains_key(part.name)) {
                return Err(incomplete(attribute, at));
            }
            Ok(if kept.is_empty() { None } else { Some(Value::Object(kept)) })
        }
        // A plain string stands for the object's `value` (ENTRA-10, P-18, P-35).
        Value::String(_) => match attribute.sub("value") {
            Some(part) => Ok(accept_one(part, value, at.then(part.name))?.map(|value| wrapped(part.name, value))),
            None => Err(wrong(at, "an object")),
        },
        // A list of one stands for the object (P-19), and an empty one for no value.
        Value::Array(mut list) if list.len() <= 1 && !attribute.multi_valued => match list.pop() {
            Some(Value::Array(_)) => Err(wrong(at, "an object")),
            Some(only) => accept_one(attribute, only, at),
            None => Ok(None),
        },
        _ if attribute.multi_valued => Err(wrong(at, "a list of objects")),
        _ => Err(wrong(at, "an object")),
    }
}

fn wrapped(name: &str, value: Value) -> Value {
    let mut object = Map::new();
    object.insert(name.to_owned(), value);
    Value::Object(object)
}

/// The members of an object under their canonical names (GEN-7); unknown ones (GEN-11) and the server's own (GEN-12) are
/// left out.
pub(in crate::scim) fn accept_parts(
    attributes: &'static [Attribute],
    object: Map<String, Value>,
    at: At<'_>,
) -> Result<Map<String, Value>, ScimError> {
    let mut kept = Map::new();
    for (key, value) in object {
        let Some(attribute) = attributes.iter().find(|attribute| attribute.is_called(&key)) else {
            continue;
        };
        if attribute.read_only() {
            continue;
        }
        match accept(attribute, value, at.then(attribute.name))? {
            // Only the list of members tells an empty list from none.
            Some(Value::Array(list)) if list.is_empty() => {}
            Some(value) => drop(kept.insert(canonical(key, attribute.name), value)),
            None => {}
        }
    }
    Ok(kept)
}

/// Takes `operation` out of an entry, which SCIM 1.1 writes to have it deleted: whether it says so. Never stored (S11-32).
///
/// # Errors
///
/// 400 `invalidValue` for anything but `delete`, in any letter case.
pub(in crate::scim) fn take_operation(entry: &mut Map<String, Value>, attribute: &str) -> Result<bool, ScimError> {
    let Some(key) = entry.keys().find(|key| key.eq_ignore_ascii_case("operation")).cloned() else { return Ok(false) };
    match entry.remove(&key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::String(word)) if word.is_empty() => Ok(false),
        Some(Value::String(word)) if word.eq_ignore_ascii_case("delete") => Ok(true),
        Some(_) => Err(ScimError::invalid_value(format!("{attribute}.operation must be \"delete\"."))),
    }
}

/// The canonical spelling, without an allocation in the usual case that the client used it.
pub(in crate::scim) fn canonical(key: String, name: &'static str) -> String {
    if key == name { key } else { name.to_owned() }
}

/// The word for a boolean, in any letter case (GEN-10, ENTRA-14).
pub(in crate::scim) fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// Whether an element of a list has more than its label: a template with an empty macro leaves
/// `{"type":"work","primary":true}`, which is no e-mail address (OL-2).
pub(in crate::scim) fn says_something(element: &Value) -> bool {
    match element {
        Value::Object(object) => object.keys().any(|key| key != "type" && key != "primary"),
        _ => true,
    }
}

/// Whether an element is marked as the preferred one.
pub(in crate::scim) fn is_primary(element: &Value) -> bool {
    element.get("primary") == Some(&Value::Bool(true))
}

/// Takes the mark from every element but that one.
pub(in crate::scim) fn keep_primary(list: &mut [Value], keep: usize) {
    for (index, element) in list.iter_mut().enumerate() {
        if index != keep
            && is_primary(element)
            && let Value::Object(object) = element
        {
            object.insert("primary".to_owned(), Value::Bool(false));
        }
    }
}

/// Two elements marked as primary: the first keeps the mark (PING-8).
fn keep_first_primary(list: &mut [Value]) {
    if let Some(first) = list.iter().position(is_primary) {
        keep_primary(list, first);
    }
}

/// Refuses NUL anywhere in a body, in what is ignored too: no store or target can hold it, and the record of the request
/// keeps the whole body.
///
/// # Errors
///
/// 400 `invalidValue` naming the attribute.
pub(in crate::scim) fn refuse_nul(value: &Value, at: Option<At<'_>>) -> Result<(), ScimError> {
    match value {
        Value::String(text) if text.contains('\0') => Err(nul(at)),
        Value::Array(list) => list.iter().try_for_each(|element| refuse_nul(element, at)),
        Value::Object(object) => object.iter().try_for_each(|(key, value)| {
            let here = match &at {
                Some(at) => at.then(key),
                None => At::root(key),
            };
            if key.contains('\0') { Err(nul(Some(here))) } else { refuse_nul(value, Some(here)) }
        }),
        _ => Ok(()),
    }
}

fn nul(at: Option<At<'_>>) -> ScimError {
    match at {
        Some(at) => ScimError::invalid_value(format!("{at} contains the character U+0000, which cannot be stored.")),
        None => ScimError::invalid_value("The body contains the character U+0000, which cannot be stored."),
    }
}
