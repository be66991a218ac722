//! Ping: PingOne, which knows no PATCH, and PingFederate with its SCIM 2.0 provisioner, which changes groups by PATCH. Both
//! find groups by reading all of them (PING-5).

use serde_json::{Value, json};

use super::acceptance::{by_user_name, described, first_page};
use super::dialect::{
    Deletes, Dialect, GROUP, GroupCites, Groups, Import, Match, Members, PATIENT, Patching, Rename, Reread, Shown,
    Switch, USER, Update, UserCites, Users, filter, patch,
};
use super::{Group, Idp, Member, Movement, Soon, groups};
use crate::simulate::check::{Check, Kind};
use crate::simulate::people::Person;
use crate::simulate::wire::{Manner, Wire};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct PingOne;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct PingFederate;

static PING_ONE: Dialect = Dialect {
    manner: Manner::V2,
    headers: &[("accept", "application/scim+json"), ("content-type", "application/scim+json")],
    patience: PATIENT,
    put: &[200],
    users: Users {
        find: Match::Before(by_user_name),
        body,
        update: Update::Put,
        switch: Switch::Put,
        reread: Reread::Id,
        deletes: Deletes::Once,
        import: Import::Pages(100),
        cites: UserCites {
            find: "PING-3, F-2",
            create: "PING-6, PING-9",
            update: "PING-4",
            switch: "PING-10",
            delete: "PING-10",
            import: "PING-13",
        },
    },
    groups: Some(Groups {
        find: Match::ReadAll,
        body: |name| json!({ "schemas": [GROUP], "displayName": name }),
        members: Members::Put(whole),
        rename: Rename::No,
        shown: Shown::Whole,
        cites: GroupCites {
            find: "PING-5, F-21",
            create: "PING-11",
            members: "PING-4, PING-11",
            rename: "",
            delete: "PING-11",
        },
    }),
};

static PING_FEDERATE: Dialect = Dialect {
    headers: &[("accept", "application/json"), ("content-type", "application/json")],
    users: Users {
        // The identifier "workEmail".
        find: Match::Before(|person| filter(Kind::User, "emails", &person.user_name)),
        deletes: Deletes::Never,
        cites: UserCites {
            find: "PING-3, F-15",
            create: "PING-6, PING-8",
            update: "PING-4",
            switch: "PING-10",
            delete: "",
            import: "PING-13",
        },
        ..PING_ONE.users
    },
    groups: Some(Groups {
        find: Match::ReadAll,
        body: |name| json!({ "schemas": [GROUP], "displayName": name }),
        members: Members::Patch(Patching { change, batch: 1000, whole: None, suffix: "", quiet: false }),
        rename: Rename::No,
        shown: Shown::Whole,
        cites: GroupCites {
            find: "PING-5, F-21",
            create: "PING-4",
            members: "PING-4, P-25, P-27",
            rename: "",
            delete: "PING-10",
        },
    }),
    ..PING_ONE
};

/// One value a type, and each has its type (PING-6).
fn body(person: &Person, _: Option<&str>, active: bool) -> Value {
    json!({
        "schemas": [USER],
        "externalId": person.guid(),
        "userName": person.user_name,
        "displayName": person.display_name(),
        "name": { "givenName": person.given, "familyName": person.family, "formatted": person.display_name() },
        "emails": [{ "value": person.user_name, "type": "work", "primary": true }],
        "phoneNumbers": [{ "value": format!("+1 555 {}", person.employee_number()), "type": "mobile" }],
        "active": active,
    })
}

fn values(members: &[Member]) -> Value {
    members.iter().map(|member| json!({ "value": member.id })).collect()
}

fn whole(group: &Group, all: &[Member]) -> Value {
    json!({ "schemas": [GROUP], "id": group.id, "displayName": group.name, "members": values(all) })
}

fn change(_: &Group, joining: &[Member], leaving: &[Member]) -> Vec<Value> {
    let path = |member: &Member| format!("members[value eq \"{}\"]", member.id);
    let mut operations: Vec<Value> =
        leaving.iter().map(|member| json!({ "op": "remove", "path": path(member) })).collect();
    if !joining.is_empty() {
        operations.push(json!({ "op": "add", "path": "members", "value": values(joining) }));
    }
    vec![patch(operations.into())]
}

/// PING-12: which request it is, is not known.
async fn test(wire: &mut Wire) -> Result<(), crate::simulate::wire::Failed> {
    described(wire, "GET /ServiceProviderConfig", "PING-12", Check::Configuration).await?;
    first_page(wire, Kind::User, "startIndex=1&count=1", "PING-12").await
}

impl Idp for PingOne {
    fn dialect(&self) -> &Dialect {
        &PING_ONE
    }

    fn test_connection<'a>(&'a self, wire: &'a mut Wire) -> Soon<'a, ()> {
        Box::pin(test(wire))
    }

    /// PING-11: who only joins is merged into what is there, else it is overwritten.
    fn move_members<'a>(&'a self, wire: &'a mut Wire, group: &'a Group, movement: Movement<'a>) -> Soon<'a, ()> {
        Box::pin(async move {
            if !movement.leaving.is_empty() {
                return groups::change(&PING_ONE, wire, group, movement).await;
            }
            let mut all = groups::present(wire, group).await?;
            all.retain(|there| !movement.joining.iter().any(|joining| joining.id == there.id));
            all.extend_from_slice(movement.joining);
            groups::change(&PING_ONE, wire, group, Movement { all: &all, ..movement }).await
        })
    }
}

impl Idp for PingFederate {
    fn dialect(&self) -> &Dialect {
        &PING_FEDERATE
    }

    fn test_connection<'a>(&'a self, wire: &'a mut Wire) -> Soon<'a, ()> {
        Box::pin(test(wire))
    }
}
