//! Over the emulator.

use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Config, Credentials, Region},
};
use testkit::emulator::{Emulator, Failure};

use super::*;

const TEXT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"text":"ä"}}"#;

async fn emulator() -> Emulator {
    let emulator = Emulator::start().await.unwrap();
    emulator.create_bucket("my-payloads");
    emulator
}

fn client(emulator: &Emulator) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "secret", None, None, "tests"))
        .endpoint_url(emulator.endpoint_url())
        .force_path_style(true)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(aws_sdk_s3::config::retry::RetryConfig::disabled());
    Client::from_conf(config.build())
}

fn payloads(emulator: &Emulator, prefix: &str) -> LargePayloads {
    LargePayloads::over(config(prefix), client(emulator))
}

fn malformed<T: std::fmt::Debug>(result: Result<T, PayloadError>) -> String {
    match result {
        Err(PayloadError::Malformed(reason)) => reason.into(),
        other => panic!("{other:?}"),
    }
}

fn failed<T: std::fmt::Debug>(result: Result<T, PayloadError>) -> BackendError {
    match result {
        Err(PayloadError::Failed(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_large_message_goes_by_way_of_s3_and_comes_back() {
    let emulator = emulator().await;
    let payloads = payloads(&emulator, "mcp/");
    assert_eq!(payloads.announces(), "my-payloads/mcp/");
    let message = OutgoingMessage { body: TEXT.to_owned(), attributes: Vec::new(), group: None };
    let as_it_is = payloads.offload(message.clone(), TEXT.len()).await.unwrap();
    assert_eq!((as_it_is.body.as_str(), as_it_is.attributes.len()), (TEXT, 0));
    assert!(emulator.objects("my-payloads").is_empty());

    let sent = payloads.offload(message, TEXT.len() - 1).await.unwrap();
    let [size] = &sent.attributes[..] else { panic!("{:?}", sent.attributes) };
    let expected = ("ExtendedPayloadSize", DataType::Number, TEXT.len().to_string());
    assert_eq!((&*size.name, size.data_type, size.value.clone()), expected);
    let objects = emulator.objects("my-payloads");
    let (key, object) = objects.first_key_value().unwrap();
    assert!(key.starts_with("mcp/") && objects.len() == 1, "{objects:?}");
    assert_eq!(object, TEXT.as_bytes());

    let restored = restore(Some(&payloads), &sent.body).await.unwrap().unwrap();
    assert_eq!(restored.body, TEXT);
    payloads.delete(&restored.pointer).await.unwrap();
    assert!(emulator.objects("my-payloads").is_empty());
    // given out once more after its object went
    assert!(malformed(restore(Some(&payloads), &sent.body).await).contains("not in S3 any more"));
}

#[test]
fn what_is_large_is_what_the_transport_or_the_operator_says() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let emulator = runtime.block_on(emulator());
    let with = |threshold| {
        let config = LargePayloadsConfig { threshold, ..config("") };
        LargePayloads::over(config, client(&emulator))
    };
    assert!(!with(None).is_large(1024, 1024) && with(None).is_large(1025, 1024));
    assert!(!with(Some(256)).is_large(256, 1024) && with(Some(256)).is_large(257, 1024));
    assert!(with(Some(4096)).is_large(1025, 1024));
}

#[tokio::test]
async fn what_lies_elsewhere_is_neither_read_nor_deleted() {
    let emulator = emulator().await;
    emulator.create_bucket("secrets");
    emulator.put_object("secrets", "mcp/k", TEXT);
    emulator.put_object("my-payloads", "k", TEXT);
    let payloads = payloads(&emulator, "mcp/");
    for (bucket, key) in [("secrets", "mcp/k"), ("my-payloads", "k"), ("my-payloads", "mcp/../k")] {
        let pointer = Pointer::new(bucket, key.to_owned());
        assert!(malformed(payloads.fetch(&pointer).await).contains("configured bucket and prefix"));
        assert!(malformed(payloads.delete(&pointer).await).contains("configured bucket and prefix"));
    }
    assert_eq!((emulator.objects("secrets").len(), emulator.objects("my-payloads").len()), (1, 1));
    assert_eq!(emulator.calls().total(), 0);
}

#[tokio::test]
async fn sizes_are_bounded_both_ways() {
    let emulator = emulator().await;
    let config = LargePayloadsConfig { max_message: 100, ..config("") };
    let payloads = LargePayloads::over(config, client(&emulator));
    let error = payloads.store("x".repeat(101)).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::TooLarge, Delivery::NotSent));
    payloads.store("x".repeat(100)).await.unwrap();
    emulator.put_object("my-payloads", "k", "x".repeat(101));
    let pointer = Pointer::new("my-payloads", "k".to_owned());
    assert!(malformed(payloads.fetch(&pointer).await).contains("larger than max_message"));
    emulator.put_object("my-payloads", "k", [0xff, 0xfe]);
    assert!(malformed(payloads.fetch(&pointer).await).contains("UTF-8"));
}

#[tokio::test]
async fn failures_of_s3_are_not_the_messages_fault_and_send_nothing() {
    let emulator = emulator().await;
    let payloads = payloads(&emulator, "");
    let (pointer, _) = payloads.store(TEXT.to_owned()).await.unwrap();
    for (failure, kind) in [
        (Failure::Internal, ErrorKind::Unavailable),
        (Failure::Throttled, ErrorKind::Throttled),
        (Failure::AccessDenied, ErrorKind::Denied),
    ] {
        emulator.fail_next("PutObject", failure.clone(), 1);
        let error = payloads.store(TEXT.to_owned()).await.unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (kind, Delivery::NotSent), "{error}");
        emulator.fail_next("GetObject", failure.clone(), 1);
        assert_eq!(failed(payloads.fetch(&pointer).await).kind(), kind);
        emulator.fail_next("DeleteObject", failure, 1);
        assert_eq!(failed(payloads.delete(&pointer).await).kind(), kind);
    }
    emulator.deny("s3:PutObject");
    let said = payloads.store(TEXT.to_owned()).await.unwrap_err().to_string();
    assert_eq!(said, "access to the bucket \"my-payloads\" is denied: grant s3:PutObject on it");
    let missing = LargePayloadsConfig { bucket: "no-such-bucket".into(), ..config("") };
    emulator.allow("s3:PutObject");
    let error = LargePayloads::over(missing, client(&emulator)).store(TEXT.to_owned()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

#[tokio::test]
async fn a_check_needs_what_work_needs_and_leaves_nothing() {
    let emulator = emulator().await;
    let payloads = payloads(&emulator, "mcp/");
    payloads.check().await.unwrap();
    assert!(emulator.objects("my-payloads").is_empty());
    let permissions: Vec<String> = emulator.uses().into_iter().map(|used| used.permission).collect();
    assert_eq!(permissions, ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"]);
    emulator.deny("s3:GetObject");
    assert_eq!(payloads.check().await.unwrap_err().kind(), ErrorKind::Denied);
    assert!(emulator.objects("my-payloads").is_empty());
}

#[tokio::test]
async fn nothing_is_called_before_it_is_needed() {
    let emulator = emulator().await;
    let config = LargePayloadsConfig { endpoint_url: Some(emulator.endpoint_url()), ..config("") };
    let settings = ClientSettings { endpoint_url: None, region: Some("us-east-1".into()) };
    let payloads = LargePayloads::connect(config, &settings, "").await.unwrap();
    assert_eq!((payloads.config.max_message, payloads.announces().as_str()), (16 << 20, "my-payloads/"));
    assert_eq!(emulator.calls().total(), 0);
}
