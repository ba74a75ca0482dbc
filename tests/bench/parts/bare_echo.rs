//! What HTTP itself costs with the same library and the same generator: axum, and nothing else.

use std::net::Ipv4Addr;

use anyhow::Result;
use axum::{
    Router,
    body::Bytes,
    http::{HeaderName, HeaderValue, header},
    routing::post,
    serve::ListenerExt as _,
};
use tokio::net::TcpListener;

use super::asked::Asked;
use crate::part::say;

pub(super) async fn run() -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    say(&listener.local_addr()?)?;
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            tracing::warn!(%error, "the connection keeps Nagle's delay");
        }
    });
    let router = Router::new().route("/mcp", post(echo));
    let mut asked = Asked::listen();
    tokio::select! {
        served = axum::serve(listener, router) => Ok(served?),
        () = asked.closed() => Ok(()),
    }
}

async fn echo(body: Bytes) -> ([(HeaderName, HeaderValue); 1], Bytes) {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body)
}
