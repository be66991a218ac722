//! The credential that goes with each call. Where it comes from a file, the file is looked at every few seconds while there are
//! calls, and at once when Jira does not accept what was sent: so that a secret is replaced without a restart, and without a
//! call that fails for good. What cannot be read, or cannot be sent, changes nothing.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use reqwest::header::{HeaderValue, InvalidHeaderValue};

use super::client::Credential;

/// How often a file is looked at.
pub(super) const LOOK: Duration = Duration::from_secs(5);
/// The largest file, in bytes.
const LARGEST: usize = 64 << 10;

pub(super) struct Keys {
    credential: Credential,
    file: Option<PathBuf>,
    every: Duration,
    header: RwLock<HeaderValue>,
    looked: Mutex<Instant>,
}

impl Keys {
    pub(super) fn new(
        credential: Credential,
        file: Option<PathBuf>,
        every: Duration,
    ) -> Result<Self, InvalidHeaderValue> {
        let header = RwLock::new(credential.header()?);
        Ok(Self { credential, file, every, header, looked: Mutex::new(Instant::now()) })
    }

    /// What is sent now.
    pub(super) async fn header(&self) -> HeaderValue {
        if self.file.is_some() && self.is_due() {
            self.look().await;
        }
        self.current()
    }

    /// After a call that was not accepted: whether there is another secret than the one that was sent.
    pub(super) async fn changed_since(&self, sent: &HeaderValue) -> bool {
        if self.file.is_some() && self.current() == *sent {
            self.look().await;
        }
        self.current() != *sent
    }

    fn current(&self) -> HeaderValue {
        self.header.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_due(&self) -> bool {
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = looked.elapsed() >= self.every;
        if due {
            *looked = Instant::now();
        }
        due
    }

    async fn look(&self) {
        let Some(file) = &self.file else { return };
        let read = tokio::fs::read(file).await.ok().filter(|bytes| bytes.len() <= LARGEST);
        let text = read.and_then(|bytes| String::from_utf8(bytes).ok());
        let Some(secret) = text.as_deref().map(str::trim).filter(|secret| !secret.is_empty()) else {
            // It may be half-way replaced.
            return tracing::debug!(path = %file.display(), "the file with a target's secret cannot be read now");
        };
        let Ok(header) = self.credential.with_secret(secret).header() else {
            return tracing::warn!(path = %file.display(), "the file holds a secret that cannot be sent in an HTTP header");
        };
        let mut current = self.header.write().unwrap_or_else(PoisonError::into_inner);
        if *current != header {
            *current = header;
            tracing::info!(event = "secret.replaced", path = %file.display(), "a target's secret was replaced");
        }
    }
}
