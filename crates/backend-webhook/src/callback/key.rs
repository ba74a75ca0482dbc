//! The secrets in the callback URLs.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use proxy_core::{
    error::{BackendError, ErrorKind},
    id::RouteKey,
};
use sha2::Sha256;

/// The key of one process, which makes a secret of each route key.
///
/// asyncmcp logs session ids, and so route keys: who reads them there must not be able to post to the session. The secret is an
/// HMAC-SHA256 of the route key, so nothing has to be kept for it.
pub(super) struct CallbackKey(Hmac<Sha256>);

impl CallbackKey {
    /// A random key.
    ///
    /// # Errors
    /// `Unavailable` where the operating system gives no random bytes.
    pub(super) fn random() -> Result<Self, BackendError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| {
            BackendError::new(ErrorKind::Unavailable, "start", "the operating system gives no random bytes")
                .with_source(error)
        })?;
        Hmac::new_from_slice(&bytes).map(Self).map_err(|error| {
            BackendError::new(ErrorKind::Config, "start", "the key of the callbacks has a wrong length")
                .with_source(error)
        })
    }

    /// The secret of this route: 43 characters of base64url.
    pub(super) fn secret_of(&self, route: &RouteKey) -> String {
        URL_SAFE_NO_PAD.encode(self.mac(route).finalize().into_bytes())
    }

    /// Whether this is the secret of this route. Takes as long for a wrong one as for the right one.
    pub(super) fn is_secret_of(&self, route: &RouteKey, secret: &str) -> bool {
        let Ok(tag) = URL_SAFE_NO_PAD.decode(secret) else { return false };
        self.mac(route).verify_slice(&tag).is_ok()
    }

    fn mac(&self, route: &RouteKey) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(route.as_str().as_bytes());
        mac
    }
}

impl std::fmt::Debug for CallbackKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("CallbackKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use proxy_core::id::InstanceId;

    use super::*;

    #[test]
    fn a_secret_is_good_for_its_own_route_and_process_only() {
        let instance = InstanceId::random();
        let (route, other) = (RouteKey::random(&instance), RouteKey::random(&instance));
        let (key, elsewhere) = (CallbackKey::random().unwrap(), CallbackKey::random().unwrap());
        let secret = key.secret_of(&route);
        assert_eq!(secret.len(), 43);
        assert!(key.is_secret_of(&route, &secret));
        assert!(!key.is_secret_of(&other, &secret));
        assert!(!elsewhere.is_secret_of(&route, &secret));
        for wrong in ["", "x", &secret[..42], &format!("{secret}A"), &format!("{secret}=")] {
            assert!(!key.is_secret_of(&route, wrong), "{wrong:?}");
        }
    }
}
