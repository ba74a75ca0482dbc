//! The tables of a ledger, and what one transaction does to them.

use std::time::{Duration, UNIX_EPOCH};

use proxy_core::{ReplyAddress, id::RemoteSession};
use redb::{Error, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::entry::{Begun, CallKey, Entry, EntryState, SessionRecord};

/// Texts and numbers of the ledger as a whole.
pub(super) const META: TableDefinition<'static, &str, &str> = TableDefinition::new("meta");
/// State, message id, incarnation, begun at, order.
type CallRow<'text> = (u8, Option<&'text str>, u64, u64, u64);
/// Kind of address, address, client, knows context, order.
type SessionRow<'text> = (u8, &'text str, Option<&'text str>, bool, u64);

/// By call key.
const CALLS: TableDefinition<'static, &[u8], CallRow<'static>> = TableDefinition::new("calls");
/// Order → begun at, call key.
const BEGUN: TableDefinition<'static, u64, (u64, &[u8])> = TableDefinition::new("begun");
/// Call key → answer.
const ANSWERS: TableDefinition<'static, &[u8], &str> = TableDefinition::new("answers");
/// State, order → call key, bytes of its answer: in the order in which answers are given up.
pub(super) const TEXTS: TableDefinition<'static, (u8, u64), (&[u8], u64)> = TableDefinition::new("texts");
/// By session.
const SESSIONS: TableDefinition<'static, &str, SessionRow<'static>> = TableDefinition::new("sessions");
/// Order → remembered at, session.
const SESSION_ORDER: TableDefinition<'static, u64, (u64, &str)> = TableDefinition::new("session_order");

/// The states of a call as they are stored. Sent comes before answered, since its text is given up first.
pub(super) const STARTED: u8 = 0;
pub(super) const SENT: u8 = 1;
pub(super) const ANSWERED: u8 = 2;

const SQS: u8 = 0;
const SNS: u8 = 1;
const URL: u8 = 2;

/// The tables in one transaction, and what is counted beside them. The counts hold once it is committed.
pub(super) struct Tables<'txn> {
    pub(super) meta: Table<'txn, &'static str, &'static str>,
    pub(super) calls: Table<'txn, &'static [u8], CallRow<'static>>,
    pub(super) begun: Table<'txn, u64, (u64, &'static [u8])>,
    pub(super) answers: Table<'txn, &'static [u8], &'static str>,
    pub(super) texts: Table<'txn, (u8, u64), (&'static [u8], u64)>,
    pub(super) sessions: Table<'txn, &'static str, SessionRow<'static>>,
    pub(super) session_order: Table<'txn, u64, (u64, &'static str)>,
    /// The bytes of all answers.
    pub(super) text: u64,
}

impl<'txn> Tables<'txn> {
    pub(super) fn open(transaction: &'txn WriteTransaction, text: u64) -> Result<Self, Error> {
        Ok(Self {
            meta: transaction.open_table(META)?,
            calls: transaction.open_table(CALLS)?,
            begun: transaction.open_table(BEGUN)?,
            answers: transaction.open_table(ANSWERS)?,
            texts: transaction.open_table(TEXTS)?,
            sessions: transaction.open_table(SESSIONS)?,
            session_order: transaction.open_table(SESSION_ORDER)?,
            text,
        })
    }

    pub(super) fn begin(
        &mut self,
        now: u64,
        key: &CallKey,
        message_id: Option<&str>,
        incarnation: u64,
    ) -> Result<Begun, Error> {
        if let Some((entry, order)) = self.find(key)? {
            let same_message = message_id.is_some() && entry.message_id.as_deref() == message_id;
            if same_message || entry.incarnation >= incarnation {
                return Ok(Begun::Known(entry));
            }
            self.remove_call(key.as_bytes(), order)?;
        }
        let (order, begun_at) = self.begun.last()?.map_or((0, now), |(order, call)| {
            // in the order of time, even where the clock was set back
            (order.value() + 1, call.value().0.max(now))
        });
        self.begun.insert(order, (begun_at, key.as_bytes()))?;
        self.calls.insert(key.as_bytes(), (STARTED, message_id, incarnation, begun_at, order))?;
        Ok(Begun::New)
    }

    /// Keeps the answer of a call that has none. Of one that was forgotten meanwhile nothing is kept.
    pub(super) fn answered(&mut self, key: &CallKey, answer: &str, longest: u64) -> Result<(), Error> {
        let Some((Entry { state: EntryState::Started, message_id, incarnation, .. }, order)) =
            self.find(key)?
        else {
            return Ok(());
        };
        let bytes = answer.len() as u64;
        let state = if bytes > longest { SENT } else { ANSWERED };
        self.set_state(key, state, message_id.as_deref(), incarnation, order)?;
        if state == ANSWERED {
            self.answers.insert(key.as_bytes(), answer)?;
            self.texts.insert((ANSWERED, order), (key.as_bytes(), bytes))?;
            self.text += bytes;
        }
        Ok(())
    }

    pub(super) fn sent(&mut self, key: &CallKey) -> Result<(), Error> {
        let Some((Entry { state, message_id, incarnation, .. }, order)) = self.find(key)? else {
            return Ok(());
        };
        if let EntryState::Answered(answer) = &state {
            self.texts.remove((ANSWERED, order))?;
            self.texts.insert((SENT, order), (key.as_bytes(), answer.len() as u64))?;
        }
        self.set_state(key, SENT, message_id.as_deref(), incarnation, order)
    }

    pub(super) fn look(&self, key: &CallKey) -> Result<Option<Entry>, Error> {
        Ok(self.find(key)?.map(|(entry, _)| entry))
    }

    pub(super) fn remove_call(&mut self, key: &[u8], order: u64) -> Result<(), Error> {
        self.calls.remove(key)?;
        self.begun.remove(order)?;
        self.answers.remove(key)?;
        for state in [SENT, ANSWERED] {
            let bytes = self.texts.remove((state, order))?.map_or(0, |text| text.value().1);
            self.text = self.text.saturating_sub(bytes);
        }
        Ok(())
    }

    pub(super) fn remember_session(
        &mut self,
        now: u64,
        session: &RemoteSession,
        record: &SessionRecord,
    ) -> Result<(), Error> {
        self.forget_session(session.as_str())?;
        let (order, now) = self
            .session_order
            .last()?
            .map_or((0, now), |(order, session)| (order.value() + 1, session.value().0.max(now)));
        let (kind, address) = match &record.reply {
            ReplyAddress::Sqs(url) => (SQS, url),
            ReplyAddress::Sns(arn) => (SNS, arn),
            ReplyAddress::Url(url) => (URL, url),
        };
        let client_id = record.client_id.as_deref();
        self.session_order.insert(order, (now, session.as_str()))?;
        self.sessions.insert(session.as_str(), (kind, &**address, client_id, record.knows_context, order))?;
        Ok(())
    }

    pub(super) fn session(&self, session: &RemoteSession) -> Result<Option<SessionRecord>, Error> {
        Ok(self.sessions.get(session.as_str())?.map(|row| {
            let (kind, address, client_id, knows_context, _) = row.value();
            let reply = match kind {
                SQS => ReplyAddress::Sqs(address.into()),
                SNS => ReplyAddress::Sns(address.into()),
                _ => ReplyAddress::Url(address.into()),
            };
            SessionRecord { reply, client_id: client_id.map(Into::into), knows_context }
        }))
    }

    pub(super) fn forget_session(&mut self, session: &str) -> Result<(), Error> {
        let order = self.sessions.remove(session)?.map(|row| row.value().4);
        if let Some(order) = order {
            self.session_order.remove(order)?;
        }
        Ok(())
    }

    fn find(&self, key: &CallKey) -> Result<Option<(Entry, u64)>, Error> {
        let Some(row) = self.calls.get(key.as_bytes())? else { return Ok(None) };
        let (state, message_id, incarnation, begun_at, order) = row.value();
        let answer = self.answers.get(key.as_bytes())?.map(|answer| answer.value().into());
        let state = match (state, answer) {
            (STARTED, _) => EntryState::Started,
            (ANSWERED, Some(answer)) => EntryState::Answered(answer),
            (_, answer) => EntryState::Sent(answer),
        };
        let begun_at = UNIX_EPOCH + Duration::from_millis(begun_at);
        Ok(Some((Entry { state, message_id: message_id.map(Into::into), incarnation, begun_at }, order)))
    }

    fn set_state(
        &mut self,
        key: &CallKey,
        state: u8,
        message_id: Option<&str>,
        incarnation: u64,
        order: u64,
    ) -> Result<(), Error> {
        let begun_at = self.begun.get(order)?.map_or(0, |call| call.value().0);
        self.calls.insert(key.as_bytes(), (state, message_id, incarnation, begun_at, order))?;
        Ok(())
    }
}
