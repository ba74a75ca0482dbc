//! Serving routes on a free port without Nagle's delay.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use axum::{Router, serve::ListenerExt as _};
use tokio::net::TcpListener;

/// A port that is listened on.
#[derive(Debug)]
pub(super) struct Listening(TcpListener);

impl Listening {
    pub(super) async fn bind() -> io::Result<Self> {
        Ok(Self(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?))
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    pub(super) async fn serve(self, router: Router) -> io::Result<()> {
        let listener = self.0.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::warn!(%error, "the connection keeps Nagle's delay");
            }
        });
        axum::serve(listener, router).await
    }
}
