//! Serves the front end on a listener until it is told to stop.

use std::{io, net::IpAddr, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use crate::app::App;

/// The most that a connection buffers while it reads, and so the most that a request's head may take. An idle connection
/// holds 8 KiB.
const MAX_BUFFER: usize = 64 * 1024;

/// How long a connection may be idle, or take over a request's head. Longer than HTTP clients keep connections for reuse, so
/// that it is them who close.
const IDLE_TIMEOUT: Duration = Duration::from_mins(2);

/// How long to wait after the system had no room for another connection.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(200);

/// Why serving could not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The listener does not know its own address.
    #[error("the listener has no address")]
    Listener(#[source] io::Error),
    /// The listener lets other machines in, and nobody is asked for a token.
    #[error(
        "listening on {address} lets other machines in, but nobody is asked for a token: give security.auth_tokens, or set \
         security.allow_unauthenticated if something in front of the proxy decides who gets in"
    )]
    Unprotected {
        /// Where the listener listens.
        address: IpAddr,
    },
}

/// Serves `app` on `listener` until `shutdown` fires; then accepts no more connections, closes the idle ones, lets responses
/// finish and returns.
///
/// Open streams count as responses: end them first with the proxy's own drain, which still wants answers and resumes to
/// come in. Dropping the future closes every connection at once.
pub async fn serve(listener: TcpListener, app: App, shutdown: CancellationToken) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError::Listener)?.ip();
    if app.is_unprotected_at(address) {
        return Err(ServeError::Unprotected { address });
    }
    let router = app.router(address);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // A child of its own: connections that share one token contend for its lock at every wake-up.
                    connections.spawn(connection(stream, router.clone(), shutdown.child_token()));
                }
                Err(error) => accept_failed(&error).await,
            },
            Some(ended) = connections.join_next() => report_panic(ended),
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        report_panic(ended);
    }
    Ok(())
}

async fn connection(stream: TcpStream, router: Router, shutdown: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the connection keeps Nagle's delay");
    }
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE_TIMEOUT)
            .max_buf_size(MAX_BUFFER)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
    );
    let result = tokio::select! {
        biased;
        result = connection.as_mut() => result,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection broke");
    }
}

fn report_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "serving a connection panicked");
    }
}

/// A connection that broke before it was accepted is nobody's trouble; anything else, such as too many open files, takes a
/// moment to get better.
async fn accept_failed(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, "no connection could be accepted");
        tokio::time::sleep(ACCEPT_BACKOFF).await;
    }
}
