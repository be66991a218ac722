//! One binary of integration tests.
#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod cli_tenant;
mod commands;
mod data_center;
mod drive_claim;
mod drive_lease;
mod drive_nudge;
mod drive_world;
mod embedded;
mod http_access;
mod http_app;
mod http_bad_input;
mod http_groups;
mod http_settle;
mod http_users;
mod layers;
mod listen;
mod migrations;
mod postgres;
mod rows;
mod sandbox_access;
mod sandbox_accounts;
mod sandbox_client;
mod sandbox_faults;
mod sandbox_groups;
mod spine;
mod store_filter;
mod store_list;
mod store_tenant;
mod world;
