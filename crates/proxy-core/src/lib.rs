//! The core of the MCP async transport proxy: messages, ids, exchanges, sessions, replay and the contracts.
//!
//! No sockets, no HTTP, no AWS. To read it: `message`, then `backend` (the contract with the transports).

pub mod backend;
mod backend_metrics;
pub mod config;
pub mod error;
pub mod id;
pub mod message;
mod metrics;
pub mod operator;
mod principal;
mod proxy;
mod refusal;
mod reply;
mod router;
mod state;
mod version;

pub use self::{
    backend_metrics::BackendMetrics,
    metrics::method_label,
    principal::Principal,
    proxy::{Opened, Proxy},
    refusal::Refusal,
    reply::{EventStream, Media, Pending, Reply, StreamEvent},
    router::Router,
    version::ProtocolVersion,
};
