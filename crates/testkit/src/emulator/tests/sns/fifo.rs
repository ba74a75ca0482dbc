//! FIFO topics.

use aws_sdk_sqs::types::MessageSystemAttributeName;

use super::*;

/// An emulator with a FIFO topic, and a FIFO and a standard queue that get its messages raw.
async fn with_fifo(attributes: &[(&str, &str)]) -> (Emulator, String, String, String) {
    let emulator = Emulator::start().await.unwrap();
    let attributes: Vec<_> = [("FifoTopic", "true")].iter().chain(attributes).copied().collect();
    let topic = emulator.create_topic("t.fifo", &attributes).unwrap();
    let fifo = emulator.create_queue("q.fifo", &[("FifoQueue", "true")]).unwrap();
    let standard = emulator.create_queue("q", &[]).unwrap();
    for url in [&fifo, &standard] {
        emulator.let_send(&[&topic], url).unwrap();
        emulator.subscribe(&topic, url, true, None).unwrap();
    }
    (emulator, topic, fifo, standard)
}

/// AWS, "Message delivery for FIFO topics": to FIFO queues and to standard ones.
#[tokio::test]
async fn messages_come_in_order_with_their_group() {
    let (emulator, topic, fifo, standard) = with_fifo(&[]).await;
    let client = emulator.sns_client();
    let mut numbers = Vec::new();
    for (id, group) in [("1", "a"), ("2", "b"), ("3", "a")] {
        let publish = client.publish().topic_arn(&topic).message(id).message_group_id(group);
        let sent = publish.message_deduplication_id(id).send().await.unwrap();
        numbers.push(sent.sequence_number.unwrap());
    }
    assert!(numbers.is_sorted() && numbers.iter().all(|number| number.len() == 20), "{numbers:?}");
    let messages = receive(&emulator.client(), &fifo).await;
    assert_eq!(bodies(&messages), ["1", "2", "3"]);
    let system = messages[1].attributes().unwrap();
    assert_eq!(system[&MessageSystemAttributeName::MessageGroupId], "b");
    assert_eq!(system[&MessageSystemAttributeName::MessageDeduplicationId], "2");
    assert_eq!(bodies(&receive(&emulator.client(), &standard).await), ["1", "2", "3"]);
}

/// AWS, "Message deduplication for FIFO topics": a repetition within five minutes is taken and not delivered.
#[tokio::test]
async fn a_repetition_is_taken_and_not_delivered() {
    let (emulator, topic, ..) = with_fifo(&[("ContentBasedDeduplication", "true")]).await;
    let client = emulator.sns_client();
    let publish = |group| client.publish().topic_arn(&topic).message("m").message_group_id(group).send();
    let first = publish("a").await.unwrap();
    let second = publish("b").await.unwrap();
    assert_eq!(first.message_id(), second.message_id());
    assert_eq!(emulator.depth("q").unwrap().visible, 1);
    let set = client.set_topic_attributes().topic_arn(&topic).attribute_name("FifoThroughputScope");
    set.attribute_value("MessageGroup").send().await.unwrap();
    for group in ["c", "d", "d"] {
        publish(group).await.unwrap();
    }
    assert_eq!(emulator.depth("q").unwrap().visible, 3);
}

#[tokio::test]
async fn a_fifo_topic_wants_a_group_and_an_id() {
    let (emulator, topic, ..) = with_fifo(&[]).await;
    let publish = || emulator.sns_client().publish().topic_arn(&topic).message("m");
    for publish in [publish(), publish().message_group_id("a"), publish().message_deduplication_id("a")] {
        let error = publish.send().await.unwrap_err().into_service_error();
        assert!(error.is_invalid_parameter_exception(), "{error:?}");
    }
}

/// AWS's example of a FIFO topic's envelope has a sequence number.
#[tokio::test]
async fn an_envelope_has_the_sequence_number() {
    let (emulator, topic, ..) = with_fifo(&[]).await;
    let url = emulator.create_queue("enveloped", &[]).unwrap();
    emulator.let_send(&[&topic], &url).unwrap();
    emulator.subscribe(&topic, &url, false, None).unwrap();
    let publish = emulator.sns_client().publish().topic_arn(&topic).message("m").message_group_id("a");
    let sent = publish.message_deduplication_id("1").send().await.unwrap();
    let message = receive(&emulator.client(), &url).await.remove(0);
    let envelope: serde_json::Value = serde_json::from_str(message.body().unwrap()).unwrap();
    assert_eq!(envelope["SequenceNumber"].as_str(), sent.sequence_number());
}
