//! What an operation is aimed at: a PATCH path looked up in the schema.

use serde_json::{Map, Value};

use crate::scim::error::{ScimError, quoted};
use crate::scim::filter::{Expr, Filter, Limits, Op, eval, parse_path, resolve_element};
use crate::scim::folded::folded_value;
use crate::scim::path::{self, Found, Place};
use crate::scim::schema::check::{At, accept_one};
use crate::scim::schema::{Attribute, ResourceType};

/// Limits for the bracket of a path; far above what any client sends.
const LIMITS: Limits = Limits { depth: 16, terms: 100, length: 8 * 1024 };

/// A place, and which of its entries.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Target {
    /// As the client wrote it, for the sentence of an error.
    pub(super) path: String,
    pub(super) place: Place,
    pub(super) selection: Option<Selection>,
}

/// The bracket of a path.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Selection {
    /// The filter, relative to an entry.
    pub(super) expr: Expr,
    /// The entry that the filter describes, where it is made of `eq` joined by `and`: what is created if none is there
    /// (ENTRA-17). Unlike the filter it is not folded, since it is going to be stored.
    pub(super) seed: Option<Map<String, Value>>,
}

impl Selection {
    /// Whether an entry of the list is meant.
    pub(super) fn selects(&self, attribute: &Attribute, entry: &Value) -> bool {
        eval(&self.expr, &folded_value(attribute, entry))
    }
}

impl Target {
    /// Looks up a path. `None` for what is accepted and has no effect: `schemas` (GEN-8), `password` (P-3) and what
    /// belongs to a schema that is not served (GEN-11).
    ///
    /// # Errors
    ///
    /// 400 `invalidPath` for what cannot be read or found, 400 `invalidFilter` for a bracket that cannot, 400
    /// `mutability` for the server's own attributes (P-45).
    pub(super) fn find(ty: &ResourceType, text: &str) -> Result<Option<Self>, ScimError> {
        let parts = parse_path(text, &LIMITS)?;
        let unknown = || ScimError::invalid_path(format!("{} is not an attribute of a {}.", quoted(text), ty.name));
        let mut place = match path::find(ty, parts.attr) {
            Found::Known(place) => place,
            Found::Foreign => return Ok(None),
            Found::Unknown if accepted_and_dropped(parts.attr) => return Ok(None),
            Found::Unknown => return Err(unknown()),
        };
        let Some(attribute) = place.attribute else {
            return match parts.filter {
                None => Ok(Some(Self { path: quoted(text), place, selection: None })),
                Some(_) => Err(unknown()),
            };
        };
        if let Some(sub) = parts.sub {
            place.sub = Some(attribute.sub(sub).ok_or_else(unknown)?);
        }
        if attribute.read_only() || place.sub.is_some_and(Attribute::read_only) {
            return Err(ScimError::mutability(format!("{} is read-only.", quoted(text))));
        }
        let selection = match parts.filter {
            None => None,
            Some(_) if !attribute.multi_valued => {
                return Err(ScimError::invalid_path(format!(
                    "{} cannot be read: {} is not a list.",
                    quoted(text),
                    attribute.name
                )));
            }
            Some(filter) => {
                Some(Selection { expr: resolve_element(&filter, attribute)?, seed: seed(&filter, attribute) })
            }
        };
        Ok(Some(Self { path: quoted(text), place, selection }))
    }
}

impl Target {
    /// Whether all of a required attribute is meant.
    pub(super) fn is_required(&self) -> bool {
        let whole = self.selection.is_none() && self.place.sub.is_none();
        whole && self.place.attribute.is_some_and(|attribute| attribute.required)
    }
}

fn accepted_and_dropped(name: &str) -> bool {
    name.eq_ignore_ascii_case("schemas") || name.eq_ignore_ascii_case("password")
}

/// The entry that a plain filter describes, or `None` for any other filter.
fn seed(filter: &Filter, attribute: &'static Attribute) -> Option<Map<String, Value>> {
    let mut entry = Map::new();
    let terms = match filter {
        Filter::And(terms) => terms.as_slice(),
        single => std::slice::from_ref(single),
    };
    for term in terms {
        let Filter::Compare { attr, op: Op::Eq, value } = term else { return None };
        let part = attribute.sub(attr).filter(|part| !part.read_only())?;
        let value = accept_one(part, Value::from(value.text()), At::root(part.name)).ok().flatten()?;
        if entry.insert(part.name.to_owned(), value).is_some() {
            return None;
        }
    }
    Some(entry)
}
