//! Who else reads a queue. No API tells, so messages are sent to it, and each has to come back the first time.

use std::{collections::HashSet, time::Duration};

use aws_sdk_sqs::{
    Client,
    types::{Message, MessageAttributeValue, MessageSystemAttributeName, SendMessageBatchRequestEntry},
};
use proxy_core::{
    ProxyContext,
    error::{BackendError, ErrorKind},
    id::InstanceId,
    operator::Check,
};
use tokio::time::{Instant, timeout_at};

use super::failed;
use crate::{
    attributes::{Received, decode, name},
    error::Call,
    queue::Queue,
};

/// How many messages are sent: with one other reader that polls as we do, the chance that none goes there is one in a million.
const PROBES: usize = 20;

/// The most messages in a batch (AWS, `SendMessageBatch`).
const BATCH: usize = 10;

/// So many messages of others stand before ours that nothing can be told from what does not come.
const MANY: usize = 40;

/// How long they are waited for: no reader hides them for longer than a proxy does, 5 s, or a few times that.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a receive waits, in seconds.
const WAIT: i32 = 2;

/// For how long what is received is hidden, in seconds: at least until it is deleted.
const HIDDEN: i32 = 30;

/// For how long what is not ours is given back, in seconds: its reader is held up no longer.
const GIVEN_BACK: i32 = 1;

/// Sends messages to the queue that every proxy knows as another's message to itself, and looks whether anybody else takes them.
///
/// What it receives of others is given back after a second.
pub(super) async fn readers(client: &Client, queue: &Queue) -> Check {
    let subject = format!("readers of {}", queue.name());
    let instance = InstanceId::random();
    let (missing, strangers) = (HashSet::new(), HashSet::new());
    let probing = Probing { client, queue, instance, missing, taken: 0, strangers };
    match Box::pin(probing.run()).await {
        Ok(seen) => judged(subject, &seen),
        Err(error) => failed(subject, &error),
    }
}

fn judged(subject: String, seen: &Seen) -> Check {
    match *seen {
        Seen { taken: 0, missing: 0, strangers: 0 } => {
            Check::good(subject, format!("nobody else: each of {PROBES} messages came back the first time"))
        }
        Seen { taken: 0, missing: 1.., strangers } if strangers >= MANY => {
            let why = format!(
                "{strangers} messages and more wait in it before this check's: ask again when it is empty"
            );
            Check::skipped(subject, why)
        }
        Seen { taken: 0, missing: 0, strangers } => Check::warning(
            subject,
            format!("nobody else, but {strangers} messages in it were not this check's"),
            "look who sends to it; give each proxy a queue of its own",
        ),
        Seen { taken, missing, .. } => Check::warning(
            subject,
            format!("somebody else reads it too: {} of {PROBES} messages went there first", taken + missing),
            "if that is not this proxy, running: give each proxy a queue of its own, or leave the queue's URL out of the settings",
        ),
    }
}

struct Seen {
    /// How many came back, but not the first time.
    taken: usize,
    /// How many did not come back in time.
    missing: usize,
    /// How many messages were not ours.
    strangers: usize,
}

struct Probing<'queue> {
    client: &'queue Client,
    queue: &'queue Queue,
    instance: InstanceId,
    /// The ids of the messages that have not come back.
    missing: HashSet<String>,
    taken: usize,
    /// The ids of the messages that are not ours.
    strangers: HashSet<String>,
}

impl Probing<'_> {
    async fn run(mut self) -> Result<Seen, BackendError> {
        for _ in 0..PROBES / BATCH {
            self.send().await?;
        }
        let until = Instant::now() + PATIENCE;
        while !self.missing.is_empty() && Instant::now() < until {
            let Ok(received) = timeout_at(until + Duration::from_secs(5), self.receive()).await else {
                break;
            };
            for message in received? {
                self.settle(message).await?;
            }
        }
        // what did not come back at all: proxies delete it, and so does the retention
        Ok(Seen { taken: self.taken, missing: self.missing.len(), strangers: self.strangers.len() })
    }

    async fn send(&mut self) -> Result<(), BackendError> {
        let context = ProxyContext {
            v: ProxyContext::VERSION,
            probe: Some(self.instance.as_str().into()),
            ..ProxyContext::default()
        };
        let mut request = self.client.send_message_batch().queue_url(self.queue.url());
        for index in 0..BATCH {
            let context =
                MessageAttributeValue::builder().data_type("String").string_value(context.to_json());
            let entry = SendMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .message_body(r#"{"jsonrpc":"2.0","method":"notifications/proxy/probe"}"#)
                .message_attributes(name::PROXY_CONTEXT, context.build().map_err(unmade)?);
            request = request.entries(entry.build().map_err(unmade)?);
        }
        let sent = request.send().await.map_err(|error| self.call("sqs:SendMessage").failed(&error))?;
        if let Some(failed) = sent.failed().first() {
            return Err(self.call("sqs:SendMessage").entry_failed(failed.code(), failed.sender_fault()));
        }
        self.missing.extend(sent.successful.into_iter().map(|sent| sent.message_id));
        Ok(())
    }

    async fn receive(&self) -> Result<Vec<Message>, BackendError> {
        let request = self
            .client
            .receive_message()
            .queue_url(self.queue.url())
            .max_number_of_messages(10)
            .wait_time_seconds(WAIT)
            .visibility_timeout(HIDDEN)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_attribute_names("All");
        let received =
            request.send().await.map_err(|error| self.call("sqs:ReceiveMessage").failed(&error))?;
        Ok(received.messages.unwrap_or_default())
    }

    async fn settle(&mut self, message: Message) -> Result<(), BackendError> {
        let url = self.queue.url();
        let count = message.attributes().and_then(|attributes| {
            attributes.get(&MessageSystemAttributeName::ApproximateReceiveCount)?.parse::<u32>().ok()
        });
        let ours =
            matches!(decode(&message), Ok(Received::Probe(instance)) if *instance == *self.instance.as_str());
        let first = self.missing.remove(message.message_id().unwrap_or_default());
        if !ours {
            self.strangers.extend(message.message_id);
            let request =
                self.client.change_message_visibility().queue_url(url).visibility_timeout(GIVEN_BACK);
            let sent = request.set_receipt_handle(message.receipt_handle).send().await;
            return sent.map(|_| ()).map_err(|error| self.call("sqs:ChangeMessageVisibility").failed(&error));
        }
        self.taken += usize::from(first && count != Some(1));
        let request = self.client.delete_message().queue_url(url);
        let sent = request.set_receipt_handle(message.receipt_handle).send().await;
        sent.map(|_| ()).map_err(|error| self.call("sqs:DeleteMessage").failed(&error))
    }

    fn call(&self, permission: &'static str) -> Call<'_> {
        Call { operation: "doctor", permission, target: self.queue.name(), sends: false }
    }
}

fn unmade(error: aws_sdk_sqs::error::BuildError) -> BackendError {
    BackendError::new(ErrorKind::Protocol, "doctor", "a message cannot be put into a request")
        .with_source(error)
}

#[cfg(test)]
mod tests {
    use proxy_core::operator::Verdict;

    use super::*;

    #[test]
    fn what_does_not_come_behind_a_backlog_tells_of_no_reader() {
        let verdict =
            |taken, missing, strangers| judged("x".to_owned(), &Seen { taken, missing, strangers }).verdict;
        assert!(matches!(verdict(0, 0, 0), Verdict::Good(_)));
        assert!(matches!(verdict(0, 0, 1), Verdict::Warning { .. }));
        assert!(matches!(verdict(0, 1, MANY - 1), Verdict::Warning { .. }));
        assert!(matches!(verdict(0, 1, MANY), Verdict::Skipped(_)));
        assert!(
            matches!(verdict(1, 1, MANY), Verdict::Warning { .. }),
            "one that came back late was elsewhere"
        );
    }
}
