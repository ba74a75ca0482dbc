//! The ARNs of topics and queues.

/// An ARN, taken apart: `arn:{partition}:{service}:{region}:{account}:{name}` (AWS, "Amazon Resource Names").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arn<'text> {
    /// `aws`, `aws-cn`, `aws-us-gov`.
    pub(crate) partition: &'text str,
    /// `sns` or `sqs`.
    pub(crate) service: &'text str,
    /// The region.
    pub(crate) region: &'text str,
    /// The account's twelve digits.
    pub(crate) account: &'text str,
    /// The topic's or queue's name; of a subscription, also its id.
    pub(crate) name: &'text str,
}

impl<'text> Arn<'text> {
    /// Takes an ARN apart. No part of it is empty.
    pub(crate) fn parse(text: &'text str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let mut part = || parts.next().filter(|part| !part.is_empty());
        (part()? == "arn").then_some(())?;
        Some(Self { partition: part()?, service: part()?, region: part()?, account: part()?, name: part()? })
    }

    /// The ARN of the queue with this name, beside this one.
    pub(crate) fn queue_beside(&self, name: &str) -> String {
        let Self { partition, region, account, .. } = self;
        format!("arn:{partition}:sqs:{region}:{account}:{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_has_six_parts() {
        let arn = Arn::parse("arn:aws-cn:sns:cn-north-1:123456789012:requests.fifo").unwrap();
        assert_eq!((arn.partition, arn.service, arn.region), ("aws-cn", "sns", "cn-north-1"));
        assert_eq!((arn.account, arn.name), ("123456789012", "requests.fifo"));
        assert_eq!(arn.queue_beside("replies"), "arn:aws-cn:sqs:cn-north-1:123456789012:replies");
        for text in ["", "requests", "arn:aws:sns:eu-west-1:123456789012", "arn:aws:sns::123456789012:a"] {
            assert_eq!(Arn::parse(text), None, "{text}");
        }
    }
}
