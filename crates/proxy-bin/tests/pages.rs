//! The backends' pages under docs/ say what the program does: each example is a configuration, and the policies are those that the
//! example's needs.

#![cfg(all(feature = "snssqs", feature = "sqs", feature = "streamable-http-webhook", feature = "webhook"))]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test's helper cannot do fails the test")]

use std::path::PathBuf;

use proxy_app::config::{Inputs, load};

const PAGES: [&str; 4] = ["sqs", "snssqs", "webhook", "streamable-http-webhook"];

fn page(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/backends/{name}.md"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The blocks of a page in this language, in their order.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let begins = format!("\n```{language}\n");
    page.split(&begins).skip(1).filter_map(|rest| Some(rest.split_once("\n```")?.0.to_owned())).collect()
}

/// The settings of a page's first example under this table.
fn shortest<T: serde::de::DeserializeOwned>(page: &str, table: &str) -> T {
    let example = blocks(page, "toml").into_iter().next().expect("an example");
    let example: toml::Table = toml::from_str(&example).unwrap();
    example["backend"][table].clone().try_into().unwrap()
}

/// Every policy that the page shows, in its order: the proxy's, then the server's.
fn shown(page: &str) -> Vec<serde_json::Value> {
    blocks(page, "json").iter().map(|block| serde_json::from_str(block).unwrap()).collect()
}

fn generated(policies: &[proxy_core::operator::Policy]) -> Vec<serde_json::Value> {
    let principals: Vec<_> = policies.iter().map(|policy| policy.principal).collect();
    assert_eq!(principals, ["the proxy", "the server"]);
    policies.iter().map(|policy| serde_json::from_str(&policy.document).unwrap()).collect()
}

/// The names of the statements that the proxy's policy has.
fn statements(policy: &serde_json::Value) -> Vec<&str> {
    policy["Statement"].as_array().unwrap().iter().map(|one| one["Sid"].as_str().unwrap()).collect()
}

#[test]
fn every_example_is_a_configuration() {
    for name in PAGES {
        let examples = blocks(&page(name), "toml");
        assert!(!examples.is_empty(), "{name}");
        for (number, example) in examples.iter().enumerate() {
            let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
            let file = folder.join(format!("page-{name}-{number}.toml"));
            std::fs::write(&file, example).unwrap();
            let loaded = load(&Inputs { file: Some(file), ..Inputs::default() });
            let loaded = loaded.unwrap_or_else(|refused| panic!("{name}: {:?}", refused.problems));
            assert_eq!(loaded.config.choose_backend().unwrap().name(), name);
        }
    }
}

#[test]
fn the_variables_that_the_reference_shows_are_taken() {
    let reference = include_str!("../../../docs/CONFIGURATION.md").replace("\n  ", "\n");
    let [shown] = blocks(&reference, "sh").try_into().unwrap();
    let variables = shown.lines().map(|line| {
        let (name, value) = line.split_once('=').unwrap();
        (name.to_owned(), value.trim_matches('\'').to_owned())
    });
    let own = ("MCP_PROXY_BACKEND__SQS__READ_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/1/requests");
    let variables: Vec<_> = variables.chain([(own.0.to_owned(), own.1.to_owned())]).collect();
    let refused = load(&Inputs { variables, ..Inputs::default() }).unwrap_err();
    // only the file with the token is not there
    assert_eq!(refused.problems.len(), 1, "{:?}", refused.problems);
    assert!(refused.problems[0].to_string().contains("/run/secrets/ci"), "{:?}", refused.problems);
}

#[test]
fn the_policies_for_sqs_are_those_of_the_shortest_configuration() {
    let page = page("sqs");
    let mut config: backend_sqs::SqsConfig = shortest(&page, "sqs");
    assert_eq!(shown(&page), generated(&backend_sqs::policies(&config)));
    // what the page says of the others
    config.response_queue_url = Some(config.read_queue_url.replace("requests", "answers"));
    assert_eq!(
        statements(&generated(&backend_sqs::policies(&config))[0]),
        ["Requests", "Answers", "Workers"]
    );
}

#[test]
fn the_policies_for_snssqs_are_those_of_the_shortest_configuration() {
    let page = page("snssqs");
    let mut config: backend_snssqs::SnsSqsConfig = shortest(&page, "snssqs");
    assert_eq!(shown(&page), generated(&backend_snssqs::policies(&config)));
    config.sqs_queue_url = Some("https://sqs.eu-central-1.amazonaws.com/123456789012/answers".to_owned());
    assert_eq!(
        statements(&generated(&backend_snssqs::policies(&config))[0]),
        ["Requests", "Answers", "Workers"]
    );
}
