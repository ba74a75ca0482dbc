//! What goes back, and how often it is tried.

use std::time::Duration;

use proxy_core::{
    ProxyContext, ReplyAddress,
    error::{Delivery, ErrorKind},
    intake::{Intake as _, Reply, ReplyTo},
};
use tokio::{net::TcpListener, time::Instant};

use super::{ANSWER, World, configured, reply};
use crate::{
    desk::{PATIENCE, in_time},
    receiver::Receiver,
};

const PROGRESS: &str =
    r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"t","progress":1}}"#;
const ASKED: &str = r#"{"jsonrpc":"2.0","id":7,"method":"elicitation/create","params":{}}"#;

#[tokio::test]
async fn each_message_is_posted_with_the_headers_that_asyncmcps_server_sends() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    for (text, id, method) in [
        (ANSWER, None, None),
        (PROGRESS, None, Some("notifications/progress")),
        (ASKED, Some("7"), Some("elicitation/create")),
    ] {
        let posting = world.intake.reply(reply(&receiver.url, text, PATIENCE));
        let taking = async {
            let got = receiver.got().await;
            assert_eq!(got.body, text);
            assert_eq!(got.header("content-type"), Some("application/json"));
            assert_eq!(got.header("x-session-id"), Some("s-1"));
            assert_eq!((got.header("x-request-id"), got.header("x-method")), (id, method));
            assert_eq!(got.header("x-proxy-context"), None);
            got.answer(202);
        };
        assert!(in_time(async { tokio::join!(posting, taking) }).await.0.is_ok());
    }
    assert!(world.metrics().contains("mcp_worker_intake_sends_total"), "{}", world.metrics());
}

#[tokio::test]
async fn our_own_proxy_is_told_more_and_may_name_another_url() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let context = ProxyContext { v: 1, seq: Some(2), eras: vec!["legacy".into()], ..ProxyContext::default() };
    let reply = Reply {
        context: Some(context.clone()),
        request: Some(ReplyTo::Address(ReplyAddress::Url(receiver.url.as_str().into()))),
        ..reply("http://127.0.0.1:1/not-here", ANSWER, PATIENCE)
    };
    let taking = async {
        let got = receiver.got().await;
        assert_eq!(got.header("x-proxy-context").and_then(ProxyContext::parse), Some(context));
        got.answer(200);
    };
    assert!(in_time(async { tokio::join!(world.intake.reply(reply), taking) }).await.0.is_ok());
}

#[tokio::test]
async fn a_client_that_is_away_gets_its_answer_when_it_is_back() {
    let world = World::start().await;
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let posting = world.intake.reply(reply(&format!("http://{address}/webhook"), ANSWER, PATIENCE));
    let coming = async {
        // the first attempt was made once it has been counted
        while !world.metrics().contains(r#"action="POST",error_type="unavailable""#) {
            tokio::task::yield_now().await;
        }
        let mut receiver = Receiver::on(TcpListener::bind(address).await.unwrap());
        let got = receiver.got().await;
        assert_eq!(got.body, ANSWER);
        got.answer(200);
        receiver
    };
    assert!(in_time(async { tokio::join!(posting, coming) }).await.0.is_ok());
}

#[tokio::test]
async fn an_answer_is_posted_again_until_it_is_taken() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let posting = world.intake.reply(reply(&receiver.url, ANSWER, PATIENCE));
    let taking = async {
        for status in [503, 429, 408, 425, 500, 502] {
            receiver.got().await.answer(status);
        }
        receiver.got().await.answer(200);
    };
    assert!(in_time(async { tokio::join!(posting, taking) }).await.0.is_ok());
}

#[tokio::test]
async fn the_client_says_how_long_to_wait() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let posting = world.intake.reply(reply(&receiver.url, PROGRESS, PATIENCE));
    let taking = async {
        receiver.got().await.answer_with(503, &[("retry-after", "1")]);
        let asked = Instant::now();
        receiver.got().await.answer(200);
        asked.elapsed()
    };
    let (result, waited) = in_time(async { tokio::join!(posting, taking) }).await;
    assert!(result.is_ok() && waited >= Duration::from_millis(990), "{waited:?}");
}

#[tokio::test]
async fn a_refusal_is_final() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    for (status, kind) in [
        (400, ErrorKind::Protocol),
        (401, ErrorKind::Denied),
        (404, ErrorKind::Protocol),
        (413, ErrorKind::TooLarge),
        (301, ErrorKind::Protocol),
    ] {
        let posting = world.intake.reply(reply(&receiver.url, ANSWER, PATIENCE));
        let taking = async {
            let location = format!("{}/elsewhere", receiver.url);
            receiver.got().await.answer_with(status, &[("location", &location)]);
        };
        let error = in_time(async { tokio::join!(posting, taking) }).await.0.unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (kind, Delivery::NotSent), "{status}");
        assert!(!receiver.has_more(), "{status}");
    }
}

#[tokio::test]
async fn only_an_answer_is_posted_again_where_it_may_have_arrived() {
    let config = configured(|config| config.timeout = Duration::from_millis(300));
    let (world, mut receiver) = (World::with(config).await, Receiver::start().await);
    // the client says nothing to the first, and takes the second
    let posting = world.intake.reply(reply(&receiver.url, ANSWER, PATIENCE));
    let taking = async {
        let silent = receiver.got().await;
        receiver.got().await.answer(200);
        silent
    };
    assert!(in_time(async { tokio::join!(posting, taking) }).await.0.is_ok());
    for text in [PROGRESS, ASKED] {
        let posting = world.intake.reply(reply(&receiver.url, text, PATIENCE));
        let (result, _silent) = in_time(async { tokio::join!(posting, receiver.got()) }).await;
        assert_eq!(result.unwrap_err().delivery(), Delivery::MaybeSent);
        assert!(!receiver.has_more());
    }
}

#[tokio::test]
async fn it_is_given_up_when_nobody_waits_any_more() {
    let (world, mut receiver) = (World::start().await, Receiver::start().await);
    let posting = world.intake.reply(reply(&receiver.url, ANSWER, Duration::from_millis(500)));
    let refusing = async {
        loop {
            receiver.got().await.answer(503);
        }
    };
    let error = tokio::select! {
        result = posting => result.unwrap_err(),
        () = refusing => unreachable!(),
    };
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::NotSent));
    let late = world.intake.reply(reply(&receiver.url, ANSWER, Duration::ZERO)).await;
    assert!(late.is_err() && !receiver.has_more());
}

#[tokio::test]
async fn what_cannot_be_posted_is_an_error_at_once() {
    let config = configured(|config| config.max_message = 64);
    let world = World::with(config).await;
    let failed = async |reply| in_time(world.intake.reply(reply)).await.unwrap_err().kind();
    assert_eq!(
        failed(reply("http://127.0.0.1:1/", &format!("{ANSWER}{}", " ".repeat(64)), PATIENCE)).await,
        ErrorKind::TooLarge
    );
    for url in ["not a URL", "", "ftp://127.0.0.1/"] {
        assert_eq!(failed(reply(url, ANSWER, PATIENCE)).await, ErrorKind::Protocol, "{url}");
    }
    let queue = ReplyTo::Address(ReplyAddress::Sqs("http://127.0.0.1/queue".into()));
    assert_eq!(failed(Reply { to: queue, ..reply("", ANSWER, PATIENCE) }).await, ErrorKind::Protocol);
}
