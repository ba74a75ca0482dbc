//! How many API calls a message costs.

#![expect(clippy::print_stdout, reason = "the figures are worth reading")]

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_sqs::{
    Client,
    types::{DeleteMessageBatchRequestEntry, MessageAttributeValue, SendMessageBatchRequestEntry},
};
use proxy_core::backend::{Backend, Event};
use tokio::task::JoinSet;

use crate::harness::{PROXY, REPLIES, REQUESTS, World, answer, call, outbound};

/// A far end that answers as fast and in as large batches as it can.
async fn answer_all(far: Client, requests: String, replies: String) {
    loop {
        let receive =
            far.receive_message().queue_url(&requests).max_number_of_messages(10).wait_time_seconds(20);
        let taken = receive.message_attribute_names("All").send().await.unwrap().messages.unwrap_or_default();
        if taken.is_empty() {
            continue;
        }
        let (mut answers, mut deletes) = (Vec::new(), Vec::new());
        for (index, message) in taken.iter().enumerate() {
            let attributes = message.message_attributes().unwrap();
            let session = MessageAttributeValue::builder().data_type("String");
            let session =
                session.string_value(attributes["SessionId"].string_value().unwrap()).build().unwrap();
            let id: usize = attributes["RequestId"].string_value().unwrap().parse().unwrap();
            let entry =
                SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(answer(id));
            answers.push(entry.message_attributes("SessionId", session).build().unwrap());
            let receipt = message.receipt_handle().unwrap();
            let entry =
                DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(receipt);
            deletes.push(entry.build().unwrap());
        }
        far.send_message_batch().queue_url(&replies).set_entries(Some(answers)).send().await.unwrap();
        far.delete_message_batch().queue_url(&requests).set_entries(Some(deletes)).send().await.unwrap();
    }
}

/// Makes so many calls with so many in flight, and counts the API calls that each of them cost the proxy.
async fn calls_per_call(in_flight: usize, total: usize) -> f64 {
    let mut world = World::start().await;
    let mut tasks = JoinSet::new();
    for _ in 0..2 {
        let (requests, replies) = (world.emulator.queue_url(REQUESTS), world.emulator.queue_url(REPLIES));
        tasks.spawn(answer_all(world.far.clone(), requests, replies));
    }
    let route = world.route();
    let before = world.emulator.calls();
    let started = tokio::time::Instant::now();
    let mut answered = 0;
    for id in 0..total + in_flight {
        if id >= in_flight {
            let inbound = world.delivered().await;
            assert!(matches!(inbound.event, Event::Message(_)));
            answered += 1;
        }
        if id < total {
            let (backend, outbound) = (Arc::clone(&world.backend), outbound(&route, &call(id)));
            tasks.spawn(async move { backend.send(outbound).await.map(|_| ()).unwrap() });
        }
    }
    let took = started.elapsed();
    assert_eq!(answered, total);
    world.emptied(REPLIES).await;
    let counts = world.emulator.calls().since(&before);
    let by_action: BTreeMap<_, _> =
        counts.iter().filter(|(key, ..)| *key == PROXY).map(|(_, action, count)| (action, count)).collect();
    println!("{in_flight} in flight, {total} calls in {took:?}: {by_action:?}");
    world.stop().await;
    f64::from(u32::try_from(counts.by(PROXY)).unwrap()) / f64::from(u32::try_from(total).unwrap())
}

#[tokio::test]
async fn a_lone_call_costs_two_api_calls_and_a_share_of_a_delete() {
    let cost = calls_per_call(1, 40).await;
    assert!(cost <= 2.2, "{cost}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_in_flight_together_share_api_calls() {
    let cost = calls_per_call(64, 2000).await;
    assert!(cost <= 0.6, "{cost}");
}
