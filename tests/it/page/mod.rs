//! The admin page as people see it: a real browser drives the real daemon, from signing in to signing out.

mod actions;
mod browser;
mod contrast;
mod files;
mod journey;
mod removal;
mod roles;
mod sources;
mod walk;
mod world;
