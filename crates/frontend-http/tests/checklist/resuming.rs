//! Clients that lose their connection and come back: items 31, 32, 34 and 35.

use std::collections::HashSet;

use serde_json::json;

use crate::harness::{Harness, Setup, call, call_with_progress, text};

#[tokio::test]
async fn item_31_a_disconnect_cancels_nothing_and_the_answer_waits() {
    let mut harness = Harness::start(Setup::streaming).await;
    let client = harness.open("2025-11-25").await;
    let (request, mut events) = harness.call_streaming(&client, call(1)).await;
    let priming = events.event().await.unwrap().id.unwrap();
    drop(events);
    harness.far.answer(&request, &text("late"));
    let mut resumed = client.resume(&priming).await.events();
    assert_eq!(resumed.message().await.unwrap().1["result"], text("late"));
    assert_eq!(resumed.message().await, None);
    assert!(harness.far.has_nothing(), "no cancellation was sent");
}

#[tokio::test]
async fn item_31_a_request_whose_client_left_before_any_answer_still_reaches_the_far_end() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-11-25").await;
    let (request, reply) = harness.call(&client, call(1)).await;
    drop(reply);
    harness.far.answer(&request, &text("for nobody"));
    let (again, reply) = harness.call(&client, call(2)).await;
    harness.far.answer(&again, &text("second"));
    assert_eq!(reply.join().await.json().await["id"], 2);
}

#[tokio::test]
async fn item_31_a_disconnect_while_the_send_is_pending_loses_no_answer() {
    let mut harness = Harness::start(Setup::streaming).await;
    let client = harness.open("2025-11-25").await;
    harness.far.backend.hold_sends();
    let mut events = client.post(&call(1)).await.events();
    harness.far.backend.wait_for_held_sends(1).await;
    let priming = events.event().await.unwrap().id.unwrap();
    drop(events);
    harness.far.backend.release_sends();
    let request = harness.far.expect("tools/call").await;
    harness.far.answer(&request, &text("late"));
    let mut resumed = client.resume(&priming).await.events();
    assert_eq!(resumed.message().await.unwrap().1["result"], text("late"));
}

#[tokio::test]
async fn item_32_a_resume_replays_what_came_later_on_that_stream_and_goes_on() {
    let mut harness = Harness::start(Setup::streaming).await;
    let client = harness.open("2025-06-18").await;
    let (one, mut of_one) = harness.call_streaming(&client, call_with_progress(1, "one")).await;
    let (two, mut of_two) = harness.call_streaming(&client, call_with_progress(2, "two")).await;
    for progress in 1..=3 {
        harness.far.progress(&one, progress);
        harness.far.progress(&two, progress);
    }
    let (first, _) = of_one.message().await.unwrap();
    let mut ids = HashSet::from([first.clone()]);
    for events in [&mut of_one, &mut of_two] {
        for _ in 0..2 {
            assert!(ids.insert(events.message().await.unwrap().0), "ids are unique in the session");
        }
    }
    drop(of_one);
    let mut resumed = client.resume(&first).await.events();
    for progress in 2..=3 {
        let (_, message) = resumed.message().await.unwrap();
        assert_eq!(message["params"], json!({"progressToken": "one", "progress": progress}));
    }
    harness.far.progress(&one, 4);
    assert_eq!(resumed.message().await.unwrap().1["params"]["progress"], 4);
    harness.far.answer(&one, &text("one"));
    assert_eq!(resumed.message().await.unwrap().1["result"], text("one"));
    assert_eq!(resumed.message().await, None);
}

#[tokio::test]
async fn item_32_the_standalone_stream_can_be_resumed_too() {
    let mut harness = Harness::start(|_| {}).await;
    let client = harness.open("2025-06-18").await;
    let mut events = client.get().await.events();
    harness.far.log(&client.route, None, "first");
    let (first, _) = events.message().await.unwrap();
    drop(events);
    harness.far.log(&client.route, None, "second");
    let mut resumed = client.resume(&first).await.events();
    assert_eq!(resumed.message().await.unwrap().1["params"]["data"], "second");
}

#[tokio::test]
async fn item_34_a_stream_that_the_server_closed_is_resumed_to_its_answer() {
    let mut harness = Harness::start(Setup::streaming).await;
    let client = harness.open("2025-11-25").await;
    let (request, mut closed) = harness.call_streaming(&client, call(1)).await;
    let priming = closed.event().await.unwrap();
    assert!(priming.retry.is_some(), "the delay is told before the server closes");
    let mut resumed = client.resume(&priming.id.unwrap()).await.events();
    assert_eq!(closed.message().await, None, "the server closes the connection, not the stream");
    harness.far.answer(&request, &text("done"));
    assert_eq!(resumed.message().await.unwrap().1["result"], text("done"));
}

#[tokio::test]
async fn item_34_a_stream_that_was_read_to_its_end_is_not_resumed_for_ever() {
    let mut harness = Harness::start(Setup::streaming).await;
    let client = harness.open("2025-11-25").await;
    let (request, mut events) = harness.call_streaming(&client, call(1)).await;
    harness.far.answer(&request, &text("done"));
    let (last, _) = events.message().await.unwrap();
    assert_eq!(client.resume(&last).await.status, 204);
}

#[tokio::test]
async fn item_35_an_unknown_event_is_refused() {
    let mut harness = Harness::start(Setup::streaming).await;
    let client = harness.open("2025-11-25").await;
    for unknown in ["99-0", "0-5", "nonsense", "1", "-1-1", "18446744073709551616-0"] {
        client.resume(unknown).await.refused(400, -32000).await;
    }
}

#[tokio::test]
async fn item_35_another_sessions_event_brings_nothing_of_that_session() {
    let mut harness = Harness::start(Setup::streaming).await;
    let victim = harness.open("2025-11-25").await;
    let (request, mut events) = harness.call_streaming(&victim, call_with_progress(1, 1)).await;
    let priming = events.event().await.unwrap().id.unwrap();
    drop(events);
    harness.far.answer(&request, &text("secret"));
    let other = harness.open("2025-11-25").await;
    let reply = other.resume(&priming).await;
    if reply.status == 200 {
        // The same id may name a stream of the session's own.
        let mut own = reply.events();
        assert!(other.delete().await.status.is_success());
        assert_eq!(own.message().await, None);
    } else {
        reply.refused(400, -32000).await;
    }
    let mut resumed = victim.resume(&priming).await.events();
    assert_eq!(resumed.message().await.unwrap().1["result"], text("secret"));
}
