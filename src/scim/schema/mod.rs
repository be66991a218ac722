//! Schemas as data (RFC 7643 sections 2, 7 and 8): the attributes that this server stores, and nothing else.
//!
//! `/Schemas` is printed from these tables, bodies are checked against them, and filters, paths and projections take
//! their names from them, so none of these can disagree (VAL-4). The tables say what is; they do nothing.

pub(in crate::scim) mod check;
mod core;
mod declared;
mod types;

use serde::Deserialize;

pub use self::types::Types;

/// The data types of RFC 7643 section 2.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// Text.
    String,
    /// True or false.
    Boolean,
    /// A number with a fraction.
    Decimal,
    /// A whole number.
    Integer,
    /// An instant (RFC 3339).
    DateTime,
    /// Base64 text.
    Binary,
    /// A URI.
    Reference,
    /// An object with sub-attributes.
    Complex,
}

impl Kind {
    /// The word in `/Schemas`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::Boolean => "boolean",
            Kind::Decimal => "decimal",
            Kind::Integer => "integer",
            Kind::DateTime => "dateTime",
            Kind::Binary => "binary",
            Kind::Reference => "reference",
            Kind::Complex => "complex",
        }
    }
}

/// Who may write an attribute (RFC 7643 section 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mutability {
    /// The server only.
    ReadOnly,
    /// The client at any time.
    #[default]
    ReadWrite,
    /// The client, once.
    Immutable,
    /// The client at any time; nobody reads it.
    WriteOnly,
}

impl Mutability {
    /// The word in `/Schemas`.
    pub fn as_str(self) -> &'static str {
        match self {
            Mutability::ReadOnly => "readOnly",
            Mutability::ReadWrite => "readWrite",
            Mutability::Immutable => "immutable",
            Mutability::WriteOnly => "writeOnly",
        }
    }
}

/// When an attribute is part of an answer (RFC 7643 section 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Returned {
    /// Always, whatever the client asks for.
    Always,
    /// Unless the client asks for others.
    #[default]
    Default,
    /// Only where the client names it.
    Request,
    /// Never.
    Never,
}

impl Returned {
    /// The word in `/Schemas`.
    pub fn as_str(self) -> &'static str {
        match self {
            Returned::Always => "always",
            Returned::Default => "default",
            Returned::Request => "request",
            Returned::Never => "never",
        }
    }
}

/// Whether two resources may have the same value (RFC 7643 section 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Uniqueness {
    /// They may.
    #[default]
    None,
    /// Not within a tenant.
    Server,
    /// Not anywhere; of no attribute here.
    Global,
}

impl Uniqueness {
    /// The word in `/Schemas`.
    pub fn as_str(self) -> &'static str {
        match self {
            Uniqueness::None => "none",
            Uniqueness::Server => "server",
            Uniqueness::Global => "global",
        }
    }
}

/// An attribute definition (RFC 7643 section 7).
#[derive(Debug, PartialEq)]
pub struct Attribute {
    /// The canonical spelling.
    pub name: &'static str,
    /// The name in SCIM 1.1 where it was another; understood wherever a client names the attribute (S11-3).
    pub name_1: Option<&'static str>,
    /// The data type.
    pub kind: Kind,
    /// Whether it is a list.
    pub multi_valued: bool,
    /// Whether a resource must have it.
    pub required: bool,
    /// Whether letter case counts when values are compared.
    pub case_exact: bool,
    /// Who may write it.
    pub mutability: Mutability,
    /// When it is answered.
    pub returned: Returned,
    /// Whether a value may occur twice.
    pub uniqueness: Uniqueness,
    /// Suggested values; others are accepted (OPP-4).
    pub canonical_values: &'static [&'static str],
    /// The parts of a complex attribute.
    pub sub_attributes: &'static [Attribute],
    /// A sentence for `/Schemas`.
    pub description: &'static str,
    /// What a reference may point to.
    pub reference_types: &'static [&'static str],
}

impl Attribute {
    /// The sub-attribute of that name, ignoring letter case (GEN-7).
    pub fn sub(&self, name: &str) -> Option<&'static Attribute> {
        find(self.sub_attributes, name)
    }

    /// Whether a client's word means this attribute: either name, in any letter case (GEN-7).
    pub fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name) || self.name_1.is_some_and(|old| old.eq_ignore_ascii_case(name))
    }

    /// Whether only the server writes it.
    pub fn read_only(&self) -> bool {
        self.mutability == Mutability::ReadOnly
    }

    /// Whether the client writes it once.
    pub fn immutable(&self) -> bool {
        self.mutability == Mutability::Immutable
    }

    /// Whether a client that asks for nothing in particular does not see it.
    pub fn hidden(&self) -> bool {
        matches!(self.returned, Returned::Request | Returned::Never)
    }
}

/// A schema: a URN and its attributes (RFC 7643 section 7).
#[derive(Debug, PartialEq)]
pub struct Schema {
    /// The URN.
    pub id: &'static str,
    /// The URN in SCIM 1.1, understood wherever a client names the schema (GEN-8).
    pub id_1: Option<&'static str>,
    /// The short name.
    pub name: &'static str,
    /// A sentence for `/Schemas`.
    pub description: &'static str,
    /// The attributes, in the order of `/Schemas`.
    pub attributes: &'static [Attribute],
}

impl Schema {
    /// The URNs that a client may write.
    pub fn ids(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.id).chain(self.id_1)
    }

    /// Whether a client's word is a URN of this schema, in any letter case.
    pub fn is_called(&self, id: &str) -> bool {
        self.ids().any(|known| known.eq_ignore_ascii_case(id))
    }

    /// The attribute of that name, ignoring letter case (GEN-7).
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        find(self.attributes, name)
    }
}

/// A resource type (RFC 7643 section 6).
#[derive(Debug, PartialEq)]
pub struct ResourceType {
    /// `User` or `Group`.
    pub name: &'static str,
    /// The collection's path below the base URL.
    pub endpoint: &'static str,
    /// A sentence for `/ResourceTypes`.
    pub description: &'static str,
    /// The core schema.
    pub core: &'static Schema,
    /// The extensions; none is required.
    pub extensions: &'static [&'static Schema],
    /// What every resource has: `id`, `externalId`, `meta`.
    common: &'static [Attribute],
}

/// The name under which `meta` and the enterprise extension tell when a person last logged in.
pub const LAST_LOGIN: &str = "lastLogin";

impl ResourceType {
    /// The core or common attribute (`id`, `externalId`, `meta`) of that name, ignoring letter case.
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        self.core.attribute(name).or_else(|| find(self.common, name))
    }

    /// Whether it tells when a person last logged in (ONEID-6).
    pub fn tells_last_login(&self) -> bool {
        std::ptr::eq(self.common, core::COMMON_WITH_LOGIN)
    }

    /// The extension of that URN, ignoring letter case.
    pub fn extension(&self, id: &str) -> Option<&'static Schema> {
        self.extensions.iter().copied().find(|schema| schema.is_called(id))
    }
}

/// The tables are short, so a scan beats hashing; lengths differ mostly, so a scan costs few comparisons of text.
fn find(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    attributes.iter().find(|attribute| attribute.is_called(name))
}

/// The User resource type.
pub fn user() -> &'static ResourceType {
    static USER: ResourceType = ResourceType {
        name: "User",
        endpoint: "/Users",
        description: "A person who may have an account at the target.",
        core: &core::USER,
        extensions: &[&core::ENTERPRISE_USER, &core::ORIGIN_USER],
        common: core::COMMON,
    };
    &USER
}

/// The same where the tenant publishes when people last logged in.
fn user_with_login() -> &'static ResourceType {
    static USER: ResourceType = ResourceType {
        name: "User",
        endpoint: "/Users",
        description: "A person who may have an account at the target.",
        core: &core::USER,
        extensions: &[&core::ENTERPRISE_USER_WITH_LOGIN, &core::ORIGIN_USER],
        common: core::COMMON_WITH_LOGIN,
    };
    &USER
}

/// The Group resource type.
pub fn group() -> &'static ResourceType {
    static GROUP: ResourceType = ResourceType {
        name: "Group",
        endpoint: "/Groups",
        description: "A set of users and groups.",
        core: &core::GROUP,
        extensions: &[&core::ORIGIN_GROUP],
        common: core::COMMON,
    };
    &GROUP
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::scim::urn;

    fn walk(attributes: &'static [Attribute], visit: &mut dyn FnMut(&'static Attribute)) {
        for attribute in attributes {
            visit(attribute);
            walk(attribute.sub_attributes, visit);
        }
    }

    #[test]
    fn every_table_is_coherent() {
        for schema in Types::built_in().schemas() {
            walk(schema.attributes, &mut |attribute| {
                assert_eq!(attribute.kind == Kind::Complex, !attribute.sub_attributes.is_empty(), "{}", attribute.name);
                assert_eq!(
                    attribute.kind == Kind::Reference,
                    !attribute.reference_types.is_empty(),
                    "{}",
                    attribute.name
                );
                assert!(attribute.description.ends_with('.'), "{}", attribute.name);
            });
        }
    }

    #[test]
    fn names_are_found_without_regard_to_letter_case() {
        assert_eq!(user().attribute("USERNAME").unwrap().name, "userName");
        assert_eq!(user().attribute("emails").unwrap().sub("VALUE").unwrap().name, "value");
        assert_eq!(user().extension(&urn::ENTERPRISE_USER.to_uppercase()).unwrap().id, urn::ENTERPRISE_USER);
        assert!(user().attribute("password").is_none(), "accepted and dropped, never advertised");
    }

    #[test]
    fn the_names_of_the_older_protocol_are_other_names_of_the_same_things() {
        let enterprise = user().extension(&urn::ENTERPRISE_USER_1.to_uppercase()).unwrap();
        assert_eq!(enterprise.id, urn::ENTERPRISE_USER);
        assert_eq!(enterprise.attribute("manager").unwrap().sub("ManagerId").unwrap().name, "value");
        assert!(group().extension(urn::ENTERPRISE_USER_1).is_none());
    }
}
