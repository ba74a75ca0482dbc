//! The settings of the HTTP front end: where it listens, and whom it serves.

mod security;
mod server;

pub use security::{AuthToken, SecurityConfig};
pub use server::ServerConfig;
