//! Layer 4: plays an identity provider against any SCIM server, and says what was wrong with the answers.
//!
//! For the demo, for load, and for acceptance on a customer's staging. It speaks HTTP only, and shares nothing with
//! `scim`, `directory` or `http`, so that it cannot share their bugs. A provider is one file in `profile`: the exact
//! requests, headers and orders of the real one, cited by quirk number.

pub mod check;
pub mod client;
pub mod latency;
pub mod load;
pub mod people;
pub mod profile;
mod progress;
pub mod report;
pub mod session;
pub mod wire;

use std::sync::Arc;

use client::{ClientError, Service};
use profile::Profile;
use report::Report;
use session::{Session, Size, Stage};
use wire::{Budget, Recorder, Wire};

use crate::secret::Secret;

/// What to play.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who to be.
    pub profile: Profile,
    /// The SCIM base URL: `https://scim.corp.example/scim/acme/v2`.
    pub url: String,
    /// The credential.
    pub token: Secret,
    /// Further certificate authorities to trust, as PEM.
    pub extra_ca: Option<Vec<u8>>,
    /// How much of it.
    pub size: Size,
    /// Connections at the same time.
    pub connections: usize,
    /// Which invented people; the same number gives the same people.
    pub seed: u64,
    /// When to stop early, and whether to go on with other people until then.
    pub budget: Budget,
    /// Show on standard error how far it is.
    pub progress: bool,
}

/// Plays the session.
///
/// # Errors
/// The URL or the credential cannot be used. What the server does wrong is in the report.
pub async fn run(options: Options) -> Result<Report, ClientError> {
    let service = Arc::new(Service::new(&options.url, options.extra_ca.as_deref())?);
    let idp = options.profile.idp();
    let headers = client::headers(&idp.headers(), &idp.authorization(options.token.expose()))?;
    let recorder = Arc::new(Recorder::new(options.budget));
    let wires = (0..options.connections.max(1))
        .map(|_| Wire::new(service.clone(), headers.clone(), recorder.clone(), idp.patience()))
        .collect();
    let stage = Stage { wires, progress: options.progress };
    Session { idp, stage, size: options.size, seed: options.seed, recorder: recorder.clone() }.play().await;
    Ok(recorder.report())
}
