//! Bearer tokens: items 81, 84 and 86.

use axum::{body::Body, http::Method};
use frontend_http::AuthToken;
use proxy_core::config::Secret;
use serde_json::json;

use crate::{
    far_end::json_of,
    harness::{Harness, Setup, call, initialize, post, post_with},
    http::request,
};

const TOKEN: &str = "s3cret-t0ken";

fn with_tokens(setup: &mut Setup) {
    setup.security.auth_tokens = [("ci", TOKEN), ("ops", "other-token")]
        .map(|(name, token)| AuthToken::new(name, Secret::new(token)))
        .to_vec();
}

#[tokio::test]
async fn item_81_without_a_valid_token_there_is_a_challenge() {
    let mut harness = Harness::start(with_tokens).await;
    let body = initialize("2025-11-25", &json!({}));
    for credentials in [None, Some("Bearer wrong"), Some("Bearer"), Some("Basic czNjcmV0"), Some(TOKEN)] {
        let headers = credentials.map(|value| ("authorization", value.to_owned())).into_iter().collect();
        let reply = post_with(harness.http.clone(), headers, body.clone()).await;
        let challenge = reply.header("www-authenticate").unwrap();
        assert!(challenge.starts_with("Bearer"), "{challenge}");
        // An OAuth client would start a flow that cannot finish.
        assert!(!challenge.contains("resource_metadata"));
        reply.refused(401, -32000).await;
    }
    for method in [Method::GET, Method::DELETE, Method::OPTIONS, Method::PUT] {
        let reply = harness.http.send(request(method).body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status, 401);
    }
    assert!(harness.far.has_nothing());
}

#[tokio::test]
async fn item_81_every_token_is_valid_and_the_scheme_has_no_case() {
    let mut harness = Harness::start(with_tokens).await;
    for credentials in ["Bearer s3cret-t0ken", "bearer other-token", "BEARER other-token"] {
        harness.open_as("2025-11-25", &[("authorization", credentials)]).await;
    }
}

#[tokio::test]
async fn item_81_there_is_no_metadata_of_an_authorization_server() {
    let harness = Harness::start(with_tokens).await;
    for path in ["/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"] {
        let get = request(Method::GET).uri(path).body(Body::empty()).unwrap();
        harness.http.send(get).await.refused(404, -32000).await;
    }
}

#[tokio::test]
async fn item_84_a_token_in_the_query_is_not_accepted() {
    let mut harness = Harness::start(with_tokens).await;
    for query in ["access_token", "token", "auth_token"] {
        let post = request(Method::POST)
            .uri(format!("/mcp?{query}={TOKEN}"))
            .body(Body::from(initialize("2025-11-25", &json!({})).to_string()))
            .unwrap();
        harness.http.send(post).await.refused(401, -32000).await;
    }
    assert!(harness.far.has_nothing());
}

#[tokio::test]
async fn item_86_the_clients_token_never_reaches_the_far_end() {
    let mut harness = Harness::start(with_tokens).await;
    let credentials = format!("Bearer {TOKEN}");
    let client = harness.open_as("2025-11-25", &[("authorization", &credentials)]).await;
    let (request, reply) = harness.call(&client, call(1)).await;
    // All that a backend is ever given about a message.
    let given = format!("{request:?} {}", json_of(&request));
    assert!(!given.contains(TOKEN) && !given.contains("Bearer"), "{given}");
    assert!(!given.contains(&client.session), "nor does the client's session id");
    harness.far.answer(&request, &json!({}));
    reply.join().await.json().await;
}

#[tokio::test]
async fn without_tokens_credentials_do_not_matter() {
    let mut harness = Harness::start(|_| {}).await;
    harness.open_as("2025-11-25", &[("authorization", "Bearer whatever")]).await;
    post(&harness.http, &call(1)).await.refused(400, -32000).await;
}
