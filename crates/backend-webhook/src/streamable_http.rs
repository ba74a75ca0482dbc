//! Both ends of the StreamableHTTP+webhook transport. The proxy's is a Streamable HTTP client of the server, and takes the answers of
//! webhook tools at a callback URL. The worker's is such a server.
//!
//! To read it: `backend`, then `exchange` (one request and its answer), `listen` (the standalone stream), `resume`; below them
//! `server`, `events` and `delivery`; at the bottom `pool` and `connection`. For the worker: `intake`.

pub(crate) mod backend;
mod callbacks;
pub(crate) mod config;
mod connection;
mod delivery;
mod doctor;
mod events;
mod exchange;
pub(crate) mod intake;
mod listen;
mod open;
mod pool;
mod provision;
mod refusal;
mod requests;
mod resume;
mod server;
mod streams;

pub use self::{
    doctor::doctor,
    intake::{intake_doctor, intake_provision},
    provision::provision,
};
