//! `provision` and `doctor` of the built binary, over the emulator and with the far end played by hand.

#![cfg(feature = "sqs")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what a test's helper cannot do fails the test")]

use std::{
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use testkit::emulator::Emulator;
use tokio::{process::Command, time::timeout};

/// How long anything here may take before the test fails.
const PATIENCE: Duration = Duration::from_mins(1);

async fn proxy_bin(emulator: &Emulator, arguments: &[&str]) -> Output {
    let running = command(emulator, arguments)
        .env("MCP_PROXY_BACKEND__SQS__RESPONSE_QUEUE_URL", emulator.queue_url("answers"))
        .output();
    timeout(PATIENCE, running).await.expect("the process ends").unwrap()
}

/// With reply queues of the proxy's own making.
fn command(emulator: &Emulator, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_proxy-bin"));
    command
        .args(arguments)
        .env_clear()
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", "us-east-1")
        .env("MCP_PROXY_BACKEND__SQS__READ_QUEUE_URL", emulator.queue_url("requests"))
        .env("MCP_PROXY_BACKEND__SQS__ENDPOINT_URL", emulator.endpoint_url())
        .kill_on_drop(true);
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", stdout(output), String::from_utf8(output.stderr.clone()).unwrap())
}

/// The changes that a JSON report names, each with the name of its thing.
fn changes(output: &Output) -> Vec<(String, String)> {
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(output)));
    let steps = report["steps"].as_array().unwrap().iter();
    steps
        .map(|step| (step["change"].as_str().unwrap().to_owned(), step["name"].as_str().unwrap().to_owned()))
        .collect()
}

/// Answers what an MCP server with one tool is asked, until it is dropped.
async fn serve(emulator: &Emulator) {
    let client = emulator.client();
    let (requests, answers) = (emulator.queue_url("requests"), emulator.queue_url("answers"));
    loop {
        let receive = client.receive_message().queue_url(&requests).wait_time_seconds(20);
        for message in receive.send().await.unwrap().messages() {
            let receipt = message.receipt_handle().unwrap();
            client.delete_message().queue_url(&requests).receipt_handle(receipt).send().await.unwrap();
            let request: Value = serde_json::from_str(message.body().unwrap()).unwrap();
            let result = match request["method"].as_str().unwrap() {
                "initialize" => json!({
                    "protocolVersion": request["params"]["protocolVersion"], "capabilities": { "tools": {} },
                    "serverInfo": { "name": "far end", "version": "7" },
                }),
                "tools/list" => json!({ "tools": [{ "name": "echo", "inputSchema": { "type": "object" } }] }),
                _ => continue,
            };
            let answer = json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }).to_string();
            client.send_message().queue_url(&answers).message_body(answer).send().await.unwrap();
        }
    }
}

#[tokio::test]
async fn provisioning_twice_changes_nothing_and_destroying_needs_a_word() {
    let emulator = Emulator::start().await.unwrap();
    let dry = proxy_bin(&emulator, &["provision", "--dry-run", "--json"]).await;
    assert_eq!(dry.status.code(), Some(0), "{}", said(&dry));
    assert!(changes(&dry).iter().any(|(change, name)| change == "created" && name.contains("requests")));
    assert!(emulator.depth("requests").is_none(), "a dry run creates nothing");

    let first = proxy_bin(&emulator, &["provision"]).await;
    assert_eq!(first.status.code(), Some(0), "{}", said(&first));
    assert!(stdout(&first).starts_with("created"), "{}", said(&first));
    assert!(stdout(&first).contains("sqs:SendMessage"), "the policies: {}", said(&first));
    assert!(!stdout(&first).contains('\u{1b}'), "no colour where there is no terminal");
    assert!(emulator.depth("requests").is_some() && emulator.depth("answers").is_some());

    let second = proxy_bin(&emulator, &["provision", "--json"]).await;
    assert!(changes(&second).iter().all(|(change, _)| change == "unchanged"), "{}", said(&second));

    let refused = proxy_bin(&emulator, &["provision", "--destroy"]).await;
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("--yes") && emulator.depth("requests").is_some());
    let destroyed = proxy_bin(&emulator, &["provision", "--destroy", "--yes"]).await;
    assert_eq!(destroyed.status.code(), Some(0), "{}", said(&destroyed));
    assert!(emulator.depth("requests").is_none() && emulator.depth("answers").is_none());
}

#[tokio::test]
async fn doctor_goes_the_whole_way() {
    let emulator = Emulator::start().await.unwrap();
    let provisioned = proxy_bin(&emulator, &["provision"]).await;
    assert_eq!(provisioned.status.code(), Some(0), "{}", said(&provisioned));
    let output = tokio::select! {
        output = proxy_bin(&emulator, &["doctor"]) => output,
        () = serve(&emulator) => unreachable!(),
    };
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    for line in [
        "ok       configuration: ",
        "ok       initialize: \"far end\" 7 answered in ",
        "ok       tools/list: 1 tool, in ",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    assert!(text.ends_with("All is well.\n"), "{text}");
}

#[tokio::test]
async fn doctor_names_what_is_missing() {
    let emulator = Emulator::start().await.unwrap();
    let output = proxy_bin(&emulator, &["doctor"]).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(stdout(&output).contains("\nfailed   "), "{}", said(&output));
    assert!(stdout(&output).contains("\nskipped  start: "), "{}", said(&output));

    let json = proxy_bin(&emulator, &["doctor", "--json", "--set", "server.port=x"]).await;
    assert_eq!(json.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(report["ok"], false);
    assert_eq!(report["checks"][0]["subject"], "configuration");
    assert!(report["checks"][0]["remedy"].as_str().unwrap().contains("whole number"), "{report:#}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_doctor_that_is_interrupted_leaves_nothing_behind() {
    let emulator = Emulator::start().await.unwrap();
    let requests = emulator.create_queue("requests", &[]).unwrap();
    let doctor = command(&emulator, &["doctor"]).stdout(Stdio::piped()).spawn().unwrap();
    let client = emulator.client();
    // the far end has what it is asked, and says nothing
    let receive = client.receive_message().queue_url(&requests).wait_time_seconds(20).send();
    assert_eq!(timeout(PATIENCE, receive).await.unwrap().unwrap().messages().len(), 1);
    let process = doctor.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &process]).status().unwrap().success());
    let output = timeout(PATIENCE, doctor.wait_with_output()).await.expect("the process ends").unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(stdout(&output).contains("\nfailed   end: SIGINT"), "{}", said(&output));
    let queues = client.list_queues().send().await.unwrap();
    assert_eq!(queues.queue_urls(), [requests]);
}
