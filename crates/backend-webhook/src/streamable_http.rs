//! The StreamableHTTP+webhook backend: the proxy is a Streamable HTTP client of the server, and takes the answers of webhook tools
//! at a callback URL.
//!
//! To read it: `backend`, then `exchange` (one request and its answer), `listen` (the standalone stream), `resume`; below them
//! `server`, `events` and `delivery`; at the bottom `pool` and `connection`.

pub(crate) mod backend;
mod callbacks;
pub(crate) mod config;
mod connection;
mod delivery;
mod doctor;
mod events;
mod exchange;
mod listen;
mod open;
mod pool;
mod provision;
mod refusal;
mod requests;
mod resume;
mod server;
mod streams;

pub use self::{doctor::doctor, provision::provision};
