//! The webhook backend: requests are posted to an asyncmcp server, and everything that it sends comes to callback URLs.
//!
//! To read it: `backend`, then `request` (what is posted) and `receipt` (what the server says to that).

pub(crate) mod backend;
pub(crate) mod config;
mod doctor;
mod provision;
mod receipt;
mod request;

pub use self::{doctor::doctor, provision::provision};
