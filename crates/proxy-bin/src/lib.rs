//! The MCP proxy as a program: command line, configuration and wiring, for the binary `proxy-bin` and for tests.
//!
//! To read it: `config`, then `commands`.

pub mod config;
