//! The ledger: every call is written down, durably, before it runs, so that none runs twice by accident.
//!
//! One file, one process, one thread that writes: what waits for it goes into one transaction, so that many calls share the price
//! of one write to the disk. Reading order: `entry` (what is known of a call), this file, `writer` (the thread), `store` and
//! `tables` (the transaction), `retention` (what is forgotten, and when).

mod entry;
mod error;
mod retention;
mod store;
mod tables;
mod writer;

use std::{
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use proxy_core::id::{InstanceId, RemoteSession};

use self::{
    retention::{Bounds, LONGEST_CALL},
    store::Store,
    writer::{Command, Writer},
};

pub(crate) use self::entry::{LeftBehind, Page};
pub use self::{
    entry::{Begun, CallKey, Entry, EntryState, SessionRecord},
    error::LedgerError,
};

/// What a worker knows of the calls that it was given, kept in one file that survives the process.
///
/// What is asked for is done in the order of the calls to these methods: the returned futures only wait. Dropping one changes
/// nothing. An answer is kept for a day and within 64 MiB in all, a call for a day and within a million; who asks for one that may
/// have been forgotten finds that out by [`covers_since`](Self::covers_since).
pub struct Ledger {
    writer: Writer,
    instance: InstanceId,
    covers_since: Arc<AtomicU64>,
    latest_left_behind: Page,
}

impl Ledger {
    /// Opens the ledger in this file, or begins one; folders that are missing are made. Only the file's owner can read a new one.
    ///
    /// # Errors
    /// Another process has it, it cannot be read or written, or it is damaged.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        Self::open_for_calls_of(path, LONGEST_CALL)
    }

    /// As [`open`](Self::open), where calls may take so long: what is known of them is kept for at least twice that.
    ///
    /// # Errors
    /// Another process has it, it cannot be read or written, or it is damaged.
    pub fn open_for_calls_of(path: &Path, longest: Duration) -> Result<Self, LedgerError> {
        Self::over(Store::open(path, Bounds::for_calls_of(longest))?)
    }

    /// A ledger that ends with the process, for those that need not outlive it.
    ///
    /// # Errors
    /// No thread could be started.
    pub fn in_memory() -> Result<Self, LedgerError> {
        Self::over(Store::in_memory(Bounds::default())?)
    }

    fn over(mut store: Store) -> Result<Self, LedgerError> {
        let latest_left_behind = store.latest_left_behind()?;
        let (instance, covers_since) = (store.instance().clone(), store.covers_since());
        Ok(Self { writer: Writer::start(store)?, instance, covers_since, latest_left_behind })
    }

    /// The worker that this ledger is: random, made with the file and kept in it until [`Self::retire`].
    pub fn instance(&self) -> &InstanceId {
        &self.instance
    }

    /// Calls that were begun before this may be unknown here though they ran: the ledger began then, or has forgotten what was
    /// before.
    pub fn covers_since(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.covers_since.load(Ordering::Acquire))
    }

    /// Writes down that a call begins, before it does. It may run once this has resolved to [`Begun::New`], and not otherwise.
    ///
    /// `message_id` is the transport's id of the message that brought it, and `incarnation` grows each time that a session of the
    /// same name is begun anew: since its client counts its requests from the beginning then, a known call of an older incarnation
    /// is another call, unless the same message brought it.
    ///
    /// # Errors
    /// The call is not written down, so it must not run.
    pub fn begin(
        &self,
        key: CallKey,
        message_id: Option<&str>,
        incarnation: u64,
    ) -> impl Future<Output = Result<Begun, LedgerError>> + Send + use<> {
        let message_id = message_id.map(Into::into);
        self.writer.ask(move |done| Command::Begin { key, message_id, incarnation, done })
    }

    /// Writes down a call's answer, before it is sent.
    ///
    /// # Errors
    /// The answer is not written down: should the call come again, it counts as one that may have run.
    pub fn answered(
        &self,
        key: CallKey,
        answer: String,
    ) -> impl Future<Output = Result<(), LedgerError>> + Send + use<> {
        self.writer.ask(|done| Command::Answered { key, answer: answer.into(), done })
    }

    /// Writes down, when there is time, that a call's answer was sent. Lost with the process, it only means that the answer is sent
    /// once more should the call come again.
    pub fn sent(&self, key: &CallKey) {
        self.writer.tell(Command::Sent { key: key.clone() });
    }

    /// The calls that processes before this one had begun, and of which it is not known that their clients heard what became of them,
    /// as long as somebody may want to: the latest, in the order in which they were begun. None of them can be running.
    pub(crate) fn latest_left_behind(&self) -> &Page {
        &self.latest_left_behind
    }

    /// Those that were begun before these, if there are any.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub(crate) fn left_behind_before(
        &self,
        page: &Page,
    ) -> impl Future<Output = Result<Option<Page>, LedgerError>> + Send + use<> {
        let found =
            page.before.map(|before| self.writer.ask(move |done| Command::LeftBehind { before, done }));
        async move {
            match found {
                Some(found) => found.await.map(Some),
                None => Ok(None),
            }
        }
    }

    /// Writes this down as the answer of a call that was left behind, unless it has one. Resolves with the answer that its client has to
    /// hear; `None` where it is not what it was.
    ///
    /// # Errors
    /// The ledger cannot be written: what became of the call has to be said another time.
    pub(crate) fn give_up(
        &self,
        call: &LeftBehind,
        answer: &str,
    ) -> impl Future<Output = Result<Option<Box<str>>, LedgerError>> + Send + use<> {
        let (call, answer) = (call.clone(), answer.into());
        self.writer.ask(|done| Command::GiveUp { call, answer, done })
    }

    /// Writes down, when there is time, that the client of a call that was left behind has heard what became of it.
    pub(crate) fn told(&self, call: LeftBehind) {
        self.writer.tell(Command::Told { call });
    }

    /// What is known of a call. `None` also where the ledger cannot be read, which is logged; [`begin`](Self::begin) then fails.
    pub fn look(&self, key: CallKey) -> impl Future<Output = Option<Entry>> + Send + use<> {
        let found = self.writer.ask(|done| Command::Look { key, done });
        async move { found.await.unwrap_or_default() }
    }

    /// Writes down whose a session is, so that after a restart its client can be told that it is gone.
    pub fn remember_session(&self, session: &RemoteSession, record: SessionRecord) {
        self.writer.tell(Command::RememberSession { session: session.clone(), record });
    }

    /// What is known of a session. `None` also where the ledger cannot be read, which is logged.
    pub fn session(
        &self,
        session: &RemoteSession,
    ) -> impl Future<Output = Option<SessionRecord>> + Send + use<> {
        let session = session.clone();
        let found = self.writer.ask(|done| Command::Session { session, done });
        async move { found.await.unwrap_or_default() }
    }

    /// Forgets a session. Its calls stay known.
    pub fn forget_session(&self, session: &RemoteSession) {
        self.writer.tell(Command::ForgetSession { session: session.clone() });
    }

    /// Says that this worker ended cleanly, sessions, queue and all: the next one with this file is another instance. It has nothing to take
    /// over, and need not wait for the name of a deleted queue to be free again, for which AWS takes 60 s (SQS, `CreateQueue`).
    pub fn retire(&self) {
        self.writer.tell(Command::Retire);
    }

    /// Whether calls can be written down, as far as the last time tells: tried at least every 30 s.
    ///
    /// # Errors
    /// That of the last time.
    pub fn check(&self) -> Result<(), LedgerError> {
        self.writer.check()
    }

    /// Writes down what was told so far, and lets go of the file. Whatever is asked afterwards fails.
    pub fn close(&self) -> impl Future<Output = ()> + Send + use<> {
        self.writer.close()
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Ledger").field("instance", &self.instance).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
