//! Test parts of the proxy: what tests, benches and the demo put in the place of the outside world.

pub mod chaos;
pub mod contract;
mod counted;
pub mod emulator;
pub mod intake_contract;
pub mod load;
pub mod memory;
pub mod memory_intake;
pub mod relay;
pub mod server;
mod test_proxy;

pub use memory_intake::{MemoryIntake, MemoryTransport};
pub use test_proxy::{TestProxy, proxy, proxy_with};
