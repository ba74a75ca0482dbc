//! The Streamable HTTP front end of the MCP async transport proxy.

pub mod config;
