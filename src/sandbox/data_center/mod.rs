//! Jira Data Center's REST API over the [`World`]: routes, who may call them, and what they look like.
//!
//! A pure function of the world, the call and the caller: nothing here waits, so that a call can be played later, or
//! without its answer, by whoever plays the faults.

mod api;
mod crowd;
mod groups;
mod projects;
mod site;
mod users;

use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

pub use api::{DataCenter, State};

use super::exchange::{Call, Reply};
use super::state::{Id, Power, World};

const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What answers need to know beside the world.
#[derive(Clone)]
pub(crate) struct Site {
    /// Without a slash at its end.
    pub(crate) base_url: String,
    /// `/jira`, or empty.
    pub(crate) context: String,
    /// Whether e-mail addresses are left out (DC-37).
    pub(crate) emails_hidden: bool,
    /// Whether experimental operations want their header (DC-8).
    pub(crate) experimental_enforced: bool,
}

impl Site {
    fn link(&self, route: &str, parameter: &str, value: &str) -> String {
        format!("{}/rest/api/2{route}?{parameter}={}", self.base_url, utf8_percent_encode(value, QUERY_VALUE))
    }
}

/// One call on its way through the API.
pub(crate) struct Visit<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) site: &'a Site,
    pub(crate) call: &'a Call,
    /// `None` is anonymous.
    pub(crate) caller: Option<Id>,
}

/// A refusal is an answer, too; so that `?` ends a handler.
pub(crate) type Answer = Result<Reply, Reply>;

/// Operations that are documented as experimental (DC-8).
const EXPERIMENTAL: &[(&str, &str)] = &[
    ("POST", "/user"),
    ("PUT", "/user"),
    ("DELETE", "/user"),
    ("POST", "/user/application"),
    ("DELETE", "/user/application"),
    ("GET", "/user/duplicated/count"),
    ("GET", "/user/duplicated/list"),
    ("GET", "/myself"),
];

/// Answers a call below `/rest/api/2`.
pub(crate) fn answer(visit: &mut Visit<'_>) -> Reply {
    let call = visit.call;
    let experimental = EXPERIMENTAL.contains(&(call.method.as_str(), call.route()));
    if visit.site.experimental_enforced && experimental && call.header("x-experimentalapi") != Some("true") {
        return Reply::error(403, "This operation is experimental: X-ExperimentalApi must be true.");
    }
    let handler: fn(&mut Visit<'_>) -> Answer = match (call.method.as_str(), call.route()) {
        ("POST", "/user") => users::create,
        ("PUT", "/user") => users::update,
        ("GET", "/user") => users::get,
        ("DELETE", "/user") => users::delete,
        ("GET", "/user/search") => users::search,
        ("GET", "/user/list") if visit.world.rules.version.at_least(&[10, 1]) => users::list,
        ("GET", "/user/duplicated/count") if visit.world.rules.version.at_least(&[10]) => users::duplicated_count,
        ("GET", "/user/duplicated/list") if visit.world.rules.version.at_least(&[10]) => users::duplicated_list,
        ("POST", "/user/application") => users::grant,
        ("DELETE", "/user/application") => users::revoke,
        ("POST", "/group") => groups::create,
        ("DELETE", "/group") => groups::delete,
        ("POST", "/group/user") => groups::add_member,
        ("DELETE", "/group/user") => groups::remove_member,
        ("GET", "/group/member") => groups::members,
        ("GET", "/groups/picker") => groups::picker,
        ("GET", "/myself") => site::myself,
        ("GET", "/mypermissions") => site::permissions,
        ("GET", "/serverInfo") => site::server_info,
        ("GET", "/applicationrole") => site::roles,
        ("GET", "/applicationrole/{key}") => site::role,
        ("GET", "/project") => projects::list,
        ("GET", "/project/{projectIdOrKey}") => projects::get,
        ("PUT", "/project/{projectIdOrKey}") => projects::update,
        ("GET", "/project/{projectIdOrKey}/components") => projects::components,
        ("PUT", "/component/{id}") => projects::update_component,
        (_, route) => return nowhere(visit, route),
    };
    handler(visit).unwrap_or_else(|refusal| refusal)
}

/// 405 where another method would have found something, else the framework's 404.
fn nowhere(visit: &Visit<'_>, route: &str) -> Reply {
    let methods = match route {
        "/user" => "DELETE,GET,POST,PUT",
        "/user/application" | "/group/user" | "/group" => "DELETE,POST",
        "/user/search" | "/group/member" | "/groups/picker" | "/myself" | "/mypermissions" | "/serverInfo" => "GET",
        "/applicationrole/{key}" | "/project/{projectIdOrKey}/components" => "GET",
        "/project/{projectIdOrKey}" => "GET,PUT",
        "/component/{id}" => "PUT",
        "/applicationrole" | "/project" => "GET",
        _ => {
            let uri = format!("{}{}", visit.site.base_url, visit.call.target);
            return Reply::framework(404, &format!("null for uri: {uri}"));
        }
    };
    Reply::empty(405).with("Allow", methods)
}

impl Visit<'_> {
    /// The account that calls; anonymous readers get 401, anonymous writers 403 (DC-2).
    fn logged_in(&self) -> Result<Id, Reply> {
        self.caller.ok_or_else(|| {
            let status = if self.call.method == Method::GET { 401 } else { 403 };
            Reply::error(status, "You are not authenticated. Authentication required to perform this operation.")
        })
    }

    /// The account that calls, if it administers Jira (DC-13).
    fn administrator(&self) -> Result<Id, Reply> {
        let caller = self.logged_in()?;
        match self.world.power(caller) {
            Power::User => Err(Reply::error(403, "You do not have the permission to administer users and groups.")),
            Power::Administrator | Power::SystemAdministrator => Ok(caller),
        }
    }

    /// A query parameter that has to be there, as it came.
    fn required(&self, name: &str) -> Result<&str, Reply> {
        let value = self.call.parameter(name).filter(|value| !value.trim().is_empty());
        value.ok_or_else(|| Reply::error(400, &format!("The query parameter '{name}' must be given.")))
    }

    /// The value of the segment in braces.
    fn segment(&self) -> String {
        self.call.place.segments.first().cloned().unwrap_or_default()
    }

    /// The JSON body. Unknown members are refused, as Jira's reader does.
    fn body<T: DeserializeOwned>(&self) -> Result<T, Reply> {
        let content_type = self.call.header("content-type").unwrap_or_default();
        if !content_type.to_ascii_lowercase().starts_with("application/json") {
            return Err(Reply::html(415, "Unsupported Media Type"));
        }
        serde_json::from_slice(&self.call.body).map_err(|error| Reply::error(400, &error.to_string()))
    }
}
