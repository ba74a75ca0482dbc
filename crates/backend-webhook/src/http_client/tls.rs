//! TLS: rustls with ring, the system's certificates, HTTP/2 offered.

use std::sync::Arc;

use proxy_core::error::{BackendError, ErrorKind};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// How a client proves servers. A system without certificates, a bare container say, can still reach servers without TLS.
///
/// # Errors
/// `Config` when rustls cannot be set up.
pub(crate) fn config() -> Result<ClientConfig, BackendError> {
    let builder = || {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        builder.with_safe_default_protocol_versions().map_err(cannot)
    };
    let mut config = match builder()?.with_platform_verifier() {
        Ok(builder) => builder.with_no_client_auth(),
        Err(error) => {
            tracing::warn!(
                %error,
                "no https server can be reached: install the system's certificates (ca-certificates), or name a file in SSL_CERT_FILE"
            );
            builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn cannot(error: rustls::Error) -> BackendError {
    BackendError::new(ErrorKind::Config, "start", "TLS cannot be set up").with_source(error)
}
