//! The brake and the deletion of a Jira group: one step that takes away as many memberships as there are on record.

use super::{Asker, ask, held};
use crate::store::StoreError;
use crate::store::brake::{self, BrakeClass, Wanted, Whose};
use crate::store::drive;
use crate::store::link::JiraGroup;
use crate::writer::Inner;
use crate::writer::claim::Structure;

/// The state's fingerprint: nothing else that is done about a Jira group has it.
const FINGERPRINT: &str = "delete group";

/// What the brake says of the deletion of a Jira group.
pub(crate) enum GroupVerdict {
    /// It may be deleted.
    Through,
    /// Not now, for this reason.
    Held(String),
    /// Somebody gave it up: it stays, and its members leave one by one, each of them under the brake.
    GivenUp,
}

impl Inner {
    /// Asks for the deletion of a Jira group, and puts on record what came of it.
    pub(crate) async fn may_delete(
        &self,
        work: &Structure,
        key: &str,
        group: &JiraGroup,
    ) -> Result<GroupVerdict, StoreError> {
        let tenant_id = work.lease.tenant_id;
        let whose = Whose::Group(key.to_owned());
        let mut tx = self.store.pool().begin().await?;
        if brake::verdicts(&mut tx, tenant_id, &whose).await?.iter().any(|verdict| verdict.dropped) {
            brake::forget_drops(&mut tx, tenant_id, &whose).await?;
            save(&mut tx, tenant_id, key, JiraGroup { step: None, ..group.clone() }).await?;
            tx.commit().await?;
            return Ok(GroupVerdict::GivenUp);
        }
        let weight = drive::members_on_record(&mut tx, tenant_id, key).await?;
        let wanted = Wanted { class: BrakeClass::Memberships, place: "group".to_owned(), weight, gone: false };
        let asker = Asker { id: tenant_id, slug: &work.tenant };
        let asked = ask(&mut tx, &work.rules.policy.brake, asker, &whose, &[wanted]).await?;
        let at = asked.at.unwrap_or(work.rules.now);
        let reason = asked.held.into_iter().flatten().next();
        if let Some(reason) = &reason {
            // Held again by its next drive, it is held since the first.
            let since = group.step.as_ref().filter(|step| step.brake).map_or(at, |step| step.since);
            let step = Some(held(FINGERPRINT.to_owned(), reason.clone(), since));
            save(&mut tx, tenant_id, key, JiraGroup { step, ..group.clone() }).await?;
        }
        tx.commit().await?;
        if let Some(trip) = &asked.tripped {
            self.tell_trip(&work.tenant, trip);
        }
        let Some(reason) = reason else { return Ok(GroupVerdict::Through) };
        self.metrics.brake_held(&work.tenant, BrakeClass::Memberships.as_str());
        Ok(GroupVerdict::Held(reason))
    }

    /// The deletion of a Jira group is done, or not wanted any more: it is not held.
    pub(crate) async fn no_longer_held(&self, work: &Structure, key: &str) -> Result<(), StoreError> {
        let tenant_id = work.lease.tenant_id;
        let mut conn = self.store.pool().acquire().await?;
        let Some(group) = drive::jira_group(&mut conn, tenant_id, key).await? else { return Ok(()) };
        if group.step.as_ref().is_some_and(|step| step.fingerprint == FINGERPRINT) {
            save(&mut conn, tenant_id, key, JiraGroup { step: None, ..group }).await?;
        }
        Ok(())
    }
}

async fn save(
    conn: &mut sqlx::PgConnection,
    tenant_id: uuid::Uuid,
    key: &str,
    group: JiraGroup,
) -> Result<(), StoreError> {
    drive::save_groups(conn, tenant_id, &std::collections::BTreeMap::from([(key.to_owned(), group)])).await
}
