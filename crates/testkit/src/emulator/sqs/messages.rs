//! The actions on messages: send, receive, delete, change visibility, alone and in batches.

use std::pin::pin;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use super::arn;
use crate::emulator::account::{Account, State};
use crate::emulator::error::ServiceError;
use crate::emulator::sqs::message::{Draft, checksum_of_attributes, checksum_of_body};
use crate::emulator::sqs::queue::{Delivery, seconds};
use crate::emulator::sqs::request::{Entry, Request};
use crate::emulator::sqs::rules::{batch, message, ranges};
use std::time::Duration;

impl Account {
    /// Receives, and waits for a message up to `WaitTimeSeconds`; a send wakes it at once.
    ///
    /// A message is taken in the same step in which the answer is made, so that a receive whose client
    /// has gone, and whose future is dropped with the connection, takes none.
    pub(in crate::emulator) async fn receive_message(
        &self,
        request: &Request,
    ) -> Result<Value, ServiceError> {
        ranges::check_receive(request)?;
        let began = Instant::now();
        loop {
            let changed = Arc::clone(&self.state().queue(request)?.changed);
            let mut notified = pin!(changed.notified());
            notified.as_mut().enable();
            let now = Instant::now();
            let (messages, until) = self.state().receive(now, began, request)?;
            if !messages.is_empty() {
                return Ok(json!({ "Messages": messages }));
            }
            if until <= now || self.stopping.is_cancelled() {
                return Ok(json!({}));
            }
            tokio::select! {
                () = notified => {}
                () = sleep_until(until) => {}
                () = self.stopping.cancelled() => {}
            }
            // AWS gives a message to any of the receives that wait, and not to the same one each time.
            if fastrand::bool() {
                yield_now().await;
            }
        }
    }
}

impl State {
    /// What can be received now, and when to look again at the latest.
    fn receive(
        &mut self,
        now: Instant,
        began: Instant,
        request: &Request,
    ) -> Result<(Vec<Value>, Instant), ServiceError> {
        let queue = self.queue(request)?;
        let deadline = began + seconds(request.wait_time_seconds.unwrap_or(queue.settings.wait_seconds()));
        let visibility = seconds(request.visibility_timeout.unwrap_or(queue.settings.visibility_seconds()));
        let limit = usize::try_from(request.max_number_of_messages.unwrap_or(1)).unwrap_or(1);
        let (deliveries, dead) = queue.receive(now, limit, visibility);
        let until = queue.next_visible().map_or(deadline, |next| next.min(deadline));
        let (source, policy) = (arn(&queue.name), queue.settings.redrive());
        if let Some(target) = policy.and_then(|policy| self.queues.get_mut(policy.target())) {
            for mut stored in dead {
                stored.dead_letter_source = Some(source.clone());
                stored.receive_count = 0;
                target.put(now, Duration::ZERO, stored);
            }
        }
        let wanted = request.wanted();
        let messages = deliveries.iter().map(|(handle, stored): &Delivery| stored.to_json(handle, &wanted));
        Ok((messages.collect(), until))
    }

    pub(in crate::emulator) fn send_message(
        &mut self,
        now: Instant,
        request: &Request,
    ) -> Result<Value, ServiceError> {
        let queue = request.queue()?.to_owned();
        self.send(now, &queue, &request.draft)
    }

    pub(in crate::emulator) fn send_message_batch(
        &mut self,
        now: Instant,
        request: &Request,
    ) -> Result<Value, ServiceError> {
        let queue = self.queue(request)?.name.clone();
        batch::check(&request.entries, "SendMessageBatchRequestEntry")?;
        batch::check_size(&request.entries)?;
        Ok(self.each(request, |state, entry| state.send(now, &queue, &entry.draft)))
    }

    pub(in crate::emulator) fn delete_message(&mut self, request: &Request) -> Result<Value, ServiceError> {
        let handle = request.receipt_handle()?;
        self.queue(request)?.delete(handle).map(|()| json!({}))
    }

    pub(in crate::emulator) fn delete_message_batch(
        &mut self,
        request: &Request,
    ) -> Result<Value, ServiceError> {
        self.queue(request)?;
        batch::check(&request.entries, "DeleteMessageBatchRequestEntry")?;
        Ok(self.each(request, |state, entry| {
            state.queue(request)?.delete(&entry.receipt_handle).map(|()| json!({}))
        }))
    }

    pub(in crate::emulator) fn change_message_visibility(
        &mut self,
        now: Instant,
        request: &Request,
    ) -> Result<Value, ServiceError> {
        let handle = request.receipt_handle()?;
        let visibility = ranges::visibility(request.visibility_timeout)?;
        self.queue(request)?.change_visibility(now, handle, visibility).map(|()| json!({}))
    }

    pub(in crate::emulator) fn change_message_visibility_batch(
        &mut self,
        now: Instant,
        request: &Request,
    ) -> Result<Value, ServiceError> {
        self.queue(request)?;
        batch::check(&request.entries, "ChangeMessageVisibilityBatchRequestEntry")?;
        Ok(self.each(request, |state, entry| {
            let visibility = ranges::visibility(entry.visibility_timeout)?;
            state
                .queue(request)?
                .change_visibility(now, &entry.receipt_handle, visibility)
                .map(|()| json!({}))
        }))
    }

    fn send(&mut self, now: Instant, queue: &str, draft: &Draft) -> Result<Value, ServiceError> {
        let queue = self.queues.get_mut(queue).ok_or_else(ServiceError::no_such_queue)?;
        message::check(draft, queue.settings.maximum_message_size())?;
        message::check_kind(draft, queue.is_fifo())?;
        let receipt = queue.send(now, self.ids.next(), draft.clone())?;
        let mut answer = json!({
            "MessageId": receipt.message_id,
            "MD5OfMessageBody": checksum_of_body(&draft.message_body),
        });
        if let Some(checksum) = checksum_of_attributes(&draft.message_attributes) {
            answer["MD5OfMessageAttributes"] = checksum.into();
        }
        if let Some(number) = receipt.sequence_number {
            answer["SequenceNumber"] = number.into();
        }
        Ok(answer)
    }

    /// Does one thing for each entry of a batch; one that fails does not fail the others.
    fn each(
        &mut self,
        request: &Request,
        mut act: impl FnMut(&mut Self, &Entry) -> Result<Value, ServiceError>,
    ) -> Value {
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in &request.entries {
            let result = match self.faults.take_entry() {
                Some(error) => Err(error),
                None => act(self, entry),
            };
            match result {
                Ok(mut answer) => {
                    answer["Id"] = entry.id.clone().into();
                    successful.push(answer);
                }
                Err(error) => failed.push(json!({
                    "Id": entry.id,
                    "Code": error.code,
                    "Message": error.message,
                    "SenderFault": error.is_sender_fault(),
                })),
            }
        }
        json!({ "Successful": successful, "Failed": failed })
    }
}
