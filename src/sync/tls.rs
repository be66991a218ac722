//! TLS to a source: ring, and the roots that the machine trusts, or those of a file and no others. May not weaken
//! verification in any way.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use crate::sync::source::SourceError;

/// A configuration that verifies.
pub(super) fn verifying(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, SourceError> {
    let provider = Arc::new(ring::default_provider());
    let failed = |error: rustls::Error| SourceError::Unusable(format!("TLS cannot be set up: {error}"));
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let config = match ca_file {
        Some(path) => builder.with_root_certificates(roots(path)?).with_no_client_auth(),
        None => {
            let verifier = Verifier::new(provider).map_err(failed)?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
        }
    };
    Ok(Arc::new(config))
}

/// One for a server that is spoken to without TLS: it would trust nobody, and needs no roots of the machine.
pub(super) fn none() -> Result<Arc<ClientConfig>, SourceError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|error| SourceError::Unusable(format!("TLS cannot be set up: {error}")))?;
    Ok(Arc::new(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth()))
}

fn roots(path: &Path) -> Result<RootCertStore, SourceError> {
    let unusable = |why: String| SourceError::Unusable(format!("the file {} cannot be used: {why}", path.display()));
    let found = CertificateDer::pem_file_iter(path).map_err(|error| unusable(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in found {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    if roots.is_empty() { Err(unusable("it holds no certificate".to_owned())) } else { Ok(roots) }
}
