//! `/user` and `/users` of the site.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::refusal::{self, NO_USER};
use super::site::role;
use super::state::{AccountStatus, Person, PersonKind, Trouble, fold};
use super::{Answer, Visit};
use crate::sandbox::exchange::Reply;

/// Hits that `/user/search` ever shows (CLOUD-18).
const SEARCH_HITS: usize = 1000;

/// The members of a create; those that have no effect are read and ignored (CLOUD-21).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Create {
    email_address: Option<String>,
    products: Option<Vec<String>>,
}

pub(super) fn myself(visit: &mut Visit<'_>) -> Answer {
    let email = visit.logged_in()?.to_owned();
    let id = visit.world.person(&email).map(|person| person.id.clone()).unwrap_or_default();
    Ok(Reply::json(200, &visit.bean(&id)))
}

pub(super) fn get(visit: &mut Visit<'_>) -> Answer {
    visit.logged_in()?;
    let id = visit.known_account()?;
    Ok(Reply::json(200, &visit.bean(&id)))
}

/// An invitation in truth: CLOUD-19, CLOUD-21 to CLOUD-24, CLOUD-26.
pub(super) fn create(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let write: Create = visit.body(|text| refusal::jira(400, text))?;
    let email = write.email_address.unwrap_or_default().trim().to_owned();
    if !email.contains('@') {
        return Err(refusal::jira(400, "You must specify a valid email address."));
    }
    let Some(products) = write.products else {
        return Err(refusal::jira(400, "You must specify the products that user can access."));
    };
    let resource = |key: &String| visit.world.apps.iter().find(|app| app.key == *key).map(|app| app.resource.clone());
    let resources: Option<Vec<String>> = products.iter().map(resource).collect();
    let resources = resources.ok_or_else(|| refusal::jira(400, "One of the products is unknown or not licensed."))?;
    let before = visit.world.person(&email).map(|person| (person.id.clone(), person.membership.is_some()));
    let known = before.is_some();
    if products.is_empty() && before.is_some_and(|(_, member)| !member) {
        return Err(refusal::jira(400, "User already exists, and no new product access was requested."));
    }
    let role = |resource: &String| (resource.clone(), "atlassian/user".to_owned());
    let wanted = resources.iter().map(role).collect();
    let stranger = visit.world.person(&email).cloned().unwrap_or_else(|| Person::stranger(&email));
    visit.world.check_seats(&stranger, &wanted).map_err(|_| {
        refusal::jira(400, "User could not be created: the number of users that the licence allows is used up.")
    })?;
    let id = visit.world.invite(&email);
    for resource in &resources {
        let _ = visit.world.assign(&id, resource, "atlassian/user");
    }
    let mut reply = Reply::json(201, &visit.bean(&id));
    if visit.world.fails_after_success {
        let text = "User could not be created: Failed to add user HttpErrorCode 404 - User not found";
        reply = if known { refusal::jira(500, "Internal server error") } else { refusal::jira(400, text) };
    }
    reply.mail_to = (!known).then_some(email);
    Ok(reply)
}

/// CLOUD-43, on the site alone.
pub(super) fn delete(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let id = visit.required("accountId")?;
    match visit.world.expel(&id) {
        Ok(()) => Ok(Reply::empty(204)),
        Err(Trouble::OrgAdmin) => Err(refusal::jira(400, "The user cannot be removed.")),
        Err(_) => Err(refusal::jira(404, NO_USER)),
    }
}

pub(super) fn groups(visit: &mut Visit<'_>) -> Answer {
    if !visit.administers() {
        return Err(refusal::jira(403, "Browse users and groups permission is required."));
    }
    let id = visit.known_account()?;
    let person = visit.world.person_by_id(&id).ok_or_else(|| refusal::jira(404, NO_USER))?;
    let item =
        |id: &String| visit.world.group_by_id(id).map(|group| group_name(visit.base_url, &group.name, &group.id));
    let items: Vec<Value> = person.groups.iter().filter_map(item).collect();
    Ok(Reply::json(200, &Value::Array(items)))
}

/// CLOUD-6, CLOUD-17, CLOUD-18.
pub(super) fn search(visit: &mut Visit<'_>) -> Answer {
    let (start, rows) = visit.window(50, 1000)?;
    let text = fold(visit.call.parameter("query").unwrap_or_default().trim());
    if !visit.administers() {
        return Ok(Reply::json(200, &json!([])));
    }
    if text.is_empty() && visit.call.parameter("accountId").is_none() {
        return Err(refusal::jira(400, "The query parameter 'query' or 'accountId' is missing."));
    }
    let fits = |person: &&Person| {
        let starts = |value: &str| fold(value).starts_with(&text);
        let one = visit.call.parameter("accountId").is_none_or(|id| id == person.id);
        one && person.uses_apps()
            && (starts(&person.email) || person.name.split_whitespace().any(starts) || starts(&person.name))
    };
    let found = visit.world.people().filter(fits).take(SEARCH_HITS).skip(start).take(rows);
    let beans: Vec<Value> = found.map(|person| brief(visit.base_url, person)).collect();
    Ok(Reply::json(200, &Value::Array(beans)))
}

/// Everybody whom the site ever knew, removed people too (CLOUD-16).
pub(super) fn list(visit: &mut Visit<'_>) -> Answer {
    let (start, rows) = visit.window(50, 1000)?;
    if !visit.administers() {
        return Ok(Reply::json(200, &json!([])));
    }
    let found = visit.world.people().filter(|person| person.on_site).skip(start).take(rows);
    let beans: Vec<Value> = found.map(|person| brief(visit.base_url, person)).collect();
    Ok(Reply::json(200, &Value::Array(beans)))
}

impl Person {
    /// Somebody of whom nothing is known but the address.
    fn stranger(email: &str) -> Self {
        Self {
            id: String::new(),
            email: email.to_owned(),
            name: email.to_owned(),
            kind: PersonKind::Atlassian,
            status: AccountStatus::Active,
            membership: None,
            roles: Default::default(),
            groups: Default::default(),
            profile: Default::default(),
            synced: false,
            saml: false,
            email_hidden: false,
            org_admin: false,
            last_active: None,
            on_site: false,
        }
    }
}

impl Visit<'_> {
    /// The account that `?accountId=` names, if the site knows it and the caller may see it (CLOUD-8).
    fn known_account(&self) -> Result<String, Reply> {
        let id = self.required("accountId")?;
        let known = self.world.person_by_id(&id).is_some_and(|person| person.on_site && self.administers());
        if known { Ok(id) } else { Err(refusal::jira(404, NO_USER)) }
    }

    /// The account with `groups` and `applicationRoles`, whose items are empty unless they are expanded.
    fn bean(&self, id: &str) -> Value {
        let Some(person) = self.world.person_by_id(id) else { return Value::Null };
        let mut bean = brief(self.base_url, person);
        let name =
            |id: &String| self.world.group_by_id(id).map(|group| group_name(self.base_url, &group.name, &group.id));
        let groups: Vec<Value> = person.groups.iter().filter_map(name).collect();
        let held = |resource: &str| self.world.holds_seat(person, resource);
        let apps = self.world.apps.iter().filter(|app| app.key.starts_with("jira") && held(&app.resource));
        let roles: Vec<Value> = apps.map(|app| role(self.world, app, self.base_url)).collect();
        bean["groups"] = wrapped(groups, self.call.expands("groups"));
        bean["applicationRoles"] = wrapped(roles, self.call.expands("applicationRoles"));
        bean["expand"] = "groups,applicationRoles".into();
        bean
    }
}

fn wrapped(items: Vec<Value>, expanded: bool) -> Value {
    json!({"size": items.len(), "items": if expanded { items } else { Vec::new() }})
}

fn group_name(base_url: &str, name: &str, id: &str) -> Value {
    json!({"name": name, "groupId": id, "self": format!("{base_url}/rest/api/3/group?groupId={id}")})
}

/// An account as lists show it. A suspended person's account stays active in Jira's eyes *(unconfirmed)*, a removed one's
/// does not.
pub(super) fn brief(base_url: &str, person: &Person) -> Value {
    let mut bean = Map::new();
    bean.insert("self".into(), format!("{base_url}/rest/api/3/user?accountId={}", person.id).into());
    bean.insert("accountId".into(), person.id.as_str().into());
    bean.insert("accountType".into(), person.kind.name().into());
    if !person.email_hidden {
        bean.insert("emailAddress".into(), person.email.as_str().into());
    }
    let avatar = format!("{base_url}/avatar/{}.png", person.id);
    bean.insert("avatarUrls".into(), json!({"48x48": avatar}));
    bean.insert("displayName".into(), person.name.as_str().into());
    let active = person.status == AccountStatus::Active && person.membership.is_some();
    bean.insert("active".into(), active.into());
    bean.insert("timeZone".into(), "Etc/UTC".into());
    Value::Object(bean)
}
