//! The process that serves one client at its standard input and output.

use std::sync::Arc;

use anyhow::bail;
use frontend_stdio::Stdio;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::{Core, Parted};
use crate::config::Config;

/// Everything that serves a client on a pair of pipes, ready to run: the backend is connected.
#[derive(Debug)]
pub struct StdioApp {
    core: Core,
    front_end: Stdio,
}

impl StdioApp {
    /// Connects the backend. Of the settings, those under `server` do not matter here, nor does `session.stateless`: there is one
    /// client, and the connection is its session.
    ///
    /// # Errors
    ///
    /// A sentence that names the setting, the queue or the permission, and the chain of causes.
    pub async fn build(config: &Config) -> anyhow::Result<Self> {
        let mut sessions = config.session.clone();
        sessions.stateless = false;
        if config.choose_backend().is_ok_and(|choice| choice.shares_port()) {
            bail!(
                "callbacks are to share the proxy's own port (share = true), and over stdio it has none: write \
                 share = false, and listen = \"127.0.0.1:0\" for a port of their own"
            );
        }
        let Parted { core, .. } = Core::connect(config, sessions, &()).await?;
        let front_end = Stdio::new(Arc::clone(&core.proxy)).max_message(config.security.max_body);
        Ok(Self { core, front_end })
    }

    /// Says in the log what it talks to.
    pub(crate) fn announce(&self) {
        self.core.announce();
        tracing::info!("serving the client at standard input and output");
    }

    /// Serves the client until it goes, or `shutdown` fires, and then drains within `[shutdown] grace`.
    ///
    /// # Errors
    ///
    /// The backend ended by itself, the far end does not know the session any more, the pipes broke, or something did not end
    /// in time.
    pub async fn run<I, O>(self, input: I, output: O, shutdown: CancellationToken) -> anyhow::Result<()>
    where
        I: AsyncRead + Send + Unpin + 'static,
        O: AsyncWrite + Send + Unpin + 'static,
    {
        let Self { core, front_end } = self;
        core.run(shutdown, |stop| async move { Ok(front_end.serve(input, output, stop).await?) }).await
    }
}
