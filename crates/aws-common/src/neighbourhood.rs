//! What is near a queue: the queues and topics of its account and region.

use crate::operator::queue_arn;

/// The patterns of the queues beside the one at `queue_url`, and of the topics of its region and account where they are known.
pub fn neighbourhood(queue_url: &str, region: Option<&str>) -> Vec<String> {
    let mut patterns = Vec::new();
    if let Some((beside, _)) = queue_url.rsplit_once('/') {
        patterns.push(format!("{beside}/*"));
    }
    let arn = queue_arn(queue_url, region);
    if let [arn, partition, _sqs, region, account, _name] = arn.split(':').collect::<Vec<_>>()[..]
        && region != "*"
        && account != "*"
    {
        patterns.push(format!("{arn}:{partition}:sns:{region}:{account}:*"));
    }
    patterns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_of_the_same_account_and_region() {
        assert_eq!(
            neighbourhood("https://sqs.eu-west-1.amazonaws.com/123456789012/requests", None),
            ["https://sqs.eu-west-1.amazonaws.com/123456789012/*", "arn:aws:sns:eu-west-1:123456789012:*"]
        );
        assert_eq!(
            neighbourhood("http://127.0.0.1:4566/000000000000/requests", Some("us-east-1")),
            ["http://127.0.0.1:4566/000000000000/*", "arn:aws:sns:us-east-1:000000000000:*"]
        );
        assert_eq!(neighbourhood("https://sqs.example.com/requests", None), ["https://sqs.example.com/*"]);
    }
}
