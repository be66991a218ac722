//! Memberships by the Crowd-compatible API. What the body names and is not there is 400, what the query names is 404
//! (DC-84).

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Visit, error, no_user};
use crate::sandbox::exchange::Reply;

#[derive(Deserialize)]
struct Named {
    name: Option<String>,
}

fn no_group(name: &str) -> Reply {
    error(404, "GROUP_NOT_FOUND", &format!("Group <{name}> does not exist"))
}

/// `GET /user/group/direct`; with `groupname` the one membership, or 404.
pub(super) fn groups_of(visit: &mut Visit<'_>) -> Answer {
    let id = visit.addressed()?;
    let record = visit.world.record(id);
    let names = visit.world.group_names(record);
    if let Some(wanted) = visit.call.parameter("groupname") {
        let found = names.iter().find(|name| name.to_lowercase() == wanted.to_lowercase());
        let found = found.ok_or_else(|| error(404, "MEMBERSHIP_NOT_FOUND", "The user is no direct member"))?;
        return Ok(Reply::json(200, &json!({"name": found})));
    }
    let (start, rows) = visit.window()?;
    let rows: Vec<Value> = names.into_iter().skip(start).take(rows).map(|name| json!({"name": name})).collect();
    Ok(Reply::json(200, &json!({"expand": "group", "groups": rows})))
}

/// `GET /group/user/direct`.
pub(super) fn list(visit: &mut Visit<'_>) -> Answer {
    let group = visit.group()?;
    let (start, rows) = visit.window()?;
    let ids: Vec<_> = visit.world.member_ids(&group).skip(start).take(rows).collect();
    Ok(Reply::json(200, &visit.users(&ids)))
}

/// `POST /group/user/direct`: 409 for somebody who is a member (DC-84).
pub(super) fn add(visit: &mut Visit<'_>) -> Answer {
    let group = visit.group()?;
    let name = visit.body::<Named>()?.name.unwrap_or_default();
    let Some(id) = visit.world.find(&name) else {
        return Err(error(400, "USER_NOT_FOUND", &format!("User <{name}> does not exist")));
    };
    if visit.world.crowd_join(id, &group) {
        return Ok(Reply::empty(201));
    }
    Err(error(409, "MEMBERSHIP_ALREADY_EXISTS", "The user is a direct member"))
}

/// `DELETE /group/user/direct`.
pub(super) fn remove(visit: &mut Visit<'_>) -> Answer {
    let group = visit.group()?;
    let name = visit.call.parameter("username").unwrap_or_default();
    let id = visit.world.find(name).ok_or_else(|| no_user(name))?;
    if visit.world.crowd_leave(id, &group) {
        return Ok(Reply::empty(204));
    }
    Err(error(404, "MEMBERSHIP_NOT_FOUND", "The user is no direct member"))
}

/// `GET /group/membership`: every membership in one document, as XML only (DC-85).
pub(super) fn snapshot(visit: &mut Visit<'_>) -> Answer {
    let wants = visit.call.header("accept").unwrap_or("*/*");
    if !["application/xml", "*/*"].iter().any(|kind| wants.contains(kind)) {
        return Err(Reply::html(406, "Not Acceptable"));
    }
    let mut text = String::from(r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?><memberships>"#);
    for (group, members) in visit.world.memberships() {
        let _ = write!(text, r#"<membership group="{}"><users>"#, Escaped(group));
        for member in members {
            let _ = write!(text, r#"<user name="{}"/>"#, Escaped(member));
        }
        text.push_str("</users><groups/></membership>");
    }
    text.push_str("</memberships>");
    Ok(Reply::xml(200, text))
}

impl Visit<'_> {
    /// The group of `?groupname=`, in Jira's spelling.
    fn group(&self) -> Result<String, Reply> {
        let name = self.call.parameter("groupname").unwrap_or_default();
        self.world.group(name).map(|group| group.name.to_string()).ok_or_else(|| no_group(name))
    }
}

/// Text as an attribute's value.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            c => f.write_char(c),
        })
    }
}
