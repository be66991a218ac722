//! The organisation's API: which operation, and what the organisation says about itself.

use serde_json::{Value, json};

use super::refusal;
use super::{Answer, Visit, org_groups, org_people};
use crate::sandbox::exchange::Reply;

/// Answers a call below `/admin`.
pub(super) fn answer(visit: &mut Visit<'_>) -> Reply {
    let call = visit.call;
    if !call.place.inside {
        return refusal::routing(call, 404, "Not Found");
    }
    if call.route() != "/v1/orgs" && visit.segment(0) != visit.world.org_id {
        return refusal::organization(404, "ADMIN-404-2", "The organization does not exist");
    }
    let route = call.route();
    let below = |root: &str| route.strip_prefix(root).unwrap_or_default().to_owned();
    let directory = below("/v2/orgs/{orgId}/directories/{directoryId}");
    let handler: fn(&mut Visit<'_>) -> Answer = match (call.method.as_str(), route, directory.as_str()) {
        ("GET", "/v1/orgs", _) => list,
        ("GET", "/v1/orgs/{orgId}", _) => organization,
        ("GET", "/v1/orgs/{orgId}/domains", _) => domains,
        ("GET", "/v2/orgs/{orgId}/directories", _) => directories,
        ("POST", "/v2/orgs/{orgId}/workspaces", _) => workspaces,
        ("POST", "/v2/orgs/{orgId}/users/invite", _) => org_people::invite,
        ("GET", "/v1/orgs/{orgId}/users", _) => managed,
        ("POST", "/v1/orgs/{orgId}/users/{userId}/roles/assign", _) => org_people::assign,
        ("POST", "/v1/orgs/{orgId}/users/{userId}/roles/revoke", _) => org_people::withdraw,
        ("POST", _, "/users/search") => org_people::search,
        ("DELETE", _, "/users/{accountId}") => org_people::remove,
        ("POST", _, "/users/{accountId}/suspend") => org_people::suspend,
        ("POST", _, "/users/{accountId}/restore") => org_people::restore,
        ("GET", _, "/users/{accountId}/role-assignments") => org_people::roles,
        ("POST", _, "/groups/search") => org_groups::search,
        ("POST", _, "/groups") => org_groups::create,
        ("GET", _, "/groups/{groupId}") => org_groups::get,
        ("DELETE", _, "/groups/{groupId}") => org_groups::delete,
        ("POST", _, "/groups/{groupId}/memberships") => org_groups::add_member,
        ("DELETE", _, "/groups/{groupId}/memberships/{accountId}") => org_groups::remove_member,
        ("GET", _, "/groups/{groupId}/role-assignments") => org_groups::roles,
        _ => return refusal::routing(call, 404, "Not Found"),
    };
    handler(visit).unwrap_or_else(|refusal| refusal)
}

impl Visit<'_> {
    /// A directory that exists; `-` means all of them, for reads alone (CLOUD-9).
    pub(super) fn directory(&self) -> Result<&str, Reply> {
        let id = self.segment(1);
        let reads = !self.call.writes() || self.call.route().ends_with("/search");
        let known = self.world.directories.iter().any(|directory| directory.id == id) || (id == "-" && reads);
        if known { Ok(id) } else { Err(refusal::organization(404, "ADMIN-UAM-404-1", "The directory does not exist")) }
    }

    /// A body is wanted, and it has to say that it is JSON (CLOUD-7).
    pub(super) fn wants_json(&self) -> Result<(), Reply> {
        if self.says_json() {
            return Ok(());
        }
        Err(refusal::organization(415, "ADMIN-UAM-415-1", "Unsupported media type"))
    }
}

/// Empty for a key that is bound to one organisation (reference, 2.3).
fn list(_visit: &mut Visit<'_>) -> Answer {
    Ok(Reply::json(200, &json!({"data": [], "links": {}})))
}

fn organization(visit: &mut Visit<'_>) -> Answer {
    let id = &visit.world.org_id;
    let link = |rest: &str| format!("{}/admin/v1/orgs/{id}{rest}", visit.base_url);
    Ok(Reply::json(
        200,
        &json!({"data": {
            "id": id, "type": "orgs", "attributes": {"name": "Northwind Labs"}, "links": {"self": link("")},
            "relationships": {
                "domains": {"links": {"related": link("/domains")}}, "users": {"links": {"related": link("/users")}},
            },
        }}),
    ))
}

/// CLOUD-13.
fn domains(visit: &mut Visit<'_>) -> Answer {
    let link = format!("{}/admin/v1/orgs/{}/domains", visit.base_url, visit.world.org_id);
    let domain = |(n, name): (usize, &String)| {
        json!({
            "id": format!("d{n}"), "type": "domains", "links": {"self": format!("{link}/d{n}")},
            "attributes": {"name": name, "claim": {"type": "dns", "status": "verified"}},
        })
    };
    let data: Vec<Value> = visit.world.domains.iter().enumerate().map(domain).collect();
    Ok(Reply::json(200, &json!({"data": data, "links": {"self": link}})))
}

/// The accounts that the organisation manages, with the day on which each was last active (CLOUD-67).
fn managed(visit: &mut Visit<'_>) -> Answer {
    let here = format!("{}/admin/v1/orgs/{}/users", visit.base_url, visit.world.org_id);
    let all: Vec<&super::Person> = visit.world.people().filter(|person| visit.world.manages(person)).collect();
    let start = visit.call.parameter("cursor").map_or(Some(0), |cursor| cursor.parse::<usize>().ok());
    let start = start.ok_or_else(|| refusal::organization(400, "ADMIN-400-1", "The cursor is not valid"))?;
    let page: Vec<Value> =
        all.iter().skip(start).take(org_people::MOST).map(|person| managed_account(person)).collect();
    let next = start + page.len();
    let mut links = json!({"self": here});
    if next < all.len() {
        links["next"] = format!("{here}?cursor={next}").into();
    }
    Ok(Reply::json(200, &json!({"data": page, "links": links, "meta": {"total": all.len()}})))
}

fn managed_account(person: &super::Person) -> Value {
    let status = match person.status {
        super::AccountStatus::Active => "active",
        super::AccountStatus::Closed => "closed",
        super::AccountStatus::Inactive | super::AccountStatus::ForDeletion => "inactive",
    };
    let mut account = json!({
        "account_id": person.id, "account_type": person.kind.name(), "account_status": status, "name": person.name,
        "picture": "https://avatars.example.test/default.png", "access_billable": person.uses_apps(), "product_access": [],
    });
    if !person.email_hidden {
        account["email"] = person.email.as_str().into();
    }
    if let Some(at) = person.last_active {
        account["last_active"] = at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true).into();
    }
    account
}

/// CLOUD-9.
fn directories(visit: &mut Visit<'_>) -> Answer {
    let item = |directory: &super::Directory| json!({"directoryId": directory.id, "name": directory.name});
    let data: Vec<Value> = visit.world.directories.iter().map(item).collect();
    Ok(Reply::json(200, &json!({"data": data, "links": {}})))
}

fn workspaces(visit: &mut Visit<'_>) -> Answer {
    visit.wants_json()?;
    let item = |app: &super::App| {
        json!({
            "id": app.resource, "type": "workspace", "links": {"self": visit.base_url},
            "attributes": {
                "name": app.name, "typeKey": app.key, "type": app.name, "hostUrl": visit.base_url, "status": "online",
                "capacity": app.seats, "usage": visit.world.users_of(&app.resource), "owner": null,
            },
        })
    };
    let data: Vec<Value> = visit.world.apps.iter().map(item).collect();
    let meta = json!({"pageSize": data.len(), "total": data.len(), "startIndex": 0, "endIndex": data.len()});
    Ok(Reply::json(200, &json!({"data": data, "links": {}, "meta": meta})))
}
