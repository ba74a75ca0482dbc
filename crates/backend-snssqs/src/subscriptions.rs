//! Subscriptions of queues to the response topic.

use aws_common::Call;
use aws_sdk_sns::{error::ProvideErrorMetadata as _, types};
use proxy_core::error::{BackendError, ErrorKind};

use crate::topic::Topic;

/// What SNS says where a topic, or an account, has as many subscriptions as it may (SNS API, `Subscribe`).
const LIMITS: [&str; 2] = ["FilterPolicyLimitExceeded", "SubscriptionLimitExceeded"];

/// A subscription of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// Its ARN. One that is not confirmed has none, and brings nothing.
    pub(crate) arn: Option<Box<str>>,
    /// The queue's ARN.
    pub(crate) queue_arn: Box<str>,
}

/// How a subscription of ours is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Delivery<'policy> {
    /// Which messages it brings (`FilterPolicy`); none for all.
    pub(crate) filter: Option<&'policy str>,
    /// Whether they come without an envelope (`RawMessageDelivery`).
    pub(crate) raw: bool,
}

impl Subscription {
    /// A queue's subscription as SNS lists it. One that was ended is listed for some days more, with `Deleted` for its ARN.
    fn of_queue(listed: types::Subscription) -> Option<Self> {
        listed.protocol.filter(|protocol| protocol == "sqs")?;
        let arn = match listed.subscription_arn? {
            pending if pending == "PendingConfirmation" => None,
            arn if arn.starts_with("arn:") => Some(arn.into()),
            _ => return None,
        };
        Some(Self { arn, queue_arn: listed.endpoint?.into() })
    }
}

/// The filter that brings the messages of one instance only: route keys, which the far end takes as session ids, begin with it.
pub(crate) fn filter_of(instance: &str) -> String {
    serde_json::json!({ "SessionId": [{ "prefix": format!("{instance}.") }] }).to_string()
}

impl Topic {
    /// Subscribes a queue, or finds that it is subscribed in the same way, and returns the subscription's ARN.
    pub(crate) async fn subscribe(
        &self,
        operation: &'static str,
        queue_arn: &str,
        delivery: Delivery<'_>,
    ) -> Result<String, BackendError> {
        let mut request = self
            .client()
            .subscribe()
            .topic_arn(self.arn())
            .protocol("sqs")
            .endpoint(queue_arn)
            .attributes("RawMessageDelivery", delivery.raw.to_string())
            .return_subscription_arn(true);
        if let Some(filter) = delivery.filter {
            request = request.attributes("FilterPolicy", filter);
        }
        let call = self.call(operation, "sns:Subscribe");
        let result = request.send().await.map_err(|error| {
            let limit = error.code().filter(|code| LIMITS.contains(code));
            limit.map_or_else(|| call.failed(&error), |code| full(&call, code))
        });
        self.metrics().called("Subscribe", result.as_ref().map(|_| ()));
        result?.subscription_arn.ok_or_else(|| {
            let message = format!("{} was subscribed to without an ARN", self.name());
            BackendError::new(ErrorKind::Protocol, operation, message)
        })
    }

    /// Ends a subscription; one that is gone already is fine.
    pub(crate) async fn unsubscribe(&self, subscription_arn: &str) -> Result<(), BackendError> {
        let result = self.client().unsubscribe().subscription_arn(subscription_arn).send().await;
        let call = self.call("keep", "sns:Unsubscribe");
        let result = match result.map_err(|error| call.failed(&error)) {
            Err(error) if error.kind() == ErrorKind::Config => Ok(()),
            result => result.map(|_| ()),
        };
        self.metrics().called("Unsubscribe", result.as_ref().copied());
        result
    }

    /// The queues that are subscribed.
    pub(crate) async fn subscriptions(
        &self,
        operation: &'static str,
    ) -> Result<Vec<Subscription>, BackendError> {
        let mut found = Vec::new();
        let mut next = None;
        loop {
            let request = self.client().list_subscriptions_by_topic().topic_arn(self.arn());
            let call = self.call(operation, "sns:ListSubscriptionsByTopic");
            let result = request.set_next_token(next).send().await.map_err(|error| call.failed(&error));
            self.metrics().called("ListSubscriptionsByTopic", result.as_ref().map(|_| ()));
            let output = result?;
            let queues = output.subscriptions.unwrap_or_default().into_iter();
            found.extend(queues.filter_map(Subscription::of_queue));
            next = output.next_token;
            if next.is_none() {
                return Ok(found);
            }
        }
    }
}

fn full(call: &Call<'_>, code: &str) -> BackendError {
    let message = format!(
        "{} has as many subscriptions with a filter as SNS lets it have, 200 unless raised ({code}): remove those of proxies that are \
         gone, or give proxies a topic or a queue of their own",
        call.target
    );
    BackendError::new(ErrorKind::Config, call.operation, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_confirmed_has_an_arn_and_what_was_ended_is_none() {
        let of = |protocol: &str, arn: &str| {
            let listed =
                types::Subscription::builder().protocol(protocol).endpoint("arn:aws:sqs:eu-west-1:1:q");
            Subscription::of_queue(listed.subscription_arn(arn).build()).map(|subscription| subscription.arn)
        };
        let arn = "arn:aws:sns:eu-west-1:1:t:2bcfbf39-05c3-41de-beaa-fcfcc21c8f55";
        assert_eq!(of("sqs", arn), Some(Some(arn.into())));
        assert_eq!(of("sqs", "PendingConfirmation"), Some(None));
        assert_eq!(of("sqs", "Deleted"), None);
        assert_eq!(of("lambda", arn), None);
    }
}
