//! Okta as a SCIM 2.0 client, in both of its styles (OKTA-1): an app of the catalogue changes by PATCH, a private app by
//! PUT. The bodies and their order are those of OKTA-2 to OKTA-25.

use hyper::Method;
use serde_json::{Value, json};

use super::acceptance::{self, first_page};
use super::dialect::{
    Deletes, Dialect, GROUP, GroupCites, Groups, Import, Match, Members, PATIENT, Patching, Rename, Reread, Shown,
    Switch, USER, Update, UserCites, Users, filter, patch,
};
use super::{Group, Idp, Member, Soon};
use crate::simulate::check::Kind;
use crate::simulate::client::Request;
use crate::simulate::people::Person;
use crate::simulate::wire::{Manner, Wire};

/// Which kind of integration (OKTA-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// An app of the catalogue, or made from the template.
    Catalogue,
    /// An app made with the wizard.
    Private,
}

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Okta {
    /// Which kind of integration.
    pub style: Style,
}

static CATALOGUE: Dialect = Dialect {
    manner: Manner::V2,
    // OKTA-2; no `Accept-Encoding`, because nothing here would decode the answer.
    headers: &[
        ("user-agent", "Okta SCIM Client 1.0.0"),
        ("accept", "application/scim+json"),
        ("accept-charset", "utf-8"),
        ("content-type", "application/scim+json; charset=utf-8"),
    ],
    // OKTA-26, OKTA-27.
    patience: PATIENT,
    put: &[200],
    users: Users {
        find: Match::Before(|person| lookup(Kind::User, "userName", &person.user_name)),
        body: |person, _, active| body(person, active),
        update: Update::PutBack(mastered),
        switch: Switch::Patch(|_, active| patch(json!([{ "op": "replace", "value": { "active": active } }]))),
        reread: Reread::Switched,
        deletes: Deletes::Never,
        import: Import::Pages(100),
        cites: UserCites {
            find: "OKTA-5, F-1",
            create: "OKTA-6, OKTA-8",
            update: "OKTA-11, OKTA-14",
            switch: "OKTA-15, OKTA-16, P-1, P-2",
            delete: "",
            import: "OKTA-21",
        },
    },
    groups: Some(Groups {
        find: Match::Before(|name| lookup(Kind::Group, "displayName", name)),
        body: |name| json!({ "schemas": [GROUP], "displayName": name, "members": [] }),
        // OKTA-30; the size is not documented.
        members: Members::Patch(Patching {
            change: |group, joining, leaving| vec![member_patch(group, joining, leaving)],
            batch: 100,
            whole: Some(forced),
            suffix: "",
            quiet: false,
        }),
        rename: Rename::WithMembers,
        shown: Shown::Whole,
        cites: GroupCites {
            find: "OKTA-17, F-9",
            create: "OKTA-17",
            members: "OKTA-18, P-31, P-44",
            rename: "P-31",
            delete: "OKTA-20",
        },
    }),
};

static PRIVATE: Dialect = Dialect {
    users: Users { switch: Switch::PutBack, ..CATALOGUE.users },
    groups: Some(Groups {
        find: Match::Before(|name| lookup(Kind::Group, "displayName", name)),
        body: |name| json!({ "schemas": [GROUP], "displayName": name, "members": [] }),
        members: Members::Put(whole),
        rename: Rename::WithMembers,
        shown: Shown::Whole,
        cites: GroupCites {
            find: "OKTA-17, F-9",
            create: "OKTA-17",
            members: "OKTA-19",
            rename: "OKTA-19",
            delete: "OKTA-20",
        },
    }),
    ..CATALOGUE
};

/// The body of a create (OKTA-6).
pub fn new_user(person: &Person) -> Value {
    body(person, true)
}

pub(super) fn body(person: &Person, active: bool) -> Value {
    json!({
        "schemas": [USER],
        "userName": person.user_name,
        "name": { "givenName": person.given, "familyName": person.family },
        "emails": emails(person),
        "displayName": person.display_name(),
        "locale": "en-US",
        "externalId": person.external_id,
        "groups": [],
        "password": person.password,
        "active": active,
    })
}

/// What Okta masters of a profile (OKTA-11).
pub(super) fn mastered(person: &Person, body: &mut Value) {
    body["userName"] = person.user_name.as_str().into();
    body["name"]["givenName"] = person.given.as_str().into();
    body["name"]["familyName"] = person.family.as_str().into();
    body["displayName"] = person.display_name().into();
    body["emails"] = emails(person);
    body["externalId"] = person.external_id.as_str().into();
}

fn emails(person: &Person) -> Value {
    json!([{ "primary": true, "value": person.user_name, "type": "work" }])
}

/// The body of a change of members (OKTA-18): the name is sent along every time (P-31).
pub fn member_patch(group: &Group, joining: &[Member], leaving: &[Member]) -> Value {
    let mut operations = vec![json!({ "op": "replace", "value": { "id": group.id, "displayName": group.name } })];
    let path = |member: &Member| format!("members[value eq \"{}\"]", member.id);
    operations.extend(leaving.iter().map(|member| json!({ "op": "remove", "path": path(member) })));
    if !joining.is_empty() {
        operations.push(json!({ "op": "add", "path": "members", "value": members(joining) }));
    }
    patch(operations.into())
}

/// A forced push (P-29, P-30), with the name before it (P-31).
fn forced(group: &Group, all: &[Member]) -> Value {
    patch(json!([
        { "op": "replace", "value": { "id": group.id, "displayName": group.name } },
        { "op": "replace", "path": "members", "value": members(all) },
    ]))
}

/// OKTA-19.
fn whole(group: &Group, all: &[Member]) -> Value {
    json!({ "schemas": [GROUP], "displayName": group.name, "members": members(all) })
}

/// The path of a look-up with `eq` (F-1, F-9).
pub fn lookup(kind: Kind, attribute: &str, value: &str) -> String {
    format!("{}&startIndex=1&count=100", filter(kind, attribute, value))
}

pub(super) fn members(members: &[Member]) -> Value {
    members.iter().map(|member| json!({ "value": member.id, "display": member.user_name })).collect()
}

impl Idp for Okta {
    fn dialect(&self) -> &Dialect {
        match self.style {
            Style::Catalogue => &CATALOGUE,
            Style::Private => &PRIVATE,
        }
    }

    /// OKTA-4.
    fn test_connection<'a>(&'a self, wire: &'a mut Wire) -> Soon<'a, ()> {
        Box::pin(async move {
            first_page(wire, Kind::User, "startIndex=1&count=2", "OKTA-4, F-18").await?;
            first_page(wire, Kind::Group, "startIndex=1&count=100", "OKTA-4, F-18").await
        })
    }

    /// OKTA-24, OKTA-25.
    fn acceptance<'a>(&'a self, wire: &'a mut Wire, known: &'a Person, id: &'a str) -> Soon<'a, ()> {
        Box::pin(async move {
            acceptance::usual(self.dialect(), wire, known, id).await?;
            acceptance::stranger(wire).await
        })
    }
}

/// A look-up by userName, without checks, for load.
pub fn find_user_request(user_name: &str) -> Request {
    Request::new(Method::GET, lookup(Kind::User, "userName", user_name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str) -> Member {
        Member { id: id.to_owned(), user_name: format!("{id}@corp.example") }
    }

    #[test]
    fn a_lookup_is_encoded_as_okta_does() {
        let path = lookup(Kind::User, "userName", "ann.moss@corp.example");
        let wanted = "/Users?filter=userName%20eq%20%22ann.moss%40corp.example%22&startIndex=1&count=100";
        assert_eq!(path, wanted);
        assert!(lookup(Kind::Group, "displayName", r#"Crew "A""#).contains("%22Crew%20%5C%22A%5C%22%22"));
    }

    #[test]
    fn a_change_of_members_names_the_group_removes_by_filter_and_adds_in_one_operation() {
        let group = Group { id: "g-02c9".into(), name: "Platform Crew".into() };
        let body = member_patch(&group, &[member("u-55aa")], &[member("u-7f31")]);
        let wanted = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [
                { "op": "replace", "value": { "id": "g-02c9", "displayName": "Platform Crew" } },
                { "op": "remove", "path": "members[value eq \"u-7f31\"]" },
                { "op": "add", "path": "members",
                  "value": [{ "value": "u-55aa", "display": "u-55aa@corp.example" }] },
            ]
        });
        assert_eq!(body, wanted);
    }

    #[test]
    fn a_new_user_has_everything_that_okta_sends() {
        let body = new_user(&Person::new(0, 0));
        for name in
            ["userName", "name", "emails", "displayName", "locale", "externalId", "groups", "password", "active"]
        {
            assert!(body.get(name).is_some(), "{name}");
        }
    }
}
