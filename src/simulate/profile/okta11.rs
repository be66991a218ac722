//! Okta over SCIM 1.1: the app of the catalogue, which changes by partial resources (OKTA11-4 to OKTA11-8), and the
//! on-premises agent, which PUTs everything (OPP-2).

use hyper::Method;
use serde_json::{Value, json};

use super::acceptance::{self, described, first_page};
use super::dialect::{
    CORE1, Deletes, Dialect, GroupCites, Groups, Import, Match, Members, PATIENT, Patching, Rename, Reread, Shown,
    Switch, Update, UserCites, Users, encoded,
};
use super::okta::{self, lookup, members};
use super::{Group, Idp, Member, Soon, steps};
use crate::simulate::check::{Check, Kind};
use crate::simulate::people::Person;
use crate::simulate::wire::{Ask, Manner, Wire};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct OktaV1;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnPremises;

const CUSTOM_GROUP: &str = "urn:okta:custom:group:1.0";
const CUSTOM_USER: &str = "urn:okta:onprem_app:1.0:user:custom";
const PROVIDER_CONFIG: &str = "urn:okta:schemas:scim:providerconfig:1.0";
/// What the agent needs for what is played here (OPP-1).
const CAPABILITIES: &[&str] = &[
    "GROUP_PUSH",
    "IMPORT_NEW_USERS",
    "IMPORT_PROFILE_UPDATES",
    "PUSH_NEW_USERS",
    "PUSH_PENDING_USERS",
    "PUSH_PROFILE_UPDATES",
    "PUSH_USER_DEACTIVATION",
    "REACTIVATE_USERS",
];

static CATALOGUE: Dialect = Dialect {
    manner: Manner::V1,
    headers: &[
        ("user-agent", "Okta SCIM Client 1.0.0"),
        ("accept", "application/json"),
        ("accept-charset", "utf-8"),
        ("content-type", "application/json; charset=utf-8"),
    ],
    patience: PATIENT,
    put: &[200],
    users: Users {
        find: Match::Before(|person| lookup(Kind::User, "userName", &person.user_name)),
        body: |person, _, active| body(person, active),
        update: Update::PutBack(okta::mastered),
        switch: Switch::Patch(|id, active| json!({ "schemas": [CORE1], "id": id, "active": active })),
        reread: Reread::Switched,
        deletes: Deletes::Never,
        import: Import::Pages(100),
        cites: UserCites {
            find: "OKTA11-1, F-1",
            create: "OKTA11-3",
            update: "OKTA-11, S11-14",
            switch: "OKTA11-4, OKTA11-9",
            delete: "",
            import: "OKTA11-1, OKTA-21",
        },
    },
    groups: Some(Groups {
        find: Match::Before(|name| lookup(Kind::Group, "displayName", name)),
        // OKTA11-5: the description cannot be turned off.
        body: |name| {
            json!({ "schemas": [CORE1, CUSTOM_GROUP], "displayName": name,
                    CUSTOM_GROUP: { "description": "People who keep it up" } })
        },
        members: Members::Patch(Patching { change, batch: 100, whole: Some(forced), suffix: "", quiet: false }),
        rename: Rename::Patch(|group, name| json!({ "schemas": [CORE1], "id": group.id, "displayName": name })),
        shown: Shown::Whole,
        cites: GroupCites {
            find: "OKTA11-1, F-9",
            create: "OKTA11-5",
            members: "OKTA11-7, OKTA11-8, S11-19",
            rename: "OKTA11-6",
            delete: "OKTA11-9, S11-21",
        },
    }),
};

static AGENT: Dialect = Dialect {
    headers: &[("accept", "application/json"), ("content-type", "application/json")],
    users: Users {
        body: |person, id, active| agent_body(person, id, active),
        update: Update::Put,
        switch: Switch::Put,
        reread: Reread::Lookup,
        cites: UserCites {
            find: "F-1, OPP-9",
            create: "OPP-2, OPP-3, OPP-4",
            update: "OPP-2",
            switch: "OPP-2",
            delete: "",
            import: "F-18",
        },
        ..CATALOGUE.users
    },
    groups: Some(Groups {
        find: Match::ReadAll,
        body: |name| json!({ "schemas": [CORE1], "displayName": name, "members": [] }),
        members: Members::Put(whole),
        rename: Rename::WithMembers,
        shown: Shown::Whole,
        cites: GroupCites {
            find: "OPP-7",
            create: "OPP-7",
            members: "OPP-7, OPP-8",
            rename: "OPP-7",
            delete: "OPP-7, S11-21",
        },
    }),
    ..CATALOGUE
};

fn body(person: &Person, active: bool) -> Value {
    let mut body = okta::body(person, active);
    body["schemas"] = json!([CORE1]);
    body
}

/// OPP-2, OPP-3, OPP-4.
fn agent_body(person: &Person, id: Option<&str>, active: bool) -> Value {
    let mut body = json!({
        "schemas": [CORE1, CUSTOM_USER],
        "userName": person.user_name,
        "active": active,
        "password": person.password,
        "name": { "formatted": person.display_name(), "givenName": person.given, "familyName": person.family },
        "emails": [
            { "value": person.user_name, "primary": true, "type": "primary" },
            { "value": format!("home.{}", person.user_name), "primary": false, "type": "secondary" },
        ],
        "phoneNumbers": [{ "value": format!("555-{}", person.employee_number()), "type": "mobile" }],
        CUSTOM_USER: { "shift": "late", "isRemote": true },
        "groups": [],
    });
    if let Some(id) = id {
        body["id"] = id.into();
    }
    body
}

/// OKTA11-7, OKTA11-8: in one request each.
fn change(_: &Group, joining: &[Member], leaving: &[Member]) -> Vec<Value> {
    let partial = |members: Value| json!({ "schemas": [CORE1], "members": members });
    let leave = |member: &Member| json!({ "value": member.id, "display": member.user_name, "operation": "delete" });
    let mut bodies = Vec::new();
    if !leaving.is_empty() {
        bodies.push(partial(leaving.iter().map(leave).collect()));
    }
    if !joining.is_empty() {
        bodies.push(partial(members(joining)));
    }
    bodies
}

/// S11-19: all go, then these come.
fn forced(_: &Group, all: &[Member]) -> Value {
    json!({ "schemas": [CORE1], "meta": { "attributes": ["members"] }, "members": members(all) })
}

fn whole(group: &Group, all: &[Member]) -> Value {
    json!({ "schemas": [CORE1], "id": group.id, "displayName": group.name, "members": members(all) })
}

impl Idp for OktaV1 {
    fn dialect(&self) -> &Dialect {
        &CATALOGUE
    }

    /// OKTA11-1.
    fn test_connection<'a>(&'a self, wire: &'a mut Wire) -> Soon<'a, ()> {
        Box::pin(async move {
            first_page(wire, Kind::User, "startIndex=1&count=2", "OKTA11-1, F-18").await?;
            first_page(wire, Kind::Group, "startIndex=1&count=100", "OKTA11-1, F-18").await
        })
    }

    /// OKTA11-12, OKTA11-13.
    fn acceptance<'a>(&'a self, wire: &'a mut Wire, known: &'a Person, id: &'a str) -> Soon<'a, ()> {
        Box::pin(async move {
            acceptance::usual(&CATALOGUE, wire, known, id).await?;
            acceptance::nonsense(wire).await?;
            acceptance::stranger(wire).await
        })
    }
}

impl Idp for OnPremises {
    fn dialect(&self) -> &Dialect {
        &AGENT
    }

    /// OPP-1.
    fn test_connection<'a>(&'a self, wire: &'a mut Wire) -> Soon<'a, ()> {
        Box::pin(async move {
            let name = "GET /ServiceProviderConfigs";
            described(wire, name, "OPP-1", Check::Capabilities(PROVIDER_CONFIG, CAPABILITIES)).await.map(drop)
        })
    }

    /// Besides, somebody is created who is to come later (OPP-5), and what changed is asked for (OPP-6).
    fn acceptance<'a>(&'a self, wire: &'a mut Wire, known: &'a Person, id: &'a str) -> Soon<'a, ()> {
        Box::pin(async move {
            acceptance::usual(&AGENT, wire, known, id).await?;
            let pending = known.besides("pending");
            let id = steps::create_inactive(&AGENT, wire, &pending, "OPP-5").await?;
            steps::set_active(&AGENT, wire, &id, &pending, true).await?;
            steps::set_active(&AGENT, wire, &id, &pending, false).await?;
            let since = encoded("meta.lastModified gt \"2020-01-01T00:00:00Z\"");
            let path = format!("/Users?filter={since}&startIndex=1&count=100");
            let changed = Ask::new("GET /Users?filter (changed)", Method::GET, path, &[200])
                .about("what changed")
                .cites("OPP-6, F-16")
                .check(Check::List { start: 1, count: 100 });
            wire.ask(changed).await.map(drop)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_leave_by_an_operation_of_their_own() {
        let member = |id: &str| [Member { id: id.to_owned(), user_name: format!("{id}@corp.example") }];
        let group = Group { id: "g-02c9".into(), name: "Crew".into() };
        let bodies = change(&group, &member("u-55aa"), &member("u-7f31"));
        assert_eq!(bodies[0]["members"][0]["operation"], "delete");
        assert_eq!(bodies[1]["members"], json!([{ "value": "u-55aa", "display": "u-55aa@corp.example" }]));
    }
}
