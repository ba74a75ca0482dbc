//! The generator against servers that answer rightly, in other ways, and wrongly.

use std::net::Ipv4Addr;

use axum::{Router, body::Bytes, http::StatusCode, routing::post};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

/// A server that answers the requests of one connection with these responses, whatever they are.
async fn scripted(responses: Vec<String>) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        for response in responses {
            assert!(stream.read(&mut request).await.unwrap() > 0);
            stream.write_all(response.as_bytes()).await.unwrap();
        }
    });
    (address, tasks)
}

fn json(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nmcp-session-id: s\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn events(events: &[&str]) -> String {
    let chunks: Vec<String> =
        events.iter().map(|event| format!("{:x}\r\n{event}\r\n", event.len())).collect();
    let chunks = chunks.concat();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
    )
}

fn answer(id: u64, number: u64) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":"the text of a call of the tool echo, number {number:020}"}}]}}}}"#
    )
}

fn handshake() -> Vec<String> {
    let initialized = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25"}}"#;
    vec![json(initialized), "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n".to_owned()]
}

/// What two calls come to after a handshake, the first answered rightly.
async fn second_call(response: String) -> Result<Duration, LoadError> {
    let mut responses = handshake();
    responses.extend([json(&answer(1, 1)), response]);
    let (address, _tasks) = scripted(responses).await;
    let mut client = McpClient::connect(address).await.unwrap();
    let mut session = client.open().await.unwrap();
    client.call(&mut session).await.unwrap();
    client.call(&mut session).await
}

#[tokio::test]
async fn an_answer_may_come_as_json_or_as_the_last_event() {
    let event = format!("event: message\nid: 1-1\ndata: {}\n\n", answer(2, 2));
    second_call(json(&answer(2, 2))).await.unwrap();
    second_call(events(&[":\n\n", "id: 1-0\ndata: \n\n", &event])).await.unwrap();
}

#[tokio::test]
async fn another_id_another_text_and_an_error_fail_the_run() {
    for (id, number) in [(1, 2), (2, 1)] {
        let result = second_call(json(&answer(id, number))).await;
        assert!(matches!(result, Err(LoadError::Answer(_))), "{result:?}");
    }
    let result = second_call("HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nfull".to_owned()).await;
    assert!(matches!(result, Err(LoadError::Status { got: 503, .. })), "{result:?}");
}

/// A load on an axum server with this handler.
async fn load_on(router: Router) -> Result<LoadReport, LoadError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, router).await });
    let duration = Duration::from_millis(50);
    Load { address, target: Target::BareEcho, connections: 4, warm_up: duration / 5, duration }.run().await
}

#[tokio::test]
async fn an_echo_is_measured_and_anything_else_is_refused() {
    let echo = Router::new().route("/mcp", post(|body: Bytes| async { body }));
    let mut report = load_on(echo).await.unwrap();
    assert!(report.made >= report.latencies.count() as u64 && report.calls_per_second() > 0.0);
    assert!(report.latencies.quantile(0.99) >= report.latencies.quantile(0.5));
    let other = Router::new().route("/mcp", post(|| async { (StatusCode::OK, "other") }));
    assert!(matches!(load_on(other).await, Err(LoadError::Answer(_))));
}
