//! Several workers on one queue.

use proxy_core::{
    ProxyContext,
    id::{InstanceId, RouteKey},
    intake::{Arrival, Desk, Intake, Receipt, Stopping, Taken},
};
use testkit::{MemoryTransport, intake_contract::Envelope};
use tokio_util::task::TaskTracker;

use crate::bench::{Bench, Setup, context, in_time, reason, receive, text, tool};

/// A worker of the fleet on this transport.
fn worker(transport: &MemoryTransport) -> Bench {
    Setup::default().start_in_fleet(transport)
}

/// Takes everything and settles nothing: a worker that dies with all that it has in hand.
#[derive(Debug)]
struct Doomed(tokio::sync::watch::Sender<usize>);

impl Desk for Doomed {
    fn take(&self, _arrival: Arrival) -> Taken {
        self.0.send_modify(|count| *count += 1);
        Taken { receipt: Receipt::Accepted, settled: Box::pin(std::future::pending()) }
    }
}

/// Has what is on the queue received by a worker that then dies.
async fn die_with(transport: &MemoryTransport, count: usize) {
    let taken = tokio::sync::watch::Sender::new(0);
    let mut watching = taken.subscribe();
    let desk = std::sync::Arc::new(Doomed(taken));
    let intake = transport.intake_of(InstanceId::random());
    let running = TaskTracker::new().spawn(async move { intake.run(desk, Stopping::default()).await });
    in_time(watching.wait_for(|taken| *taken >= count)).await.unwrap();
    running.abort();
    assert!(running.await.is_err());
}

#[tokio::test]
async fn a_session_names_its_worker() {
    let transport = MemoryTransport::default();
    let bench = worker(&transport);
    let mut client = transport.proxy();
    let opened = bench.open(&mut client, "session-1").await;
    assert_eq!(context(&opened).owner.as_deref(), bench.intake.owner());
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn what_comes_to_another_worker_is_passed_on() {
    let transport = MemoryTransport::default();
    let one = worker(&transport);
    let mut client = transport.proxy();
    one.open(&mut client, "session-1").await;
    let two = worker(&transport);
    for number in 0..40 {
        let id = format!("session-1:{number}");
        // as our own proxy does where it may not send to the owner itself
        let owner = one.intake.owner().map(Into::into);
        let beside = ProxyContext { owner, ..client.context() };
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":"{id}","method":"tools/call","params":{}}}"#,
            tool("echo", r#"{"text":"hello"}"#)
        );
        let envelope =
            Envelope { context: Some(beside.to_json()), ..client.envelope(Some("session-1"), body) };
        transport.put(envelope);
        assert_eq!(text(&receive(&mut client).await, &id), "hello");
    }
    assert_eq!((one.received("tools/call"), two.received("tools/call")), (40, 0));
    let passed_on = two.metric(r#"mcp_worker_forwards_total{outcome="forwarded"}"#);
    assert!(passed_on > 0, "the second worker took its share of the queue");
    one.stop().await.unwrap();
    two.stop().await.unwrap();
}

#[tokio::test]
async fn a_session_of_a_worker_that_is_no_more_is_gone() {
    let transport = MemoryTransport::default();
    let bench = worker(&transport);
    let mut client = transport.proxy();
    let dead = InstanceId::random();
    let session = RouteKey::random(&dead);
    client.request(session.as_str(), "a", "tools/call", &tool("echo", "{}"));
    let answer = receive(&mut client).await;
    assert_eq!(reason(&answer, "a"), "session_not_found");
    assert!(context(&answer).gone);
    assert_eq!(bench.metric(r#"mcp_worker_forwards_total{outcome="session_gone"}"#), 1);
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn nothing_is_passed_on_to_where_no_worker_can_be() {
    let transport = MemoryTransport::default();
    let bench = worker(&transport);
    let mut client = transport.proxy();
    // not even where answers may be written to
    for name in ["payroll", "replies-0"] {
        let owner = Some(format!("https://sqs.memory.test/000000000000/{name}").into());
        let beside = ProxyContext { owner, ..client.context() };
        let body = r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#;
        transport
            .put(Envelope { context: Some(beside.to_json()), ..client.envelope(Some("session-1"), body) });
        assert_eq!(reason(&receive(&mut client).await, "a"), "session_not_found");
    }
    assert_eq!(bench.metric(r#"mcp_worker_forwards_total{outcome="session_gone"}"#), 0);
    bench.stop().await.unwrap();
}

#[tokio::test]
async fn a_call_that_another_worker_may_have_begun_is_not_run() {
    let transport = MemoryTransport::default();
    let mut client = transport.proxy();
    let bench = worker(&transport);
    bench.open(&mut client, "session-1").await;
    bench.wait_until_settled().await;
    // both receive; the one that dies has it at least where the other was not first
    bench.crash();
    let survivor = worker(&transport);
    survivor.crash();
    client.request("session-2", "a", "tools/call", &tool("echo", "{}"));
    die_with(&transport, 1).await;
    let next = worker(&transport);
    transport.redeliver();
    let answer = receive(&mut client).await;
    assert_eq!(reason(&answer, "a"), "session_gone");
    assert_eq!(next.metric(r#"mcp_worker_requests_total{method="tools/call",outcome="may_have_run"}"#), 1);
    next.stop().await.unwrap();
}

#[tokio::test]
async fn what_may_come_again_is_run_though_another_worker_had_it() {
    let transport = MemoryTransport::default();
    let mut client = transport.proxy();
    client.initialize(Some("session-1"), "i");
    die_with(&transport, 1).await;
    let bench = worker(&transport);
    transport.redeliver();
    assert!(receive(&mut client).await.body.contains("protocolVersion"));
    bench.stop().await.unwrap();
}
