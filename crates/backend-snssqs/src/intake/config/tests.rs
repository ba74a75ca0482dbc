use super::*;

const QUEUE: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/requests";
const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:requests";

fn keys(config: &SnsSqsIntakeConfig) -> Vec<String> {
    config.validate().into_iter().map(|problem| problem.key).collect()
}

#[test]
fn a_queue_is_all_that_is_needed() {
    assert_eq!(keys(&SnsSqsIntakeConfig::new(QUEUE)), [""; 0]);
    assert_eq!(keys(&SnsSqsIntakeConfig::new(format!("{QUEUE}.fifo"))), [""; 0]);
    assert_eq!(keys(&SnsSqsIntakeConfig::default()), ["queue_url"]);
}

#[test]
fn the_names_of_the_python_server_are_taken() {
    // asyncmcp 0.2.1, SnsSqsServerConfig
    let config: SnsSqsIntakeConfig = serde_json::from_str(
        r#"{"sqs_queue_url": "https://sqs.example/1/requests", "max_messages": 5, "wait_time_seconds": 5,
            "visibility_timeout_seconds": 60}"#,
    )
    .unwrap();
    assert_eq!(config.queue_url, "https://sqs.example/1/requests");
    assert_eq!(
        (config.wait_time, config.visibility_timeout),
        (Duration::from_secs(5), Duration::from_mins(1))
    );
    assert!(serde_json::from_str::<SnsSqsIntakeConfig>(r#"{"topic": "x"}"#).is_err());
}

#[test]
fn a_fifo_queue_wants_a_fifo_topic_and_fifo_dead_letters() {
    let mut config = SnsSqsIntakeConfig::new(format!("{QUEUE}.fifo"));
    config.request_topic_arn = Some(TOPIC.to_owned());
    config.dead_letter_queue_url = Some(format!("{QUEUE}-dead-letters"));
    assert_eq!(keys(&config), ["request_topic_arn", "dead_letter_queue_url"]);
    config.request_topic_arn = Some(format!("{TOPIC}.fifo"));
    config.dead_letter_queue_url = Some(format!("{QUEUE}-dead-letters.fifo"));
    assert_eq!(keys(&config), [""; 0]);
    // SNS lets a standard queue subscribe to a FIFO topic
    config.queue_url = QUEUE.to_owned();
    config.dead_letter_queue_url = None;
    assert_eq!(keys(&config), [""; 0]);
}

#[test]
fn every_problem_is_reported_at_once() {
    let config = SnsSqsIntakeConfig {
        request_topic_arn: Some("requests".to_owned()),
        dead_letter_queue_url: Some(QUEUE.to_owned()),
        own_queue_prefix: "workers.of.ours".to_owned(),
        endpoint_url: Some("127.0.0.1:4566".to_owned()),
        region: Some("Frankfurt".to_owned()),
        wait_time: Duration::from_secs(21),
        max_messages: 11,
        visibility_timeout: Duration::from_millis(1500),
        ..SnsSqsIntakeConfig::new(QUEUE)
    };
    assert_eq!(
        keys(&config),
        [
            "request_topic_arn",
            "dead_letter_queue_url",
            "own_queue_prefix",
            "endpoint_url",
            "region",
            "wait_time",
            "visibility_timeout",
            "max_messages"
        ]
    );
}
