//! POSTs to the callback by hand: broken, with a wrong secret, for another session, too large, repeated.

use anyhow::Result;
use e2e::{
    http::{Session, call, client, get, messages, text},
    kind::Kind,
    proxy::{Proxy, Settings},
    stories,
    world::FarEnd,
};
use reqwest::StatusCode;
use serde_json::json;

use crate::by_hand::{ServerByHand, answer};

stories! {
    only_its_own_answer_reaches_a_session: webhook, streamable_http_webhook;
    each_session_is_a_client_of_its_own: webhook;
    a_dead_session_disturbs_no_live_one: webhook, streamable_http_webhook;
}

async fn only_its_own_answer_reaches_a_session(kind: Kind) -> Result<()> {
    let mut server = ServerByHand::start(kind).await?;
    let proxy = Proxy::start(Settings::new(server.backend(), "max_message = \"64KiB\"\n")).await?;
    let mine = Session::open(&proxy.url(), "2025-11-25").await?;
    let others = Session::open(&proxy.url(), "2025-11-25").await?;
    // Each response becomes a stream that waits, so that this returns.
    let my_call = mine.post().json(&call(json!(1), "echo", json!({}))).send().await?;
    let request = server.next().await?;
    let _others_call = others.post().json(&call(json!(1), "echo", json!({}))).send().await?;
    let others_request = server.next().await?;
    assert_ne!(request.callback_url, others_request.callback_url);

    let right = answer(&request.message, "mine");
    let (url, session) = (request.callback_url.as_str(), request.session.as_str());
    let (base, secret) = url.rsplit_once('/').unwrap_or_default();
    let (_, others_secret) = others_request.callback_url.rsplit_once('/').unwrap_or_default();
    let unknown = right.replace(":1\"", ":7\"").replace(":2\"", ":8\"");
    let large = format!("{right}{}", " ".repeat(100_000));
    for (what, url, session, body, expected) in [
        ("no JSON", url, session, "nonsense", StatusCode::BAD_REQUEST),
        ("nothing", url, session, "", StatusCode::BAD_REQUEST),
        ("no message", url, session, "{\"jsonrpc\":\"2.0\"}", StatusCode::BAD_REQUEST),
        ("too large", url, session, large.as_str(), StatusCode::PAYLOAD_TOO_LARGE),
        ("no secret", base, session, right.as_str(), StatusCode::NOT_FOUND),
        ("half a secret", &url[..url.len() - secret.len() / 2], session, &right, StatusCode::NOT_FOUND),
        (
            "another session's secret",
            &format!("{base}/{others_secret}"),
            session,
            &right,
            StatusCode::NOT_FOUND,
        ),
        ("another session's id", url, &others_request.session, &right, StatusCode::NOT_FOUND),
        (
            "another session's way",
            &others_request.callback_url,
            &others_request.session,
            &right,
            StatusCode::NOT_FOUND,
        ),
        ("nobody's id", url, "nobody", &right, StatusCode::NOT_FOUND),
        ("an answer to nothing", url, session, &unknown, StatusCode::NOT_FOUND),
    ] {
        let status = server.call_back(url, session, body).await?;
        assert_eq!(status, expected, "{what}");
    }
    let http = client();
    assert_eq!(http.get(url).send().await?.status(), StatusCode::METHOD_NOT_ALLOWED);

    assert!(server.call_back(url, session, &right).await?.is_success());
    // Once more, as a sender does that missed the status.
    server.call_back(url, session, &right).await?;
    let seen = messages(my_call).await?;
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!(seen[0]["id"], 1);
    assert_eq!(text(&seen[0]), Some("mine"));
    let malformed = proxy.metric("mcp_proxy_backend_malformed_messages", "").await?;
    assert!(malformed >= 3.0, "{malformed} malformed messages were counted");
    Ok(())
}

/// asyncmcp gives a request of a session that it does not know to the newest session of the same client id: so each session has
/// a client id of its own.
async fn each_session_is_a_client_of_its_own(kind: Kind) -> Result<()> {
    let mut server = ServerByHand::start(kind).await?;
    let proxy = Proxy::start(Settings::new(server.backend(), "")).await?;
    let mut client_ids = std::collections::BTreeSet::new();
    for _ in 0..2 {
        let session = Session::open(&proxy.url(), "2025-11-25").await?;
        let _call = session.post().json(&call(json!(1), "echo", json!({}))).send().await?;
        let received = server.next().await?;
        let client_id = received.headers.get("x-client-id").and_then(|value| value.to_str().ok());
        client_ids.insert(client_id.unwrap_or_default().to_owned());
    }
    assert_eq!(client_ids.len(), 2, "{client_ids:?}");
    Ok(())
}

/// The server has lost one of two sessions: its requests end with an error, and never in the other.
async fn a_dead_session_disturbs_no_live_one(kind: Kind) -> Result<()> {
    let far_end = FarEnd::start(kind).await?;
    let proxy = Proxy::start(far_end.settings("")).await?;
    let dead = Session::open(&proxy.url(), "2025-11-25").await?;
    let live = Session::open(&proxy.url(), "2025-11-25").await?;
    let name = live.answer(json!(1), "whoami", json!({})).await?;
    let sessions: Vec<String> = get(&far_end.at("/sessions")?).await?.json().await?;
    assert_eq!(sessions.len(), 2, "{sessions:?}");
    let header = if kind == Kind::Webhook { "x-session-id" } else { "mcp-session-id" };
    let forget = client().delete(far_end.backend.url()).header(header, &sessions[0]);
    forget.send().await?.error_for_status()?;

    let lost = dead.post().json(&call(json!(2), "count", json!({"key": "runs"}))).send().await?;
    if lost.status() == StatusCode::OK {
        let lost = messages(lost).await?.pop().unwrap_or_default();
        assert_eq!(lost["error"]["data"]["reason"], "session_gone", "{lost}");
    } else {
        // Its GET stream found out before.
        assert_eq!(lost.status(), StatusCode::NOT_FOUND);
    }
    let runs = live.answer(json!(2), "read_count", json!({"key": "runs"})).await?;
    assert_eq!(text(&runs), Some("0"), "the call of the dead session ran in the live one");
    let same = live.answer(json!(3), "whoami", json!({})).await?;
    assert_eq!(text(&same), text(&name));
    Ok(())
}
