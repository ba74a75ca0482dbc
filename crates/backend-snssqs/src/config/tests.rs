use super::*;

const REQUESTS: &str = "arn:aws:sns:eu-central-1:123456789012:requests";
const ANSWERS: &str = "arn:aws:sns:eu-central-1:123456789012:answers";
const QUEUE: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/answers";

fn problems(config: &SnsSqsConfig) -> Vec<String> {
    config.validate().iter().map(ToString::to_string).collect()
}

fn keys(config: &SnsSqsConfig) -> Vec<String> {
    config.validate().into_iter().map(|problem| problem.key).collect()
}

#[test]
fn two_topics_are_all_that_is_needed() {
    assert_eq!(problems(&SnsSqsConfig::new(REQUESTS, ANSWERS)), Vec::<String>::new());
    assert_eq!(problems(&SnsSqsConfig::new(format!("{REQUESTS}.fifo"), ANSWERS)), Vec::<String>::new());
    assert_eq!(keys(&SnsSqsConfig::default()), ["sns_topic_arn", "response_topic_arn"]);
    let given =
        SnsSqsConfig { sqs_queue_url: Some(QUEUE.to_owned()), ..SnsSqsConfig::new(REQUESTS, ANSWERS) };
    assert_eq!(problems(&given), Vec::<String>::new());
}

#[test]
fn the_names_of_the_python_client_are_taken() {
    // asyncmcp 0.2.1, SnsSqsClientConfig
    let config: SnsSqsConfig = serde_json::from_str(
        r#"{"sns_topic_arn": "arn:aws:sns:eu-central-1:1:a", "sqs_queue_url": "https://sqs.example/1/answers", "client_id": "desk",
            "max_messages": 5, "wait_time_seconds": 5, "visibility_timeout_seconds": 60, "message_attributes": {"team": "search"}}"#,
    )
    .unwrap();
    assert_eq!(
        (config.wait_time, config.visibility_timeout),
        (Duration::from_secs(5), Duration::from_mins(1))
    );
    assert!(config.raw_message_delivery);
    assert!(serde_json::from_str::<SnsSqsConfig>(r#"{"topic": "x"}"#).is_err());
}

#[test]
fn every_kind_of_wrong_topic_has_its_own_remedy() {
    for (arn, said) in [
        ("https://sns.eu-central-1.amazonaws.com/", "is a URL"),
        ("requests", "is no ARN"),
        ("arn:aws:sns:eu-central-1:123456789012", "is no ARN"),
        ("arn:aws:sqs:eu-central-1:123456789012:requests", "something of \"sqs\""),
        ("arn:aws:sns:eu-central-1:123456789012:requests:6b0e71bd-7e97-4d97-80ce-4a0994e55286", REQUESTS),
        ("arn:aws:sns:eu-central-1:123456789012:re quests", "does not end in a topic's name"),
        ("arn:aws:sns:eu-central-1:123456789012:.fifo", "does not end in a topic's name"),
    ] {
        let found = problems(&SnsSqsConfig::new(arn, ANSWERS));
        assert_eq!(found.len(), 1, "{arn}: {found:?}");
        assert!(found[0].contains(said), "{arn}: {found:?}");
    }
}

#[test]
fn the_response_topic_is_a_standard_topic_of_its_own() {
    for (answers, said) in [
        (format!("{ANSWERS}.fifo"), "FIFO"),
        (REQUESTS.to_owned(), "its own answers"),
        (ANSWERS.replace("central", "west"), "in eu-west-1"),
    ] {
        let found = problems(&SnsSqsConfig::new(REQUESTS, answers.clone()));
        assert_eq!(found.len(), 1, "{answers}: {found:?}");
        assert!(found[0].starts_with("response_topic_arn ") && found[0].contains(said), "{found:?}");
    }
}

#[test]
fn every_problem_is_reported_at_once() {
    let config = SnsSqsConfig {
        sqs_queue_url: Some(format!("{QUEUE}.fifo")),
        client_id: Some(String::new()),
        endpoint_url: Some("127.0.0.1:4566".to_owned()),
        region: Some("Frankfurt".to_owned()),
        wait_time: Duration::from_secs(21),
        max_messages: 11,
        visibility_timeout: Duration::from_millis(1500),
        response_queue_prefix: "answers.for.us".to_owned(),
        message_attributes: [("SessionId".to_owned(), "x".to_owned())].into(),
        server_queue_name: Some(QUEUE.to_owned()),
        owner_allow: Some(vec!["*".to_owned()]),
        ..SnsSqsConfig::new("", ANSWERS)
    };
    assert_eq!(
        keys(&config),
        [
            "sns_topic_arn",
            "sqs_queue_url",
            "endpoint_url",
            "client_id",
            "region",
            "response_queue_prefix",
            "wait_time",
            "visibility_timeout",
            "max_messages",
            "message_attributes.SessionId",
            "server_queue_name",
            "owner_allow"
        ]
    );
}

#[test]
fn a_fifo_queue_is_not_subscribed_to_a_standard_topic() {
    let mut config = SnsSqsConfig::new(REQUESTS, ANSWERS);
    config.server_queue_name = Some("calls.fifo".to_owned());
    assert_eq!(keys(&config), ["server_queue_name"]);
    config.sns_topic_arn = format!("{REQUESTS}.fifo");
    assert_eq!(keys(&config), [""; 0]);
    // the other way round SNS does
    config.server_queue_name = Some("calls".to_owned());
    assert_eq!(keys(&config), [""; 0]);
}

#[test]
fn the_reply_queue_may_be_in_another_region_than_the_topics() {
    let mut config = SnsSqsConfig::new(REQUESTS, ANSWERS);
    assert_eq!(config.reply_queue_region(), None);
    config.sqs_queue_url = Some("https://sqs.eu-west-1.amazonaws.com/123456789012/answers".to_owned());
    assert_eq!(config.reply_queue_region(), Some("eu-west-1"));
    config.region = Some("eu-north-1".to_owned());
    assert_eq!(config.reply_queue_region(), Some("eu-north-1"));
}
