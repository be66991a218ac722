//! `jira-scim demo`: the whole program on the loopback interface, with a story to watch: a private PostgreSQL, a sandbox
//! Jira, the daemon, and an Okta that assigns people, pushes groups, and changes its mind; or a directory that is read.

mod agree;
mod farewell;
mod jira;
mod pulled;
mod screen;
mod slapd;
mod story;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use uuid::Uuid;

use super::Failure;
use crate::app::App;
use crate::config::{AdminRole, AdminTokenConfig, Config, Log, LogFormat};
use crate::embedded::{Embedded, EmbeddedError, EmbeddedOptions};
use crate::lifecycle::Lifecycle;
use crate::sandbox::cli::Kind;
use crate::secret::Secret;
use crate::store::admin_token::NewAdminToken;
use crate::store::tenant::{self, Mode, NewTenant, Origin};
use crate::store::token::{self, NewToken};
use crate::store::{StoreError, scratch};
use crate::telemetry;
use jira::Jira;
use screen::Screen;
use slapd::Slapd;

/// Tenant, target and label of the token.
const TENANT: &str = "demo";
const TARGET: &str = "sandbox";
/// The database within the private PostgreSQL; made anew every time, because the sandbox begins empty too.
const DATABASE: &str = "demo";
/// A story that takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the daemon may take to learn who it is in Jira.
const PROBED_WITHIN: Duration = Duration::from_secs(5);

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Which Jira to play with
    #[arg(long, value_enum, value_name = "KIND", default_value = "data-center")]
    target: Kind,
    /// Where the people come from: an Okta that pushes them, or an OpenLDAP server that is read
    #[arg(long, value_enum, value_name = "KIND", default_value = "scim")]
    source: Origins,
    /// End after the story; done only if the sandbox and the store agree
    #[arg(long)]
    once: bool,
    /// Where the daemon listens; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where the private PostgreSQL keeps its data [default: a folder of its own beside the daemon's]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

/// Where the people come from.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Origins {
    /// Pushed over SCIM.
    Scim,
    /// Read from an LDAP server.
    Ldap,
}

/// Why there is no story, or not to its end.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error("the daemon did not learn within {} s who it is in Jira", PROBED_WITHIN.as_secs())]
    NotProbed,
    #[error("the story was not through after {} s", PATIENCE.as_secs())]
    Stuck,
    #[error("{0} complaints about the daemon's answers, see above")]
    Complaints(u64),
    #[error("the sandbox and the store do not agree: {0}")]
    Disagree(String),
    #[error("the directory was not read: {0}")]
    NotRead(String),
    #[error("interrupted")]
    Interrupted,
}

/// The parts, while they run.
struct Stage {
    app: App,
    jira: Arc<Jira>,
    embedded: Embedded,
    life: Lifecycle,
    /// The SCIM base URL of the tenant.
    url: String,
    token: Secret,
    /// Opens the admin page.
    admin: Secret,
}

/// Plays the story; then stays until Ctrl-C, unless it was to be once.
pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let config = Config::defaults();
    // Warnings only, and not PostgreSQL's about its own end: the screen belongs to the story.
    telemetry::start(&Log { level: "warn,postgres=error".to_owned(), format: LogFormat::Text })?;
    let life = Lifecycle::new();
    life.listen_for_signals()?;
    let screen = Arc::new(Screen::new());
    screen.say("Starting a private PostgreSQL, a sandbox Jira and the daemon ...");
    let slapd = match args.source {
        Origins::Scim => None,
        Origins::Ldap => Some(Slapd::start(&pulled::company()).await?),
    };
    let jira = Arc::new(Jira::start(args.target).await?);
    let once = args.once;
    let embedded = database(args.data_dir, &config).await?;
    let stage = match set(&args.listen, config, embedded, life, jira).await {
        Ok(stage) => stage,
        Err((error, embedded)) => {
            embedded.stop().await;
            return Err(error);
        }
    };
    let outcome = match slapd {
        None => stage.pushed(&screen, once).await,
        Some(slapd) => stage.pulled(slapd, &screen, once).await,
    };
    stage.strike().await;
    outcome
}

/// The private PostgreSQL. An orphan of an earlier demo that was killed is found by its data directory and ended; while
/// another demo runs, this one takes a throw-away server.
async fn database(data_dir: Option<PathBuf>, config: &Config) -> Result<Embedded, EmbeddedError> {
    let chosen = data_dir.is_some();
    let data_dir = data_dir.unwrap_or_else(|| config.database.data_dir.with_file_name("jira-scim-demo"));
    let options = EmbeddedOptions { data_dir, bin_dir: config.database.postgres_bin.clone(), throwaway: false };
    match Embedded::start(options).await {
        Err(EmbeddedError::InUse { .. } | EmbeddedError::Folder { .. } | EmbeddedError::Unreachable { .. })
            if !chosen =>
        {
            Embedded::start(EmbeddedOptions::throwaway()).await
        }
        started => started,
    }
}

/// Starts the other parts; gives the database back where one of them does not.
async fn set(
    listen: &SocketAddr,
    config: Config,
    embedded: Embedded,
    life: Lifecycle,
    jira: Arc<Jira>,
) -> Result<Stage, (Failure, Embedded)> {
    let admin = Secret::new(NewAdminToken::generate().reveal());
    let app = match furnish(listen, config, &embedded, &life, &jira, &admin).await {
        Ok(app) => app,
        Err(error) => return Err((error, embedded)),
    };
    match admit(&app, &jira).await {
        Ok(token) => {
            let url = format!("{}/scim/{TENANT}/v2", app.base_url());
            Ok(Stage { app, jira, embedded, life, url, token, admin })
        }
        Err(error) => {
            life.shutdown();
            app.finish().await;
            Err((error, embedded))
        }
    }
}

/// The daemon before the sandbox.
async fn furnish(
    listen: &SocketAddr,
    mut config: Config,
    embedded: &Embedded,
    life: &Lifecycle,
    jira: &Jira,
    admin: &Secret,
) -> Result<App, Failure> {
    scratch::recreate(&embedded.url(), DATABASE).await?;
    config.server.listen = *listen;
    config.admin.listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    config.admin.tokens = vec![AdminTokenConfig {
        label: "demo".to_owned(),
        role: AdminRole::Admin,
        value: admin.clone(),
        expires: None,
    }];
    config.database.url = Some(Secret::new(embedded.url_of(DATABASE)));
    config.targets = vec![jira.target(TARGET)];
    Ok(App::start(config, life.child()).await?)
}

/// A tenant with a fresh token, once the daemon knows who it is in Jira.
async fn admit(app: &App, jira: &Jira) -> Result<Secret, Failure> {
    let token = new_tenant(app, jira.policy()).await?;
    match timeout(PROBED_WITHIN, probed(app)).await {
        Ok(probed) => probed?,
        Err(_) => return Err(DemoError::NotProbed.into()),
    }
    Ok(token)
}

/// The tenant with a fresh token.
async fn new_tenant(app: &App, policy: serde_json::Value) -> Result<Secret, Failure> {
    let mut conn = app.store().pool().acquire().await.map_err(StoreError::from)?;
    let origin = Origin { actor: "demo", request_id: Uuid::now_v7(), at: chrono::Utc::now() };
    let new = NewTenant { slug: TENANT.to_owned(), target: TARGET.to_owned(), mode: Mode::Enforce, policy };
    let tenant = tenant::create(&mut conn, Uuid::now_v7(), &new, origin).await?;
    let fresh = NewToken::generate();
    token::create(
        &mut *conn,
        tenant.id,
        Uuid::now_v7(),
        token::NewCredential::bearer("okta", fresh.hash(), None),
        origin,
    )
    .await?;
    Ok(Secret::new(fresh.reveal()))
}

/// The daemon's first look at Jira is not the story's: it is waited for.
async fn probed(app: &App) -> Result<(), StoreError> {
    while app.writer().health().await?.iter().any(|target| target.version.is_none()) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Ctrl-C is how a demo that stays ends.
fn unless_interrupted(outcome: Result<(), Failure>, once: bool) -> Result<(), Failure> {
    match outcome {
        Err(error) if !once && matches!(error.downcast_ref(), Some(DemoError::Interrupted)) => Ok(()),
        outcome => outcome,
    }
}

impl Stage {
    /// The story of an Okta.
    async fn pushed(&self, screen: &Arc<Screen>, once: bool) -> Result<(), Failure> {
        let played = match self.in_time(story::play(self, screen)).await {
            Ok(cast) if !once => {
                farewell::print(screen, self, &cast);
                screen.follow(&self.jira, self.life.soft()).await;
                Ok(())
            }
            played => played.map(drop),
        };
        unless_interrupted(played, once)
    }

    /// The story of a directory.
    async fn pulled(&self, mut slapd: Slapd, screen: &Arc<Screen>, once: bool) -> Result<(), Failure> {
        let played = match self.in_time(pulled::play(self, &mut slapd, screen)).await {
            Ok(reader) if !once => {
                pulled::farewell(&slapd, screen);
                reader.follow(self.life.soft()).await
            }
            played => played.map(drop),
        };
        slapd.stop().await;
        unless_interrupted(played, once)
    }

    async fn in_time<T>(&self, story: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        tokio::select! {
            played = timeout(PATIENCE, story) => match played {
                Ok(played) => played,
                Err(_) => Err(DemoError::Stuck.into()),
            },
            () = self.life.soft().cancelled() => Err(DemoError::Interrupted.into()),
        }
    }

    /// Ends everything, the last thing first.
    async fn strike(self) {
        self.life.shutdown();
        self.app.finish().await;
        // The process ends anyway.
        let _ = self.jira.stop().await;
        self.embedded.stop().await;
    }
}
