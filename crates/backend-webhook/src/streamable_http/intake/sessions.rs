//! What is kept for a session: its standalone stream, and what waits for one.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use proxy_core::{
    id::RemoteSession,
    intake::{Receipt, Taken},
};

use super::streams::{MOST, MOST_BYTES, Outgoing, Reader, Writer, stream};

/// Every session that the desk opened and did not close.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<RemoteSession, Session>>);

#[derive(Debug, Default)]
struct Session {
    /// The number of the response to its `initialize`.
    initialize: u64,
    standalone: Option<Writer>,
    /// What waits for a standalone stream.
    waiting: VecDeque<Outgoing>,
}

/// Why there is no standalone stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoStream {
    /// The session is not known.
    Unknown,
    /// It has one.
    Open,
}

impl Sessions {
    /// Hands an `initialize` to the desk. No reply to the session overtakes what is noted here: it waits for the same lock, which is held
    /// for as long as a desk takes, which never blocks.
    pub(super) fn open(&self, initialize: u64, take: impl FnOnce() -> Taken) -> Taken {
        let mut sessions = self.sessions();
        let taken = take();
        if let Receipt::Opened(session) = &taken.receipt {
            sessions.insert(session.clone(), Session { initialize, ..Session::default() });
        }
        taken
    }

    /// The number of the response to a session's `initialize`.
    pub(super) fn initialize_of(&self, session: &RemoteSession) -> Option<u64> {
        self.sessions().get(session).map(|session| session.initialize)
    }

    /// Opens the standalone stream of a session (basic/transports, listening for messages from the server), and puts on it what
    /// waited.
    pub(super) fn listen(&self, session: &RemoteSession) -> Result<Reader, NoStream> {
        let mut sessions = self.sessions();
        let session = sessions.get_mut(session).ok_or(NoStream::Unknown)?;
        if session.standalone.as_ref().is_some_and(Writer::is_read) {
            return Err(NoStream::Open);
        }
        let (writer, reader) = stream();
        for message in session.waiting.drain(..) {
            // no more waits than a stream holds
            writer.put_now(message);
        }
        session.standalone = Some(writer);
        Ok(reader)
    }

    /// The standalone stream of a session, if somebody reads it.
    pub(super) fn standalone(&self, session: &RemoteSession) -> Option<Writer> {
        self.sessions().get(session)?.standalone.clone().filter(Writer::is_read)
    }

    /// Keeps a message until there is a standalone stream, as many as such a stream holds. Where there is no room the oldest notification goes; `false` where there is
    /// none, or no such session.
    pub(super) fn keep(&self, session: &RemoteSession, message: Outgoing) -> bool {
        let mut sessions = self.sessions();
        let Some(session) = sessions.get_mut(session) else { return false };
        let waiting = &mut session.waiting;
        waiting.push_back(message);
        let bytes =
            |waiting: &VecDeque<Outgoing>| waiting.iter().map(|message| message.text.len()).sum::<usize>();
        while waiting.len() > MOST || bytes(waiting) > MOST_BYTES {
            let Some(oldest) = waiting.iter().position(|message| message.is_expendable) else {
                waiting.pop_back();
                return false;
            };
            waiting.remove(oldest);
            tracing::debug!("a notification that no stream came for was dropped");
        }
        true
    }

    /// Forgets a session.
    pub(super) fn close(&self, session: &RemoteSession) {
        self.sessions().remove(session);
    }

    /// Ends every standalone stream.
    pub(super) fn end_all(&self) {
        for session in self.sessions().values_mut() {
            session.standalone = None;
        }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<RemoteSession, Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use proxy_core::intake::Settled;

    use super::*;

    fn opened() -> (Sessions, RemoteSession) {
        let (sessions, session) = (Sessions::default(), RemoteSession::parse("s").unwrap());
        let receipt = Receipt::Opened(session.clone());
        let taken = sessions.open(7, || Taken { receipt, settled: Box::pin(async { Settled::Done }) });
        assert!(matches!(taken.receipt, Receipt::Opened(_)));
        (sessions, session)
    }

    fn message(text: &str, is_expendable: bool) -> Outgoing {
        Outgoing { text: text.to_owned(), is_answer: false, is_error: false, is_expendable, context: None }
    }

    #[tokio::test]
    async fn what_waits_is_bounded_and_requests_are_kept_before_notifications() {
        let (sessions, session) = opened();
        assert!(sessions.keep(&session, message("first", true)));
        for number in 0..MOST {
            assert!(sessions.keep(&session, message(&number.to_string(), false)));
        }
        assert!(!sessions.keep(&session, message("too many", false)));
        assert!(!sessions.keep(&RemoteSession::parse("other").unwrap(), message("x", true)));
        let mut reader = sessions.listen(&session).unwrap();
        for number in 0..MOST {
            assert_eq!(reader.next().await.unwrap().text, number.to_string());
        }
        let large = message(&"x".repeat(MOST_BYTES + 1), false);
        assert!(!sessions.keep(&session, large));
    }

    #[tokio::test]
    async fn a_session_has_one_standalone_stream() {
        let (sessions, session) = opened();
        assert_eq!(sessions.initialize_of(&session), Some(7));
        assert!(sessions.standalone(&session).is_none());
        let reader = sessions.listen(&session).unwrap();
        assert_eq!(sessions.listen(&session).unwrap_err(), NoStream::Open);
        assert!(sessions.standalone(&session).is_some());
        drop(reader);
        assert!(sessions.standalone(&session).is_none());
        let mut reader = sessions.listen(&session).unwrap();
        sessions.close(&session);
        assert!(reader.next().await.is_none());
        assert_eq!(sessions.listen(&session).unwrap_err(), NoStream::Unknown);
    }
}
