//! How servers end, with everything that they started.

use std::time::Duration;

use crate::harness::{Held, Rig, changed, server, shell};
use proxy_core::{
    backend::Backend as _,
    error::{Delivery, ErrorKind},
};
use tokio::time::Instant;

#[tokio::test]
async fn what_a_server_started_ends_with_its_session() {
    let rig = Rig::new(&changed(server(), |config| config.stop_grace = Duration::from_secs(30)));
    let (one, other) = (rig.open().await, rig.open().await);
    let (held, others) = (one.spawn().await, other.spawn().await);
    let begun = Instant::now();
    one.close().await;
    assert!(held.has_ended(), "nothing is left when close has returned");
    assert!(begun.elapsed() < Duration::from_secs(10), "a server that ends by itself is not waited for");
    assert!(!others.has_ended());
    rig.shut_down().await;
    assert!(others.has_ended(), "nothing is left when run has returned");
}

#[tokio::test]
async fn a_server_that_ignores_everything_is_killed() {
    let mut held = Held::new();
    let script = format!(
        "trap '' TERM; exec 3> {}; echo >&3; while read line; do :; done; while :; do sleep 0.05; done",
        held.path().display()
    );
    let config = changed(shell(&script), |config| config.stop_grace = Duration::from_millis(400));
    let rig = Rig::new(&config);
    let client = rig.client();
    client.send("initialize", "{}").await.unwrap();
    held.written().await;
    let begun = Instant::now();
    client.close().await;
    assert!(begun.elapsed() >= Duration::from_millis(400), "it has its time");
    assert!(held.has_ended());
    rig.shut_down().await;
}

#[tokio::test]
async fn a_server_that_ignores_its_input_is_asked_by_signal() {
    let (mut held, mut told) = (Held::new(), Held::new());
    let script = format!(
        "exec 4> {}; trap 'echo asked >&4; exit' TERM; echo > {}; while :; do sleep 0.05; done",
        told.path().display(),
        held.path().display()
    );
    let rig = Rig::new(&changed(shell(&script), |config| config.stop_grace = Duration::from_secs(2)));
    let client = rig.client();
    client.send("initialize", "{}").await.unwrap();
    held.written().await;
    client.close().await;
    told.written().await;
    rig.shut_down().await;
}

#[tokio::test]
async fn a_crash_ends_calls_with_the_last_words_and_everything_that_was_started() {
    let rig = Rig::new(&server());
    let client = rig.open().await;
    let mut held = client.spawn().await;
    client.send("crash", "{}").await.unwrap();
    let (wire, error) = client.failure().await;
    assert_eq!((wire, error.kind()), (None, ErrorKind::SessionGone));
    assert_eq!(error.delivery(), Delivery::MaybeSent);
    assert_eq!(
        error.to_string(),
        "the server process ended (exit code 3) during the call; its last words: \"out of  cheese\""
    );
    held.ended().await;
    let later = client.send("echo", "{}").await.unwrap_err();
    assert_eq!((later.kind(), later.delivery()), (ErrorKind::SessionGone, Delivery::NotSent));
    let again = client.send("initialize", "{}").await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::SessionGone, "a server is not started again in silence");
    client.close().await;
    assert_eq!(rig.metric("mcp_worker_children_started_total").as_deref(), Some("1"));
    let ended = rig.metric("mcp_worker_children_ended_total{reason=\"exited\"}");
    assert_eq!(ended.as_deref(), Some("1"));
    rig.shut_down().await;
}

#[tokio::test]
async fn a_signal_is_named() {
    let rig = Rig::new(&server());
    let client = rig.open().await;
    client.send("abort", "{}").await.unwrap();
    let (_, error) = client.failure().await;
    assert_eq!(error.to_string(), "the server process was ended by signal 6, SIGABRT during the call",);
    rig.shut_down().await;
}

#[tokio::test]
async fn what_a_server_wrote_before_it_ended_is_delivered() {
    let rig = Rig::new(&server());
    for _ in 0..10 {
        let client = rig.open().await;
        assert_eq!(client.call("exit", "{\"last\":1}").await.unwrap()["result"]["last"], 1);
        let (_, error) = client.failure().await;
        assert!(error.to_string().contains("ended (exit code 0)"), "{error}");
        client.close().await;
    }
    rig.shut_down().await;
}

#[tokio::test]
async fn a_server_that_closes_its_output_is_ended() {
    let answer = r#"read line; printf '%s\n' "$line" | sed 's/"method":"initialize","params":{}/"result":{}/'; exec >&-; sleep 1000"#;
    let rig = Rig::new(&changed(shell(answer), |config| config.stop_grace = Duration::from_millis(200)));
    let client = rig.client();
    client.call("initialize", "{}").await.unwrap();
    let (_, error) = client.failure().await;
    assert_eq!(error.to_string(), "the server process closed its output during the call");
    client.close().await;
    rig.shut_down().await;
}

#[tokio::test]
async fn dropping_the_backend_ends_everything() {
    let rig = Rig::new(&server());
    let client = rig.open().await;
    let mut held = client.spawn().await;
    drop(client);
    drop(rig);
    held.ended().await;
}

#[test]
fn dropping_the_runtime_ends_everything() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let waiting = runtime();
    let mut held = waiting.block_on(async { Held::new() });
    let params = serde_json::json!({ "pipe": held.path() }).to_string();
    let serving = runtime();
    serving.block_on(async {
        let rig = Rig::new(&server());
        let client = rig.open().await;
        client.call("spawn", &params).await.unwrap();
        drop(client);
        // whoever held it is cut off as well
        std::mem::forget(rig);
    });
    drop(serving);
    waiting.block_on(held.ended());
}

#[tokio::test]
async fn after_shutdown_nothing_is_started() {
    let rig = Rig::new(&server());
    rig.shut_down().await;
    let client = rig.client();
    let error = client.send("initialize", "{}").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    rig.children.close(&client.remote()).await.unwrap();
}
