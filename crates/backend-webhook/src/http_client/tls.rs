//! TLS: rustls with ring, the system's certificates, HTTP/2 offered.

use std::sync::Arc;

use proxy_core::error::{BackendError, BoxError, ErrorKind};
use rustls::{ClientConfig, crypto::ring};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// How a client proves servers.
///
/// # Errors
/// `Config` when the system has no certificates.
pub(crate) fn config() -> Result<ClientConfig, BackendError> {
    build().map_err(|error| {
        let message = "TLS cannot be set up: install the system's certificates (ca-certificates), or name a file in SSL_CERT_FILE";
        BackendError::new(ErrorKind::Config, "start", message).with_source(error)
    })
}

fn build() -> Result<ClientConfig, BoxError> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
