//! What can be wrong with a ledger.

use std::{path::Path, sync::Arc};

/// Why a ledger cannot be opened, or does not take what it is asked to.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// Another process has the file.
    #[error(
        "the ledger {path} is in use by another process: stop that worker, or give this one a file of its own"
    )]
    Locked {
        /// The file.
        path: Box<str>,
    },
    /// The file is no ledger, or not a whole one.
    #[error(
        "the ledger {path} is damaged, or is no ledger of this version: move it away to begin a new one; calls that come again then count as \
         ones that may have run"
    )]
    Damaged {
        /// The file.
        path: Box<str>,
        /// What the database says.
        #[source]
        source: Arc<redb::Error>,
    },
    /// The file cannot be made, read or written.
    #[error(
        "the ledger {path} cannot be {doing}: see that its folder exists, that the worker may write there, and that the disk has room"
    )]
    Unusable {
        /// The file.
        path: Box<str>,
        /// What was tried: opened, written.
        doing: &'static str,
        /// What the operating system or the database says.
        #[source]
        source: Arc<redb::Error>,
    },
    /// More waits to be written than may: the disk does not keep up.
    #[error(
        "the ledger does not keep up with the calls: its disk is too slow, or too many calls come at once"
    )]
    Full,
    /// The ledger was closed.
    #[error("the ledger is closed")]
    Closed,
}

impl LedgerError {
    /// The error of a file that was being `doing`.
    pub(super) fn of(path: &Path, doing: &'static str, error: redb::Error) -> Self {
        let path = path.display().to_string().into();
        match error {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::Locked { path },
            redb::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Self::Damaged { path, source: Arc::new(error.into()) }
            }
            damaged @ (redb::Error::Corrupted(_)
            | redb::Error::UpgradeRequired(_)
            | redb::Error::RepairAborted
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TypeDefinitionChanged { .. }) => Self::Damaged { path, source: Arc::new(damaged) },
            other => Self::Unusable { path, doing, source: Arc::new(other) },
        }
    }
}
