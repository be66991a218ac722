//! Where values go in a SCIM document: what `attributes` of a source may name, whatever the values come from.

use serde_json::{Map, Value, json};

use crate::scim::{self, urn};

/// What the mapping of enterprise attributes begins with.
pub(super) const ENTERPRISE: &str = "enterprise.";
/// A person has at most so many values of one attribute.
pub(super) const MOST_VALUES: usize = 50;

/// Where a value goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// `title`
    Plain(String),
    /// `name.givenName`
    Part(String, String),
    /// `emails`: all values, the first is the primary one.
    List(String),
    /// `urn:…:User:department`
    Extension(String, String),
    /// `urn:…:User:manager.value`
    ExtensionPart(String, String, String),
}

impl Goal {
    /// The place that a path names.
    ///
    /// # Errors
    /// A sentence: there is no such place, or it is not to be written.
    pub(super) fn read(path: &str) -> Result<Self, String> {
        let extension = |urn: &str, rest: &str| match rest.split_once('.') {
            None => Self::Extension(urn.to_owned(), rest.to_owned()),
            Some((name, part)) => Self::ExtensionPart(urn.to_owned(), name.to_owned(), part.to_owned()),
        };
        if let Some(rest) = path.strip_prefix(ENTERPRISE) {
            return Ok(extension(urn::ENTERPRISE_USER, rest));
        }
        if path.to_lowercase().starts_with("urn:") {
            let (urn, rest) = path.rsplit_once(':').ok_or_else(|| unknown(path))?;
            return Ok(extension(urn, rest));
        }
        let (name, part) = path.split_once('.').map_or((path, None), |(name, part)| (name, Some(part)));
        let attribute = scim::user().attribute(name).ok_or_else(|| unknown(path))?;
        let settled = ["externalId", "active", "id", "meta", "groups", "password"];
        if attribute.read_only() || settled.iter().any(|own| attribute.name.eq_ignore_ascii_case(own)) {
            return Err(format!(
                "attributes: {} is not mapped: it is made of the id, or the server's own",
                attribute.name
            ));
        }
        Ok(match part {
            Some(part) => Self::Part(attribute.name.to_owned(), part.to_owned()),
            None if attribute.multi_valued => Self::List(attribute.name.to_owned()),
            None => Self::Plain(attribute.name.to_owned()),
        })
    }

    /// Whether people are known by it.
    pub(super) fn is_user_name(&self) -> bool {
        matches!(self, Self::Plain(name) if name == "userName")
    }

    /// Puts values there, of which there is at least one; all but lists take the first.
    pub(super) fn put(&self, body: &mut Map<String, Value>, values: &[&str]) {
        let first = json!(values.first());
        match self {
            Self::Plain(name) => drop(body.insert(name.clone(), first)),
            Self::Part(name, part) | Self::Extension(name, part) => put_within(body, name, part, first),
            Self::List(name) => {
                let item = |(place, value): (usize, &&str)| match place {
                    0 => json!({ "value": value, "type": "work", "primary": true }),
                    _ => json!({ "value": value, "type": "other" }),
                };
                body.insert(name.clone(), values.iter().enumerate().map(item).collect());
            }
            Self::ExtensionPart(urn, name, part) => {
                let extension = body.entry(urn.clone()).or_insert_with(|| json!({}));
                if let Some(extension) = extension.as_object_mut() {
                    put_within(extension, name, part, first);
                }
            }
        }
    }

    /// Takes away what is there.
    pub(super) fn clear(&self, body: &mut Map<String, Value>) {
        let within = |object: Option<&mut Value>, part: &str| {
            if let Some(object) = object.and_then(Value::as_object_mut) {
                object.remove(part);
            }
        };
        match self {
            Self::Plain(name) | Self::List(name) => drop(body.remove(name)),
            Self::Part(name, part) | Self::Extension(name, part) => within(body.get_mut(name), part),
            Self::ExtensionPart(urn, name, part) => {
                within(body.get_mut(urn).and_then(|extension| extension.get_mut(name)), part);
            }
        }
    }
}

fn unknown(path: &str) -> String {
    format!("attributes: {path} is no attribute of a SCIM user")
}

fn put_within(body: &mut Map<String, Value>, name: &str, part: &str, value: Value) {
    if let Some(object) = body.entry(name).or_insert_with(|| json!({})).as_object_mut() {
        object.insert(part.to_owned(), value);
    }
}
