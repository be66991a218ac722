//! JumpCloud: makes a user and a group and deletes them again when it is switched on, and sends a group's members again
//! and again.

use serde_json::{Value, json};

use super::acceptance::{by_display_name, by_user_name, nobody};
use super::dialect::{
    Deletes, Dialect, GROUP, GroupCites, Groups, Import, Match, Members, PATIENT, Patching, Rename, Reread, Shown,
    Switch, USER, Update, UserCites, Users, filter, patch,
};
use super::{Group, Idp, Member, Movement, Soon, groups, steps};
use crate::simulate::check::Kind;
use crate::simulate::people::Person;
use crate::simulate::wire::{Manner, Wire};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct JumpCloud;

static DIALECT: Dialect = Dialect {
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
        // JC-6; the test user of JC-2 alone is deleted.
        deletes: Deletes::Never,
        import: Import::Pages(100),
        cites: UserCites {
            find: "JC-7, F-2",
            create: "JC-8",
            update: "JC-7",
            switch: "JC-6",
            delete: "JC-2",
            import: "JC-7",
        },
    },
    groups: Some(Groups {
        find: Match::Before(by_display_name),
        body: |name| json!({ "schemas": [GROUP], "displayName": name }),
        members: Members::Patch(Patching { change, batch: usize::MAX, whole: None, suffix: "", quiet: false }),
        rename: Rename::Patch(|_, name| patch(json!([{ "op": "replace", "value": { "displayName": name } }]))),
        shown: Shown::Whole,
        cites: GroupCites { find: "JC-3", create: "JC-3", members: "JC-4, JC-5, P-26", rename: "JC-4", delete: "JC-6" },
    }),
};

/// JC-8.
fn body(person: &Person, _: Option<&str>, active: bool) -> Value {
    json!({
        "schemas": [USER],
        "userName": person.user_name,
        "name": { "givenName": person.given, "familyName": person.family },
        "emails": [{ "value": person.user_name, "type": "work", "primary": true }],
        "active": active,
    })
}

/// JC-4.
fn change(_: &Group, joining: &[Member], leaving: &[Member]) -> Vec<Value> {
    let operation = |op: &str, members: &[Member]| {
        let values: Value = members.iter().map(|member| json!({ "value": member.id })).collect();
        patch(json!([{ "op": op, "path": "members", "value": values }]))
    };
    let mut bodies = Vec::new();
    if !leaving.is_empty() {
        bodies.push(operation("remove", leaving));
    }
    if !joining.is_empty() {
        bodies.push(operation("add", joining));
    }
    bodies
}

impl Idp for JumpCloud {
    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    fn test_connection<'a>(&'a self, wire: &'a mut Wire) -> Soon<'a, ()> {
        Box::pin(nobody(wire, Kind::User, filter(Kind::User, "userName", "nobody.at.all"), "JC-7, F-2"))
    }

    /// JC-2: created, and deleted within seconds.
    fn activate<'a>(&'a self, wire: &'a mut Wire, stranger: &'a Person, group: &'a str) -> Soon<'a, ()> {
        Box::pin(async move {
            if steps::find_user(&DIALECT, wire, stranger).await?.is_some() {
                // Of an earlier session, or somebody else's: the test objects are made afresh or not at all.
                return Ok(());
            }
            let id = steps::create_user(&DIALECT, wire, stranger).await?;
            let member = Member { id, user_name: stranger.user_name.clone() };
            if groups::find(&DIALECT, wire, group).await?.is_none() {
                let group = groups::create(&DIALECT, wire, group).await?;
                let members = std::slice::from_ref(&member);
                let movement = Movement { all: members, joining: members, leaving: &[] };
                groups::change(&DIALECT, wire, &group, movement).await?;
                groups::retire(&DIALECT, wire, &group).await?;
            }
            steps::delete_user(&DIALECT, wire, &member).await
        })
    }

    /// JC-5: all of them, every time.
    fn move_members<'a>(&'a self, wire: &'a mut Wire, group: &'a Group, movement: Movement<'a>) -> Soon<'a, ()> {
        let again = Movement { joining: movement.all, ..movement };
        Box::pin(groups::change(&DIALECT, wire, group, again))
    }
}
