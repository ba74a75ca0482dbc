//! The rules of sending.

use std::{collections::BTreeSet, future::poll_fn, sync::Arc, task::Poll};

use proxy_core::error::{Delivery, ErrorKind};
use serde_json::Value;
use tokio::task::JoinSet;

use super::{
    target::ContractTarget,
    testbed::{Testbed, call, in_time, outbound, send},
};

/// More than one batch of any transport.
const MANY: usize = 50;

/// `send` resolves once the transport has durably accepted the message: it arrives though the backend is gone by then.
pub async fn what_was_accepted_is_kept_though_the_backend_goes(target: &dyn ContractTarget) {
    let testbed = Testbed::connect(target).await;
    let route = testbed.route();
    send(&*testbed.backend, outbound(&route, &call(&route))).await;
    let Testbed { backend, mut far_side, .. } = testbed;
    drop(backend);
    let carried = in_time("what was sent", far_side.receive()).await;
    assert_eq!(carried.body, call(&route));
}

/// The route key and the negotiated revision travel beside the message, and the message byte for byte.
pub async fn a_message_travels_with_its_route_and_version(target: &dyn ContractTarget) {
    let mut testbed = Testbed::connect(target).await;
    let route = testbed.route();
    for text in [call(&route), r#"{"jsonrpc":"2.0" ,"method":"notifications/roots/list_changed"}"#.to_owned()]
    {
        send(&*testbed.backend, outbound(&route, &text)).await;
        let carried = testbed.receive().await;
        assert_eq!(carried.route.as_deref(), Some(route.as_str()));
        assert_eq!(carried.version.as_deref(), Some("2025-06-18"));
        assert_eq!(carried.body, text);
    }
}

/// A backend may add where answers go to `initialize`; everything else in it stays.
pub async fn an_initialize_keeps_what_its_client_sent(target: &dyn ContractTarget) {
    let mut testbed = Testbed::connect(target).await;
    let route = testbed.route();
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":"{}:0","method":"initialize","params":{{"protocolVersion":"2025-06-18","capabilities":{{"x":{{}}}},"_meta":{{"progressToken":"p"}}}}}}"#,
        route.as_str()
    );
    send(&*testbed.backend, outbound(&route, &text)).await;
    let carried = testbed.receive().await;
    assert_eq!(carried.route.as_deref(), Some(route.as_str()), "the route key is proposed as the session id");
    let (sent, came) = (json(&text), json(&carried.body));
    assert_eq!(came["id"], sent["id"]);
    for pointer in ["/params/protocolVersion", "/params/capabilities", "/params/_meta/progressToken"] {
        assert_eq!(came.pointer(pointer), sent.pointer(pointer), "{pointer}");
    }
}

/// However sends are put together, each message arrives, once.
pub async fn every_one_of_many_sends_at_once_arrives_once(target: &dyn ContractTarget) {
    let mut testbed = Testbed::connect(target).await;
    let routes: Vec<_> = (0..MANY).map(|_| testbed.route()).collect();
    let mut sends = JoinSet::new();
    for route in &routes {
        let (backend, outbound) = (Arc::clone(&testbed.backend), outbound(route, &call(route)));
        sends.spawn(async move { send(&*backend, outbound).await });
    }
    let mut arrived = BTreeSet::new();
    for _ in 0..MANY {
        let carried = testbed.receive().await;
        let route = carried.route.unwrap_or_default();
        assert!(carried.body.contains(&route), "the body belongs to its envelope");
        assert!(arrived.insert(route), "a message came twice");
    }
    assert!(sends.join_all().await.len() == MANY);
    assert_eq!(arrived, routes.iter().map(|route| route.as_str().to_owned()).collect());
}

/// A message over the transport's limit is refused with `TooLarge` and `NotSent`, and nothing is sent.
pub async fn a_message_that_is_too_large_is_refused_and_not_sent(target: &dyn ContractTarget) {
    let mut testbed = Testbed::connect(target).await;
    let route = testbed.route();
    let limit = testbed.backend.limits().message_bytes;
    let large =
        format!(r#"{{"jsonrpc":"2.0","id":"x","method":"m","params":{{"p":"{}"}}}}"#, "x".repeat(limit));
    match in_time("a send", testbed.backend.send(outbound(&route, &large))).await {
        Ok(_) => panic!("a message over the limit is refused"),
        Err(error) => {
            assert_eq!((error.kind(), error.delivery()), (ErrorKind::TooLarge, Delivery::NotSent));
            let sentence = error.to_string();
            assert!(sentence.contains(&limit.to_string()), "the error names the limit: {sentence}");
        }
    }
    send(&*testbed.backend, outbound(&route, &call(&route))).await;
    assert_eq!(testbed.receive().await.body, call(&route), "only what came after it was sent");
}

/// Dropping a send may or may not have sent the message; later ones are as good as ever.
pub async fn a_dropped_send_harms_no_other(target: &dyn ContractTarget) {
    let mut testbed = Testbed::connect(target).await;
    let (dropped, kept) = (testbed.route(), testbed.route());
    {
        let mut sending = testbed.backend.send(outbound(&dropped, &call(&dropped)));
        poll_fn(|context| {
            drop(sending.as_mut().poll(context));
            Poll::Ready(())
        })
        .await;
    }
    send(&*testbed.backend, outbound(&kept, &call(&kept))).await;
    let first = testbed.receive().await.body;
    if first != call(&kept) {
        assert_eq!(first, call(&dropped));
        assert_eq!(testbed.receive().await.body, call(&kept));
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}
