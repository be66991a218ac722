//! The Crowd-compatible API (`/rest/usermanagement/1`): a second door with a credential of its own, which knows names in
//! two parts, replaces whole accounts, and asks none of Jira's own rules (DC-80 to DC-88).

mod members;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::Site;
use crate::sandbox::exchange::{Call, Reply};
use crate::sandbox::state::{Id, NewAccount, Refusal, Replacement, World};

/// Rows of a page when nobody says how many.
const ROWS: usize = 1000;

/// One call on its way; whoever gets here has shown the application's name and password.
pub(crate) struct Visit<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) site: &'a Site,
    pub(crate) call: &'a Call,
}

type Answer = Result<Reply, Reply>;

/// Answers a call below `/rest/usermanagement/1`.
pub(crate) fn answer(visit: &mut Visit<'_>) -> Reply {
    let call = visit.call;
    let handler: fn(&mut Visit<'_>) -> Answer = match (call.method.as_str(), call.route()) {
        ("GET", "/user") => get,
        ("POST", "/user") => create,
        ("PUT", "/user") => replace,
        ("DELETE", "/user") => delete,
        ("POST", "/user/rename") => rename,
        ("GET", "/user/attribute") => attributes,
        ("GET", "/search") => search,
        ("GET", "/user/group/direct") => members::groups_of,
        ("GET", "/group/user/direct") => members::list,
        ("POST", "/group/user/direct") => members::add,
        ("DELETE", "/group/user/direct") => members::remove,
        ("GET", "/group/membership") => members::snapshot,
        _ => return Reply::html(404, "Oops, you've found a dead link"),
    };
    handler(visit).unwrap_or_else(|refusal| refusal)
}

/// `{"reason": "USER_NOT_FOUND", "message": "…"}` (DC-81).
fn error(status: u16, reason: &str, message: &str) -> Reply {
    Reply::json(status, &json!({"reason": reason, "message": message}))
}

fn refused(refusal: Refusal) -> Reply {
    match refusal {
        Refusal::Invalid { messages, errors } => {
            let texts: Vec<String> = messages.into_iter().chain(errors.into_values()).collect();
            error(400, "INVALID_USER", &texts.join(" "))
        }
        Refusal::NotFound(message) => error(404, "USER_NOT_FOUND", &message),
        Refusal::Forbidden(message) => error(403, "APPLICATION_PERMISSION_DENIED", &message),
    }
}

fn no_user(name: &str) -> Reply {
    error(404, "USER_NOT_FOUND", &format!("User <{name}> does not exist"))
}

/// The members of a user; those that are left out are blank, and the person is inactive (DC-82).
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct UserWrite {
    name: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    display_name: Option<String>,
    email: Option<String>,
    active: Option<bool>,
    password: Option<Password>,
}

#[derive(Deserialize)]
struct Password {
    value: Option<String>,
}

impl UserWrite {
    fn replacement(&self) -> Replacement {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        Replacement {
            first_name: text(&self.first_name),
            last_name: text(&self.last_name),
            display_name: text(&self.display_name),
            email: text(&self.email),
            active: self.active.unwrap_or(false),
        }
    }
}

fn get(visit: &mut Visit<'_>) -> Answer {
    let id = visit.addressed()?;
    Ok(Reply::json(200, &visit.bean(id)))
}

fn create(visit: &mut Visit<'_>) -> Answer {
    let write: UserWrite = visit.body()?;
    let name = write.name.clone().unwrap_or_default();
    let Some(password) = write.password.as_ref().and_then(|password| password.value.clone()) else {
        return Err(error(400, "INVALID_USER", "A new user must have a password"));
    };
    let new = NewAccount { password: Some(password), ..NewAccount::named(&name) };
    visit.world.crowd_create(&new, write.replacement()).map_err(refused)?;
    Ok(Reply::empty(201).with("Location", visit.site.crowd_link(&name)))
}

fn replace(visit: &mut Visit<'_>) -> Answer {
    let id = visit.addressed()?;
    let write: UserWrite = visit.body()?;
    let known = visit.world.record(id).name.to_string();
    if write.name.as_deref().is_none_or(|name| name.to_lowercase() != known.to_lowercase()) {
        return Err(error(400, "ILLEGAL_ARGUMENT", "The username in the body is not that of the request"));
    }
    visit.world.crowd_update(id, write.replacement()).map_err(refused)?;
    Ok(Reply::empty(204))
}

fn delete(visit: &mut Visit<'_>) -> Answer {
    let id = visit.addressed()?;
    visit.world.crowd_delete(id).map_err(refused)?;
    Ok(Reply::empty(204))
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct NewName {
    new_name: Option<String>,
}

fn rename(visit: &mut Visit<'_>) -> Answer {
    let id = visit.addressed()?;
    let name = visit.body::<NewName>()?.new_name.unwrap_or_default();
    visit.world.crowd_rename(id, &name).map_err(refused)?;
    Ok(Reply::json(200, &visit.bean(id)))
}

fn attributes(visit: &mut Visit<'_>) -> Answer {
    let id = visit.addressed()?;
    Ok(Reply::json(200, &attribute_list(&visit.world.attributes(id))))
}

fn attribute_list(attributes: &BTreeMap<String, Vec<String>>) -> Value {
    let rows: Vec<Value> = attributes.iter().map(|(name, values)| json!({"name": name, "values": values})).collect();
    json!({"attributes": rows})
}

/// Users or groups a page at a time, without any cap (DC-83). Restrictions are not played.
fn search(visit: &mut Visit<'_>) -> Answer {
    let call = visit.call;
    if call.parameter("restriction").is_some_and(|text| !text.trim().is_empty()) {
        return Err(error(400, "ILLEGAL_ARGUMENT", "This sandbox knows no restrictions"));
    }
    let (start, rows) = visit.window()?;
    match call.parameter("entity-type") {
        Some("user") => {
            let ids: Vec<Id> = visit.world.ids().skip(start).take(rows).collect();
            Ok(Reply::json(200, &visit.users(&ids)))
        }
        Some("group") => {
            let names = visit.world.groups().into_iter().skip(start).take(rows);
            let rows: Vec<Value> = names.map(|name| json!({"name": name})).collect();
            Ok(Reply::json(200, &json!({"expand": "group", "groups": rows})))
        }
        _ => Err(error(400, "ILLEGAL_ARGUMENT", "entity-type must be user or group")),
    }
}

impl Visit<'_> {
    /// The user of `?username=` or `?key=`.
    fn addressed(&self) -> Result<Id, Reply> {
        match (self.call.parameter("key"), self.call.parameter("username")) {
            (Some(key), _) => self.world.find_key(key).ok_or_else(|| no_user(key)),
            (None, Some(name)) => self.world.find(name).ok_or_else(|| no_user(name)),
            (None, None) => Err(error(400, "ILLEGAL_ARGUMENT", "username must be given")),
        }
    }

    fn window(&self) -> Result<(usize, usize), Reply> {
        Ok((self.call.number("start-index", 0)?, self.call.number("max-results", ROWS)?))
    }

    fn body<T: serde::de::DeserializeOwned>(&self) -> Result<T, Reply> {
        let content_type = self.call.header("content-type").unwrap_or_default();
        if !content_type.to_ascii_lowercase().starts_with("application/json") {
            return Err(Reply::html(415, "Unsupported Media Type"));
        }
        serde_json::from_slice(&self.call.body).map_err(|fault| error(400, "ILLEGAL_ARGUMENT", &fault.to_string()))
    }

    fn users(&self, ids: &[Id]) -> Value {
        let full = self.call.expands("user");
        let rows: Vec<Value> = ids.iter().map(|id| if full { self.bean(*id) } else { self.link(*id) }).collect();
        json!({"expand": "user", "users": rows})
    }

    fn link(&self, id: Id) -> Value {
        let name = &*self.world.record(id).name;
        json!({"name": name, "link": {"href": self.site.crowd_link(name), "rel": "self"}})
    }

    fn bean(&self, id: Id) -> Value {
        let record = self.world.record(id);
        let (first, last) = self.world.name_parts(id);
        let mut bean = json!({
            "expand": "attributes",
            "link": {"href": self.site.crowd_link(&record.name), "rel": "self"},
            "name": *record.name,
            "first-name": first,
            "last-name": last,
            "display-name": *record.display_name,
            "email": *record.email,
            "active": record.active,
            "key": *record.key,
            "attributes": {"attributes": []},
        });
        if self.call.expands("attributes") {
            bean["attributes"] = attribute_list(&self.world.attributes(id));
        }
        bean
    }
}

impl Site {
    fn crowd_link(&self, username: &str) -> String {
        let name = percent_encoding::utf8_percent_encode(username, super::QUERY_VALUE);
        format!("{}/rest/usermanagement/1/user?username={name}", self.base_url)
    }
}
