//! The body of a PATCH becomes a list of operations, each with one target.

use serde_json::{Map, Value};

use super::target::Target;
use super::{Patch, PatchOp, Verb, partial};
use crate::scim::error::{ScimError, quoted};
use crate::scim::schema::{ResourceType, check};

/// The most operations in one request; live clients send up to a thousand.
pub const MOST_OPERATIONS: usize = 2000;

/// Reads a body: operations, or a partial resource of SCIM 1.1 (S11-35). Which dialect it is in is told by its shape,
/// operation by operation, never by configuration: one tenant sends both (ENTRA-12).
///
/// # Errors
///
/// 400 `invalidSyntax` for a body or an operation that is not one, 400 `invalidPath`, `invalidFilter` or `mutability` for
/// a path, 400 `mutability` for a `remove` of what is required, 400 `noTarget` for a `remove` without one, 400 `invalidValue` for a missing value, 413 for more than
/// [`MOST_OPERATIONS`].
pub fn parse(ty: &ResourceType, body: &Value) -> Result<Patch, ScimError> {
    check::refuse_nul(body, None)?;
    let Value::Object(body) = body else {
        return Err(ScimError::invalid_syntax("The body must be a JSON object."));
    };
    let Some(operations) = member(body, "Operations") else { return partial::parse(ty, body) };
    let Value::Array(operations) = operations else {
        return Err(ScimError::invalid_syntax("Operations must be a list."));
    };
    if operations.len() > MOST_OPERATIONS {
        return Err(ScimError::too_large(format!("The request has more than {MOST_OPERATIONS} operations.")));
    }
    let mut patch = Patch::default();
    for (index, operation) in operations.iter().enumerate() {
        let Value::Object(operation) = operation else {
            return Err(ScimError::invalid_syntax(format!("Operations[{index}] must be an object.")));
        };
        read(ty, operation, index, &mut patch.ops)?;
    }
    Ok(patch)
}

/// A member of an object, whatever the letter case of its key (P-43).
pub(super) fn member<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    object.get(key).or_else(|| object.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value))
}

fn read(
    ty: &ResourceType,
    operation: &Map<String, Value>,
    index: usize,
    ops: &mut Vec<PatchOp>,
) -> Result<(), ScimError> {
    let verb = member(operation, "op").and_then(Value::as_str).and_then(verb).ok_or_else(|| {
        ScimError::invalid_syntax(format!("Operations[{index}].op must be \"add\", \"replace\" or \"remove\"."))
    })?;
    let path = match member(operation, "path") {
        None | Some(Value::Null) => None,
        Some(Value::String(path)) if path.trim().is_empty() => None,
        Some(Value::String(path)) => Some(path.as_str()),
        Some(_) => return Err(ScimError::invalid_path(format!("Operations[{index}].path must be a string."))),
    };
    let value = member(operation, "value");
    if value.is_none() && verb != Verb::Remove {
        return Err(ScimError::invalid_value(format!("Operations[{index}] must have a value.")));
    }
    match (path, value) {
        (Some(path), value) => match Target::find(ty, path)? {
            Some(target) => push(ty, verb, target, value, ops),
            None => Ok(()),
        },
        (None, _) if verb == Verb::Remove => {
            Err(ScimError::no_target(format!("Operations[{index}] removes, and must have a path.")))
        }
        (None, Some(Value::Object(object))) => push_keys(ty, verb, object, "", ops),
        (None, _) => {
            Err(ScimError::invalid_value(format!("Operations[{index}] has no path, so its value must be an object.")))
        }
    }
}

fn verb(word: &str) -> Option<Verb> {
    [("add", Verb::Add), ("replace", Verb::Replace), ("remove", Verb::Remove)]
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(word.trim()))
        .map(|(_, verb)| verb)
}

/// Each key of a value without a path is itself a path (P-8, P-9). What cannot be found or written is left out (GEN-11,
/// P-31, P-40): unlike an explicit path it may be an echo of what we answered.
pub(super) fn push_keys(
    ty: &ResourceType,
    verb: Verb,
    object: &Map<String, Value>,
    prefix: &str,
    ops: &mut Vec<PatchOp>,
) -> Result<(), ScimError> {
    for (key, value) in object {
        let found =
            if prefix.is_empty() { Target::find(ty, key) } else { Target::find(ty, &format!("{prefix}:{key}")) };
        if let Ok(Some(target)) = found {
            push(ty, verb, target, Some(value), ops)?;
        }
    }
    Ok(())
}

fn push(
    ty: &ResourceType,
    verb: Verb,
    target: Target,
    value: Option<&Value>,
    ops: &mut Vec<PatchOp>,
) -> Result<(), ScimError> {
    if verb == Verb::Remove && target.is_required() {
        let detail = format!("{} is required and cannot be removed.", target.path);
        return Err(ScimError::mutability(detail));
    }
    let whole_extension = target.place.extension.filter(|_| target.place.attribute.is_none());
    match (whole_extension, verb, value) {
        (None, _, _) | (Some(_), Verb::Remove, _) => ops.push(PatchOp { verb, target, value: value.cloned() }),
        // An extension object merges (P-11).
        (Some(extension), _, Some(Value::Object(object))) => push_keys(ty, verb, object, extension.id, ops)?,
        (Some(_), Verb::Replace, Some(Value::Null)) => ops.push(PatchOp { verb: Verb::Remove, target, value: None }),
        (Some(_), _, None | Some(Value::Null)) => {}
        (Some(extension), _, Some(_)) => {
            return Err(ScimError::invalid_value(format!("{} must be an object.", quoted(extension.id))));
        }
    }
    Ok(())
}
