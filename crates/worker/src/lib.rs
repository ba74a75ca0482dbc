//! The far end: ordinary MCP servers behind async transports.
