//! A subscription that an operator has created.

use std::collections::HashMap;

use proxy_core::{
    error::{BackendError, ErrorKind},
    operator::{Change, Mode, Report, Step},
};

use super::Link;
use crate::{
    subscriptions::{Delivery, Subscription},
    topic::Topic,
};

impl Link {
    /// Creates, updates or removes the queue's subscription, and reports which.
    pub(super) async fn provision_subscription(
        &self,
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
        if mode == Mode::Destroy {
            self.topic.unsubscribe(&found.arn).await?;
            report(step(Change::Deleted));
            return Ok(());
        }
        let attributes = self.topic.subscription_attributes("provision", &found.arn).await?;
        let raw = is_raw(&attributes);
        if raw == self.raw {
            report(step(Change::Kept));
            return Ok(());
        }
        if mode == Mode::Apply {
            self.set_raw(&found.arn).await?;
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
