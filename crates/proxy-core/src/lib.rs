//! The core of the MCP async transport proxy: messages, ids, exchanges, sessions, replay and the contracts.
//!
//! No sockets, no HTTP, no AWS. To read it: `message`, then `backend` (the contract with the transports).

pub mod backend;
pub mod config;
pub mod error;
pub mod id;
pub mod message;
pub mod version;
