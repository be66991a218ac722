//! Users.

use std::collections::HashMap;

use serde_json::Value;

use super::undo::Before;
use super::{
    Accepted, Caller, Directory, DirectoryError, GroupRef, Precondition, Tried, Undo, UserView, parse_id, persist,
};
use crate::account::fold;
use crate::scim::{self, Attrs, ScimError, patch, urn};
use crate::store::outbox::{Nudge, Subject};
use crate::store::tenant::Tenant;
use crate::store::user::{self, Deed, Document, User, Written};
use crate::store::{OnConstraint, last_login};
use sqlx::PgConnection;
use uuid::Uuid;

const USER: &str = "User";

impl Directory {
    /// Creates a user, or brings one back that was deleted, under its old id. `active` is true unless it is said.
    ///
    /// # Errors
    /// 409 `uniqueness` when a living user has the userName.
    pub async fn create_user(&self, caller: &Caller, mut attrs: Attrs) -> Result<Accepted<UserView>, DirectoryError> {
        attrs.entry("active").or_insert(Value::Bool(true));
        let folded = scim::folded(caller.types.user, &attrs);
        let body = caller.audited(&Value::Object(attrs.clone()));
        let written = persist(|| async {
            let deed = caller.deed("user.create", Some(&body), 201);
            let document = document(&attrs, &folded);
            let mut conn = self.conn().await?;
            let created = user::create(&mut conn, &deed, Uuid::now_v7(), &document).await;
            match created {
                Err(error) if error.constraint() == Some("scim_user_user_name_key") => {
                    claim(&mut conn, caller, &deed, &document).await
                }
                created => {
                    let written = created?;
                    let undo = Undo(Before::NoUser { id: written.id, version: written.version });
                    Ok(Tried::Done((written, undo)))
                }
            }
        })
        .await?;
        let (written, undo) = written;
        // Somebody who was there already may be in groups: whoever answers reads them.
        let groups = matches!(undo.0, Before::NoUser { .. }).then(Vec::new);
        Ok(accepted(attrs, written, Some(undo), groups))
    }

    /// Reads a living user.
    ///
    /// # Errors
    /// [`DirectoryError::NotFound`].
    pub async fn get_user(&self, tenant: &Tenant, id: &str, with_groups: bool) -> Result<UserView, DirectoryError> {
        let uuid = parse_id(USER, id)?;
        let mut conn = self.conn().await?;
        if !with_groups {
            let user = user::get(&mut conn, tenant.id, uuid).await?.ok_or_else(|| not_found(id))?;
            return Ok(view(uuid, user, None));
        }
        let (user, groups) = user::get_with_groups(&mut conn, tenant.id, uuid).await?.ok_or_else(|| not_found(id))?;
        let groups = groups.into_iter().map(|g| GroupRef { id: g.id, display: g.display, direct: g.direct }).collect();
        Ok(view(uuid, user, Some(groups)))
    }

    /// Adds when each person was last seen at the target, as far as anybody knows: for tenants that publish it.
    ///
    /// # Errors
    /// The store's.
    pub async fn add_last_logins<'a>(
        &self,
        tenant: &Tenant,
        users: impl Iterator<Item = &'a mut UserView>,
    ) -> Result<(), DirectoryError> {
        let mut users: HashMap<Uuid, &mut UserView> = users.map(|user| (user.id, user)).collect();
        let ids: Vec<Uuid> = users.keys().copied().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let mut conn = self.conn().await?;
        for (id, at) in last_login::of(&mut conn, tenant.id, &ids).await? {
            if let Some(user) = users.get_mut(&id) {
                user.last_login = Some(at);
            }
        }
        Ok(())
    }

    /// Replaces what the client owns of a user (PUT).
    ///
    /// # Errors
    /// 400, 404, 409 `uniqueness`, 412.
    pub async fn replace_user(
        &self,
        caller: &Caller,
        id: &str,
        body: Value,
        pre: &Precondition,
    ) -> Result<Accepted<UserView>, DirectoryError> {
        let shown = caller.audited(&body);
        self.change_user(caller, "user.replace", id, &shown, pre, |stored| {
            scim::check_replace(caller.types.user, body.clone(), stored)
        })
        .await
    }

    /// Applies a PATCH to a user, all or nothing.
    ///
    /// # Errors
    /// 400, 404, 409 `uniqueness`, 412.
    pub async fn patch_user(
        &self,
        caller: &Caller,
        id: &str,
        body: Value,
        pre: &Precondition,
    ) -> Result<Accepted<UserView>, DirectoryError> {
        let parsed = patch::parse(caller.types.user, &body);
        let shown = caller.audited(&body);
        self.change_user(caller, "user.patch", id, &shown, pre, |stored| {
            patch::apply(parsed.as_ref().map_err(Clone::clone)?, caller.types.user, stored)
        })
        .await
    }

    /// Reads, changes, and writes where nobody else was quicker.
    async fn change_user(
        &self,
        caller: &Caller,
        action: &str,
        id: &str,
        shown: &Value,
        pre: &Precondition,
        change: impl Fn(&Attrs) -> Result<Attrs, ScimError>,
    ) -> Result<Accepted<UserView>, DirectoryError> {
        let uuid = parse_id(USER, id)?;
        let tenant = &caller.tenant;
        persist(|| async {
            let mut conn = self.conn().await?;
            let old = user::get(&mut conn, tenant.id, uuid).await?.ok_or_else(|| not_found(id))?;
            check(pre, old.version)?;
            let mut attrs = change(&old.attrs)?;
            // What was imported is the client's from its first write on, even of one that changes nothing else.
            attrs.remove(urn::ORIGIN_USER);
            if attrs == old.attrs {
                return Ok(Tried::Done(unchanged(uuid, old)));
            }
            let folded = scim::folded(caller.types.user, &attrs);
            let deed = caller.deed(action, Some(shown), 200);
            let written = user::update(&mut conn, &deed, uuid, old.version, &document(&attrs, &folded))
                .await
                .on_constraint("scim_user_user_name_key", || taken(&attrs))?;
            let Some(written) = written else { return Ok(Tried::Again) };
            let undo = undo_of(&old, &attrs, &written);
            Ok(Tried::Done(accepted(attrs, written, undo, None)))
        })
        .await
    }

    /// Deletes a user: 404 from now on, and the account goes by policy.
    ///
    /// # Errors
    /// 404, 412.
    pub async fn delete_user(
        &self,
        caller: &Caller,
        id: &str,
        pre: &Precondition,
    ) -> Result<Accepted<()>, DirectoryError> {
        let uuid = parse_id(USER, id)?;
        let nudge = persist(|| async {
            let mut conn = self.conn().await?;
            let mut version = None;
            if *pre != Precondition::None {
                let old = user::get(&mut conn, caller.tenant.id, uuid).await?.ok_or_else(|| not_found(id))?;
                check(pre, old.version)?;
                version = Some(old.version);
            }
            let deed = caller.deed("user.delete", None, 204);
            match user::delete(&mut conn, &deed, uuid, version).await? {
                Some(nudge) => Ok(Tried::Done(nudge)),
                None if version.is_some() => Ok(Tried::Again),
                None => Err(not_found(id)),
            }
        })
        .await?;
        // What takes away stays desired, whatever Jira says.
        Ok(Accepted { about: Subject::User(uuid), view: (), changed: true, nudged: vec![nudge], undo: None })
    }
}

/// The name of a new user is somebody's: by the tenant's choice an imported one becomes the client's, with all its attributes.
async fn claim(
    conn: &mut PgConnection,
    caller: &Caller,
    deed: &Deed<'_>,
    document: &Document<'_>,
) -> Result<Tried<(Written, Undo)>, DirectoryError> {
    let name = document.attrs.get("userName").and_then(Value::as_str).unwrap_or_default();
    let Some((id, old)) = user::imported_named(conn, deed.tenant_id, &fold(name)).await? else {
        return Err(taken(document.attrs));
    };
    if caller.claims_imported() {
        let Some(written) = user::update(conn, deed, id, old.version, document).await? else { return Ok(Tried::Again) };
        let undo = Undo(Before::User { id, version: written.version, attrs: old.attrs });
        return Ok(Tried::Done((written, undo)));
    }
    let detail = format!(
        "A user with userName {name} already exists: it was imported. Find it with a filter and change it (its id is {id})."
    );
    Err(ScimError::uniqueness(detail).into())
}

/// What to write to take the change back: what gave or changed, and never what took away.
fn undo_of(old: &User, attrs: &Attrs, written: &Written) -> Option<Undo> {
    let mut back = old.attrs.clone();
    if !is_active(attrs) {
        back.insert("active".to_owned(), Value::Bool(false));
    }
    if back == *attrs {
        return None;
    }
    Some(Undo(Before::User { id: written.id, version: written.version, attrs: back }))
}

pub(super) fn is_active(attrs: &Attrs) -> bool {
    attrs.get("active") != Some(&Value::Bool(false))
}

pub(super) fn document<'a>(attrs: &'a Attrs, folded: &'a Attrs) -> Document<'a> {
    Document { attrs, folded, active: is_active(attrs) }
}

pub(super) fn check(pre: &Precondition, current: i64) -> Result<(), DirectoryError> {
    match pre {
        Precondition::Versions(versions) if !versions.contains(&current) => {
            Err(DirectoryError::Precondition { current })
        }
        Precondition::None | Precondition::Versions(_) => Ok(()),
    }
}

fn view(id: Uuid, user: User, groups: Option<Vec<GroupRef>>) -> UserView {
    UserView {
        id,
        attrs: user.attrs,
        version: user.version,
        created: user.created,
        modified: user.modified,
        groups,
        last_login: None,
    }
}

fn unchanged(id: Uuid, user: User) -> Accepted<UserView> {
    let subject = Subject::User(id);
    Accepted {
        about: subject,
        view: view(id, user, None),
        changed: false,
        nudged: vec![Nudge { subject, lease: None }],
        undo: None,
    }
}

fn accepted(attrs: Attrs, written: Written, undo: Option<Undo>, groups: Option<Vec<GroupRef>>) -> Accepted<UserView> {
    Accepted {
        about: Subject::User(written.id),
        view: UserView {
            id: written.id,
            attrs,
            version: written.version,
            created: written.created,
            modified: written.modified,
            groups,
            last_login: None,
        },
        changed: true,
        nudged: vec![written.nudge],
        undo,
    }
}

fn taken(attrs: &Attrs) -> DirectoryError {
    let name = attrs.get("userName").and_then(Value::as_str).unwrap_or_default();
    ScimError::uniqueness(format!("A user with userName {name} already exists.")).into()
}

fn not_found(id: &str) -> DirectoryError {
    DirectoryError::NotFound { kind: USER, id: id.to_owned() }
}
