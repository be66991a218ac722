//! [`Filter`] on a resource type to [`Expr`]: names found in the schema, values brought to the attribute's type.
//!
//! An attribute that documents do not have is refused, never answered by an empty list: an empty list makes clients
//! create duplicates.

use super::{AttrRef, Expr, Filter, Literal, Op, Word};
use crate::account::fold;
use crate::scim::error::{ScimError, quoted};
use crate::scim::folded;
use crate::scim::path::{self, Found, Place};
use crate::scim::schema::check::boolean;
use crate::scim::schema::{Attribute, Kind, LAST_LOGIN, ResourceType, Returned, Schema};
use crate::scim::urn;

/// Resolves a filter on resources.
///
/// Accepted beyond the RFC: `email` for `emails` (F-13), a bare complex attribute for its `value` (F-7, F-10, F-15), an
/// extension's attribute without its URN (F-7), a value whose quotation marks are missing or superfluous (F-4, P-16).
///
/// # Errors
///
/// 400 `invalidFilter` naming the attribute: unknown, not comparable in this way, or never answered.
pub fn resolve(filter: &Filter, ty: &ResourceType) -> Result<Expr, ScimError> {
    walk(filter, &Scope::Document { ty, elsewhere: None })
}

/// Resolves a filter that is asked of resources of several types at once (RFC 7644 section 3.4.2.1): what only
/// `elsewhere` knows has no value here.
///
/// # Errors
///
/// As [`resolve`], for what neither type knows.
pub fn resolve_among(filter: &Filter, ty: &ResourceType, elsewhere: &ResourceType) -> Result<Expr, ScimError> {
    walk(filter, &Scope::Document { ty, elsewhere: Some(elsewhere) })
}

/// The attribute that resources are sorted by: a name as in a filter, of a complex attribute its `value`; `None` where
/// the type has no such attribute.
pub(in crate::scim) fn resolve_key(name: &str, ty: &ResourceType) -> Option<AttrRef> {
    let (mut leaf, mut path, multi) = locate(name, &Scope::Document { ty, elsewhere: None }).ok()?;
    if leaf.kind == Kind::Complex {
        leaf = leaf.sub("value").filter(|part| part.kind != Kind::Complex)?;
        path.push(leaf.name.to_owned());
    }
    Some(reference(leaf, path, multi))
}

/// Resolves a filter on the elements of a list attribute, as the bracket of a PATCH path has it.
///
/// # Errors
///
/// As [`resolve`].
pub(in crate::scim) fn resolve_element(filter: &Filter, list: &'static Attribute) -> Result<Expr, ScimError> {
    walk(filter, &Scope::Element { of: list, prefix: &[], stored: true })
}

/// What names in a filter are relative to.
enum Scope<'a> {
    Document {
        ty: &'a ResourceType,
        /// The other type that the same filter is asked of.
        elsewhere: Option<&'a ResourceType>,
    },
    /// An element of a list (no prefix), or a single complex attribute (its path as prefix).
    Element {
        of: &'static Attribute,
        prefix: &'a [String],
        /// Whether only what a stored document holds can be compared.
        stored: bool,
    },
}

fn walk(filter: &Filter, scope: &Scope<'_>) -> Result<Expr, ScimError> {
    let Scope::Document { ty, elsewhere: Some(elsewhere) } = scope else { return here(filter, scope) };
    match filter {
        Filter::And(_) | Filter::Or(_) | Filter::Not(_) => here(filter, scope),
        leaf => here(leaf, &Scope::Document { ty, elsewhere: None }).or_else(|error| match resolve(leaf, elsewhere) {
            Ok(_) => Ok(of_no_value(leaf)),
            Err(_) => Err(error),
        }),
    }
}

/// What a condition says of a resource that cannot have the attribute.
fn of_no_value(leaf: &Filter) -> Expr {
    let holds = match leaf {
        Filter::Compare { op, value, .. } => (*op == Op::Ne) != is_null(value),
        _ => false,
    };
    if holds { Expr::True } else { Expr::False }
}

fn is_null(word: &Word) -> bool {
    matches!(word, Word::Bare(text) if text == "null")
}

fn here(filter: &Filter, scope: &Scope<'_>) -> Result<Expr, ScimError> {
    if let Scope::Document { ty, .. } = scope
        && let Some(expr) = of_schemas(filter, ty)?
    {
        return Ok(expr);
    }
    match filter {
        Filter::And(filters) => Ok(Expr::And(walk_all(filters, scope)?)),
        Filter::Or(filters) => Ok(Expr::Or(walk_all(filters, scope)?)),
        Filter::Not(filter) => Ok(Expr::Not(Box::new(walk(filter, scope)?))),
        Filter::Present(name) => {
            let (leaf, path, multi) = locate(name, scope)?;
            Ok(Expr::Present(reference(leaf, path, multi)))
        }
        Filter::Compare { attr, op, value } => compare(attr, *op, value, scope),
        Filter::Any { attr, filter } => any(attr, filter, scope),
    }
}

fn walk_all(filters: &[Filter], scope: &Scope<'_>) -> Result<Vec<Expr>, ScimError> {
    filters.iter().map(|filter| walk(filter, scope)).collect()
}

fn any(name: &str, filter: &Filter, scope: &Scope<'_>) -> Result<Expr, ScimError> {
    let (leaf, path, multi) = locate(name, scope)?;
    if leaf.kind != Kind::Complex && !leaf.multi_valued {
        return Err(ScimError::invalid_filter(format!("{} has no parts to filter by in brackets.", quoted(name))));
    }
    if !leaf.multi_valued {
        return walk(filter, &Scope::Element { of: leaf, prefix: &path, stored: false });
    }
    let inner = walk(filter, &Scope::Element { of: leaf, prefix: &[], stored: false })?;
    Ok(Expr::Any { attr: reference(leaf, path, multi), filter: Box::new(inner) })
}

fn compare(name: &str, op: Op, word: &Word, scope: &Scope<'_>) -> Result<Expr, ScimError> {
    let (mut leaf, mut path, multi) = locate(name, scope)?;
    if is_null(word) {
        let present = Expr::Present(reference(leaf, path, multi));
        return match op {
            Op::Eq => Ok(Expr::Not(Box::new(present))),
            Op::Ne => Ok(present),
            _ => Err(ScimError::invalid_filter(format!("{} null cannot be asked of {}.", op.as_str(), quoted(name)))),
        };
    }
    if leaf.kind == Kind::Complex {
        leaf = leaf.sub("value").filter(|part| part.kind != Kind::Complex).ok_or_else(|| {
            ScimError::invalid_filter(format!("{} has parts; name the one that is to be compared.", quoted(name)))
        })?;
        path.push(leaf.name.to_owned());
    }
    let value = literal(leaf, op, word)
        .map_err(|expected| ScimError::invalid_filter(format!("{} {} needs {expected}.", quoted(name), op.as_str())))?;
    if let (Scope::Document { ty, .. }, ["meta", "resourceType"], Literal::String(text)) =
        (scope, path.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), &value)
    {
        return Ok(if text_matches(op, ty.name, text) { Expr::True } else { Expr::False });
    }
    Ok(Expr::Compare { attr: reference(leaf, path, multi), op, value })
}

/// Whether two texts stand in that relation, byte by byte.
pub(super) fn text_matches(op: Op, value: &str, literal: &str) -> bool {
    match op {
        Op::Eq => value == literal,
        Op::Ne => value != literal,
        Op::Co => value.contains(literal),
        Op::Sw => value.starts_with(literal),
        Op::Ew => value.ends_with(literal),
        Op::Gt => value > literal,
        Op::Ge => value >= literal,
        Op::Lt => value < literal,
        Op::Le => value <= literal,
    }
}

type Located = (&'static Attribute, Vec<String>, Option<usize>);

fn locate(name: &str, scope: &Scope<'_>) -> Result<Located, ScimError> {
    let unknown = || ScimError::invalid_filter(format!("{} is not an attribute to filter by.", quoted(name)));
    match scope {
        Scope::Document { ty, .. } => {
            // `email` is no SCIM attribute, but two clients ask for it (F-13, F-14).
            let text = if name.eq_ignore_ascii_case("email") { "emails" } else { name };
            match path::find(ty, text) {
                Found::Known(place) if kept(place) => document_path(place).ok_or_else(unknown),
                _ => Err(unknown()),
            }
        }
        // An entry without parts is its own value.
        Scope::Element { of, prefix, .. } if of.kind != Kind::Complex && name.eq_ignore_ascii_case("value") => {
            Ok((of, prefix.to_vec(), None))
        }
        Scope::Element { of, prefix, stored } => {
            let fits = |part: &&Attribute| filterable(of, part) && !(*stored && part.name == "$ref");
            let part = of.sub(name).filter(fits).ok_or_else(unknown)?;
            let mut path = prefix.to_vec();
            path.push(part.name.to_owned());
            Ok((part, path, None))
        }
    }
}

fn document_path(place: Place) -> Option<Located> {
    let attribute = place.attribute?;
    let mut path = Vec::with_capacity(3);
    path.extend(place.extension.map(|extension| extension.id.to_owned()));
    let multi = attribute.multi_valued.then_some(path.len());
    path.push(attribute.name.to_owned());
    path.extend(place.sub.map(|sub| sub.name.to_owned()));
    Some((place.sub.unwrap_or(attribute), path, multi))
}

fn kept(place: Place) -> bool {
    match (place.attribute, place.sub) {
        (Some(attribute), Some(sub)) => attribute.returned != Returned::Never && filterable(attribute, sub),
        (Some(attribute), None) => attribute.returned != Returned::Never,
        _ => true,
    }
}

/// The URL of a manager is made of an id that need not be anybody's; and who may not read a value must not find it out by
/// asking.
fn filterable(attribute: &Attribute, sub: &Attribute) -> bool {
    (attribute.name, sub.name) != ("manager", "$ref") && sub.returned != Returned::Never
}

/// `schemas` is in no document: it follows from the extensions that the document contains. URNs compare without regard
/// to letter case, like everywhere else.
fn of_schemas(filter: &Filter, ty: &ResourceType) -> Result<Option<Expr>, ScimError> {
    let is_schemas = |name: &str| name.eq_ignore_ascii_case("schemas");
    match filter {
        Filter::Present(name) if is_schemas(name) => Ok(Some(Expr::True)),
        Filter::Any { attr, .. } if is_schemas(attr) => {
            Err(ScimError::invalid_filter("schemas has no parts to filter by in brackets."))
        }
        Filter::Compare { attr, op, value } if is_schemas(attr) && is_null(value) => match op {
            Op::Eq => Ok(Some(Expr::False)),
            Op::Ne => Ok(Some(Expr::True)),
            _ => Err(ScimError::invalid_filter(format!("{} null cannot be asked of schemas.", op.as_str()))),
        },
        Filter::Compare { attr, op, value } if is_schemas(attr) => {
            let literal = fold(value.text());
            // A schema is one value, whichever of its names the client knows.
            let says = |schema: &Schema| match op {
                Op::Ne => !schema.ids().any(|id| fold(id) == literal),
                _ => schema.ids().any(|id| text_matches(*op, &fold(id), &literal)),
            };
            if says(ty.core) {
                return Ok(Some(Expr::True));
            }
            let extensions = ty.extensions.iter().filter(|extension| says(extension));
            let mut present: Vec<Expr> = extensions.flat_map(|extension| carried(extension)).collect();
            Ok(Some(match (present.pop(), present.is_empty()) {
                (None, _) => Expr::False,
                (Some(only), true) => only,
                (Some(last), false) => {
                    present.push(last);
                    Expr::Or(present)
                }
            }))
        }
        _ => Ok(None),
    }
}

/// What makes a resource carry an extension: a value of the client's, or one that the server adds.
fn carried(extension: &Schema) -> impl Iterator<Item = Expr> + use<> {
    let added = extension.attribute(LAST_LOGIN).filter(|_| extension.id == urn::ENTERPRISE_USER);
    let path = vec![extension.id.to_owned(), LAST_LOGIN.to_owned()];
    let added = added.map(|attribute| Expr::Present(reference(attribute, path, None)));
    std::iter::once(Expr::Present(whole(extension.id))).chain(added)
}

fn whole(extension: &str) -> AttrRef {
    AttrRef { path: vec![extension.to_owned()], kind: Kind::Complex, case_exact: false, multi: None }
}

fn reference(leaf: &Attribute, path: Vec<String>, multi: Option<usize>) -> AttrRef {
    AttrRef { path, kind: leaf.kind, case_exact: leaf.case_exact, multi }
}

/// The value in the attribute's type, or what the operator needs instead.
fn literal(leaf: &Attribute, op: Op, word: &Word) -> Result<Literal, &'static str> {
    let ordered = matches!(op, Op::Gt | Op::Ge | Op::Lt | Op::Le);
    let textual = matches!(op, Op::Co | Op::Sw | Op::Ew);
    let text = word.text();
    match leaf.kind {
        Kind::Boolean if ordered || textual => Err("another operator: a boolean is only equal or not"),
        Kind::Boolean => boolean(text).map(Literal::Bool).ok_or("true or false"),
        Kind::DateTime if textual => Err("another operator: a date has no text to search"),
        Kind::DateTime => {
            folded::instant(text).map(Literal::DateTime).ok_or("a date and time such as 2026-04-07T14:19:34Z")
        }
        Kind::Integer | Kind::Decimal if textual => Err("another operator: a number has no text to search"),
        Kind::Integer | Kind::Decimal => text.parse().map(Literal::Number).map_err(|_| "a number"),
        Kind::Binary if ordered => Err("another operator: binary values have no order"),
        Kind::String | Kind::Reference | Kind::Binary if leaf.case_exact => Ok(Literal::String(text.to_owned())),
        Kind::String | Kind::Reference | Kind::Binary => Ok(Literal::String(fold(text))),
        Kind::Complex => Err("an attribute without parts"),
    }
}
