use super::*;

fn config(prefix: &str) -> LargePayloadsConfig {
    LargePayloadsConfig {
        bucket: "my-payloads".into(),
        prefix: prefix.into(),
        ..LargePayloadsConfig::default()
    }
}

/// What the Extended Client Libraries write: amazon-sqs-extended-client 1.0.1 from `PyPI`, the same told to write the older form, and
/// amazon-sqs-java-extended-client-lib 2 (its documentation, and WIRE.md).
const POINTERS: [&str; 3] = [
    r#"["software.amazon.payloadoffloading.PayloadS3Pointer", {"s3BucketName": "my-payloads", "s3Key": "9368c86d-9528-4b82-a8e1-69ea6ad37d0f"}]"#,
    r#"["com.amazon.sqs.javamessaging.MessageS3Pointer", {"s3BucketName": "my-payloads", "s3Key": "9368c86d-9528-4b82-a8e1-69ea6ad37d0f"}]"#,
    r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"my-payloads","s3Key":"9368c86d-9528-4b82-a8e1-69ea6ad37d0f"}]"#,
];

#[test]
fn the_pointers_of_others_are_read_and_ours_are_theirs() {
    for body in POINTERS {
        let pointer = Pointer::parse(body).unwrap();
        assert_eq!(pointer.to_body(), POINTERS[2]);
        assert!(!format!("{pointer:?}").contains("9368c86d"), "{pointer:?}");
    }
}

#[test]
fn other_bodies_are_no_pointers() {
    for body in [
        "",
        "[",
        "[]",
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
        r#"["java.lang.Runtime",{"s3BucketName":"my-payloads","s3Key":"k"}]"#,
        r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"my-payloads"}]"#,
        r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":7,"s3Key":"k"}]"#,
        r#"["software.amazon.payloadoffloading.PayloadS3Pointer",{"s3BucketName":"my-payloads","s3Key":"k"},1]"#,
    ] {
        assert_eq!(Pointer::parse(body), None, "{body}");
    }
}

#[test]
fn only_the_configured_bucket_and_prefix_are_read() {
    let within = |bucket: &str, key: &str, prefix: &str| {
        Pointer::new(bucket, key.to_owned()).is_within("my-payloads", prefix)
    };
    assert!(within("my-payloads", "k", ""));
    assert!(within("my-payloads", "mcp/k", "mcp/"));
    assert!(within("my-payloads", "mcp/a/k", "mcp/"));
    for (bucket, key) in [
        ("other", "mcp/k"),
        ("my-payloads", "k"),
        ("my-payloads", "mcp"),
        ("my-payloads", "mcp/"),
        ("my-payloads", "mcp2/k"),
        ("my-payloads", "/mcp/k"),
        ("my-payloads", "mcp/../secrets/k"),
        ("my-payloads", "mcp/./k"),
        ("my-payloads", "mcp/k\n"),
        ("my-payloads", "other/mcp/k"),
    ] {
        assert!(!within(bucket, key, "mcp/"), "{bucket} {key}");
    }
    assert!(!within("my-payloads", &"k".repeat(1025), ""));
}

#[tokio::test]
async fn without_configuration_a_pointer_is_refused_with_a_reason() {
    assert!(restore(None, r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).await.unwrap().is_none());
    for body in POINTERS {
        let error = restore(None, body).await.unwrap_err();
        assert!(matches!(&error, PayloadError::Malformed(_)), "{error:?}");
        assert!(error.to_string().contains("large_payloads is not configured"), "{error}");
    }
}

#[test]
fn names_are_random_uuids() {
    let name = random_name().unwrap();
    let lengths: Vec<usize> = name.split('-').map(str::len).collect();
    assert_eq!(lengths, [8, 4, 4, 4, 12]);
    assert_eq!(name.as_bytes()[14], b'4', "{name}");
    assert!(matches!(name.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{name}");
    assert_ne!(name, random_name().unwrap());
}

#[test]
fn settings_that_cannot_be_are_problems() {
    let keys = |config: &LargePayloadsConfig| -> Vec<String> {
        let problems = config.problems().into_iter();
        problems
            .filter(|problem| !problem.what.contains("built without"))
            .map(|problem| problem.key)
            .collect()
    };
    assert!(keys(&config("")).is_empty());
    assert!(keys(&config("mcp/payloads/")).is_empty());
    assert_eq!(keys(&LargePayloadsConfig::default()), ["bucket"]);
    for bucket in ["ab", "My-Payloads", "a..b", "-ab", "a/b", "a_b", &"a".repeat(64)] {
        assert_eq!(
            keys(&LargePayloadsConfig { bucket: bucket.into(), ..config("") }),
            ["bucket"],
            "{bucket}"
        );
    }
    for prefix in ["mcp", "/", "/mcp/", "mcp//", "../", "mcp/./", "a b/", "ä/"] {
        assert_eq!(keys(&config(prefix)), ["prefix"], "{prefix}");
    }
    let sizes = LargePayloadsConfig { threshold: Some(0), max_message: 0, ..config("") };
    assert_eq!(keys(&sizes), ["threshold", "max_message"]);
    let unknown =
        LargePayloadsConfig { region: Some("EU".into()), endpoint_url: Some("x".into()), ..config("") };
    assert_eq!(keys(&unknown), ["endpoint_url", "region"]);
}

#[cfg(not(feature = "large-payloads"))]
#[tokio::test]
async fn a_build_without_s3_says_so() {
    assert!(config("").problems()[0].what.contains("built without"));
    let error = LargePayloads::connect(config(""), &ClientSettings::default(), "").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("large-payloads"), "{error}");
}

#[cfg(feature = "large-payloads")]
mod over_s3;
