//! One binary of integration tests.
#![allow(clippy::unwrap_used, clippy::panic)]

mod embedded;
mod postgres;
