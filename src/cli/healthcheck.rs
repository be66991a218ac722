//! `jira-scim healthcheck`: for a container that has neither a shell nor curl.

use std::time::Duration;

use reqwest::StatusCode;

use super::{ConfigArgs, Failure};

/// A daemon that does not answer within this time is not ready.
const PATIENCE: Duration = Duration::from_secs(5);

/// The arguments.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// What to ask, instead of /readyz at the configured server.listen
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("{url} answers {status}")]
struct NotReady {
    url: String,
    status: StatusCode,
}

/// Done when the daemon says that it is ready.
pub(super) async fn run(args: &Args) -> Result<(), Failure> {
    let url = match &args.url {
        Some(url) => url.clone(),
        None => {
            let server = args.config.load()?.server;
            format!("{}/readyz", server.local_url(server.listen))
        }
    };
    // It fails only when a provider was chosen before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        // Our own certificate is for the public name, not for the loopback address; nothing secret is sent or read.
        .tls_danger_accept_invalid_certs(args.url.is_none())
        .build()?;
    let status = client.get(&url).send().await?.status();
    if status.is_success() { Ok(()) } else { Err(NotReady { url, status }.into()) }
}
