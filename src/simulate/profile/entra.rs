//! Entra ID: with aadOptscim062020 in the tenant URL it sends standard PATCHes, without it capital operations and booleans
//! as text (ENTRA-12). It asks before and after everything, and changes members one by one.

use serde_json::{Value, json};

use super::acceptance::{self, manages, nobody};
use super::dialect::{
    Deletes, Dialect, ENTERPRISE, GROUP, GroupCites, Groups, Import, Match, Members, PATIENT, Patching, Rename, Reread,
    Shown, Switch, USER, Update, UserCites, Users, filter, patch,
};
use super::{Group, Idp, Member, Soon, steps};
use crate::simulate::check::Kind;
use crate::simulate::people::{Person, guid};
use crate::simulate::wire::{Manner, Wire};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entra {
    /// Whether the tenant URL has the flag.
    pub(super) flagged: bool,
}

/// The second URN of a group (ENTRA-11).
const AD_GROUP: &str = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group";

static FLAGGED: Dialect = Dialect {
    manner: Manner { flag: Some("aadOptscim062020"), ..Manner::V2 },
    // ENTRA-3.
    headers: &[("user-agent", ""), ("content-type", "application/scim+json; charset=utf-8")],
    patience: PATIENT,
    put: &[200],
    users: Users {
        find: Match::Before(|person| plus(&filter(Kind::User, "userName", &person.user_name))),
        body: |person, _, active| body(person, active),
        update: Update::Patch(|person, _| update(person)),
        switch: Switch::Patch(|_, active| patch(json!([{ "op": "replace", "path": "active", "value": active }]))),
        reread: Reread::Lookup,
        deletes: Deletes::Twice,
        import: Import::No,
        cites: UserCites {
            find: "ENTRA-4, ENTRA-5, F-2",
            create: "ENTRA-8, ENTRA-26",
            update: "ENTRA-15, ENTRA-16, P-8",
            switch: "ENTRA-29, P-5",
            delete: "ENTRA-30",
            import: "",
        },
    },
    groups: Some(groups(
        |_, joining, leaving| one_by_one(joining, leaving, "add", remove_by_filter),
        |_, name| patch(json!([{ "op": "replace", "value": { "displayName": name } }])),
    )),
};

static LEGACY: Dialect = Dialect {
    manner: Manner::V2,
    users: Users {
        update: Update::Patch(|person, _| legacy_update(person)),
        switch: Switch::Patch(|_, active| legacy_switch(active)),
        cites: UserCites {
            find: "ENTRA-4, ENTRA-5, F-2",
            create: "ENTRA-8, ENTRA-26",
            update: "ENTRA-13, ENTRA-17, P-12",
            switch: "ENTRA-14, ENTRA-29, P-4, P-6",
            delete: "ENTRA-30",
            import: "",
        },
        ..FLAGGED.users
    },
    groups: Some(groups(
        |_, joining, leaving| one_by_one(joining, leaving, "Add", remove_by_value),
        |_, name| patch(json!([{ "op": "Replace", "path": "displayName", "value": name }])),
    )),
    ..FLAGGED
};

const fn groups(change: fn(&Group, &[Member], &[Member]) -> Vec<Value>, rename: fn(&Group, &str) -> Value) -> Groups {
    Groups {
        find: Match::Before(named),
        body: |name| {
            json!({ "schemas": [GROUP, AD_GROUP], "externalId": guid(name), "displayName": name,
                    "meta": { "resourceType": "Group" } })
        },
        members: Members::Patch(Patching { change, batch: 1, whole: None, suffix: "", quiet: true }),
        rename: Rename::Patch(rename),
        shown: Shown::OneByOne,
        cites: GroupCites {
            find: "ENTRA-6, ENTRA-7, F-8",
            create: "ENTRA-11",
            members: "ENTRA-24, ENTRA-25",
            rename: "ENTRA-23, P-39",
            delete: "ENTRA-33",
        },
    }
}

/// Blanks as `+` (F-3).
fn plus(path: &str) -> String {
    path.replace("%20", "+")
}

/// F-8.
fn named(name: &str) -> String {
    plus(&filter(Kind::Group, "displayName", name).replace("?filter=", "?excludedAttributes=members&filter="))
}

fn body(person: &Person, active: bool) -> Value {
    json!({
        "schemas": [USER, ENTERPRISE],
        "externalId": person.nickname(),
        "userName": person.user_name,
        "active": active,
        "displayName": person.display_name(),
        "emails": [{ "primary": true, "type": "work", "value": person.user_name }],
        "meta": { "resourceType": "User" },
        "name": { "formatted": person.display_name(), "familyName": person.family, "givenName": person.given },
        "roles": [],
        "addressses": null,
        ENTERPRISE: { "department": person.department(), "employeeNumber": person.employee_number(), "manager": null },
    })
}

/// ENTRA-15: the filtered e-mail address apart, the others as paths in one value.
fn update(person: &Person) -> Value {
    patch(json!([
        { "op": "replace", "path": "emails[type eq \"work\"].value", "value": person.user_name },
        { "op": "replace", "value": {
            "displayName": person.display_name(),
            "name.formatted": person.display_name(),
            "name.familyName": person.family,
            format!("{ENTERPRISE}:employeeNumber"): person.employee_number(),
        } },
    ]))
}

/// ENTRA-13: one operation an attribute.
fn legacy_update(person: &Person) -> Value {
    patch(json!([
        { "op": "Replace", "path": "emails[type eq \"work\"].value", "value": person.user_name },
        { "op": "Replace", "path": "displayName", "value": person.display_name() },
        { "op": "Replace", "path": "name.formatted", "value": person.display_name() },
        { "op": "Replace", "path": "name.familyName", "value": person.family },
        { "op": "Add", "path": format!("{ENTERPRISE}:department"), "value": person.department() },
    ]))
}

/// P-4, P-6.
fn legacy_switch(active: bool) -> Value {
    patch(match active {
        true => json!([{ "op": "Add", "path": "active", "value": "True" }]),
        false => json!([{ "op": "Replace", "path": "active", "value": "False" }]),
    })
}

/// A PATCH for each member (ENTRA-24).
fn one_by_one(joining: &[Member], leaving: &[Member], add: &str, remove: impl Fn(&str) -> Value) -> Vec<Value> {
    let add = |member: &Member| {
        patch(json!([{ "op": add, "path": "members", "value": [{ "$ref": null, "value": member.id }] }]))
    };
    leaving.iter().map(|member| remove(&member.id)).chain(joining.iter().map(add)).collect()
}

/// P-27.
fn remove_by_filter(id: &str) -> Value {
    patch(json!([{ "op": "remove", "path": format!("members[value eq \"{id}\"]") }]))
}

/// P-26.
fn remove_by_value(id: &str) -> Value {
    patch(json!([{ "op": "Remove", "path": "members", "value": [{ "$ref": null, "value": id }] }]))
}

impl Idp for Entra {
    fn dialect(&self) -> &Dialect {
        if self.flagged { &FLAGGED } else { &LEGACY }
    }

    /// ENTRA-2: a GUID that nobody is called by.
    fn test_connection<'a>(&'a self, wire: &'a mut Wire) -> Soon<'a, ()> {
        Box::pin(async move {
            let nobody_is = guid("nobody");
            let path = plus(&filter(Kind::User, "userName", &nobody_is));
            nobody(wire, Kind::User, path, "ENTRA-2, F-3").await?;
            nobody(wire, Kind::Group, named(&nobody_is), "ENTRA-2, F-8").await
        })
    }

    /// Besides, the manager is set, asked for, and removed (ENTRA-20), and a PATCH says nothing (VAL-6).
    fn acceptance<'a>(&'a self, wire: &'a mut Wire, known: &'a Person, id: &'a str) -> Soon<'a, ()> {
        Box::pin(async move {
            acceptance::usual(self.dialect(), wire, known, id).await?;
            let manager = format!("{ENTERPRISE}:manager");
            let about = known.user_name.as_str();
            let set = patch(json!([{ "op": "Add", "path": manager, "value": id }]));
            steps::patch(wire, id, about, "ENTRA-20, P-18", &set, Vec::new()).await?;
            manages(wire, id, id, vec![id.to_owned()]).await?;
            let remove = patch(json!([{ "op": "Remove", "path": manager }]));
            steps::patch(wire, id, about, "ENTRA-20, P-20", &remove, Vec::new()).await?;
            manages(wire, id, id, Vec::new()).await?;
            steps::patch(wire, id, about, "VAL-6, P-37", &patch(json!([])), Vec::new()).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: &str) -> [Member; 1] {
        [Member { id: id.to_owned(), user_name: format!("{id}@corp.example") }]
    }

    fn changes(dialect: &Dialect) -> Vec<Value> {
        let group = Group { id: "g-02c9".into(), name: "Platform Crew".into() };
        let Some(Groups { members: Members::Patch(patching), .. }) = dialect.groups else { return Vec::new() };
        let bodies = (patching.change)(&group, &one("u-55aa"), &one("u-7f31"));
        bodies.into_iter().map(|mut body| body["Operations"].take()).collect()
    }

    #[test]
    fn members_change_one_by_one_in_both_dialects() {
        let add = |op| json!([{ "op": op, "path": "members", "value": [{ "$ref": null, "value": "u-55aa" }] }]);
        let by_filter = json!([{ "op": "remove", "path": "members[value eq \"u-7f31\"]" }]);
        assert_eq!(changes(&FLAGGED), [by_filter, add("add")]);
        let by_value = json!([{ "op": "Remove", "path": "members", "value": [{ "$ref": null, "value": "u-7f31" }] }]);
        assert_eq!(changes(&LEGACY), [by_value, add("Add")]);
    }

    #[test]
    fn a_boolean_is_text_without_the_flag() {
        assert_eq!(legacy_switch(false)["Operations"][0]["value"], "False");
        let Switch::Patch(switch) = FLAGGED.users.switch else { unreachable!("it is a PATCH") };
        assert_eq!(switch("u-7f31", false)["Operations"][0]["value"], false);
    }

    #[test]
    fn a_group_is_asked_for_without_its_members() {
        let wanted = "/Groups?excludedAttributes=members&filter=displayName+eq+%22Platform+Crew%22";
        assert_eq!(named("Platform Crew"), wanted);
    }
}
