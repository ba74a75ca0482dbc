//! SNS as its SDK sees it.

mod deliveries;
mod fifo;
mod publishing;
mod sts;
mod subscriptions;
mod topics;

use aws_sdk_sns::types::MessageAttributeValue as Value;

use super::*;

/// An emulator with a topic `t` and a queue `q` whose policy lets the topic send; the topic's ARN and the queue's URL.
async fn with_topic(attributes: &[(&str, &str)]) -> (Emulator, String, String) {
    let emulator = Emulator::start().await.unwrap();
    let topic = emulator.create_topic("t", attributes).unwrap();
    let url = emulator.create_queue("q", &[]).unwrap();
    emulator.let_send(&[&topic], &url).unwrap();
    (emulator, topic, url)
}

fn attribute(data_type: &str, value: &str) -> Value {
    Value::builder().data_type(data_type).string_value(value).build().unwrap()
}
