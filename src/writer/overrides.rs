//! What an administrator pins by hand: a person active or not, or in a Jira group, until a time. One transaction each: the
//! override, its audit row, and the nudge of the subject. The planner does the rest; no call is made here.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::store::brake::{self, BrakeClass, Decision, Held};
use crate::store::by_hand::{Noted, note};
use crate::store::link::Pinned;
use crate::store::outbox::{self, NudgeAs};
use crate::store::overrides::{self, New};
use crate::store::tenant::{Origin, Tenant};
use crate::store::{Store, StoreError};

/// What is to be pinned.
#[derive(Clone, Debug)]
pub struct Pin<'a> {
    /// The user.
    pub user_id: Uuid,
    /// What.
    pub what: &'a Pinned,
    /// Until when; `None` only for [`Pinned::Inactive`]: until the identity provider itself switches the person off.
    pub until: Option<DateTime<Utc>>,
    /// Why, for people.
    pub reason: &'a str,
    /// An emergency: the tenant's brake does not hold it.
    pub past_the_brake: bool,
}

/// Pins something, and has it written now. What the same person had pinned of the same kind ends.
///
/// # Errors
/// The store's.
pub async fn pin(store: &Store, tenant: &Tenant, origin: Origin<'_>, pin: &Pin<'_>) -> Result<Uuid, StoreError> {
    let mut tx = store.pool().begin().await?;
    nudge(&mut tx, tenant, origin, pin.user_id).await?;
    if pin.past_the_brake {
        brake::lock(&mut tx, tenant.id).await?;
        let pass = Held {
            kind: "user".to_owned(),
            id: Some(pin.user_id),
            subject: pin.user_id.to_string(),
            name: None,
            step: "active".to_owned(),
            place: "account".to_owned(),
            class: BrakeClass::Accounts,
            since: origin.at,
        };
        brake::decide(&mut tx, tenant.id, Decision::Pass, &[pass]).await?;
    }
    let new = New { user_id: pin.user_id, what: pin.what, until: pin.until, reason: pin.reason, actor: origin.actor };
    let id = overrides::add(&mut tx, tenant.id, &new).await?;
    let body = json!({ "override": id, "what": pin.what, "until": pin.until, "reason": pin.reason });
    let action = if pin.past_the_brake { "user.deactivate_now" } else { "override.add" };
    write_down(&mut tx, tenant, origin, action, pin.user_id, &body).await?;
    tx.commit().await?;
    Ok(id)
}

/// Ends an override before its time, and has the user written now. `None`: there is none of that id in force.
///
/// # Errors
/// The store's.
pub async fn lift(store: &Store, tenant: &Tenant, origin: Origin<'_>, id: Uuid) -> Result<Option<Uuid>, StoreError> {
    let mut conn = store.pool().acquire().await?;
    let Some(user_id) = overrides::user_of(&mut conn, tenant.id, id).await? else { return Ok(None) };
    drop(conn);
    // The outbox row first: it is the lock of its subject.
    let mut tx = store.pool().begin().await?;
    nudge(&mut tx, tenant, origin, user_id).await?;
    let Some(user_id) = overrides::lift(&mut tx, tenant.id, id).await? else { return Ok(None) };
    write_down(&mut tx, tenant, origin, "override.lift", user_id, &json!({ "override": id })).await?;
    tx.commit().await?;
    Ok(Some(user_id))
}

async fn nudge(conn: &mut PgConnection, tenant: &Tenant, origin: Origin<'_>, user_id: Uuid) -> Result<(), StoreError> {
    let how = NudgeAs { priority: 0, request_id: Some(origin.request_id), ..NudgeAs::BULK };
    outbox::nudge(conn, tenant.id, "user", &[user_id], how).await?;
    Ok(())
}

async fn write_down(
    conn: &mut PgConnection,
    tenant: &Tenant,
    origin: Origin<'_>,
    action: &str,
    user_id: Uuid,
    body: &Value,
) -> Result<(), StoreError> {
    let noted = Noted {
        tenant_id: tenant.id,
        request_id: origin.request_id,
        actor: origin.actor,
        action,
        kind: "user",
        subject_id: user_id,
        body,
    };
    note(conn, noted).await
}
