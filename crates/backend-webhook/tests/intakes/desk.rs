//! A desk that hands what arrives to the test, and takes it as the test said.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::BoxFuture;
use proxy_core::{
    id::RemoteSession,
    intake::{Arrival, ArrivalEvent, Desk, Receipt, Settled, Taken},
};
use tokio::{sync::mpsc, time::timeout};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct ScriptedDesk {
    arrived: mpsc::Sender<Arrival>,
    next: Mutex<VecDeque<Taken>>,
}

/// What arrives.
pub(crate) type Arrivals = mpsc::Receiver<Arrival>;

impl ScriptedDesk {
    pub(crate) fn new() -> (Arc<Self>, Arrivals) {
        let (arrived, arrivals) = mpsc::channel(1024);
        (Arc::new(Self { arrived, next: Mutex::default() }), arrivals)
    }

    /// Takes the next arrival so.
    pub(crate) fn answer_next(&self, receipt: Receipt) {
        self.settle_next(receipt, done());
    }

    /// Takes the next arrival so, to be settled like this.
    pub(crate) fn settle_next(&self, receipt: Receipt, settled: BoxFuture<'static, Settled>) {
        self.next.lock().unwrap().push_back(Taken { receipt, settled });
    }
}

impl Desk for ScriptedDesk {
    fn take(&self, arrival: Arrival) -> Taken {
        let next = self.next.lock().unwrap().pop_front();
        let taken = next.unwrap_or_else(|| Taken { receipt: receipt(&arrival), settled: done() });
        self.arrived.try_send(arrival).unwrap();
        taken
    }
}

/// What a worker that takes everything says.
fn receipt(arrival: &Arrival) -> Receipt {
    match &arrival.event {
        ArrivalEvent::End => Receipt::Ended,
        ArrivalEvent::Message(message) if message.method() == Some("initialize") => {
            Receipt::Opened(arrival.session.clone().unwrap_or_else(|| session("made-up")))
        }
        ArrivalEvent::Message(_) => Receipt::Accepted,
    }
}

fn done() -> BoxFuture<'static, Settled> {
    Box::pin(async { Settled::Done })
}

pub(crate) fn session(text: &str) -> RemoteSession {
    RemoteSession::parse(text).unwrap()
}

/// The text of what arrived; empty for the end of a session.
pub(crate) fn text(arrival: &Arrival) -> &str {
    match &arrival.event {
        ArrivalEvent::Message(message) => message.as_str(),
        ArrivalEvent::End => "",
    }
}

pub(crate) async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it came in time")
}

pub(crate) async fn next(arrivals: &mut Arrivals) -> Arrival {
    in_time(arrivals.recv()).await.unwrap()
}

pub(crate) fn client() -> reqwest::Client {
    // another test of this process may have done so
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}
