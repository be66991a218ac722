//! jira-scim
fn main() {}
