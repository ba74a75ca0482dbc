use super::*;

const REQUESTS: &str = "https://sqs.eu-central-1.amazonaws.com/123456789012/requests";

fn problems(config: &SqsConfig) -> Vec<String> {
    config.validate().iter().map(ToString::to_string).collect()
}

fn keys(config: &SqsConfig) -> Vec<String> {
    config.validate().into_iter().map(|problem| problem.key).collect()
}

#[test]
fn a_request_queue_is_all_that_is_needed() {
    assert_eq!(problems(&SqsConfig::new(REQUESTS)), Vec::<String>::new());
    assert_eq!(
        problems(&SqsConfig::new("http://127.0.0.1:4566/000000000000/requests")),
        Vec::<String>::new()
    );
    assert_eq!(keys(&SqsConfig::default()), ["read_queue_url"]);
}

#[test]
fn the_names_of_the_python_proxy_are_taken() {
    let config: SqsConfig = serde_json::from_str(
        r#"{"read_queue_url": "https://sqs.example/1/requests", "wait_time_seconds": 5, "visibility_timeout_seconds": 60}"#,
    )
    .unwrap();
    assert_eq!(config.wait_time, Duration::from_secs(5));
    assert_eq!(config.visibility_timeout, Duration::from_mins(1));
}

#[test]
fn every_kind_of_wrong_queue_url_has_its_own_remedy() {
    for (url, said) in [
        ("arn:aws:sqs:eu-central-1:123456789012:requests", REQUESTS),
        ("requests", "is no queue URL"),
        ("https://sqs.eu-central-1.amazonaws.com", "is no queue URL"),
        ("https://sqs.eu-central-1.amazonaws.com/", "does not end in a queue's name"),
        ("https://sqs.eu-central-1.amazonaws.com/1/a b", "does not end in a queue's name"),
        ("https://sqs.eu-central-1.amazonaws.com/1/.fifo", "does not end in a queue's name"),
        ("https://key:hush@sqs.example/1/requests", "credentials"),
    ] {
        let found = problems(&SqsConfig::new(url));
        assert_eq!(found.len(), 1, "{url}: {found:?}");
        assert!(found[0].contains(said), "{url}: {found:?}");
        assert!(!found[0].contains("hush"));
    }
}

#[test]
fn requests_may_go_to_a_fifo_queue_and_answers_may_not_come_from_one() {
    let config = SqsConfig::new(format!("{REQUESTS}.fifo"));
    assert_eq!(problems(&config), Vec::<String>::new());
    let answers = "https://sqs.eu-central-1.amazonaws.com/123456789012/answers.fifo";
    let config = SqsConfig { response_queue_url: Some(answers.to_owned()), ..config };
    assert_eq!(keys(&config), ["response_queue_url"]);
    assert!(problems(&config)[0].contains("standard queue"), "{:?}", problems(&config));
}

#[test]
fn a_queue_for_each_session_is_none_that_is_given() {
    let config: SqsConfig = serde_json::from_value(serde_json::json!({
        "read_queue_url": REQUESTS,
        "response_queue": "per_session",
    }))
    .unwrap();
    assert_eq!(config.response_queue, ResponseQueue::PerSession);
    assert_eq!(problems(&config), Vec::<String>::new());
    let given = SqsConfig { response_queue_url: Some(format!("{REQUESTS}-answers")), ..config.clone() };
    assert_eq!(keys(&given), ["response_queue_url"]);
    // SQS names have 80 characters: prefix, dash, 22 of the instance, dash, 16 of the session
    let prefix = |length| SqsConfig { response_queue_prefix: "p".repeat(length), ..config.clone() };
    assert_eq!(keys(&prefix(80 - 1 - 22 - 1 - 16)), Vec::<String>::new());
    assert_eq!(keys(&prefix(80 - 1 - 22 - 1 - 16 + 1)), ["response_queue_prefix"]);
    assert_eq!(keys(&prefix(58)), ["response_queue_prefix"]);
}

#[test]
fn every_problem_is_reported_at_once() {
    let config = SqsConfig {
        response_queue_url: Some(REQUESTS.to_owned()),
        client_id: Some(String::new()),
        endpoint_url: Some("127.0.0.1:4566".to_owned()),
        region: Some("Frankfurt".to_owned()),
        wait_time: Duration::from_secs(21),
        max_messages: 11,
        visibility_timeout: Duration::from_millis(1500),
        response_queue_prefix: "answers.for.us".to_owned(),
        ..SqsConfig::new(REQUESTS)
    };
    assert_eq!(
        keys(&config),
        [
            "response_queue_url",
            "endpoint_url",
            "client_id",
            "region",
            "response_queue_prefix",
            "wait_time",
            "visibility_timeout",
            "max_messages"
        ]
    );
}

#[test]
fn one_attribute_of_the_operators_own_fits() {
    let with = |attributes: &[(&str, &str)]| SqsConfig {
        message_attributes: attributes
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
        ..SqsConfig::new(REQUESTS)
    };
    assert_eq!(problems(&with(&[("team", "search")])), Vec::<String>::new());
    assert_eq!(keys(&with(&[("team", "search"), ("cost", "low")])), ["message_attributes"]);
    for (name, value) in [
        ("SessionId", "x"),
        ("SQSLargePayloadSize", "1"),
        ("AWS.team", "x"),
        ("amazon.team", "x"),
        (".team", "x"),
        ("te..am", "x"),
        ("te am", "x"),
        ("team", ""),
        ("team", "a\u{7}b"),
        ("team", "a\tb"),
        ("team", "\u{ffff}"),
    ] {
        assert_eq!(keys(&with(&[(name, value)])), [format!("message_attributes.{name}")], "{name}={value:?}");
    }
}
