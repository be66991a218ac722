//! `/user` and what is below it.

use chrono::{DateTime, Utc};
use hyper::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Answer, Site, Visit};
use crate::sandbox::exchange::Reply;
use crate::sandbox::state::{Change, Copy, Id, NewAccount, Record, Refusal, World, fold};

/// Rows of one `user/list` page, at most and by default.
const LIST_PAGE: usize = 2000;

/// The members of a write, as the API's schema has them. `active`, `key` and `self` are read and, in a create, ignored
/// (DC-25).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(dead_code)]
struct UserWrite {
    name: Option<String>,
    password: Option<String>,
    email_address: Option<String>,
    display_name: Option<String>,
    notification: Option<Value>,
    application_keys: Option<Vec<String>>,
    active: Option<bool>,
    key: Option<Value>,
    #[serde(rename = "self")]
    link: Option<Value>,
}

pub(super) fn create(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let write: UserWrite = visit.body()?;
    // DC-23: the schema says a string; a JSON boolean is understood as well.
    let notifies = matches!(&write.notification, Some(Value::String(text)) if text.eq_ignore_ascii_case("true"))
        || write.notification == Some(Value::Bool(true));
    let new = NewAccount {
        username: write.name.unwrap_or_default().trim().to_owned(),
        email: write.email_address.unwrap_or_default().trim().to_owned(),
        display_name: write.display_name.unwrap_or_default().trim().to_owned(),
        password: write.password,
        applications: write.application_keys,
    };
    let key = visit.world.create_account(&new)?;
    let id = visit.world.find_key(&key).ok_or_else(|| Reply::error(500, "The account is not there."))?;
    let mut reply = Reply::json(201, &visit.bean(id)).with("Location", visit.site.user_link(&new.username));
    reply.mail_to = notifies.then_some(new.email);
    Ok(reply)
}

pub(super) fn update(visit: &mut Visit<'_>) -> Answer {
    let caller = visit.administrator()?;
    let id = visit.addressed()?;
    let write: UserWrite = visit.body()?;
    let trimmed = |text: Option<String>| text.map(|text| text.trim().to_owned());
    let change = Change {
        username: trimmed(write.name),
        email: trimmed(write.email_address),
        display_name: trimmed(write.display_name),
        active: write.active,
    };
    visit.world.update_account(id, &change, caller)?;
    Ok(Reply::json(200, &visit.bean(id)))
}

pub(super) fn get(visit: &mut Visit<'_>) -> Answer {
    visit.logged_in()?;
    let id = visit.addressed()?;
    Ok(Reply::json(200, &visit.bean(id)))
}

pub(super) fn delete(visit: &mut Visit<'_>) -> Answer {
    let caller = visit.administrator()?;
    let id = visit.addressed()?;
    visit.world.delete_account(id, caller)?;
    Ok(Reply::empty(204))
}

/// DC-38 to DC-40. Reads every account when few match: so does Jira, and no target of ours searches in the quiet case.
pub(super) fn search(visit: &mut Visit<'_>) -> Answer {
    visit.logged_in()?;
    let call = visit.call;
    let start = call.number("startAt", 0)?;
    let wanted = call.number("maxResults", 50)?;
    let rows = match () {
        () if visit.world.rules.version.at_least(&[10]) => wanted.min(100_usize.saturating_sub(start)),
        () if visit.world.rules.version.at_least(&[9]) => wanted.min(1000),
        () => wanted.min(1000_usize.saturating_sub(start)),
    };
    let (active, inactive) = (call.flag("includeActive", true), call.flag("includeInactive", false));
    let text = fold(call.parameter("username").unwrap_or_default().trim());
    let fits = |record: &&Record| {
        let starts = |value: &str| fold(value).starts_with(&text);
        let names = || record.display_name.split_whitespace().any(starts) || starts(&record.display_name);
        (if record.active { active } else { inactive })
            && !text.is_empty()
            && (text == "." || record.folded.starts_with(&text) || starts(&record.email) || names())
    };
    let found = visit.world.by_username().filter(fits).skip(start).take(rows);
    let beans: Vec<Value> = found.map(|record| visit.site.person(visit.world, record)).collect();
    Ok(Reply::json(200, &Value::Array(beans)))
}

/// DC-41.
pub(super) fn list(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let rows = visit.call.number("maxResults", LIST_PAGE)?.clamp(1, LIST_PAGE);
    let cursor = match visit.call.parameter("cursor") {
        None => None,
        Some(text) => Some(text.parse::<Id>().map_err(|_| Reply::error(400, "The cursor is not valid."))?),
    };
    let mut found: Vec<(Id, &Record)> = visit.world.after(cursor).take(rows + 1).collect();
    let is_last = found.len() <= rows;
    found.truncate(rows);
    let values: Vec<Value> = found.iter().map(|(_, record)| visit.site.person(visit.world, record)).collect();
    let root = format!("{}/rest/api/2/user/list?maxResults={rows}", visit.site.base_url);
    let mut page = json!({"self": root, "maxResults": rows, "isLast": is_last, "values": values});
    if let (false, Some((last, _))) = (is_last, found.last()) {
        page["nextCursor"] = last.to_string().into();
        page["nextPage"] = format!("{root}&cursor={last}").into();
    }
    Ok(Reply::json(200, &page))
}

/// DC-50 *(the answer's shape is unconfirmed)*.
pub(super) fn duplicated_count(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    Ok(Reply::json(200, &json!({"count": visit.world.duplicated().len()})))
}

/// DC-50 *(the answer's shape is unconfirmed)*.
pub(super) fn duplicated_list(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let rows = visit.world.duplicated().into_iter().map(|(name, copies)| {
        let copy = |copy: Copy| json!({"directoryName": copy.directory, "active": copy.active});
        (name, copies.into_iter().map(copy).collect::<Vec<Value>>().into())
    });
    Ok(Reply::json(200, &Value::Object(rows.collect())))
}

pub(super) fn grant(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let (username, key) = (visit.required("username")?.to_owned(), visit.required("applicationKey")?.to_owned());
    visit.world.grant_application(&username, &key)?;
    Ok(Reply::empty(200))
}

pub(super) fn revoke(visit: &mut Visit<'_>) -> Answer {
    visit.administrator()?;
    let (username, key) = (visit.required("username")?.to_owned(), visit.required("applicationKey")?.to_owned());
    visit.world.revoke_application(&username, &key)?;
    Ok(Reply::empty(204))
}

impl Visit<'_> {
    /// The account that `?key=` or `?username=` names (DC-35).
    fn addressed(&self) -> Result<Id, Reply> {
        let missing = |text: String| Reply::from(Refusal::NotFound(text));
        match (self.call.parameter("key"), self.call.parameter("username")) {
            (Some(key), None) => {
                self.world.find_key(key).ok_or_else(|| missing(format!("The user with the key '{key}' does not exist")))
            }
            (None, Some(username)) => Ok(self.world.existing(username)?),
            (None, None) if self.call.method == Method::GET => {
                Err(missing("Either the 'username' or the 'key' query parameter needs to be provided".to_owned()))
            }
            (None, None) => {
                Err(Reply::error(400, "Either the 'username' or the 'key' query parameter needs to be provided"))
            }
            (Some(_), Some(_)) => Err(Reply::error(400, "Only one of 'username' and 'key' can be provided")),
        }
    }

    /// The user object of A1.1, with `groups` and `applicationRoles` as the call expands them (DC-36).
    pub(super) fn bean(&self, id: Id) -> Value {
        let record = self.world.record(id);
        let mut bean = self.site.person(self.world, record);
        let groups: Vec<Value> = match self.call.expands("groups") {
            false => Vec::new(),
            true => {
                let item = |name: &String| json!({"name": name, "self": self.site.group_link(name)});
                self.world.group_names(record).iter().map(item).collect()
            }
        };
        let roles: Vec<Value> = self
            .world
            .rules
            .roles
            .iter()
            .filter(|role| self.world.has_application(id, role))
            .map(|role| json!({"key": role.key, "name": role.name}))
            .collect();
        bean["groups"] = json!({"size": record.groups.len(), "items": groups});
        let size = roles.len();
        let roles = if self.call.expands("applicationRoles") { roles } else { Vec::new() };
        bean["applicationRoles"] = json!({"size": size, "items": roles});
        bean["expand"] = "groups,applicationRoles".into();
        bean
    }
}

impl Site {
    pub(super) fn user_link(&self, username: &str) -> String {
        self.link("/user", "username", username)
    }

    /// An account as lists show it.
    pub(super) fn person(&self, world: &World, record: &Record) -> Value {
        let mut bean = Map::new();
        bean.insert("self".into(), self.user_link(&record.name).into());
        bean.insert("key".into(), (*record.key).into());
        bean.insert("name".into(), (*record.name).into());
        if !self.emails_hidden {
            bean.insert("emailAddress".into(), (*record.email).into());
        }
        let avatar = format!("{}/secure/useravatar?avatarId=10122", self.base_url);
        bean.insert("avatarUrls".into(), json!({"48x48": avatar}));
        bean.insert("displayName".into(), (*record.display_name).into());
        bean.insert("active".into(), record.active.into());
        bean.insert("timeZone".into(), "Etc/UTC".into());
        bean.insert("locale".into(), "en_US".into());
        if let Some(at) = record.last_login.filter(|_| world.rules.version.at_least(&[10])) {
            bean.insert("lastLoginTime".into(), without_colon(at).into());
        }
        Value::Object(bean)
    }
}

/// `2024-02-19T08:41:07+0000` (DC-45).
pub(super) fn without_colon(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%z").to_string()
}
