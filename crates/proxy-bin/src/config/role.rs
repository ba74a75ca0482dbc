//! What a configuration is for.

/// The end of a transport that a process is. A file may hold the settings of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// In front of it: serves MCP clients. Needs a table under `backend`.
    Proxy,
    /// Behind it: runs an MCP server. Needs a table under `intake` and an MCP server in `worker.server`.
    Worker,
}

impl Role {
    /// The table with those of the transports.
    pub(super) fn tables(self) -> &'static str {
        match self {
            Self::Proxy => "backend",
            Self::Worker => "intake",
        }
    }
}
