//! Groups through the organisation's API.

use serde::Deserialize;
use serde_json::{Value, json};

use super::org_people::{MOST, done, paged};
use super::refusal::organization as refuse;
use super::state::{Group, fold};
use super::{Answer, Visit};
use crate::sandbox::exchange::Reply;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Search {
    cursor: Option<String>,
    limit: Option<usize>,
    group_names: Option<Vec<String>>,
    group_ids: Option<Vec<String>>,
    role_ids: Option<Vec<String>>,
    account_ids: Option<Vec<String>>,
    search_term: Option<String>,
    expand: Vec<String>,
}

#[derive(Deserialize)]
struct Create {
    name: String,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    account_id: String,
}

/// CLOUD-30, CLOUD-36.
pub(super) fn search(visit: &mut Visit<'_>) -> Answer {
    visit.wants_json()?;
    let directory = visit.directory()?.to_owned();
    let wanted: Search = visit.body(|_| refuse(400, "ADMIN-400-24", "The body is not valid"))?;
    let limit = wanted.limit.unwrap_or(20);
    let start = match &wanted.cursor {
        None => 0,
        Some(cursor) => cursor.parse().map_err(|_| refuse(400, "ADMIN-400-1", "The cursor is not valid"))?,
    };
    let exclusive = [wanted.group_names.is_some(), wanted.group_ids.is_some(), wanted.search_term.is_some()];
    if limit == 0 || limit > MOST || exclusive.iter().filter(|given| **given).count() > 1 {
        return Err(refuse(400, "ADMIN-400-24", "A limit is out of bounds, or filters exclude each other"));
    }
    let any = |list: &Option<Vec<String>>, value: &dyn Fn(&str) -> bool| {
        list.as_ref().is_none_or(|list| list.iter().any(|item| value(item)))
    };
    let term = wanted.search_term.as_deref().map(fold);
    let fits = |group: &&Group| {
        !group.system
            && !group.team
            && (directory == "-" || group.directory == directory)
            && any(&wanted.group_names, &|name| fold(name) == fold(&group.name))
            && any(&wanted.group_ids, &|id| id == group.id)
            && any(&wanted.role_ids, &|role| group.roles.iter().any(|(_, known)| known == role))
            && any(&wanted.account_ids, &|id| group.members.contains(id))
            && term.as_ref().is_none_or(|term| fold(&group.name).contains(term))
    };
    let found: Vec<&Group> = visit.world.groups().filter(fits).collect();
    let counted = wanted.expand.iter().any(|item| item == "counts.users");
    let page: Vec<Value> = found.iter().skip(start).take(limit).map(|group| row(group, counted)).collect();
    let next = start + page.len();
    let links = if next < found.len() { json!({"next": next.to_string()}) } else { json!({}) };
    Ok(Reply::json(200, &json!({"data": page, "links": links})))
}

/// No body in the answer: the id has to be looked up (CLOUD-32).
pub(super) fn create(visit: &mut Visit<'_>) -> Answer {
    visit.wants_json()?;
    visit.directory()?;
    let Create { name, description } = visit.body(|_| refuse(400, "ADMIN-UAM-400-1", "The body is not valid"))?;
    match visit.world.create_group(&name, &description) {
        Ok(_) => Ok(Reply::empty(201)),
        Err(trouble) => done(Err(trouble)),
    }
}

pub(super) fn get(visit: &mut Visit<'_>) -> Answer {
    let group = visit.group()?;
    Ok(Reply::json(200, &json!({"data": row(group, true)})))
}

/// CLOUD-34, CLOUD-37.
pub(super) fn delete(visit: &mut Visit<'_>) -> Answer {
    let id = visit.group()?.id.clone();
    done(visit.world.delete_group(&id))
}

pub(super) fn add_member(visit: &mut Visit<'_>) -> Answer {
    visit.wants_json()?;
    visit.directory()?;
    let group = visit.group()?.id.clone();
    let Member { account_id } = visit.body(|_| refuse(400, "ADMIN-UAM-400-1", "The body is not valid"))?;
    done(visit.world.join(&account_id, &group))
}

pub(super) fn remove_member(visit: &mut Visit<'_>) -> Answer {
    visit.directory()?;
    let group = visit.group()?.id.clone();
    let id = visit.segment(3).to_owned();
    done(visit.world.part(&id, &group))
}

pub(super) fn roles(visit: &mut Visit<'_>) -> Answer {
    let group = visit.group()?;
    let item = |(resource, role): &(String, String)| {
        let default = group.default_role.as_ref().filter(|(of, _)| of == resource).map(|(_, role)| role);
        json!({"resourceId": resource, "resourceOwner": "jira", "roles": [role], "defaultRole": default})
    };
    paged(visit, group.roles.iter().map(item).collect())
}

impl Visit<'_> {
    fn group(&self) -> Result<&Group, Reply> {
        let found = self.world.group_by_id(self.segment(2)).filter(|group| !group.system && !group.team);
        found.ok_or_else(|| refuse(404, "ADMIN-UAM-404-3", "The group does not exist"))
    }
}

fn row(group: &Group, counted: bool) -> Value {
    let free = group.modifiable && !group.synced;
    let mut row = json!({
        "id": group.id, "name": group.name, "description": group.description, "directoryId": group.directory,
        "externalSynced": group.synced, "managedBy": if group.synced { "EXTERNAL" } else { "ADMINS" },
        "managementAccess": {
            "readable": true, "modifiable": free, "deletable": free && group.default_role.is_none() && !group.administers(),
        },
    });
    if counted {
        row["counts"] = json!({"users": group.members.len(), "resources": group.roles.len()});
    }
    row
}
