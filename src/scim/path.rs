//! Attribute names as clients write them, found in the schema: `userName`, `name.givenName`, `USERNAME`,
//! `urn:...:enterprise:2.0:User:manager.value`, bare `department` (RFC 7644 section 3.10).
//!
//! Brackets (`emails[type eq "work"].value`) are read by the filter's parser; this module knows names only.

use super::schema::{Attribute, ResourceType, Schema};

/// A place in the documents of a resource type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// The extension that holds it; `None` for core and common attributes.
    pub extension: Option<&'static Schema>,
    /// The attribute; `None` only where an extension as a whole is meant.
    pub attribute: Option<&'static Attribute>,
    /// The sub-attribute, where one is named.
    pub sub: Option<&'static Attribute>,
}

/// What a name turned out to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Found {
    /// A place that documents have.
    Known(Place),
    /// Something of a schema that is not served here (GEN-11).
    Foreign,
    /// A name that the served schemas do not have.
    Unknown,
}

/// Finds a name. The URN is split off first, because `2.0` within it has a dot (ENTRA-16); letter case is ignored
/// (GEN-7, ENTRA-21, P-15); an extension's attribute may go without its URN (P-19, F-7); names of SCIM 1.1 are other names
/// of the same places (GEN-8).
pub fn find(ty: &ResourceType, text: &str) -> Found {
    if !text.contains(':') {
        return known(bare(ty, text));
    }
    if let Some(rest) = ty.core.ids().find_map(|id| after_prefix(text, id)) {
        let place = rest.strip_prefix(':').and_then(|name| within(None, &|name| ty.attribute(name), name));
        return known(place);
    }
    for extension in ty.extensions.iter().copied() {
        match extension.ids().find_map(|id| after_prefix(text, id)) {
            Some("") => return Found::Known(Place { extension: Some(extension), attribute: None, sub: None }),
            Some(rest) if rest.starts_with(':') => {
                return known(within(Some(extension), &|name| extension.attribute(name), &rest[1..]));
            }
            _ => {}
        }
    }
    Found::Foreign
}

fn known(place: Option<Place>) -> Found {
    place.map_or(Found::Unknown, Found::Known)
}

fn bare(ty: &ResourceType, text: &str) -> Option<Place> {
    within(None, &|name| ty.attribute(name), text).or_else(|| {
        let mut extensions = ty.extensions.iter().copied();
        extensions.find_map(|extension| within(Some(extension), &|name| extension.attribute(name), text))
    })
}

type Lookup<'a> = &'a dyn Fn(&str) -> Option<&'static Attribute>;

fn within(extension: Option<&'static Schema>, lookup: Lookup<'_>, text: &str) -> Option<Place> {
    let (name, sub) = match text.split_once('.') {
        Some((name, sub)) => (name, Some(sub)),
        None => (text, None),
    };
    let attribute = lookup(name)?;
    let sub = match sub {
        Some(sub) => Some(attribute.sub(sub)?),
        None => None,
    };
    Some(Place { extension, attribute: Some(attribute), sub })
}

/// What follows a prefix that is compared without regard to letter case; only at a border, not within a longer word.
fn after_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    let rest = &text[prefix.len()..];
    (head.eq_ignore_ascii_case(prefix) && (rest.is_empty() || rest.starts_with(':'))).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::schema::{group, user};
    use crate::scim::urn;

    fn printed(ty: &ResourceType, text: &str) -> String {
        match find(ty, text) {
            Found::Known(place) => {
                let parts =
                    [place.extension.map(|s| s.name), place.attribute.map(|a| a.name), place.sub.map(|a| a.name)];
                parts.into_iter().flatten().collect::<Vec<_>>().join("/")
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn names_are_found_in_every_spelling() {
        let enterprise = urn::ENTERPRISE_USER;
        for (text, expected) in [
            ("userName", "userName"),
            ("USERNAME", "userName"),
            ("name.GivenName", "name/givenName"),
            ("emails.Value", "emails/value"),
            ("id", "id"),
            ("meta.lastModified", "meta/lastModified"),
            ("externalid", "externalId"),
            ("manager", "EnterpriseUser/manager"),
            ("manager.value", "EnterpriseUser/manager/value"),
            ("department", "EnterpriseUser/department"),
            (enterprise, "EnterpriseUser"),
            (&format!("{enterprise}:department"), "EnterpriseUser/department"),
            (&format!("{}:DEPARTMENT", enterprise.to_uppercase()), "EnterpriseUser/department"),
            (&format!("{enterprise}:manager.value"), "EnterpriseUser/manager/value"),
            (&format!("{}:name.familyName", urn::USER), "name/familyName"),
            ("urn:scim:schemas:core:1.0:userName", "userName"),
            ("URN:SCIM:schemas:core:1.0:name.familyName", "name/familyName"),
            (urn::ENTERPRISE_USER_1, "EnterpriseUser"),
            ("urn:scim:schemas:extension:enterprise:1.0:department", "EnterpriseUser/department"),
            ("urn:scim:schemas:extension:enterprise:1.0:manager.managerId", "EnterpriseUser/manager/value"),
            ("manager.managerId", "EnterpriseUser/manager/value"),
            ("managerId", "Unknown"),
            (urn::USER, "Unknown"),
            (urn::CORE_1, "Unknown"),
            (&format!("{enterprise}:shoeSize"), "Unknown"),
            (&format!("{enterprise}s:department"), "Foreign"),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0User:department", "Foreign"),
            ("http://schemas.example/Group", "Foreign"),
            ("favouriteColour", "Unknown"),
            ("name.shoeSize", "Unknown"),
            ("name.givenName.x", "Unknown"),
            ("userName.value", "Unknown"),
            ("", "Unknown"),
            (":", "Foreign"),
            (".", "Unknown"),
        ] {
            assert_eq!(printed(user(), text), expected, "{text}");
        }
        assert_eq!(printed(group(), "members.$REF"), "members/$ref");
        assert_eq!(printed(group(), "department"), "Unknown");
    }
}
