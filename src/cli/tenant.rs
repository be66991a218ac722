//! `jira-scim tenant`: one identity provider's configuration each.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::desk::Desk;
use super::table::table;
use super::{ConfigArgs, Failure};
use crate::config::{Config, is_slug, line_of};
use crate::policy::Policy;
use crate::policy::mapping::Ground;
use crate::store::list::{self, Of, Wanted};
use crate::store::tenant::{self, Mode, NewTenant, Tenant, TenantChange, TenantError};
use crate::writer::forecast::taken_by_change;

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Any,
}

#[derive(clap::Subcommand)]
enum Any {
    #[command(flatten)]
    Own(Command),
    /// Take back from Jira everything that came from a tenant
    Purge(super::purge::Args),
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a tenant
    Create {
        /// Its name in the URL: lowercase letters, digits and hyphens
        slug: String,
        /// The `[[target]]` of the configuration that it writes to
        #[arg(long)]
        target: String,
        /// A file with its policy, TOML or JSON (*.json)
        #[arg(long, value_name = "FILE")]
        policy_file: Option<PathBuf>,
        /// observe: answer the identity provider and write nothing; enforce: make Jira agree
        #[arg(long, default_value = "enforce")]
        mode: ModeArg,
        /// The networks that its clients may come from (203.0.113.0/24,192.0.2.7) [default: any]
        #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
        networks: Vec<String>,
        #[command(flatten)]
        shared: Shared,
    },
    /// List the tenants
    List {
        #[command(flatten)]
        shared: Shared,
    },
    /// Show one tenant with its policy
    Show {
        /// Its name
        slug: String,
        #[command(flatten)]
        shared: Shared,
    },
    /// Change a tenant; whatever its users then need at Jira is brought about
    #[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
    Update {
        /// Its name
        slug: String,
        /// Another `[[target]]`
        #[arg(long, group = "change")]
        target: Option<String>,
        /// A file with another policy, TOML or JSON (*.json)
        #[arg(long, value_name = "FILE", group = "change")]
        policy_file: Option<PathBuf>,
        /// Another mode
        #[arg(long, group = "change")]
        mode: Option<ModeArg>,
        /// Other networks that its clients may come from (203.0.113.0/24,192.0.2.7), or any; the rest of the policy stays
        #[arg(long, value_name = "NETWORKS", value_delimiter = ',', group = "change")]
        networks: Vec<String>,
        /// Also when it would touch more people, or take more away, than the brake lets through at a time
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        shared: Shared,
    },
    /// Delete a tenant with its users, groups and tokens from the mapping store; Jira is left as it is
    Delete {
        /// Its name
        slug: String,
        /// Do it; without this the command only says what would be deleted
        #[arg(long)]
        yes: bool,
        /// Also when the configuration file declares it (it comes back, empty, at the next start)
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        shared: Shared,
    },
}

/// What each of the commands takes.
#[derive(clap::Args)]
struct Shared {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

/// A mode on the command line.
#[derive(Clone, Copy, clap::ValueEnum)]
enum ModeArg {
    Observe,
    Enforce,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Self {
        match mode {
            ModeArg::Observe => Self::Observe,
            ModeArg::Enforce => Self::Enforce,
        }
    }
}

/// Runs the command and prints its answer.
pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let command = match &args.command {
        Any::Own(command) => command,
        Any::Purge(args) => return super::purge::run(args).await,
    };
    let (Command::Create { shared, .. }
    | Command::List { shared }
    | Command::Show { shared, .. }
    | Command::Update { shared, .. }
    | Command::Delete { shared, .. }) = command;
    let desk = Desk::open(&shared.config).await?;
    let answer = answer(command, &desk, shared.json).await;
    desk.close().await;
    println!("{}", answer?);
    Ok(())
}

async fn answer(command: &Command, desk: &Desk, json: bool) -> Result<String, Failure> {
    let mut conn = desk.store.pool().acquire().await?;
    match command {
        Command::Create { slug, target, policy_file, mode, networks, .. } => {
            if !is_slug(slug) {
                let rule = "1 to 63 lowercase letters, digits and hyphens, no hyphen at either end";
                return Err(format!("{slug:?} cannot be a tenant's name: {rule}").into());
            }
            known_target(&desk.config, target)?;
            let ground = desk.grounds.of(target);
            let policy = policy_file.as_deref().map(|path| read_policy(path, Some(&ground))).transpose()?;
            let policy = with_networks(policy.unwrap_or_else(|| json!({})), networks)?;
            let new = NewTenant { slug: slug.clone(), target: target.clone(), mode: (*mode).into(), policy };
            let made = tenant::create(&mut conn, Uuid::now_v7(), &new, desk.origin()).await?;
            let said = format!(
                "tenant {slug} is made; its base URL is {}\nnext: jira-scim token create {slug} --label <name>",
                base_url(&desk.config, slug)
            );
            if json { printed(&described(&desk.config, &made, None)) } else { Ok(said) }
        }
        Command::List { .. } => {
            let tenants = tenant::list(&mut *conn).await?;
            if json {
                let all: Vec<Value> = tenants.iter().map(|t| described(&desk.config, t, None)).collect();
                return printed(&Value::Array(all));
            }
            Ok(listed(&tenants))
        }
        Command::Show { slug, .. } => {
            let found = tenant::get(&mut *conn, slug).await?.ok_or_else(|| TenantError::NotFound(slug.clone()))?;
            let size = size(&mut conn, found.id).await?;
            if json { printed(&described(&desk.config, &found, Some(size))) } else { shown(&desk.config, &found, size) }
        }
        Command::Update { slug, target, policy_file, mode, networks, yes, .. } => {
            if let Some(target) = target {
                known_target(&desk.config, target)?;
            }
            let found = tenant::get(&mut *conn, slug).await?.ok_or_else(|| TenantError::NotFound(slug.clone()))?;
            let ground = desk.grounds.of(target.as_ref().unwrap_or(&found.target));
            let policy = policy_file.as_deref().map(|path| read_policy(path, Some(&ground))).transpose()?;
            let policy = match (policy, networks.is_empty()) {
                (policy, true) => policy,
                (policy, false) => Some(with_networks(policy.unwrap_or_else(|| found.policy.clone()), networks)?),
            };
            let change = TenantChange { target: target.clone(), mode: mode.map(Mode::from), policy, if_version: None };
            if !yes {
                must_be_little(desk, &found, &change).await?;
            }
            let after = tenant::update(&mut conn, slug, &change, desk.origin()).await?;
            if json {
                return printed(&described(&desk.config, &after, None));
            }
            Ok(format!("tenant {slug} has version {} of its rules", after.policy_version))
        }
        Command::Delete { slug, yes, force, .. } => {
            let found = tenant::get(&mut *conn, slug).await?.ok_or_else(|| TenantError::NotFound(slug.clone()))?;
            let (users, groups) = size(&mut conn, found.id).await?;
            if !yes {
                let what = format!("{users} users and {groups} groups would be deleted from the mapping store");
                return Err(format!("{what}; Jira is left as it is; repeat with --yes").into());
            }
            tenant::delete(&mut conn, slug, *force, desk.origin()).await?;
            if json {
                return printed(&json!({ "deleted": slug, "users": users, "groups": groups }));
            }
            Ok(format!("tenant {slug} is deleted, with {users} users and {groups} groups"))
        }
    }
}

/// A policy under which clients may come from these networks; `any` alone is no bound, and none at all changes nothing.
fn with_networks(mut policy: Value, networks: &[String]) -> Result<Value, Failure> {
    let Some(first) = networks.first() else { return Ok(policy) };
    if networks.len() == 1 && first == "any" {
        if let Some(scim) = policy.get_mut("scim").and_then(Value::as_object_mut) {
            scim.remove("networks");
        }
    } else {
        policy["scim"]["networks"] = json!(networks);
    }
    Policy::from_value(&policy).map_err(|problems| problems.join("\n"))?;
    Ok(policy)
}

/// Fails where a change of rules would touch more people, or take more away, than the brake lets through.
async fn must_be_little(desk: &Desk, tenant: &Tenant, change: &TenantChange) -> Result<(), Failure> {
    if change.policy.is_none() && change.mode.is_none() {
        return Ok(());
    }
    let policy = Policy::from_value(change.policy.as_ref().unwrap_or(&tenant.policy));
    let policy = Arc::new(policy.map_err(|problems| problems.join("\n"))?);
    let mode = change.mode.unwrap_or(tenant.mode);
    let ground = desk.grounds.of(change.target.as_ref().unwrap_or(&tenant.target));
    let taken = taken_by_change(&desk.store, tenant, ground, policy, mode).await?;
    if taken.is_too_much() {
        return Err(format!(
            "this would {}; nothing is changed. Look at it with jira-scim plan {} --policy FILE, and repeat with --yes",
            taken.sentence(),
            tenant.slug
        )
        .into());
    }
    Ok(())
}

/// Users and groups of a tenant.
async fn size(conn: &mut sqlx::PgConnection, tenant_id: Uuid) -> Result<(u64, u64), Failure> {
    let all = Wanted::all(tenant_id);
    Ok((list::count(conn, Of::Users, &all).await?, list::count(conn, Of::Groups, &all).await?))
}

fn known_target(config: &Config, name: &str) -> Result<(), Failure> {
    if config.target(name).is_some() {
        return Ok(());
    }
    let known: Vec<&str> = config.targets.iter().map(|target| target.name.as_str()).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(format!("the configuration has no [[target]] named {name:?}; it has: {known}").into())
}

/// The policy in a file, understood, for a target where it is known.
pub(super) fn read_policy(path: &Path, ground: Option<&Ground>) -> Result<Value, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| format!("cannot read {shown}: {e}"))?;
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let policy: Value = if is_json {
        serde_json::from_str(&text).map_err(|e| format!("{shown} is not JSON: {e}"))?
    } else {
        toml::from_str(&text).map_err(|e| {
            let line = e.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            format!("{shown} is not TOML: line {line}: {}", e.message())
        })?
    };
    let problems = match (Policy::from_value(&policy), ground) {
        (Err(problems), _) => problems,
        (Ok(understood), Some(ground)) => understood.problems_on(ground),
        (Ok(_), None) => Vec::new(),
    };
    if problems.is_empty() {
        return Ok(policy);
    }
    let located = problems.iter().map(|problem| {
        let key = problem.split(": ").next().unwrap_or_default().trim_start_matches("policy.");
        let line = line_of(&text, &key.replace('[', ".").replace(']', "")).filter(|_| !is_json);
        format!("{shown}{}: {problem}", line.map(|line| format!(", line {line}")).unwrap_or_default())
    });
    Err(located.collect::<Vec<_>>().join("\n").into())
}

fn base_url(config: &Config, slug: &str) -> String {
    format!("{}/scim/{slug}/v2", config.server.base_url(config.server.listen).trim_end_matches('/'))
}

/// A tenant for programs.
fn described(config: &Config, tenant: &Tenant, size: Option<(u64, u64)>) -> Value {
    let mut described = json!({
        "id": tenant.id,
        "slug": tenant.slug,
        "baseUrl": base_url(config, &tenant.slug),
        "target": tenant.target,
        "mode": tenant.mode,
        "policy": tenant.policy,
        "policyVersion": tenant.policy_version,
        "declared": tenant.declared,
        "created": tenant.created,
        "modified": tenant.modified,
    });
    if let Some((users, groups)) = size {
        described["users"] = users.into();
        described["groups"] = groups.into();
    }
    described
}

fn listed(tenants: &[Tenant]) -> String {
    if tenants.is_empty() {
        return "there are no tenants".to_owned();
    }
    let rows: Vec<Vec<String>> = tenants
        .iter()
        .map(|t| {
            let made = if t.declared { "configuration" } else { "command" };
            vec![
                t.slug.clone(),
                t.target.clone(),
                t.mode.as_str().to_owned(),
                t.policy_version.to_string(),
                made.into(),
            ]
        })
        .collect();
    table(&["slug", "target", "mode", "rules", "made by"], &rows)
}

fn shown(config: &Config, tenant: &Tenant, (users, groups): (u64, u64)) -> Result<String, Failure> {
    let made = if tenant.declared { "the configuration file (change it there)" } else { "command" };
    Ok(format!(
        "slug      {}\nbase URL  {}\ntarget    {}\nmode      {}\nmade by   {made}\nchanged   {}\nusers     {users}\n\
         groups    {groups}\npolicy    version {}\n{}",
        tenant.slug,
        base_url(config, &tenant.slug),
        tenant.target,
        tenant.mode.as_str(),
        tenant.modified.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        tenant.policy_version,
        printed(&tenant.policy)?,
    ))
}

fn printed(value: &Value) -> Result<String, Failure> {
    Ok(serde_json::to_string_pretty(value)?)
}
