//! The process: how its parts are put together, and in which order they are taken apart.

mod between;
mod core;
mod http;
mod ledger;
mod server;
mod stdio;
mod worker;

pub(crate) use self::{
    between::Between,
    core::{Core, Parted},
    ledger::{state_directory, try_out as try_out_ledger},
    server::Served,
};
pub use self::{http::App, stdio::StdioApp, worker::WorkerApp};
