#![doc = include_str!("../README.md")]
//!
//! To read it: `app` (settings and routes), `endpoint` (the order of checks), `sse`, `serve`; each guard has a module of its
//! own.

mod admin;
mod app;
mod body;
mod config;
mod cors;
mod endpoint;
mod guard;
mod header;
mod media;
mod metrics;
mod rejection;
mod serve;
mod sse;
mod token;

/// Routes that [`App::beside`] serves on the same port.
pub use axum::Router as Routes;

pub use self::{
    app::{App, InvalidConfig, Readiness},
    config::{AuthToken, SecurityConfig, ServerConfig},
    metrics::HttpMetrics,
    serve::{ServeError, serve},
};
