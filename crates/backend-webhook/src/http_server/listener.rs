//! Serves a router on a listener of its own.

use std::{io, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long, once it is told to stop, a request may take that has begun: shorter than any grace period, and who does not finish one
/// must not hold up the program's end.
pub(crate) const LAST_REQUEST: Duration = Duration::from_secs(5);

/// The most that a connection buffers while it reads, and so the most that a request's head may take.
const MAX_BUFFER: usize = 64 * 1024;

/// How long a connection may be idle, or take over a request's head. Longer than HTTP clients keep connections for reuse, so
/// that it is them who close: a message that meets a closing connection may be lost.
const IDLE_TIMEOUT: Duration = Duration::from_mins(2);

/// How long to wait after the system had no room for another connection.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(200);

/// Serves until `shutdown` fires; then accepts no more connections, closes the idle ones, and gives requests 5 s to finish. At most
/// `max_connections` are open at once; more wait in the system's queue.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    max_connections: usize,
    shutdown: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(max_connections));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            // never closed, so there is always room in the end
            let permit = Arc::clone(&room).acquire_owned().await.ok();
            listener.accept().await.map(|(stream, _)| (stream, permit))
        };
        tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = next => match accepted {
                Ok((stream, permit)) => {
                    let connection = connection(stream, router.clone(), shutdown.child_token());
                    connections.spawn(async move {
                        connection.await;
                        drop(permit);
                    });
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
            let Ok(result) = timeout(LAST_REQUEST, connection).await else {
                return tracing::debug!("a request was not finished before the end");
            };
            result
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, "a connection broke");
    }
}

fn report_panic(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "serving a request panicked");
    }
}

/// A connection that broke before it was accepted is nobody's trouble; anything else, such as too many open files, takes a
/// moment to get better.
async fn accept_failed(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::warn!(%error, "no connection could be accepted");
        sleep(ACCEPT_BACKOFF).await;
    }
}
