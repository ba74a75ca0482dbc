//! JSON-RPC ids and progress tokens: a string or a number, kept with their type.

use std::fmt;

use super::parse::json_string;

/// A JSON-RPC request id. `1` and `"1"` are different ids, and each comes back as it was.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(Scalar);

/// A progress token (2025-11-25, basic/utilities/progress): a string or a number.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProgressToken(Scalar);

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Scalar {
    /// The digits as they were written, so that no precision is lost.
    Number(Box<str>),
    /// The decoded characters.
    String(Box<str>),
}

impl RequestId {
    /// The string id with these characters.
    pub fn string(text: impl Into<Box<str>>) -> Self {
        Self(Scalar::String(text.into()))
    }

    /// The number id.
    pub fn number(number: i64) -> Self {
        Self(Scalar::Number(number.to_string().into()))
    }

    /// Reads the JSON text of an id; `None` for null and anything that is neither string nor number.
    pub(crate) fn from_json(text: &str) -> Option<Self> {
        Scalar::from_json(text).map(Self)
    }

    /// Its JSON text.
    pub fn to_json(&self) -> String {
        self.0.to_json()
    }

    /// The characters of a string id.
    pub fn as_string(&self) -> Option<&str> {
        self.0.as_string()
    }

    /// The id without quotes, for a transport's own header or attribute.
    pub fn as_text(&self) -> &str {
        match &self.0 {
            Scalar::String(text) | Scalar::Number(text) => text,
        }
    }
}

impl ProgressToken {
    /// The string token with these characters.
    pub(crate) fn string(text: impl Into<Box<str>>) -> Self {
        Self(Scalar::String(text.into()))
    }

    /// Reads the JSON text of a token.
    pub(crate) fn from_json(text: &str) -> Option<Self> {
        Scalar::from_json(text).map(Self)
    }

    /// Its JSON text.
    pub fn to_json(&self) -> String {
        self.0.to_json()
    }

    /// The characters of a string token.
    pub fn as_string(&self) -> Option<&str> {
        self.0.as_string()
    }
}

impl Scalar {
    fn as_string(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Number(_) => None,
        }
    }

    fn from_json(text: &str) -> Option<Self> {
        match text.as_bytes().first()? {
            b'"' => serde_json::from_str::<Box<str>>(text).ok().map(Self::String),
            b'-' | b'0'..=b'9' => Some(Self::Number(text.into())),
            _ => None,
        }
    }

    fn to_json(&self) -> String {
        match self {
            Self::Number(digits) => digits.to_string(),
            Self::String(text) => json_string(text),
        }
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(digits) => formatter.write_str(digits),
            Self::String(text) => fmt::Debug::fmt(text, formatter),
        }
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RequestId({:?})", self.0)
    }
}

impl fmt::Debug for ProgressToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ProgressToken({:?})", self.0)
    }
}
