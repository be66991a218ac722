//! The schema and message URNs of SCIM 2.0 (RFC 7643 section 10, RFC 7644 section 10.3) and of SCIM 1.1. Only names, no
//! behaviour.

/// The core schema of a User.
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The core schema of a Group.
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// The enterprise extension of a User.
pub const ENTERPRISE_USER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// Our extension of a User: where it comes from.
pub const ORIGIN_USER: &str = "urn:jira-scim:params:scim:schemas:extension:origin:2.0:User";
/// Our extension of a Group: where it comes from.
pub const ORIGIN_GROUP: &str = "urn:jira-scim:params:scim:schemas:extension:origin:2.0:Group";
/// `/ServiceProviderConfig`.
pub const SERVICE_PROVIDER_CONFIG: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
/// An entry of `/ResourceTypes`.
pub const RESOURCE_TYPE: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
/// An entry of `/Schemas`.
pub const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";
/// A list answer.
pub const LIST_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// A PATCH body.
pub const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// A Bulk body.
pub const BULK_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
/// A Bulk answer.
pub const BULK_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
/// An error answer.
pub const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// SCIM 1.1: users, groups, lists, configuration and schemas alike (S11-2).
pub const CORE_1: &str = "urn:scim:schemas:core:1.0";
/// SCIM 1.1: the enterprise extension of a User (S11-3).
pub const ENTERPRISE_USER_1: &str = "urn:scim:schemas:extension:enterprise:1.0";
/// SCIM 1.1: the list of schemas names this besides [`CORE_1`] (OKTA11-11).
pub const LIST_RESPONSE_1: &str = "urn:scim:schemas:core:1.0:ListResponse";
