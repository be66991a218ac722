//! PATCH (RFC 7644 section 3.5.2): a body becomes a [`Patch`], which applied to a document gives the new document.
//!
//! [`parse()`] needs no document, so that a body can be judged once and applied to whatever is stored when its turn comes.
//! [`apply()`] works on a copy: the whole list of operations succeeds or nothing changes (P-38). Members of a group are
//! rows and never a document, so [`split_members`] turns what concerns them into differences (OKTA-29).
//!
//! A body without operations may be a partial resource, which is how SCIM 1.1 patches: it becomes operations as well.
//!
//! What is kept for the sake of live clients (the section on PATCH shapes of the client reference):
//!
//! 1. `op` in any letter case;
//! 2. `remove` with a value list removes those, never all (P-26, P-34); without a value it removes all (P-28);
//! 3. a filter in a path that selects nothing creates the entry if it is made of `eq` joined by `and` (P-12 to P-14),
//!    and for `remove` succeeds;
//! 4. members are told apart by `value` only;
//! 5. a new primary entry takes the mark from the old one;
//! 6. one request, one outcome.

mod add;
mod list;
mod members;
mod merge;
mod parse;
mod partial;
mod remove;
mod replace;
mod single;
mod target;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};

pub use members::{GroupPatch, Member, MemberChange, split_members, take_members};
pub use parse::{MOST_OPERATIONS, parse};
use target::Target;

use super::error::ScimError;
use super::lasting;
use super::resource::{Attrs, check_whole};
use super::schema::{Attribute, ResourceType, check};

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Adds to a list; sets what is single.
    Add,
    /// Replaces a list; sets what is single; merges into what is complex (P-21).
    Replace,
    /// Takes away.
    Remove,
    /// Merges what a partial resource of SCIM 1.1 says (S11-17).
    Merge,
}

/// One operation with one target. An operation without a path has become one for each key of its value (P-8, P-9).
#[derive(Clone, Debug, PartialEq)]
pub struct PatchOp {
    verb: Verb,
    target: Target,
    value: Option<Value>,
}

/// The operations of a request, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Patch {
    /// The operations that have an effect on something this server stores.
    pub ops: Vec<PatchOp>,
}

impl Patch {
    /// Whether nothing is asked for (P-37).
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }
}

/// The document that the operations make of `attrs`.
///
/// # Errors
///
/// 400 `invalidValue` for a value of the wrong type or a required attribute that would be missing, 400 `noTarget` for an
/// entry that is not there and cannot be made from the path, 400 `mutability` for another value of what is set once. The
/// sentence names the path.
pub fn apply(patch: &Patch, ty: &ResourceType, attrs: &Attrs) -> Result<Attrs, ScimError> {
    let mut doc = attrs.clone();
    for op in &patch.ops {
        apply_one(op, &mut doc).map_err(|error| at_path(op, error))?;
    }
    tidy(ty, &mut doc);
    keep_active(ty, attrs, &mut doc);
    lasting::hold(ty, attrs, &mut doc)?;
    check_whole(ty, &doc)?;
    Ok(doc)
}

/// To take `active` away switches nobody on or off, as a PUT without it does not (OKTA-13): what has no `active` counts as
/// active, and nobody gets access by the lack of a word.
fn keep_active(ty: &ResourceType, stored: &Attrs, doc: &mut Attrs) {
    if ty.attribute("active").is_some()
        && !doc.contains_key("active")
        && let Some(active) = stored.get("active")
    {
        doc.insert("active".to_owned(), active.clone());
    }
}

/// The sentence with the operation's path, where it does not begin with it anyway.
fn at_path(op: &PatchOp, error: ScimError) -> ScimError {
    let path = &op.target.path;
    if error.detail.starts_with(path) {
        error
    } else {
        ScimError { detail: format!("{path}: {}", error.detail), ..error }
    }
}

fn apply_one(op: &PatchOp, doc: &mut Attrs) -> Result<(), ScimError> {
    match (op.target.place.extension, op.target.place.attribute) {
        (None, Some(attribute)) => change(op, attribute, doc),
        (Some(extension), Some(attribute)) => {
            let mut inner = take_object(doc, extension.id);
            let outcome = change(op, attribute, &mut inner);
            put_object(doc, extension.id, inner);
            outcome
        }
        // A whole extension: the parser leaves nothing but its removal.
        (Some(extension), None) => {
            let mut inner = take_object(doc, extension.id);
            inner.retain(|key, _| extension.attribute(key).is_some_and(Attribute::read_only));
            put_object(doc, extension.id, inner);
            Ok(())
        }
        (None, None) => Ok(()),
    }
}

/// Changes one attribute in the object that holds it: the document, or an extension within it.
fn change(op: &PatchOp, attribute: &'static Attribute, holder: &mut Attrs) -> Result<(), ScimError> {
    let value = || op.value.clone().unwrap_or(Value::Null);
    match op.verb {
        Verb::Add => add::apply(&op.target, attribute, value(), holder),
        Verb::Replace => replace::apply(&op.target, attribute, value(), holder),
        Verb::Merge => merge::apply(&op.target, attribute, value(), holder),
        Verb::Remove => remove::apply(&op.target, attribute, op.value.as_ref(), holder),
    }
}

/// Drops what operations have hollowed out: entries with nothing but a label, empty lists. Done once at the end, since
/// one operation may set `type` and the next `value`.
fn tidy(ty: &ResourceType, doc: &mut Attrs) {
    for attribute in ty.core.attributes {
        tidy_list(attribute, doc);
    }
    for extension in ty.extensions {
        if let Some(Value::Object(inner)) = doc.get_mut(extension.id) {
            for attribute in extension.attributes {
                tidy_list(attribute, inner);
            }
        }
    }
}

fn tidy_list(attribute: &Attribute, holder: &mut Attrs) {
    if attribute.multi_valued && holder.contains_key(attribute.name) {
        let mut list = take_list(holder, attribute.name);
        list.retain(check::says_something);
        put_list(holder, attribute.name, list);
    }
}

/// Takes an object out of its holder to change it; a new one where there is none.
fn take_object(holder: &mut Attrs, key: &str) -> Map<String, Value> {
    match holder.remove(key) {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    }
}

fn put_object(holder: &mut Attrs, key: &str, object: Map<String, Value>) {
    if !object.is_empty() {
        holder.insert(key.to_owned(), Value::Object(object));
    }
}

fn take_list(holder: &mut Attrs, key: &str) -> Vec<Value> {
    match holder.remove(key) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}

fn put_list(holder: &mut Attrs, key: &str, list: Vec<Value>) {
    if !list.is_empty() {
        holder.insert(key.to_owned(), Value::Array(list));
    }
}
