//! `/tenants`: one identity provider's configuration each.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::overview;
use super::policy::{must_be_little, read_policy};
use super::tokens::{self, TokenRequest};
use crate::admin::AdminState;
use crate::admin::answer::{Outcome, made, ok, page};
use crate::admin::call::{Call, place, shown};
use crate::admin::refusal::Refusal;
use crate::config::is_slug;
use crate::store::list::{self, Of, Wanted};
use crate::store::tenant::{self, Mode, NewTenant, Tenant, TenantChange};

/// The identity providers that somebody can say they have.
#[derive(Clone, Copy, Deserialize, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
enum Provider {
    Okta,
    OktaOnPremises,
    Entra,
    #[serde(rename = "onelogin")]
    OneLogin,
    Google,
    Ping,
    #[serde(rename = "jumpcloud")]
    JumpCloud,
    OneIdentity,
    Other,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewOne {
    slug: String,
    target: String,
    #[serde(default)]
    mode: Option<Mode>,
    #[serde(default)]
    policy: Option<Map<String, Value>>,
    #[serde(default)]
    idp: Option<Provider>,
    #[serde(default)]
    token: Option<TokenRequest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    #[serde(default)]
    target: Option<String>,
    #[serde(default)]
    mode: Option<Mode>,
    #[serde(default)]
    policy: Option<Map<String, Value>>,
    #[serde(default)]
    yes: bool,
}

/// A tenant as it is answered.
pub(super) fn described(state: &AdminState, tenant: &Tenant) -> Value {
    let mut value = json!(tenant);
    let base = format!("{}/scim/{}", state.options.base_url, tenant.slug);
    value["urls"] = json!({ "scim2": format!("{base}/v2"), "scim1": format!("{base}/v1") });
    value
}

pub(crate) async fn list(call: &Call) -> Outcome {
    let (after, limit) = (call.cursor::<String>()?.unwrap_or_default(), call.limit()?);
    let limit = usize::try_from(limit).unwrap_or(1);
    let tenants = tenant::list(call.state.store.pool()).await?;
    let behind: Vec<&Tenant> = tenants.iter().filter(|tenant| tenant.slug > after).collect();
    let items: Vec<Value> = behind.iter().take(limit).map(|tenant| described(&call.state, tenant)).collect();
    let next = behind.get(limit).and_then(|_| place(&behind[limit - 1].slug));
    page(&items, next)
}

pub(crate) async fn create(call: &Call) -> Outcome {
    let NewOne { slug, target, mode, policy, idp, token } = call.body()?;
    if !is_slug(&slug) {
        let rule = "slug: 1 to 63 lowercase letters, digits and hyphens, no hyphen at either end.";
        return Err(Refusal::value("slug", rule));
    }
    known_target(&call.state, &target)?;
    let policy = Value::Object(policy.unwrap_or_default());
    read_policy(&call.state, &policy, None, &target)?;
    let token = token.map(|wanted| wanted.checked("token.", call.now)?.of_nobody("token.")).transpose()?;
    let new = NewTenant { slug, target, mode: mode.unwrap_or(Mode::Enforce), policy };
    let mut tx = call.state.store.pool().begin().await?;
    let both = async {
        let tenant = tenant::create(&mut tx, Uuid::now_v7(), &new, call.origin()).await?;
        let token = match token {
            Some(wanted) => Some(tokens::make(call, &mut tx, &tenant, wanted, None).await?),
            None => None,
        };
        Ok::<_, Refusal>((tenant, token))
    };
    let (tenant, token) = match both.await {
        Ok(both) => both,
        Err(refusal) => {
            tx.rollback().await?;
            return Err(refusal);
        }
    };
    tx.commit().await?;
    // From now on it is about a tenant.
    call.notes.tenant(&tenant);
    made(&json!({ "tenant": described(&call.state, &tenant), "idp": idp, "token": token }))
}

pub(crate) async fn get(call: &Call) -> Outcome {
    let tenant = call.tenant().await?;
    let glance = overview::of_tenant(call, &tenant).await?;
    ok(&json!({ "tenant": described(&call.state, &tenant), "overview": glance }))
}

pub(crate) async fn update(call: &Call) -> Outcome {
    let Change { target, mode, policy, yes } = call.body()?;
    let tenant = call.tenant().await?;
    if let Some(target) = &target {
        known_target(&call.state, target)?;
    }
    let policy = policy.map(Value::Object);
    if let Some(policy) = &policy {
        read_policy(&call.state, policy, None, target.as_ref().unwrap_or(&tenant.target))?;
    }
    let change = TenantChange { target, mode, policy, if_version: None };
    if !yes {
        must_be_little(call, &tenant, &change).await?;
    }
    let mut conn = call.conn().await?;
    let after = tenant::update(&mut conn, &tenant.slug, &change, call.origin()).await?;
    call.state.writer.wake(&after.target);
    ok(&described(&call.state, &after))
}

pub(crate) async fn delete(call: &Call) -> Outcome {
    let force = call.flag("force")?;
    let confirm = call.text("confirm")?.unwrap_or_default().to_owned();
    let tenant = call.tenant().await?;
    confirmed(&tenant, &confirm)?;
    let mut conn = call.conn().await?;
    let users = list::count(&mut conn, Of::Users, &Wanted::all(tenant.id)).await?;
    let groups = list::count(&mut conn, Of::Groups, &Wanted::all(tenant.id)).await?;
    tenant::delete(&mut conn, &tenant.slug, force, call.origin()).await?;
    call.state.metrics.forget_tenant(&tenant.slug);
    ok(&json!({ "deleted": tenant.slug, "users": users, "groups": groups }))
}

/// Whoever does something that cannot be taken back types the tenant's name.
pub(super) fn confirmed(tenant: &Tenant, confirm: &str) -> Result<(), Refusal> {
    match confirm == tenant.slug {
        true => Ok(()),
        false => {
            let message = format!("confirm must be the tenant's name, {}; nothing was done.", tenant.slug);
            Err(Refusal::unprocessable("not-confirmed", message).at("confirm"))
        }
    }
}

fn known_target(state: &AdminState, name: &str) -> Result<(), Refusal> {
    match state.config.target(name) {
        Some(_) => Ok(()),
        None => {
            let known: Vec<&str> = state.config.targets.iter().map(|target| target.name.as_str()).collect();
            let message = format!("There is no target {}; there are: {}.", shown(name), known.join(", "));
            Err(Refusal::value("target", message))
        }
    }
}
