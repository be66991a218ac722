//! authentik: reads what is supported, creates, looks only after a conflict, updates by PUT, and changes the members of
//! groups with one operation each, as many in a request as `bulk.maxOperations` says (AK-2).

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::acceptance::{by_display_name, described};
use super::dialect::{
    Deletes, Dialect, GROUP, GroupCites, Groups, Import, Match, Members, PATIENT, Patching, Rename, Reread, Shown,
    Switch, USER, Update, UserCites, Users, encoded, patch,
};
use super::{Group, Idp, Member, Movement, Soon, groups};
use crate::simulate::check::Check;
use crate::simulate::people::{Person, guid};
use crate::simulate::wire::{Manner, Wire};

/// See the module.
#[derive(Debug)]
pub(super) struct Authentik {
    /// The most operations of one PATCH.
    operations: AtomicUsize,
}

impl Default for Authentik {
    fn default() -> Self {
        Self { operations: AtomicUsize::new(usize::MAX) }
    }
}

static DIALECT: Dialect = Dialect {
    manner: Manner::V2,
    // AK-3.
    headers: &[("accept", "application/scim+json"), ("content-type", "application/scim+json")],
    patience: PATIENT,
    // AK-11.
    put: &[200, 204],
    users: Users {
        find: Match::AfterConflict(unquoted),
        body,
        update: Update::Put,
        switch: Switch::Put,
        reread: Reread::Id,
        deletes: Deletes::Twice,
        import: Import::ServersPages,
        cites: UserCites {
            find: "AK-4, F-11",
            create: "AK-4, AK-5",
            update: "AK-6",
            switch: "AK-6",
            delete: "AK-12",
            import: "AK-10, F-20",
        },
    },
    groups: Some(Groups {
        find: Match::AfterConflict(by_display_name),
        body: |name| json!({ "schemas": [GROUP], "externalId": guid(name), "displayName": name }),
        members: Members::Patch(Patching { change, batch: usize::MAX, whole: None, suffix: "", quiet: false }),
        rename: Rename::Patch(renamed),
        shown: Shown::Whole,
        cites: GroupCites {
            find: "AK-4, F-12",
            create: "AK-4",
            members: "AK-7, AK-8",
            rename: "AK-7, P-40",
            delete: "AK-12",
        },
    }),
};

/// F-11: the value without quotation marks.
fn unquoted(person: &Person) -> String {
    format!("/Users?filter={}", encoded(&format!("userName eq {}", person.user_name)))
}

fn body(person: &Person, _: Option<&str>, active: bool) -> Value {
    json!({
        "schemas": [USER],
        "externalId": person.guid(),
        "userName": person.user_name,
        "name": { "formatted": person.display_name(), "familyName": person.family, "givenName": person.given },
        "displayName": person.display_name(),
        "active": active,
        "emails": [{ "value": person.user_name, "type": "other", "primary": true }],
    })
}

/// P-40.
fn renamed(group: &Group, name: &str) -> Value {
    let value = json!({ "schemas": [GROUP], "id": group.id, "externalId": guid(&group.name), "displayName": name });
    patch(json!([{ "op": "replace", "value": value }]))
}

/// AK-7: an operation for each member.
fn change(_: &Group, joining: &[Member], leaving: &[Member]) -> Vec<Value> {
    let operation =
        |op: &str, member: &Member| json!({ "op": op, "path": "members", "value": [{ "value": member.id }] });
    let leave = leaving.iter().map(|member| operation("remove", member));
    let join = joining.iter().map(|member| operation("add", member));
    vec![patch(leave.chain(join).collect())]
}

impl Idp for Authentik {
    fn dialect(&self) -> &Dialect {
        &DIALECT
    }

    /// AK-1, AK-2; 0 means no limit.
    fn test_connection<'a>(&'a self, wire: &'a mut Wire) -> Soon<'a, ()> {
        Box::pin(async move {
            let path = "GET /ServiceProviderConfig";
            // A failure is tolerated, and on record.
            let Ok(answer) = described(wire, path, "AK-1, AK-2", Check::Configuration).await else { return Ok(()) };
            let most = answer.body.get("bulk").and_then(|bulk| bulk.get("maxOperations")).and_then(Value::as_u64);
            let most = usize::try_from(most.unwrap_or_default()).ok().filter(|most| *most > 0);
            self.operations.store(most.unwrap_or(usize::MAX), Ordering::Relaxed);
            Ok(())
        })
    }

    fn batch(&self) -> Option<usize> {
        Some(self.operations.load(Ordering::Relaxed))
    }

    /// By difference (AK-8), and never more operations than the server said (AK-2).
    fn move_members<'a>(&'a self, wire: &'a mut Wire, group: &'a Group, movement: Movement<'a>) -> Soon<'a, ()> {
        Box::pin(async move {
            groups::present(wire, group).await?;
            let most = self.operations.load(Ordering::Relaxed);
            for leaving in movement.leaving.chunks(most) {
                let leave = Movement { joining: &[], leaving, ..movement };
                groups::change(&DIALECT, wire, group, leave).await?;
            }
            for joining in movement.joining.chunks(most) {
                let join = Movement { joining, leaving: &[], ..movement };
                groups::change(&DIALECT, wire, group, join).await?;
            }
            Ok(())
        })
    }
}
