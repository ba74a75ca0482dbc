//! A desk that does what the rule says, and remembers.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use proxy_core::{
    id::RemoteSession,
    intake::{Arrival, ArrivalEvent, Desk, Receipt, Settled, Taken},
};
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

use super::testbed::PATIENCE;

/// Takes as it was told, and then everything, as done.
#[derive(Debug, Default)]
pub(super) struct ScriptedDesk {
    next: Mutex<VecDeque<Taken>>,
    arrivals: watch::Sender<Vec<Arrival>>,
}

impl ScriptedDesk {
    /// Takes the next arrival so.
    pub(super) fn take_next(&self, taken: Taken) {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).push_back(taken);
    }

    /// Settles the next arrival so, taken as it may be.
    pub(super) fn settle_next(&self, settled: Settled) {
        self.take_next(Taken { receipt: Receipt::Accepted, settled: Box::pin(async { settled }) });
    }

    /// Settles the next arrival when the sender says so; never where the sender is dropped.
    pub(super) fn settle_next_later(&self) -> oneshot::Sender<Settled> {
        let (settle, settled) = oneshot::channel();
        let settled = async {
            match settled.await {
                Ok(settled) => settled,
                Err(_) => std::future::pending().await,
            }
        };
        self.take_next(Taken { receipt: Receipt::Accepted, settled: Box::pin(settled) });
        settle
    }

    /// Waits until this much arrived, and returns all that did.
    pub(super) async fn wait_for(&self, count: usize) -> Vec<Arrival> {
        let mut arrivals = self.arrivals.subscribe();
        let waiting = arrivals.wait_for(|arrivals| arrivals.len() >= count);
        let outcome = timeout(PATIENCE, waiting).await.map(|arrived| arrived.map(|arrived| arrived.clone()));
        match outcome {
            Ok(Ok(arrivals)) => arrivals,
            _ => panic!("{count} arrivals did not come within {PATIENCE:?}: {:?}", self.texts()),
        }
    }

    /// All that arrived.
    pub(super) fn arrivals(&self) -> Vec<Arrival> {
        self.arrivals.borrow().clone()
    }

    /// The texts of all that arrived; the end of a session has none.
    pub(super) fn texts(&self) -> Vec<String> {
        self.arrivals.borrow().iter().map(text).collect()
    }
}

impl Desk for ScriptedDesk {
    fn take(&self, arrival: Arrival) -> Taken {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let mut index = 0;
        let kept = arrival.clone();
        self.arrivals.send_modify(|all| {
            index = all.len();
            all.push(kept);
        });
        next.unwrap_or_else(|| Taken {
            receipt: receipt(&arrival, index),
            settled: Box::pin(async { Settled::Done }),
        })
    }
}

/// The JSON text of an arrival; empty where a session ended.
pub(super) fn text(arrival: &Arrival) -> String {
    match &arrival.event {
        ArrivalEvent::Message(message) => message.as_str().to_owned(),
        ArrivalEvent::End => String::new(),
    }
}

/// The session of an `initialize` that proposes none, by how much arrived before it.
pub(super) fn made_up(before: usize) -> RemoteSession {
    let Ok(session) = RemoteSession::parse(&format!("{before:032x}")) else {
        panic!("the suite's session ids are some")
    };
    session
}

/// What a worker that takes everything says.
fn receipt(arrival: &Arrival, before: usize) -> Receipt {
    match &arrival.event {
        ArrivalEvent::End => Receipt::Ended,
        ArrivalEvent::Message(message) if message.method() == Some("initialize") => {
            Receipt::Opened(arrival.session.clone().unwrap_or_else(|| made_up(before)))
        }
        ArrivalEvent::Message(_) => Receipt::Accepted,
    }
}
