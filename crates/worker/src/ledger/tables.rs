//! The tables of a ledger, and what one transaction does to them.

use std::time::{Duration, UNIX_EPOCH};

use proxy_core::{ReplyAddress, id::RemoteSession};
use redb::{AccessGuard, Error, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::entry::{Begun, CallKey, Entry, EntryState, LeftBehind, Page, SessionRecord};

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
/// Session → incarnation, payloads. Beside its row, as there are files without.
const LIVES: TableDefinition<'static, &str, (u64, Option<&'static str>)> = TableDefinition::new("lives");
/// Order → remembered at, session.
const SESSION_ORDER: TableDefinition<'static, u64, (u64, &str)> = TableDefinition::new("session_order");

/// The states of a call as they are stored. Sent comes before answered, since its text is given up first.
pub(super) const STARTED: u8 = 0;
pub(super) const SENT: u8 = 1;
pub(super) const ANSWERED: u8 = 2;

/// How many calls are looked through for a page of those that were left behind: a fraction of a millisecond, since calls that begin
/// wait for it.
pub(super) const LOOKED_THROUGH: usize = 256;

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
    lives: Table<'txn, &'static str, (u64, Option<&'static str>)>,
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
            lives: transaction.open_table(LIVES)?,
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
        let mut replaced = None;
        if let Some((entry, order)) = self.find(key)? {
            let same_message = message_id.is_some() && entry.message_id.as_deref() == message_id;
            if same_message || entry.incarnation >= incarnation {
                return Ok(Begun::Known(entry));
            }
            replaced = Some(order);
        }
        // before one is taken away: no order is given twice while there is a call
        let (order, begun_at) = self.begun.last()?.map_or((0, now), |(order, call)| {
            // in the order of time, even where the clock was set back
            (order.value() + 1, call.value().0.max(now))
        });
        if let Some(replaced) = replaced {
            self.remove_call(key.as_bytes(), replaced)?;
        }
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

    /// The order that the next call gets, or an earlier one.
    pub(super) fn next_order(&self) -> Result<u64, Error> {
        Ok(self.begun.last()?.map_or(0, |(order, _)| order.value() + 1))
    }

    /// The latest calls before this one in order, and begun since, that their clients may have heard nothing of.
    pub(super) fn left_behind(&self, before: u64, since: u64) -> Result<Page, Error> {
        let mut page = Page::default();
        for (number, row) in self.begun.range(..before)?.rev().enumerate() {
            let (order, call) = row?;
            let (order, (begun_at, key)) = (order.value(), call.value());
            if begun_at < since {
                break;
            }
            if number == LOOKED_THROUGH {
                page.before = Some(order + 1);
                break;
            }
            let Some(row) = self.calls.get(key)? else { continue };
            let (state, _, incarnation, _, _) = row.value();
            if state != SENT {
                page.calls.push(LeftBehind {
                    key: CallKey::of_bytes(key),
                    incarnation,
                    is_answered: state == ANSWERED,
                });
            }
        }
        page.calls.reverse();
        Ok(page)
    }

    /// Gives a call that was left behind this answer, unless it has one. Returns what its client has to hear, if anything.
    pub(super) fn give_up(
        &mut self,
        call: &LeftBehind,
        answer: &str,
        longest: u64,
    ) -> Result<Option<Box<str>>, Error> {
        match self.find_left_behind(call)? {
            Some(EntryState::Started) => {
                self.answered(&call.key, answer, longest)?;
                Ok(Some(answer.into()))
            }
            Some(EntryState::Answered(answer)) => Ok(Some(answer)),
            Some(EntryState::Sent(_)) | None => Ok(None),
        }
    }

    /// The client of a call that was left behind has heard of it.
    pub(super) fn told(&mut self, call: &LeftBehind) -> Result<(), Error> {
        if self.find_left_behind(call)?.is_some() { self.sent(&call.key) } else { Ok(()) }
    }

    fn find_left_behind(&self, call: &LeftBehind) -> Result<Option<EntryState>, Error> {
        let found = self.find(&call.key)?.map(|(entry, _)| entry);
        Ok(found.filter(|entry| entry.incarnation == call.incarnation).map(|entry| entry.state))
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
        self.lives.insert(session.as_str(), (record.incarnation, record.payloads.as_deref()))?;
        Ok(())
    }

    pub(super) fn session(&self, session: &RemoteSession) -> Result<Option<SessionRecord>, Error> {
        let life = self.lives.get(session.as_str())?;
        let (incarnation, payloads) = life.as_ref().map(AccessGuard::value).unwrap_or_default();
        Ok(self.sessions.get(session.as_str())?.map(|row| {
            let (kind, address, client_id, knows_context, _) = row.value();
            let reply = match kind {
                SQS => ReplyAddress::Sqs(address.into()),
                SNS => ReplyAddress::Sns(address.into()),
                _ => ReplyAddress::Url(address.into()),
            };
            let client_id = client_id.map(Into::into);
            SessionRecord { reply, client_id, knows_context, payloads: payloads.map(Into::into), incarnation }
        }))
    }

    pub(super) fn forget_session(&mut self, session: &str) -> Result<(), Error> {
        self.lives.remove(session)?;
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
