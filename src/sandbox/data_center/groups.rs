//! `/group`, `/group/user`, `/group/member`, `/groups/picker`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Site, Visit};
use crate::sandbox::exchange::Reply;
use crate::sandbox::state::{Group, World, fold};

/// DC-67.
const MEMBER_PAGE: usize = 50;
/// DC-70.
const PICKER_ROWS: usize = 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: Option<String>,
}

pub(super) fn create(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let name = visit.body::<Named>()?.name.unwrap_or_default();
    visit.world.create_group(&name)?;
    Ok(Reply::json(201, &visit.site.group(visit.world, &name)).with("Location", visit.site.group_link(&name)))
}

pub(super) fn delete(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let name = visit.required("groupname")?.to_owned();
    if let Some(swap) = visit.call.parameter("swapGroup").filter(|swap| !visit.world.has_group(swap)) {
        return Err(Reply::error(400, &format!("The group named '{swap}' does not exist.")));
    }
    visit.world.delete_group(&name)?;
    Ok(Reply::empty(200))
}

pub(super) fn add_member(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let group = visit.required("groupname")?.to_owned();
    let username = visit.body::<Named>()?.name.unwrap_or_default();
    visit.world.add_member(&group, &username)?;
    Ok(Reply::json(201, &visit.site.group(visit.world, &group)))
}

pub(super) fn remove_member(visit: &mut Visit<'_>) -> Answer {
    let caller = visit.administrator()?;
    let (group, username) = (visit.required("groupname")?.to_owned(), visit.required("username")?.to_owned());
    visit.world.remove_member_as(&group, &username, Some(caller))?;
    Ok(Reply::empty(200))
}

/// DC-67 to DC-69, DC-72.
pub(super) fn members(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let call = visit.call;
    let name = visit.required("groupname")?.trim();
    let start = call.number("startAt", 0)?;
    let rows = call.number("maxResults", MEMBER_PAGE)?.clamp(1, MEMBER_PAGE);
    let page = visit.world.member_page(name, start, rows, call.flag("includeInactiveUsers", false))?;
    let next = start + page.rows.len();
    let is_last = next >= page.total;
    let root = visit.site.link("/group/member", "groupname", name);
    let values: Vec<Value> = page.rows.iter().map(|record| visit.site.person(visit.world, record)).collect();
    let mut body = json!({
        "self": format!("{root}&startAt={start}&maxResults={rows}"),
        "maxResults": rows,
        "startAt": start,
        "total": page.total,
        "isLast": is_last,
        "values": values,
    });
    if !is_last {
        body["nextPage"] = format!("{root}&startAt={next}&maxResults={rows}").into();
    }
    Ok(Reply::json(200, &body))
}

/// DC-70, DC-71. Whoever may not browse sees nothing, and no refusal (DC-2).
pub(super) fn picker(visit: &mut Visit<'_>) -> Answer {
    let call = visit.call;
    let query = call.parameter("query").unwrap_or_default();
    let rows = call.number("maxResults", PICKER_ROWS)?;
    let excluded: Vec<String> =
        call.query.iter().filter(|(name, _)| name == "exclude").map(|(_, value)| fold(value)).collect();
    let of_user = call.parameter("userName").map(|name| visit.world.groups_of(name));
    let fits = |group: &&Group| {
        visit.caller.is_some()
            && !excluded.contains(&fold(&group.name))
            && of_user.as_ref().is_none_or(|groups| groups.iter().any(|name| **name == *group.name))
    };
    let found: Vec<&Group> = visit.world.groups_with(query).filter(fits).collect();
    let shown: Vec<Value> = found
        .iter()
        .take(rows)
        .map(|group| {
            json!({"name": *group.name, "html": highlighted(&group.name, query), "labels": labels(visit.world, group)})
        })
        .collect();
    let header = format!("Showing {} of {} matching groups", shown.len(), found.len());
    Ok(Reply::json(200, &json!({"header": header, "total": found.len(), "groups": shown})))
}

fn labels(world: &World, group: &Group) -> Vec<Value> {
    let mut labels = Vec::new();
    if group.administers() {
        let title = "Users added to this group will be given administrative access";
        labels.push(json!({"text": "Admin", "title": title, "type": "ADMIN"}));
    }
    for role in world.rules.roles.iter().filter(|role| role.groups.iter().any(|name| fold(name) == fold(&group.name))) {
        let title = format!("Users added to this group will be given access to {}", role.name);
        labels.push(json!({"text": role.name, "title": title, "type": "SINGLE"}));
    }
    labels
}

fn highlighted(name: &str, query: &str) -> String {
    match name.find(query) {
        Some(at) if !query.is_empty() => {
            let (before, rest) = name.split_at(at);
            let (hit, after) = rest.split_at(query.len());
            format!("{before}<b>{hit}</b>{after}")
        }
        _ => name.to_owned(),
    }
}

impl Site {
    pub(super) fn group_link(&self, name: &str) -> String {
        self.link("/group", "groupname", name)
    }

    /// The group object, in Jira's own spelling of the name. The member list stays empty until it is expanded.
    fn group(&self, world: &World, name: &str) -> Value {
        let group = world.group(name);
        let name = group.map_or(name, |group| &group.name);
        let size = group.map_or(0, Group::size);
        let users = json!({"size": size, "items": [], "max-results": 50, "start-index": 0, "end-index": 0});
        json!({"name": name, "self": self.group_link(name), "users": users, "expand": "users"})
    }
}
