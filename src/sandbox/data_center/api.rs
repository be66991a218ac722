//! Data Center as the server sees it: the way of a call from the socket to the REST API, and what faults look like here.

use std::borrow::Cow;
use std::time::Duration;

use rand::Rng;

use super::{Site, Visit, crowd};
use crate::sandbox::access::{self, Access};
use crate::sandbox::api::{Answered, Api, Clock, usual_fault};
use crate::sandbox::exchange::{Call, Place, Reply, below};
use crate::sandbox::faults::Action;
use crate::sandbox::state::{Id, World};

/// The name of the REST API among the places of a call.
const REST: &str = "";
/// That of the Crowd-compatible API.
const CROWD: &str = "crowd";

/// The operations whose path holds an id.
const WITH_ID: &[&str] =
    &["/applicationrole/{key}", "/project/{projectIdOrKey}", "/project/{projectIdOrKey}/components", "/component/{id}"];

/// What `/status` says (DC-11).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Ready.
    #[default]
    Running,
    /// Not yet ready, with 200 all the same.
    Starting,
    /// On its way down, with 200.
    Stopping,
    /// Never set up, with 200.
    FirstRun,
    /// A reindex delays the start: 503.
    Maintenance,
    /// 500.
    Error,
}

impl State {
    fn reply(self) -> Reply {
        let (status, state) = match self {
            Self::Running => (200, "RUNNING"),
            Self::Starting => (200, "STARTING"),
            Self::Stopping => (200, "STOPPING"),
            Self::FirstRun => (200, "FIRST_RUN"),
            Self::Maintenance => (503, "MAINTENANCE"),
            Self::Error => (500, "ERROR"),
        };
        Reply::json(status, &serde_json::json!({"state": state}))
    }
}

/// A Jira Data Center: its world, its credentials, its address.
pub struct DataCenter {
    pub(crate) world: World,
    pub(crate) access: Access,
    pub(crate) site: Site,
    pub(crate) state: State,
}

impl Api for DataCenter {
    type World = World;

    fn world(&self) -> &World {
        &self.world
    }

    fn world_mut(&mut self) -> &mut World {
        &mut self.world
    }

    fn changes(&self) -> u64 {
        self.world.changes()
    }

    /// DC-1, DC-11.
    fn locate(&self, _method: &str, path: &str) -> Place {
        let within = below(path, &self.site.context).unwrap_or_default();
        let under = |roots: &[&str]| roots.iter().find_map(|root| below(within, root));
        if let Some(route) = under(&["/rest/usermanagement/1", "/rest/usermanagement/latest"]) {
            return place(CROWD, route, true);
        }
        match under(&["/rest/api/2", "/rest/api/latest"]) {
            Some(route) => place(REST, route, true),
            None if within == "/status" => place(REST, within, false),
            None => place(REST, "", false),
        }
    }

    fn answer(&mut self, call: &Call, clock: Clock) -> Answered {
        if !call.place.inside {
            return Answered { caller: None, reply: self.outside_of_rest(call) };
        }
        if call.place.api == CROWD {
            return self.crowd(call);
        }
        let caller = match self.access.identify(&self.world, call, &self.site.base_url) {
            Ok(caller) => caller,
            Err(refused) => return Answered { caller: None, reply: refused.with("X-AUSERNAME", "anonymous") },
        };
        // The name before the call, which may rename its own caller.
        let name = caller.map(|id| self.world.record(id).name.to_string());
        let reply = self.admitted(call, caller, clock.now).with("X-AUSERNAME", username_header(name.as_deref()));
        let session: u128 = rand::rng().random();
        let path = if self.site.context.is_empty() { "/" } else { &self.site.context };
        let reply = reply.with("Set-Cookie", format!("JSESSIONID={session:032X}; Path={path}; HttpOnly"));
        Answered { caller: name, reply }
    }

    fn caller(&mut self, call: &Call) -> Option<String> {
        if call.place.api == CROWD {
            return self.access.application(call).ok();
        }
        let id = self.access.identify(&self.world, call, &self.site.base_url).ok().flatten();
        id.map(|id| self.world.record(id).name.to_string())
    }

    /// A failing Jira no longer knows who called (DC-18); one that refuses does (DC-75).
    fn error(&self, _call: &Call, caller: Option<&str>, status: u16) -> Reply {
        let known = caller.filter(|_| status < 500);
        Reply::error(status, "Injected fault.").with("X-AUSERNAME", username_header(known))
    }

    fn throttled(&self, _call: &Call, seconds: u64) -> Reply {
        let reply = Reply::framework(429, "Rate limit exceeded.").with("X-RateLimit-Remaining", "0");
        reply.with("Retry-After", seconds.to_string())
    }

    fn fail(&mut self, call: &Call, fault: &Action, clock: Clock) -> Answered {
        match fault {
            Action::Redirect => {
                let page = format!("{}/login.jsp?os_destination=x", self.site.base_url);
                Answered { caller: None, reply: Reply::empty(302).with("Location", page) }
            }
            Action::Captcha => Answered { caller: None, reply: access::captcha(&self.site.base_url) },
            Action::Garbage => {
                let Answered { caller, .. } = self.answer(call, clock);
                let header = username_header(caller.as_deref());
                Answered { caller, reply: Reply::garbage().with("X-AUSERNAME", header) }
            }
            Action::Ausername(name) => {
                let Answered { caller, reply } = self.answer(call, clock);
                Answered { caller, reply: reply.with("X-AUSERNAME", name) }
            }
            other => usual_fault(self, call, other, clock),
        }
    }
}

impl DataCenter {
    fn admitted(&mut self, call: &Call, caller: Option<Id>, now: Duration) -> Reply {
        if let Err(refused) = access::refuse_browsers(call) {
            return refused;
        }
        let limits = match caller.map(|id| self.access.pace(id, now)).transpose() {
            Ok(limits) => limits.unwrap_or_default(),
            Err(throttled) => return throttled,
        };
        let reply = super::answer(&mut Visit { world: &mut self.world, site: &self.site, call, caller });
        limits.into_iter().fold(reply, |reply, (name, value)| reply.with(name, value))
    }

    /// DC-80: an application with a name and a password of its own; to the rest of Jira it is nobody.
    fn crowd(&mut self, call: &Call) -> Answered {
        match self.access.application(call) {
            Err(refused) => Answered { caller: None, reply: refused },
            Ok(name) => {
                let mut visit = crowd::Visit { world: &mut self.world, site: &self.site, call };
                let reply = crowd::answer(&mut visit).with("X-AUSERNAME", "anonymous");
                Answered { caller: Some(name), reply }
            }
        }
    }

    /// DC-11.
    fn outside_of_rest(&self, call: &Call) -> Reply {
        match (call.method.as_str(), call.route()) {
            ("GET", "/status") => self.state.reply(),
            _ => Reply::html(404, "Oops, you've found a dead link"),
        }
    }
}

/// The place of a route below an API's root; what is an id in it is named.
fn place(api: &'static str, route: &str, inside: bool) -> Place {
    let route = route.trim_end_matches('/');
    let known = WITH_ID.iter().filter(|_| api == REST).find_map(|known| Some((*known, id_in(route, known)?)));
    match known {
        Some((known, id)) => Place { api, route: Cow::Borrowed(known), inside, segments: vec![id] },
        None => Place { api, route: Cow::Owned(route.to_owned()), inside, segments: Vec::new() },
    }
}

/// The id in a route that has this form.
fn id_in(route: &str, form: &str) -> Option<String> {
    let (mut found, mut id) = (route.split('/'), None);
    for wanted in form.split('/') {
        let segment = found.next()?;
        match wanted.starts_with('{') {
            true => id = Some(percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()),
            false if wanted != segment => return None,
            false => {}
        }
    }
    id.filter(|_| found.next().is_none())
}

/// `anonymous` where nobody is known. Header values are ASCII; what is not is encoded (DC-19).
fn username_header(name: Option<&str>) -> String {
    let name = name.unwrap_or("anonymous");
    if name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return name.to_owned();
    }
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}
