use std::{io, sync::atomic::AtomicBool};

use proxy_core::{id::RemoteSession, message::RequestId};
use redb::StorageBackend;
use tokio::sync::oneshot;

use super::*;
use crate::ledger::entry::{Begun, CallKey};

/// A disk that can be full.
#[derive(Debug)]
struct Disk {
    memory: InMemoryBackend,
    full: Arc<AtomicBool>,
}

impl Disk {
    fn room(&self) -> io::Result<()> {
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
    let disk = Disk { memory: InMemoryBackend::new(), full: Arc::clone(&full) };
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
