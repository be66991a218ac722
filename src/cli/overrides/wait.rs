//! Waits until the daemon has done what was pinned, and says what came of it.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::cli::Failure;
use crate::cli::desk::Desk;
use crate::store::link::{Pinned, StepState};
use crate::store::standing::{self, Standing};
use crate::store::tenant::{Mode, Tenant};

/// How often it is looked whether the daemon has done it.
const LOOK: Duration = Duration::from_millis(200);

/// It is not done yet.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in crate::cli) struct Pending(String);

/// Somebody for whom something was pinned, or is not any more.
pub(super) struct Waiting<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) user_id: Uuid,
    pub(super) name: &'a str,
    pub(super) what: Pinned,
    /// Of the override.
    pub(super) id: Uuid,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    Refused,
    Pending,
}

/// What is printed.
pub(super) struct Told {
    end: End,
    sentence: String,
    json: Value,
}

impl Told {
    pub(super) fn print(self, as_json: bool) -> Result<(), Failure> {
        if as_json {
            println!("{:#}", self.json);
        }
        match self.end {
            End::Done if as_json => Ok(()),
            End::Done => {
                println!("{}", self.sentence);
                Ok(())
            }
            End::Refused => Err(self.sentence.into()),
            End::Pending => Err(Box::new(Pending(self.sentence))),
        }
    }
}

impl Waiting<'_> {
    /// Until what was pinned has come about.
    pub(super) async fn wait(&self, desk: &Desk, longest: Duration) -> Result<Told, Failure> {
        self.waited(desk, longest, |standing| judge(&self.what, standing)).await
    }

    /// Until the identity provider's own wish has.
    pub(super) async fn wait_until_settled(&self, desk: &Desk, longest: Duration) -> Result<Told, Failure> {
        self.waited(desk, longest, |standing| {
            (!standing.open).then(|| (End::Done, "as the identity provider says".into()))
        })
        .await
    }

    async fn waited(
        &self,
        desk: &Desk,
        longest: Duration,
        judge: impl Fn(&Standing) -> Option<(End, String)>,
    ) -> Result<Told, Failure> {
        if self.tenant.mode == Mode::Observe {
            return Ok(self.told(End::Pending, "it is written when the tenant enforces; it only observes"));
        }
        let key = match &self.what {
            Pinned::Member { key, .. } => Some(key.as_str()),
            Pinned::Active | Pinned::Inactive => None,
        };
        let until = tokio::time::Instant::now() + longest;
        loop {
            let mut conn = desk.store.pool().acquire().await?;
            let standing = standing::of_user(&mut conn, self.tenant.id, self.user_id, key).await?;
            drop(conn);
            if let Some((end, how)) = judge(&standing) {
                return Ok(self.told(end, &how));
            }
            if tokio::time::Instant::now() >= until {
                return Ok(self.told(End::Pending, &why_pending(&standing)));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn told(&self, end: End, how: &str) -> Told {
        let word = match end {
            End::Done => "done",
            End::Refused => "refused",
            End::Pending => "pending",
        };
        let sentence = format!("{}: {}: {how}", self.tenant.slug, self.name);
        let json = json!({
            "tenant": self.tenant.slug, "user": self.user_id, "override": self.id, "outcome": word, "detail": how,
        });
        Told { end, sentence, json }
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
        (None, None) => "not yet: nobody has done it so far; is the daemon running?".to_owned(),
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
