//! What a client hears, through the core.

use std::{sync::Arc, time::Duration};

use prometheus_client::registry::Registry;
use proxy_core::{
    Media, Principal, Proxy, Reply, Router, config::SessionConfig, id::InstanceId, message::Message,
};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use worker::{Children, ChildrenParts};

use crate::harness::{launcher, server, within};

fn parsed(text: &str) -> Message {
    Message::parse(text).unwrap()
}

async fn whole(pending: proxy_core::Pending) -> Value {
    match within(pending.reply(Duration::from_secs(20))).await {
        Reply::Whole(answers) => serde_json::from_str(&answers[0]).unwrap(),
        Reply::Stream(_) => panic!("a stream"),
    }
}

#[tokio::test]
async fn a_client_hears_how_its_server_died() {
    let mut registry = Registry::default();
    let router = Router::new(InstanceId::random(), SessionConfig::default(), 1 << 20, &mut registry);
    let inbox = Arc::clone(&router);
    let parts = ChildrenParts { inbox, launcher: launcher(), registry: &mut registry };
    let children = Arc::new(Children::new(&server(), parts).unwrap());
    let proxy = Proxy::new(router, children);
    let shutdown = CancellationToken::new();
    let mut running = JoinSet::new();
    let (runs, stop) = (Arc::clone(&proxy), shutdown.clone());
    running.spawn(async move { runs.run(stop).await });

    let initialize = parsed(
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#,
    );
    let Message::Request(initialize) = initialize else { panic!("it is a request") };
    let opened = proxy.open(&Principal::Anonymous, initialize, Media::Any).unwrap();
    let answer = whole(opened.pending).await;
    assert_eq!(answer["result"]["serverInfo"]["name"], "helper", "{answer}");
    let forward = |text: &str| {
        proxy.forward(&opened.session, &Principal::Anonymous, vec![parsed(text)], Media::Any).unwrap()
    };
    assert!(forward(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).is_none());
    let pending = forward(r#"{"jsonrpc":"2.0","id":2,"method":"echo","params":{"a":1}}"#).unwrap();
    assert_eq!(whole(pending).await["result"]["a"], 1);
    let pending = forward(r#"{"jsonrpc":"2.0","id":3,"method":"crash"}"#).unwrap();
    let answer = whole(pending).await;
    assert_eq!(answer["id"], 3);
    assert_eq!(answer["error"]["data"]["reason"], "session_gone", "{answer}");
    assert_eq!(
        answer["error"]["message"],
        "the server process ended (exit code 3) during the call; its last words: \"out of  cheese\""
    );
    let ping = parsed(r#"{"jsonrpc":"2.0","id":4,"method":"ping"}"#);
    assert!(proxy.forward(&opened.session, &Principal::Anonymous, vec![ping], Media::Any).is_err());
    shutdown.cancel();
    within(running.join_next()).await.unwrap().unwrap().unwrap();
}
