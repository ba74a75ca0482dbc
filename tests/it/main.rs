//! The stories. Each starts what it needs and stops it again.

mod bad_messages;
mod clients;
mod conformance;
mod far_end_restart;
mod many_clients;
mod outage;
mod proxy_restart;
mod shutdown;
mod wire;
