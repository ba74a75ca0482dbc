//! Topics: creation, attributes, tags, lists, deletion.

use super::*;

/// AWS, `CreateTopic`: idempotent; the same name with other attributes or tags is an invalid parameter.
#[tokio::test]
async fn a_topic_is_created_once() {
    let emulator = Emulator::start().await.unwrap();
    let client = emulator.sns_client();
    let create = |size: &str, owner: &str| {
        let tag = aws_sdk_sns::types::Tag::builder().key("owner").value(owner).build().unwrap();
        client.create_topic().name("t").attributes("MaximumMessageSize", size).tags(tag).send()
    };
    let arn = create("1048576", "me").await.unwrap().topic_arn.unwrap();
    assert_eq!(arn, "arn:aws:sns:us-east-1:000000000000:t");
    assert_eq!(create("1048576", "me").await.unwrap().topic_arn(), Some(arn.as_str()));
    assert_eq!(client.create_topic().name("t").send().await.unwrap().topic_arn(), Some(arn.as_str()));
    for (size, owner) in [("1024", "me"), ("1048576", "you")] {
        let error = create(size, owner).await.unwrap_err().into_service_error();
        assert!(error.is_invalid_parameter_exception(), "{error:?}");
    }
    let tags = client.list_tags_for_resource().resource_arn(&arn).send().await.unwrap().tags.unwrap();
    assert_eq!((tags[0].key(), tags[0].value()), ("owner", "me"));
    client.untag_resource().resource_arn(&arn).tag_keys("owner").send().await.unwrap();
    let more = aws_sdk_sns::types::Tag::builder().key("more").value("x").build().unwrap();
    client.tag_resource().resource_arn(&arn).tags(more).send().await.unwrap();
    let tags = client.list_tags_for_resource().resource_arn(&arn).send().await.unwrap().tags.unwrap();
    assert_eq!((tags.len(), tags[0].key()), (1, "more"));
    let missing = client.list_tags_for_resource().resource_arn(format!("{arn}x")).send().await;
    assert!(missing.unwrap_err().into_service_error().is_resource_not_found_exception());
}

/// AWS, `CreateTopic`, names: 1 to 256 letters, digits, hyphens and underscores; those of FIFO topics end in `.fifo`.
#[tokio::test]
async fn names_and_attributes_keep_their_rules() {
    let emulator = Emulator::start().await.unwrap();
    let client = emulator.sns_client();
    for (name, attributes) in [
        ("", vec![]),
        ("a b", vec![]),
        ("a.fifo", vec![]),
        ("a", vec![("FifoTopic", "true")]),
        (&"x".repeat(257), vec![]),
        ("a", vec![("Colour", "red")]),
        ("a", vec![("MaximumMessageSize", "1023")]),
        ("a", vec![("MaximumMessageSize", "1048577")]),
        ("a", vec![("Policy", "{")]),
    ] {
        let mut create = client.create_topic().name(name);
        for (attribute, value) in attributes.clone() {
            create = create.attributes(attribute, value);
        }
        let error = create.send().await.unwrap_err().into_service_error();
        assert!(error.is_invalid_parameter_exception(), "{name} {attributes:?} {error:?}");
    }
    let arn = emulator.create_topic("a.fifo", &[("FifoTopic", "true")]).unwrap();
    let attributes = client.get_topic_attributes().topic_arn(arn).send().await.unwrap().attributes.unwrap();
    assert_eq!(attributes["FifoTopic"], "true");
    assert_eq!(attributes["ContentBasedDeduplication"], "false");
}

/// AWS, `GetTopicAttributes`: `MaximumMessageSize` comes only if it was set.
#[tokio::test]
async fn attributes_are_read_and_set() {
    let (emulator, topic, url) = with_topic(&[]).await;
    emulator.subscribe(&topic, &url, true, None).unwrap();
    let client = emulator.sns_client();
    let get =
        async || client.get_topic_attributes().topic_arn(&topic).send().await.unwrap().attributes.unwrap();
    let attributes = get().await;
    assert_eq!(attributes["TopicArn"], topic);
    assert_eq!(attributes["Owner"], "000000000000");
    assert_eq!(attributes["SubscriptionsConfirmed"], "1");
    assert!(attributes["Policy"].contains("__default_policy_ID"));
    assert!(!attributes.contains_key("MaximumMessageSize") && !attributes.contains_key("FifoTopic"));
    let set = |name: &str, value: &str| {
        let set = client.set_topic_attributes().topic_arn(&topic);
        set.attribute_name(name).attribute_value(value).send()
    };
    set("MaximumMessageSize", "2048").await.unwrap();
    assert_eq!(get().await["MaximumMessageSize"], "2048");
    for (name, value) in [("FifoTopic", "true"), ("Colour", "red"), ("MaximumMessageSize", "x")] {
        assert!(set(name, value).await.unwrap_err().into_service_error().is_invalid_parameter_exception());
    }
    let missing = client.get_topic_attributes().topic_arn(format!("{topic}x")).send().await;
    assert!(missing.unwrap_err().into_service_error().is_not_found_exception());
}

/// AWS, `ListTopics`: 100 a page. `DeleteTopic`: idempotent, and its subscriptions go with it.
#[tokio::test]
async fn topics_are_listed_in_pages_and_deleted() {
    let (emulator, topic, url) = with_topic(&[]).await;
    let client = emulator.sns_client();
    for number in 0..100 {
        emulator.create_topic(&format!("n{number:03}"), &[]).unwrap();
    }
    let first = client.list_topics().send().await.unwrap();
    assert_eq!(first.topics().len(), 100);
    let second = client.list_topics().next_token(first.next_token().unwrap()).send().await.unwrap();
    assert_eq!((second.topics()[0].topic_arn(), second.next_token()), (Some(topic.as_str()), None));
    emulator.subscribe(&topic, &url, true, None).unwrap();
    for _ in 0..2 {
        client.delete_topic().topic_arn(&topic).send().await.unwrap();
    }
    assert!(client.list_subscriptions().send().await.unwrap().subscriptions().is_empty());
    let publish = client.publish().topic_arn(&topic).message("m").send().await;
    assert!(publish.unwrap_err().into_service_error().is_not_found_exception());
}
