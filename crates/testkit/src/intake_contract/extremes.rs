//! The rules for what no ordinary client sends: size and malice.

use super::{
    target::{Envelope, IntakeTarget, Place},
    testbed::{Testbed, call, context, envelope, progress},
};

/// What the transport may count beside the message: attributes or headers.
const BESIDE: usize = 8 * 1024;

/// The largest message that is to be carried where the transport does: 3 MB.
const LARGEST: usize = 3_000_000;

/// A message nearly as large as the transport takes comes byte for byte, in and out.
pub async fn large_messages_come_whole_both_ways(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let limit = testbed.intake.limits().message_bytes.min(target.largest_message()).min(LARGEST);
    let filler = "x".repeat(limit.saturating_sub(BESIDE));
    let begun = testbed.begin(Place::First).await;
    let request =
        format!(r#"{{"jsonrpc":"2.0","id":"large","method":"tools/call","params":{{"name":"{filler}"}}}}"#);
    testbed.put(begun.session.as_str(), &request).await;
    let arrival = testbed.desk.wait_for(2).await.remove(1);
    assert!(testbed.desk.texts()[1] == request, "every byte of it");
    let answer = format!(r#"{{"jsonrpc":"2.0","id":"large","result":{{"text":"{filler}"}}}}"#);
    testbed.reply(begun.reply_to(&arrival, &answer)).await;
    assert!(testbed.receive().await.body == answer, "every byte of it");
    assert_eq!(testbed.left_after_stop().await, 0);
}

/// Whatever is sent, under whatever name, `run` goes on and the next message arrives.
pub async fn hostile_arrivals_never_stop_it(target: &dyn IntakeTarget) {
    let mut testbed = Testbed::start(target).await;
    let session = testbed.session();
    let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let bodies = [
        "[".repeat(100_000),
        format!(r#"{{"jsonrpc":"2.0","id":"a","method":"m","params":{}}}"#, deep(5_000)),
        r#"{"jsonrpc":"2.0","id":1e999,"method":"m"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":"\ud800","method":"m"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":"a","id":"b","method":"m"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":"a","result":{},"error":{"code":1,"message":"m"}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","method":7}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":"a","method":"initialize"}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":"a","method":"initialize","params":[]}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":"a","method":"initialize","params":{"_meta":7}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","id":"a","method":"initialize","params":{"_meta":{"webhookUrl":{},"responseQueueUrl":[],"clientTopicArn":0},"response_queue_url":{},"client_topic_arn":[]}}"#.to_owned(),
        format!(r#"{{"jsonrpc":"2.0","id":"a","method":"initialize","params":{{"_meta":{}}}}}"#, deep(5_000)),
        r#"{"Type":"Notification","Message":"{}","MessageAttributes":{"SessionId":7}}"#.to_owned(),
        r#"{"Type":"SubscriptionConfirmation","SubscribeURL":"http://127.0.0.1:1/"}"#.to_owned(),
        r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"b","s3Key":"k"}]"#.to_owned(),
    ];
    for body in &bodies {
        testbed.put(&session, body).await;
        testbed.client_side.put(envelope(body)).await;
    }
    for name in ["x".repeat(1_000), "..%2F..%2Flivez".to_owned(), "{}".to_owned()] {
        testbed.put(&name, &progress(0)).await;
    }
    let address = testbed.client_side.address(Place::First).await;
    let contexts = [
        "{".repeat(1_000),
        format!(r#"{{"v":1,"owner":"{}"}}"#, "x".repeat(1_000)),
        r#"{"v":1,"deadline":18446744073709551615,"seq":0}"#.to_owned(),
        context(address).to_json().replace("\"v\":1", "\"v\":1,\"related\":7"),
    ];
    for context in contexts {
        let envelope =
            Envelope { session: Some(session.clone()), context: Some(context), ..envelope(&call(0)) };
        testbed.client_side.put(envelope).await;
    }
    let last = progress(99);
    testbed.put(&session, &last).await;
    let mut count = 1;
    while !testbed.desk.texts().contains(&last) {
        testbed.desk.wait_for(count).await;
        count += 1;
    }
    assert!(testbed.is_running(), "run ended by itself");
    assert_eq!(testbed.left_after_stop().await, 0);
}
