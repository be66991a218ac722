//! The program as a process: real sockets, a private PostgreSQL of its own, real signals. Slow, so only for what cannot be
//! seen from inside.

pub(crate) mod agreement;
pub(crate) mod daemon;
pub(crate) mod idp;
pub(crate) mod load;
mod outage;
mod rotation;
pub(crate) mod settings;
mod starting;
mod stopping;
mod traces;
