//! What an operator writes for the addresses that may be written to.

use super::{
    glob,
    url::{Cut, Host, Scheme, Url, has_dot_segment, parse_port},
};

/// One pattern.
#[derive(Debug)]
pub(super) enum Pattern {
    Url(UrlPattern),
    Topic(TopicPattern),
}

/// A pattern of URLs.
#[derive(Debug, Clone)]
pub(super) struct UrlPattern {
    scheme: Scheme,
    host: HostPattern,
    /// `None`: any.
    port: Option<u16>,
    /// The path and the query.
    rest: Box<str>,
}

#[derive(Debug, Clone)]
enum HostPattern {
    Exactly(Host),
    /// Numbers and stars: IPv4 addresses.
    Addresses(Box<str>),
    /// In lower case.
    Names(Box<str>),
}

/// A pattern of topic ARNs: `arn:{partition}:sns:{region}:{account}:{name}`.
#[derive(Debug, Clone)]
pub(super) struct TopicPattern {
    partition: Box<str>,
    region: Box<str>,
    account: Box<str>,
    name: Box<str>,
}

impl Pattern {
    /// Reads a pattern, or says why it is none: continues a sentence that quotes it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.starts_with("arn:") {
            TopicPattern::parse(text).map(Self::Topic)
        } else {
            UrlPattern::parse(text).map(Self::Url)
        }
    }

    /// Refuses what matches more than anyone would mean.
    pub(super) fn narrow_enough(self) -> Result<Self, &'static str> {
        match &self {
            Self::Topic(TopicPattern { account, .. }) if glob::is_everything(account) => {
                Err("which allows the topics of every account: name the account")
            }
            Self::Topic(_) => Ok(self),
            Self::Url(pattern) => pattern.too_wide().map_or(Ok(self), Err),
        }
    }
}

impl UrlPattern {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let Cut { scheme, host, port, rest } = Cut::parse(text).ok_or(
            "which is neither an ARN nor a URL of http or https without user name, fragment, spaces and backslashes",
        )?;
        let port = match port {
            None => Some(scheme.default_port()),
            Some("*") => None,
            Some(digits) => Some(parse_port(digits).ok_or("whose port is neither a number nor *")?),
        };
        if has_dot_segment(rest) {
            return Err("whose path has . or .. as a segment, which no address may have");
        }
        Ok(Self { scheme, host: HostPattern::parse(host)?, port, rest: rest.into() })
    }

    pub(super) fn matches(&self, url: &Url<'_>) -> bool {
        let host = match (&self.host, &url.host) {
            (HostPattern::Exactly(host), other) => host == other,
            (HostPattern::Addresses(pattern), Host::V4(address)) => {
                glob::matches(pattern, &address.to_string())
            }
            (HostPattern::Names(pattern), Host::Name(name)) => glob::matches(pattern, name),
            (HostPattern::Addresses(_) | HostPattern::Names(_), _) => false,
        };
        host && self.scheme == url.scheme
            && self.port.is_none_or(|port| port == url.port)
            && glob::matches(&self.rest, url.rest)
    }

    /// Whether all that it matches is on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        matches!(&self.host, HostPattern::Exactly(host) if host.is_loopback())
    }

    fn too_wide(&self) -> Option<&'static str> {
        let HostPattern::Names(host) = &self.host else {
            let HostPattern::Exactly(Host::Name(name)) = &self.host else { return None };
            return (is_of_aws(name) && self.is_every_account())
                .then_some("which allows the queues of every account: name the account in its path");
        };
        let after_star = host.rsplit('*').next().unwrap_or_default();
        if after_star.is_empty() {
            return Some("which allows any domain: end the host with one of yours, as in *.example.com");
        }
        if !after_star.starts_with('.') {
            return Some("which allows other domains with the same ending: write a dot after *");
        }
        (is_of_aws(after_star) && self.is_every_account())
            .then_some("which allows the queues of every account: name the account in its path")
    }

    /// Whether the account, a queue URL's first segment, is left open.
    fn is_every_account(&self) -> bool {
        self.rest.split('/').nth(1).is_some_and(glob::is_everything)
    }
}

impl HostPattern {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if !glob::is_open(text) {
            return Host::parse(text).map(Self::Exactly).ok_or("whose host no address can have");
        }
        if text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'*'))
            && text.bytes().any(|byte| byte.is_ascii_digit())
        {
            return Ok(Self::Addresses(text.into()));
        }
        // with something in each star's place it must be a name
        match Host::parse(&text.replace('*', "a")) {
            Some(Host::Name(_)) => Ok(Self::Names(text.to_ascii_lowercase().into())),
            _ => Err("whose host no address can have"),
        }
    }
}

impl TopicPattern {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let parts = topic_parts(text, |byte| byte == b'*');
        let [partition, region, account, name] = parts
            .ok_or("which is no ARN of a topic (arn:aws:sns:region:account:name); queues are named by URL")?;
        Ok(Self {
            partition: partition.into(),
            region: region.into(),
            account: account.into(),
            name: name.into(),
        })
    }

    pub(super) fn matches(&self, address: &str) -> bool {
        topic_parts(address, |_| false).is_some_and(|[partition, region, account, name]| {
            glob::matches(&self.partition, partition)
                && glob::matches(&self.region, region)
                && glob::matches(&self.account, account)
                && glob::matches(&self.name, name)
        })
    }
}

/// Partition, region, account and name of a topic's ARN; `also` allows more characters than AWS does.
fn topic_parts(text: &str, also: impl Fn(u8) -> bool) -> Option<[&str; 4]> {
    let parts: Vec<&str> = text.split(':').collect();
    let ["arn", partition, "sns", region, account, name] = parts[..] else { return None };
    let plain = |part: &str, marks: &[u8]| {
        !part.is_empty()
            && part.len() <= 262
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || marks.contains(&byte) || also(byte))
    };
    let valid = [partition, region].iter().all(|part| plain(part, b"-"))
        && plain(account, b"")
        && plain(name, b"-_.");
    valid.then_some([partition, region, account, name])
}

/// Whether queues of AWS are at this host, or at hosts that end so.
fn is_of_aws(host: &str) -> bool {
    let ends = |domain: &str| {
        host.strip_suffix(domain).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    };
    ends("amazonaws.com") || ends("amazonaws.com.cn") || ends("api.aws")
}
