//! Test parts of the proxy: what tests, benches and the demo put in the place of the outside world.

pub mod emulator;
pub mod relay;
