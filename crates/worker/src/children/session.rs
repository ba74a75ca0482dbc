//! One session's server: what is sent to it, and its life from start to end.

use std::{
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::{Fuse, FusedFuture, FutureExt};
use proxy_core::{
    backend::Event,
    error::{BackendError, Delivery, ErrorKind},
    id::RouteKey,
    message::RequestId,
};
use tokio::{
    io::AsyncWriteExt as _,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    launch::{Ended, Launched, Running},
    mailbox::{Letters, Mailbox, Unwritten, mailbox},
    reader::{Reader, hand_over},
};

/// How long what a server wrote before it ended may take to be read, and a server whose input or output has closed to end.
const SETTLE_TIME: Duration = Duration::from_millis(500);

/// One session's server, as whoever sends to it sees it.
#[derive(Debug)]
pub(super) struct Session {
    mailbox: Mailbox,
    /// Fires when the server is to end.
    pub(super) closing: CancellationToken,
    /// Fires when nothing of it is left.
    pub(super) over: CancellationToken,
    /// Whether it wrote a line that is no message.
    pub(super) malformed: AtomicBool,
    ending: OnceLock<Ending>,
}

/// What is said to whoever sends once the server is gone.
#[derive(Debug)]
struct Ending {
    kind: ErrorKind,
    message: Box<str>,
}

/// The life of a session's server.
#[derive(Debug)]
pub(super) struct Life {
    shared: Arc<Shared>,
    route: RouteKey,
    initialize: RequestId,
    session: Arc<Session>,
    letters: Letters,
}

/// What a server's life ended by.
#[derive(Debug)]
enum Cause {
    /// It ended, or must die.
    Ended(Ended),
    /// It wrote its last, and did not end.
    OutputClosed,
    /// It does not read any more, and did not end.
    InputClosed,
    /// It did not answer `initialize` in time.
    StartTimeout,
    /// The session ended.
    Closed,
    /// The worker ends.
    Stopped,
}

impl Session {
    /// A session whose server is about to be started, and its life.
    pub(super) fn begin(shared: &Arc<Shared>, route: RouteKey, initialize: RequestId) -> (Arc<Self>, Life) {
        let (mailbox, letters) = mailbox();
        let session = Arc::new(Self {
            mailbox,
            closing: shared.stop.child_token(),
            over: CancellationToken::new(),
            malformed: AtomicBool::new(false),
            ending: OnceLock::new(),
        });
        let life =
            Life { shared: Arc::clone(shared), route, initialize, session: Arc::clone(&session), letters };
        (session, life)
    }

    /// Has a message written into the server's input.
    pub(super) async fn send(&self, text: String, deadline: Instant) -> Result<(), BackendError> {
        self.mailbox.send(text, deadline).await.map_err(|unwritten| match unwritten {
            Unwritten::Late(delivery) => {
                let message = "the server process did not read its input in time";
                BackendError::new(ErrorKind::Unavailable, "send", message).with_delivery(delivery)
            }
            Unwritten::Gone(delivery) => self.gone().with_delivery(delivery),
        })
    }

    /// What is said of a server that is gone.
    fn gone(&self) -> BackendError {
        match self.ending.get() {
            Some(ending) => BackendError::new(ending.kind, "send", ending.message.clone()),
            None => BackendError::new(ErrorKind::SessionGone, "send", GONE),
        }
    }
}

/// What is said where no more is known.
pub(super) const GONE: &str = "the session's server process has ended: initialize again";

impl Life {
    /// Starts the server, carries what there is to carry, and ends it with everything that it started.
    pub(super) async fn live(self) {
        let _over = self.session.over.clone().drop_guard();
        let deadline = Instant::now() + self.shared.start_timeout;
        let launched = tokio::select! {
            launched = timeout_at(deadline, self.shared.launch.launch(&self.route)) => launched,
            () = self.session.closing.cancelled() => return,
        };
        match launched {
            Ok(Ok(launched)) => {
                let metrics = &self.shared.metrics;
                metrics.started.inc();
                metrics.running.inc();
                let running = metrics.running.clone();
                self.serve(launched, deadline).await;
                running.dec();
            }
            Ok(Err(error)) => self.not_started(&error),
            Err(_) => self.not_started(&BackendError::new(
                ErrorKind::Unavailable,
                "send",
                "the server process could not be started within its start_timeout",
            )),
        }
    }

    fn not_started(&self, error: &BackendError) {
        let cause = std::error::Error::source(error);
        tracing::warn!(route = ?self.route, error.r#type = error.kind().as_str(), %error, cause, "a server could not be started");
        self.shared.metrics.ended("not_started");
        self.end_with(error.kind(), error.to_string());
    }

    /// From now on whoever sends is told this.
    fn end_with(&self, kind: ErrorKind, message: String) {
        // only the life itself sets it, once
        drop(self.session.ending.set(Ending { kind, message: message.into() }));
    }

    async fn serve(mut self, launched: Launched, deadline: Instant) {
        let Launched { mut input, output, mut running } = launched;
        let answered = CancellationToken::new();
        let mut reading = pin!(self.reader(&answered).read(output).fuse());
        let late = async {
            if timeout_at(deadline, answered.cancelled()).await.is_ok() {
                std::future::pending::<()>().await;
            }
        };
        let cause = tokio::select! {
            ended = running.ended() => Cause::Ended(ended),
            () = &mut reading => Cause::OutputClosed,
            error = self.letters.write_to(&mut *input) => {
                tracing::debug!(route = ?self.route, %error, "a server's input takes no more");
                Cause::InputClosed
            }
            () = late => Cause::StartTimeout,
            () = self.session.closing.cancelled() => self.closed(),
        };
        let cause = settled(cause, &mut *running, reading.as_mut()).await;
        self.report(&cause, &mut *running, answered.is_cancelled()).await;
        let grace = match &cause {
            Cause::Ended(ended) if ended.must_die => Duration::ZERO,
            _ => self.shared.stop_grace,
        };
        let Self { letters, .. } = self;
        // what waits was not sent
        drop(letters);
        // the closed input tells the server to end (basic/lifecycle, shutdown, stdio); one half of a stream is closed by shutdown alone
        drop(timeout(SETTLE_TIME, input.shutdown()).await);
        drop(input);
        let mut ending = running.end(grace);
        loop {
            // its output is read on, or it could not write its last and end
            tokio::select! {
                () = &mut ending => break,
                () = &mut reading, if !reading.is_terminated() => {}
            }
        }
    }

    fn reader(&self, answered: &CancellationToken) -> Reader {
        Reader {
            inbox: Arc::clone(&self.shared.inbox),
            route: self.route.clone(),
            initialize: self.initialize.clone(),
            answered: answered.clone(),
            session: Arc::clone(&self.session),
            max_message: self.shared.max_message,
            metrics: self.shared.metrics.clone(),
            transport: self.shared.transport.clone(),
        }
    }

    fn closed(&self) -> Cause {
        if self.shared.stop.is_cancelled() { Cause::Stopped } else { Cause::Closed }
    }

    /// Tells everyone what the server's life ended by.
    async fn report(&self, cause: &Cause, running: &mut dyn Running, was_answered: bool) {
        let reason = cause.reason();
        self.shared.metrics.ended(reason);
        if let Cause::Closed = cause {
            tracing::debug!(route = ?self.route, reason, "a server is ended");
            return self.end_with(ErrorKind::SessionGone, GONE.to_owned());
        }
        let words = match cause {
            Cause::Stopped => None,
            _ => running.last_words().await,
        };
        let what = cause.what(self.shared.start_timeout);
        let quote = words.map(|words| format!("; its last words: \"{words}\"")).unwrap_or_default();
        let kind = if was_answered { ErrorKind::SessionGone } else { cause.kind() };
        if !matches!(cause, Cause::Stopped) {
            tracing::warn!(route = ?self.route, reason, what, "a server process is gone before its session");
        }
        let (during, later) = if was_answered {
            (
                format!("the server process {what} during the call{quote}"),
                format!("the server process {what} before: initialize again{quote}"),
            )
        } else {
            let wrote = if self.session.malformed.load(Ordering::Relaxed) {
                "; what it wrote to its output was no MCP message"
            } else {
                ""
            };
            let text = format!("the server process {what} before it answered initialize{wrote}{quote}");
            (text.clone(), text)
        };
        self.end_with(kind, later);
        let error = BackendError::new(kind, "receive", during).with_delivery(Delivery::MaybeSent);
        let event = Event::ExchangeFailed(None, error);
        let disposition = hand_over(&*self.shared.inbox, &self.route, event).await;
        tracing::trace!(disposition = disposition.as_str(), "told the core that a server is gone");
    }
}

/// Waits shortly for what belongs to this end: the exit behind a closed pipe, and what was written before the exit.
async fn settled<R: Future<Output = ()>>(
    cause: Cause,
    running: &mut dyn Running,
    reading: std::pin::Pin<&mut Fuse<R>>,
) -> Cause {
    let rest = async {
        if !reading.is_terminated() {
            // what is not read by now is not waited for
            drop(timeout(SETTLE_TIME, reading).await);
        }
    };
    match cause {
        Cause::Ended(ended) if !ended.must_die => {
            rest.await;
            Cause::Ended(ended)
        }
        Cause::OutputClosed | Cause::InputClosed => {
            let (ended, ()) = tokio::join!(timeout(SETTLE_TIME, running.ended()), rest);
            ended.map_or(cause, Cause::Ended)
        }
        cause => cause,
    }
}

impl Cause {
    fn reason(&self) -> &'static str {
        match self {
            Self::Ended(ended) => ended.reason,
            Self::OutputClosed => "output_closed",
            Self::InputClosed => "input_closed",
            Self::StartTimeout => "start_timeout",
            Self::Closed => "session_ended",
            Self::Stopped => "shutting_down",
        }
    }

    /// Goes on after "the server process".
    fn what(&self, start_timeout: Duration) -> String {
        match self {
            Self::Ended(ended) => ended.what.clone(),
            Self::OutputClosed => "closed its output".to_owned(),
            Self::InputClosed => "closed its input".to_owned(),
            Self::StartTimeout => {
                let timeout = proxy_core::config::duration::format(start_timeout);
                format!("was given up after the {timeout} of start_timeout")
            }
            Self::Closed | Self::Stopped => "was ended with the worker".to_owned(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Ended(ended) => ended.kind,
            _ => ErrorKind::Unavailable,
        }
    }
}
