//! Two ways out. A reset forgets what is on record of a tenant's target: users and groups become tombstones, nobody goes into
//! the outbox, and a fresh import finds the same ids again. A purge takes back what came from here: the same tombstones, as
//! of people who never came, and the writer does the rest when it drives the tenant: first the Jira groups that were made from
//! here, then the people, under the rules that hold for everything it writes.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::Inner;
use super::runs::{Held, RunError};
use crate::policy::{OnDelete, Policy};
use crate::store::outbox::{self, NudgeAs};
use crate::store::removal::{Names, Sizes};
use crate::store::tenant::Mode;
use crate::store::{StoreError, brake, drive, import, removal, run};

const USERS: &str = "users";
const GROUPS: &str = "groups";
const REST: &str = "rest";
/// Users or groups of one transaction.
const PAGE: i64 = 1000;
/// How often a page is tried again that the database aborted as a deadlock.
const TRIES: usize = 8;

/// What a removal came to so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Users that became tombstones.
    pub users: u64,
    /// Groups that became tombstones.
    pub groups: u64,
    /// Jira groups that a purge asks to be deleted.
    #[serde(default, skip_serializing_if = "is_none")]
    pub jira_groups: u64,
    /// What was pinned by hand, and ended with a purge.
    #[serde(default, skip_serializing_if = "is_none")]
    pub overrides: u64,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

/// What a purge was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PurgeOptions {
    /// The brake lets all of it through, and does not count it.
    pub past_the_brake: bool,
}

/// How many there are of what a purge does, and what it does.
pub fn sentence(what: Names, sizes: Sizes, policy: &Policy) -> (i64, &'static str) {
    match (what, policy.deprovision.on_delete) {
        (Names::Made, OnDelete::Deactivate) => (sizes.made, "accounts that were made from here are deactivated"),
        (Names::Made, OnDelete::Delete) => (sizes.made, "accounts that were made from here are deleted"),
        (Names::Found, _) => (sizes.found, "accounts that were there before are left as they were found"),
        (Names::Memberships, _) => (sizes.memberships, "memberships that were given from here are taken back"),
        (Names::Access, _) => {
            (sizes.access, "accesses that accounts which were there before got from here are taken back")
        }
        (Names::Groups, _) => {
            (sizes.groups, "Jira groups that were made from here are deleted where nobody else's stand for them")
        }
    }
}

/// Where a removal is: behind this user or group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    after: Uuid,
}

/// Which of the two.
#[derive(Clone, Copy)]
enum Way {
    Reset,
    Purge(PurgeOptions),
}

/// Forgets what is on record of the target.
pub(super) async fn reset(inner: &Inner, held: &Held) -> Result<(), RunError> {
    remove(inner, held, Way::Reset).await
}

/// Takes back what came from here.
pub(super) async fn purge(inner: &Inner, held: &Held) -> Result<(), RunError> {
    let options: PurgeOptions = held.options()?;
    if held.tenant.mode == Mode::Observe {
        return Err(RunError::Failed("the tenant only observes: nothing would be written".to_owned()));
    }
    if options.past_the_brake {
        let mut tx = held.begin(inner).await?;
        brake::lock(&mut tx, held.tenant.id).await?;
        removal::pass_groups(&mut tx, held.tenant.id).await?;
        tx.commit().await?;
    }
    remove(inner, held, Way::Purge(options)).await?;
    for runtime in inner.targets.values() {
        runtime.wake.notify_one();
    }
    Ok(())
}

async fn remove(inner: &Inner, held: &Held, way: Way) -> Result<(), RunError> {
    let (mut place, mut counters): (Place, Counters) = held.place()?;
    let mut tx = held.begin(inner).await?;
    run::begin_import_anew(&mut tx, held.tenant.id).await?;
    tx.commit().await?;
    let begun = held.run.stage.as_str();
    let stages = [USERS, GROUPS, REST];
    let first = stages.iter().position(|stage| *stage == begun).unwrap_or_default();
    for stage in &stages[first..] {
        let mut tries = 0;
        loop {
            match page(inner, held, way, stage, place, counters).await {
                Ok(Some((next, so_far))) => (place, counters, tries) = (next, so_far, 0),
                Ok(None) => break,
                Err(RunError::Store(error)) if error.is_transient() && tries < TRIES => tries += 1,
                Err(error) => return Err(error),
            }
        }
        place = Place::default();
    }
    Ok(())
}

/// One page of a stage; nothing at its end.
async fn page(
    inner: &Inner,
    held: &Held,
    way: Way,
    stage: &str,
    place: Place,
    counters: Counters,
) -> Result<Option<(Place, Counters)>, RunError> {
    let tenant_id = held.tenant.id;
    let mut tx = held.begin(inner).await?;
    let mut so_far = counters;
    let last = match stage {
        USERS => {
            let users = drive::users_of_tenant(&mut tx, tenant_id, place.after, PAGE).await?;
            so_far.users += users_out(&mut tx, held, way, &users).await?;
            users.last().copied()
        }
        GROUPS => {
            let groups = removal::next_groups(&mut tx, tenant_id, place.after, PAGE).await?;
            so_far.groups += groups_out(&mut tx, held, way, &groups).await?;
            groups.last().copied()
        }
        _ => match way {
            Way::Reset if removal::forget_jira_groups(&mut tx, tenant_id, PAGE).await? > 0 => Some(Uuid::nil()),
            Way::Purge(_) if place.after.is_nil() => {
                so_far.overrides = removal::lift_overrides(&mut tx, tenant_id).await?;
                so_far.jira_groups = removal::ask_for_groups(&mut tx, tenant_id).await?;
                let how = NudgeAs { fan_out: true, request_id: Some(held.run.request_id), ..NudgeAs::BULK };
                outbox::nudge(&mut tx, tenant_id, "tenant", &[tenant_id], how).await?;
                // Once.
                Some(tenant_id)
            }
            Way::Reset | Way::Purge(_) => None,
        },
    };
    let Some(after) = last else { return Ok(None) };
    if so_far != counters {
        let run = &held.run;
        let body = json!({ "run": run.id, "kind": run.kind, "stage": stage, "so_far": so_far });
        import::note(&mut tx, tenant_id, run.request_id, &run.actor, &body).await?;
    }
    held.commit(tx, stage, &Place { after }, &so_far).await?;
    Ok(Some((Place { after }, so_far)))
}

async fn users_out(conn: &mut PgConnection, held: &Held, way: Way, users: &[Uuid]) -> Result<u64, StoreError> {
    let tenant_id = held.tenant.id;
    match way {
        Way::Reset => {
            let buried = removal::bury_users(conn, tenant_id, users).await?;
            removal::forget_users(conn, tenant_id, users).await?;
            Ok(buried.len() as u64)
        }
        Way::Purge(options) => {
            let (buried, lived) = removal::purge_users(conn, tenant_id, users, options.past_the_brake).await?;
            if options.past_the_brake {
                brake::lock(conn, tenant_id).await?;
                removal::pass_users(conn, tenant_id, &buried).await?;
            }
            Ok(lived)
        }
    }
}

async fn groups_out(conn: &mut PgConnection, held: &Held, way: Way, groups: &[Uuid]) -> Result<u64, StoreError> {
    let tenant_id = held.tenant.id;
    let buried = removal::bury_groups(conn, tenant_id, groups).await?;
    if matches!(way, Way::Reset) {
        removal::forget_groups(conn, tenant_id, groups).await?;
    }
    Ok(buried.len() as u64)
}
