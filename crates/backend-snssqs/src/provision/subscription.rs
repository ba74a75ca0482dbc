//! A subscription that an operator has created.

use std::collections::HashMap;

use aws_common::operator::is_provisioned;
use aws_sdk_sqs::Client;
use proxy_core::{
    error::{BackendError, ErrorKind},
    operator::{Change, Mode, Report, Step},
};

use super::Link;
use crate::{
    subscriptions::{Delivery, Subscription},
    topic::Topic,
};

/// Why a subscription is not changed that is not confirmed.
const PENDING: &str = "it waits for confirmation by the queue's owner; SNS removes it if that does not come";

/// Why a subscription is not removed.
const BEFORE: &str = "topic and queue were there before provision: remove it yourself";

impl Link {
    /// Creates, updates or removes the queue's subscription, and reports which. One between a topic and a queue that both were there
    /// before provisioning is not removed.
    pub(super) async fn provision_subscription(
        &self,
        sqs: &Client,
        mode: Mode,
        report: Report<'_, Step>,
    ) -> Result<(), BackendError> {
        let step = |change| Step::new(change, "subscription", self.name());
        let Some(found) = self.subscription().await? else {
            match mode {
                Mode::Apply => {
                    let delivery = Delivery { filter: None, raw: self.raw };
                    self.topic.subscribe("provision", &self.queue_arn, delivery).await?;
                }
                Mode::DryRun => {}
                Mode::Destroy => {
                    report(step(Change::Absent));
                    return Ok(());
                }
            }
            report(step(Change::Created));
            return Ok(());
        };
        let Some(arn) = found.arn else {
            report(step(Change::ByHand).with_detail(PENDING));
            return Ok(());
        };
        if mode == Mode::Destroy {
            // a subscription has no tags of its own
            let is_ours = self.topic.is_provisioned().await? || is_provisioned(sqs, &self.queue_url).await?;
            if !is_ours {
                report(step(Change::ByHand).with_detail(BEFORE));
                return Ok(());
            }
            self.topic.unsubscribe(&arn).await?;
            report(step(Change::Deleted));
            return Ok(());
        }
        let attributes = self.topic.subscription_attributes("provision", &arn).await?;
        let raw = is_raw(&attributes);
        if raw == self.raw {
            report(step(Change::Kept));
            return Ok(());
        }
        if mode == Mode::Apply {
            self.set_raw(&arn).await?;
        }
        report(step(Change::Updated).with_detail(format!("RawMessageDelivery: {raw} → {}", self.raw)));
        Ok(())
    }

    async fn subscription(&self) -> Result<Option<Subscription>, BackendError> {
        let subscriptions = match self.topic.subscriptions("provision").await {
            // in a dry run the topic may not be there yet
            Err(error) if error.kind() == ErrorKind::Config => return Ok(None),
            subscriptions => subscriptions?,
        };
        let ours = |subscription: &Subscription| *subscription.queue_arn == *self.queue_arn;
        Ok(subscriptions.into_iter().find(ours))
    }

    async fn set_raw(&self, arn: &str) -> Result<(), BackendError> {
        let request = self.topic.client().set_subscription_attributes().subscription_arn(arn);
        let request = request.attribute_name("RawMessageDelivery").attribute_value(self.raw.to_string());
        let call = self.topic.call("provision", "sns:SetSubscriptionAttributes");
        request.send().await.map(|_| ()).map_err(|error| call.failed(&error))
    }

    fn name(&self) -> String {
        let short = |arn: &str| arn.rsplit(':').next().unwrap_or_default().to_owned();
        format!("{} to {}", short(&self.queue_arn), short(self.topic.arn()))
    }
}

impl Topic {
    /// What a subscription says of itself.
    pub(crate) async fn subscription_attributes(
        &self,
        operation: &'static str,
        arn: &str,
    ) -> Result<HashMap<String, String>, BackendError> {
        let request = self.client().get_subscription_attributes().subscription_arn(arn);
        let call = self.call(operation, "sns:GetSubscriptionAttributes");
        let found = request.send().await.map_err(|error| call.failed(&error))?;
        Ok(found.attributes.unwrap_or_default())
    }
}

/// Whether a subscription's delivery is raw.
pub(crate) fn is_raw(attributes: &HashMap<String, String>) -> bool {
    attributes.get("RawMessageDelivery").is_some_and(|raw| raw == "true")
}
