//! Whether what was pinned by hand has come about: looked at again and again until it has, or cannot, or nobody waits any longer.

use std::time::Duration;

use uuid::Uuid;

use crate::store::link::{Pinned, StepState};
use crate::store::standing::{self, Standing};
use crate::store::tenant::{Mode, Tenant};
use crate::store::{Store, StoreError};

/// How often it is looked whether the daemon has done it.
const LOOK: Duration = Duration::from_millis(200);

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// It came about.
    Done,
    /// It cannot.
    Refused,
    /// It may still.
    Pending,
}

impl End {
    /// In one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Pending => "pending",
        }
    }
}

/// How it stands, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stands {
    /// See [`End`].
    pub end: End,
    /// For people.
    pub detail: String,
}

/// Waits until what was pinned has come about, at most so long.
///
/// # Errors
/// The store's.
pub async fn until_done(
    store: &Store,
    tenant: &Tenant,
    user_id: Uuid,
    what: &Pinned,
    longest: Duration,
) -> Result<Stands, StoreError> {
    let key = match what {
        Pinned::Member { key, .. } => Some(key.as_str()),
        Pinned::Active | Pinned::Inactive => None,
    };
    waited(store, tenant, user_id, key, longest, |standing| judge(what, standing)).await
}

/// Waits until the identity provider's own wish has come about, after something pinned has ended.
///
/// # Errors
/// The store's.
pub async fn until_settled(
    store: &Store,
    tenant: &Tenant,
    user_id: Uuid,
    longest: Duration,
) -> Result<Stands, StoreError> {
    let settled = |standing: &Standing| (!standing.open).then(|| (End::Done, "as the identity provider says".into()));
    waited(store, tenant, user_id, None, longest, settled).await
}

async fn waited(
    store: &Store,
    tenant: &Tenant,
    user_id: Uuid,
    key: Option<&str>,
    longest: Duration,
    judge: impl Fn(&Standing) -> Option<(End, String)>,
) -> Result<Stands, StoreError> {
    if tenant.mode == Mode::Observe {
        let detail = "it is written when the tenant enforces; it only observes".to_owned();
        return Ok(Stands { end: End::Pending, detail });
    }
    let until = tokio::time::Instant::now() + longest;
    loop {
        let mut conn = store.pool().acquire().await?;
        let standing = standing::of_user(&mut conn, tenant.id, user_id, key).await?;
        drop(conn);
        if let Some((end, detail)) = judge(&standing) {
            return Ok(Stands { end, detail });
        }
        if tokio::time::Instant::now() >= until {
            return Ok(Stands { end: End::Pending, detail: why_pending(&standing) });
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether it came about, or cannot; nothing while it may still do so.
fn judge(what: &Pinned, standing: &Standing) -> Option<(End, String)> {
    let refused = |step: Option<&StepState>| step.map(|state| (End::Refused, state.reason.clone()));
    let sure = !standing.doubtful && !standing.open;
    let account = ["active", "write", "delete"].iter().find_map(|step| standing.steps.get(*step));
    match (what, standing.active) {
        (Pinned::Inactive, Some(false)) if !standing.doubtful => {
            Some((End::Done, "is switched off in Jira".to_owned()))
        }
        (Pinned::Inactive, None) if sure => Some((End::Done, "has no account in Jira".to_owned())),
        (Pinned::Active, Some(true)) if !standing.doubtful => Some((End::Done, "may log in to Jira".to_owned())),
        (Pinned::Member { name, .. }, _) if standing.member => {
            Some((End::Done, format!("is in the Jira group {name}")))
        }
        (Pinned::Member { .. }, _) if sure => {
            let nothing = || Some((End::Refused, "there is nobody in Jira to be put into it".to_owned()));
            refused(standing.member_step.as_ref().or(account)).or_else(nothing)
        }
        _ if sure => {
            let unknown = || Some((End::Refused, "nothing was written, and nothing says why".to_owned()));
            refused(account).or_else(unknown)
        }
        _ => None,
    }
}

fn why_pending(standing: &Standing) -> String {
    match (&standing.paused, &standing.error) {
        (Some(why), _) => format!("not yet: the target is paused ({why})"),
        (None, Some(error)) => format!("not yet: {error}"),
        (None, None) => "not yet: it waits for its turn, or no daemon runs".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_done_only_when_the_record_says_so_without_doubt() {
        let standing = |open, active, doubtful| Standing { open, active, doubtful, ..Standing::default() };
        let end = |what: &Pinned, standing: Standing| judge(what, &standing).map(|(end, _)| end);
        assert_eq!(end(&Pinned::Inactive, standing(true, Some(true), false)), None);
        assert_eq!(end(&Pinned::Inactive, standing(true, Some(false), true)), None);
        assert_eq!(end(&Pinned::Inactive, standing(false, Some(false), false)), Some(End::Done));
        assert_eq!(end(&Pinned::Inactive, standing(false, None, false)), Some(End::Done));
        assert_eq!(end(&Pinned::Inactive, standing(false, Some(true), false)), Some(End::Refused));
        assert_eq!(end(&Pinned::Active, standing(false, Some(true), false)), Some(End::Done));
        let member = Pinned::Member { key: "crew".to_owned(), name: "Crew".to_owned() };
        assert_eq!(end(&member, standing(false, Some(true), false)), Some(End::Refused));
        assert_eq!(end(&member, Standing { member: true, ..Standing::default() }), Some(End::Done));
    }
}
