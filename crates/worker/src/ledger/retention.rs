//! What a ledger forgets, and when: by age, by number, and answers by their size in all.

use std::time::Duration;

use redb::{Error, ReadableTable, ReadableTableMetadata};

use super::tables::{ANSWERED, SENT, Tables};

/// How long a call stays known, at least.
const RETENTION: Duration = Duration::from_hours(24);

/// How long a call takes at the most where nobody says it: `request_timeout_max` by default.
pub(super) const LONGEST_CALL: Duration = Duration::from_hours(1);

/// How long a session stays known that nobody ended.
const SESSION_RETENTION: Duration = Duration::from_hours(7 * 24);

/// How many calls stay known.
const MOST_CALLS: u64 = 1_000_000;

/// How many sessions stay known.
const MOST_SESSIONS: u64 = 100_000;

/// How many bytes the answers may have in all.
const MOST_TEXT: u64 = 64 << 20;

/// How much is forgotten in one transaction beyond what it adds, so that none takes long.
const AT_ONCE: usize = 16;

/// How much a ledger keeps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) retention: Duration,
    /// How long after a call began somebody may still want to hear what became of it.
    pub(super) wanted: Duration,
    pub(super) calls: u64,
    pub(super) sessions: u64,
    pub(super) text: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self::for_calls_of(LONGEST_CALL)
    }
}

impl Bounds {
    /// What is kept where calls may take so long.
    pub(super) fn for_calls_of(longest: Duration) -> Self {
        let wanted = longest.saturating_mul(2);
        Self {
            retention: RETENTION.max(wanted),
            wanted,
            calls: MOST_CALLS,
            sessions: MOST_SESSIONS,
            text: MOST_TEXT,
        }
    }

    /// The longest answer that is kept.
    pub(super) fn longest_text(&self) -> u64 {
        self.text / 4
    }
}

impl Tables<'_> {
    /// Forgets what is too old or too much, but at most a little more than this transaction `added`. Returns when the latest of the
    /// calls that are forgotten was begun, in milliseconds.
    pub(super) fn forget(&mut self, now: u64, bounds: &Bounds, added: usize) -> Result<Option<u64>, Error> {
        let at_once = AT_ONCE + 2 * added;
        while self.text > bounds.text && self.drop_oldest_text()? {}
        let oldest = now.saturating_sub(millis(bounds.retention));
        let mut horizon = None;
        for _ in 0..at_once {
            let Some((order, begun_at, key)) = self.oldest_call()? else { break };
            if begun_at >= oldest && self.begun.len()? <= bounds.calls {
                break;
            }
            self.remove_call(&key, order)?;
            horizon = Some(begun_at);
        }
        let oldest = now.saturating_sub(millis(SESSION_RETENTION.max(bounds.retention)));
        for _ in 0..at_once {
            let Some((remembered_at, name)) = self.oldest_session()? else { break };
            if remembered_at >= oldest && self.session_order.len()? <= bounds.sessions {
                break;
            }
            self.forget_session(&name)?;
        }
        Ok(horizon)
    }

    /// Takes away the oldest text of those that were sent, or if there is none of those that were not.
    fn drop_oldest_text(&mut self) -> Result<bool, Error> {
        let Some((key, bytes)) = self.texts.pop_first()?.map(|(_, text)| {
            let (key, bytes) = text.value();
            (key.to_vec(), bytes)
        }) else {
            return Ok(false);
        };
        self.answers.remove(&*key)?;
        self.text = self.text.saturating_sub(bytes);
        let row = self.calls.get(&*key)?.map(|row| {
            let (state, message_id, incarnation, begun_at, order) = row.value();
            (state, message_id.map(str::to_owned), incarnation, begun_at, order)
        });
        if let Some((ANSWERED, message_id, incarnation, begun_at, order)) = row {
            self.calls.insert(&*key, (SENT, message_id.as_deref(), incarnation, begun_at, order))?;
        }
        Ok(true)
    }

    fn oldest_call(&self) -> Result<Option<(u64, u64, Vec<u8>)>, Error> {
        Ok(self.begun.first()?.map(|(order, call)| {
            let (begun_at, key) = call.value();
            (order.value(), begun_at, key.to_vec())
        }))
    }

    fn oldest_session(&self) -> Result<Option<(u64, String)>, Error> {
        Ok(self.session_order.first()?.map(|(_, session)| {
            let (remembered_at, name) = session.value();
            (remembered_at, name.to_owned())
        }))
    }
}

/// In milliseconds, as the tables count.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
