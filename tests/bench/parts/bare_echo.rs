//! What HTTP itself costs with the same library and the same generator: axum, and nothing else.

use anyhow::Result;
use axum::{
    Router,
    body::Bytes,
    http::{HeaderName, HeaderValue, header},
    routing::post,
};

use super::{asked::Asked, listening::Listening};
use crate::part::say;

pub(super) async fn run() -> Result<()> {
    let listening = Listening::bind().await?;
    say(&listening.address()?)?;
    let router = Router::new().route("/mcp", post(echo));
    let mut asked = Asked::listen();
    tokio::select! {
        served = listening.serve(router) => Ok(served?),
        () = asked.closed() => Ok(()),
    }
}

async fn echo(body: Bytes) -> ([(HeaderName, HeaderValue); 1], Bytes) {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body)
}
