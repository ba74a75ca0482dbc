//! What is posted to callback URLs.

use axum::http::StatusCode;
use bytes::Bytes;
use futures_util::stream;
use proxy_core::{
    ProxyContext,
    backend::{Disposition, Event, Settlement},
    id::{InstanceId, RemoteSession, RouteKey, WireId},
};
use tokio::sync::oneshot;

use crate::harness::{ANSWER, World};

#[tokio::test]
async fn a_callback_is_accepted_once_it_is_in_the_sessions_hands() {
    let mut world = World::start().await;
    let route = world.route();
    let (settle, settled) = oneshot::channel();
    world.inbox.settle_next(Settlement::Later(Box::pin(async move { settled.await.unwrap() })));
    let posting = world.callback(&route, ANSWER).header("x-session-id", route.as_str()).send();
    let answered = async {
        let delivered = world.delivered.recv().await.unwrap();
        settle.send(Disposition::Accepted).unwrap();
        delivered
    };
    let (response, delivered) = tokio::join!(posting, answered);
    assert_eq!(response.unwrap().status(), StatusCode::ACCEPTED);
    assert_eq!((delivered.route, delivered.peer), (Some(route), None));
    let Event::Message(message) = delivered.event else { panic!("a message") };
    assert_eq!(message.as_str(), ANSWER);
}

#[tokio::test]
async fn the_disposition_is_the_response() {
    let mut world = World::start().await;
    for (disposition, status) in
        [(Disposition::Busy, 503), (Disposition::Unroutable, 404), (Disposition::Foreign, 404)]
    {
        world.inbox.settle_next(Settlement::Now(disposition));
        let response = world.callback(&world.route(), ANSWER).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status);
        let retry = response.headers().get("retry-after").map(|value| value.to_str().unwrap());
        assert_eq!(retry, (disposition == Disposition::Busy).then_some("1"));
        world.delivered().await;
        let counted =
            format!(r#"deliveries_total{{backend="webhook",disposition="{}"}} 1"#, disposition.as_str());
        assert!(world.metrics().contains(&counted), "{}", world.metrics());
    }
}

#[tokio::test]
async fn what_is_posted_anywhere_else_is_refused_and_counted() {
    let mut world = World::start().await;
    let (route, other) = (world.route(), world.route());
    let stranger = RouteKey::random(&InstanceId::random());
    let (own, others) = (world.backend.callback_url(&route), world.backend.callback_url(&other));
    let base = own.strip_suffix(own.split_once("/callback").unwrap().1).unwrap();
    let secret = own.rsplit('/').next().unwrap();
    for (url, reason) in [
        (others.replace(other.as_str(), route.as_str()), "secret"),
        (format!("{base}/{}/{}", route.as_str(), "A".repeat(43)), "secret"),
        (format!("{base}/{}/x", route.as_str()), "secret"),
        (world.backend.callback_url(&stranger), "foreign"),
        (format!("{base}/nonsense/{secret}"), "path"),
        (format!("{base}/{}", route.as_str()), "path"),
        (format!("{own}/more"), "path"),
        (format!("{own}/"), "path"),
        (format!("{base}/{}/%ff", route.as_str()), "path"),
        (own.replace("/callback/", "/callback//"), "path"),
        (own.replace("/callback/", "/CALLBACK/"), "path"),
        (own.replace("/callback/", "/callback/x/%2e%2e/%2F"), "path"),
        (base.to_owned(), "path"),
    ] {
        let before = refusals(&world, reason);
        let response = world.client.post(&url).body(ANSWER).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{url}");
        assert_eq!(refusals(&world, reason), before + 1, "{url}: {reason}");
    }
    assert!(world.nothing_delivered());
}

#[tokio::test]
async fn another_sessions_id_is_refused_and_the_servers_own_is_told() {
    let mut world = World::start().await;
    let (route, other) = (world.route(), world.route());
    for ids in [vec![other.as_str()], vec![route.as_str(), other.as_str()], vec!["a b"]] {
        let mut request = world.callback(&route, ANSWER);
        for id in ids {
            request = request.header("x-session-id", id);
        }
        assert_eq!(request.send().await.unwrap().status(), StatusCode::NOT_FOUND);
    }
    assert_eq!(refusals(&world, "session"), 3);
    assert!(world.nothing_delivered());
    // our worker makes ids of the same form for sessions that it names itself
    for own in ["0123abc", RouteKey::random(&InstanceId::random()).as_str()] {
        let request = world.callback(&route, ANSWER).header("x-session-id", own);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::ACCEPTED);
        let peer = world.delivered().await.peer.unwrap();
        assert_eq!(peer.session, RemoteSession::parse(own).ok());
    }
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    let mut world = World::start().await;
    let route = world.route();
    let batch = format!("[{ANSWER}]");
    let bad = [b"".to_vec(), b"{".to_vec(), b"{}".to_vec(), batch.into_bytes(), vec![0xff, 0xfe]];
    let count = bad.len() as u64;
    for body in bad {
        let response = world.client.post(world.backend.callback_url(&route)).body(body).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    }
    assert_eq!(refusals(&world, "malformed"), count);
    assert!(world.metrics().contains(&format!(r#"malformed_messages_total{{backend="webhook"}} {count}"#)));
    assert!(world.nothing_delivered());
}

#[tokio::test]
async fn only_post_is_taken() {
    let mut world = World::start().await;
    let url = world.backend.callback_url(&world.route());
    for request in [world.client.get(&url), world.client.put(&url).body(ANSWER), world.client.delete(&url)] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()["allow"], "POST");
    }
    assert!(world.nothing_delivered());
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_however_it_is_sent() {
    let mut world = World::with(|config| config.max_message = ANSWER.len()).await;
    let route = world.route();
    let exact = world.callback(&route, ANSWER).send().await.unwrap();
    assert_eq!(exact.status(), StatusCode::ACCEPTED);
    world.delivered().await;
    let announced = world.callback(&route, &format!("{ANSWER} ")).send().await.unwrap();
    assert_eq!(announced.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let chunks = stream::iter((0..3).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(ANSWER.as_bytes()))));
    let url = world.backend.callback_url(&route);
    let streamed = world.client.post(url).body(reqwest::Body::wrap_stream(chunks)).send().await.unwrap();
    assert_eq!(streamed.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(refusals(&world, "too_large"), 2);
    assert!(world.nothing_delivered());
}

#[tokio::test]
async fn what_our_own_far_end_adds_is_read() {
    let mut world = World::start().await;
    let route = world.route();
    let context = ProxyContext {
        v: ProxyContext::VERSION,
        eras: vec!["legacy".into()],
        related: Some(WireId::new(route.clone(), 7).to_string().into()),
        seq: Some(3),
        owner: Some("https://worker".into()),
        ..ProxyContext::default()
    };
    let request = world.callback(&route, ANSWER).header("x-proxy-context", context.to_json());
    assert_eq!(request.send().await.unwrap().status(), StatusCode::ACCEPTED);
    let delivered = world.delivered().await;
    assert_eq!((delivered.related, delivered.sequence), (Some(WireId::new(route.clone(), 7)), Some(3)));
    let peer = delivered.peer.unwrap();
    assert_eq!((peer.owner.as_deref(), &*peer.eras[0]), (Some("https://worker"), "legacy"));
    let gone = ProxyContext { v: ProxyContext::VERSION, gone: true, ..ProxyContext::default() };
    world.callback(&route, ANSWER).header("x-proxy-context", gone.to_json()).send().await.unwrap();
    assert!(matches!(world.delivered().await.event, Event::SessionGone(_)));
    world.callback(&route, ANSWER).header("x-proxy-context", "{broken").send().await.unwrap();
    assert!(matches!(world.delivered().await.event, Event::Message(_)));
}

#[tokio::test]
async fn on_a_shared_port_only_the_callbacks_paths_are_ours() {
    let mut world = World::with(|config| {
        config.share = true;
        config.webhook_url = "https://proxy.example.com/hooks/mcp/".to_owned();
    })
    .await;
    let route = world.route();
    let url = world.backend.callback_url(&route);
    let path = url.strip_prefix("https://proxy.example.com").unwrap();
    assert!(path.starts_with("/hooks/mcp/") && !path.contains("//"), "{path}");
    let app = world.backend.callback_routes().route("/mcp", axum::routing::get(async || "the endpoint"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut serving = tokio::task::JoinSet::new();
    serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
    let posted = world.client.post(format!("http://{address}{path}")).body(ANSWER).send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::ACCEPTED);
    assert_eq!(world.delivered().await.route, Some(route));
    let beside = world.client.get(format!("http://{address}/mcp")).send().await.unwrap();
    assert_eq!(beside.text().await.unwrap(), "the endpoint");
}

#[tokio::test]
async fn a_webhook_url_is_told_and_served_as_every_client_reads_it() {
    for (written, read) in [
        ("https://proxy.example.com/a/../hooks/", "https://proxy.example.com/hooks/"),
        (" HTTPS://Proxy.Example.com:443/hooks ", "https://proxy.example.com/hooks/"),
    ] {
        let world = World::with(|config| written.clone_into(&mut config.webhook_url)).await;
        let url = world.backend.callback_url(&world.route());
        assert!(url.starts_with(read), "{url}");
        let path = url.strip_prefix("https://proxy.example.com").unwrap();
        let address = world.backend.callback_address().unwrap();
        let posted = world.client.post(format!("http://{address}{path}")).body(ANSWER).send().await.unwrap();
        assert_eq!(posted.status(), StatusCode::ACCEPTED);
    }
}

fn refusals(world: &World, reason: &str) -> u64 {
    let name = format!(r#"mcp_proxy_callback_refusals_total{{backend="webhook",reason="{reason}"}} "#);
    let metrics = world.metrics();
    metrics.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().unwrap())
}
