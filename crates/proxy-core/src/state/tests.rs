//! The state machine against what DESIGN and the specification say of it.

#![expect(unused_must_use, reason = "no test asks for every disposition")]

mod bounds;
mod closing;
mod exchanges;
mod far_end;
mod handshake;
mod interleavings;
mod lending;
mod model;
mod ordering;
mod pool;
mod replay;
mod server_requests;
mod speed;
mod stream_choice;
mod timeouts;

use std::{
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use prometheus_client::registry::Registry;
use tokio::time::Instant;

use super::{
    Key, NO_SESSION, Outgoing, Reading, Receipt, State,
    memory::Memory,
    session::Phase,
    stream::{Cursor, Decision, Media, Stream},
};
use crate::{
    backend::{Disposition, Event, Inbound, Outbound, Peer, Remote, Sent},
    config::SessionConfig,
    error::{BackendError, Delivery, ErrorKind},
    id::{InstanceId, RemoteSession, RouteKey, SessionId, WireId},
    message::Message,
    metrics::Metrics,
    principal::Principal,
    refusal::Refusal,
};

/// What every client of these tests can be asked for.
const ALL_CAPABILITIES: &str = r#"{"sampling":{},"roots":{},"elicitation":{"form":{},"url":{}}}"#;

const LATEST: &str = "2025-11-25";

/// The state machine, the time and everything around it that a test looks at.
struct Rig {
    state: State,
    instance: InstanceId,
    memory: Arc<Memory>,
    now: Instant,
    /// The session of its own that the far end's next message names.
    naming: Option<RemoteSession>,
}

/// An open session, as its client and its far end know it.
#[derive(Debug, Clone)]
struct Client {
    principal: Principal,
    id: SessionId,
    key: Key,
    route: RouteKey,
}

/// A request that the far end got.
#[derive(Debug, Clone)]
struct Asked {
    wire: WireId,
    text: String,
}

impl Rig {
    fn new() -> Self {
        Self::with(SessionConfig::default(), usize::MAX)
    }

    fn with(config: SessionConfig, max_memory: usize) -> Self {
        let instance = InstanceId::random();
        let memory = Memory::new(max_memory);
        let metrics = Metrics::register(&mut Registry::default());
        let state = State::new(instance.clone(), config, Arc::clone(&memory), metrics);
        Self { state, instance, memory, now: Instant::now(), naming: None }
    }

    /// A session whose handshake is over.
    fn open(&mut self) -> Client {
        self.open_as("alice", LATEST, ALL_CAPABILITIES)
    }

    fn open_as(&mut self, name: &str, version: &str, capabilities: &str) -> Client {
        let (client, stream) = self.initialize(name, version, capabilities);
        let [asked] = self.asked().try_into().unwrap();
        self.answer(&asked.wire, &format!(r#""result":{{"protocolVersion":"{version}"}}"#));
        assert_eq!(whole(&stream).len(), 1);
        self.tell(&client, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        self.send_all();
        client
    }

    /// A session whose `initialize` is in the outbox.
    fn initialize(&mut self, name: &str, version: &str, capabilities: &str) -> (Client, Arc<Stream>) {
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"initialize","params":{{"protocolVersion":"{version}","capabilities":{capabilities}}}}}"#
        );
        let Message::Request(request) = message(&text) else { panic!("no request") };
        let principal = Principal::Named(name.into());
        let opened = self.state.open(&principal, request, Media::Any, self.now).unwrap();
        let route = self.state.sessions[&opened.key].remote.route.clone();
        (Client { principal, id: opened.session, key: opened.key, route }, opened.stream)
    }

    fn forward(&mut self, client: &Client, text: &str, media: Media) -> Result<Option<Arc<Stream>>, Refusal> {
        self.forward_all(client, &[text], media)
    }

    fn forward_all(
        &mut self,
        client: &Client,
        texts: &[&str],
        media: Media,
    ) -> Result<Option<Arc<Stream>>, Refusal> {
        let messages = texts.iter().map(|text| message(text)).collect();
        let taken = self.state.forward(&client.id, &client.principal, messages, media, self.now)?;
        Ok(taken.map(|(_, stream)| stream))
    }

    /// Sends something that wants no answer.
    fn tell(&mut self, client: &Client, text: &str) {
        assert!(self.forward(client, text, Media::Any).unwrap().is_none());
    }

    /// A `tools/call` whose request has reached the far end, with its id as progress token.
    fn call(&mut self, client: &Client, id: &str) -> (Arc<Stream>, WireId) {
        self.call_as(client, id, Media::Any)
    }

    fn call_as(&mut self, client: &Client, id: &str, media: Media) -> (Arc<Stream>, WireId) {
        let stream = self.forward(client, &call(id), media).unwrap().unwrap();
        let [asked] = self.asked().try_into().unwrap();
        (stream, asked.wire)
    }

    /// Empties the outbox, reports every send as accepted and every close as done, and returns the requests.
    fn asked(&mut self) -> Vec<Asked> {
        self.send_all()
            .into_iter()
            .filter(|outbound| matches!(outbound.message, Message::Request(_)))
            .map(|outbound| Asked {
                wire: outbound.about.unwrap(),
                text: outbound.message.as_str().to_owned(),
            })
            .collect()
    }

    /// Empties the outbox and reports every send as accepted and every close as done.
    fn send_all(&mut self) -> Vec<Outbound> {
        let mut sent = Vec::new();
        loop {
            let outgoing = self.state.take_outbox();
            if outgoing.is_empty() {
                return sent;
            }
            for outgoing in outgoing {
                match outgoing {
                    Outgoing::Send { session, outbound, receipt, .. } => {
                        self.state.sent(session, receipt, Ok(Sent::default()), self.now);
                        sent.push(*outbound);
                    }
                    Outgoing::Close { session, farewells, .. } => {
                        sent.extend(farewells);
                        self.state.closed(session, self.now);
                    }
                }
            }
        }
    }

    /// Takes the only send out of the outbox.
    fn sending(&mut self) -> (Key, Receipt, Outbound) {
        match self.state.take_outbox().pop() {
            Some(Outgoing::Send { session, receipt, outbound, .. }) => (session, receipt, *outbound),
            other => panic!("no send: {other:?}"),
        }
    }

    /// Takes the only close out of the outbox.
    fn closing(&mut self) -> (Key, Remote, Vec<Outbound>) {
        match self.state.take_outbox().pop() {
            Some(Outgoing::Close { session, remote, farewells }) => (session, remote, farewells),
            other => panic!("no close: {other:?}"),
        }
    }

    /// The texts of what the outbox holds, sent.
    fn texts(&mut self) -> Vec<String> {
        self.send_all().into_iter().map(|outbound| outbound.message.into_text()).collect()
    }

    fn answer(&mut self, wire: &WireId, outcome: &str) -> Disposition {
        self.answer_after(wire, outcome, None)
    }

    fn answer_after(&mut self, wire: &WireId, outcome: &str, before: Option<u64>) -> Disposition {
        let text = format!(r#"{{"jsonrpc":"2.0","id":"{wire}",{outcome}}}"#);
        self.deliver(wire.route(), &text, None, before)
    }

    fn server_says(&mut self, client: &Client, text: &str) -> Disposition {
        self.deliver(&client.route, text, None, None)
    }

    fn related(&mut self, wire: &WireId, text: &str, sequence: Option<u64>) -> Disposition {
        self.deliver(wire.route(), text, Some(wire), sequence)
    }

    fn deliver(
        &mut self,
        route: &RouteKey,
        text: &str,
        related: Option<&WireId>,
        sequence: Option<u64>,
    ) -> Disposition {
        self.deliver_event(Some(route), Event::Message(message(text)), related, sequence)
    }

    fn deliver_event(
        &mut self,
        route: Option<&RouteKey>,
        event: Event,
        related: Option<&WireId>,
        sequence: Option<u64>,
    ) -> Disposition {
        let inbound = Inbound {
            route: route.cloned(),
            peer: self.naming.take().map(|named| Peer {
                session: Some(named),
                owner: None,
                ..Peer::default()
            }),
            related: related.cloned(),
            sequence,
            message_id: None,
            event,
        };
        self.state.route(inbound, self.now)
    }

    fn listen(&mut self, client: &Client) -> Result<Reader, Refusal> {
        self.state.listen(&client.id, &client.principal, self.now).map(Reader::from)
    }

    fn resume(&mut self, client: &Client, event: &str) -> Result<Option<Reader>, Refusal> {
        let reading = self.state.resume(&client.id, &client.principal, event, self.now)?;
        Ok(reading.map(Reader::from))
    }

    /// What dropping an event stream does.
    fn leave(&mut self, reader: &Reader) {
        if reader.stream.release(&reader.cursor) {
            self.state.stopped_reading(reader.session, reader.stream.number(), self.now);
        }
    }

    fn advance(&mut self, time: Duration) {
        self.now += time;
        self.state.expire(self.now);
    }

    /// Nothing may be left once every session is closed.
    fn assert_empty(&self) {
        let state = &self.state;
        assert_eq!((state.sessions.len(), state.by_id.len(), state.by_route.len()), (0, 0, 0));
        assert_eq!((state.departing.len(), state.timers.len(), state.in_flight), (0, 0, 0));
        assert_eq!((state.outbox.is_empty(), state.outbox.own()), (true, 0));
        assert!(state.pools.is_empty(), "{:?}", state.pools);
        assert_eq!(self.memory.used(), 0, "memory is given back");
    }
}

/// A reader of a stream, as the front end holds it.
struct Reader {
    session: Key,
    stream: Arc<Stream>,
    cursor: Cursor,
}

impl From<Reading> for Reader {
    fn from(reading: Reading) -> Self {
        let Reading { session, stream, cursor } = reading;
        Self { session, stream, cursor }
    }
}

impl Reader {
    /// The reader of a POST's stream, as `Pending::reply` makes it.
    fn of(client: &Client, stream: &Arc<Stream>) -> Self {
        Self { session: client.key, stream: Arc::clone(stream), cursor: stream.read(None) }
    }

    /// What can be read now, and whether the stream has ended for this reader.
    fn read(&mut self) -> (Vec<String>, bool) {
        let mut texts = Vec::new();
        loop {
            match self.stream.poll(&mut self.cursor, &mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Some(event)) => texts.push(event.text),
                Poll::Ready(None) => return (texts, true),
                Poll::Pending => return (texts, false),
            }
        }
    }

    fn position(&self) -> String {
        self.cursor.event_id(self.stream.number())
    }
}

/// The answers of a stream that was answered whole.
fn whole(stream: &Stream) -> Vec<String> {
    match stream.decide(false, None) {
        Poll::Ready(Decision::Whole(answers)) => answers,
        other => panic!("not whole: {other:?}"),
    }
}

fn message(text: &str) -> Message {
    Message::parse(text).unwrap()
}

fn call(id: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"work","_meta":{{"progressToken":{id}}}}}}}"#
    )
}

fn request(id: &str, method: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{}}}}"#)
}

fn progress(wire: &WireId, progress: u64) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":"{wire}","progress":{progress}}}}}"#
    )
}

fn log(data: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/message","params":{{"level":"info","data":"{data}"}}}}"#
    )
}

fn cancelled(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#)
}

fn result(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)
}

/// The far end's word that it does not know the session.
fn gone(delivery: Delivery) -> BackendError {
    BackendError::new(ErrorKind::SessionGone, "send", "No active session found").with_delivery(delivery)
}

fn own(text: &str) -> RemoteSession {
    RemoteSession::parse(text).unwrap()
}

fn failure(delivery: Delivery) -> BackendError {
    BackendError::new(ErrorKind::Unavailable, "send", "the queue cannot be reached").with_delivery(delivery)
}

/// A message's `data.reason`, where it is an error of the proxy's.
fn reason(text: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(text).unwrap();
    value["error"]["data"]["reason"].as_str().map(str::to_owned)
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}
