//! The published revisions of MCP and what they decide for a front end.

use std::fmt;

/// A legacy-era MCP revision, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProtocolVersion {
    /// 2024-11-05.
    V2024_11_05,
    /// 2025-03-26.
    V2025_03_26,
    /// 2025-06-18.
    V2025_06_18,
    /// 2025-11-25.
    V2025_11_25,
}

impl ProtocolVersion {
    /// All of them, oldest first.
    pub const ALL: [Self; 4] = [Self::V2024_11_05, Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25];

    /// The newest revision with a handshake: what a client that asks for an unknown one is offered (2025-11-25,
    /// basic/lifecycle, version negotiation).
    pub const LATEST: Self = Self::V2025_11_25;

    /// What a request without a version header is taken for where nothing else tells (2025-06-18, basic/transports).
    pub const ASSUMED: Self = Self::V2025_03_26;

    /// The revision with this date, if it is one of the legacy era.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str() == text)
    }

    /// The date.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
        }
    }

    /// Whether a body may be a JSON-RPC batch: 2025-03-26 alone (2025-03-26, basic; removed by the 2025-06-18 changelog).
    pub fn has_batches(self) -> bool {
        self == Self::V2025_03_26
    }

    /// Whether streams start with a priming event and announce `retry` (2025-11-25, basic/transports).
    pub fn has_priming_events(self) -> bool {
        self >= Self::V2025_11_25
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
