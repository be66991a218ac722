//! One question to a SCIM server, and the answer within bounds of time and size. Follows redirects within the server only.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{ACCEPT, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{StatusCode, Url};
use serde_json::Value;

use crate::config::{ScimConfig, ScimLogin, ScimVersion};
use crate::sync::source::SourceError;
use crate::sync::tls;
use crate::telemetry::Chain;

/// The largest answer, in bytes.
const LARGEST: usize = 64 << 20;
/// Redirects after each other.
const REDIRECTS: usize = 3;
/// The wait before a busy server is asked again that does not say how long.
const WAIT: Duration = Duration::from_secs(5);
/// The most of a server's own words that is repeated, in characters.
const WORDS: usize = 300;

/// Asks.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    login: Option<ScimLogin>,
    timeout: Duration,
}

/// What came of a question.
#[derive(Debug)]
pub(super) enum Heard {
    /// An answer.
    Body(Vec<u8>),
    /// There is nothing of that name.
    Missing,
    /// It is to be asked again after that time.
    Later(Duration),
}

impl Client {
    pub(super) fn new(config: &ScimConfig) -> Result<Self, SourceError> {
        let unusable = |why: String| SourceError::Unusable(format!("{} cannot be asked: {why}", config.url));
        let base = Url::parse(&config.url).map_err(|error| unusable(error.to_string()))?;
        let tls = if base.scheme() == "https" { tls::verifying(config.ca_file.as_deref())? } else { tls::none()? };
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(Arc::unwrap_or_clone(tls))
            .user_agent(concat!("jira-scim/", env!("CARGO_PKG_VERSION")))
            .redirect(within_the_server())
            .referer(false)
            .retry(reqwest::retry::never())
            .no_proxy()
            .timeout(config.timeout)
            .build()
            .map_err(|error| unusable(Chain(&error).to_string()))?;
        Ok(Self { http, base, login: config.login.clone(), timeout: config.timeout })
    }

    /// GETs what is at this place below the address.
    ///
    /// # Errors
    /// It cannot be reached, lets nobody in, or answers what cannot be used.
    pub(super) async fn get(
        &self,
        version: Option<ScimVersion>,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Heard, SourceError> {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let media = match version {
            Some(ScimVersion::V1) => "application/json",
            Some(ScimVersion::V2) | None => "application/scim+json, application/json",
        };
        let request = self.http.get(url).header(ACCEPT, media);
        let request = match &self.login {
            Some(ScimLogin::Token(token)) => request.bearer_auth(token.expose()),
            Some(ScimLogin::Password { username, password }) => request.basic_auth(username, Some(password.expose())),
            None => request,
        };
        let mut answer = request.send().await.map_err(|error| self.lost(error))?;
        let (status, later) = (answer.status(), wait(answer.headers()));
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.lost(error))? {
            if body.len() + chunk.len() > LARGEST {
                return Err(SourceError::Unusable(format!(
                    "{} answers more than {} MiB at once; ask for less (page_size, members = \"each\")",
                    self.base,
                    LARGEST >> 20
                )));
            }
            body.extend_from_slice(&chunk);
        }
        self.judge(status, later, path, body)
    }

    fn judge(&self, status: StatusCode, later: Duration, path: &[&str], body: Vec<u8>) -> Result<Heard, SourceError> {
        let told = || format!("{}{}", status.as_u16(), words(&body));
        match status.as_u16() {
            200 => Ok(Heard::Body(body)),
            404 => Ok(Heard::Missing),
            401 | 403 => Err(SourceError::Denied { address: self.base.to_string(), who: self.who(), why: told() }),
            429 | 503 => Ok(Heard::Later(later)),
            300..=399 => Err(SourceError::Unusable(format!(
                "{} is redirected to another server, where the credential does not go",
                self.place(path)
            ))),
            500..=599 => Err(self.unreachable(format!("it answers {}", told()))),
            _ => Err(SourceError::Unusable(format!("{} is answered with {}", self.place(path), told()))),
        }
    }

    fn place(&self, path: &[&str]) -> String {
        format!("{}/{}", self.base.as_str().trim_end_matches('/'), path.join("/"))
    }

    fn who(&self) -> String {
        match &self.login {
            Some(ScimLogin::Token(_)) => "the bearer of the token".to_owned(),
            Some(ScimLogin::Password { username, .. }) => username.clone(),
            None => "somebody without a credential".to_owned(),
        }
    }

    /// That it does not answer.
    pub(super) fn unreachable(&self, why: String) -> SourceError {
        SourceError::Unreachable { address: self.base.to_string(), why }
    }

    fn lost(&self, error: reqwest::Error) -> SourceError {
        if error.is_timeout() {
            return self.unreachable(format!("it did not answer within {} seconds", self.timeout.as_secs_f32()));
        }
        if error.is_redirect() {
            return SourceError::Unusable(format!("{} redirects in a circle", self.base));
        }
        // The address has the filter in it, which may name people.
        self.unreachable(Chain(&error.without_url()).to_string())
    }
}

/// Redirects lead to the same scheme, host and port, and there are few of them.
fn within_the_server() -> Policy {
    Policy::custom(|attempt| {
        let same = attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
        if !same {
            return attempt.stop();
        }
        if attempt.previous().len() > REDIRECTS {
            return attempt.error("too many redirects");
        }
        attempt.follow()
    })
}

fn wait(headers: &HeaderMap) -> Duration {
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    seconds.map_or(WAIT, Duration::from_secs)
}

/// What a server says of its refusal, in short.
fn words(body: &[u8]) -> String {
    let document = serde_json::from_slice::<Value>(body).unwrap_or_default();
    let old = document["Errors"][0]["description"].as_str();
    match document["detail"].as_str().or(old) {
        Some(text) => format!(": {}", text.chars().filter(|c| !c.is_control()).take(WORDS).collect::<String>()),
        None => String::new(),
    }
}
