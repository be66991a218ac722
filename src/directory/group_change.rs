//! Changes of groups. Members never become a document: a request is folded into a difference, and the store changes rows.

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::group::{GROUP, alias, alias_taken, member, not_found, nudges, taken};
use super::members;
use super::undo::Before;
use super::user::check;
use super::{
    Accepted, Caller, Directory, DirectoryError, GroupView, MemberRef, Precondition, Tried, Undo, parse_id, persist,
};
use crate::account::fold;
use crate::policy::groups::OnRename;
use crate::scim::patch::{self, GroupPatch, MemberChange};
use crate::scim::{self, Attrs, ScimError, filter, urn};
use crate::store::group::{self, Delta, Document, Glance, Moved, With};
use crate::store::outbox::Subject;
use crate::store::user::Deed;
use crate::store::{OnConstraint, StoreError, related};

/// What a request asks for.
struct Wish {
    attrs: Attrs,
    members: Wanted,
}

/// What a request asks for of the members.
#[derive(Clone)]
enum Wanted {
    /// This difference.
    Known(Delta),
    /// These changes, in order, some of which the present members have to be asked about.
    Asking(Vec<MemberChange>),
}

impl Wanted {
    /// Who is known to join.
    fn joining(&self) -> &[Uuid] {
        match self {
            Self::Known(delta) => &delta.add,
            Self::Asking(_) => &[],
        }
    }

    fn of(changes: Vec<MemberChange>) -> Self {
        let asks = changes.iter().any(|change| matches!(change, MemberChange::RemoveWhere(_)));
        if asks { Self::Asking(changes) } else { Self::Known(members::fold(&changes)) }
    }
}

/// What a request does to a group.
struct Change {
    attrs: Attrs,
    delta: Delta,
    /// Groups among those that join.
    nested: Vec<Uuid>,
}

impl Directory {
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
        let shown = caller.audited(&body);
        let whole = |(add, odd)| Wanted::Known(Delta { replace: true, add, odd, ..Delta::default() });
        let members = patch::take_members(&mut body).map(|members| whole(members::ids(&members.unwrap_or_default())));
        self.change_group(caller, ("group.replace", 200, &shown), id, pre, &members, |stored| {
            scim::check_replace(caller.types.group, body.clone(), stored)
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
        let shown = caller.audited(&body);
        let parsed = patch::parse(caller.types.group, &body).and_then(patch::split_members);
        drop(body);
        let (attrs, members) = match parsed {
            Ok(GroupPatch { attrs, members }) => (Ok(attrs), Ok(Wanted::of(members))),
            Err(error) => (Err(error.clone()), Err(error)),
        };
        self.change_group(caller, ("group.patch", 204, &shown), id, pre, &members, |stored| {
            patch::apply(attrs.as_ref().map_err(Clone::clone)?, caller.types.group, stored)
        })
        .await
    }

    async fn change_group(
        &self,
        caller: &Caller,
        (action, status, shown): (&str, i16, &Value),
        id: &str,
        pre: &Precondition,
        members: &Result<Wanted, ScimError>,
        attrs: impl Fn(&Attrs) -> Result<Attrs, ScimError>,
    ) -> Result<Accepted<GroupView>, DirectoryError> {
        let uuid = parse_id(GROUP, id)?;
        let joining = members.as_ref().map_or(&[][..], Wanted::joining);
        let wish = |stored: &Attrs| {
            let mut attrs = attrs(stored)?;
            // What was imported is the client's from its first write on, also where only the members change.
            attrs.remove(urn::ORIGIN_GROUP);
            Ok::<Wish, ScimError>(Wish { attrs, members: members.clone()? })
        };
        persist(|| async {
            let deed = caller.deed(action, Some(shown), status);
            let mut conn = self.conn().await?;
            if *pre == Precondition::None {
                let old = glance(&mut conn, caller, uuid, joining).await?.ok_or_else(|| not_found(id))?;
                let change = resolve(&mut conn, caller, uuid, wish(&old.attrs)?, (joining, &old.groups)).await?;
                if change.attrs == old.attrs && change.nested.is_empty() {
                    // The usual case: members alone, in one statement.
                    let moved = group::change_members(&mut conn, &deed, uuid, &change.delta, With::default()).await?;
                    return Ok(Tried::Done(accepted(uuid, old, None, change, moved)));
                }
            }
            drop(conn);
            let mut tx = self.begin().await?;
            let old = match pre {
                Precondition::None => glance(&mut tx, caller, uuid, joining).await?,
                Precondition::Versions(_) => group::lock(&mut tx, deed.tenant_id, uuid).await?.map(Glance::from),
            };
            let old = old.ok_or_else(|| not_found(id))?;
            if let Some(version) = old.version {
                check(pre, version)?;
            }
            let change = resolve(&mut tx, caller, uuid, wish(&old.attrs)?, (&[], &[])).await?;
            refuse_circle(&mut tx, deed.tenant_id, uuid, &change.nested).await?;
            let attrs_changed = change.attrs != old.attrs;
            let renamed = old.attrs.get("displayName") != change.attrs.get("displayName");
            let moves = renamed && caller.groups.on_rename == OnRename::Move;
            if attrs_changed && !write_attrs(&mut tx, caller, uuid, old.row_version, &change.attrs, moves).await? {
                return Ok(Tried::Again);
            }
            let with = With { attrs_changed, nudge_group: false, moves };
            let moved = group::change_members(&mut tx, &deed, uuid, &change.delta, with).await?;
            if !alone(&mut tx, pre, &deed, uuid, (&old, attrs_changed, &moved)).await? {
                // Dropped, so nothing is written; the next try finds the version that there is now.
                return Ok(Tried::Again);
            }
            tx.commit().await.map_err(StoreError::from)?;
            let before = attrs_changed.then(|| (old.row_version + 1, old.attrs.clone()));
            Ok(Tried::Done(accepted(uuid, old, before, change, moved)))
        })
        .await
    }
}

impl Directory {
    /// The name of a new group is taken: by the tenant's choice a group that was imported becomes the client's, with the
    /// members that the client names.
    pub(super) async fn claim_group(
        &self,
        caller: &Caller,
        deed: &Deed<'_>,
        attrs: &Attrs,
        delta: &Delta,
        refusal: DirectoryError,
    ) -> Result<Tried<Accepted<GroupView>>, DirectoryError> {
        let name = attrs.get("displayName").and_then(Value::as_str).unwrap_or_default();
        let mut tx = self.begin().await?;
        let Some(id) = group::imported_named(&mut tx, deed.tenant_id, &fold(name)).await? else { return Err(refusal) };
        if !caller.claims_imported() {
            let detail = format!(
                "A group with displayName {name} already exists: it was imported. Find it with a filter and change it (its \
                 id is {id})."
            );
            return Err(ScimError::uniqueness(detail).into());
        }
        let old = group::lock(&mut tx, deed.tenant_id, id).await?.map(Glance::from);
        let Some(old) = old else { return Ok(Tried::Again) };
        let nested = group::groups_among(&mut tx, deed.tenant_id, &delta.add).await?;
        refuse_circle(&mut tx, deed.tenant_id, id, &nested).await?;
        if !write_attrs(&mut tx, caller, id, old.row_version, attrs, false).await? {
            return Ok(Tried::Again);
        }
        // A client that names nobody puts its members in afterwards: that takes nobody out.
        let delta = Delta { replace: !delta.add.is_empty() || !delta.odd.is_empty(), ..delta.clone() };
        let with = With { attrs_changed: true, nudge_group: true, moves: false };
        let moved = group::change_members(&mut tx, deed, id, &delta, with).await?;
        tx.commit().await.map_err(StoreError::from)?;
        let before = Some((old.row_version + 1, old.attrs.clone()));
        let gone = moved.iter().filter(|moved| moved.joined == Some(false)).map(|moved| moved.subject.id()).collect();
        let mut accepted = accepted(id, old, before, Change { attrs: attrs.clone(), delta, nested }, moved);
        if let Some(Undo(Before::Group { left, .. })) = &mut accepted.undo {
            *left = gone;
        }
        Ok(Tried::Done(accepted))
    }
}

/// Whether nobody changed the members between the look at the version and our own change: those who have no precondition
/// do not wait for the lock. Only who has one must know.
async fn alone(
    tx: &mut PgConnection,
    pre: &Precondition,
    deed: &Deed<'_>,
    id: Uuid,
    (old, attrs_changed, moved): (&Glance, bool, &[Moved]),
) -> Result<bool, StoreError> {
    let (Precondition::Versions(_), Some(before)) = (pre, old.version) else { return Ok(true) };
    let ours = i64::from(attrs_changed) + i64::from(moved.iter().any(|moved| moved.joined.is_some()));
    Ok(group::get(tx, deed.tenant_id, id).await?.is_some_and(|now| now.version == before + ours))
}

async fn glance(
    conn: &mut PgConnection,
    caller: &Caller,
    id: Uuid,
    joining: &[Uuid],
) -> Result<Option<Glance>, StoreError> {
    group::glance(conn, caller.tenant.id, id, joining).await
}

/// Turns what a request wants into a difference. Of the ids `asked` it is known already which are groups.
async fn resolve(
    conn: &mut PgConnection,
    caller: &Caller,
    id: Uuid,
    Wish { attrs, members }: Wish,
    (asked, groups): (&[Uuid], &[Uuid]),
) -> Result<Change, DirectoryError> {
    let tenant_id = caller.tenant.id;
    let delta = match members {
        Wanted::Known(delta) => delta,
        Wanted::Asking(mut changes) => {
            name_those_meant(conn, tenant_id, id, &mut changes).await?;
            members::fold(&changes)
        }
    };
    refuse_unknown(conn, caller, &delta).await?;
    let nested =
        if delta.add == asked { groups.to_vec() } else { group::groups_among(conn, tenant_id, &delta.add).await? };
    Ok(Change { attrs, delta, nested })
}

/// Where the tenant wants it so, ids that are nobody's are an error. Somebody who is deleted after this look is left
/// out, as if deleted a moment after having joined.
pub(super) async fn refuse_unknown(
    conn: &mut PgConnection,
    caller: &Caller,
    delta: &Delta,
) -> Result<(), DirectoryError> {
    if !caller.refuses_unknown_members {
        return Ok(());
    }
    const NAMED: usize = 10;
    let mut unknown = delta.odd.clone();
    if !delta.add.is_empty() {
        let missing = group::unknown_among(conn, caller.tenant.id, &delta.add).await?;
        unknown.extend(missing.iter().map(Uuid::to_string));
    }
    if unknown.is_empty() {
        return Ok(());
    }
    let more = match unknown.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    unknown.truncate(NAMED);
    let detail = format!("members: there is no user or group with the id {}{more}.", unknown.join(", "));
    Err(ScimError::invalid_value(detail).into())
}

/// Refuses groups that would close a circle. Only who puts groups into groups waits for others who do, and so cannot
/// close the other half at the same time.
async fn refuse_circle(
    tx: &mut PgConnection,
    tenant_id: Uuid,
    id: Uuid,
    nested: &[Uuid],
) -> Result<(), DirectoryError> {
    if nested.is_empty() {
        return Ok(());
    }
    group::lock_nesting(tx, tenant_id).await?;
    if group::reaches(tx, tenant_id, nested, id).await? {
        let detail = "members: a group cannot be a member of itself, directly or through other groups.";
        return Err(ScimError::invalid_value(detail).into());
    }
    refuse_depth(tx, tenant_id, id, nested).await
}

/// Groups in groups in groups: each read of a person's groups climbs all of it.
pub(super) async fn refuse_depth(
    tx: &mut PgConnection,
    tenant_id: Uuid,
    id: Uuid,
    nested: &[Uuid],
) -> Result<(), DirectoryError> {
    if nested.is_empty() || group::depth_through(tx, tenant_id, nested, id, DEEPEST).await? <= DEEPEST {
        return Ok(());
    }
    Err(ScimError::invalid_value(format!("members: groups may lie {DEEPEST} deep in one another, and no deeper."))
        .into())
}

/// So many groups may lie one in the other.
const DEEPEST: i32 = 20;

/// A filter of a PATCH path that is more than an id is asked of the members that are there.
async fn name_those_meant(
    conn: &mut PgConnection,
    tenant_id: Uuid,
    id: Uuid,
    changes: &mut [MemberChange],
) -> Result<(), StoreError> {
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

/// A member as a filter of a PATCH path sees it.
fn shown_member(member: &MemberRef) -> Value {
    serde_json::json!({
        "value": member.id.to_string(),
        "display": member.display.as_deref().map(crate::account::fold),
        "type": if member.is_group { "group" } else { "user" },
    })
}

pub(super) async fn write_attrs(
    conn: &mut PgConnection,
    caller: &Caller,
    id: Uuid,
    row_version: i64,
    attrs: &Attrs,
    moves: bool,
) -> Result<bool, DirectoryError> {
    let folded = scim::folded(caller.types.group, attrs);
    let document = Document { attrs, folded: &folded };
    let alias = moves.then(|| alias(caller, attrs));
    group::update(conn, caller.tenant.id, id, row_version, &document, alias)
        .await
        .on_constraint("scim_group_display_name_key", || taken(attrs))
        .map_err(|error| alias_taken(error, attrs))
}

fn accepted(
    id: Uuid,
    old: Glance,
    before: Option<(i64, Attrs)>,
    change: Change,
    moved: Vec<Moved>,
) -> Accepted<GroupView> {
    let joined: Vec<Uuid> =
        moved.iter().filter(|moved| moved.joined == Some(true)).map(|moved| moved.subject.id()).collect();
    let members_moved = moved.iter().any(|moved| moved.joined.is_some());
    let changed = before.is_some() || members_moved;
    let version = old.version.map(|version| version + i64::from(before.is_some()) + i64::from(members_moved));
    let undo = (before.is_some() || !joined.is_empty()).then_some(Undo(Before::Group {
        id,
        attrs: before,
        joined,
        left: Vec::new(),
    }));
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
