//! `replace` (RFC 7644 section 3.5.2.3): sets what is single, merges into what is complex, replaces what is a list.

use serde_json::{Map, Value};

use super::list::{Manner, set_entries};
use super::single;
use super::target::Target;
use crate::scim::error::ScimError;
use crate::scim::schema::Attribute;
use crate::scim::schema::check::At;

/// Replaces a value.
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
        set_entries(target, attribute, value, Manner::Replace, holder)
    } else {
        // The whole list (P-23); no value clears it.
        single::set_part(attribute, value, At::root(attribute.name), holder)
    }
}
