//! Which operation of which API a path is; paths are written as Atlassian's OpenAPI documents write them.

use std::borrow::Cow;

use crate::sandbox::exchange::{Place, below};

/// `/rest/api/3` on the site's own host.
pub(crate) const SITE: &str = "jira";
/// `/rest/api/3` through the gateway.
pub(crate) const GATEWAY: &str = "jira-gateway";
/// The organisation's API.
pub(crate) const ORGANIZATIONS: &str = "organizations";
/// The API for accounts that the organisation manages.
pub(crate) const MANAGE: &str = "user-management";
/// What the edge answers without asking Jira.
pub(crate) const EDGE: &str = "edge";

const JIRA_ROUTES: &[&str] = &[
    "/rest/api/3/applicationrole",
    "/rest/api/3/group",
    "/rest/api/3/group/bulk",
    "/rest/api/3/group/member",
    "/rest/api/3/group/user",
    "/rest/api/3/groups/picker",
    "/rest/api/3/mypermissions",
    "/rest/api/3/myself",
    "/rest/api/3/serverInfo",
    "/rest/api/3/user",
    "/rest/api/3/user/groups",
    "/rest/api/3/user/search",
    "/rest/api/3/users/search",
];

const ORGANIZATION_ROUTES: &[&str] = &[
    "/v1/orgs",
    "/v1/orgs/{orgId}",
    "/v1/orgs/{orgId}/domains",
    "/v1/orgs/{orgId}/users",
    "/v1/orgs/{orgId}/users/{userId}/roles/assign",
    "/v1/orgs/{orgId}/users/{userId}/roles/revoke",
    "/v2/orgs/{orgId}/directories",
    "/v2/orgs/{orgId}/directories/{directoryId}/groups",
    "/v2/orgs/{orgId}/directories/{directoryId}/groups/search",
    "/v2/orgs/{orgId}/directories/{directoryId}/groups/{groupId}",
    "/v2/orgs/{orgId}/directories/{directoryId}/groups/{groupId}/memberships",
    "/v2/orgs/{orgId}/directories/{directoryId}/groups/{groupId}/memberships/{accountId}",
    "/v2/orgs/{orgId}/directories/{directoryId}/groups/{groupId}/role-assignments",
    "/v2/orgs/{orgId}/directories/{directoryId}/users/search",
    "/v2/orgs/{orgId}/directories/{directoryId}/users/{accountId}",
    "/v2/orgs/{orgId}/directories/{directoryId}/users/{accountId}/restore",
    "/v2/orgs/{orgId}/directories/{directoryId}/users/{accountId}/role-assignments",
    "/v2/orgs/{orgId}/directories/{directoryId}/users/{accountId}/suspend",
    "/v2/orgs/{orgId}/users/invite",
    "/v2/orgs/{orgId}/workspaces",
];

const MANAGE_ROUTES: &[&str] = &[
    "/users/{account_id}/manage",
    "/users/{account_id}/manage/email",
    "/users/{account_id}/manage/lifecycle/cancel-delete",
    "/users/{account_id}/manage/lifecycle/delete",
    "/users/{account_id}/manage/lifecycle/disable",
    "/users/{account_id}/manage/lifecycle/enable",
    "/users/{account_id}/manage/profile",
];

/// The place of a path. The gateway's cloud id, which is in no route, is the first of the segments.
pub(crate) fn locate(path: &str) -> Place {
    if path == "/_edge/tenant_info" {
        return Place { api: EDGE, route: Cow::Borrowed("/_edge/tenant_info"), inside: true, segments: Vec::new() };
    }
    if let Some(rest) = below(path, "/ex/jira") {
        let (cloud_id, rest) = rest.trim_start_matches('/').split_once('/').unwrap_or((rest, ""));
        let mut place = find(GATEWAY, JIRA_ROUTES, &format!("/{rest}"));
        place.segments.insert(0, decoded(cloud_id));
        return place;
    }
    if let Some(rest) = below(path, "/admin") {
        return find(ORGANIZATIONS, ORGANIZATION_ROUTES, rest);
    }
    if below(path, "/users").is_some() {
        return find(MANAGE, MANAGE_ROUTES, path);
    }
    find(SITE, JIRA_ROUTES, path)
}

fn find(api: &'static str, routes: &[&'static str], path: &str) -> Place {
    let path = path.trim_end_matches('/');
    let found = routes.iter().find_map(|route| matched(route, path).map(|segments| (*route, segments)));
    match found {
        Some((route, segments)) => Place { api, route: Cow::Borrowed(route), inside: true, segments },
        None => Place { api, ..Place::default() },
    }
}

fn matched(route: &str, path: &str) -> Option<Vec<String>> {
    let (mut wanted, mut given) = (route.split('/'), path.split('/'));
    let mut segments = Vec::new();
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(segments),
            (Some(name), Some(value)) if name.starts_with('{') && !value.is_empty() && !is_a_word(value) => {
                segments.push(decoded(value));
            }
            (Some(name), Some(value)) if name == value => {}
            _ => return None,
        }
    }
}

/// `search` is an operation and no id.
fn is_a_word(value: &str) -> bool {
    matches!(value, "search" | "invite" | "count" | "stats")
}

fn decoded(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_a_path_become_names_in_the_route() {
        let place = locate("/admin/v2/orgs/o/directories/d/groups/g/memberships/712020%3Aa");
        assert_eq!(place.api, ORGANIZATIONS);
        assert_eq!(place.route, "/v2/orgs/{orgId}/directories/{directoryId}/groups/{groupId}/memberships/{accountId}");
        assert_eq!(place.segments, ["o", "d", "g", "712020:a"]);
    }

    #[test]
    fn the_same_operation_is_found_on_the_site_and_behind_the_gateway() {
        assert_eq!(locate("/rest/api/3/group/user").route, locate("/ex/jira/c/rest/api/3/group/user").route);
        assert_eq!(locate("/ex/jira/c/rest/api/3/group/user").segments, ["c"]);
        assert!(!locate("/rest/api/2/user").inside && !locate("/admin/v1/orgs/o/groups").inside);
        assert_eq!(
            locate("/admin/v2/orgs/o/directories/-/groups/search").route,
            "/v2/orgs/{orgId}/directories/{directoryId}/groups/search"
        );
    }
}
