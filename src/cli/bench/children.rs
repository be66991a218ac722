//! The processes beside the measuring one: the daemon and the sandbox, both this program.

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{import, seeding};
use crate::cli::Failure;
use crate::sandbox::{NewAccount, RateLimit, Sandbox, SandboxOptions};
use crate::simulate::client::{Connection, Request, Service};
use crate::simulate::people::Person;

/// The tenant and its target.
pub(super) const TENANT: &str = "bench";
pub(super) const TARGET: &str = "sandbox";
/// How long the daemon may take to be ready, and to end.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A command of this program; its process does not outlive the value.
fn command(arguments: &[&str]) -> Result<Command, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("JIRA_SCIM") {
            command.env_remove(name);
        }
    }
    Ok(command)
}

/// The sandbox's process.
pub(super) struct SandboxChild {
    pub(super) process: Child,
    pub(super) url: String,
    pub(super) token: String,
    /// The accounts' keys, in the order of the people.
    pub(super) keys: Vec<String>,
}

/// The arguments of the sandbox's process.
#[derive(clap::Args)]
pub(in crate::cli) struct SandboxArgs {
    /// People who have an account
    #[arg(long)]
    users: u64,
    /// Where the accounts' keys are written, one a line
    #[arg(long)]
    keys: PathBuf,
    /// The rate limit that it has, and tells in its headers
    #[arg(long)]
    rate_limit: Option<RateLimit>,
    /// Which groups it has
    #[arg(long, default_value = "requests")]
    kind: SandboxKind,
}

/// Which groups a sandbox has.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum SandboxKind {
    /// Those that requests are measured with.
    Requests,
    /// Those of an import.
    Import,
}

/// Starts the sandbox with an account for each person.
pub(super) async fn sandbox(folder: &Path, users: u64, limit: Option<&str>) -> Result<SandboxChild, Failure> {
    sandbox_like(folder, users, limit, SandboxKind::Requests).await
}

/// The same with groups of that kind.
pub(super) async fn sandbox_like(
    folder: &Path,
    users: u64,
    limit: Option<&str>,
    kind: SandboxKind,
) -> Result<SandboxChild, Failure> {
    let file = folder.join("keys");
    let path = file.to_str().ok_or("the folder for temporary files has a strange name")?;
    let mut started = command(&["bench-sandbox", "--users", &users.to_string(), "--keys", path])?;
    if let Some(limit) = limit {
        started.args(["--rate-limit", limit]);
    }
    if matches!(kind, SandboxKind::Import) {
        started.args(["--kind", "import"]);
    }
    let mut child = started.stdout(Stdio::piped()).spawn()?;
    let out = child.stdout.take().ok_or("the sandbox has no output")?;
    let mut lines = BufReader::new(out).lines();
    let ended = "the sandbox ended";
    let url = lines.next_line().await?.ok_or(ended)?;
    let token = lines.next_line().await?.ok_or(ended)?;
    let keys = std::fs::read_to_string(&file)?.lines().map(str::to_owned).collect();
    Ok(SandboxChild { process: child, url, token, keys })
}

/// The sandbox's process: makes the accounts and the groups, says where it is, and stays until it is ended.
pub(in crate::cli) async fn run_sandbox(args: SandboxArgs) -> Result<(), Failure> {
    let options = SandboxOptions { journal_capacity: 1, rate_limit: args.rate_limit, ..SandboxOptions::default() };
    let sandbox = Sandbox::start(options).await?;
    let keys = sandbox.change(|world| -> Result<String, crate::sandbox::Refusal> {
        let mut keys = String::new();
        for number in 0..args.users {
            let person = Person::new(0, number);
            let account = NewAccount {
                email: person.user_name.clone(),
                display_name: person.display_name(),
                ..NewAccount::named(&person.user_name)
            };
            keys.push_str(&world.create_account(&account)?);
            keys.push('\n');
        }
        let groups: Vec<(String, Vec<u64>)> = match args.kind {
            SandboxKind::Requests => {
                seeding::groups(args.users).into_iter().map(|(name, size)| (name, (0..size).collect())).collect()
            }
            SandboxKind::Import => import::groups(args.users)
                .map(|(name, first)| (name, import::members(args.users, first).collect()))
                .collect(),
        };
        for (name, members) in groups {
            world.create_group(&name)?;
            for number in members {
                world.add_member(&name, &Person::new(0, number).user_name)?;
            }
        }
        Ok(keys)
    });
    std::fs::write(&args.keys, keys.map_err(|refusal| format!("the sandbox refused a person: {refusal:?}"))?)?;
    let mut out = std::io::stdout();
    writeln!(out, "{}\n{}", sandbox.base_url(), sandbox.token())?;
    out.flush()?;
    std::future::pending().await
}

/// A file for secrets.
fn private(path: &Path) -> std::io::Result<File> {
    File::options().create_new(true).write(true).mode(0o600).open(path)
}

/// How the daemon is started.
pub(super) struct Daemon {
    config: String,
    base: String,
}

impl Daemon {
    /// Writes the configuration file; `pace` is the most calls a second, 0 for no limit.
    pub(super) fn configure(
        folder: &Path,
        database: &str,
        jira: &str,
        token: &str,
        pace: u32,
    ) -> Result<Self, Failure> {
        // Taken and given back: the daemon is the next to ask for one.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let file = folder.join("jira-scim.toml");
        let text = format!(
            "[server]\nlisten = '127.0.0.1:{port}'\n[admin]\nlisten = ''\n[limits]\nrequests_per_second = 0\n\
             [log]\nlevel = 'warn'\n\
             [database]\nurl = '{database}'\n[[target]]\nname = '{TARGET}'\nurl = '{jira}'\ntoken = '{token}'\n\
             [target.pace]\nconcurrency = 16\nper_second = {pace}\n"
        );
        private(&file)?.write_all(text.as_bytes())?;
        let config = file.to_str().ok_or("the folder for temporary files has a strange name")?.to_owned();
        Ok(Self { config, base: format!("http://127.0.0.1:{port}") })
    }

    /// The tenant's SCIM base URL.
    pub(super) fn scim_url(&self) -> String {
        format!("{}/scim/{TENANT}/v2", self.base)
    }

    /// Makes the tenant and a token, by the commands that an administrator uses.
    pub(super) async fn admit(&self) -> Result<String, Failure> {
        self.command(&["tenant", "create", TENANT, "--target", TARGET]).await?;
        let made = self.command(&["token", "create", TENANT, "--label", "okta", "--json"]).await?;
        let made: Value = serde_json::from_str(&made)?;
        Ok(made.get("token").and_then(Value::as_str).ok_or("there is no token")?.to_owned())
    }

    /// Whether the tenant's people are written to Jira (`enforce`) or only kept (`observe`).
    pub(super) async fn mode(&self, mode: &str) -> Result<(), Failure> {
        self.command(&["tenant", "update", TENANT, "--mode", mode]).await.map(drop)
    }

    /// How much of the tenant's requests is put on record: `off`, `changes` or `all`.
    pub(super) async fn record(&self, folder: &Path, level: &str) -> Result<(), Failure> {
        let policy = folder.join("policy.toml");
        std::fs::write(&policy, format!("[record]\nlevel = \"{level}\"\n"))?;
        let policy = policy.to_str().ok_or("the folder for temporary files has a strange name")?;
        self.command(&["tenant", "update", TENANT, "--policy-file", policy]).await.map(drop)
    }

    async fn command(&self, arguments: &[&str]) -> Result<String, Failure> {
        let output = command(arguments)?.args(["--config", &self.config]).stderr(Stdio::inherit()).output().await?;
        if !output.status.success() {
            return Err(format!("`{}` failed", arguments.join(" ")).into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Starts a command whose output goes to a file.
    pub(super) fn spawn(&self, arguments: &[&str], output: &Path) -> Result<Child, Failure> {
        let mut started = command(arguments)?;
        Ok(started.args(["--config", &self.config]).stdout(File::create(output)?).stderr(Stdio::null()).spawn()?)
    }

    /// Starts the daemon and waits until it is ready.
    pub(super) async fn start(&self, settle: Option<&str>) -> Result<Running, Failure> {
        let mut serve = command(&["serve", "--config", &self.config])?;
        if let Some(settle) = settle {
            serve.args(["--set", &format!("writer.settle={settle}")]);
        }
        let mut running = Running(serve.stdout(Stdio::null()).spawn()?);
        let service = Service::new(&self.base, None)?;
        let mut connection = Connection::new(service.into(), Default::default(), Duration::from_secs(5));
        let until = Instant::now() + READY_WITHIN;
        let probe = Request::new(hyper::Method::GET, "/readyz");
        while !connection.send(&probe).await.is_ok_and(|reply| reply.status.is_success()) {
            if let Some(status) = running.0.try_wait()? {
                return Err(format!("the daemon ended: {status}").into());
            }
            if Instant::now() > until {
                return Err("the daemon does not become ready".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(running)
    }
}

/// The most memory that a process had, in KiB.
pub(super) fn peak_memory(id: u32) -> Result<u64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// The daemon's process.
pub(super) struct Running(Child);

impl Running {
    /// The most memory that it had, in KiB.
    pub(super) fn peak_memory(&self) -> Result<u64, Failure> {
        peak_memory(self.0.id().ok_or("the daemon ended")?)
    }

    /// How long its processors have worked in all.
    pub(super) fn worked(&self) -> Option<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id()?)).ok()?;
        // After the name, which may hold blanks: the 12th and 13th field are user and system time.
        let (_, fields) = stat.rsplit_once(") ")?;
        let ticks: u64 = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        let seconds = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
        Some(Duration::from_secs_f64(seconds))
    }

    /// Ends it as an administrator would.
    pub(super) async fn end(mut self) -> Result<(), Failure> {
        let id = self.0.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            rustix::process::kill_process(id, rustix::process::Signal::TERM)?;
        }
        let status = tokio::time::timeout(READY_WITHIN, self.0.wait()).await??;
        if status.success() { Ok(()) } else { Err(format!("the daemon ended with {status}").into()) }
    }
}
