//! The server over plain Streamable HTTP.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Result;
use axum::Router;
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
};
use tokio::net::TcpListener;

use crate::server::Fixture;

/// Where browsers may be that talk to it.
const ORIGINS: [&str; 3] = ["http://127.0.0.1:*", "http://localhost:*", "http://[::1]:*"];

/// How long a client whose stream ended waits before it comes back.
const RETRY: Duration = Duration::from_millis(500);

/// Larger than what any test sends.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// Serves until the process ends.
pub(crate) async fn serve(address: SocketAddr, ledger: Option<PathBuf>) -> Result<()> {
    let listener = TcpListener::bind(address).await?;
    println!("http://{}/mcp", listener.local_addr()?);
    println!("ready");
    let config = StreamableHttpServerConfig::default()
        .with_allowed_origins(ORIGINS)
        .with_sse_retry(Some(RETRY))
        .with_max_request_body_bytes(LARGEST_BODY);
    let sessions = Arc::new(LocalSessionManager::default());
    let each = move || Ok(Fixture::new(ledger.clone()));
    let service = StreamableHttpService::new(each, sessions, config);
    axum::serve(listener, Router::new().nest_service("/mcp", service)).await?;
    Ok(())
}
