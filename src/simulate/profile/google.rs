//! Google Workspace's automatic provisioning: users only, plain JSON, suspension by PATCH, deletion by DELETE. Google describes
//! little of it, so the shapes are those of the connectors that people use (GOOG-2).

use serde_json::{Value, json};

use super::acceptance::{self, by_user_name, first_page};
use super::dialect::{Deletes, Dialect, Import, Match, PATIENT, Reread, Switch, USER, Update, UserCites, Users, patch};
use super::{Idp, Member, Soon, steps};
use crate::simulate::check::Kind;
use crate::simulate::people::Person;
use crate::simulate::wire::{Manner, Wire};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct Google;

static DIALECT: Dialect = Dialect {
    manner: Manner::V2,
    // GOOG-1.
    headers: &[("user-agent", "Google-Auto-Provisioning"), ("content-type", "application/json")],
    patience: PATIENT,
    put: &[200],
    users: Users {
        find: Match::Before(by_user_name),
        body,
        update: Update::Put,
        switch: Switch::Patch(|_, active| patch(json!([{ "op": "replace", "path": "active", "value": active }]))),
        reread: Reread::Id,
        deletes: Deletes::Once,
        import: Import::No,
        cites: UserCites {
            find: "GOOG-4, F-2",
            create: "GOOG-1, GOOG-4",
            update: "GOOG-4",
            switch: "GOOG-7, P-5",
            delete: "GOOG-7",
            import: "",
        },
    },
    // GOOG-5.
    groups: None,
};

fn body(person: &Person, _: Option<&str>, active: bool) -> Value {
    json!({
        "schemas": [USER],
        "userName": person.user_name,
        "name": { "givenName": person.given, "familyName": person.family },
        "emails": [{ "value": person.user_name, "type": "work", "primary": true }],
        "active": active,
    })
}

impl Idp for Google {
    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    /// GOOG-3.
    fn test_connection<'a>(&'a self, wire: &'a mut Wire) -> Soon<'a, ()> {
        Box::pin(first_page(wire, Kind::User, "count=1", "GOOG-3, F-19"))
    }

    /// Besides, somebody is created suspended, and stays so (GOOG-8).
    fn acceptance<'a>(&'a self, wire: &'a mut Wire, known: &'a Person, id: &'a str) -> Soon<'a, ()> {
        Box::pin(async move {
            acceptance::usual(&DIALECT, wire, known, id).await?;
            let suspended = known.besides("suspended");
            let id = steps::create_inactive(&DIALECT, wire, &suspended, "GOOG-8").await?;
            let member = Member { id, user_name: suspended.user_name };
            steps::delete_user(&DIALECT, wire, &member).await
        })
    }
}
