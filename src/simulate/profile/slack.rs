//! Clients that were made for Slack's SCIM 1.1: look-ups by `email` with a capital operator, a form's content type on GET, two
//! URNs in every body, and a charset wanted in every answer.

use serde_json::{Value, json};

use super::acceptance::first_page;
use super::dialect::{
    CORE1, Deletes, Dialect, GroupCites, Groups, Import, Match, Members, PATIENT, Patching, Rename, Reread, Shown,
    Switch, Update, UserCites, Users, encoded,
};
use super::{Group, Idp, Member, Soon};
use crate::simulate::check::Kind;
use crate::simulate::people::Person;
use crate::simulate::wire::{Manner, Wire};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slack;

/// SLACK-4: of every body.
const SCHEMAS: [&str; 2] = [CORE1, "urn:scim:schemas:extension:enterprise:1.0"];

static DIALECT: Dialect = Dialect {
    manner: Manner { empty_type: Some("application/x-www-form-urlencoded;charset=utf-8"), charset: true, ..Manner::V1 },
    headers: &[("content-type", "application/json;charset=utf-8")],
    patience: PATIENT,
    put: &[200],
    users: Users {
        find: Match::Before(by_email),
        body: |person, _, active| body(person, active),
        update: Update::Put,
        switch: Switch::Patch(|_, active| json!({ "schemas": SCHEMAS, "active": active })),
        reread: Reread::Id,
        deletes: Deletes::Once,
        import: Import::Pages(100),
        cites: UserCites {
            find: "SLACK-1, SLACK-2, F-13",
            create: "SLACK-3, SLACK-4",
            update: "SLACK-6",
            switch: "SLACK-5",
            delete: "S11-21",
            import: "SLACK-1",
        },
    },
    groups: Some(Groups {
        find: Match::ReadAll,
        body: |name| json!({ "schemas": SCHEMAS, "displayName": name }),
        members: Members::Patch(Patching { change, batch: 100, whole: None, suffix: "", quiet: false }),
        rename: Rename::Patch(|_, name| json!({ "schemas": SCHEMAS, "displayName": name })),
        shown: Shown::Whole,
        cites: GroupCites {
            find: "SLACK-1",
            create: "SLACK-4",
            members: "SLACK-5",
            rename: "SLACK-5",
            delete: "S11-21",
        },
    }),
};

/// F-13.
fn by_email(person: &Person) -> String {
    let filter = encoded(&format!("email Eq \"{}\"", person.user_name));
    format!("/Users?filter={filter}&startIndex=1&count=10")
}

fn body(person: &Person, active: bool) -> Value {
    json!({
        "schemas": SCHEMAS,
        "userName": person.user_name,
        "displayName": person.display_name(),
        "name": { "givenName": person.given, "familyName": person.family },
        "emails": [{ "value": person.user_name, "primary": true }],
        "active": active,
    })
}

/// SLACK-5: who comes and who goes in one request.
fn change(_: &Group, joining: &[Member], leaving: &[Member]) -> Vec<Value> {
    let join = joining.iter().map(|member| json!({ "value": member.id }));
    let leave = leaving.iter().map(|member| json!({ "value": member.id, "operation": "delete" }));
    vec![json!({ "schemas": SCHEMAS, "members": join.chain(leave).collect::<Value>() })]
}

impl Idp for Slack {
    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    fn test_connection<'a>(&'a self, wire: &'a mut Wire) -> Soon<'a, ()> {
        Box::pin(first_page(wire, Kind::User, "startIndex=1&count=1", "SLACK-1, SLACK-2"))
    }
}
