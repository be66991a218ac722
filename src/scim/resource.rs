//! Bodies of POST and PUT become documents: canonical names, checked types, nothing that is the server's own.
//!
//! The rules are RFC 7644 sections 3.3 and 3.5.1, widened by what clients send (GEN-7 to GEN-12). A document never
//! contains `id`, `meta`, `schemas`, `groups` or `password`.

use serde_json::{Map, Value};

use super::error::ScimError;
use super::lasting;
use super::schema::check::{self, At, accept, canonical};
use super::schema::{Attribute, ResourceType, Uniqueness};

/// The client-owned document: canonical attribute names, extension objects under their URN, no nulls, no empty values.
pub type Attrs = Map<String, Value>;

/// The longest value, in bytes, of an attribute that the store keeps an index of: a Postgres index entry holds about
/// 2,700 bytes, and folding may lengthen a text.
pub const LONGEST_KEY: usize = 1024;

/// The document of a POST body.
///
/// # Errors
///
/// 400 `invalidSyntax` where the body is no object, 400 `invalidValue` naming the attribute where a value has the wrong
/// type or a required one is missing.
pub fn check_new(ty: &ResourceType, body: Value) -> Result<Attrs, ScimError> {
    let attrs = read(ty, body)?;
    check_whole(ty, &attrs)?;
    Ok(attrs)
}

/// Everything but the rules about the whole document.
fn read(ty: &ResourceType, body: Value) -> Result<Attrs, ScimError> {
    check::refuse_nul(&body, None)?;
    let Value::Object(body) = body else {
        return Err(ScimError::invalid_syntax("The body must be a JSON object."));
    };
    let mut attrs = Attrs::new();
    for (key, value) in body {
        if let Some(attribute) = ty.attribute(&key) {
            if !attribute.read_only()
                && let Some(value) = accept(attribute, value, At::root(attribute.name))?
            {
                attrs.insert(canonical(key, attribute.name), value);
            }
        } else if let Some(extension) = ty.extension(&key) {
            let at = At::root(extension.id);
            let object = match value {
                Value::Object(object) => check::accept_parts(extension.attributes, object, at)?,
                Value::Null => continue,
                _ => return Err(ScimError::invalid_value(format!("{at} must be an object."))),
            };
            if !object.is_empty() {
                match attrs.get_mut(extension.id) {
                    // Named twice, by the URNs of both protocol versions.
                    Some(Value::Object(known)) => known.extend(object),
                    _ => _ = attrs.insert(canonical(key, extension.id), Value::Object(object)),
                }
            }
        }
        // Anything else is ignored (GEN-11): `password` (OKTA-7), `schemas` (GEN-8), misspelt names and URNs (ENTRA-8,
        // ENTRA-9, OL-4), attributes of schemas that are not served here (OPP-3).
    }
    Ok(attrs)
}

/// The document of a PUT body, which replaces `stored`. What the client does not see or cannot write stays, so that a
/// body which is an earlier answer changes nothing (OKTA-12). A body without `active` does not switch a user on or off:
/// the stored value stays (OKTA-13).
///
/// # Errors
///
/// As [`check_new`]; 400 `mutability` for another value of what is set once.
pub fn check_replace(ty: &ResourceType, body: Value, stored: &Attrs) -> Result<Attrs, ScimError> {
    let unsaid = lasting::unsaid(ty, stored, &body);
    let mut attrs = read(ty, body)?;
    lasting::restore(ty, unsaid, stored, &mut attrs);
    lasting::hold(ty, stored, &mut attrs)?;
    if ty.attribute("active").is_some()
        && !attrs.contains_key("active")
        && let Some(active) = stored.get("active")
    {
        attrs.insert("active".to_owned(), active.clone());
    }
    check_whole(ty, &attrs)?;
    Ok(attrs)
}

/// The schema URNs of a document: the core schema, and the extensions that it contains (P-10, ENTRA-9).
pub fn schemas_of(ty: &ResourceType, attrs: &Attrs) -> Vec<&'static str> {
    let extensions = ty.extensions.iter().map(|extension| extension.id).filter(|id| attrs.contains_key(*id));
    std::iter::once(ty.core.id).chain(extensions).collect()
}

/// The rules about the whole document rather than one value: required attributes, and lengths the store cannot index.
pub(in crate::scim) fn check_whole(ty: &ResourceType, attrs: &Attrs) -> Result<(), ScimError> {
    for attribute in ty.core.attributes {
        required(attribute, attrs, At::root(attribute.name))?;
        if attribute.uniqueness == Uniqueness::Server {
            bounded(attribute.name, attrs.get(attribute.name).and_then(Value::as_str))?;
        }
    }
    // An extension as a whole is never required; what it requires is required where it is present.
    for extension in ty.extensions {
        if let Some(Value::Object(object)) = attrs.get(extension.id) {
            let at = At::root(extension.id);
            extension
                .attributes
                .iter()
                .try_for_each(|attribute| required(attribute, object, at.then(attribute.name)))?;
        }
    }
    bounded("externalId", attrs.get("externalId").and_then(Value::as_str))?;
    if let Some(Value::Array(emails)) = attrs.get("emails") {
        for email in emails {
            bounded("emails.value", email.get("value").and_then(Value::as_str))?;
        }
    }
    Ok(())
}

fn required(attribute: &Attribute, holder: &Attrs, at: At<'_>) -> Result<(), ScimError> {
    let missing = match holder.get(attribute.name) {
        None => true,
        Some(Value::String(text)) => text.trim().is_empty(),
        Some(_) => false,
    };
    if attribute.required && missing {
        return Err(ScimError::invalid_value(format!("{at} is required and must not be empty.")));
    }
    // A bracket of a PATCH path may have made an entry without it.
    let entries = match holder.get(attribute.name) {
        Some(Value::Array(entries)) => entries.as_slice(),
        Some(entry) => std::slice::from_ref(entry),
        None => &[],
    };
    for entry in entries.iter().filter_map(Value::as_object) {
        attribute.sub_attributes.iter().try_for_each(|part| required(part, entry, at.then(part.name)))?;
    }
    Ok(())
}

fn bounded(name: &str, value: Option<&str>) -> Result<(), ScimError> {
    match value {
        Some(text) if text.len() > LONGEST_KEY => {
            Err(ScimError::invalid_value(format!("{name} must not be longer than {LONGEST_KEY} bytes.")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(in crate::scim) mod tests;
