//! OneLogin: the body of a user is a template that an administrator wrote, with empty texts where a macro had nothing to say;
//! groups are read to be chosen from, and filled one member at a time.

use serde_json::{Value, json};

use super::acceptance::{by_user_name, nobody};
use super::dialect::{
    Deletes, Dialect, GROUP, GroupCites, Groups, Import, Match, Members, PATIENT, Patching, Rename, Reread, Shown,
    Switch, USER, Update, UserCites, Users, filter, patch,
};
use super::{Group, Idp, Member, Soon};
use crate::simulate::check::Kind;
use crate::simulate::people::Person;
use crate::simulate::wire::{Manner, Wire};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct OneLogin;

static DIALECT: Dialect = Dialect {
    manner: Manner::V2,
    // OL-8.
    headers: &[("user-agent", ""), ("content-type", "application/scim+json")],
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
            find: "OL-6, F-2",
            create: "OL-2, OL-3, OL-4",
            update: "OL-6",
            switch: "OL-11",
            delete: "OL-11",
            import: "OL-6",
        },
    },
    groups: Some(Groups {
        find: Match::ReadAll,
        body: |name| json!({ "schemas": [GROUP], "displayName": name }),
        members: Members::Patch(Patching { change, batch: 1, whole: None, suffix: "?", quiet: false }),
        rename: Rename::No,
        shown: Shown::Whole,
        cites: GroupCites { find: "OL-12", create: "OL-6", members: "OL-7, OL-8", rename: "", delete: "OL-6" },
    }),
};

/// OL-2, OL-3, OL-4: empty texts, a boolean as text, a misspelt key, a path as a key.
fn body(person: &Person, id: Option<&str>, active: bool) -> Value {
    json!({
        "schemas": [USER],
        "id": id,
        "userName": person.user_name,
        "displayName": person.display_name(),
        "name": { "givenName": person.given, "familyName": person.family },
        "emails": [{ "value": person.user_name, "type": "work", "primary": true }],
        "active": active.to_string(),
        "title": "",
        "prefferedLanguage": "",
        "addresses[].city": "",
    })
}

/// OL-7: one member a request.
fn change(_: &Group, joining: &[Member], leaving: &[Member]) -> Vec<Value> {
    let path = |member: &Member| format!("members[value eq \"{}\"]", member.id);
    let remove = leaving.iter().map(|member| json!([{ "op": "remove", "path": path(member) }]));
    let add =
        joining.iter().map(|member| json!([{ "op": "add", "path": "members", "value": [{ "value": member.id }] }]));
    remove.chain(add).map(patch).collect()
}

impl Idp for OneLogin {
    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    /// OL-10.
    fn test_connection<'a>(&'a self, wire: &'a mut Wire) -> Soon<'a, ()> {
        Box::pin(nobody(wire, Kind::User, filter(Kind::User, "userName", "nobody.at.all"), "OL-10, F-2"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_added_in_the_165_bytes_that_were_seen_in_a_log() {
        let member = Member { id: "0".repeat(36), user_name: String::new() };
        let group = Group { id: "g-02c9".into(), name: "Crew".into() };
        let body = change(&group, std::slice::from_ref(&member), &[]).remove(0);
        assert_eq!(body.to_string().len(), 165);
    }
}
