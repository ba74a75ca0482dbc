//! Serves one client until it goes, its session ends, or it is told to stop.

use std::{io, sync::Arc, time::Duration};

use proxy_core::{Proxy, lines::Lines};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    connection::{Connection, Replied},
    writer,
};

/// How long answers may still come after the input has ended. Clients wait 2 s for the process to end before they kill it (the
/// official Python and TypeScript clients), and a script that pipes requests in wants its answers.
const LINGER: Duration = Duration::from_secs(1);

/// How long the client may take to read what is left at the end.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The largest message by default: 4 MiB, as over HTTP.
const MAX_MESSAGE: usize = 4 << 20;

/// The stdio front end over a [`Proxy`].
#[derive(Debug)]
pub struct Stdio {
    proxy: Arc<Proxy>,
    max_message: usize,
}

/// Why serving ended, though nobody wanted it to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The input cannot be read.
    #[error("the client's messages cannot be read")]
    Input(#[source] io::Error),
    /// The output cannot be written, for another reason than that the client is gone.
    #[error("messages for the client cannot be written")]
    Output(#[source] io::Error),
    /// The session ended and cannot be had back on this connection: the far end does not know it any more, say.
    #[error("the session with the server has ended: start the proxy again to begin a new one")]
    SessionEnded,
}

/// What ended the loop.
enum End {
    /// The input is at its end: the client wants nothing more.
    Input,
    /// The client does not read any more.
    ClientGone,
    /// It was told to stop.
    Told,
    Failed(ServeError),
}

impl Stdio {
    /// A front end for one client.
    pub fn new(proxy: Arc<Proxy>) -> Self {
        Self { proxy, max_message: MAX_MESSAGE }
    }

    /// Takes messages of at most so many bytes. Default 4 MiB.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// Serves the client at these pipes. Once it returns, the session has ended; what the far end has still to be told is on its
    /// way ([`Proxy::drain`] waits for it). Dropping the future ends nothing: the session stays until it is idle for too long.
    ///
    /// # Errors
    ///
    /// The pipes broke, or the session ended before its client did.
    pub async fn serve<I, O>(self, input: I, output: O, shutdown: CancellationToken) -> Result<(), ServeError>
    where
        I: AsyncRead + Unpin,
        O: AsyncWrite + Unpin + Send + 'static,
    {
        let Self { proxy, max_message } = self;
        let (queue, writing) = writer::queue(output);
        let mut writer = JoinSet::new();
        writer.spawn(writing);
        let mut connection = Connection::new(Arc::clone(&proxy), queue.clone());
        let mut lines = Lines::new(input, max_message);
        let mut next = None;
        let end = loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break End::Told,
                Some(written) = writer.join_next() => break output_ended(written.map_err(io::Error::other)),
                Some(replied) = connection.replies.join_next() => connection.replied(replied.unwrap_or(Replied::Other)),
                Some(_) = connection.listening.join_next() => {
                    if !proxy.is_draining() {
                        break End::Failed(ServeError::SessionEnded);
                    }
                }
                // Nothing more is read until there is room for what it may have to be told.
                Ok(room) = queue.reserve(), if next.is_some() => {
                    if let Some(answer) = next.take().and_then(|line| connection.take(line, max_message)) {
                        room.send(answer);
                    }
                }
                line = lines.next(), if next.is_none() => match line {
                    Ok(Some(line)) => next = Some(line),
                    Ok(None) => break End::Input,
                    Err(error) => break End::Failed(ServeError::Input(error)),
                },
            }
        };
        drop(queue);
        finish(end, connection, writer).await
    }
}

/// Ends the session and writes what is left.
async fn finish(
    end: End,
    mut connection: Connection,
    mut writer: JoinSet<io::Result<()>>,
) -> Result<(), ServeError> {
    let mut last_words_until = Instant::now() + LAST_WORDS;
    if matches!(end, End::Input) {
        last_words_until += LINGER;
        let answered = async {
            while let Some(replied) = connection.replies.join_next().await {
                connection.replied(replied.unwrap_or(Replied::Other));
            }
        };
        if timeout(LINGER, answered).await.is_err() {
            tracing::debug!(requests = connection.replies.len(), "the client left before its answers came");
        }
    }
    connection.end();
    let last_words = async {
        while connection.replies.join_next().await.is_some() {}
        while connection.listening.join_next().await.is_some() {}
        // The queue ends with the last that could put something into it.
        drop(connection);
        writer.join_next().await
    };
    match (end, timeout_at(last_words_until, last_words).await) {
        (End::Failed(error), _) => Err(error),
        (End::Input | End::Told, Ok(Some(written))) => {
            match output_ended(written.map_err(io::Error::other)) {
                End::Failed(error) => Err(error),
                End::Input | End::ClientGone | End::Told => Ok(()),
            }
        }
        (End::Input | End::Told, Err(_)) => {
            tracing::warn!("the client did not read what was left for it");
            Ok(())
        }
        (End::Input | End::Told, Ok(None)) | (End::ClientGone, _) => Ok(()),
    }
}

/// What it means that the writer has ended.
fn output_ended(written: io::Result<io::Result<()>>) -> End {
    match written.flatten() {
        Ok(()) => End::ClientGone,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => End::ClientGone,
        Err(error) => End::Failed(ServeError::Output(error)),
    }
}
