//! The SCIM protocol library: what a request says and what an answer looks like, as functions of their arguments.
//!
//! It knows no HTTP, no SQL and no clock. The engine (schema, documents, filters, PATCH, projection) works on one
//! document form, so that another wire version only adds a reader and a writer of bodies:
//!
//! * a body becomes a document with canonical names through [`resource::check_new`] or [`resource::check_replace`];
//! * a filter becomes an [`filter::Expr`] over [`folded::folded`] documents, for SQL and for memory alike;
//! * a PATCH becomes a [`patch::Patch`]; for groups [`patch::split_members`] takes the members out, which are rows and
//!   never a document;
//! * an answer is cut down by [`project::Projection`] and wrapped by [`list`] or [`error::ScimError::body`].
//!
//! SCIM 1.1 is [`v11`]: a writer of answers, since names and shapes of 1.1 requests are understood by all of the above.
//!
//! Where a client needs more than the RFCs grant, [`tolerance`] names it.

pub mod bulk;
#[cfg(test)]
mod characteristics;
pub mod cursor;
pub mod discovery;
pub mod error;
pub mod filter;
pub mod folded;
mod lasting;
pub mod list;
pub mod patch;
pub mod path;
pub mod project;
pub mod resource;
pub mod schema;
pub mod search;
pub mod sort;
pub mod tolerance;
pub mod urn;
pub mod v11;

pub use cursor::{Cursor, Fingerprint};
pub use error::{ScimError, ScimType};
pub use folded::folded;
pub use list::{Paging, cursor_response, list_response};
pub use project::Projection;
pub use resource::{Attrs, check_new, check_replace, schemas_of};
pub use schema::{ResourceType, Types, group, user};
pub use search::Search;
pub use sort::Sort;
