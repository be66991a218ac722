//! `/tenants/{slug}/explain`: why somebody is as he is in Jira, and why he is in a group or not.

use crate::admin::answer::{Outcome, ok};
use crate::admin::call::{Call, checked_name};
use crate::admin::refusal::{Refusal, sentence};
use crate::explain::{self, ExplainError};

/// A parameter that has to be there.
fn named<'a>(call: &'a Call, name: &str) -> Result<&'a str, Refusal> {
    let missing = || Refusal::parameter(name, format!("{name} is missing."));
    let text = call.text(name)?.ok_or_else(missing)?;
    checked_name(name, text).map_err(|_| Refusal::parameter(name, format!("{name} must be a name or an id.")))
}

pub(crate) async fn user(call: &Call) -> Outcome {
    let name = named(call, "user")?;
    let tenant = call.tenant().await?;
    ok(&explain::user(&call.state.writer, &tenant, name).await?)
}

pub(crate) async fn membership(call: &Call) -> Outcome {
    let (name, group) = (named(call, "user")?, named(call, "group")?);
    let tenant = call.tenant().await?;
    ok(&explain::membership(&call.state.writer, &tenant, name, group).await?)
}

impl From<ExplainError> for Refusal {
    fn from(error: ExplainError) -> Self {
        let message = sentence(&error);
        match error {
            ExplainError::NoUser { .. } => Self::missing("no-such-user", message).at("user"),
            ExplainError::Ambiguous { .. } => Self::conflict("several-users", message).at("user"),
            ExplainError::Plan(error) => error.into(),
            ExplainError::Store(error) => error.into(),
        }
    }
}
