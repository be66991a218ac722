//! Groups: created, read, listed, deleted. How they change is in `group_change`.

use serde_json::Value;
use uuid::Uuid;

use super::group_change::{refuse_depth, refuse_unknown};
use super::members;
use super::undo::Before;
use super::user::check;
use super::{
    Accepted, Caller, Directory, DirectoryError, GroupView, MemberRef, Members, Precondition, Tried, Undo, parse_id,
    persist,
};
use crate::scim::patch::Member;
use crate::scim::{self, Attrs, ScimError};
use crate::store::group::{self, Alias, Delta, Document, Group, Moved, With};
use crate::store::outbox::{Nudge, Subject};
use crate::store::tenant::Tenant;
use crate::store::{OnConstraint, StoreError, related};

pub(super) const GROUP: &str = "Group";

/// So many members are read at once.
const FIRST: i64 = 1000;

impl Directory {
    /// Creates a group with its members. Unknown members are skipped and recorded (`OKTA-28`), or refused.
    ///
    /// # Errors
    /// 400 for unknown members where they are refused; 409 `uniqueness` for the displayName, or when another group still goes by that name.
    pub async fn create_group(
        &self,
        caller: &Caller,
        attrs: Attrs,
        members: Vec<Member>,
    ) -> Result<Accepted<GroupView>, DirectoryError> {
        let folded = scim::folded(caller.types.group, &attrs);
        let (add, odd) = members::ids(&members);
        let delta = Delta { add, odd, ..Delta::default() };
        let body = caller.audited(&Value::Object(attrs.clone()));
        persist(|| async {
            let deed = caller.deed("group.create", Some(&body), 201);
            let mut tx = self.begin().await?;
            refuse_unknown(&mut tx, caller, &delta).await?;
            let id = Uuid::now_v7();
            let document = Document { attrs: &attrs, folded: &folded };
            let created = group::create(&mut tx, deed.tenant_id, id, &document, alias(caller, &attrs))
                .await
                .on_constraint::<DirectoryError>("scim_group_display_name_key", || taken(&attrs))
                .map_err(|error| alias_taken(error, &attrs));
            let created = match created {
                Ok(created) => created,
                Err(refusal @ DirectoryError::Scim(_)) => {
                    // Its transaction is over with that.
                    drop(tx);
                    return self.claim_group(caller, &deed, &attrs, &delta, refusal).await;
                }
                Err(error) => return Err(error),
            };
            if !delta.add.is_empty() {
                let nested = group::groups_among(&mut tx, deed.tenant_id, &delta.add).await?;
                refuse_depth(&mut tx, deed.tenant_id, id, &nested).await?;
            }
            let with = With { attrs_changed: true, nudge_group: true, moves: false };
            let moved = group::change_members(&mut tx, &deed, id, &delta, with).await?;
            tx.commit().await.map_err(StoreError::from)?;
            let joined = moved.iter().filter(|moved| moved.joined == Some(true)).count();
            Ok(Tried::Done(Accepted {
                about: Subject::Group(id),
                view: GroupView {
                    id,
                    attrs: attrs.clone(),
                    version: Some(1 + i64::from(joined > 0)),
                    created,
                    modified: created,
                    members: None,
                },
                changed: true,
                nudged: nudges(&moved, Some(id)),
                undo: Some(Undo(Before::NoGroup { id })),
            }))
        })
        .await
    }

    /// Reads a living group.
    ///
    /// # Errors
    /// [`DirectoryError::NotFound`].
    pub async fn get_group(&self, tenant: &Tenant, id: &str, with_members: bool) -> Result<GroupView, DirectoryError> {
        let uuid = parse_id(GROUP, id)?;
        let mut conn = self.conn().await?;
        let group = group::get(&mut conn, tenant.id, uuid).await?.ok_or_else(|| not_found(id))?;
        let members = if with_members {
            let rows = related::first_members(&mut conn, tenant.id, &[uuid], FIRST).await?;
            Some(Members { more: rows.len() as i64 == FIRST, first: rows.into_iter().map(member).collect() })
        } else {
            None
        };
        Ok(view(uuid, group, members))
    }

    /// The living members of a group behind one of them, by id; an empty page is the end. Whoever is a member all the
    /// time that a reader takes for all pages is in exactly one of them.
    ///
    /// # Errors
    /// The store's.
    pub async fn members_after(
        &self,
        tenant_id: Uuid,
        group: Uuid,
        after: Uuid,
    ) -> Result<Vec<MemberRef>, DirectoryError> {
        let mut conn = self.conn().await?;
        let rows = related::members_after(&mut conn, tenant_id, group, after, FIRST).await?;
        Ok(rows.into_iter().map(member).collect())
    }

    /// Deletes a group: 404 from now on; its members leave the Jira group by policy.
    ///
    /// # Errors
    /// 404, 412.
    pub async fn delete_group(
        &self,
        caller: &Caller,
        id: &str,
        pre: &Precondition,
    ) -> Result<Accepted<()>, DirectoryError> {
        let uuid = parse_id(GROUP, id)?;
        persist(|| async {
            let deed = caller.deed("group.delete", None, 204);
            let mut tx = self.begin().await?;
            if *pre != Precondition::None {
                let old = group::lock(&mut tx, deed.tenant_id, uuid).await?.ok_or_else(|| not_found(id))?;
                check(pre, old.version)?;
            }
            if !group::delete(&mut tx, deed.tenant_id, uuid).await? {
                return Err(not_found(id));
            }
            group::audit(&mut tx, &deed, uuid, &[]).await?;
            let how = crate::store::outbox::NudgeAs { fan_out: true, ..deed.nudge };
            let leased = crate::store::outbox::nudge(&mut tx, deed.tenant_id, "group", &[uuid], how).await?;
            tx.commit().await.map_err(StoreError::from)?;
            let lease = deed.nudge.lease.map(|(token, _)| token).filter(|_| !leased.is_empty());
            let subject = Subject::Group(uuid);
            let nudged = vec![Nudge { subject, lease }];
            Ok(Tried::Done(Accepted { about: subject, view: (), changed: true, nudged, undo: None }))
        })
        .await
    }
}

/// The group first: its members wait for it.
pub(super) fn nudges(moved: &[Moved], group: Option<Uuid>) -> Vec<Nudge> {
    let mut nudges: Vec<Nudge> =
        moved.iter().map(|moved| Nudge { subject: moved.subject, lease: moved.lease }).collect();
    nudges.sort_by_key(|nudge| (Some(nudge.subject) != group.map(Subject::Group), nudge.lease.is_none()));
    nudges
}

pub(super) fn member(row: related::MemberRow) -> MemberRef {
    MemberRef { id: row.member_id, display: row.display, is_group: row.is_group }
}

fn view(id: Uuid, group: Group, members: Option<Members>) -> GroupView {
    GroupView {
        id,
        attrs: group.attrs,
        version: Some(group.version),
        created: group.created,
        modified: group.modified,
        members,
    }
}

fn display_name(attrs: &Attrs) -> &str {
    attrs.get("displayName").and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn taken(attrs: &Attrs) -> DirectoryError {
    ScimError::uniqueness(format!("A group with displayName {} already exists.", display_name(attrs))).into()
}

/// The name that the rules see of a group of these attributes.
pub(super) fn alias<'a>(caller: &Caller, attrs: &'a Attrs) -> Alias<'a> {
    let name = display_name(attrs).trim();
    Alias { name, reserved: !caller.groups.lists(name) }
}

pub(super) fn alias_taken(error: DirectoryError, attrs: &Attrs) -> DirectoryError {
    match error {
        DirectoryError::Store(source) if source.constraint() == Some("scim_group_alias_key") => {
            let detail = format!(
                "displayName: another group was called {} and still stands for the Jira group of that name.",
                display_name(attrs)
            );
            ScimError::uniqueness(detail).into()
        }
        other => other,
    }
}

pub(super) fn not_found(id: &str) -> DirectoryError {
    DirectoryError::NotFound { kind: GROUP, id: id.to_owned() }
}
