//! One Identity Manager, a client that reconciles: reads the descriptions, all users and all groups, compares them with its own
//! database, and writes the differences (ONEID-1).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hyper::Method;
use serde_json::{Value, json};

use super::acceptance::described;
use super::dialect::{
    Deletes, Dialect, ENTERPRISE, GROUP, GroupCites, Groups, Import, Match, Members, PATIENT, Rename, Reread, Shown,
    Switch, USER, Update, UserCites, Users,
};
use super::{Found, Group, Idp, Member, Soon, steps};
use crate::simulate::check::{Check, Kind};
use crate::simulate::people::Person;
use crate::simulate::wire::{Ask, Failed, Manner, Wire};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct OneIdentity {
    /// What the server had at the beginning, by kind and name: the id, and whether it is active.
    there: Mutex<HashMap<(Kind, String), (String, bool)>>,
}

/// More pages than this are not read.
const PAGES: u64 = 10_000;

static DIALECT: Dialect = Dialect {
    manner: Manner::V2,
    headers: &[("accept", "application/scim+json"), ("content-type", "application/scim+json")],
    patience: PATIENT,
    put: &[200],
    users: Users {
        find: Match::ReadAll,
        body,
        update: Update::Put,
        switch: Switch::Put,
        reread: Reread::Id,
        deletes: Deletes::Once,
        import: Import::Pages(100),
        cites: UserCites {
            find: "ONEID-1",
            create: "ONEID-3",
            update: "ONEID-3",
            switch: "ONEID-3",
            delete: "ONEID-3",
            import: "ONEID-1",
        },
    },
    groups: Some(Groups {
        find: Match::ReadAll,
        body: |name| json!({ "schemas": [GROUP], "displayName": name }),
        members: Members::Put(whole),
        rename: Rename::WithMembers,
        shown: Shown::Whole,
        cites: GroupCites {
            find: "ONEID-1",
            create: "ONEID-3",
            members: "ONEID-3",
            rename: "ONEID-3",
            delete: "ONEID-3",
        },
    }),
};

fn body(person: &Person, id: Option<&str>, active: bool) -> Value {
    let mut body = json!({
        "schemas": [USER, ENTERPRISE],
        "userName": person.user_name,
        "externalId": person.guid(),
        "displayName": person.display_name(),
        "name": { "givenName": person.given, "familyName": person.family },
        "emails": [{ "value": person.user_name, "type": "work", "primary": true }],
        "active": active,
        ENTERPRISE: { "department": person.department(), "employeeNumber": person.employee_number() },
    });
    if let Some(id) = id {
        body["id"] = id.into();
    }
    body
}

fn whole(group: &Group, all: &[Member]) -> Value {
    let members: Value = all.iter().map(|member| json!({ "value": member.id, "type": "User" })).collect();
    json!({ "schemas": [GROUP], "id": group.id, "displayName": group.name, "members": members })
}

impl OneIdentity {
    fn remember(&self, kind: Kind, resources: &[Value]) {
        let mut there = self.there.lock().unwrap_or_else(PoisonError::into_inner);
        for resource in resources {
            let text = |name: &str| resource.get(name).and_then(Value::as_str).map(str::to_owned);
            if let (Some(name), Some(id)) = (text(kind.name()), text("id")) {
                let active = resource.get("active") != Some(&Value::Bool(false));
                there.insert((kind, name.to_lowercase()), (id, active));
            }
        }
    }

    fn known(&self, kind: Kind, name: &str) -> Option<(String, bool)> {
        let there = self.there.lock().unwrap_or_else(PoisonError::into_inner);
        there.get(&(kind, name.to_lowercase())).cloned()
    }

    async fn read(&self, wire: &mut Wire) -> Result<(), Failed> {
        described(wire, "GET /ServiceProviderConfig", "ONEID-1", Check::Configuration).await?;
        described(wire, "GET /Schemas", "ONEID-1, VAL-4", Check::Describes(&[USER, GROUP])).await?;
        described(wire, "GET /ResourceTypes", "ONEID-1", Check::Describes(&["User", "Group"])).await?;
        // A resource type of another template (ONEID-2).
        let unknown = Ask::new("GET /Entitlements", Method::GET, "/Entitlements", &[404]).cites("ONEID-2");
        wire.ask(unknown.check(Check::Error)).await?;
        for kind in [Kind::User, Kind::Group] {
            let (all, _) = steps::read_all(wire, kind, Import::Pages(100), PAGES, "ONEID-1").await?;
            self.remember(kind, &all);
        }
        Ok(())
    }
}

impl Idp for OneIdentity {
    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    fn test_connection<'a>(&'a self, wire: &'a mut Wire) -> Soon<'a, ()> {
        Box::pin(self.read(wire))
    }

    /// In its own database.
    fn find_user<'a>(&'a self, _: &'a mut Wire, person: &'a Person) -> Soon<'a, Option<Found>> {
        let found = self.known(Kind::User, &person.user_name).map(|(id, active)| Found { id, active });
        Box::pin(async move { Ok(found) })
    }

    /// From its own database, too.
    fn delete_user<'a>(&'a self, wire: &'a mut Wire, user: &'a Member) -> Soon<'a, ()> {
        let mut there = self.there.lock().unwrap_or_else(PoisonError::into_inner);
        there.remove(&(Kind::User, user.user_name.to_lowercase()));
        Box::pin(steps::delete_user(&DIALECT, wire, user))
    }

    fn find_group<'a>(&'a self, _: &'a mut Wire, name: &'a str) -> Soon<'a, Option<Group>> {
        let found = self.known(Kind::Group, name).map(|(id, _)| Group { id, name: name.to_owned() });
        Box::pin(async move { Ok(found) })
    }
}
