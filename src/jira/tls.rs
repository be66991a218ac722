//! The TLS side of the one client: ring, named explicitly so that no process-wide provider has to be installed, and the
//! roots that the machine trusts plus those of the configuration. May not weaken verification in any way.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls_platform_verifier::Verifier;

use super::client::ClientError;

/// A configuration for `https`; `extra_ca` holds further roots as PEM.
pub(super) fn verifying(extra_ca: Option<&[u8]>) -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(ring::default_provider());
    let extra = extra_ca.map(certificates).transpose()?.unwrap_or_default();
    let verifier = Verifier::new_with_extra_roots(extra, provider.clone())?;
    let config = versions(provider)?.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Ok(config.with_no_client_auth())
}

/// A configuration that trusts nobody, for a base URL in plain `http`: without redirects it is never used, and it spares
/// an image without any root certificates an error.
pub(super) fn trusting_nobody() -> Result<ClientConfig, ClientError> {
    let provider = Arc::new(ring::default_provider());
    Ok(versions(provider)?.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
}

/// A configuration for an address, with the roots that the machine trusts.
///
/// # Errors
/// TLS cannot be set up.
pub fn tls_for(url: &url::Url) -> Result<ClientConfig, ClientError> {
    if url.scheme() == "https" { verifying(None) } else { trusting_nobody() }
}

fn versions(
    provider: Arc<CryptoProvider>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, ClientError> {
    Ok(ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let found = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| ClientError::Certificate(Some(source)))?;
    if found.is_empty() { Err(ClientError::Certificate(None)) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_companys_own_authority_is_accepted_as_pem() {
        let own = rcgen::generate_simple_self_signed(["jira.example.test".to_owned()]).unwrap();
        assert!(verifying(Some(own.cert.pem().as_bytes())).is_ok());
    }

    #[test]
    fn a_file_without_a_certificate_is_an_error_rather_than_silently_nothing() {
        assert!(matches!(verifying(Some(b"not a certificate")), Err(ClientError::Certificate(None))));
    }

    #[test]
    fn plain_http_needs_no_roots() {
        assert!(trusting_nobody().is_ok());
    }
}
