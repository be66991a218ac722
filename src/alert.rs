//! Layer 3: tells people what the store has for them to hear, at the address that is configured for it: a POST with JSON,
//! signed, again and again until it is taken or a day old. Knows nothing of what it tells but how to send it, and may
//! decide nothing.
//!
//! A receiver that answers 2xx has it. The same alert may come twice (the answer may be lost): its `id` says so.

mod watch;

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use ring::hmac;
use serde_json::{Value, json};
use url::Url;

use crate::config::files::{Marks, marks, secret_in};
use crate::jira::{ClientError, tls_for};
use crate::lifecycle::Lifecycle;
use crate::secret::Secret;
use crate::store::alert::{self, Alert};
use crate::store::{Store, StoreError, brake};
use crate::telemetry::Chain;

pub use watch::{Watch, WatchOptions};

/// How often it is looked for something to tell.
const LOOK: Duration = Duration::from_secs(5);
/// How long somebody who does not take it is left alone at first, and at most.
const WAIT: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(600));
/// What nobody has taken by then is given up.
const LONGEST: chrono::TimeDelta = chrono::TimeDelta::days(1);
/// How many are sent after each other before it is looked whether the process ends.
const PAGE: i64 = 20;

const SIGNATURE: HeaderName = HeaderName::from_static("x-jira-scim-signature");
const TIMESTAMP: HeaderName = HeaderName::from_static("x-jira-scim-timestamp");

/// Where alerts go.
#[derive(Clone, Debug)]
pub struct AlertOptions {
    /// The address; some of them are secrets.
    pub url: Secret,
    /// What they are signed with.
    pub secret: Option<Secret>,
    /// The files that they are in, where they are; read again when they change.
    pub url_file: Option<PathBuf>,
    /// See [`AlertOptions::url_file`].
    pub secret_file: Option<PathBuf>,
    /// How long the receiver may take.
    pub timeout: Duration,
}

impl AlertOptions {
    fn files(&self) -> impl Iterator<Item = &Path> {
        self.url_file.iter().chain(&self.secret_file).map(PathBuf::as_path)
    }
}

/// Why there can be no alerts.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    /// The address is none.
    #[error("alert.webhook_url is no http or https address")]
    Url,
    /// TLS cannot be set up.
    #[error("alert.webhook_url: TLS cannot be set up")]
    Tls(#[from] ClientError),
    /// Anything else that the HTTP library objects to.
    #[error("alert.webhook_url: the HTTP client cannot be made")]
    Http(#[from] reqwest::Error),
}

/// What one round came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Alerts that were taken.
    pub taken: usize,
    /// Alerts that were not, and are sent again.
    pub failed: usize,
    /// Alerts that were given up.
    pub given_up: usize,
}

/// Sends alerts; without an address it only forgets those that are old: the log has told them, and another replica may have one.
#[derive(Clone)]
pub struct Alerts {
    store: Store,
    hook: Option<Hook>,
    options: Option<AlertOptions>,
    known: Marks,
}

#[derive(Clone)]
struct Hook {
    http: reqwest::Client,
    url: Url,
    key: Option<hmac::Key>,
    timeout: Duration,
}

impl Alerts {
    /// # Errors
    /// [`AlertError`]: the configuration has to change.
    pub fn new(store: Store, options: Option<&AlertOptions>) -> Result<Self, AlertError> {
        let known = options.map(|options| marks(options.files())).unwrap_or_default();
        Ok(Self { store, hook: options.map(Hook::new).transpose()?, options: options.cloned(), known })
    }

    /// Takes over what changed in the files; what cannot be used changes nothing.
    pub fn look(&mut self) {
        let Some(options) = &mut self.options else { return };
        let now = marks(options.files());
        if now == self.known {
            return;
        }
        self.known = now;
        match read_again(options)
            .and_then(|read| Ok((Hook::new(&read).map_err(|error| Chain(&error).to_string())?, read)))
        {
            Ok((hook, read)) => {
                (self.hook, *options) = (Some(hook), read);
                tracing::info!(event = "secret.replaced", "the webhook's address or secret was replaced");
            }
            Err(what) => tracing::warn!("the webhook stays as it was: {what}"),
        }
    }

    /// Sends what there is, now and then, until the process ends.
    pub async fn run(mut self, life: Lifecycle) {
        while !life.is_ending() {
            self.look();
            let sent = self.run_once().await.unwrap_or_else(|error| {
                tracing::warn!(error = %Chain(&error), "alerts could not be read; trying again");
                Sent::default()
            });
            if sent.taken > 0 {
                continue;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = life.soft().cancelled() => {}
            }
        }
    }

    /// Sends what is due.
    ///
    /// # Errors
    /// The store's; a receiver that does not take an alert is no error.
    pub async fn run_once(&self) -> Result<Sent, StoreError> {
        let mut conn = self.store.pool().acquire().await?;
        let mut sent = Sent::default();
        while log(alert::to_log(&mut conn, PAGE).await?) {}
        let Some(hook) = &self.hook else {
            alert::forget_old(&mut conn, LONGEST.to_std().unwrap_or_default()).await?;
            return Ok(sent);
        };
        // Nobody else sends them while this process may be at it, one after the other.
        let due = alert::take(&mut conn, hook.timeout * (PAGE as u32 + 1), PAGE).await?;
        drop(conn);
        for alert in due {
            let told = hook.send(self.body(&alert).await?).await;
            let mut conn = self.store.pool().acquire().await?;
            match told {
                Ok(()) => {
                    alert::done(&mut conn, alert.tenant_id, alert.id).await?;
                    sent.taken += 1;
                }
                Err(why) if alert.now - alert.at >= LONGEST => {
                    tracing::warn!(alert.kind, alert.id = %alert.id, tenant = alert.tenant, "an alert was given up: {why}");
                    alert::done(&mut conn, alert.tenant_id, alert.id).await?;
                    sent.given_up += 1;
                }
                Err(why) => {
                    let wait = wait(alert.attempts);
                    tracing::warn!(alert.kind, alert.id = %alert.id, tenant = alert.tenant, "an alert was not taken: {why}");
                    alert::again(&mut conn, alert.tenant_id, alert.id, wait, &why).await?;
                    sent.failed += 1;
                }
            }
        }
        Ok(sent)
    }

    /// What is sent: the alert, with what is known by now.
    async fn body(&self, alert: &Alert) -> Result<String, StoreError> {
        let mut body = json!({ "id": alert.id, "kind": alert.kind, "tenant": alert.tenant, "at": alert.at });
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), &alert.body) {
            body.extend(more.clone());
        }
        if alert.kind == "brake" {
            let mut conn = self.store.pool().acquire().await?;
            body["held"] = json!(brake::count_held(&mut conn, alert.tenant_id).await?);
        }
        Ok(body.to_string())
    }
}

fn read_again(options: &AlertOptions) -> Result<AlertOptions, String> {
    let mut read = options.clone();
    if let Some(file) = &options.url_file {
        read.url = secret_in(file).map_err(|what| format!("alert.webhook_url_file {what}"))?;
    }
    if let Some(file) = &options.secret_file {
        read.secret = Some(secret_in(file).map_err(|what| format!("alert.webhook_secret_file {what}"))?);
    }
    Ok(read)
}

/// Tells the log, once for all replicas; false where there was nothing to tell.
fn log(alerts: Vec<Alert>) -> bool {
    for alert in &alerts {
        let (tenant, body) = (alert.tenant.as_deref().unwrap_or_default(), &alert.body);
        // What has come to its end is no warning.
        if matches!(alert.kind.as_str(), "target_up" | "queue_caught_up" | "import_finished") {
            tracing::info!(event = "alert", alert.kind, alert.id = %alert.id, tenant, %body, "alert {}", alert.kind);
        } else {
            tracing::warn!(event = "alert", alert.kind, alert.id = %alert.id, tenant, %body, "alert {}", alert.kind);
        }
    }
    !alerts.is_empty()
}

impl Hook {
    fn new(options: &AlertOptions) -> Result<Self, AlertError> {
        let url = Url::parse(options.url.expose()).map_err(|_| AlertError::Url)?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(AlertError::Url);
        }
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls_for(&url)?)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .no_proxy()
            .timeout(options.timeout)
            .build()?;
        let key = options.secret.as_ref().map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes()));
        Ok(Self { http, url, key, timeout: options.timeout })
    }

    /// Why it was not taken. The address is not repeated: it may be a secret.
    async fn send(&self, body: String) -> Result<(), String> {
        let timestamp = chrono::Utc::now().timestamp().to_string();
        let mut request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(USER_AGENT, HeaderValue::from_static(concat!("jira-scim/", env!("CARGO_PKG_VERSION"))))
            .header(TIMESTAMP, timestamp.as_str());
        if let Some(key) = &self.key {
            request = request.header(SIGNATURE, signature(key, &timestamp, &body));
        }
        let answer = request.body(body).send().await.map_err(|error| Chain(&error.without_url()).to_string())?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(format!("the receiver answered {status}")),
        }
    }
}

/// `sha256=` and the HMAC of the time, a full stop and the body, so that nobody can send an old one as a new one.
fn signature(key: &hmac::Key, timestamp: &str, body: &str) -> String {
    let tag = hmac::sign(key, format!("{timestamp}.{body}").as_bytes());
    let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={digits}")
}

/// How long to leave somebody alone who did not take it so many times.
fn wait(attempts: i32) -> Duration {
    let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1).max(0).unsigned_abs());
    WAIT.0.saturating_mul(doubled).min(WAIT.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_take_it_is_asked_more_and_more_rarely() {
        for (attempts, seconds) in [(1, 5), (2, 10), (3, 20), (7, 320), (8, 600), (1000, 600), (i32::MAX, 600)] {
            assert_eq!(wait(attempts), Duration::from_secs(seconds), "{attempts}");
        }
    }

    #[test]
    fn the_signature_is_an_hmac_of_time_and_body() {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        let text = "The quick brown fox jumps over the lazy dog";
        let tag = hmac::sign(&key, text.as_bytes());
        let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digits, "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8");
        assert_ne!(signature(&key, "1", "2"), signature(&key, "2", "1"));
        assert_eq!(signature(&key, "1", "2").len(), "sha256=".len() + 64);
    }

    #[test]
    fn an_address_that_is_none_is_refused_without_repeating_it() {
        for url in ["hook", "ftp://host/s3cret", "https://:80/s3cret"] {
            let options = AlertOptions {
                url: Secret::new(url),
                secret: None,
                url_file: None,
                secret_file: None,
                timeout: Duration::from_secs(1),
            };
            let refused = Hook::new(&options).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(refused.contains("alert.webhook_url") && !refused.contains("s3cret"), "{url}: {refused}");
            assert!(!format!("{options:?}").contains("s3cret"));
        }
    }
}
