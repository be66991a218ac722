//! `/project` and `/component`: as much of them as whoever moves a lead needs.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Visit};
use crate::sandbox::exchange::Reply;
use crate::sandbox::state::{Component, Id, Project};

/// DC-48: all of them in one answer; the leads only where they are expanded.
pub(super) fn list(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let leads = visit.call.expands("lead");
    let rows: Vec<Value> = visit.world.all_projects().map(|project| bean(visit, project, leads)).collect();
    Ok(Reply::json(200, &Value::Array(rows)))
}

pub(super) fn get(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let project = visit.world.project(&visit.segment())?;
    Ok(Reply::json(200, &bean(visit, project, true)))
}

pub(super) fn components(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let project = visit.world.project(&visit.segment())?;
    let rows: Vec<Value> = project.components.iter().map(|part| part_bean(visit, project, part)).collect();
    Ok(Reply::json(200, &Value::Array(rows)))
}

/// The members of a project's update; those that nobody here writes are read and left.
#[derive(Deserialize)]
struct ProjectWrite {
    lead: Option<String>,
}

/// DC-49.
pub(super) fn update(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let key = visit.segment();
    let write: ProjectWrite = visit.body()?;
    visit.world.project(&key)?;
    if let Some(lead) = write.lead {
        visit.world.lead_project(&key, &lead)?;
    }
    Ok(Reply::json(200, &bean(visit, visit.world.project(&key)?, true)))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ComponentWrite {
    lead_user_name: Option<String>,
}

/// DC-49.
pub(super) fn update_component(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let id = visit.segment();
    let write: ComponentWrite = visit.body()?;
    visit.world.component(&id)?;
    if let Some(lead) = write.lead_user_name {
        visit.world.lead_component(&id, &lead)?;
    }
    let (project, component) = visit.world.component(&id)?;
    Ok(Reply::json(200, &part_bean(visit, project, component)))
}

fn bean(visit: &Visit<'_>, project: &Project, with_lead: bool) -> Value {
    let mut bean = json!({
        "self": format!("{}/rest/api/2/project/{}", visit.site.base_url, project.id),
        "id": project.id.to_string(),
        "key": project.key,
        "name": project.name,
        "archived": false,
    });
    if let (true, Some(lead)) = (with_lead, project.lead) {
        bean["lead"] = person(visit, lead);
    }
    bean
}

fn part_bean(visit: &Visit<'_>, project: &Project, component: &Component) -> Value {
    let mut bean = json!({
        "self": format!("{}/rest/api/2/component/{}", visit.site.base_url, component.id),
        "id": component.id.to_string(),
        "name": component.name,
        "assigneeType": "PROJECT_DEFAULT",
        "project": project.key,
    });
    if let Some(lead) = component.lead {
        bean["lead"] = person(visit, lead);
    }
    bean
}

fn person(visit: &Visit<'_>, id: Id) -> Value {
    visit.site.person(visit.world, visit.world.record(id))
}
