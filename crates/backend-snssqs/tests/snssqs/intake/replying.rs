//! Where replies go, and how much of one.

use aws_sdk_sqs::types::MessageSystemAttributeName;
use proxy_core::{
    ReplyAddress,
    error::{Delivery, ErrorKind},
    intake::{Intake, ReplyTo},
};
use testkit::emulator::Failure;

use super::harness::{WORKER, Worker, config, listen, reply};
use crate::harness::{RESPONSES, Topics, answer};

/// A result with this much in it.
fn large(bytes: usize) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":"1","result":{{"text":"{}"}}}}"#, "x".repeat(bytes))
}

#[tokio::test]
async fn a_reply_may_be_asked_to_a_queue_and_the_requests_own_address_counts() {
    let topics = Topics::start().await;
    let mut worker = Worker::start(&topics.emulator, config(&topics), true).await;
    let queue = topics.emulator.create_queue("replies", &[]).unwrap();
    let mut asked = reply(ReplyAddress::Sns(topics.responses.as_str().into()), Some("s"), &answer(1));
    asked.request = Some(ReplyTo::Address(ReplyAddress::Sqs(queue.as_str().into())));
    worker.intake.reply(asked).await.unwrap();
    assert_eq!(topics.take_from("replies", 1).await[0].body(), Some(&*answer(1)));
    for nowhere in [ReplyTo::Address(ReplyAddress::Url("http://127.0.0.1:1/".into())), ReplyTo::Response(7)] {
        let mut asked = reply(ReplyAddress::Sqs(queue.as_str().into()), Some("s"), &answer(1));
        asked.request = Some(nowhere);
        let error = worker.intake.reply(asked).await.unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Config, Delivery::NotSent));
    }
    worker.stop().await;
}

#[tokio::test]
async fn in_a_fifo_topic_a_sessions_replies_are_a_group() {
    let topics = Topics::start().await;
    let fifo = topics.emulator.create_topic("answers.fifo", &[("FifoTopic", "true")]).unwrap();
    listen(&topics, &fifo, "answers.fifo", &[("FifoQueue", "true")]);
    let mut worker = Worker::start(&topics.emulator, config(&topics), true).await;
    for (session, number) in [("s1", 1), ("s2", 2), ("s1", 3)] {
        let to = ReplyAddress::Sns(fifo.as_str().into());
        worker.intake.reply(reply(to, Some(session), &answer(number))).await.unwrap();
    }
    let received = topics.take_from("answers.fifo", 3).await;
    for message in received {
        let group = &message.attributes().unwrap()[&MessageSystemAttributeName::MessageGroupId];
        let session = message.message_attributes().unwrap()["SessionId"].string_value().unwrap();
        assert_eq!(group, session);
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_topic_takes_what_it_says_and_256_kib_where_it_may_not_be_asked() {
    let topics = Topics::start().await;
    let roomy = topics.emulator.create_topic("roomy", &[("MaximumMessageSize", "1048576")]).unwrap();
    listen(&topics, &roomy, RESPONSES, &[]);
    let to = || ReplyAddress::Sns(roomy.as_str().into());
    let mut worker = Worker::start(&topics.emulator, config(&topics), true).await;
    let text = large(500_000);
    worker.intake.reply(reply(to(), Some("s"), &text)).await.unwrap();
    assert!(topics.take_from(RESPONSES, 1).await[0].body() == Some(&*text));
    worker.stop().await;

    topics.emulator.deny_to(WORKER, "sns:GetTopicAttributes");
    let mut worker = Worker::start(&topics.emulator, config(&topics), true).await;
    let error = worker.intake.reply(reply(to(), Some("s"), &text)).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::TooLarge, Delivery::NotSent));
    assert!(error.to_string().contains("262144"), "{error}");
    worker.intake.reply(reply(to(), Some("s"), &answer(1))).await.unwrap();
    assert_eq!(topics.take_from(RESPONSES, 1).await[0].body(), Some(&*answer(1)));
    worker.stop().await;
}

#[tokio::test]
async fn what_fails_for_a_moment_is_tried_again_and_a_topic_is_asked_once() {
    let topics = Topics::start().await;
    let responses = topics.responses.clone();
    listen(&topics, &responses, RESPONSES, &[]);
    let mut worker = Worker::start(&topics.emulator, config(&topics), true).await;
    topics.emulator.fail_next_of(WORKER, "GetTopicAttributes", Failure::Throttled, 1);
    topics.emulator.fail_next_of(WORKER, "PublishBatch", Failure::Throttled, 1);
    for number in 1..=2 {
        let to = ReplyAddress::Sns(responses.as_str().into());
        worker.intake.reply(reply(to, Some("s"), &answer(number))).await.unwrap();
        assert_eq!(topics.take_from(RESPONSES, 1).await[0].body(), Some(&*answer(number)));
    }
    assert_eq!(topics.emulator.calls().of(WORKER, "GetTopicAttributes"), 2);
    worker.stop().await;
}

#[tokio::test]
async fn a_topic_that_is_made_anew_is_found_again() {
    let topics = Topics::start().await;
    let arn = topics.emulator.create_topic("answers", &[]).unwrap();
    let to = || ReplyAddress::Sns(arn.as_str().into());
    let mut worker = Worker::start(&topics.emulator, config(&topics), true).await;
    worker.intake.reply(reply(to(), Some("s"), &answer(1))).await.unwrap();
    topics.emulator.sns_client().delete_topic().topic_arn(&arn).send().await.unwrap();
    let error = worker.intake.reply(reply(to(), Some("s"), &answer(1))).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Config, Delivery::NotSent));
    topics.emulator.create_topic("answers", &[]).unwrap();
    worker.intake.reply(reply(to(), Some("s"), &answer(1))).await.unwrap();
    worker.stop().await;
}
