//! `add` (RFC 7644 section 3.5.2.1): sets what is single, appends to what is a list.

use serde_json::{Map, Value};

use super::list::{Manner, merge_entry, set_entries, settle_primary};
use super::target::Target;
use super::{put_list, single, take_list};
use crate::scim::error::ScimError;
use crate::scim::schema::Attribute;
use crate::scim::schema::check::{At, accept};

/// Adds a value.
///
/// # Errors
///
/// 400 `invalidValue`, or `noTarget` as [`set_entries`].
pub(super) fn apply(
    target: &Target,
    attribute: &'static Attribute,
    value: Value,
    holder: &mut Map<String, Value>,
) -> Result<(), ScimError> {
    if !attribute.multi_valued {
        single::set(attribute, target.place.sub, value, holder)
    } else if target.selection.is_some() || target.place.sub.is_some() {
        set_entries(target, attribute, value, Manner::Merge, holder)
    } else {
        append(attribute, value, holder)
    }
}

/// Appends entries. One that is there already is not added twice: what is new about it is merged (GEN-22).
fn append(attribute: &'static Attribute, value: Value, holder: &mut Map<String, Value>) -> Result<(), ScimError> {
    let Some(Value::Array(given)) = accept(attribute, value, At::root(attribute.name))? else { return Ok(()) };
    let mut entries = take_list(holder, attribute.name);
    let mut changed = Vec::with_capacity(given.len());
    for entry in given {
        changed.push(merge_entry(attribute, entry, &mut entries)?);
    }
    settle_primary(&mut entries, changed.into_iter());
    put_list(holder, attribute.name, entries);
    Ok(())
}
