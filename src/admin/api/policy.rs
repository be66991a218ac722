//! `/tenants/{slug}/policy`: the rules: read, checked, tried on somebody, counted, written.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::admin::AdminState;
use crate::admin::answer::{Outcome, ok};
use crate::admin::call::Call;
use crate::admin::jobs;
use crate::admin::refusal::{Refusal, sentence};
use crate::config::line_of;
use crate::policy::Policy;
use crate::policy::example;
use crate::store::people;
use crate::store::tenant::{self, Mode, Tenant, TenantChange};
use crate::writer::forecast::{Asked, ForecastError, Taken, Told, taken_by_change};

use super::json_lines;

/// How long a write counts what it takes away.
const PATIENCE: Duration = Duration::from_secs(15);
/// Groups of a user that a preview looks at.
const GROUPS: i64 = 1000;

/// A policy as somebody gives it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    #[serde(default)]
    policy: Option<Map<String, Value>>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    format: Option<Format>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Write {
    #[serde(default)]
    policy: Option<Map<String, Value>>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    format: Option<Format>,
    #[serde(default)]
    yes: bool,
    #[serde(default)]
    version: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    Json,
    Toml,
}

/// One thing that is wrong.
fn problem(key: &str, message: &str, line: Option<usize>) -> Value {
    json!({ "key": key, "message": message, "line": line })
}

/// A policy as a document, and the text that it came in, where it came as text.
type Read<'a> = (Value, Option<(&'a str, Format)>);

impl Source {
    /// The policy as a document, with the text that it came in.
    fn read(&self) -> Result<Read<'_>, Refusal> {
        match (&self.policy, &self.text) {
            (Some(policy), None) => Ok((Value::Object(policy.clone()), None)),
            (None, Some(text)) => {
                let format = self.format.unwrap_or(Format::Json);
                Ok((parsed(text, format)?, Some((text, format))))
            }
            _ => Err(Refusal::value("text", "Exactly one of policy and text must be given.")),
        }
    }
}

/// The document that a text is.
fn parsed(text: &str, format: Format) -> Result<Value, Refusal> {
    let (line, message) = match format {
        Format::Json => match serde_json::from_str::<Value>(text) {
            Ok(value) if value.is_object() => return Ok(value),
            Ok(_) => (1, "must be an object".to_owned()),
            Err(error) => (error.line(), format!("not JSON: column {}", error.column())),
        },
        Format::Toml => match toml::from_str::<Value>(text) {
            Ok(value) => return Ok(value),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start).min(text.len());
                (text[..at].matches('\n').count() + 1, format!("not TOML: {}", error.message()))
            }
        },
    };
    Err(invalid(vec![problem("policy", &message, Some(line))]))
}

fn invalid(problems: Vec<Value>) -> Refusal {
    let message = match problems.len() {
        1 => "One thing is wrong with the policy.".to_owned(),
        many => format!("{many} things are wrong with the policy."),
    };
    Refusal::unprocessable("invalid-policy", message).at("policy").with("problems", json!(problems))
}

/// What is wrong with a policy at a target, with the lines of its text.
fn problems(state: &AdminState, policy: &Value, text: Option<(&str, Format)>, target: &str) -> Vec<Value> {
    let found = match Policy::from_value(policy) {
        Err(problems) => problems,
        Ok(understood) => understood.problems_on(&state.writer.ground(target)),
    };
    found
        .iter()
        .map(|one| {
            let (key, message) = one.split_once(": ").unwrap_or(("policy", one));
            let path = key.trim_start_matches("policy").trim_start_matches('.').replace('[', ".").replace(']', "");
            let line = text.and_then(|(text, format)| match format {
                Format::Json => json_lines::line_of(text, &path),
                Format::Toml => line_of(text, &path),
            });
            problem(key, message, line)
        })
        .collect()
}

/// The policy, understood.
pub(super) fn read_policy(
    state: &AdminState,
    policy: &Value,
    text: Option<(&str, Format)>,
    target: &str,
) -> Result<Policy, Refusal> {
    let problems = problems(state, policy, text, target);
    match Policy::from_value(policy) {
        Ok(understood) if problems.is_empty() => Ok(understood),
        _ => Err(invalid(problems)),
    }
}

/// Fails where a change of rules would take away more than the brake lets through.
pub(super) async fn must_be_little(call: &Call, tenant: &Tenant, change: &TenantChange) -> Result<(), Refusal> {
    if change.policy.is_none() && change.mode.is_none() {
        return Ok(());
    }
    let policy = read_policy(&call.state, change.policy.as_ref().unwrap_or(&tenant.policy), None, &tenant.target)?;
    let mode = change.mode.unwrap_or(tenant.mode);
    let ground = call.state.writer.ground(&tenant.target);
    let counting = taken_by_change(&call.state.store, tenant, ground, Arc::new(policy), mode);
    let Ok(taken) = tokio::time::timeout(PATIENCE, counting).await else {
        let message = "There are too many users to count at once what this takes away: count with policy/plan, and repeat \
                       with yes.";
        return Err(Refusal::conflict("not-counted", message));
    };
    let taken = taken?;
    if taken.is_too_much() {
        let message = format!("This would {}; nothing is changed. Repeat with yes.", taken.sentence());
        return Err(Refusal::conflict("takes-too-much", message).with("taken", told(&taken)));
    }
    Ok(())
}

fn told(taken: &Taken) -> Value {
    let mut value = json!(taken);
    value["too_much"] = json!(taken.is_too_much());
    value["sentence"] = json!(taken.sentence());
    value
}

impl From<ForecastError> for Refusal {
    fn from(error: ForecastError) -> Self {
        let message = sentence(&error);
        match error {
            ForecastError::NoTarget(_) => Self::conflict("target-not-configured", message),
            ForecastError::NoAnswer(_) | ForecastError::Target(_) => Self::unavailable("target-unavailable", message),
            ForecastError::Policy(_) => Self::conflict("policy-not-understood", message),
            ForecastError::Store(error) => error.into(),
            ForecastError::Output(_) => Self::internal(),
        }
    }
}

fn described(tenant: &Tenant) -> Result<Value, Refusal> {
    let effective = Policy::from_value(&tenant.policy).map_err(|problems| {
        Refusal::conflict("policy-not-understood", format!("The policy is not understood: {}", problems.join(" ")))
    })?;
    Ok(json!({
        "policy": tenant.policy, "toml": in_toml(&tenant.policy), "effective": effective,
        "version": tenant.policy_version, "declared": tenant.declared,
    }))
}

/// The same as TOML; none where there is a null in it, which TOML has not.
fn in_toml(policy: &Value) -> Option<String> {
    toml::to_string_pretty(policy).ok()
}

pub(crate) async fn get(call: &Call) -> Outcome {
    ok(&described(&call.tenant().await?)?)
}

pub(crate) async fn put(call: &Call) -> Outcome {
    let Write { policy, text, format, yes, version } = call.body()?;
    let source = Source { policy, text, format };
    let (policy, text) = source.read()?;
    let tenant = call.tenant().await?;
    read_policy(&call.state, &policy, text, &tenant.target)?;
    let change = TenantChange { policy: Some(policy), if_version: version, ..TenantChange::default() };
    if !yes {
        must_be_little(call, &tenant, &change).await?;
    }
    let mut conn = call.conn().await?;
    let after = tenant::update(&mut conn, &tenant.slug, &change, call.origin()).await?;
    call.state.writer.wake(&after.target);
    ok(&described(&after)?)
}

pub(crate) async fn validate(call: &Call) -> Outcome {
    let source: Source = call.body()?;
    let tenant = call.tenant().await?;
    let (policy, text) = match source.read() {
        Ok(read) => read,
        Err(refusal) if refusal.code == "invalid-policy" => {
            let problems = refusal.detail("problems");
            return ok(&json!({ "valid": false, "problems": problems, "policy": null, "toml": null }));
        }
        Err(refusal) => return Err(refusal),
    };
    let problems = problems(&call.state, &policy, text, &tenant.target);
    let understood = problems.is_empty().then_some(policy);
    let toml = understood.as_ref().and_then(in_toml);
    ok(&json!({ "valid": problems.is_empty(), "problems": problems, "policy": understood, "toml": toml }))
}

pub(crate) async fn plan(call: &Call) -> Outcome {
    let source: Source = call.body()?;
    let tenant = call.tenant().await?;
    let mode = call.word("mode", &[("observe", Mode::Observe), ("enforce", Mode::Enforce)])?.unwrap_or(tenant.mode);
    let (policy, text) = source.read()?;
    let policy = Arc::new(read_policy(&call.state, &policy, text, &tenant.target)?);
    let state = Arc::clone(&call.state);
    jobs::run(call, "policy-plan", &tenant.slug.clone(), |_| async move {
        let ground = state.writer.ground(&tenant.target);
        Ok(told(&taken_by_change(&state.store, &tenant, ground, policy, mode).await?))
    })
    .await
}

pub(crate) async fn preview(call: &Call) -> Outcome {
    let source: Source = call.body()?;
    let tenant = call.tenant().await?;
    let (policy, text) = source.read()?;
    let policy = read_policy(&call.state, &policy, text, &tenant.target)?;
    let named = call.text("user")?.ok_or_else(|| Refusal::parameter("user", "user is missing."))?;
    let id = call.user(&tenant, "user", named).await?;
    let gone = || Refusal::missing("no-such-user", "This user is deleted.").at("user");
    let mut conn = call.conn().await?;
    let listed = people::listed(&mut conn, tenant.id, id).await?.ok_or_else(gone)?;
    let user = people::user(&mut conn, tenant.id, id).await?.ok_or_else(gone)?;
    let groups = people::groups_of(&mut conn, tenant.id, id, GROUPS).await?;
    drop(conn);
    let groups: Vec<String> = groups.into_iter().map(|group| group.display_name).collect();
    let attrs = user.attrs.as_object().cloned().unwrap_or_default();
    let ground = call.state.writer.ground(&tenant.target);
    let outcome = example::Outcome::of(&attrs, &groups, &policy, &ground);
    let (mut lines, asked) =
        (Vec::new(), Asked { users: Some(vec![id]), policy: Some(Arc::new(policy)), groups: None });
    let mut teller = |told: Told<'_>| {
        if let Told::Line(line) = told {
            lines.push(line.clone());
        }
        Ok(())
    };
    let unasked = match call.state.writer.forecast(&tenant, &asked, &mut teller).await {
        Ok(_) => None,
        Err(ForecastError::Store(error)) => return Err(error.into()),
        Err(error) => Some(sentence(&error)),
    };
    let account = &outcome.account;
    ok(&json!({
        "user": listed,
        "account": {
            "username": account.username, "email": account.email, "display_name": account.display_name,
            "active": account.active, "fields": account.extra,
        },
        "groups": outcome.groups, "scim_groups": groups, "refused": outcome.refused,
        "lines": unasked.is_none().then_some(lines), "unasked": unasked,
    }))
}
