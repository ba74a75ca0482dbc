//! The responses that are open: one for each request, until it is answered or its client goes away.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use proxy_core::{id::RemoteSession, message::RequestId};

use super::streams::{Reader, Writer, stream};

/// Every open response, by its number.
#[derive(Debug, Default)]
pub(super) struct Responses(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    last: u64,
    open: HashMap<u64, Open>,
    in_flight: HashSet<(RemoteSession, RequestId)>,
}

/// An open response.
#[derive(Debug, Clone)]
pub(super) struct Open {
    session: Option<RemoteSession>,
    request: RequestId,
    /// Whether its answer is to be posted, where the client named a webhook.
    pub(super) by_webhook: bool,
    pub(super) writer: Writer,
}

/// A request that is in flight until this is dropped, whether or not anybody still reads its response.
#[derive(Debug)]
pub(super) struct InFlight {
    all: Arc<Responses>,
    request: (RemoteSession, RequestId),
}

impl Responses {
    /// Notes that a request is in flight; `None` where one with its id is, whose answer is the only one that there will be.
    pub(super) fn begin(self: &Arc<Self>, session: &RemoteSession, request: &RequestId) -> Option<InFlight> {
        let request = (session.clone(), request.clone());
        let is_new = self.table().in_flight.insert(request.clone());
        is_new.then(|| InFlight { all: Arc::clone(self), request })
    }

    /// Opens the response to this request. It is forgotten when its reader is dropped.
    pub(super) fn open(
        self: &Arc<Self>,
        session: Option<RemoteSession>,
        request: RequestId,
        by_webhook: bool,
    ) -> (u64, Reader) {
        let (writer, reader) = stream();
        let mut table = self.table();
        table.last += 1;
        let number = table.last;
        table.open.insert(number, Open { session, request, by_webhook, writer });
        drop(table);
        let all = Arc::clone(self);
        (number, reader.when_dropped(move || all.end(number)))
    }

    /// The response with this number, if it is open.
    pub(super) fn get(&self, number: u64) -> Option<Open> {
        self.table().open.get(&number).filter(|open| open.writer.is_read()).cloned()
    }

    /// The request turned out to be this session's.
    pub(super) fn belongs_to(&self, number: u64, session: &RemoteSession) {
        if let Some(open) = self.table().open.get_mut(&number) {
            open.session = Some(session.clone());
        }
    }

    /// Ends a response: what was put into it is still read.
    pub(super) fn end(&self, number: u64) {
        self.table().open.remove(&number);
    }

    /// Ends the response to a request that its client cancelled: nothing answers that.
    pub(super) fn cancel(&self, session: &RemoteSession, request: &RequestId) {
        self.table()
            .open
            .retain(|_, open| open.session.as_ref() != Some(session) || open.request != *request);
    }

    /// Ends all of a session's.
    pub(super) fn end_session(&self, session: &RemoteSession) {
        self.table().open.retain(|_, open| open.session.as_ref() != Some(session));
    }

    /// Ends all.
    pub(super) fn end_all(&self) {
        self.table().open.clear();
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.all.table().in_flight.remove(&self.request);
    }
}
