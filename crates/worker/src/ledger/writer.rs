//! The thread that writes a ledger: it takes all that waits, and writes it in one transaction.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, SystemTime},
};

use proxy_core::id::RemoteSession;
use tokio::{sync::oneshot, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    entry::{Begun, CallKey, Entry, LeftBehind, Page, SessionRecord},
    error::LedgerError,
    store::Store,
};

/// How much may wait to be written.
const MOST_WAITING: usize = 4096;

/// How many bytes of answers may wait to be written.
const MOST_WAITING_BYTES: usize = 64 << 20;

/// How much goes into one transaction.
const MOST_AT_ONCE: usize = 1024;

/// How long an answer waits for a call to be written down with: longer than a client on this machine takes for its next call.
const ANSWER_WAITS: Duration = Duration::from_millis(5);

/// How long the word waits that an answer was sent.
const SENT_WAITS: Duration = Duration::from_secs(1);

/// How often a ledger that nothing is asked of forgets what is too old.
const IDLE: Duration = Duration::from_secs(30);

/// Resolves what a command asked for.
pub(super) type Done<T> = oneshot::Sender<Result<T, LedgerError>>;

/// What a ledger is asked to do.
pub(super) enum Command {
    Begin { key: CallKey, message_id: Option<Box<str>>, incarnation: u64, done: Done<Begun> },
    Answered { key: CallKey, answer: Box<str>, done: Done<()> },
    Sent { key: CallKey },
    LeftBehind { before: u64, done: Done<Page> },
    GiveUp { call: LeftBehind, answer: Box<str>, done: Done<Option<Box<str>>> },
    Told { call: LeftBehind },
    Look { key: CallKey, done: Done<Option<Entry>> },
    RememberSession { session: RemoteSession, record: SessionRecord },
    Session { session: RemoteSession, done: Done<Option<SessionRecord>> },
    ForgetSession { session: RemoteSession },
    Retire,
}

/// What came of a command.
pub(super) enum Reply {
    Begun(Begun),
    Entry(Option<Entry>),
    Session(Option<SessionRecord>),
    Page(Page),
    GivenUp(Option<Box<str>>),
    Done(()),
}

/// The thread, from outside.
pub(super) struct Writer {
    /// `None`: closed.
    queue: Mutex<Option<SyncSender<Command>>>,
    waiting_bytes: Arc<AtomicUsize>,
    /// What is wrong, since the last transaction failed.
    failure: Failure,
    ended: CancellationToken,
}

type Failure = Arc<Mutex<Option<LedgerError>>>;

impl Writer {
    pub(super) fn start(store: Store) -> Result<Self, LedgerError> {
        let (writer, commands) = Self::new();
        let (bytes, end) = (Arc::clone(&writer.waiting_bytes), writer.ended.clone().drop_guard());
        let failure = Arc::clone(&writer.failure);
        thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || {
                let _end = end;
                write(store, &commands, &bytes, &failure);
            })
            .map_err(|error| LedgerError::Unusable {
                path: "thread".into(),
                doing: "started",
                source: Arc::new(error.into()),
            })?;
        Ok(writer)
    }

    /// One that nobody serves yet.
    fn new() -> (Self, Receiver<Command>) {
        let (queue, commands) = sync_channel(MOST_WAITING);
        let writer = Self {
            queue: Mutex::new(Some(queue)),
            waiting_bytes: Arc::new(AtomicUsize::new(0)),
            failure: Failure::default(),
            ended: CancellationToken::new(),
        };
        (writer, commands)
    }

    /// Hands a command over, and waits for what comes of it.
    pub(super) fn ask<T: Send, C: FnOnce(Done<T>) -> Command>(
        &self,
        command: C,
    ) -> impl Future<Output = Result<T, LedgerError>> + Send + use<T, C> {
        let (done, reply) = oneshot::channel();
        let queued = self.enqueue(command(done));
        async move {
            queued?;
            reply.await.unwrap_or(Err(LedgerError::Closed))
        }
    }

    /// Hands over a command that nobody waits for.
    pub(super) fn tell(&self, command: Command) {
        if let Err(error) = self.enqueue(command) {
            tracing::warn!(%error, "the ledger was not told");
        }
    }

    /// Whether the last transaction succeeded, and there can be another.
    pub(super) fn check(&self) -> Result<(), LedgerError> {
        if self.ended.is_cancelled() {
            return Err(LedgerError::Closed);
        }
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone().map_or(Ok(()), Err)
    }

    /// Lets the thread finish what it was handed, and waits for its end.
    pub(super) fn close(&self) -> impl Future<Output = ()> + Send + use<> {
        drop(self.queue().take());
        self.ended.clone().cancelled_owned()
    }

    fn enqueue(&self, command: Command) -> Result<(), LedgerError> {
        let queue = self.queue();
        let Some(queue) = queue.as_ref() else { return Err(LedgerError::Closed) };
        let bytes = command.bytes();
        if self.waiting_bytes.load(Ordering::Relaxed).saturating_add(bytes) > MOST_WAITING_BYTES && bytes > 0
        {
            return Err(LedgerError::Full);
        }
        self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        queue.try_send(command).map_err(|error| {
            self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => LedgerError::Full,
                TrySendError::Disconnected(_) => LedgerError::Closed,
            }
        })
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Option<SyncSender<Command>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Command {
    /// Whether it changes anything.
    pub(super) fn writes(&self) -> bool {
        !matches!(self, Self::Look { .. } | Self::Session { .. } | Self::LeftBehind { .. })
    }

    /// Whether it must be on the disk when it is done.
    pub(super) fn must_last(&self) -> bool {
        matches!(self, Self::Begin { .. } | Self::Answered { .. } | Self::RememberSession { .. })
    }

    /// How long it waits for a command that cannot wait, to share its transaction. Nobody waits for an answer to be written but who
    /// settles its request, while it is sent; and for the word that it was sent nobody at all.
    fn patience(&self) -> Duration {
        match self {
            Self::Answered { .. } => ANSWER_WAITS,
            Self::Sent { .. } | Self::Told { .. } => SENT_WAITS,
            _ => Duration::ZERO,
        }
    }

    fn bytes(&self) -> usize {
        if let Self::Answered { answer, .. } = self { answer.len() } else { 0 }
    }

    /// Tells whoever waits. That nobody may wait any more is fine.
    fn resolve(self, reply: Result<Reply, LedgerError>) {
        match (self, reply) {
            (Self::Begin { done, .. }, Ok(Reply::Begun(begun))) => drop(done.send(Ok(begun))),
            (Self::Begin { done, .. }, Err(error)) => drop(done.send(Err(error))),
            (Self::Answered { done, .. }, reply) => drop(done.send(reply.map(|_| ()))),
            (Self::Look { done, .. }, Ok(Reply::Entry(entry))) => drop(done.send(Ok(entry))),
            (Self::Look { done, .. }, Err(error)) => drop(done.send(Err(error))),
            (Self::Session { done, .. }, Ok(Reply::Session(record))) => drop(done.send(Ok(record))),
            (Self::Session { done, .. }, Err(error)) => drop(done.send(Err(error))),
            (Self::LeftBehind { done, .. }, Ok(Reply::Page(page))) => drop(done.send(Ok(page))),
            (Self::LeftBehind { done, .. }, Err(error)) => drop(done.send(Err(error))),
            (Self::GiveUp { done, .. }, Ok(Reply::GivenUp(heard))) => drop(done.send(Ok(heard))),
            (Self::GiveUp { done, .. }, Err(error)) => drop(done.send(Err(error))),
            _ => {}
        }
    }
}

/// Adds what else is there, or comes as long as all of it can wait: a transaction costs the same for one as for ten, and one for an
/// answer alone would hold up the call after it.
fn gather(commands: &Receiver<Command>, batch: &mut Vec<Command>) {
    let begin = Instant::now();
    let mut patience = batch.iter().map(Command::patience).min().unwrap_or_default();
    while batch.len() < MOST_AT_ONCE {
        let left = patience.saturating_sub(begin.elapsed());
        // which gives what is there even where nothing is left
        let Ok(next) = commands.recv_timeout(left) else { break };
        patience = patience.min(next.patience());
        batch.push(next);
    }
}

/// Until nobody can ask any more.
fn write(
    mut store: Store,
    commands: &Receiver<Command>,
    waiting_bytes: &AtomicUsize,
    failure: &Mutex<Option<LedgerError>>,
) {
    let now_fails = |error| {
        let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *failure, error).is_some()
    };
    loop {
        let mut batch = Vec::new();
        match commands.recv_timeout(IDLE) {
            Ok(first) => {
                batch.push(first);
                gather(commands, &mut batch);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let bytes = batch.iter().map(Command::bytes).sum();
        waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        match store.apply(SystemTime::now(), &batch) {
            Ok(replies) => {
                if now_fails(None) {
                    tracing::info!("the ledger is written again");
                }
                for (command, reply) in batch.into_iter().zip(replies) {
                    command.resolve(Ok(reply));
                }
            }
            Err(error) => {
                if !now_fails(Some(error.clone())) {
                    tracing::error!(error = &error as &dyn std::error::Error, "the ledger cannot be written");
                }
                for command in batch {
                    command.resolve(Err(error.clone()));
                }
            }
        }
    }
    if let Err(error) = store.close() {
        tracing::error!(error = &error as &dyn std::error::Error, "the ledger was not closed");
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use proxy_core::message::RequestId;

    use super::*;

    #[test]
    fn what_nobody_waits_for_shares_the_next_transaction() {
        let key = CallKey::new(&RemoteSession::parse("s").unwrap(), &RequestId::number(1));
        let (writer, commands) = Writer::new();
        let (of_answer, of_begin) = (key.clone(), key.clone());
        let answered = writer.ask(|done| Command::Answered { key: of_answer, answer: "{}".into(), done });
        writer.tell(Command::Sent { key: key.clone() });
        let mut batch = vec![Command::Sent { key }];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                drop(writer.ask(|done| Command::Begin {
                    key: of_begin,
                    message_id: None,
                    incarnation: 1,
                    done,
                }));
                writer.tell(Command::Retire);
            });
            gather(&commands, &mut batch);
        });
        assert!(matches!(
            batch[..],
            [Command::Sent { .. }, Command::Answered { .. }, Command::Sent { .. }, Command::Begin { .. }, ..]
        ));
        drop(answered);
    }

    #[test]
    fn an_answer_waits_for_a_call_only_so_long() {
        let key = CallKey::new(&RemoteSession::parse("s").unwrap(), &RequestId::number(1));
        let (_writer, commands) = Writer::new();
        let (done, _reply) = oneshot::channel();
        let mut batch = vec![Command::Answered { key, answer: "{}".into(), done }];
        let begin = Instant::now();
        gather(&commands, &mut batch);
        assert_eq!(batch.len(), 1);
        assert!(begin.elapsed() >= ANSWER_WAITS);
    }

    #[test]
    fn more_than_may_wait_is_refused() {
        let key = CallKey::new(&RemoteSession::parse("s").unwrap(), &RequestId::number(1));
        let (writer, commands) = Writer::new();
        let answer: Box<str> = "x".repeat(MOST_WAITING_BYTES / 2).into();
        let answered = || {
            let (key, answer) = (key.clone(), answer.clone());
            writer.ask(|done| Command::Answered { key, answer, done })
        };
        let waiting = [answered(), answered()];
        assert!(matches!(answered().now_or_never(), Some(Err(LedgerError::Full))));
        let begin = || {
            let key = key.clone();
            writer.ask(|done| Command::Begin { key, message_id: None, incarnation: 1, done })
        };
        let queued: Vec<_> = (2..MOST_WAITING).map(|_| begin()).collect();
        assert!(matches!(begin().now_or_never(), Some(Err(LedgerError::Full))));
        drop(commands);
        for waiting in waiting {
            assert!(matches!(waiting.now_or_never(), Some(Err(LedgerError::Closed))));
        }
        assert!(
            queued.into_iter().all(|begun| matches!(begun.now_or_never(), Some(Err(LedgerError::Closed))))
        );
        assert!(matches!(begin().now_or_never(), Some(Err(LedgerError::Closed))));
    }
}
