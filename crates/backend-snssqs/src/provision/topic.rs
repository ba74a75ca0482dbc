//! A topic that an operator has created.

use aws_common::{attributes::is_fifo, operator::PROVISIONED_TAG};
use aws_sdk_sns::types::Tag;
use proxy_core::{
    error::{BackendError, ErrorKind},
    operator::{Change, Mode, Report, Step},
};

use crate::{
    arn::Arn,
    topic::{Topic, unmade},
};

impl Topic {
    /// Creates or removes the topic, and reports which.
    pub(super) async fn provision(&self, mode: Mode, report: Report<'_, Step>) -> Result<(), BackendError> {
        let name = Arn::parse(self.arn()).map_or(self.arn(), |arn| arn.name);
        let found = match self.attributes("provision").await {
            Err(error) if error.kind() == ErrorKind::Config => false,
            found => found.map(|_| true)?,
        };
        let change = match (mode, found) {
            (Mode::Destroy, true) if !self.is_provisioned().await? => {
                let step = Step::new(Change::ByHand, "topic", name);
                report(step.with_detail("it was there before provision: remove it yourself"));
                return Ok(());
            }
            (Mode::Destroy, true) => {
                self.delete().await?;
                Change::Deleted
            }
            (Mode::Destroy, false) => Change::Absent,
            (_, true) => Change::Kept,
            (mode, false) => {
                if mode == Mode::Apply {
                    self.create(name).await?;
                }
                Change::Created
            }
        };
        report(Step::new(change, "topic", name));
        Ok(())
    }

    /// Whether provisioning created it; one that is not there was not.
    pub(super) async fn is_provisioned(&self) -> Result<bool, BackendError> {
        let request = self.client().list_tags_for_resource().resource_arn(self.arn());
        let call = self.call("provision", "sns:ListTagsForResource");
        match request.send().await.map_err(|error| call.failed(&error)) {
            Err(error) if error.kind() == ErrorKind::Config => Ok(false),
            found => Ok(found?.tags().iter().any(|tag| tag.key() == PROVISIONED_TAG)),
        }
    }

    async fn create(&self, name: &str) -> Result<(), BackendError> {
        let tag = Tag::builder().key(PROVISIONED_TAG).value("true").build().map_err(unmade)?;
        let mut request = self.client().create_topic().name(name).tags(tag);
        if is_fifo(name) {
            request = request.attributes("FifoTopic", "true");
        }
        let call = self.call("provision", "sns:CreateTopic and sns:TagResource");
        let created = request.send().await.map_err(|error| call.failed(&error))?;
        let arn = created.topic_arn.unwrap_or_default();
        if arn == self.arn() {
            return Ok(());
        }
        let message = format!("the topic was created as {arn}, not as {}: correct the setting", self.arn());
        Err(BackendError::new(ErrorKind::Config, "provision", message))
    }

    async fn delete(&self) -> Result<(), BackendError> {
        let call = self.call("provision", "sns:DeleteTopic");
        let sent = self.client().delete_topic().topic_arn(self.arn()).send().await;
        sent.map(|_| ()).map_err(|error| call.failed(&error))
    }
}
