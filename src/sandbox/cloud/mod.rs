//! Jira Cloud on one socket: the site (`/rest/api/3`), the gateway for tokens with scopes (`/ex/jira/{cloudId}`), the
//! organisation's API (`/admin`) and the one for managed accounts (`/users/{id}/manage`). The numbers (`CLOUD-12`) are those
//! of `docs/targets/cloud.md`.

mod access;
mod manage;
mod org_about;
mod org_groups;
mod org_people;
mod refusal;
mod route;
mod setup;
mod site;
mod site_groups;
mod site_users;
mod state;

use serde::de::DeserializeOwned;

pub use access::Limits;
pub use setup::CloudSandboxOptions;
pub use state::{
    AccountStatus, App, Directory, NewPerson, ORG_ADMINS, Person, PersonKind, SITE_ADMINS, Settles, Trouble,
    World as CloudWorld,
};

use super::api::{Answered, Api, Clock, usual_fault};
use super::exchange::{Call, Place, Reply};
use super::faults::Action;
use super::stand::Stand;
use access::Access;
use route::{EDGE, GATEWAY, MANAGE, ORGANIZATIONS, SITE};
use state::World;

/// A running Jira Cloud.
pub type CloudSandbox = Stand<Cloud>;

/// The organisation, its credentials, and where it is.
pub struct Cloud {
    world: World,
    access: Access,
    base_url: String,
    /// The organisation's key; see [`Stand::organization_key`].
    key: String,
    /// A token with scopes; see [`Stand::scoped_token`].
    scoped_token: String,
}

/// One call on its way through an API.
pub(crate) struct Visit<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) call: &'a Call,
    pub(crate) base_url: &'a str,
    /// The address of whoever calls the site; `None` is anonymous, or the organisation's key.
    pub(crate) caller: Option<&'a str>,
}

/// A refusal is an answer, too; so that `?` ends a handler.
pub(crate) type Answer = Result<Reply, Reply>;

impl Visit<'_> {
    /// The value of the n-th name in braces.
    pub(crate) fn segment(&self, n: usize) -> &str {
        self.call.place.segments.get(n).map_or("", String::as_str)
    }

    /// The JSON body, or the refusal that `otherwise` makes of what is wrong with it.
    pub(crate) fn body<T: DeserializeOwned>(&self, otherwise: impl FnOnce(&str) -> Reply) -> Result<T, Reply> {
        serde_json::from_slice(&self.call.body).map_err(|error| otherwise(&error.to_string()))
    }

    /// Whether the body says that it is JSON.
    pub(crate) fn says_json(&self) -> bool {
        let content_type = self.call.header("content-type").unwrap_or_default();
        content_type.to_ascii_lowercase().starts_with("application/json") && !self.call.body.is_empty()
    }
}

impl Api for Cloud {
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

    fn locate(&self, _method: &str, path: &str) -> Place {
        route::locate(path)
    }

    fn answer(&mut self, call: &Call, clock: Clock) -> Answered {
        self.world.clock = clock.ahead;
        let api = call.place.api;
        if api == EDGE {
            return Answered {
                caller: None,
                reply: Reply::json(200, &serde_json::json!({"cloudId": self.world.cloud_id})),
            };
        }
        let limits = match self.access.pace(call, clock.now) {
            Ok(limits) => limits,
            Err(throttled) => return Answered { caller: None, reply: throttled },
        };
        let answered =
            if api == SITE || api == GATEWAY { self.at_the_site(call) } else { self.at_the_organization(call) };
        let reply = limits.into_iter().fold(answered.reply, |reply, (name, value)| reply.with(name, value));
        Answered { reply, ..answered }
    }

    fn caller(&mut self, call: &Call) -> Option<String> {
        match call.place.api {
            SITE | GATEWAY => self.access.at_the_site(&self.world, call).ok().flatten(),
            _ => self.access.at_the_organization(call).ok().map(|()| "organization".to_owned()),
        }
    }

    fn error(&self, call: &Call, _caller: Option<&str>, status: u16) -> Reply {
        match call.place.api {
            ORGANIZATIONS => refusal::organization(status, &format!("ADMIN-{status}-1"), "Injected fault."),
            MANAGE => refusal::manage(status, "injected.fault", None),
            _ => refusal::jira(status, "Injected fault."),
        }
    }

    fn throttled(&self, call: &Call, seconds: u64) -> Reply {
        let reply = match call.place.api {
            ORGANIZATIONS | MANAGE => refusal::proxy(429, "Rate limit exceeded"),
            _ => refusal::jira(429, "Rate limit exceeded.").with("RateLimit-Reason", "jira-quota-tenant-based"),
        };
        reply.with("Retry-After", seconds.to_string())
    }

    fn fail(&mut self, call: &Call, fault: &Action, clock: Clock) -> Answered {
        match fault {
            // The site's own login page; nothing here asks for a CAPTCHA or names the caller.
            Action::Captcha => Answered { caller: None, reply: Reply::html(403, "Log in with Atlassian account") },
            other => usual_fault(self, call, other, clock),
        }
    }
}

impl Cloud {
    fn at_the_site(&mut self, call: &Call) -> Answered {
        if call.place.api == GATEWAY && call.place.segments.first() != Some(&self.world.cloud_id) {
            return Answered {
                caller: None,
                reply: Reply::json(404, &serde_json::json!({"code": 404, "message": "No such site"})),
            };
        }
        let caller = match self.access.at_the_site(&self.world, call) {
            Ok(caller) => caller,
            Err(refused) => return Answered { caller: None, reply: refused },
        };
        let mut visit = Visit { world: &mut self.world, call, base_url: &self.base_url, caller: caller.as_deref() };
        let reply = site::answer(&mut visit);
        Answered { caller, reply }
    }

    fn at_the_organization(&mut self, call: &Call) -> Answered {
        if let Err(refused) = self.access.at_the_organization(call) {
            return Answered { caller: None, reply: refused };
        }
        let mut visit = Visit { world: &mut self.world, call, base_url: &self.base_url, caller: None };
        let reply = match call.place.api {
            MANAGE => manage::answer(&mut visit),
            _ => org_about::answer(&mut visit),
        };
        Answered { caller: Some("organization".to_owned()), reply }
    }
}
