//! Layer 4: plays an identity provider against any SCIM server, and says what was wrong with the answers.
//!
//! For the demo, for load, and for acceptance on a customer's staging. It speaks HTTP only, and shares nothing with
//! `scim`, `directory` or `http`, so that it cannot share their bugs. A provider is one file in `profile`: the exact
//! requests, headers and orders of the real one, cited by quirk number.

pub mod check;
pub mod client;
pub mod latency;
pub mod ledger;
pub mod load;
pub mod people;
pub mod profile;
mod progress;
mod recorder;
pub mod report;
pub mod session;
pub mod wire;

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use client::{ClientError, Service};
use profile::{Idp, Profile};
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
    /// How to authenticate.
    pub credential: Credential,
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

/// How the provider authenticates.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A token, sent as the provider sends it.
    Token(Secret),
    /// HTTP Basic (OPP-10, PING-1).
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: Secret,
    },
}

impl Credential {
    fn authorization(&self, idp: &dyn Idp) -> String {
        match self {
            Self::Token(token) => idp.authorization(token.expose()),
            Self::Basic { user, password } => {
                format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{}", password.expose())))
            }
        }
    }
}

/// Plays the session. When `stop` is done it ends early, and cleans up all the same.
///
/// # Errors
/// The URL or the credential cannot be used. What the server does wrong is in the report.
pub async fn run(options: Options, stop: impl Future<Output = ()>) -> Result<Report, ClientError> {
    let service = Arc::new(Service::new(&options.url, options.extra_ca.as_deref())?);
    let idp = options.profile.idp();
    let headers = client::headers(&idp.headers(), &options.credential.authorization(&*idp))?;
    let recorder = Arc::new(Recorder::new(options.budget));
    let wire = || Wire::new(service.clone(), headers.clone(), recorder.clone(), idp.patience()).speaking(idp.manner());
    let wires = (0..options.connections.max(1)).map(|_| wire()).collect();
    let stage = Stage { wires, progress: options.progress };
    let session = Session { idp, stage, size: options.size, seed: options.seed, recorder: recorder.clone() };
    let mut played = std::pin::pin!(session.play());
    tokio::select! {
        () = &mut played => return Ok(recorder.report()),
        () = stop => recorder.stop(),
    }
    played.await;
    Ok(recorder.report())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_sent_as_rfc_7617_says() {
        let credential = Credential::Basic { user: "Aladdin".into(), password: Secret::new("open sesame") };
        let idp = Profile::OktaOpp.idp();
        assert_eq!(credential.authorization(&*idp), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }
}
