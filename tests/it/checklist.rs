//! The items of the checklist that depend on the backend, from end to end: what the far end is sent and sends is restored, routed and
//! ended as over any other transport. `frontend-http/tests/checklist` has them all, over the memory backend.

use anyhow::{Context as _, Result};
use e2e::{
    http::{Session, call, messages, text},
    kind::Kind,
    process::PATIENCE,
    stories,
    world::World,
};
use futures_util::future::try_join_all;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

stories! {
    ids_and_tokens_come_back_as_they_were: all, streamable_http, worker;
    what_belongs_together_stays_together: all, streamable_http, worker;
    a_cancelled_call_ends_without_an_answer: all, streamable_http, worker;
    a_cut_stream_is_resumed: all, streamable_http, worker;
    an_ended_session_is_gone: all, streamable_http, worker;
}

async fn ids_and_tokens_come_back_as_they_were(kind: Kind) -> Result<()> {
    let world = World::of(kind).await?;
    for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let session = Session::open(&world.proxy.url(), version).await?;
        // At once, and in types that look alike.
        let ids =
            [json!(0), json!(1), json!("1"), json!(9_007_199_254_740_993_i64), json!("é\"\\"), json!(-5)];
        let calls = ids.iter().map(|id| session.answer(id.clone(), "echo", json!({"text": id.to_string()})));
        for (id, answer) in ids.iter().zip(try_join_all(calls).await?) {
            assert_eq!(text(&answer), Some(id.to_string().as_str()), "{answer}");
        }
        for token in [json!(7), json!("seven")] {
            let call = json!({"jsonrpc": "2.0", "id": 8, "method": "tools/call", "params": {
                "name": "test_tool_with_progress", "arguments": {}, "_meta": {"progressToken": token},
            }});
            let seen = messages(session.post().json(&call).send().await?).await?;
            let (answer, progress) = seen.split_last().context("nothing came")?;
            assert!(text(answer).is_some(), "{answer}");
            let done: Vec<&Value> = progress.iter().map(|each| &each["params"]["progress"]).collect();
            assert_eq!(done.len(), 3, "{progress:?}");
            assert!(progress.iter().all(|each| each["params"]["progressToken"] == token), "{progress:?}");
        }
        let error = session.answer(json!(9), "fail_rpc", json!({})).await?;
        assert_eq!(
            error["error"],
            json!({"code": -32602, "message": "This call always fails", "data": {"why": "test"}})
        );
        let unknown = json!({"jsonrpc": "2.0", "id": 10, "method": "no/such/method"});
        let unknown = messages(session.post().json(&unknown).send().await?).await?;
        assert!(unknown.last().is_some_and(|answer| answer["error"]["code"].is_i64()), "{unknown:?}");
    }
    Ok(())
}

/// Two sessions with the same ids at once: server requests, logs and updates go to the session that they belong to.
async fn what_belongs_together_stays_together(kind: Kind) -> Result<()> {
    let world = World::of(kind).await?;
    let sessions = [
        Session::open(&world.proxy.url(), "2025-11-25").await?,
        Session::open(&world.proxy.url(), "2025-11-25").await?,
    ];
    let asked = sessions.iter().zip(["one", "two"]).map(async |(session, name)| {
        let mut stream =
            session.post().json(&call(json!(1), "ask_sampling", json!({"prompt": name}))).send().await?;
        let request = next_message(&mut stream).await?;
        assert_eq!(request["method"], "sampling/createMessage", "{request}");
        assert_eq!(request["params"]["messages"][0]["content"]["text"], name, "{request}");
        let content = json!({"type": "text", "text": format!("for {name}")});
        let result = json!({"role": "assistant", "model": "m", "content": content});
        let answer = json!({"jsonrpc": "2.0", "id": request["id"], "result": result});
        assert_eq!(session.post().json(&answer).send().await?.status(), StatusCode::ACCEPTED);
        let answer = next_message(&mut stream).await?;
        assert_eq!(text(&answer), Some(format!("for {name}").as_str()));
        anyhow::Ok(())
    });
    try_join_all(asked).await?;

    // Not about any request: to the standalone stream of the one that subscribed.
    let [one, two] = &sessions;
    let mut stream = one.get().send().await?;
    let subscribe = json!({"jsonrpc": "2.0", "id": 2, "method": "resources/subscribe", "params": {"uri": "test://watched-resource"}});
    messages(one.post().json(&subscribe).send().await?).await?;
    let other = two.answer(json!(2), "touch", json!({"uri": "test://watched-resource"})).await?;
    assert_eq!(text(&other), Some("not subscribed"));
    let touched =
        one.post().json(&call(json!(3), "touch", json!({"uri": "test://watched-resource"}))).send().await?;
    let on_response = messages(touched).await?;
    let is_update = |message: &Value| message["method"] == "notifications/resources/updated";
    if !on_response.iter().any(is_update) {
        let update = next_message(&mut stream).await?;
        assert!(is_update(&update), "{update}");
    }
    Ok(())
}

async fn a_cancelled_call_ends_without_an_answer(kind: Kind) -> Result<()> {
    let world = World::of(kind).await?;
    let session = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let slow = call(json!("slow"), "slow", json!({"seconds": 100, "key": "slow"}));
    let slow = session.post().json(&slow).send().await?;
    let reached = async |key: &str| {
        for id in 0.. {
            let count = session.answer(json!(id), "read_count", json!({"key": key})).await?;
            if text(&count) == Some("1") {
                break;
            }
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(PATIENCE, reached("slow:started")).await??;
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "slow"}});
    assert_eq!(session.post().json(&cancel).send().await?.status(), StatusCode::ACCEPTED);
    assert_eq!(messages(slow).await?, Vec::<Value>::new());
    tokio::time::timeout(PATIENCE, reached("slow:cancelled")).await?
}

/// The client loses its connection in mid-call: the call goes on, and its answer comes to the stream that resumes.
async fn a_cut_stream_is_resumed(kind: Kind) -> Result<()> {
    let world = World::of(kind).await?;
    let session = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let slow = call(json!(1), "slow", json!({"seconds": 1, "key": "resumed"}));
    let mut stream = session.post().json(&slow).send().await?;
    let mut seen = Vec::new();
    let event_id = loop {
        seen.extend_from_slice(&stream.chunk().await?.context("the stream ended")?);
        let text = String::from_utf8_lossy(&seen);
        let id = text.lines().find_map(|line| line.strip_prefix("id:"));
        if let Some(id) = id.filter(|_| text.ends_with("\n\n")) {
            break id.trim().to_owned();
        }
    };
    drop(stream);
    let resumed = session.get().header("last-event-id", event_id).send().await?;
    assert_eq!(resumed.status(), StatusCode::OK);
    let rest = tokio::time::timeout(PATIENCE, messages(resumed)).await??;
    assert_eq!(rest.len(), 1, "{rest:?}");
    assert!(text(&rest[0]).is_some(), "{rest:?}");
    let runs = session.answer(json!(2), "read_count", json!({"key": "resumed:started"})).await?;
    assert_eq!(text(&runs), Some("1"), "it ran once");
    Ok(())
}

async fn an_ended_session_is_gone(kind: Kind) -> Result<()> {
    let world = World::of(kind).await?;
    let session = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let other = Session::open(&world.proxy.url(), "2025-11-25").await?;
    let slow = session.post().json(&call(json!(1), "slow", json!({"seconds": 100}))).send().await?;
    assert!(session.delete().send().await?.status().is_success());
    let ended = messages(slow).await?;
    assert_eq!(ended.last().map(|error| &error["error"]["data"]["reason"]), Some(&json!("session_closed")));
    let again = session.post().json(&call(json!(2), "echo", json!({"text": "x"}))).send().await?;
    assert_eq!(again.status(), StatusCode::NOT_FOUND);
    let unharmed = other.answer(json!(1), "echo", json!({"text": "unharmed"})).await?;
    assert_eq!(text(&unharmed), Some("unharmed"));
    Ok(())
}

/// The next message on a stream.
async fn next_message(stream: &mut Response) -> Result<Value> {
    let mut seen = Vec::new();
    let read = async {
        loop {
            let text = String::from_utf8_lossy(&seen).into_owned();
            let data = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            let mut data = data.filter_map(|line| line.strip_prefix("data:")).map(str::trim);
            if let Some(message) = data.find_map(|data| serde_json::from_str(data).ok()) {
                return anyhow::Ok(message);
            }
            seen.extend_from_slice(&stream.chunk().await?.context("the stream ended")?);
        }
    };
    tokio::time::timeout(PATIENCE, read).await?
}
