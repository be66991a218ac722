//! `/group` and `/groups` of the site.

use serde::Deserialize;
use serde_json::{Value, json};

use super::refusal::{self, NO_USER};
use super::site_users::brief;
use super::state::{Group, Trouble, fold};
use super::{Answer, Visit};
use crate::sandbox::exchange::Reply;

/// Rows of a page of members or groups, at most.
const PAGE: usize = 50;
/// Rows of the picker (CLOUD-35).
const PICKER_ROWS: usize = 20;

#[derive(Deserialize)]
struct Named {
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    account_id: Option<String>,
}

/// CLOUD-32.
pub(super) fn create(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let name = visit.body::<Named>(|text| refusal::jira(400, text))?.name.unwrap_or_default();
    let id = visit.world.create_group(&name, "").map_err(|trouble| match trouble {
        Trouble::NameTaken => refusal::jira(400, "A group with the specified name already exists."),
        _ => refusal::jira(400, "The group name is not valid."),
    })?;
    Ok(Reply::json(201, &visit.group_bean(&id)))
}

pub(super) fn delete(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let id = visit.required("groupId")?;
    match visit.world.delete_group(&id) {
        Ok(()) => Ok(Reply::empty(200)),
        Err(Trouble::NoGroup) => Err(refusal::jira(404, "The group does not exist.")),
        // The status is unconfirmed.
        Err(_) => Err(refusal::jira(400, "This group cannot be deleted.")),
    }
}

/// CLOUD-31, CLOUD-20.
pub(super) fn add_member(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let group = visit.required("groupId")?;
    let id = visit.body::<Member>(|text| refusal::jira(400, text))?.account_id.unwrap_or_default();
    match visit.world.join(&id, &group) {
        Ok(()) => Ok(Reply::json(201, &visit.group_bean(&group))),
        // The placeholder arrives unfilled.
        Err(Trouble::AlreadyMember) => Err(refusal::jira(400, "Cannot add user. User is already a member of '{1}'")),
        Err(Trouble::NoSeats(app)) => Err(refusal::jira(400, &format!("The user limit of {app} is reached."))),
        Err(Trouble::ReadOnlyGroup) => Err(refusal::jira(403, "The group is read-only.")),
        Err(Trouble::NoGroup) => Err(refusal::jira(404, "The group does not exist.")),
        Err(_) => Err(refusal::jira(404, NO_USER)),
    }
}

pub(super) fn remove_member(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let (group, id) = (visit.required("groupId")?, visit.required("accountId")?);
    match visit.world.part(&id, &group) {
        Ok(()) => Ok(Reply::empty(200)),
        Err(Trouble::NotMember) => Err(refusal::jira(400, "Cannot remove user. User is not a member of '{1}'")),
        Err(Trouble::ReadOnlyGroup) => Err(refusal::jira(403, "The group is read-only.")),
        Err(Trouble::NoGroup) => Err(refusal::jira(404, "The group does not exist.")),
        Err(_) => Err(refusal::jira(404, NO_USER)),
    }
}

/// CLOUD-38.
pub(super) fn members(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let (start, rows) = visit.window(PAGE, PAGE)?;
    let id = visit.required("groupId")?;
    let group = visit.world.group_by_id(&id).ok_or_else(|| refusal::jira(404, "The group does not exist."))?;
    let all = visit.call.flag("includeInactiveUsers", false);
    let members = group.members.iter().filter_map(|id| visit.world.person_by_id(id));
    let found: Vec<Value> =
        members.filter(|person| all || person.uses_apps()).map(|person| brief(visit.base_url, person)).collect();
    Ok(Reply::json(200, &page(found, start, rows)))
}

/// The only listing of groups with their ids. Experimental in name; teams are not in it.
pub(super) fn bulk(visit: &mut Visit<'_>) -> Answer {
    visit.logged_in()?;
    if !visit.administers() {
        return Err(refusal::jira(403, "Browse users and groups permission is required to view groups."));
    }
    let (start, rows) = visit.window(PAGE, PAGE)?;
    let given = |wanted: &str| -> Vec<String> {
        visit.call.query.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.clone()).collect()
    };
    let (ids, names) = (given("groupId"), given("groupName"));
    let access = visit.call.parameter("accessType").unwrap_or_default();
    let fits = |group: &&Group| {
        let power = match access {
            "site-admin" => group.administers_the_organization(),
            "admin" => group.administers(),
            _ => true,
        };
        let named = names.is_empty() || names.contains(&group.name);
        power && !group.team && named && (ids.is_empty() || ids.contains(&group.id))
    };
    let found =
        visit.world.groups().filter(fits).map(|group| json!({"name": group.name, "groupId": group.id})).collect();
    Ok(Reply::json(200, &page(found, start, rows)))
}

/// CLOUD-33, CLOUD-35. Whoever may not browse sees nothing, and no refusal (CLOUD-6).
pub(super) fn picker(visit: &mut Visit<'_>) -> Answer {
    let rows = visit.call.number("maxResults", PICKER_ROWS)?.min(PICKER_ROWS);
    let query = fold(visit.call.parameter("query").unwrap_or_default());
    let fits = |group: &&Group| visit.administers() && fold(&group.name).contains(&query);
    let found: Vec<&Group> = visit.world.groups().filter(fits).collect();
    let row = |group: &&Group| {
        let (managed, usage) = match () {
            () if group.team => ("TEAM_MEMBERS", "TEAM_COLLABORATION"),
            () if group.synced => ("EXTERNAL", "USERBASE_GROUP"),
            () if group.administers_the_organization() => ("ADMINS", "ADMIN_OVERSIGHT"),
            () => ("ADMINS", "USERBASE_GROUP"),
        };
        let labels: Vec<Value> = group
            .administers()
            .then(|| json!({"text": "Admin", "title": "Members administer", "type": "ADMIN"}))
            .into_iter()
            .collect();
        json!({
            "name": group.name, "html": group.name, "groupId": group.id, "labels": labels, "managedBy": managed,
            "usageType": usage,
        })
    };
    let shown: Vec<Value> = found.iter().take(rows).map(row).collect();
    let header = format!("Showing {} of {} matching groups", shown.len(), found.len());
    Ok(Reply::json(200, &json!({"header": header, "total": found.len(), "groups": shown})))
}

fn page(found: Vec<Value>, start: usize, rows: usize) -> Value {
    let total = found.len();
    let values: Vec<Value> = found.into_iter().skip(start).take(rows).collect();
    let is_last = start + values.len() >= total;
    json!({"maxResults": rows, "startAt": start, "total": total, "isLast": is_last, "values": values})
}

impl Visit<'_> {
    fn group_bean(&self, id: &str) -> Value {
        let Some(group) = self.world.group_by_id(id) else { return Value::Null };
        let users =
            json!({"size": group.members.len(), "items": [], "max-results": 50, "start-index": 0, "end-index": 0});
        let link = format!("{}/rest/api/3/group?groupId={id}", self.base_url);
        json!({"name": group.name, "groupId": id, "self": link, "users": users, "expand": "users"})
    }
}
