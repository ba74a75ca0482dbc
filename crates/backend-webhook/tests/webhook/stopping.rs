//! What happens to callbacks when the proxy, or the far end, goes or falls silent.

use proxy_core::{
    backend::{Backend as _, Disposition, Settlement},
    error::ErrorKind,
};
use reqwest::StatusCode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::{Instant, pause, resume},
};

use crate::harness::{ANSWER, World, in_time};

#[tokio::test]
async fn shutdown_answers_what_is_in_hand_and_takes_no_more() {
    let mut world = World::start().await;
    let route = world.route();
    let (settle, settled) = oneshot::channel();
    world.inbox.settle_next(Settlement::Later(Box::pin(async move { settled.await.unwrap() })));
    let mut posting = tokio::task::JoinSet::new();
    posting.spawn(world.callback(&route, ANSWER).send());
    world.delivered().await;
    world.shutdown.cancel();
    let late = crate::harness::client().post(world.backend.callback_url(&route)).body(ANSWER);
    // the listener is closed as soon as the task that serves has had its turn
    while late.try_clone().unwrap().send().await.is_ok() {
        world.delivered.try_recv().ok();
        tokio::task::yield_now().await;
    }
    assert!(world.is_running(), "a message is in hand");
    settle.send(Disposition::Accepted).unwrap();
    let response = in_time(posting.join_next()).await.unwrap().unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    world.stopped().await;
    assert_eq!(world.backend.check().await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let world = World::start().await;
    let mut silent = TcpStream::connect(world.backend.callback_address().unwrap()).await.unwrap();
    silent.write_all(b"POST /callback HTTP/1.1\r\n").await.unwrap();
    pause();
    let since = Instant::now();
    let mut said = Vec::new();
    silent.read_to_end(&mut said).await.unwrap();
    assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&said));
    // longer than clients keep connections, and not for ever
    assert!((100..=200).contains(&since.elapsed().as_secs()), "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_request_that_is_never_finished_does_not_hold_up_the_end() {
    for begun in
        ["POST /callback HTTP/1.1\r\n", "POST CALLBACK HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n{"]
    {
        let mut world = World::start().await;
        let url = world.backend.callback_url(&world.route());
        let path = &url[url.find("/callback").unwrap()..];
        let mut silent = TcpStream::connect(world.backend.callback_address().unwrap()).await.unwrap();
        silent.write_all(begun.replace("CALLBACK", path).as_bytes()).await.unwrap();
        // a whole exchange on another connection: by then the first was accepted and read
        world.callback(&world.route(), ANSWER).send().await.unwrap();
        pause();
        let since = Instant::now();
        world.shutdown.cancel();
        world.stopped().await;
        assert!(since.elapsed().as_secs() <= 5, "{:?}", since.elapsed());
        resume();
    }
}

#[tokio::test]
async fn nor_does_one_on_a_shared_port() {
    let mut world = World::with(|config| {
        config.share = true;
        config.webhook_url = "http://proxy.example.com/callback".to_owned();
    })
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = world.backend.callback_routes();
    let mut serving = tokio::task::JoinSet::new();
    serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
    let url = |route| world.backend.callback_url(&route).replace("proxy.example.com", &address.to_string());
    let mut silent = TcpStream::connect(address).await.unwrap();
    let unfinished = url(world.route());
    let path = &unfinished[unfinished.find("/callback").unwrap()..];
    let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n{{");
    silent.write_all(head.as_bytes()).await.unwrap();
    world.client.post(url(world.route())).body(ANSWER).send().await.unwrap();
    pause();
    let since = Instant::now();
    world.shutdown.cancel();
    world.stopped().await;
    assert!(since.elapsed().as_secs() <= 5, "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_far_end_that_goes_away_does_not_cut_a_settlement_off() {
    let mut world = World::start().await;
    let route = world.route();
    let (settle, settled) = oneshot::channel();
    let (done, finished) = oneshot::channel();
    world.inbox.settle_next(Settlement::Later(Box::pin(async move {
        let disposition = settled.await.unwrap();
        done.send(()).unwrap();
        disposition
    })));
    let mut posting = tokio::task::JoinSet::new();
    posting.spawn(world.callback(&route, ANSWER).send());
    world.delivered().await;
    posting.shutdown().await;
    settle.send(Disposition::Accepted).unwrap();
    in_time(finished).await.unwrap();
    world.shutdown.cancel();
    world.stopped().await;
}
