//! Which addresses that a peer names may be written to.
//!
//! Reading order: `url` (what is a URL here at all), `pattern` (what an operator writes), `glob`.

mod glob;
mod pattern;
mod url;

use self::{
    pattern::{Pattern, TopicPattern, UrlPattern},
    url::Url,
};
use crate::{config::Problem, proxy_context::ReplyAddress};

/// What may be written in a list of patterns, for its problems.
const FORMS: &str =
    "write a queue URL, a topic ARN or an http(s) URL, such as https://hooks.example.com/mcp/*";

/// The addresses that may be written to, though a peer names them: patterns of queue URLs, topic ARNs and URLs, in which `*` stands
/// for any characters.
///
/// - In the host of a URL a `*` stands for none of `/ : @ ? #`, a URL with user name or password is never allowed, and one that two
///   programs could read differently (control characters, backslashes, `..` in its path, numbers that are addresses in disguise)
///   neither.
/// - What an operator wrote as a URL holds for queues and for webhooks, as an ARN for topics. What stands in where nothing is
///   configured is narrower: a transport's own neighbourhood holds for its queues and topics only, and webhooks may be on this
///   machine (`localhost`, `127.0.0.0/8`, `::1`), as may queues where the transport's own are.
#[derive(Debug, Clone)]
pub struct AddressRules {
    /// For queues.
    queues: Vec<UrlPattern>,
    /// For webhooks.
    webhooks: Vec<UrlPattern>,
    topics: Vec<TopicPattern>,
    /// Whether webhooks may be anywhere on this machine.
    webhooks_on_loopback: bool,
    /// Whether queues may be anywhere on this machine.
    queues_on_loopback: bool,
}

impl AddressRules {
    /// What an operator wrote, under this key.
    ///
    /// # Errors
    /// Each pattern that can match nothing, or everything by accident.
    pub fn configured(key: &str, patterns: &[String]) -> Result<Self, Vec<Problem>> {
        let mut rules = Self::none();
        let mut problems = Vec::new();
        for text in patterns {
            match Pattern::parse(text).and_then(Pattern::narrow_enough) {
                Ok(Pattern::Url(pattern)) => {
                    rules.queues.push(pattern.clone());
                    rules.webhooks.push(pattern);
                }
                Ok(Pattern::Topic(pattern)) => rules.topics.push(pattern),
                Err(wrong) => problems.push(Problem::new(key, format!("has {text:?}, {wrong}"), FORMS)),
            }
        }
        if problems.is_empty() { Ok(rules) } else { Err(problems) }
    }

    /// What holds where nothing is configured: these patterns, and URLs of this machine. A pattern that is none allows nothing.
    pub fn neighbourhood(patterns: Vec<String>) -> Self {
        let mut rules = Self { webhooks_on_loopback: true, ..Self::none() };
        for text in patterns {
            match Pattern::parse(&text) {
                Ok(Pattern::Url(pattern)) => {
                    rules.queues_on_loopback |= pattern.is_loopback();
                    rules.queues.push(pattern);
                }
                Ok(Pattern::Topic(pattern)) => rules.topics.push(pattern),
                Err(wrong) => tracing::warn!(pattern = text, %wrong, "an address pattern allows nothing"),
            }
        }
        rules
    }

    /// Whether this address may be written to.
    pub fn allow(&self, address: &ReplyAddress) -> bool {
        match address {
            ReplyAddress::Sqs(text) => Url::parse(text).filter(Url::is_queue).is_some_and(|url| {
                (self.queues_on_loopback && url.host.is_loopback())
                    || self.queues.iter().any(|pattern| pattern.matches(&url))
            }),
            ReplyAddress::Sns(text) => self.topics.iter().any(|pattern| pattern.matches(text)),
            ReplyAddress::Url(text) => Url::parse(text).is_some_and(|url| {
                (self.webhooks_on_loopback && url.host.is_loopback())
                    || self.webhooks.iter().any(|pattern| pattern.matches(&url))
            }),
        }
    }

    fn none() -> Self {
        Self {
            queues: Vec::new(),
            webhooks: Vec::new(),
            topics: Vec::new(),
            webhooks_on_loopback: false,
            queues_on_loopback: false,
        }
    }
}

#[cfg(test)]
mod tests;
