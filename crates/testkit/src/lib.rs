//! Test parts of the proxy: what tests, benches and the demo put in the place of the outside world.

pub mod chaos;
pub mod contract;
mod counted;
pub mod emulator;
pub mod load;
pub mod memory;
pub mod relay;
pub mod server;
mod test_proxy;

pub use test_proxy::{TestProxy, proxy, proxy_with};
