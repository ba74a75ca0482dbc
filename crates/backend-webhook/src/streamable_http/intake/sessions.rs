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
    /// The client that opened it, where it named itself.
    client_id: Option<Box<str>>,
    standalone: Option<Writer>,
    /// What waits for a standalone stream.
    waiting: VecDeque<Outgoing>,
}

/// Why a message does not wait for a standalone stream.
#[derive(Debug)]
pub(super) enum NotKept {
    /// One is read: it goes there.
    Read(Writer),
    /// There is no room, or no such session.
    NoRoom,
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
    pub(super) fn open(
        &self,
        initialize: u64,
        client_id: Option<Box<str>>,
        take: impl FnOnce() -> Taken,
    ) -> Taken {
        let mut sessions = self.sessions();
        let taken = take();
        if let Receipt::Opened(session) = &taken.receipt {
            sessions.insert(session.clone(), Session { initialize, client_id, ..Session::default() });
        }
        taken
    }

    /// The number of the response to a session's `initialize`.
    pub(super) fn initialize_of(&self, session: &RemoteSession) -> Option<u64> {
        self.sessions().get(session).map(|session| session.initialize)
    }

    /// Opens the standalone stream of a session (basic/transports, listening for messages from the server), and puts on it what
    /// waited. A client that named itself when it opened the session does so here, too (docs/WIRE.md).
    pub(super) fn listen(
        &self,
        session: &RemoteSession,
        client_id: Option<&str>,
    ) -> Result<Reader, NoStream> {
        let mut sessions = self.sessions();
        let session = sessions.get_mut(session).ok_or(NoStream::Unknown)?;
        if session.client_id.as_deref().is_some_and(|own| client_id != Some(own)) {
            return Err(NoStream::Unknown);
        }
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

    /// Keeps a message until there is a standalone stream, as many as such a stream holds. Where there is no room the oldest
    /// notification goes.
    pub(super) fn keep(&self, session: &RemoteSession, message: Outgoing) -> Result<(), NotKept> {
        let mut sessions = self.sessions();
        let session = sessions.get_mut(session).ok_or(NotKept::NoRoom)?;
        // what waits is looked for only when a stream is opened
        if let Some(standalone) = session.standalone.as_ref().filter(|standalone| standalone.is_read()) {
            return Err(NotKept::Read(standalone.clone()));
        }
        let waiting = &mut session.waiting;
        waiting.push_back(message);
        let bytes =
            |waiting: &VecDeque<Outgoing>| waiting.iter().map(|message| message.text.len()).sum::<usize>();
        while waiting.len() > MOST || bytes(waiting) > MOST_BYTES {
            let Some(oldest) = waiting.iter().position(|message| message.is_expendable) else {
                waiting.pop_back();
                return Err(NotKept::NoRoom);
            };
            waiting.remove(oldest);
            tracing::debug!("a notification that no stream came for was dropped");
        }
        Ok(())
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
        let taken = sessions.open(7, None, || Taken { receipt, settled: Box::pin(async { Settled::Done }) });
        assert!(matches!(taken.receipt, Receipt::Opened(_)));
        (sessions, session)
    }

    fn message(text: &str, is_expendable: bool) -> Outgoing {
        Outgoing { text: text.to_owned(), is_answer: false, is_error: false, is_expendable, context: None }
    }

    #[tokio::test]
    async fn what_waits_is_bounded_and_requests_are_kept_before_notifications() {
        let (sessions, session) = opened();
        sessions.keep(&session, message("first", true)).unwrap();
        for number in 0..MOST {
            sessions.keep(&session, message(&number.to_string(), false)).unwrap();
        }
        assert!(matches!(sessions.keep(&session, message("too many", false)), Err(NotKept::NoRoom)));
        assert!(matches!(
            sessions.keep(&RemoteSession::parse("other").unwrap(), message("x", true)),
            Err(NotKept::NoRoom)
        ));
        let mut reader = sessions.listen(&session, None).unwrap();
        for number in 0..MOST {
            assert_eq!(reader.next().await.unwrap().text, number.to_string());
        }
        drop(reader);
        let large = message(&"x".repeat(MOST_BYTES + 1), false);
        assert!(matches!(sessions.keep(&session, large), Err(NotKept::NoRoom)));
    }

    #[tokio::test]
    async fn nothing_waits_while_a_stream_is_read() {
        let (sessions, session) = opened();
        let reader = sessions.listen(&session, None).unwrap();
        // whoever saw no stream a moment ago would leave it where nobody looks
        let NotKept::Read(writer) = sessions.keep(&session, message("too late to wait", false)).unwrap_err()
        else {
            panic!("there is a stream");
        };
        assert!(writer.is_read());
        drop(reader);
        sessions.keep(&session, message("waits", false)).unwrap();
    }

    #[tokio::test]
    async fn a_session_has_one_standalone_stream() {
        let (sessions, session) = opened();
        assert_eq!(sessions.initialize_of(&session), Some(7));
        assert!(sessions.standalone(&session).is_none());
        let reader = sessions.listen(&session, None).unwrap();
        assert_eq!(sessions.listen(&session, None).unwrap_err(), NoStream::Open);
        assert!(sessions.standalone(&session).is_some());
        drop(reader);
        assert!(sessions.standalone(&session).is_none());
        let mut reader = sessions.listen(&session, None).unwrap();
        sessions.close(&session);
        assert!(reader.next().await.is_none());
        assert_eq!(sessions.listen(&session, None).unwrap_err(), NoStream::Unknown);
    }
}
