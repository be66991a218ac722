//! `jira-scim`: a SCIM server daemon that keeps Jira's users and groups as the identity provider wants them.
//!
//! # The life of one request
//!
//! `PATCH /scim/acme/v2/Groups/{id}` with one new member:
//!
//! 1. [`listen`] accepts the connection; [`http`] gives the request an id and a span, finds the tenant and checks the token,
//!    reads the body within its limits.
//! 2. [`scim`] turns the body into operations, knowing nothing of us: what is meant, whatever dialect it was said in.
//! 3. [`directory`] makes the change: one statement in [`store`] with the member's row, the audit row and the outbox row of
//!    the *user* it concerns. A change is a nudge, not a script: the outbox says who is out of date, not what to do.
//! 4. Back in [`http`], the request settles for a moment: [`writer`] drives the user. It *claims* (one transaction: the
//!    lease, what the store wants and what is on record, the plan, and a mark `maybe` on all that is about to be touched),
//!    *calls* Jira through [`jira`], and *records* what became of it (one transaction).
//! 5. The IdP hears 2xx when Jira agrees, or is away, or is slow: the change is durable and the workers go on. It hears
//!    Jira's own words when Jira says no for good; then what gave or changed something is undone, what took away stays.
//!
//! # Layers
//!
//! Lowest first; a module uses lower layers only (a test reads `src/**` and says so):
//!
//! * 0 [`config`] [`telemetry`] [`clock`] [`secret`] [`lifecycle`]
//! * 1 [`scim`] (the protocol library) [`account`] (the plain words for an account) [`embedded`] (the private PostgreSQL)
//!   [`listen`] (connections)
//! * 2 [`store`] (the only SQL) [`jira`] (the only HTTP to a Jira) [`policy`] (pure rules)
//! * 3 [`directory`] (every identity change) [`writer`] (every write to a Jira) [`alert`] (telling people)
//!   [`login`] (who is whom) [`record`] (requests on record) [`explain`] (why somebody is as he is)
//! * 4 [`http`] [`admin`] [`simulate`]
//! * 5 [`app`] [`cli`] (wiring and commands)
//! * beside: [`sandbox`], a Jira with state that uses nothing of [`jira`]

pub mod account;
pub mod admin;
pub mod alert;
pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod directory;
pub mod embedded;
pub mod explain;
pub mod http;
pub mod jira;
pub mod lifecycle;
pub mod listen;
pub mod login;
pub mod policy;
pub mod record;
pub mod sandbox;
pub mod scim;
pub mod secret;
pub mod simulate;
pub mod store;
pub mod sync;
pub mod telemetry;
pub mod writer;
