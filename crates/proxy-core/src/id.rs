//! The ids and names that routing depends on, each a type of its own so that one can never stand in for another.

use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// The text form of 128 random bits in unpadded base64url.
const RANDOM_LENGTH: usize = 22;

/// Why a text is not the id it was taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}")]
pub struct InvalidId {
    what: &'static str,
}

/// Names one proxy process, so that replicas on one queue tell their messages apart.
///
/// 128 random bits as 22 characters of `A-Z a-z 0-9 - _`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct InstanceId(Box<str>);

impl InstanceId {
    /// A new random instance.
    pub fn random() -> Self {
        Self(random_text().into())
    }

    /// Takes a kept instance id back.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        if is_random_text(text) { Ok(Self(text.into())) } else { Err(InvalidId { what: "instance id" }) }
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "InstanceId({})", abbreviated(&self.0))
    }
}

/// Names the path of one session or exchange over a backend, and is proposed to the far end as its session id.
///
/// `{instance id}.{128 random bits}`: 45 characters of `A-Z a-z 0-9 - _ .`. Unguessable, since whoever knows it can address
/// the session over a shared transport.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteKey(Arc<str>);

impl RouteKey {
    /// A new path of this instance.
    pub fn random(instance: &InstanceId) -> Self {
        Self(format!("{}.{}", instance.as_str(), random_text()).into())
    }

    /// Reads a route key, of whichever instance.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        match text.split_once('.') {
            Some((instance, random)) if is_random_text(instance) && is_random_text(random) => {
                Ok(Self(text.into()))
            }
            _ => Err(InvalidId { what: "route key" }),
        }
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The instance that made it.
    pub fn instance(&self) -> InstanceId {
        InstanceId(self.0[..RANDOM_LENGTH].into())
    }

    /// Whether this instance made it.
    pub fn belongs_to(&self, instance: &InstanceId) -> bool {
        self.0.get(..RANDOM_LENGTH) == Some(instance.as_str())
    }
}

impl fmt::Debug for RouteKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RouteKey({})", abbreviated(&self.0[RANDOM_LENGTH + 1..]))
    }
}

/// The JSON-RPC id that a request carries on the wire: `{route key}:{sequence number}`.
///
/// A JSON-RPC server must echo it, so the answer finds its way from it alone. It also stands in for the progress token.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WireId {
    route: RouteKey,
    number: u64,
}

impl WireId {
    /// The id of the request with this number in its route.
    pub fn new(route: RouteKey, number: u64) -> Self {
        Self { route, number }
    }

    /// Reads a wire id, of whichever instance.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let invalid = InvalidId { what: "wire id" };
        let (route, number) = text.rsplit_once(':').ok_or(invalid)?;
        let parsed: u64 = number.parse().map_err(|_| invalid)?;
        if parsed.to_string() != number {
            return Err(invalid);
        }
        Ok(Self { route: RouteKey::parse(route).map_err(|_| invalid)?, number: parsed })
    }

    /// The path it travels.
    pub fn route(&self) -> &RouteKey {
        &self.route
    }

    /// Its sequence number in the route.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl fmt::Display for WireId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.route.as_str(), self.number)
    }
}

impl fmt::Debug for WireId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "WireId({:?}:{})", self.route, self.number)
    }
}

/// The session id that an HTTP client holds (`Mcp-Session-Id`). A credential: it never travels to a backend or into a log.
///
/// 256 random bits as 43 visible ASCII characters (MCP 2025-11-25, basic/transports, session management).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SessionId(Box<str>);

impl SessionId {
    /// A new session id.
    pub fn random() -> Self {
        Self(URL_SAFE_NO_PAD.encode(random_bytes::<32>()).into())
    }

    /// Reads what a client sent: 1 to 256 characters of 0x21 to 0x7E.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        if is_visible_ascii(text, 256) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId { what: "session id" })
        }
    }

    /// The text for the client's header. Nothing else may see it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SessionId(…)")
    }
}

/// The session id that the far end chose, where it is not the one that we proposed.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RemoteSession(Box<str>);

impl RemoteSession {
    /// Reads what the far end sent: 1 to 1,024 characters of 0x21 to 0x7E.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        if is_visible_ascii(text, 1024) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidId { what: "session id of the far end" })
        }
    }

    /// The text form, for the far end only.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RemoteSession {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RemoteSession({})", abbreviated(&self.0))
    }
}

fn abbreviated(text: &str) -> String {
    let shown: String = text.chars().take(6).collect();
    format!("{shown}…")
}

fn is_visible_ascii(text: &str, longest: usize) -> bool {
    !text.is_empty() && text.len() <= longest && text.bytes().all(|byte| (0x21..=0x7e).contains(&byte))
}

fn is_random_text(text: &str) -> bool {
    text.len() == RANDOM_LENGTH
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn random_text() -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<16>())
}

#[expect(clippy::expect_used, reason = "without the system's randomness no id is safe to give out")]
fn random_bytes<const LENGTH: usize>() -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wire_id_survives_its_text_form() {
        let route = RouteKey::random(&InstanceId::random());
        let wire = WireId::new(route, 42);
        assert_eq!(WireId::parse(&wire.to_string()), Ok(wire));
    }

    #[test]
    fn only_what_we_could_have_made_is_a_wire_id() {
        let route = RouteKey::random(&InstanceId::random());
        for text in [
            "",
            "1",
            "server-error",
            "a.b:1",
            &format!("{}:", route.as_str()),
            &format!("{}:01", route.as_str()),
            &format!("{}:+1", route.as_str()),
        ] {
            assert!(WireId::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_route_key_names_its_instance() {
        let ours = InstanceId::random();
        let route = RouteKey::random(&ours);
        assert_eq!(route.instance(), ours);
        assert!(route.belongs_to(&ours));
        assert!(!route.belongs_to(&InstanceId::random()));
    }

    #[test]
    fn debug_output_shows_no_whole_id() {
        let session = SessionId::random();
        assert!(!format!("{session:?}").contains(session.expose()));
        let route = RouteKey::random(&InstanceId::random());
        assert!(!format!("{route:?}").contains(&route.as_str()[RANDOM_LENGTH + 1..]));
    }
}
