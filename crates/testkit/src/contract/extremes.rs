//! The rules for what no ordinary session brings: size, malice, and a transport that is down.

use std::time::Duration;

use proxy_core::error::Delivery;
use tokio::time::Instant;

use super::{
    target::{ContractTarget, Returned},
    testbed::{Testbed, answer, in_time, outbound},
};

/// What the transport may count beside the message: attributes or headers.
const BESIDE: usize = 8 * 1024;

/// The largest message that a session is to carry where the transport does: 3 MB.
const LARGEST: usize = 3_000_000;

/// How long a send may go on, and how long it may take to notice that.
const DEADLINE: Duration = Duration::from_secs(2);
const PROMPT: Duration = Duration::from_secs(10);

/// A message nearly as large as the transport takes arrives byte for byte, on the way out and on the way back.
pub async fn a_large_message_arrives_whole_both_ways(target: &dyn ContractTarget) {
    let mut testbed = Testbed::start(target).await;
    let limit = testbed.backend.limits().message_bytes.min(target.largest_message()).min(LARGEST);
    let filler = "x".repeat(limit.saturating_sub(BESIDE));
    let route = testbed.route();
    let id = format!("{}:0", route.as_str());
    let request =
        format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"tools/call","params":{{"name":"{filler}"}}}}"#);
    let sent = in_time("a send", testbed.backend.send(outbound(&route, &request))).await;
    assert!(sent.is_ok(), "{} bytes are sent: {:?}", request.len(), sent.err());
    assert!(testbed.receive().await.body == request, "every byte of it");
    let answer = format!(r#"{{"jsonrpc":"2.0","id":"{id}","result":{{"text":"{filler}"}}}}"#);
    testbed.put_for(&route, &answer).await;
    let delivered = testbed.inbox.wait_for(1).await;
    assert!(delivered[0].text == answer, "every byte of it");
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// Whatever is put on the return path, under whatever name, `run` goes on and the next message comes.
pub async fn hostile_input_never_stops_run(target: &dyn ContractTarget) {
    let mut testbed = Testbed::start(target).await;
    let ours = testbed.route();
    let bodies = [
        "[".repeat(100_000),
        format!(r#"{{"jsonrpc":"2.0","id":"a","result":{}1{}}}"#, "[".repeat(5_000), "]".repeat(5_000)),
        r#"{"jsonrpc":"2.0","id":1e999,"result":{}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":"\ud800","result":{}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":"a","id":"b","result":{}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":"a","result":{},"error":{"code":1,"message":"m"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","method":7}"#.to_owned(),
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":[]}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":"server-error","error":{"code":-32600,"message":"m"}}"#.to_owned(),
        r#"{"Type":"Notification","Message":"{}","MessageAttributes":{"SessionId":7}}"#.to_owned(),
        r#"{"Type":"SubscriptionConfirmation","SubscribeURL":"http://127.0.0.1:1/"}"#.to_owned(),
    ];
    let names = [
        "x".repeat(1_000),
        format!("{}:0", ours.as_str()),
        format!("{}.{}", ours.as_str(), ours.as_str()),
        "..%2F..%2Flivez".to_owned(),
        "{}".to_owned(),
    ];
    for body in &bodies {
        testbed.put_for(&ours, body).await;
    }
    for name in names {
        let body = answer(&ours, 0);
        testbed.far_side.put(Returned { route: Some(name), body, ..Returned::default() }).await;
    }
    let last = answer(&ours, 1);
    testbed.put_for(&ours, &last).await;
    let mut count = 1;
    while testbed.inbox.wait_for(count).await.iter().all(|delivered| delivered.text != last) {
        count += 1;
    }
    assert!(testbed.is_running(), "run ended by itself");
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// While the transport is down a send is tried until its deadline and no longer, and says that nothing was sent.
pub async fn a_send_that_cannot_be_made_ends_at_its_deadline(target: &dyn ContractTarget) {
    let mut testbed = Testbed::connect(target).await;
    if !testbed.far_side.go_down().await {
        return;
    }
    let route = testbed.route();
    let started = Instant::now();
    let mut outbound = outbound(&route, &answer(&route, 0));
    outbound.context.deadline = started + DEADLINE;
    match in_time("a send", testbed.backend.send(outbound)).await {
        Ok(_) => panic!("nothing can be sent while the transport is down"),
        Err(error) => {
            assert_eq!(error.delivery(), Delivery::NotSent, "{error:?}");
            assert!(started.elapsed() < DEADLINE + PROMPT, "after {:?}", started.elapsed());
        }
    }
}
