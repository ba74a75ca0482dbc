use std::{io, sync::atomic::AtomicBool};

use proxy_core::{id::RemoteSession, message::RequestId};
use redb::StorageBackend;
use tokio::sync::oneshot;

use super::*;
use crate::ledger::entry::{Begun, CallKey};

/// A disk that can be full, or make the database panic, which it does for good then.
#[derive(Debug)]
struct Disk {
    memory: InMemoryBackend,
    full: Arc<AtomicBool>,
    panics: Arc<AtomicBool>,
}

impl Disk {
    fn room(&self) -> io::Result<()> {
        assert!(!self.panics.load(Ordering::SeqCst), "the database is not what it should be");
        if self.full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.memory.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.memory.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.room()?;
        self.memory.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.room()?;
        self.memory.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.room()?;
        self.memory.write(offset, data)
    }
}

fn begin(id: i64) -> Command {
    let key = CallKey::new(&RemoteSession::parse("s").unwrap(), &RequestId::number(id));
    Command::Begin { key, message_id: None, incarnation: 1, done: oneshot::channel().0 }
}

#[test]
fn a_disk_that_is_full_refuses_calls() {
    let full = Arc::new(AtomicBool::new(false));
    let disk = Disk { memory: InMemoryBackend::new(), full: Arc::clone(&full), panics: Arc::default() };
    let mut store =
        Store::over(Builder::new().create_with_backend(disk).unwrap(), None, Bounds::default()).unwrap();
    let now = SystemTime::now();
    assert!(matches!(store.apply(now, &[begin(1)]).unwrap()[..], [Reply::Begun(Begun::New)]));
    full.store(true, Ordering::SeqCst);
    for id in [2, 2, 3] {
        let error = store.apply(now, &[begin(id)]).err().unwrap();
        assert!(matches!(&error, LedgerError::Unusable { doing: "written", .. }), "{error:?}");
        assert!(error.to_string().contains("the disk has room"), "{error}");
    }
}

#[test]
fn a_file_is_opened_anew_after_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    let mut store = Store::open(&path, Bounds::default()).unwrap();
    let now = SystemTime::now();
    store.apply(now, &[begin(1)]).unwrap();
    store.database = None;
    assert!(matches!(
        store.apply(now, &[begin(1), begin(2)]).unwrap()[..],
        [Reply::Begun(Begun::Known(_)), Reply::Begun(Begun::New)]
    ));
    // another took it meanwhile
    store.database = None;
    let other = Store::open(&path, Bounds::default()).unwrap();
    assert!(matches!(store.apply(now, &[begin(3)]), Err(LedgerError::Locked { .. })));
    other.close().unwrap();
    assert!(matches!(store.apply(now, &[begin(3)]).unwrap()[..], [Reply::Begun(Begun::New)]));
}

#[test]
fn a_file_that_is_taken_away_takes_along_what_was_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    let mut store = Store::open(&path, Bounds::default()).unwrap();
    store.apply(SystemTime::now(), &[begin(1)]).unwrap();
    let covers_since = store.covers_since();
    // to make room on a disk that is full, say
    store.database = None;
    std::fs::remove_file(&path).unwrap();
    // what the clock showed then may not be told from what it shows now
    covers_since.store(1, Ordering::SeqCst);
    assert!(matches!(store.apply(SystemTime::now(), &[begin(1)]).unwrap()[..], [Reply::Begun(Begun::New)]));
    assert!(covers_since.load(Ordering::SeqCst) > 1);
}

#[test]
fn what_is_of_another_version_or_no_ledger_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for (table, format) in [("meta", "2"), ("stock", "1")] {
        let path = folder.path().join(table);
        let database = Database::create(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        let definition = redb::TableDefinition::<&str, &str>::new(table);
        transaction.open_table(definition).unwrap().insert("format", format).unwrap();
        transaction.commit().unwrap();
        database.close().unwrap();
        let error = Store::open(&path, Bounds::default()).unwrap_err();
        assert!(matches!(error, LedgerError::Damaged { .. }), "{error:?}");
        let database = Database::open(&path).unwrap();
        let tables = database.begin_read().unwrap().list_tables().unwrap().count();
        assert_eq!(tables, 1, "{table}");
    }
}

#[test]
fn a_database_that_panics_is_an_error_and_opened_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    Store::open(&path, Bounds::default()).unwrap().close().unwrap();
    let panics = Arc::new(AtomicBool::new(false));
    let disk = Disk { memory: InMemoryBackend::new(), full: Arc::default(), panics: Arc::clone(&panics) };
    let database = Builder::new().create_with_backend(disk).unwrap();
    let mut store = Store::over(database, Some(&path), Bounds::default()).unwrap();
    panics.store(true, Ordering::SeqCst);
    let now = SystemTime::now();
    assert!(matches!(store.apply(now, &[begin(1)]), Err(LedgerError::Damaged { .. })));
    assert!(matches!(store.apply(now, &[begin(1)]).unwrap()[..], [Reply::Begun(Begun::New)]));
}

#[tokio::test]
async fn who_asks_hears_that_calls_cannot_be_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let full = Arc::new(AtomicBool::new(false));
    let disk = Disk { memory: InMemoryBackend::new(), full: Arc::clone(&full), panics: Arc::default() };
    let database = Builder::new().create_with_backend(disk).unwrap();
    let store = Store::over(database, Some(&folder.path().join("ledger.redb")), Bounds::default()).unwrap();
    let ledger = crate::ledger::Ledger::over(store).unwrap();
    let key = CallKey::new(&RemoteSession::parse("s").unwrap(), &RequestId::number(1));
    ledger.check().unwrap();
    full.store(true, Ordering::SeqCst);
    ledger.begin(key.clone(), None, 1).await.unwrap_err();
    assert!(matches!(ledger.check(), Err(LedgerError::Unusable { doing: "written", .. })));
    // from now on there is the file
    ledger.begin(key, None, 1).await.unwrap();
    ledger.check().unwrap();
    ledger.close().await;
    assert!(matches!(ledger.check(), Err(LedgerError::Closed)));
}
