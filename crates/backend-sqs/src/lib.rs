//! The SQS backend of the MCP async transport proxy.

pub mod config;
