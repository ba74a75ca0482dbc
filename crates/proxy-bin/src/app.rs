//! The process: how its parts are put together, and in which order they are taken apart.

mod core;
mod http;
mod stdio;

pub(crate) use self::core::{Core, Parted};
pub use self::{http::App, stdio::StdioApp};
