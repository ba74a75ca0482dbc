//! What the end-to-end tests are made of: real clients and servers as processes, the emulator, and the proxy's own binary.
//!
//! `fixtures` knows what `cargo xtask setup` installed, `process` runs programs and stops them, `proxy` and `stdio` are the binary
//! under test with its two front ends, `backend` its settings of one backend, `worker` our own far end, `world` puts a server of any `kind`
//! and a proxy together, `tap` reads along what a proxy sends, and `http` is a client that sends what no SDK would.

pub mod backend;
pub mod fixtures;
pub mod http;
pub mod kind;
pub mod process;
pub mod proxy;
pub mod stdio;
mod story;
pub mod tap;
pub mod topics;
pub mod worker;
pub mod world;
