//! Groups. Members never become a document: a request is folded into a difference, and the store changes rows.

use serde_json::Value;
use uuid::Uuid;

use super::members;
use super::undo::Before;
use super::user::check;
use super::{
    Accepted, Caller, Directory, DirectoryError, GroupView, ListQuery, MemberRef, Members, Page, Precondition, Tried,
    Undo, audited, parse_id, persist,
};
use crate::scim::patch::{self, GroupPatch, Member, MemberChange};
use crate::scim::{self, Attrs, ScimError, filter};
use crate::store::group::{self, Delta, Document, Group, Moved, With};
use crate::store::outbox::{Nudge, Subject};
use crate::store::tenant::Tenant;
use crate::store::user::Deed;
use crate::store::{OnConstraint, StoreError, list, related};

const GROUP: &str = "Group";

/// So many members are read at once.
const FIRST: i64 = 1000;
/// So many members of each group of a page.
const FIRST_OF_MANY: i64 = 100;

/// What a request asks for.
struct Wish {
    attrs: Attrs,
    members: Wanted,
}

/// What a request asks for of the members.
#[derive(Clone)]
enum Wanted {
    /// This difference; what is no id of ours is named.
    Known(Delta, Vec<String>),
    /// These changes, in order, some of which the present members have to be asked about.
    Asking(Vec<MemberChange>),
}

impl Wanted {
    fn of(changes: Vec<MemberChange>) -> Self {
        if changes.iter().any(|change| matches!(change, MemberChange::RemoveWhere(_))) {
            return Self::Asking(changes);
        }
        let (delta, odd) = members::fold(&changes);
        Self::Known(delta, odd)
    }
}

/// What a request does to a group.
struct Change {
    attrs: Attrs,
    delta: Delta,
    odd: Vec<String>,
}

impl Directory {
    /// Creates a group with its members. Unknown members are skipped and recorded (`OKTA-28`).
    ///
    /// # Errors
    /// 409 `uniqueness` for the displayName, or when another group stands for the same Jira group.
    pub async fn create_group(
        &self,
        caller: &Caller,
        attrs: Attrs,
        members: Vec<Member>,
    ) -> Result<Accepted<GroupView>, DirectoryError> {
        let folded = scim::folded(scim::group(), &attrs);
        let (add, odd) = members::ids(&members);
        let delta = Delta { replace: false, add, remove: Vec::new() };
        let body = audited(&Value::Object(attrs.clone()));
        let jira_name = display_name(&attrs).trim().to_owned();
        persist(|| async {
            let deed = caller.deed("group.create", Some(&body), 201);
            let mut tx = self.begin().await?;
            let id = Uuid::now_v7();
            let document = Document { attrs: &attrs, folded: &folded };
            let created = group::create(&mut tx, deed.tenant_id, id, &document, &jira_name)
                .await
                .on_constraint::<DirectoryError>("scim_group_display_name_key", || taken(&attrs))
                .map_err(|error| alias_taken(error, &jira_name))?;
            let with = With { attrs_changed: true, nudge_group: true };
            let moved = group::change_members(&mut tx, &deed, id, &delta, with).await?;
            tx.commit().await.map_err(StoreError::from)?;
            note_skipped(id, &odd);
            let joined = moved.iter().filter(|moved| moved.joined == Some(true)).count();
            Ok(Tried::Done(Accepted {
                about: Subject::Group(id),
                view: GroupView {
                    id,
                    attrs: attrs.clone(),
                    version: 1 + i64::from(joined > 0),
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
        let group = group::get(&mut conn, tenant.id, uuid, false).await?.ok_or_else(|| not_found(id))?;
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

    /// Lists groups.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_groups(&self, tenant: &Tenant, query: &ListQuery) -> Result<Page<GroupView>, DirectoryError> {
        let mut conn = self.conn().await?;
        let offset = query.start_index.saturating_sub(1);
        let page = list::group_page(&mut conn, tenant.id, query.filter.as_ref(), offset, query.count).await?;
        let mut items: Vec<GroupView> = page
            .rows
            .into_iter()
            .map(|row| GroupView {
                id: row.id,
                attrs: row.attrs,
                version: row.version,
                created: row.created,
                modified: row.modified,
                members: query.with_related.then(Members::default),
            })
            .collect();
        if query.with_related && !items.is_empty() {
            let ids: Vec<Uuid> = items.iter().map(|item| item.id).collect();
            let place: std::collections::HashMap<Uuid, usize> =
                ids.iter().enumerate().map(|(i, id)| (*id, i)).collect();
            for row in related::first_members(&mut conn, tenant.id, &ids, FIRST_OF_MANY).await? {
                if let Some(members) = place.get(&row.group_id).and_then(|i| items[*i].members.as_mut()) {
                    members.first.push(member(row));
                    members.more = members.first.len() as i64 == FIRST_OF_MANY;
                }
            }
        }
        Ok(Page { total: page.total, items })
    }

    /// Replaces a group with its members (PUT). Without `members` in the body the group is emptied (RFC 7644 3.5.1).
    ///
    /// # Errors
    /// 400, 404, 409 `uniqueness`, 412.
    pub async fn replace_group(
        &self,
        caller: &Caller,
        id: &str,
        mut body: Value,
        pre: &Precondition,
    ) -> Result<Accepted<GroupView>, DirectoryError> {
        let shown = audited(&body);
        let members = patch::take_members(&mut body).map(|members| members::ids(&members.unwrap_or_default()));
        self.change_group(caller, ("group.replace", 200), id, &shown, pre, |stored| {
            let attrs = scim::check_replace(scim::group(), body.clone(), stored)?;
            let (add, odd) = members.clone()?;
            Ok(Wish { attrs, members: Wanted::Known(Delta { replace: true, add, remove: Vec::new() }, odd) })
        })
        .await
    }

    /// Applies a PATCH to a group, all or nothing.
    ///
    /// # Errors
    /// 400, 404, 409 `uniqueness`, 412.
    pub async fn patch_group(
        &self,
        caller: &Caller,
        id: &str,
        body: Value,
        pre: &Precondition,
    ) -> Result<Accepted<GroupView>, DirectoryError> {
        let shown = audited(&body);
        let parsed = patch::parse(scim::group(), &body).and_then(patch::split_members);
        drop(body);
        let parsed = parsed.map(|GroupPatch { attrs, members }| (attrs, Wanted::of(members)));
        self.change_group(caller, ("group.patch", 204), id, &shown, pre, |stored| {
            let (attrs, members) = parsed.as_ref().map_err(Clone::clone)?;
            let attrs = patch::apply(attrs, scim::group(), stored)?;
            Ok(Wish { attrs, members: members.clone() })
        })
        .await
    }

    async fn change_group(
        &self,
        caller: &Caller,
        (action, status): (&str, i16),
        id: &str,
        shown: &Value,
        pre: &Precondition,
        plan: impl Fn(&Attrs) -> Result<Wish, ScimError>,
    ) -> Result<Accepted<GroupView>, DirectoryError> {
        let uuid = parse_id(GROUP, id)?;
        persist(|| async {
            let deed = caller.deed(action, Some(shown), status);
            let mut conn = self.conn().await?;
            if *pre == Precondition::None {
                let old = self.read(&mut conn, &deed, uuid, id, false).await?;
                let change = self.resolve(&mut conn, &deed, uuid, plan(&old.attrs)?).await?;
                if change.attrs == old.attrs {
                    // The usual case: members alone, in one statement.
                    let moved = group::change_members(&mut conn, &deed, uuid, &change.delta, With::default()).await?;
                    note_skipped(uuid, &change.odd);
                    return Ok(Tried::Done(accepted(uuid, old, None, change, moved)));
                }
            }
            drop(conn);
            let mut tx = self.begin().await?;
            let locked = *pre != Precondition::None;
            let old = self.read(&mut tx, &deed, uuid, id, locked).await?;
            check(pre, old.version)?;
            let change = self.resolve(&mut tx, &deed, uuid, plan(&old.attrs)?).await?;
            let attrs_changed = change.attrs != old.attrs;
            if attrs_changed && !write_attrs(&mut tx, deed.tenant_id, uuid, &old, &change.attrs).await? {
                return Ok(Tried::Again);
            }
            let with = With { attrs_changed, nudge_group: false };
            let moved = group::change_members(&mut tx, &deed, uuid, &change.delta, with).await?;
            tx.commit().await.map_err(StoreError::from)?;
            note_skipped(uuid, &change.odd);
            let before = attrs_changed.then(|| (old.row_version + 1, old.attrs.clone()));
            Ok(Tried::Done(accepted(uuid, old, before, change, moved)))
        })
        .await
    }

    async fn read(
        &self,
        conn: &mut sqlx::PgConnection,
        deed: &Deed<'_>,
        uuid: Uuid,
        id: &str,
        lock: bool,
    ) -> Result<Group, DirectoryError> {
        group::get(conn, deed.tenant_id, uuid, lock).await?.ok_or_else(|| not_found(id))
    }

    /// Turns what a request wants into a difference, and refuses circles.
    async fn resolve(
        &self,
        conn: &mut sqlx::PgConnection,
        deed: &Deed<'_>,
        id: Uuid,
        Wish { attrs, members }: Wish,
    ) -> Result<Change, DirectoryError> {
        let (delta, odd) = match members {
            Wanted::Known(delta, odd) => (delta, odd),
            Wanted::Asking(mut changes) => {
                self.name_those_meant(conn, deed.tenant_id, id, &mut changes).await?;
                members::fold(&changes)
            }
        };
        if !delta.add.is_empty() {
            let nested = group::groups_among(conn, deed.tenant_id, &delta.add).await?;
            if !nested.is_empty() && group::reaches(conn, deed.tenant_id, &nested, id).await? {
                let detail = "members: a group cannot be a member of itself, directly or through other groups.";
                return Err(ScimError::invalid_value(detail.to_owned()).into());
            }
        }
        Ok(Change { attrs, delta, odd })
    }

    /// A filter of a PATCH path that is more than an id is asked of the members that are there.
    async fn name_those_meant(
        &self,
        conn: &mut sqlx::PgConnection,
        tenant_id: Uuid,
        id: Uuid,
        changes: &mut [MemberChange],
    ) -> Result<(), StoreError> {
        if !changes.iter().any(|change| matches!(change, MemberChange::RemoveWhere(_))) {
            return Ok(());
        }
        let rows = related::members_of(conn, tenant_id, &[id]).await?;
        let present: Vec<Value> = rows.into_iter().map(|row| shown_member(&member(row))).collect();
        for change in changes {
            if let MemberChange::RemoveWhere(expr) = change {
                let hit = present.iter().filter(|document| filter::eval(expr, document));
                let values = hit.filter_map(|document| Some(document.get("value")?.as_str()?.to_owned()));
                *change = MemberChange::Remove(values.collect());
            }
        }
        Ok(())
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
                let old = self.read(&mut tx, &deed, uuid, id, true).await?;
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

pub(super) async fn write_attrs(
    conn: &mut sqlx::PgConnection,
    tenant_id: Uuid,
    id: Uuid,
    old: &Group,
    attrs: &Attrs,
) -> Result<bool, DirectoryError> {
    let folded = scim::folded(scim::group(), attrs);
    let document = Document { attrs, folded: &folded };
    group::update(conn, tenant_id, id, old.row_version, &document)
        .await
        .on_constraint("scim_group_display_name_key", || taken(attrs))
}

fn accepted(
    id: Uuid,
    old: Group,
    before: Option<(i64, Attrs)>,
    change: Change,
    moved: Vec<Moved>,
) -> Accepted<GroupView> {
    let joined: Vec<Uuid> =
        moved.iter().filter(|moved| moved.joined == Some(true)).map(|moved| moved.subject.id()).collect();
    let members_moved = moved.iter().any(|moved| moved.joined.is_some());
    let changed = before.is_some() || members_moved;
    let version = old.version + i64::from(before.is_some()) + i64::from(members_moved);
    let undo = (before.is_some() || !joined.is_empty()).then_some(Undo(Before::Group { id, attrs: before, joined }));
    Accepted {
        about: Subject::Group(id),
        view: GroupView {
            id,
            attrs: change.attrs,
            version,
            created: old.created,
            modified: old.modified,
            members: None,
        },
        changed,
        nudged: nudges(&moved, None),
        undo,
    }
}

/// The group first: its members wait for it.
fn nudges(moved: &[Moved], group: Option<Uuid>) -> Vec<Nudge> {
    let mut nudges: Vec<Nudge> =
        moved.iter().map(|moved| Nudge { subject: moved.subject, lease: moved.lease }).collect();
    nudges.sort_by_key(|nudge| (Some(nudge.subject) != group.map(Subject::Group), nudge.lease.is_none()));
    nudges
}

fn note_skipped(group: Uuid, odd: &[String]) {
    if !odd.is_empty() {
        tracing::warn!(group.id = %group, skipped = odd.len(), "{} members of group {group} are no ids of ours: skipped", odd.len());
    }
}

fn member(row: related::MemberRow) -> MemberRef {
    MemberRef { id: row.member_id, display: row.display, is_group: row.is_group }
}

/// A member as a filter of a PATCH path sees it.
fn shown_member(member: &MemberRef) -> Value {
    serde_json::json!({
        "value": member.id.to_string(),
        "display": member.display.as_deref().map(crate::account::fold),
        "type": if member.is_group { "group" } else { "user" },
    })
}

fn view(id: Uuid, group: Group, members: Option<Members>) -> GroupView {
    GroupView {
        id,
        attrs: group.attrs,
        version: group.version,
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

fn alias_taken(error: DirectoryError, jira_name: &str) -> DirectoryError {
    match error {
        DirectoryError::Store(source) if source.constraint() == Some("scim_group_jira_name_key") => {
            let detail = format!("displayName: another group already stands for the Jira group {jira_name}.");
            ScimError::uniqueness(detail).into()
        }
        other => other,
    }
}

fn not_found(id: &str) -> DirectoryError {
    DirectoryError::NotFound { kind: GROUP, id: id.to_owned() }
}
