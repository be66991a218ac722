//! `sortBy` and `sortOrder` (RFC 7644 section 3.4.2.3).
//!
//! The order is that of the folded value: letter case counts only where the attribute is `caseExact`, instants are in
//! order of time. Of a list the primary entry counts, else the first. Resources without a value come last when ascending
//! and first when descending; the id breaks ties, so that descending is exactly ascending from its end. The RFC has no
//! `scimType` of its own for a `sortBy` that names nothing: `invalidPath` is said of PATCH only, so it is `invalidValue`.

use super::error::{ScimError, quoted};
use super::filter::{AttrRef, resolve_key};
use super::schema::ResourceType;

/// The order that a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    /// The attribute; `None` where resources of this type have none of that name, though another type that is listed
    /// with it has.
    pub attr: Option<AttrRef>,
    /// From the greatest to the least.
    pub descending: bool,
}

impl Sort {
    /// Reads `sortBy` and `sortOrder`; `None` for the order that lists have by themselves. An order without an attribute
    /// says nothing, but must be one.
    ///
    /// # Errors
    ///
    /// 400 `invalidValue` where `sortBy` names no attribute that has an order, or `sortOrder` is no order.
    pub fn parse(by: Option<&str>, order: Option<&str>, ty: &ResourceType) -> Result<Option<Self>, ScimError> {
        let Some((name, descending)) = asked(by, order)? else { return Ok(None) };
        let attr = key(name, ty).ok_or_else(|| unknown(name))?;
        Ok(Some(Self { attr: Some(attr), descending }))
    }

    /// The same for resources of two types in one list: one of them must know the attribute.
    ///
    /// # Errors
    ///
    /// As [`Sort::parse`].
    pub fn parse_among(
        by: Option<&str>,
        order: Option<&str>,
        types: [&ResourceType; 2],
    ) -> Result<Option<[Self; 2]>, ScimError> {
        let Some((name, descending)) = asked(by, order)? else { return Ok(None) };
        let attrs = types.map(|ty| key(name, ty));
        if attrs.iter().all(Option::is_none) {
            return Err(unknown(name));
        }
        Ok(Some(attrs.map(|attr| Self { attr, descending })))
    }
}

fn key(name: &str, ty: &ResourceType) -> Option<AttrRef> {
    // The first of the schemas is the same for all resources of a type: what is left is the tie.
    resolve_key(if name.eq_ignore_ascii_case("schemas") { "id" } else { name }, ty)
}

fn asked<'a>(by: Option<&'a str>, order: Option<&str>) -> Result<Option<(&'a str, bool)>, ScimError> {
    let descending = match order.map(str::trim).filter(|order| !order.is_empty()) {
        None => false,
        Some(order) if order.eq_ignore_ascii_case("ascending") => false,
        Some(order) if order.eq_ignore_ascii_case("descending") => true,
        Some(order) => {
            let detail = format!("sortOrder must be ascending or descending, not {}.", quoted(order));
            return Err(ScimError::invalid_value(detail));
        }
    };
    Ok(by.map(str::trim).filter(|by| !by.is_empty()).map(|by| (by, descending)))
}

fn unknown(name: &str) -> ScimError {
    ScimError::invalid_value(format!("sortBy: {} is not an attribute to sort by.", quoted(name)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::scim::ScimType;
    use crate::scim::schema::{group, user};

    fn path(by: &str) -> String {
        Sort::parse(Some(by), None, user()).unwrap().unwrap().attr.unwrap().path.join("/")
    }

    #[test]
    fn any_attribute_that_has_a_value_can_be_sorted_by() {
        let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        for (by, expected) in [
            ("userName", "userName".to_owned()),
            ("USERNAME", "userName".to_owned()),
            ("name.familyName", "name/familyName".to_owned()),
            ("emails", "emails/value".to_owned()),
            ("emails.type", "emails/type".to_owned()),
            ("urn:ietf:params:scim:schemas:core:2.0:User:title", "title".to_owned()),
            (&format!("{enterprise}:department"), format!("{enterprise}/department")),
            ("manager", format!("{enterprise}/manager/value")),
            ("meta.lastModified", "meta/lastModified".to_owned()),
            ("groups.display", "groups/display".to_owned()),
            ("schemas", "id".to_owned()),
        ] {
            assert_eq!(path(by), expected, "{by}");
        }
    }

    #[test]
    fn the_order_is_said_in_any_letter_case_and_is_ascending_by_itself() {
        for (order, descending) in
            [(None, false), (Some(""), false), (Some("Ascending"), false), (Some("DESCENDING"), true)]
        {
            assert_eq!(Sort::parse(Some("title"), order, user()).unwrap().unwrap().descending, descending, "{order:?}");
        }
        assert_eq!(Sort::parse(None, Some("descending"), user()).unwrap(), None);
        assert_eq!(Sort::parse(Some(" "), None, user()).unwrap(), None);
    }

    #[test]
    fn what_has_no_order_is_refused_by_name() {
        for (by, order) in [
            (Some("favouriteColour"), None),
            (Some("name"), None),
            (Some("addresses"), None),
            (Some("emails[type eq \"work\"].value"), None),
            (Some("members"), None),
            (Some("title"), Some("up")),
            (None, Some("up")),
        ] {
            let error = Sort::parse(by, order, user()).unwrap_err();
            assert_eq!(error.scim_type, Some(ScimType::InvalidValue));
            assert!(error.detail.starts_with("sort"), "{}", error.detail);
        }
    }

    #[test]
    fn among_two_types_one_must_know_the_attribute() {
        let both = |by| Sort::parse_among(Some(by), None, [user(), group()]);
        let known = |by| both(by).unwrap().unwrap().map(|sort| sort.attr.is_some());
        assert_eq!(known("displayName"), [true, true]);
        assert_eq!(known("userName"), [true, false]);
        assert_eq!(known("members"), [false, true]);
        assert!(both("shoeSize").is_err());
    }
}
