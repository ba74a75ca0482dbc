//! The far end: ordinary MCP servers behind async transports.

mod ledger;

pub use self::ledger::{Begun, CallKey, Entry, EntryState, Ledger, LedgerError, SessionRecord};
