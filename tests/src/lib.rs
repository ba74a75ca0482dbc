//! What the end-to-end tests are made of: real clients and servers as processes, the emulator, and the proxy's own binary.
//!
//! `fixtures` knows what `cargo xtask setup` installed, `process` runs programs and stops them, `proxy` is the binary under
//! test, `world` puts an emulator, a server and a proxy together, and `http` is a client that sends what no SDK would.

pub mod fixtures;
pub mod http;
pub mod process;
pub mod proxy;
pub mod world;
