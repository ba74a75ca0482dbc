//! Subscriptions: creation, attributes, filters, lists, end.

use super::*;

const QUEUE: &str = "arn:aws:sqs:us-east-1:000000000000:q";

/// AWS, `Subscribe` and `GetSubscriptionAttributes`.
#[tokio::test]
async fn a_queue_is_subscribed_once() {
    let (emulator, topic, _) = with_topic(&[]).await;
    let client = emulator.sns_client();
    let subscribe = |raw: &str| {
        let subscribe = client.subscribe().topic_arn(&topic).protocol("sqs").endpoint(QUEUE);
        subscribe.attributes("RawMessageDelivery", raw).return_subscription_arn(true).send()
    };
    let arn = subscribe("true").await.unwrap().subscription_arn.unwrap();
    assert!(arn.starts_with(&format!("{topic}:")), "{arn}");
    assert_eq!(subscribe("true").await.unwrap().subscription_arn(), Some(arn.as_str()));
    assert!(subscribe("false").await.unwrap_err().into_service_error().is_invalid_parameter_exception());
    let get = client.get_subscription_attributes().subscription_arn(&arn).send().await;
    let attributes = get.unwrap().attributes.unwrap();
    for (name, value) in [
        ("SubscriptionArn", arn.as_str()),
        ("TopicArn", &topic),
        ("Protocol", "sqs"),
        ("Endpoint", QUEUE),
        ("RawMessageDelivery", "true"),
        ("PendingConfirmation", "false"),
    ] {
        assert_eq!(attributes[name], value);
    }
    for _ in 0..2 {
        client.unsubscribe().subscription_arn(&arn).send().await.unwrap();
    }
    let get = client.get_subscription_attributes().subscription_arn(&arn).send().await;
    assert!(get.unwrap_err().into_service_error().is_not_found_exception());
    let unsubscribe = client.unsubscribe().subscription_arn("x").send().await;
    assert!(unsubscribe.unwrap_err().into_service_error().is_invalid_parameter_exception());
}

/// AWS, "Sending Amazon SNS messages to an Amazon SQS queue in a different account", and `ReturnSubscriptionArn` of `Subscribe`.
#[tokio::test]
async fn a_queue_of_another_account_waits_for_its_owner() {
    let (emulator, topic, _) = with_topic(&[]).await;
    let client = emulator.sns_client();
    let other = QUEUE.replace("000000000000", "123456789012");
    let subscribe = || client.subscribe().topic_arn(&topic).protocol("sqs").endpoint(&other);
    let arn = subscribe().return_subscription_arn(true).send().await.unwrap().subscription_arn.unwrap();
    assert!(arn.starts_with(&format!("{topic}:")), "{arn}");
    let list = client.list_subscriptions_by_topic().topic_arn(&topic).send().await.unwrap();
    assert_eq!(list.subscriptions()[0].subscription_arn(), Some("PendingConfirmation"));
    let get = client.get_subscription_attributes().subscription_arn(&arn).send().await.unwrap();
    assert_eq!(get.attributes().unwrap()["PendingConfirmation"], "true");
    client.publish().topic_arn(&topic).message("m").send().await.unwrap();
    assert_eq!(emulator.depth("q").unwrap().visible, 0);
}

#[tokio::test]
async fn what_cannot_be_subscribed_is_refused() {
    let (emulator, topic, _) = with_topic(&[]).await;
    let client = emulator.sns_client();
    for (protocol, endpoint) in
        [("http", "http://h/"), ("sqs", "http://h/0/q"), ("sqs", &format!("{QUEUE}.fifo"))]
    {
        let subscribe = client.subscribe().topic_arn(&topic).protocol(protocol).endpoint(endpoint);
        let error = subscribe.send().await.unwrap_err().into_service_error();
        assert!(error.is_invalid_parameter_exception(), "{protocol} {endpoint}");
    }
    let missing = client.subscribe().topic_arn(format!("{topic}x")).protocol("sqs").endpoint(QUEUE);
    assert!(missing.send().await.unwrap_err().into_service_error().is_not_found_exception());
}

/// AWS, `SetSubscriptionAttributes`.
#[tokio::test]
async fn a_filter_is_set_and_removed() {
    let (emulator, topic, url) = with_topic(&[]).await;
    let arn = emulator.subscribe(&topic, &url, true, None).unwrap();
    let client = emulator.sns_client();
    let set = |name: &str, value: &str| {
        let set = client.set_subscription_attributes().subscription_arn(&arn);
        set.attribute_name(name).attribute_value(value).send()
    };
    let depth_after = async |session: &str| {
        let publish = client.publish().topic_arn(&topic).message("m");
        publish.message_attributes("SessionId", attribute("String", session)).send().await.unwrap();
        emulator.depth("q").unwrap().visible
    };
    set("FilterPolicy", r#"{"SessionId":[{"prefix":"ours."}]}"#).await.unwrap();
    let get = client.get_subscription_attributes().subscription_arn(&arn).send().await.unwrap();
    assert_eq!(get.attributes().unwrap()["FilterPolicyScope"], "MessageAttributes");
    assert_eq!(depth_after("theirs.1").await, 0);
    assert_eq!(depth_after("ours.1").await, 1);
    set("FilterPolicy", "{}").await.unwrap();
    assert_eq!(depth_after("theirs.2").await, 2);
    for (name, value) in [("FilterPolicy", r#"{"a":"b"}"#), ("RawMessageDelivery", "yes"), ("Colour", "red")]
    {
        assert!(set(name, value).await.unwrap_err().into_service_error().is_invalid_parameter_exception());
    }
}

/// AWS, "Amazon SNS subscription filter policies": changes take up to 15 minutes to fully take effect.
#[tokio::test]
async fn a_filter_that_is_held_does_not_filter_yet() {
    let (emulator, topic, url) = with_topic(&[]).await;
    let client = emulator.sns_client();
    emulator.hold_filters();
    emulator.subscribe(&topic, &url, true, Some(r#"{"SessionId":["ours"]}"#)).unwrap();
    let publish = || client.publish().topic_arn(&topic).message("m").send();
    publish().await.unwrap();
    assert_eq!(emulator.depth("q").unwrap().visible, 1);
    emulator.release_filters();
    publish().await.unwrap();
    assert_eq!(emulator.depth("q").unwrap().visible, 1);
}

/// AWS, "Amazon SNS endpoints and quotas": 200 filter policies a topic. `ListSubscriptionsByTopic`: 100 a page.
#[tokio::test]
async fn a_topic_has_two_hundred_filters_and_lists_them_in_pages() {
    let (emulator, topic, _) = with_topic(&[]).await;
    let client = emulator.sns_client();
    let subscribe = |number: usize, filter| {
        emulator.subscribe(&topic, &emulator.queue_url(&format!("q{number}")), true, filter)
    };
    for number in 0..200 {
        subscribe(number, Some(r#"{"a":["b"]}"#)).unwrap();
    }
    let plain = subscribe(200, None).unwrap();
    assert_eq!(subscribe(201, Some(r#"{"a":["b"]}"#)).unwrap_err().code, "FilterPolicyLimitExceeded");
    let set = client.set_subscription_attributes().subscription_arn(&plain);
    let set = set.attribute_name("FilterPolicy").attribute_value(r#"{"a":["b"]}"#).send().await;
    assert!(set.unwrap_err().into_service_error().is_filter_policy_limit_exceeded_exception());

    let other = emulator.create_topic("other", &[]).unwrap();
    emulator.subscribe(&other, &emulator.queue_url("q"), true, None).unwrap();
    let (mut sizes, mut token) = (Vec::new(), None);
    loop {
        let list = client.list_subscriptions_by_topic().topic_arn(&topic).set_next_token(token).send();
        let list = list.await.unwrap();
        assert!(list.subscriptions().iter().all(|listed| listed.topic_arn() == Some(topic.as_str())));
        sizes.push(list.subscriptions().len());
        token = list.next_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [100, 100, 1]);
}

/// AWS, "Publishing large messages with Amazon SNS": 100 subscriptions at most where `MaximumMessageSize` is above 256 KiB.
#[tokio::test]
async fn a_topic_of_large_messages_has_a_hundred_subscriptions() {
    let (emulator, topic, _) = with_topic(&[("MaximumMessageSize", "262145")]).await;
    for number in 0..=100 {
        let subscribed = emulator.subscribe(&topic, &emulator.queue_url(&format!("q{number}")), true, None);
        assert_eq!(subscribed.is_ok(), number < 100, "{number}");
    }
}
