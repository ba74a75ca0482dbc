//! A ledger's file, and the transactions that it takes.

use std::{
    fs::{DirBuilder, OpenOptions},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use proxy_core::id::InstanceId;
use redb::{
    Builder, Database, Durability, Error, ReadableDatabase, ReadableTable, TableError,
    backends::{FileBackend, InMemoryBackend},
};
use tokio::sync::oneshot;

use super::{
    entry::Page,
    error::LedgerError,
    retention::{Bounds, millis},
    tables::{META, TEXTS, Tables},
    writer::{Command, Reply},
};

/// The version of the tables.
const FORMAT: &str = "1";

/// How much memory the database may use for pages that it has read.
const CACHE: usize = 16 << 20;

/// The open file.
#[derive(Debug)]
pub(super) struct Store {
    /// `None` after a failed write: then it is opened anew, which repairs what the failure left behind.
    database: Option<Database>,
    /// `None`: in memory.
    path: Option<PathBuf>,
    bounds: Bounds,
    instance: InstanceId,
    /// Milliseconds since 1970.
    covers_since: Arc<AtomicU64>,
    /// The bytes of all answers.
    text: u64,
    /// The calls before this one in order were begun by processes that are no more.
    inherited: u64,
}

impl Store {
    pub(super) fn open(path: &Path, bounds: Bounds) -> Result<Self, LedgerError> {
        let database = open_file(path).map_err(|error| LedgerError::of(path, "opened", error))?;
        Self::over(database, Some(path), bounds)
    }

    pub(super) fn in_memory(bounds: Bounds) -> Result<Self, LedgerError> {
        let mut builder = Builder::new();
        let database = builder
            .set_cache_size(CACHE)
            .create_with_backend(InMemoryBackend::new())
            .map_err(|error| LedgerError::of(shown(None), "opened", error.into()))?;
        Self::over(database, None, bounds)
    }

    fn over(database: Database, path: Option<&Path>, bounds: Bounds) -> Result<Self, LedgerError> {
        let known = Known::read(&database).map_err(|error| LedgerError::of(shown(path), "opened", error))?;
        Ok(Self {
            database: Some(database),
            path: path.map(Path::to_owned),
            bounds,
            instance: known.instance,
            covers_since: Arc::new(AtomicU64::new(known.covers_since)),
            text: known.text,
            inherited: known.next_order,
        })
    }

    pub(super) fn instance(&self) -> &InstanceId {
        &self.instance
    }

    pub(super) fn covers_since(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.covers_since)
    }

    /// The latest of the calls that were left behind.
    pub(super) fn latest_left_behind(&mut self) -> Result<Page, LedgerError> {
        let look = Command::LeftBehind { before: self.inherited, done: oneshot::channel().0 };
        let replies = self.apply(SystemTime::now(), &[look])?;
        Ok(match replies.into_iter().next() {
            Some(Reply::Page(page)) => page,
            _ => Page::default(),
        })
    }

    /// Does all of this in one transaction, and forgets what is too old: all of it is on the disk when this returns, but for what
    /// need not be, or none of it happened.
    pub(super) fn apply(&mut self, now: SystemTime, commands: &[Command]) -> Result<Vec<Reply>, LedgerError> {
        let path = self.path.clone();
        let failed = |error| LedgerError::of(shown(path.as_deref()), "written", error);
        if let (None, Some(path)) = (&self.database, &path) {
            let database = open_file(path).map_err(failed)?;
            let known = Known::read(&database).map_err(failed)?;
            self.text = known.text;
            self.inherited = self.inherited.min(known.next_order);
            // later where it is another file by now
            self.covers_since.fetch_max(known.covers_since, Ordering::AcqRel);
            self.database = Some(database);
        }
        let result = unless_it_panics(|| self.transact(since_epoch(now), commands));
        if result.is_err() {
            let broken = self.database.take();
            unless_it_panics(|| {
                drop(broken);
                Ok(())
            })
            .map_err(failed)?;
        }
        result.map_err(failed)
    }

    /// Writes what is not yet on the disk, and lets go of the file.
    pub(super) fn close(mut self) -> Result<(), LedgerError> {
        let path = self.path.clone();
        let failed = |error| LedgerError::of(shown(path.as_deref()), "written", error);
        let Some(database) = self.database.take() else { return Ok(()) };
        let transaction = database.begin_write().map_err(|error| failed(error.into()))?;
        transaction.commit().map_err(|error| failed(error.into()))?;
        database.close().map_err(|error| failed(error.into()))
    }

    fn transact(&mut self, now: u64, commands: &[Command]) -> Result<Vec<Reply>, Error> {
        let Some(database) = &self.database else { return Err(Error::DatabaseClosed) };
        let mut transaction = database.begin_write()?;
        let mut tables = Tables::open(&transaction, self.text)?;
        let replies: Result<Vec<Reply>, Error> =
            commands.iter().map(|command| tables.take(now, command, &self.bounds, self.inherited)).collect();
        let replies = replies?;
        let horizon = tables.forget(now, &self.bounds, commands.len())?;
        if let Some(forgotten) = horizon {
            // first said, then done: to cover less than is true is safe
            let since = self.covers_since.fetch_max(forgotten + 1, Ordering::AcqRel).max(forgotten + 1);
            tables.meta.insert("covers_since", &*since.to_string())?;
        }
        let text = tables.text;
        drop(tables);
        let writes = horizon.is_some() || commands.iter().any(Command::writes);
        let must_last = horizon.is_some() || commands.iter().any(Command::must_last) || commands.is_empty();
        if writes || commands.is_empty() {
            if !must_last {
                transaction.set_durability(Durability::None)?;
            }
            transaction.commit()?;
            self.text = text;
        } else {
            transaction.abort()?;
        }
        Ok(replies)
    }
}

impl Tables<'_> {
    fn take(&mut self, now: u64, command: &Command, bounds: &Bounds, inherited: u64) -> Result<Reply, Error> {
        let longest = bounds.longest_text();
        Ok(match command {
            Command::Begin { key, message_id, incarnation, .. } => {
                Reply::Begun(self.begin(now, key, message_id.as_deref(), *incarnation)?)
            }
            Command::Answered { key, answer, .. } => Reply::Done(self.answered(key, answer, longest)?),
            Command::Sent { key } => Reply::Done(self.sent(key)?),
            Command::LeftBehind { before, .. } => {
                let since = now.saturating_sub(millis(bounds.wanted));
                Reply::Page(self.left_behind(inherited.min(*before), since)?)
            }
            Command::GiveUp { call, answer, .. } => Reply::GivenUp(self.give_up(call, answer, longest)?),
            Command::Told { call } => Reply::Done(self.told(call)?),
            Command::Look { key, .. } => Reply::Entry(self.look(key)?),
            Command::RememberSession { session, record } => {
                Reply::Done(self.remember_session(now, session, record)?)
            }
            Command::Session { session, .. } => Reply::Session(self.session(session)?),
            Command::ForgetSession { session } => Reply::Done(self.forget_session(session.as_str())?),
            Command::Retire => {
                self.meta.insert("instance", InstanceId::random().as_str())?;
                Reply::Done(())
            }
        })
    }
}

/// What is read of a ledger when it is opened.
struct Known {
    instance: InstanceId,
    covers_since: u64,
    text: u64,
    next_order: u64,
}

impl Known {
    /// Reads it, and writes it into a new ledger first. What is no ledger of this version stays as it is.
    fn read(database: &Database) -> Result<Self, Error> {
        let invalid = |key: &str| Error::Corrupted(format!("its {key} is not one"));
        let transaction = database.begin_read()?;
        let format = match transaction.open_table(META) {
            Ok(meta) => meta.get("format")?.map(|format| format.value().to_owned()),
            Err(TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let is_new = transaction.list_tables()?.next().is_none();
        if !is_new && format.as_deref() != Some(FORMAT) {
            return Err(invalid("format"));
        }
        drop(transaction);
        let transaction = database.begin_write()?;
        let mut tables = Tables::open(&transaction, 0)?;
        if is_new {
            tables.meta.insert("format", FORMAT)?;
            tables.meta.insert("instance", InstanceId::random().as_str())?;
            tables.meta.insert("covers_since", &*since_epoch(SystemTime::now()).to_string())?;
        }
        let next_order = tables.next_order()?;
        drop(tables);
        transaction.commit()?;

        let transaction = database.begin_read()?;
        let meta = transaction.open_table(META)?;
        let text = |key: &str| -> Result<String, Error> {
            let value = meta.get(key)?.map(|value| value.value().to_owned());
            value.ok_or_else(|| Error::Corrupted(format!("it has no {key}")))
        };
        let mut bytes = 0;
        for row in transaction.open_table(TEXTS)?.iter()? {
            bytes += row?.1.value().1;
        }
        Ok(Self {
            instance: InstanceId::parse(&text("instance")?).map_err(|_| invalid("instance"))?,
            covers_since: text("covers_since")?.parse().map_err(|_| invalid("covers_since"))?,
            text: bytes,
            next_order,
        })
    }
}

/// Opens the file, or makes it with all folders above it. Its content is checked, as it would not be otherwise.
fn open_file(path: &Path) -> Result<Database, Error> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let open = || -> Result<Database, Error> {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
        Ok(builder.create_with_backend(FileBackend::new(file)?)?)
    };
    unless_it_panics(open)
}

/// The database may panic over a file that was altered: then it is damaged, and the thread goes on.
fn unless_it_panics<T>(doing: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(doing))
        .unwrap_or_else(|_| Err(Error::Corrupted("it could not be read".to_owned())))
}

/// What errors say instead of a path that is none.
fn shown(path: Option<&Path>) -> &Path {
    path.unwrap_or(Path::new("in memory"))
}

fn since_epoch(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, millis)
}

#[cfg(test)]
mod tests;
