//! The tables: core User and Group (RFC 7643 section 4), the enterprise extension (4.3) and the common attributes (3.1).
//!
//! `password` is missing on purpose: it is accepted and dropped (OKTA-7), so advertising it would be untrue (VAL-4).

use super::{Attribute, Kind, Mutability, Returned, Schema, Uniqueness};
use crate::scim::urn;

const fn of(kind: Kind, name: &'static str, description: &'static str) -> Attribute {
    Attribute {
        name,
        name_1: None,
        kind,
        multi_valued: false,
        required: false,
        case_exact: false,
        mutability: Mutability::ReadWrite,
        returned: Returned::Default,
        uniqueness: Uniqueness::None,
        canonical_values: &[],
        sub_attributes: &[],
        description,
        reference_types: &[],
    }
}

const fn text(name: &'static str, description: &'static str) -> Attribute {
    of(Kind::String, name, description)
}

const fn flag(name: &'static str, description: &'static str) -> Attribute {
    of(Kind::Boolean, name, description)
}

const fn link(name: &'static str, to: &'static [&'static str], description: &'static str) -> Attribute {
    let mut attribute = of(Kind::Reference, name, description).exact();
    attribute.reference_types = to;
    attribute
}

const fn complex(name: &'static str, parts: &'static [Attribute], description: &'static str) -> Attribute {
    let mut attribute = of(Kind::Complex, name, description);
    attribute.sub_attributes = parts;
    attribute
}

const fn list(name: &'static str, parts: &'static [Attribute], description: &'static str) -> Attribute {
    let mut attribute = complex(name, parts, description);
    attribute.multi_valued = true;
    attribute
}

impl Attribute {
    const fn exact(mut self) -> Self {
        self.case_exact = true;
        self
    }

    const fn once_called(mut self, name: &'static str) -> Self {
        self.name_1 = Some(name);
        self
    }

    const fn by_server(mut self) -> Self {
        self.mutability = Mutability::ReadOnly;
        self
    }

    const fn once(mut self) -> Self {
        self.mutability = Mutability::Immutable;
        self
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn unique(mut self) -> Self {
        self.uniqueness = Uniqueness::Server;
        self
    }

    const fn always(mut self) -> Self {
        self.returned = Returned::Always;
        self
    }

    const fn suggests(mut self, values: &'static [&'static str]) -> Self {
        self.canonical_values = values;
        self
    }
}

/// The default sub-attributes of a multi-valued attribute (RFC 7643 section 2.4).
const fn entry(value: Attribute, types: &'static [&'static str]) -> [Attribute; 4] {
    [
        value,
        text("display", "A name for the value, for people."),
        text("type", "What the value is for.").suggests(types),
        flag("primary", "Whether this is the preferred value; true for at most one."),
    ]
}

/// Attributes that every resource has (RFC 7643 section 3.1). `schemas` is not one of them: it is read from nowhere and
/// written from what the document contains.
pub(super) const COMMON: &[Attribute] = &[ID, EXTERNAL_ID, complex("meta", META, FACTS).by_server()];

const META: &[Attribute] = &[RESOURCE_TYPE, CREATED, LAST_MODIFIED, LOCATION, VERSION];
const RESOURCE_TYPE: Attribute = text("resourceType", "The name of the resource type.").exact().by_server();
const CREATED: Attribute = of(Kind::DateTime, "created", "When the resource was made.").by_server();
const LAST_MODIFIED: Attribute = of(Kind::DateTime, "lastModified", "When the resource was last changed.").by_server();
const LOCATION: Attribute = link("location", &["uri"], "The URL of the resource.").by_server();
const VERSION: Attribute = text("version", "The entity tag of the resource.").exact().by_server();
/// Under this name in `meta` and in the enterprise extension, where the tenant publishes it (ONEID-6).
const LAST_LOGIN: Attribute =
    of(Kind::DateTime, "lastLogin", "When the person was last seen at the target.").by_server();

/// The common attributes of a user of a tenant that publishes when people last logged in.
pub(super) const COMMON_WITH_LOGIN: &[Attribute] =
    &[ID, EXTERNAL_ID, complex("meta", META_WITH_LOGIN, FACTS).by_server()];
const META_WITH_LOGIN: &[Attribute] = &[RESOURCE_TYPE, CREATED, LAST_MODIFIED, LOCATION, VERSION, LAST_LOGIN];
const FACTS: &str = "Facts about the resource.";
const ID: Attribute = text("id", "The server's identifier of the resource.").exact().by_server().unique().always();
const EXTERNAL_ID: Attribute = text("externalId", "The identity provider's identifier of the resource.").exact();

const NAME: &[Attribute] = &[
    text("formatted", "The whole name as it is shown."),
    text("familyName", "The family name."),
    text("givenName", "The given name."),
    text("middleName", "The middle names."),
    text("honorificPrefix", "The title before the name."),
    text("honorificSuffix", "The suffix after the name."),
];

const EMAILS: &[Attribute] = &entry(text("value", "The e-mail address."), &["work", "home", "other"]);

const PHONE_NUMBERS: &[Attribute] =
    &entry(text("value", "The telephone number."), &["work", "home", "mobile", "fax", "pager", "other"]);

const IMS: &[Attribute] = &entry(
    text("value", "The instant messaging address."),
    &["aim", "gtalk", "icq", "xmpp", "msn", "skype", "qq", "yahoo"],
);

const PHOTOS: &[Attribute] = &entry(link("value", &["external"], "The URL of the picture."), &["photo", "thumbnail"]);

const ENTITLEMENTS: &[Attribute] = &entry(text("value", "The entitlement."), &[]);

const ROLES: &[Attribute] = &entry(text("value", "The role."), &[]);

const CERTIFICATES: &[Attribute] = &entry(of(Kind::Binary, "value", "The certificate, DER in Base64.").exact(), &[]);

const ADDRESSES: &[Attribute] = &[
    text("formatted", "The whole address as it is shown."),
    text("streetAddress", "Street, house number and the like."),
    text("locality", "The city."),
    text("region", "The state or region."),
    text("postalCode", "The postal code."),
    text("country", "The country."),
    text("type", "What the address is for.").suggests(&["work", "home", "other"]),
    flag("primary", "Whether this is the preferred address; true for at most one."),
];

const USER_GROUPS: &[Attribute] = &[
    text("value", "The id of the group.").exact().by_server(),
    link("$ref", &["Group"], "The URL of the group.").by_server(),
    text("display", "The name of the group.").by_server(),
    text("type", "How the user is a member.").suggests(&["direct", "indirect"]).by_server(),
];

/// The core schema of a User (RFC 7643 section 4.1).
pub(super) static USER: Schema = Schema {
    id: urn::USER,
    id_1: Some(urn::CORE_1),
    name: "User",
    description: "User account.",
    attributes: &[
        text("userName", "The name the user is known by to the identity provider.").required().unique(),
        complex("name", NAME, "The parts of the user's name."),
        text("displayName", "The name that is shown."),
        text("nickName", "The casual name."),
        link("profileUrl", &["external"], "The URL of the user's profile."),
        text("title", "The job title."),
        text("userType", "The relation to the organisation."),
        text("preferredLanguage", "The preferred language, as in Accept-Language."),
        text("locale", "The locale for numbers and dates."),
        text("timezone", "The time zone, as in the IANA database."),
        flag("active", "Whether the user may use the target."),
        list("emails", EMAILS, "E-mail addresses."),
        list("phoneNumbers", PHONE_NUMBERS, "Telephone numbers."),
        list("ims", IMS, "Instant messaging addresses."),
        list("photos", PHOTOS, "Pictures."),
        list("addresses", ADDRESSES, "Postal addresses."),
        list("groups", USER_GROUPS, "The groups the user is a member of.").by_server(),
        list("entitlements", ENTITLEMENTS, "Entitlements."),
        list("roles", ROLES, "Roles."),
        list("x509Certificates", CERTIFICATES, "Certificates."),
    ],
};

/// `$ref` is made when a user is answered. `displayName`, which RFC 7643 gives to the server, is left out: what a client
/// says of it would outlive a change of `value` (OL-5), and looking it up would cost a query for each answer.
const MANAGER: &[Attribute] = &[
    text("value", "The id of the manager.").once_called("managerId").exact(),
    link("$ref", &["User"], "The URL of the manager.").by_server(),
];

const EMPLOYEE_NUMBER: Attribute = text("employeeNumber", "The number within the organisation.");
const COST_CENTER: Attribute = text("costCenter", "The cost centre.");
const ORGANIZATION: Attribute = text("organization", "The organisation.");
const DIVISION: Attribute = text("division", "The division.");
const DEPARTMENT: Attribute = text("department", "The department.");
const OF_MANAGER: Attribute = complex("manager", MANAGER, "The user's manager.");

/// The enterprise extension (RFC 7643 section 4.3).
pub(super) static ENTERPRISE_USER: Schema = ENTERPRISE;
const ENTERPRISE: Schema = Schema {
    id: urn::ENTERPRISE_USER,
    id_1: Some(urn::ENTERPRISE_USER_1),
    name: "EnterpriseUser",
    description: "What an organisation says of its people.",
    attributes: &[EMPLOYEE_NUMBER, COST_CENTER, ORGANIZATION, DIVISION, DEPARTMENT, OF_MANAGER],
};

/// The same for a tenant that publishes when people last logged in.
pub(super) static ENTERPRISE_USER_WITH_LOGIN: Schema = Schema {
    attributes: &[EMPLOYEE_NUMBER, COST_CENTER, ORGANIZATION, DIVISION, DEPARTMENT, OF_MANAGER, LAST_LOGIN],
    ..ENTERPRISE
};

const MEMBERS: &[Attribute] = &[
    text("value", "The id of the member.").exact().once().required(),
    link("$ref", &["User", "Group"], "The URL of the member.").once(),
    text("type", "Whether the member is a user or a group.").suggests(&["User", "Group"]).once(),
    text("display", "The name of the member.").by_server(),
];

/// The core schema of a Group (RFC 7643 section 4.2).
pub(super) static GROUP: Schema = Schema {
    id: urn::GROUP,
    id_1: Some(urn::CORE_1),
    name: "Group",
    description: "Group.",
    attributes: &[
        text("displayName", "The name of the group.").required().unique(),
        list("members", MEMBERS, "The members of the group."),
    ],
};

const ORIGIN: &[Attribute] =
    &[text("origin", "imported: it was found at the target, and no client has written to it since.")
        .suggests(&["imported"])
        .by_server()];

/// Where a user comes from.
pub(super) static ORIGIN_USER: Schema = Schema {
    id: urn::ORIGIN_USER,
    id_1: None,
    name: "UserOrigin",
    description: "Where the user comes from.",
    attributes: ORIGIN,
};

/// Where a group comes from.
pub(super) static ORIGIN_GROUP: Schema = Schema {
    id: urn::ORIGIN_GROUP,
    id_1: None,
    name: "GroupOrigin",
    description: "Where the group comes from.",
    attributes: ORIGIN,
};
