//! A partial resource as the body of a PATCH: SCIM 1.1 sends what is to change and, in `meta.attributes`, the names of
//! what is to go (S11-15).
//!
//! It is told from a list of operations by its shape, whatever the path or its URNs say (S11-35). The names go first, then
//! the rest is merged (S11-16), so that a name in both is replaced (S11-19). Nothing but a name in `meta.attributes` or an
//! entry marked as deleted takes anything away from a list.

use serde_json::{Map, Value};

use super::parse::{member, push_keys};
use super::target::Target;
use super::{Patch, PatchOp, Verb};
use crate::scim::error::{ScimError, ScimType};
use crate::scim::path::{self, Found};
use crate::scim::schema::{ResourceType, check};
use crate::scim::urn;

/// The most names in `meta.attributes`; a resource has fewer.
const MOST_NAMES: usize = 500;

/// Reads a body that has no `Operations`.
///
/// # Errors
///
/// 400 `invalidSyntax` for a body that is no partial resource either, 400 `invalidValue` or `mutability` for a name in
/// `meta.attributes`.
pub(super) fn parse(ty: &ResourceType, body: &Map<String, Value>) -> Result<Patch, ScimError> {
    if !is_partial(ty, body) {
        let detail =
            format!("The body must have Operations, a list (SCIM 2.0), or attributes of a {} (SCIM 1.1).", ty.name);
        return Err(ScimError::invalid_syntax(detail));
    }
    let mut patch = Patch::default();
    for name in named(body)? {
        match Target::find(ty, name) {
            Ok(Some(target)) => patch.ops.push(PatchOp { verb: Verb::Remove, target, value: None }),
            Ok(None) => {}
            // What this server does not know, it does not hold: gone already (GEN-11).
            Err(error) if error.scim_type == Some(ScimType::InvalidPath) => {}
            Err(error) => return Err(error),
        }
    }
    push_keys(ty, Verb::Merge, body, "", &mut patch.ops)?;
    Ok(patch)
}

/// Whether a body without `Operations` says something of a resource. One that announces operations is a mistake, and so is
/// one of which nothing is understood.
fn is_partial(ty: &ResourceType, body: &Map<String, Value>) -> bool {
    let names = |urn: &str| match member(body, "schemas") {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).any(|id| id.eq_ignore_ascii_case(urn)),
        _ => false,
    };
    let known = |key: &String| key.eq_ignore_ascii_case("password") || matches!(path::find(ty, key), Found::Known(_));
    !names(urn::PATCH_OP) && (names(urn::CORE_1) || body.keys().any(known))
}

/// The names in `meta.attributes`.
fn named(body: &Map<String, Value>) -> Result<Vec<&str>, ScimError> {
    let wrong = || ScimError::invalid_value("meta.attributes must be a list of attribute names.");
    let listed = member(body, "meta").and_then(Value::as_object).and_then(|meta| member(meta, "attributes"));
    match listed {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(name)) => Ok(vec![name]),
        Some(Value::Array(names)) if names.len() <= MOST_NAMES => {
            names.iter().map(|name| name.as_str().ok_or_else(wrong)).collect()
        }
        Some(Value::Array(_)) => Err(ScimError::invalid_value("meta.attributes has too many names.")),
        Some(_) => Err(wrong()),
    }
}

/// The entries that a partial resource lists, each with whether it is to go. One object stands for a list of one (OL-5),
/// null for a list of none.
///
/// # Errors
///
/// 400 `invalidValue` for an `operation` that is not `delete` (S11-32).
pub(super) fn entries(attribute: &str, value: Value) -> Result<Vec<(Value, bool)>, ScimError> {
    let given = match value {
        Value::Null => Vec::new(),
        Value::Array(list) => list,
        single => vec![single],
    };
    given
        .into_iter()
        .map(|mut entry| {
            let goes = match &mut entry {
                Value::Object(object) => check::take_operation(object, attribute)?,
                _ => false,
            };
            Ok((entry, goes))
        })
        .collect()
}

#[cfg(test)]
mod tests;
