//! Who may talk to the listener: items 9 to 11, and what browsers need.

use axum::{body::Body, http::Method};
use frontend_http::ServerConfig;

use crate::{
    harness::{Harness, Setup, initialize},
    http::{Reply, request},
};

const HOSTILE: &str = "http://evil.example.com";
const APP: &str = "https://app.example.com";

fn app_allowed(setup: &mut Setup) {
    setup.security.cors_origins = vec![APP.to_owned()];
}

async fn with_origin(harness: &Harness, method: Method, path: &str, origin: &str) -> Reply {
    let request = request(method).uri(path).header("origin", origin).body(Body::empty()).unwrap();
    harness.http.send(request).await
}

async fn with_host(harness: &Harness, path: &str, host: Option<&str>) -> Reply {
    let mut request = request(Method::POST).uri(path);
    request.headers_mut().unwrap().remove("host");
    let request = host.into_iter().fold(request, |request, host| request.header("host", host));
    let body = initialize("2025-11-25", &serde_json::json!({})).to_string();
    harness.http.send(request.body(Body::from(body)).unwrap()).await
}

#[tokio::test]
async fn item_09_a_hostile_origin_is_refused_and_none_is_fine() {
    let harness = Harness::start(|_| {}).await;
    for method in [Method::POST, Method::GET, Method::DELETE] {
        for origin in [HOSTILE, "null", "https://localhost.evil.example.com"] {
            let reply = with_origin(&harness, method.clone(), "/mcp", origin).await;
            assert_eq!(reply.header("access-control-allow-origin"), None);
            reply.refused(403, -32000).await;
        }
    }
    let reply = harness.http.send(request(Method::DELETE).body(Body::empty()).unwrap()).await;
    assert_ne!(reply.status, 403);
    let reply = with_origin(&harness, Method::DELETE, "/mcp", "http://localhost:3000").await;
    assert_ne!(reply.status, 403);
}

#[tokio::test]
async fn item_10_a_hostile_host_on_a_loopback_listener_is_refused() {
    let mut harness = Harness::start(|_| {}).await;
    with_host(&harness, "/mcp", Some("evil.example.com")).await.refused(403, -32000).await;
    with_host(&harness, "/mcp", Some("localhost.evil.example.com:8080")).await.refused(403, -32000).await;
    with_host(&harness, "/mcp", None).await.refused(400, -32000).await;
    assert!(harness.far.has_nothing());
    harness.open("2025-11-25").await;
}

#[test]
fn item_11_loopback_is_the_default() {
    assert_eq!(ServerConfig::default().host, "127.0.0.1");
    assert!(ServerConfig::default().is_loopback());
}

#[tokio::test]
async fn the_host_is_checked_on_every_path_but_the_probes() {
    let harness = Harness::start(|_| {}).await;
    let get = async |path: &str| {
        let mut request = request(Method::GET).uri(path);
        request.headers_mut().unwrap().insert("host", "evil.example.com".parse().unwrap());
        harness.http.send(request.body(Body::empty()).unwrap()).await.status.as_u16()
    };
    assert_eq!(get("/metrics").await, 403);
    assert_eq!(get("/.well-known/oauth-protected-resource").await, 403);
    assert_eq!(get("/livez").await, 200);
    assert_eq!(get("/readyz").await, 200);
}

#[tokio::test]
async fn an_allowed_host_passes() {
    let harness =
        Harness::start(|setup| setup.security.allowed_hosts = vec!["mcp.example.com".to_owned()]).await;
    let get = |host: &'static str| {
        let mut request = request(Method::GET).uri("/metrics");
        request.headers_mut().unwrap().insert("host", host.parse().unwrap());
        request.body(Body::empty()).unwrap()
    };
    assert_eq!(harness.http.send(get("mcp.example.com:8080")).await.status, 200);
    assert_eq!(harness.http.send(get("other.example.com")).await.status, 403);
}

#[tokio::test]
async fn a_preflight_tells_a_browser_all_that_a_client_needs() {
    let harness = Harness::start(|setup| {
        app_allowed(setup);
        setup.security.auth_token = Some(proxy_core::config::Secret::new("open-sesame"));
    })
    .await;
    let preflight = request(Method::OPTIONS)
        .header("origin", APP)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,mcp-session-id")
        .body(Body::empty())
        .unwrap();
    let reply = harness.http.send(preflight).await;
    assert_eq!(reply.status, 204);
    assert_eq!(reply.header("access-control-allow-origin"), Some(APP));
    assert_eq!(reply.header("access-control-allow-credentials"), None);
    let methods = reply.header("access-control-allow-methods").unwrap();
    assert!(["GET", "POST", "DELETE"].iter().all(|method| methods.contains(method)));
    let headers = reply.header("access-control-allow-headers").unwrap();
    for header in
        ["content-type", "accept", "authorization", "mcp-session-id", "mcp-protocol-version", "last-event-id"]
    {
        assert!(headers.contains(header), "{header}");
    }
}

#[tokio::test]
async fn a_preflight_from_a_hostile_page_is_refused() {
    let harness = Harness::start(app_allowed).await;
    let preflight = request(Method::OPTIONS)
        .header("origin", HOSTILE)
        .header("access-control-request-method", "POST")
        .body(Body::empty())
        .unwrap();
    let reply = harness.http.send(preflight).await;
    assert_eq!(reply.header("access-control-allow-origin"), None);
    reply.refused(403, -32000).await;
}

#[tokio::test]
async fn a_page_can_read_errors_too() {
    let harness = Harness::start(|setup| {
        app_allowed(setup);
        setup.security.auth_token = Some(proxy_core::config::Secret::new("open-sesame"));
    })
    .await;
    for (path, status) in [("/mcp", 401), ("/metrics", 401), ("/nowhere", 404)] {
        let reply = with_origin(&harness, Method::GET, path, APP).await;
        assert_eq!(reply.header("access-control-allow-origin"), Some(APP), "{path}");
        assert_eq!(reply.header("vary"), Some("origin"));
        let exposed = reply.header("access-control-expose-headers").unwrap();
        for header in ["mcp-session-id", "www-authenticate", "retry-after", "mcp-protocol-version"] {
            assert!(exposed.contains(header), "{header}");
        }
        reply.refused(status, -32000).await;
    }
}
