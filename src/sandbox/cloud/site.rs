//! `/rest/api/3`: which operation, who may call it, and what Jira says about itself and the caller.

use serde_json::{Map, Value, json};

use super::refusal::{self, UNAUTHENTICATED};
use super::state::{App, World};
use super::{Answer, Visit, site_groups, site_users};
use crate::sandbox::exchange::Reply;

/// Answers a call below `/rest/api/3`.
pub(super) fn answer(visit: &mut Visit<'_>) -> Reply {
    let call = visit.call;
    let handler: fn(&mut Visit<'_>) -> Answer =
        match (call.method.as_str(), call.route().trim_start_matches("/rest/api/3")) {
            ("GET", "/serverInfo") => server_info,
            ("GET", "/myself") => site_users::myself,
            ("GET", "/mypermissions") => permissions,
            ("GET", "/applicationrole") => roles,
            ("GET", "/user") => site_users::get,
            ("POST", "/user") => site_users::create,
            ("DELETE", "/user") => site_users::delete,
            ("GET", "/user/groups") => site_users::groups,
            ("GET", "/user/search") => site_users::search,
            ("GET", "/users/search") => site_users::list,
            ("POST", "/group") => site_groups::create,
            ("DELETE", "/group") => site_groups::delete,
            ("GET", "/group/bulk") => site_groups::bulk,
            ("GET", "/group/member") => site_groups::members,
            ("POST", "/group/user") => site_groups::add_member,
            ("DELETE", "/group/user") => site_groups::remove_member,
            ("GET", "/groups/picker") => site_groups::picker,
            (_, "") => return Reply::html(404, "Oops, you've found a dead link"),
            _ => return Reply::empty(405),
        };
    handler(visit).unwrap_or_else(|refusal| refusal)
}

impl Visit<'_> {
    pub(super) fn logged_in(&self) -> Result<&str, Reply> {
        self.caller.ok_or_else(|| Reply::text(401, UNAUTHENTICATED))
    }

    /// Whether the caller has *Administer Jira*, and with it everything else.
    pub(super) fn administers(&self) -> bool {
        let person = self.caller.and_then(|email| self.world.person(email));
        let groups = person.into_iter().flat_map(|person| &person.groups);
        groups.filter_map(|id| self.world.group_by_id(id)).any(|group| group.administers())
    }

    /// The caller, if it administers the site.
    pub(super) fn administrator(&self) -> Result<(), Reply> {
        self.logged_in()?;
        match self.administers() {
            true => Ok(()),
            false => Err(refusal::jira(
                403,
                "You are not authorized to perform this operation. Administrator privileges are required.",
            )),
        }
    }

    /// A query parameter that has to be there.
    pub(super) fn required(&self, name: &str) -> Result<String, Reply> {
        let value = self.call.parameter(name).filter(|value| !value.trim().is_empty());
        value.map(str::to_owned).ok_or_else(|| refusal::jira(400, &format!("The query parameter '{name}' is missing.")))
    }

    pub(super) fn window(&self, default: usize, most: usize) -> Result<(usize, usize), Reply> {
        Ok((self.call.number("startAt", 0)?, self.call.number("maxResults", default)?.clamp(1, most)))
    }
}

/// Answers everybody (reference, 6).
fn server_info(visit: &mut Visit<'_>) -> Answer {
    let at = visit.call.at.format("%Y-%m-%dT%H:%M:%S%.3f%z").to_string();
    Ok(Reply::json(
        200,
        &json!({
            "baseUrl": visit.base_url, "version": "1001.0.0-SNAPSHOT", "versionNumbers": [1001, 0, 0],
            "deploymentType": "Cloud", "buildNumber": 100_292, "buildDate": at, "serverTime": at, "serverTitle": "Jira",
        }),
    ))
}

/// CLOUD-6.
fn permissions(visit: &mut Visit<'_>) -> Answer {
    let wanted = visit.required("permissions")?;
    let administers = visit.administers();
    let known = [("ADMINISTER", "0", "Administer Jira"), ("USER_PICKER", "27", "Browse users and groups")];
    let mut permissions = Map::new();
    for key in wanted.split(',').map(str::trim) {
        let Some((_, id, name)) = known.iter().find(|(known, _, _)| *known == key) else {
            return Err(refusal::jira(400, &format!("Unrecognized permission: {key}")));
        };
        let bean = json!({
            "id": id, "key": key, "name": name, "type": "GLOBAL", "description": name, "havePermission": administers,
        });
        permissions.insert(key.to_owned(), bean);
    }
    Ok(Reply::json(200, &json!({ "permissions": permissions })))
}

fn roles(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let jira = visit.world.apps.iter().filter(|app| app.key.starts_with("jira"));
    let body: Value = jira.map(|app| role(visit.world, app, visit.base_url)).collect();
    Ok(Reply::json(200, &body))
}

/// Seats of an application, and the groups whose members take them (CLOUD-25).
pub(super) fn role(world: &World, app: &App, base_url: &str) -> Value {
    let used = world.users_of(&app.resource);
    let left = app.seats.map_or(-1, |seats| i64::from(seats).saturating_sub(used as i64));
    let gives = |default_only: bool| -> Vec<Value> {
        let granting = world.groups().filter(|group| {
            let default = group.default_role.as_ref().is_some_and(|(resource, _)| *resource == app.resource);
            default || (!default_only && group.roles.iter().any(|(resource, _)| *resource == app.resource))
        });
        let link = |id: &str| format!("{base_url}/rest/api/3/group?groupId={id}");
        granting.map(|group| json!({"name": group.name, "groupId": group.id, "self": link(&group.id)})).collect()
    };
    let names = |details: &[Value]| -> Vec<Value> { details.iter().map(|group| group["name"].clone()).collect() };
    let (all, defaults) = (gives(false), gives(true));
    json!({
        "key": app.key, "name": app.name, "groups": names(&all), "groupDetails": all, "defaultGroups": names(&defaults),
        "defaultGroupsDetails": defaults, "selectedByDefault": app.selected_by_default, "defined": true,
        "numberOfSeats": app.seats.map_or(-1, i64::from), "remainingSeats": left, "userCount": used,
        "userCountDescription": format!("{used} users"), "hasUnlimitedSeats": app.seats.is_none(), "platform": false,
    })
}
