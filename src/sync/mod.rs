//! Layer 4: directories that are read on a schedule, for tenants whose identity provider does not push.
//!
//! What a [`source::Source`] says is staged whole, held against the store, and brought in by the door that every request takes:
//! `directory`, as `sync:<source>`. So policy, brake, observe, audit and outbox hold for it as for SCIM, and a
//! read that was not complete changes nobody. Nothing here knows a Jira.
//!
//! `source` says what a directory must offer, `ldap` is one, `scim` another, `registry` knows all that there are, `plan` decides (and
//! is pure), `extent` says how much is read, `guard` how much may be taken away,
//! `run` does, `schedule` says when.

pub mod counters;
pub mod ldap;
pub mod look;
pub mod plan;
pub mod registry;
pub mod run;
pub mod schedule;
pub mod scim;
pub mod source;

mod apply;
mod claim;
mod extent;
mod guard;
mod lease;
mod mapping;
mod read;
mod tls;

pub use counters::{Counters, Line};
pub use registry::One;
pub use run::{Sync, SyncError};
