//! SQS: queues, their messages, and the rules of both.

pub(super) mod access_policy;
pub(super) mod message;
mod messages;
pub(super) mod queue;
mod queues;
pub(super) mod request;
pub(super) mod rules;
mod settings;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::account::{ACCOUNT_ID, Account, REGION, State};
use super::error::ServiceError;
use queue::Queue;
use request::Request;

impl Account {
    /// Does what the action's name says.
    pub(super) async fn perform_sqs(&self, action: &str, request: &Request) -> Result<Value, ServiceError> {
        if action == "ReceiveMessage" {
            return self.receive_message(request).await;
        }
        let now = Instant::now();
        let mut state = self.state();
        match action {
            "CreateQueue" => state.create_queue(now, request),
            "DeleteQueue" => state.delete_queue(now, request),
            "GetQueueUrl" => state.get_queue_url(request),
            "ListQueues" => Ok(state.list_queues(request)),
            "ListDeadLetterSourceQueues" => state.list_dead_letter_source_queues(request),
            "GetQueueAttributes" => state.get_queue_attributes(now, request),
            "SetQueueAttributes" => state.set_queue_attributes(request),
            "PurgeQueue" => state.queue(request)?.purge(now).map(|()| json!({})),
            "TagQueue" => state.tag_queue(now, request),
            "UntagQueue" => state.untag_queue(now, request),
            "ListQueueTags" => state.list_queue_tags(request),
            "SendMessage" => state.send_message(now, request),
            "SendMessageBatch" => state.send_message_batch(now, request),
            "DeleteMessage" => state.delete_message(request),
            "DeleteMessageBatch" => state.delete_message_batch(request),
            "ChangeMessageVisibility" => state.change_message_visibility(now, request),
            "ChangeMessageVisibilityBatch" => state.change_message_visibility_batch(now, request),
            _ => Err(ServiceError::unknown_action(action)),
        }
    }
}

impl State {
    /// The queue that the request's `QueueUrl` names.
    fn queue(&mut self, request: &Request) -> Result<&mut Queue, ServiceError> {
        self.queues.get_mut(request.queue()?).ok_or_else(ServiceError::no_such_queue)
    }
}

/// The ARN of the queue of that name.
pub(super) fn arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{name}")
}
