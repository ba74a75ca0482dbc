//! The emulator as an SDK sees it.

mod errors;
mod faults;
mod fifo;
mod messages;
mod polls;
mod queues;
mod sns;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{Message, MessageAttributeValue};

use super::{Emulator, client_for};

/// An emulator with one queue, a client and the queue's URL.
async fn with_queue(name: &str, attributes: &[(&str, &str)]) -> (Emulator, Client, String) {
    let emulator = Emulator::start().await.unwrap();
    let url = emulator.create_queue(name, attributes).unwrap();
    let client = emulator.client();
    (emulator, client, url)
}

/// Whatever is there now, with all attributes.
async fn receive(client: &Client, url: &str) -> Vec<Message> {
    let receive = client.receive_message().queue_url(url).max_number_of_messages(10).wait_time_seconds(0);
    let received =
        receive.message_attribute_names("All").message_system_attribute_names("All".into()).send().await;
    received.unwrap().messages.unwrap_or_default()
}

fn bodies(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body().unwrap()).collect()
}

fn text(value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap()
}

/// The error code and the status that a call was refused with.
fn refusal<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug>(
    result: Result<T, SdkError<E>>,
) -> (String, u16) {
    let error = result.unwrap_err();
    let status = error.raw_response().unwrap().status().as_u16();
    (error.code().unwrap().to_owned(), status)
}
