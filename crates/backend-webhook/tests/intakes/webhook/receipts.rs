//! What clients are told at once: the words are asyncmcp's (its `webhook/manager.py`).

use proxy_core::{
    ProxyContext, ReplyAddress,
    intake::{ArrivalEvent, Receipt, Refused, ReplyTo},
};
use serde_json::json;

use super::{CALL, INITIALIZE, World, said};
use crate::desk::{next, session, text};

const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

#[tokio::test]
async fn initialize_opens_the_session_that_it_proposes() {
    let mut world = World::start().await;
    let request =
        world.post(INITIALIZE).header("x-session-id", "s-1").header("x-proxy-context", r#"{"v":1}"#);
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["x-session-id"], "s-1");
    let receipt = json!({"status": "session_created", "session_id": "s-1"});
    assert_eq!(said(response).await, (200, receipt));
    let arrival = next(&mut world.arrivals).await;
    assert_eq!(arrival.session, Some(session("s-1")));
    assert_eq!(arrival.client_id.as_deref(), Some("client"));
    let url = ReplyAddress::Url("http://127.0.0.1:1/webhook".into());
    assert_eq!(arrival.reply, Some(ReplyTo::Address(url)));
    assert_eq!(arrival.context.as_ref().map(|context| context.v), Some(ProxyContext::VERSION));
    assert_eq!((arrival.delivery.receive_count, arrival.delivery.to_owner), (1, false));
    // the URL is no business of the server's
    assert!(!text(&arrival).contains("webhookUrl"), "{}", text(&arrival));
}

#[tokio::test]
async fn without_a_proposal_the_desk_names_the_session() {
    let mut world = World::start().await;
    let response = world.post(INITIALIZE).send().await.unwrap();
    assert_eq!(response.headers()["x-session-id"], "made-up");
    assert_eq!(next(&mut world.arrivals).await.session, None);
}

#[tokio::test]
async fn each_message_has_its_receipt() {
    let mut world = World::start().await;
    for (body, status) in [(INITIALIZED, "initialized"), (CALL, "received")] {
        let request =
            world.post(body).header("x-session-id", "s-1").header("x-protocol-version", "2025-06-18");
        assert_eq!(said(request.send().await.unwrap()).await, (200, json!({ "status": status })));
        let arrival = next(&mut world.arrivals).await;
        assert_eq!((text(&arrival), arrival.version.as_deref()), (body, Some("2025-06-18")));
        assert_eq!(arrival.reply, None);
    }
}

#[tokio::test]
async fn a_later_request_names_where_its_answer_goes_in_the_context_only() {
    let mut world = World::start().await;
    let context = r#"{"v":1,"reply":{"url":"http://127.0.0.1:1/other"}}"#;
    let request = world.post(CALL).header("x-session-id", "s-1").header("x-proxy-context", context);
    assert_eq!(said(request.send().await.unwrap()).await.0, 200);
    let reply = next(&mut world.arrivals).await.reply;
    assert_eq!(reply, Some(ReplyTo::Address(ReplyAddress::Url("http://127.0.0.1:1/other".into()))));
}

#[tokio::test]
async fn a_session_is_ended_by_delete_and_by_our_own_proxys_word() {
    let mut world = World::start().await;
    let delete = world.client.delete(&world.url).header("x-session-id", "s-1");
    assert_eq!(said(delete.send().await.unwrap()).await, (200, json!({"status": "terminated"})));
    let arrival = next(&mut world.arrivals).await;
    assert!(matches!(arrival.event, ArrivalEvent::End));
    assert_eq!(arrival.session, Some(session("s-1")));
    let end = world.post(r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#);
    let end = end.header("x-session-id", "s-1").header("x-proxy-context", r#"{"v":1,"end":true}"#);
    assert_eq!(said(end.send().await.unwrap()).await, (200, json!({"status": "terminated"})));
    assert!(matches!(next(&mut world.arrivals).await.event, ArrivalEvent::End));
}

#[tokio::test]
async fn what_is_not_taken_is_refused_in_words_that_asyncmcps_clients_know() {
    let world = World::start().await;
    for (refused, body, status, said_in) in [
        (Refused::UnknownSession, CALL, 400, "No active session found"),
        (Refused::UnknownSession, INITIALIZED, 404, "Session not found"),
        (Refused::NoSession, CALL, 400, "No active session found"),
        (Refused::NoReplyAddress, INITIALIZE, 400, "Missing webhookUrl in _meta field"),
    ] {
        world.desk.answer_next(Receipt::Refused(refused));
        let request = world.post(body).header("x-session-id", "s-1");
        assert_eq!(said(request.send().await.unwrap()).await, (status, json!({ "error": said_in })));
    }
}

#[tokio::test]
async fn other_refusals_are_json_rpc_errors_about_their_request() {
    let world = World::start().await;
    for (refused, status, code, reason) in [
        (Refused::ReplyNotAllowed, 400, -32000, "reply_not_allowed"),
        (Refused::Busy("too many sessions".into()), 503, -32000, "busy"),
        (Refused::Draining, 503, -32000, "draining"),
        (Refused::Invalid("not now".into()), 400, -32600, "invalid_request"),
    ] {
        let sentence = refused.to_string();
        world.desk.answer_next(Receipt::Refused(refused));
        let response = world.post(CALL).header("x-session-id", "s-1").send().await.unwrap();
        assert_eq!(response.headers().contains_key("retry-after"), status == 503);
        let (found, body) = said(response).await;
        assert_eq!((found, &body["id"]), (status, &json!("w:2")));
        assert_eq!(body["error"], json!({"code": code, "message": sentence, "data": {"reason": reason}}));
        assert!(world.metrics().contains(reason), "{}", world.metrics());
    }
    world.desk.answer_next(Receipt::Refused(Refused::UnknownSession));
    let delete = world.client.delete(&world.url).header("x-session-id", "s-1");
    let (status, body) = said(delete.send().await.unwrap()).await;
    assert_eq!((status, &body["error"]["message"]), (404, &json!("Session not found")));
}
