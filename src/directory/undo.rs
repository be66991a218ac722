//! Taking a change back after Jira, or a rule, refused it: one transaction that compares the version with the one that
//! the request wrote, and writes the old value as a new version with its audit and outbox rows.
//!
//! Only what gives or changes is taken back. If somebody else has changed the resource since, nothing is: the refusal
//! stays as a late one, shown and counted.

use uuid::Uuid;

use super::group_change::write_attrs;
use super::user::document;
use super::{Caller, Directory, DirectoryError, Undo};
use crate::account::fold;
use crate::policy::groups::{OnRename, jira_groups};
use crate::scim::{self, Attrs};
use crate::store::StoreError;
use crate::store::group::{self, Delta, With};
use crate::store::{outbox, user};

/// What was before.
#[derive(Debug)]
pub(crate) enum Before {
    /// There was no such user.
    NoUser { id: Uuid, version: i64 },
    /// The user had these attributes; `version` is the one that the request wrote.
    User { id: Uuid, version: i64, attrs: Attrs },
    /// There was no such group.
    NoGroup { id: Uuid },
    /// The group had these attributes (with the row version that the request wrote), and these members were not in it. Who
    /// left comes back only where an imported group was claimed.
    Group { id: Uuid, attrs: Option<(i64, Attrs)>, joined: Vec<Uuid>, left: Vec<Uuid> },
}

impl Directory {
    /// Takes a change back. `status` is what the request is answered with, `reason` why. False when somebody else has
    /// changed the resource since.
    ///
    /// # Errors
    /// The store's: then the change stays, as a late refusal.
    pub async fn undo(&self, caller: &Caller, undo: Undo, status: u16, reason: &str) -> Result<bool, DirectoryError> {
        let body = caller.audited(&serde_json::json!({ "refusal": reason }));
        // Nobody waits for what the undo leaves to do.
        let caller = Caller { settles: None, ..caller.clone() };
        let deed = caller.deed("undo", Some(&body), i16::try_from(status).unwrap_or(500));
        match undo.0 {
            Before::NoUser { id, version } => {
                let mut conn = self.conn().await?;
                if user::unmake(&mut conn, &deed, id, version).await? {
                    return Ok(true);
                }
                Ok(user::delete(&mut conn, &deed, id, Some(version)).await?.is_some())
            }
            Before::User { id, version, attrs } => {
                let folded = scim::folded(caller.types.user, &attrs);
                let mut conn = self.conn().await?;
                Ok(user::update(&mut conn, &deed, id, version, &document(&attrs, &folded)).await?.is_some())
            }
            Before::NoGroup { id } => {
                let mut tx = self.begin().await?;
                // Its members have to be looked at: their drives may have got somewhere.
                let members: Vec<Uuid> = crate::store::related::members_of(&mut tx, deed.tenant_id, &[id])
                    .await?
                    .into_iter()
                    .filter(|row| !row.is_group)
                    .map(|row| row.member_id)
                    .collect();
                let facts = crate::store::drive::group_facts(&mut tx, deed.tenant_id, id).await?;
                let names = facts.map(|facts| jira_groups(&caller.groups, &facts.alias)).unwrap_or_default();
                let keys: Vec<String> = names.iter().map(|name| fold(name)).collect();
                let undone = group::unmake(&mut tx, deed.tenant_id, id, &keys).await?;
                if undone {
                    group::audit(&mut tx, &deed, id, &[]).await?;
                    outbox::nudge(&mut tx, deed.tenant_id, "user", &members, deed.nudge).await?;
                }
                tx.commit().await.map_err(StoreError::from)?;
                Ok(undone)
            }
            Before::Group { id, attrs, joined, left } => {
                let mut tx = self.begin().await?;
                let moves = attrs.is_some() && caller.groups.on_rename == OnRename::Move;
                if let Some((row_version, attrs)) = attrs
                    && !write_attrs(&mut tx, &caller, id, row_version, &attrs, moves).await?
                {
                    return Ok(false);
                }
                let delta = Delta { remove: joined, add: left, ..Delta::default() };
                let with = With { attrs_changed: true, nudge_group: false, moves };
                group::change_members(&mut tx, &deed, id, &delta, with).await?;
                tx.commit().await.map_err(StoreError::from)?;
                Ok(true)
            }
        }
    }
}
