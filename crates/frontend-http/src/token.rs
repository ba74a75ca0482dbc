//! Static bearer tokens: who a client proves to be (RFC 6750; 2025-11-25, basic/authorization, access token usage).

use axum::http::{HeaderMap, header};
use proxy_core::{Principal, config::Secret};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

use crate::{header::Single, rejection::Rejection};

/// The tokens that are accepted, each a principal's. Without any, everybody is [`Principal::Anonymous`].
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    accepted: Vec<(Principal, Secret)>,
}

impl Tokens {
    /// Each token with its principal's name. Several may be valid at once, so that one can replace another without a gap.
    pub(crate) fn new<'config>(tokens: impl IntoIterator<Item = (&'config str, &'config Secret)>) -> Self {
        let owned = |(name, token): (&str, &Secret)| (Principal::Named(name.into()), token.clone());
        Self { accepted: tokens.into_iter().map(owned).collect() }
    }

    /// Whether a token is required.
    pub(crate) fn are_required(&self) -> bool {
        !self.accepted.is_empty()
    }

    /// Who sends this request. Only the `Authorization` header is read: never the query, never a cookie.
    pub(crate) fn authenticate(&self, headers: &HeaderMap) -> Result<Principal, Rejection> {
        if self.accepted.is_empty() {
            return Ok(Principal::Anonymous);
        }
        let credentials = match Single::of(headers, &header::AUTHORIZATION) {
            Single::Absent => return Err(Rejection::TokenMissing),
            Single::Repeated => return Err(Rejection::TokenInvalid),
            Single::Value(value) => value.as_bytes(),
        };
        let Some(token) = bearer_token(credentials) else { return Err(Rejection::TokenMissing) };
        self.owner(token).cloned().ok_or(Rejection::TokenInvalid)
    }

    /// Compares with every token, each in a time that only its length decides, so that the answer's time tells nothing.
    fn owner(&self, presented: &[u8]) -> Option<&Principal> {
        let mut found = u64::MAX;
        for (index, (_, token)) in (0_u64..).zip(&self.accepted) {
            found.conditional_assign(&index, token.expose().as_bytes().ct_eq(presented));
        }
        let index = usize::try_from(found).ok()?;
        self.accepted.get(index).map(|(principal, _)| principal)
    }
}

/// The token of `Bearer` credentials; the scheme's name is case-insensitive (RFC 9110, section 11.1).
fn bearer_token(credentials: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = credentials.split_at_checked(b"Bearer".len())?;
    if !scheme.eq_ignore_ascii_case(b"Bearer") || token.first() != Some(&b' ') {
        return None;
    }
    Some(token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn tokens() -> Tokens {
        let secrets = ["alpha", "beta"].map(Secret::new);
        Tokens::new(["ci", "ops"].into_iter().zip(&secrets))
    }

    fn with(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (header::AUTHORIZATION, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn each_token_names_its_principal() {
        for (value, name) in [("Bearer alpha", "ci"), ("bearer beta", "ops"), ("BEARER  beta ", "ops")] {
            assert_eq!(tokens().authenticate(&with(&[value])), Ok(Principal::Named(name.into())), "{value}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for value in ["Bearer alph", "Bearer alphaa", "Bearer ", "Bearer alpha beta", "Bearer ALPHA"] {
            assert_eq!(tokens().authenticate(&with(&[value])), Err(Rejection::TokenInvalid), "{value}");
        }
        for value in ["Basic YTpi", "alpha", "Beareralpha", "Bearer"] {
            assert_eq!(tokens().authenticate(&with(&[value])), Err(Rejection::TokenMissing), "{value}");
        }
        assert_eq!(tokens().authenticate(&with(&[])), Err(Rejection::TokenMissing));
        let twice = with(&["Bearer alpha", "Bearer beta"]);
        assert_eq!(tokens().authenticate(&twice), Err(Rejection::TokenInvalid));
    }

    #[test]
    fn without_tokens_everybody_is_anonymous() {
        assert_eq!(Tokens::default().authenticate(&with(&["Bearer x"])), Ok(Principal::Anonymous));
    }

    #[test]
    fn debug_output_shows_no_token() {
        assert!(!format!("{:?}", tokens()).contains("alpha"));
    }
}
