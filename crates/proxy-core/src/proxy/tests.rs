//! The proxy over a backend of a few lines, on paused time.

use async_trait::async_trait;
use prometheus_client::registry::Registry;
use tokio::{sync::Notify, task::JoinSet};

use super::*;
use crate::{
    backend::{Event, Inbound, Inbox, Limits, Remote, Sent, Settlement},
    config::SessionConfig,
    id::InstanceId,
    reply::Reply,
};

/// A transport whose far end answers `initialize` by itself and everything else when a test says so.
#[derive(Debug)]
struct Script {
    router: Arc<Router>,
    /// What happened, in order.
    log: Mutex<Vec<String>>,
    /// While there are no permits, sends hang.
    gate: Semaphore,
    failed: Notify,
}

struct Fixture {
    proxy: Arc<Proxy>,
    backend: Arc<Script>,
    caller: Principal,
    running: JoinSet<Result<(), BackendError>>,
    shutdown: CancellationToken,
}

impl Script {
    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    fn note(&self, what: String) {
        self.log.lock().unwrap().push(what);
    }

    fn deliver(&self, outbound: &Outbound, outcome: &str) {
        let wire = outbound.about.as_ref().unwrap();
        let text = format!(r#"{{"jsonrpc":"2.0","id":"{wire}",{outcome}}}"#);
        let settlement = self.router.deliver(Inbound {
            route: Some(outbound.remote.route.clone()),
            peer: None,
            related: None,
            sequence: None,
            message_id: None,
            event: Event::Message(Message::parse(text).unwrap()),
        });
        assert!(matches!(settlement, Settlement::Now(_)));
    }
}

#[async_trait]
impl Backend for Script {
    fn name(&self) -> &'static str {
        "script"
    }

    fn limits(&self) -> Limits {
        Limits { message_bytes: usize::MAX }
    }

    async fn check(&self) -> Result<(), BackendError> {
        Ok(())
    }

    async fn send(&self, outbound: Outbound) -> Result<Sent, BackendError> {
        self.gate.acquire().await.unwrap().forget();
        self.gate.add_permits(1);
        let method = outbound.message.method().unwrap_or("response").to_owned();
        self.note(format!("sent {method}"));
        match method.as_str() {
            "initialize" => self.deliver(&outbound, r#""result":{"protocolVersion":"2025-11-25"}"#),
            "tools/list" => self.deliver(&outbound, r#""result":{"tools":[]}"#),
            _ => {}
        }
        Ok(Sent::default())
    }

    async fn run(&self, shutdown: CancellationToken) -> Result<(), BackendError> {
        tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            () = self.failed.notified() => Err(BackendError::new(ErrorKind::Denied, "receive", "no more")),
        }
    }

    async fn close(&self, _remote: &Remote) -> Result<(), BackendError> {
        self.note("closed".into());
        Ok(())
    }
}

impl Fixture {
    fn new() -> Self {
        let router = Router::new(
            InstanceId::random(),
            SessionConfig::default(),
            1024 * 1024,
            &mut Registry::default(),
        );
        let backend = Arc::new(Script {
            router: Arc::clone(&router),
            log: Mutex::default(),
            gate: Semaphore::new(1),
            failed: Notify::new(),
        });
        let proxy = Proxy::new(router, Arc::clone(&backend) as Arc<dyn Backend>);
        let shutdown = CancellationToken::new();
        let mut running = JoinSet::new();
        let (task, token) = (Arc::clone(&proxy), shutdown.clone());
        running.spawn(async move { task.run(token).await });
        Self { proxy, backend, caller: Principal::Anonymous, running, shutdown }
    }

    async fn open(&self) -> SessionId {
        let initialize =
            r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;
        let Message::Request(request) = Message::parse(initialize).unwrap() else { panic!("no request") };
        let opened = self.proxy.open(&self.caller, request, Media::Any).unwrap();
        assert!(matches!(reply(opened.pending).await, Reply::Whole(_)));
        opened.session
    }

    fn call(&self, session: &SessionId, method: &str, media: Media) -> Pending {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
        let messages = vec![Message::parse(text).unwrap()];
        self.proxy.forward(session, &self.caller, messages, media).unwrap().unwrap()
    }

    /// Closes the gate that sends go through.
    async fn hold_sends(&self) {
        self.backend.gate.acquire().await.unwrap().forget();
    }

    fn release_sends(&self) {
        self.backend.gate.add_permits(1);
    }

    /// Lets every task go as far as it can without time passing.
    async fn settle(&self) {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

async fn reply(pending: Pending) -> Reply {
    pending.reply(Duration::from_millis(250)).await
}

async fn stream(pending: Pending) -> EventStream {
    match reply(pending).await {
        Reply::Stream(stream) => stream,
        Reply::Whole(answers) => panic!("whole: {answers:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_within_sse_after_is_whole_and_a_later_one_an_event() {
    let fixture = Fixture::new();
    let session = fixture.open().await;
    let quick = fixture.call(&session, "tools/list", Media::Any);
    assert!(matches!(reply(quick).await, Reply::Whole(answers) if answers.len() == 1));
    fixture.hold_sends().await;
    let started = Instant::now();
    let mut slow = stream(fixture.call(&session, "tools/list", Media::Any)).await;
    assert_eq!(started.elapsed().as_millis() / 10, 25, "the timer's resolution is a millisecond");
    fixture.release_sends();
    assert!(slow.next().await.unwrap().text.contains("tools"));
    assert!(slow.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn deadlines_are_kept_by_a_task_of_their_own() {
    let fixture = Fixture::new();
    let session = fixture.open().await;
    let started = Instant::now();
    let mut events = stream(fixture.call(&session, "tools/call", Media::Any)).await;
    assert!(events.next().await.unwrap().text.contains(r#""reason":"timeout""#));
    assert_eq!(started.elapsed().as_secs(), 300);
    drop(events);
    fixture.settle().await;
    let log = fixture.backend.log();
    let mut last = log[log.len() - 2..].to_vec();
    last.sort();
    assert_eq!(last, ["sent notifications/cancelled", "sent ping"]);
    tokio::time::sleep_until(Instant::now() + Duration::from_secs(301)).await;
    fixture.settle().await;
    assert_eq!(
        (fixture.proxy.active_sessions(), fixture.backend.log().last().unwrap().as_str()),
        (0, "closed")
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_cut_while_the_send_is_pending_loses_nothing() {
    let fixture = Fixture::new();
    let session = fixture.open().await;
    fixture.hold_sends().await;
    let events = stream(fixture.call(&session, "tools/list", Media::EventStream)).await;
    let position = events.position();
    drop(events);
    fixture.release_sends();
    let mut resumed = fixture.proxy.resume(&session, &fixture.caller, &position).unwrap().unwrap();
    assert!(resumed.next().await.unwrap().text.contains("tools"));
    assert!(resumed.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_path_is_closed_after_what_is_being_sent_on_it() {
    let fixture = Fixture::new();
    let session = fixture.open().await;
    fixture.hold_sends().await;
    let pending = fixture.call(&session, "tools/call", Media::Any);
    fixture.proxy.end(&session, &fixture.caller).unwrap();
    assert!(matches!(reply(pending).await, Reply::Whole(answers) if answers[0].contains("session_closed")));
    fixture.settle().await;
    assert_eq!(fixture.backend.log(), ["sent initialize"]);
    fixture.release_sends();
    fixture.settle().await;
    assert_eq!(fixture.backend.log()[1..], ["sent tools/call", "sent notifications/cancelled", "closed"]);
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_answers_and_then_closes() {
    let fixture = Fixture::new();
    let session = fixture.open().await;
    let mut listening = fixture.proxy.listen(&session, &fixture.caller).unwrap();
    fixture.hold_sends().await;
    let pending = fixture.call(&session, "tools/list", Media::Any);
    let deadline = Instant::now() + Duration::from_secs(25);
    let answered = async {
        assert!(listening.next().await.is_none());
        tokio::time::sleep_until(Instant::now() + Duration::from_secs(5)).await;
        fixture.release_sends();
        reply(pending).await
    };
    let started = Instant::now();
    let ((), reply) = tokio::join!(fixture.proxy.drain(deadline), answered);
    assert!(matches!(reply, Reply::Whole(answers) if answers[0].contains("tools")));
    assert_eq!(started.elapsed().as_secs(), 5);
    assert_eq!(fixture.backend.log().last().unwrap(), "closed");
    assert!(fixture.proxy.check().await.is_err());
    assert_eq!(fixture.proxy.version(&session, &fixture.caller), Err(Refusal::SessionNotFound));
}

#[tokio::test(start_paused = true)]
async fn draining_ends_in_time_even_without_answers() {
    let mut fixture = Fixture::new();
    let session = fixture.open().await;
    let mut events = stream(fixture.call(&session, "tools/call", Media::Any)).await;
    let started = Instant::now();
    fixture.proxy.drain(started + Duration::from_secs(25)).await;
    assert!(started.elapsed() <= Duration::from_secs(25));
    assert!(events.next().await.unwrap().text.contains("shutting_down"));
    assert!(events.next().await.is_none());
    fixture.shutdown.cancel();
    assert!(fixture.running.join_next().await.unwrap().unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_ends_takes_everything_with_it() {
    let mut fixture = Fixture::new();
    let session = fixture.open().await;
    let mut events = stream(fixture.call(&session, "tools/call", Media::Any)).await;
    fixture.backend.failed.notify_one();
    assert!(events.next().await.unwrap().text.contains("backend_failed"));
    let ended = fixture.running.join_next().await.unwrap().unwrap();
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!((fixture.proxy.active_sessions(), fixture.proxy.is_draining()), (0, true));
}

#[tokio::test(start_paused = true)]
async fn what_the_far_end_asks_of_the_proxy_is_sent_without_a_client() {
    let fixture = Fixture::new();
    let session = fixture.open().await;
    let route = fixture.proxy.router.look(|state| state.routes()[0].clone());
    let settlement = fixture.proxy.router.deliver(Inbound {
        route: Some(route),
        peer: None,
        related: None,
        sequence: None,
        message_id: None,
        event: Event::Message(Message::parse(r#"{"jsonrpc":"2.0","id":0,"method":"ping"}"#).unwrap()),
    });
    assert!(matches!(settlement, Settlement::Now(crate::backend::Disposition::Accepted)));
    fixture.settle().await;
    assert_eq!(fixture.backend.log(), ["sent initialize", "sent response"]);
    fixture.proxy.end(&session, &fixture.caller).unwrap();
}
