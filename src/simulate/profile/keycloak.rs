//! Keycloak's community extension for outbound SCIM: never looks for anybody, waits five seconds, repeats what was not
//! answered, and sends whole groups with relative references.

use serde_json::{Value, json};

use super::dialect::{
    Deletes, Dialect, GROUP, GroupCites, Groups, Import, Match, Members, Patching, Rename, Reread, Shown, Switch, USER,
    Update, UserCites, Users, patch,
};
use super::{Group, Idp, Member, Soon, groups, steps};
use crate::simulate::check::Kind;
use crate::simulate::people::{Person, guid};
use crate::simulate::wire::{Manner, Patience, Wire};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keycloak;

static DIALECT: Dialect = Dialect {
    manner: Manner::V2,
    // KC-1.
    headers: &[("accept", "application/scim+json"), ("content-type", "application/scim+json")],
    // KC-2.
    patience: Patience { answer: std::time::Duration::from_secs(5), attempts: 1, sends: 10 },
    put: &[200],
    users: Users {
        find: Match::Never,
        body,
        update: Update::Put,
        switch: Switch::Patch(|_, active| {
            patch(json!([{ "op": "replace", "path": "active", "value": active.to_string() }]))
        }),
        reread: Reread::Id,
        deletes: Deletes::Once,
        import: Import::Whole,
        cites: UserCites {
            find: "",
            create: "KC-3, KC-4, KC-9",
            update: "KC-5",
            switch: "KC-6, P-7",
            delete: "KC-9",
            import: "KC-10",
        },
    },
    groups: Some(Groups {
        find: Match::Never,
        body: |name| json!({ "schemas": [GROUP], "externalId": guid(name), "displayName": name }),
        members: Members::Put(whole),
        rename: Rename::WithMembers,
        shown: Shown::Whole,
        cites: GroupCites { find: "", create: "KC-3", members: "KC-7, KC-8", rename: "KC-7", delete: "KC-9" },
    }),
};

/// The same where an administrator chose PATCH: only a group that becomes empty is seen here (P-28).
static EMPTYING: Patching = Patching {
    change: |_, _, _| vec![patch(json!([{ "op": "remove", "path": "members" }]))],
    batch: usize::MAX,
    whole: None,
    suffix: "",
    quiet: false,
};

/// KC-3: an e-mail address without type and primary.
fn body(person: &Person, _: Option<&str>, active: bool) -> Value {
    json!({
        "schemas": [USER],
        "externalId": person.guid(),
        "userName": person.user_name,
        "displayName": person.display_name(),
        "name": { "familyName": person.family, "givenName": person.given },
        "emails": [{ "value": person.user_name }],
        "active": active,
        "roles": [{ "value": "lead" }],
    })
}

/// KC-7.
fn whole(group: &Group, all: &[Member]) -> Value {
    let members: Value =
        all.iter().map(|member| json!({ "value": member.id, "$ref": format!("Users/{}", member.id) })).collect();
    json!({ "schemas": [GROUP], "displayName": group.name, "members": members })
}

impl Idp for Keycloak {
    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    /// KC-10: it tests nothing, but may import.
    fn test_connection<'a>(&'a self, wire: &'a mut Wire) -> Soon<'a, ()> {
        Box::pin(async move { steps::read_all(wire, Kind::Group, Import::Whole, 1, "KC-10").await.map(drop) })
    }

    /// P-28, KC-9.
    fn delete_group<'a>(&'a self, wire: &'a mut Wire, group: &'a Group) -> Soon<'a, ()> {
        Box::pin(async move {
            groups::change_by(wire, group, &EMPTYING, "KC-7, P-28").await?;
            groups::verify(&DIALECT, wire, group, &[]).await?;
            steps::delete(&DIALECT, wire, Kind::Group, &group.id, &group.name, "KC-9").await
        })
    }
}
