//! Waits until the daemon has done what was pinned, and says what came of it.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::cli::Failure;
use crate::cli::desk::Desk;
use crate::store::link::Pinned;
use crate::store::tenant::Tenant;
use crate::writer::pinned::{End, Stands, until_done, until_settled};

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
        Ok(self.told(until_done(&desk.store, self.tenant, self.user_id, &self.what, longest).await?))
    }

    /// Until the identity provider's own wish has.
    pub(super) async fn wait_until_settled(&self, desk: &Desk, longest: Duration) -> Result<Told, Failure> {
        Ok(self.told(until_settled(&desk.store, self.tenant, self.user_id, longest).await?))
    }

    fn told(&self, Stands { end, detail }: Stands) -> Told {
        let sentence = format!("{}: {}: {detail}", self.tenant.slug, self.name);
        let json = json!({
            "tenant": self.tenant.slug, "user": self.user_id, "override": self.id, "outcome": end.as_str(),
            "detail": detail,
        });
        Told { end, sentence, json }
    }
}
