//! Queues: creation, attributes, tags, lists, deletion.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;

use super::*;
use crate::emulator::account::Account;
use crate::emulator::sqs::request::Request;

#[tokio::test]
async fn a_queue_is_created_with_attributes_and_tags() {
    let emulator = Emulator::start().await.unwrap();
    let client = emulator.client();
    let create = client.create_queue().queue_name("q").attributes(QueueAttributeName::VisibilityTimeout, "5");
    let url = create.tags("owner", "me").send().await.unwrap().queue_url.unwrap();
    assert_eq!(url, emulator.queue_url("q"));
    let tags = client.list_queue_tags().queue_url(&url).send().await.unwrap().tags.unwrap();
    assert_eq!(tags, HashMap::from([("owner".to_owned(), "me".to_owned())]));
    client.tag_queue().queue_url(&url).tags("more", "x").send().await.unwrap();
    client.untag_queue().queue_url(&url).tag_keys("owner").send().await.unwrap();
    let tags = client.list_queue_tags().queue_url(&url).send().await.unwrap().tags.unwrap();
    assert_eq!(tags, HashMap::from([("more".to_owned(), "x".to_owned())]));

    let get = client.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All);
    let attributes = get.send().await.unwrap().attributes.unwrap();
    assert_eq!(attributes[&QueueAttributeName::VisibilityTimeout], "5");
    assert_eq!(attributes[&QueueAttributeName::MaximumMessageSize], "1048576");
    assert_eq!(attributes[&QueueAttributeName::QueueArn], "arn:aws:sqs:us-east-1:000000000000:q");

    let create = |timeout| {
        client.create_queue().queue_name("q").attributes(QueueAttributeName::VisibilityTimeout, timeout)
    };
    assert_eq!(create("5").send().await.unwrap().queue_url(), Some(url.as_str()));
    assert!(create("6").send().await.unwrap_err().into_service_error().is_queue_name_exists());
    let set =
        client.set_queue_attributes().queue_url(&url).attributes(QueueAttributeName::VisibilityTimeout, "6");
    set.send().await.unwrap();
    create("6").send().await.unwrap();
    create("6").tags("more", "x").send().await.unwrap();
    let refused = create("6").tags("more", "y").send().await.unwrap_err();
    assert!(refused.into_service_error().is_queue_name_exists());
}

#[tokio::test]
async fn queues_are_found_by_name_and_prefix() {
    let (emulator, client, _) = with_queue("a-1", &[]).await;
    emulator.create_queue("a-2", &[]).unwrap();
    emulator.create_queue("b", &[]).unwrap();
    let found = client.get_queue_url().queue_name("a-2").send().await.unwrap();
    assert_eq!(found.queue_url(), Some(emulator.queue_url("a-2").as_str()));
    let list = client.list_queues().queue_name_prefix("a-").max_results(1).send().await.unwrap();
    assert_eq!(list.queue_urls(), [emulator.queue_url("a-1")]);
    let list =
        client.list_queues().queue_name_prefix("a-").max_results(1).next_token(list.next_token().unwrap());
    assert_eq!(list.send().await.unwrap().queue_urls(), [emulator.queue_url("a-2")]);
}

#[tokio::test]
async fn a_purged_queue_is_empty() {
    let (_emulator, client, url) = with_queue("q", &[]).await;
    client.send_message().queue_url(&url).message_body("b").send().await.unwrap();
    client.purge_queue().queue_url(&url).send().await.unwrap();
    assert!(receive(&client, &url).await.is_empty());
    assert!(
        client
            .purge_queue()
            .queue_url(&url)
            .send()
            .await
            .unwrap_err()
            .into_service_error()
            .is_purge_queue_in_progress()
    );
}

/// AWS, `SetQueueAttributes`: policies are JSON, a FIFO queue stays one, encryption is by one kind of key.
#[tokio::test]
async fn attributes_of_provisioning_are_kept_and_checked() {
    let (_emulator, client, url) = with_queue("q", &[]).await;
    let set =
        |name, value: &str| client.set_queue_attributes().queue_url(&url).attributes(name, value).send();
    let get = async || {
        let get = client.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All);
        get.send().await.unwrap().attributes.unwrap()
    };
    assert_eq!(get().await[&QueueAttributeName::SqsManagedSseEnabled], "true");
    let policy = r#"{"Version":"2012-10-17","Statement":[]}"#;
    set(QueueAttributeName::Policy, policy).await.unwrap();
    set(QueueAttributeName::KmsMasterKeyId, "alias/own").await.unwrap();
    let attributes = get().await;
    assert_eq!(attributes[&QueueAttributeName::Policy], policy);
    assert_eq!(attributes[&QueueAttributeName::KmsMasterKeyId], "alias/own");
    assert_eq!(attributes[&QueueAttributeName::SqsManagedSseEnabled], "false");
    for (name, value) in [
        (QueueAttributeName::Policy, "{"),
        (QueueAttributeName::Policy, "[]"),
        (QueueAttributeName::RedriveAllowPolicy, "x"),
        (QueueAttributeName::RedrivePolicy, r#"{"maxReceiveCount":1}"#),
        (QueueAttributeName::RedrivePolicy, r#"{"deadLetterTargetArn":"a:q","maxReceiveCount":0}"#),
        (QueueAttributeName::SqsManagedSseEnabled, "yes"),
    ] {
        let error = set(name.clone(), value).await.unwrap_err().into_service_error();
        assert!(error.is_invalid_attribute_value(), "{name} {value} {error:?}");
    }
    for name in [QueueAttributeName::FifoQueue, QueueAttributeName::ContentBasedDeduplication] {
        let error = set(name, "true").await.unwrap_err().into_service_error();
        assert!(error.is_invalid_attribute_name(), "{error:?}");
    }
    set(QueueAttributeName::Policy, "").await.unwrap();
    assert!(!get().await.contains_key(&QueueAttributeName::Policy));
}

/// AWS, `ListDeadLetterSourceQueues`, and "Using dead-letter queues": the target exists and is of its source's kind.
#[tokio::test]
async fn a_dead_letter_queue_knows_its_sources() {
    let (emulator, client, dead) = with_queue("dead", &[]).await;
    let redrive = |queue: &str| {
        format!(
            r#"{{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:{queue}","maxReceiveCount":3}}"#
        )
    };
    for name in ["a", "b", "c"] {
        emulator.create_queue(name, &[("RedrivePolicy", &redrive("dead"))]).unwrap();
    }
    let list = || client.list_dead_letter_source_queues().queue_url(&dead).max_results(2);
    let first = list().send().await.unwrap();
    assert_eq!(first.queue_urls(), [emulator.queue_url("a"), emulator.queue_url("b")]);
    let second = list().next_token(first.next_token().unwrap()).send().await.unwrap();
    assert_eq!(second.queue_urls(), [emulator.queue_url("c")]);
    let missing = client.list_dead_letter_source_queues().queue_url(emulator.queue_url("x")).send().await;
    assert!(missing.unwrap_err().into_service_error().is_queue_does_not_exist());
    for (name, attributes) in [
        ("d", vec![("RedrivePolicy", redrive("missing"))]),
        ("d.fifo", vec![("RedrivePolicy", redrive("dead")), ("FifoQueue", "true".to_owned())]),
    ] {
        let attributes: Vec<_> = attributes.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(emulator.create_queue(name, &attributes).unwrap_err().code, "InvalidParameterValue");
    }
}

const CREATE: (&str, &str) = ("CreateQueue", r#"{"QueueName":"q","tags":{"a":"b"}}"#);
const TAG: (&str, &str) = ("TagQueue", r#"{"QueueUrl":"http://h/0/q","Tags":{"a":"b"}}"#);

#[tokio::test(start_paused = true)]
async fn a_deleted_name_and_tagging_too_fast_are_refused_for_a_while() {
    let account = Account::new("http://h".into(), 0);
    let perform = |action: &'static str, json: &'static str| {
        let account = &account;
        async move { account.perform_sqs(action, &Request::parse(json.as_bytes()).unwrap()).await }
    };
    perform(CREATE.0, CREATE.1).await.unwrap();
    for _ in 0..5 {
        perform(TAG.0, TAG.1).await.unwrap();
    }
    assert_eq!(perform(TAG.0, TAG.1).await.unwrap_err().code, "RequestThrottled");
    tokio::time::advance(Duration::from_secs(1)).await;
    perform(TAG.0, TAG.1).await.unwrap();
    perform("DeleteQueue", r#"{"QueueUrl":"http://h/0/q"}"#).await.unwrap();
    let refused = perform(CREATE.0, CREATE.1).await.unwrap_err();
    assert_eq!(refused.code, "AWS.SimpleQueueService.QueueDeletedRecently");
    tokio::time::advance(Duration::from_mins(1)).await;
    perform(CREATE.0, CREATE.1).await.unwrap();
}
