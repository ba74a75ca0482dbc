//! What comes on the response of a request.

use std::time::Duration;

use proxy_core::{
    ProxyContext,
    error::ErrorKind,
    intake::{Intake as _, Receipt, Refused, ReplyTo, Settled},
};
use serde_json::json;

use tokio::time::Instant;

use super::{
    ANSWER, ASKED, CALL, Events, INITIALIZED, LOGGED, Responding, SESSION, World, configured, initialize,
    reply, said, unrelated,
};
use crate::desk::{in_time, next, session, text};

#[tokio::test]
async fn the_answer_to_initialize_names_the_session_and_what_our_own_proxy_must_know() {
    let mut world = World::start().await;
    let request =
        world.post(&initialize(None)).header("x-client-id", "c").header("x-proxy-context", r#"{"v":1}"#);
    let responding = Responding::to(request);
    let arrival = next(&mut world.arrivals).await;
    assert_eq!((arrival.session.as_ref(), arrival.client_id.as_deref()), (None, Some("c")));
    assert!(matches!(arrival.reply, Some(ReplyTo::Response(_))) && arrival.context.is_some());
    let context = ProxyContext { v: 1, eras: vec!["legacy".into()], ..ProxyContext::default() };
    world.reply(reply(&arrival, &arrival, LOGGED)).await.unwrap();
    let answer = super::Reply { context: Some(context.clone()), ..reply(&arrival, &arrival, INITIALIZED) };
    world.reply(answer).await.unwrap();
    let response = responding.response().await;
    assert_eq!(response.headers()["mcp-session-id"], SESSION);
    let told = ProxyContext::parse(response.headers()["x-proxy-context"].to_str().unwrap());
    assert_eq!(told, Some(context));
    let mut events = Events::of(response);
    assert_eq!(events.next().await.as_deref(), Some(LOGGED));
    assert_eq!(events.next().await.as_deref(), Some(INITIALIZED));
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn an_initialize_that_failed_names_no_session() {
    let mut world = World::start().await;
    let responding = Responding::to(world.post(&initialize(None)));
    let arrival = next(&mut world.arrivals).await;
    let error = r#"{"jsonrpc":"2.0","id":"w:1","error":{"code":-32603,"message":"no"}}"#;
    world.reply(reply(&arrival, &arrival, error)).await.unwrap();
    let response = responding.response().await;
    assert!(!response.headers().contains_key("mcp-session-id"));
    assert_eq!(Events::of(response).next().await.as_deref(), Some(error));
    // and where it is never answered, the client is told so
    let responding = Responding::to(world.post(&initialize(None)));
    next(&mut world.arrivals).await;
    world.intake.close(&session(SESSION)).await;
    let (status, body) = said(responding.response().await).await;
    assert_eq!((status, &body["id"], &body["error"]["code"]), (200, &json!("w:1"), &json!(-32603)));
}

#[tokio::test]
async fn a_call_gets_what_belongs_to_it_and_its_answer() {
    let mut world = World::start().await;
    let opened = world.open(None).await;
    let (mut events, call) = world.call(CALL).await;
    assert_eq!(
        (call.session.as_ref(), call.version.as_deref()),
        (Some(&session(SESSION)), Some("2025-06-18"))
    );
    assert_eq!(text(&call), CALL);
    for message in [LOGGED, ASKED] {
        world.reply(reply(&opened, &call, message)).await.unwrap();
        assert_eq!(events.next().await.as_deref(), Some(message));
    }
    world.reply(reply(&opened, &call, &ANSWER.replace(":{", ":\n{"))).await.unwrap();
    assert_eq!(events.next().await, Some(ANSWER.replace(":{", ": {")));
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn calls_with_one_id_in_two_sessions_are_told_apart() {
    let mut world = World::start().await;
    let opened = world.open(None).await;
    let (mut first, one) = world.call(CALL).await;
    let response = in_time(world.post(CALL).header("mcp-session-id", "other").send()).await.unwrap();
    let (mut second, two) = (Events::of(response), next(&mut world.arrivals).await);
    let cancelled = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"w:2"}}"#;
    let other = world.post(cancelled).header("mcp-session-id", "other");
    assert_eq!(in_time(other.send()).await.unwrap().status().as_u16(), 202);
    // the cancelled one ends without an answer
    assert_eq!(second.next().await, None);
    world.reply(reply(&opened, &one, ANSWER)).await.unwrap();
    assert_eq!(first.next().await.as_deref(), Some(ANSWER));
    assert_ne!(one.reply, two.reply);
}

#[tokio::test]
async fn a_second_post_of_a_call_that_runs_is_refused_at_once() {
    let mut world = World::start().await;
    let opened = world.open(None).await;
    let (settle, settled) = tokio::sync::oneshot::channel();
    world.desk.settle_next(Receipt::Accepted, Box::pin(async move { settled.await.unwrap() }));
    let (mut events, call) = world.call(CALL).await;
    let (status, body) = said(in_time(world.post_in(CALL).send()).await.unwrap()).await;
    assert_eq!((status, &body["id"], &body["error"]["code"]), (400, &json!("w:2"), &json!(-32600)));
    // another session's with this id is another one
    let other = in_time(world.post(CALL).header("mcp-session-id", "other").send()).await.unwrap();
    assert_eq!(other.status().as_u16(), 200);
    assert_eq!(next(&mut world.arrivals).await.session, Some(session("other")));
    world.reply(reply(&opened, &call, ANSWER)).await.unwrap();
    assert_eq!(events.next().await.as_deref(), Some(ANSWER));
    // its response has ended, and the desk still has it in hand: what would come now shares its end
    assert_eq!(events.next().await, None);
    assert_eq!(in_time(world.post_in(CALL).send()).await.unwrap().status().as_u16(), 400);
    settle.send(Settled::Done).unwrap();
    // it comes to the desk again, which answers it from its ledger
    in_time(async { while world.post_in(CALL).send().await.unwrap().status() != 200 {} }).await;
    assert_eq!(text(&next(&mut world.arrivals).await), CALL);
}

#[tokio::test]
async fn notifications_and_answers_of_a_client_are_accepted() {
    let mut world = World::start().await;
    for body in [
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{}}"#,
    ] {
        let response = in_time(world.post_in(body).send()).await.unwrap();
        assert_eq!((response.status().as_u16(), response.text().await.unwrap().as_str()), (202, ""));
        let arrival = next(&mut world.arrivals).await;
        assert_eq!((text(&arrival), &arrival.reply), (body, &None));
    }
}

#[tokio::test]
async fn an_open_response_is_kept_alive() {
    let mut world = World::with(configured(|config| config.keep_alive = Duration::from_secs(1))).await;
    let opened = world.open(None).await;
    let (mut events, call) = world.call(CALL).await;
    events.comment().await;
    world.reply(reply(&opened, &call, ANSWER)).await.unwrap();
    assert_eq!(events.next().await.as_deref(), Some(ANSWER));
}

#[tokio::test]
async fn in_json_the_response_is_the_answer_and_the_rest_comes_on_the_standalone_stream() {
    let mut world = World::with(configured(|config| config.json_response = true)).await;
    let opened = world.open(None).await;
    let mut standalone = Events::of(world.listen().await);
    let responding = Responding::to(world.post_in(CALL));
    let call = next(&mut world.arrivals).await;
    world.reply(reply(&opened, &call, LOGGED)).await.unwrap();
    assert_eq!(standalone.next().await.as_deref(), Some(LOGGED));
    world.reply(reply(&opened, &call, ANSWER)).await.unwrap();
    let response = responding.response().await;
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.text().await.unwrap(), ANSWER);
    // what is never answered is said to be accepted
    let responding = Responding::to(world.post_in(CALL));
    next(&mut world.arrivals).await;
    world.intake.close(&session(SESSION)).await;
    assert_eq!(responding.response().await.status().as_u16(), 202);
}

#[tokio::test]
async fn a_client_that_goes_away_takes_nothing_with_it() {
    let mut world = World::start().await;
    let opened = world.open(None).await;
    let (settle, settled) = tokio::sync::oneshot::channel();
    world.desk.settle_next(Receipt::Accepted, Box::pin(async move { settled.await.unwrap() }));
    let (events, call) = world.call(CALL).await;
    drop(events);
    // the connection's end is noticed some time, and only so many requests wait for a stream
    while world.reply(reply(&opened, &call, ASKED)).await.is_ok() {}
    let error = world.reply(reply(&opened, &call, ANSWER)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(settle.send(Settled::Done).is_ok(), "it is followed until it is settled");
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_nobody_else_and_fills_no_memory() {
    let mut world = World::start().await;
    let opened = world.open(None).await;
    let (mut slow, stuck) = world.call(CALL).await;
    let large = LOGGED.replace("info", &"x".repeat(1 << 20));
    // what the connection takes, one that waits, and then no more
    let mut taken = 0;
    loop {
        let deadline = Instant::now() + Duration::from_millis(300);
        let before = Instant::now();
        world.reply(super::Reply { deadline, ..reply(&opened, &stuck, &large) }).await.ok();
        if before.elapsed() >= Duration::from_millis(290) {
            break;
        }
        taken += 1;
    }
    assert!(taken < 100, "{taken} MiB were taken for a client that reads nothing");
    let (mut events, call) = world.call(&CALL.replace("w:2", "w:3")).await;
    world.reply(reply(&opened, &call, ANSWER)).await.unwrap();
    assert_eq!(events.next().await.as_deref(), Some(ANSWER));
    // once it reads, its answer comes too
    let answering = world.reply(reply(&opened, &stuck, ANSWER));
    let reading = async { while slow.next().await.unwrap() != ANSWER {} };
    tokio::join!(answering, reading).0.unwrap();
}

#[tokio::test]
async fn what_the_desk_refuses_is_said_by_status_and_about_the_request() {
    let world = World::start().await;
    for (refused, status) in [
        (Refused::UnknownSession, 404),
        (Refused::NoSession, 400),
        (Refused::Invalid("not now".into()), 400),
        (Refused::Busy("full".into()), 503),
        (Refused::Draining, 503),
    ] {
        let code = refused.code();
        world.desk.answer_next(Receipt::Refused(refused));
        let response = in_time(world.post_in(CALL).send()).await.unwrap();
        assert_eq!(response.headers().contains_key("retry-after"), status == 503);
        let (found, body) = said(response).await;
        assert_eq!((found, &body["id"], body["error"]["code"].as_i64()), (status, &json!("w:2"), Some(code)));
    }
    world.desk.answer_next(Receipt::Refused(Refused::ReplyNotAllowed));
    let (status, body) =
        said(in_time(world.post(&initialize(Some("http://x/"))).send()).await.unwrap()).await;
    assert_eq!((status, &body["error"]["data"]["reason"]), (400, &json!("reply_not_allowed")));
    world.desk.answer_next(Receipt::Refused(Refused::UnknownSession));
    let notification = world.post_in(LOGGED);
    assert_eq!(in_time(notification.send()).await.unwrap().status().as_u16(), 404);
}

#[tokio::test]
async fn what_is_too_large_is_not_sent() {
    let mut world = World::with(configured(|config| config.max_message = 256)).await;
    let opened = world.open(None).await;
    let large = format!(r#"{{"jsonrpc":"2.0","id":"w:2","result":{{"x":"{}"}}}}"#, "x".repeat(256));
    assert_eq!(world.reply(unrelated(&opened, &large)).await.unwrap_err().kind(), ErrorKind::TooLarge);
}
