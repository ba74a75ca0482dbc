//! `proxy-bin doctor` and `proxy-bin provision`.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use e2e::{
    backend::Backend,
    fixtures::{self, Served},
    http::{Session, text},
    kind::Kind,
    process::PATIENCE,
    proxy::{Proxy, Settings},
    stories, topics,
    world::FarEnd,
};
use serde_json::{Value, json};
use testkit::{emulator::Emulator, relay::Relay};
use tokio::{net::TcpListener, time::timeout};

stories! {
    a_doctor_finds_nothing_wrong_where_all_is_well: all, streamable_http;
    a_doctor_finds_a_server_that_is_gone: all;
    a_doctor_sees_whether_callbacks_come_in: webhook, streamable_http_webhook;
    what_is_provisioned_twice_serves: sqs, snssqs;
}

/// Runs a command of the binary with these settings. Returns whether it succeeded, and what it said on standard output.
async fn run(settings: &Settings, command: &str, flags: &[&str]) -> Result<(bool, String)> {
    let file = settings.write()?;
    let output = timeout(PATIENCE, file.command(command)?.args(flags).kill_on_drop(true).output()).await??;
    let mut said = String::from_utf8(output.stdout)?;
    if said.is_empty() {
        said = String::from_utf8(output.stderr)?;
    }
    Ok((output.status.success(), said))
}

async fn a_doctor_finds_nothing_wrong_where_all_is_well(kind: Kind) -> Result<()> {
    let far_end = FarEnd::start(kind).await?;
    let (is_well, said) = run(&far_end.settings(""), "doctor", &[]).await?;
    assert!(is_well, "{said}");
    let (is_well, said) = run(&far_end.settings(""), "doctor", &["--json"]).await?;
    assert!(is_well, "{said}");
    let report: Value = serde_json::from_str(&said).with_context(|| format!("no JSON: {said}"))?;
    assert!(report["checks"].as_array().is_some_and(|checks| checks.len() > 3), "{report}");
    Ok(())
}

async fn a_doctor_finds_a_server_that_is_gone(kind: Kind) -> Result<()> {
    let mut far_end = FarEnd::start(kind).await?;
    far_end.server.kill().await?;
    let (is_well, said) = run(&far_end.settings("[session]\nrequest_timeout = 3\n"), "doctor", &[]).await?;
    assert!(!is_well, "{said}");
    // Over HTTP nobody listens there; over queues nobody answers.
    let failed = if kind.is_queued() { "initialize" } else { "server" };
    let is_named = said.lines().any(|line| line.starts_with("failed") && line.contains(failed));
    assert!(is_named, "it does not say what failed:\n{said}");
    Ok(())
}

/// The server's callbacks come by a way of their own, which leads to where the proxy listens, or does not. (Over webhooks the answer
/// to `initialize`, with which the doctor ends, comes that way too.)
async fn a_doctor_sees_whether_callbacks_come_in(kind: Kind) -> Result<()> {
    let far_end = FarEnd::start(kind).await?;
    let listen = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?;
    let way = Relay::start(listen).await?;
    let table = if kind == Kind::Webhook { "webhook" } else { "streamable_http_webhook" };
    let set = |key: &str, value: &str| ["--set".to_owned(), format!("backend.{table}.{key}={value}")];
    let url = format!("{}/from/outside", way.endpoint_url());
    let flags = [set("listen", &listen.to_string()), set("webhook_url", &url), set("timeout", "2")].concat();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let settings = far_end.settings("[session]\nrequest_timeout = 3\n");
    let (is_well, said) = run(&settings, "doctor", &flags).await?;
    assert!(is_well, "{said}");

    way.refuse().await?;
    let (is_well, said) = run(&settings, "doctor", &flags).await?;
    let is_named = said.lines().any(|line| line.starts_with("failed") && line.contains("callback"));
    assert!(!is_well && is_named, "it does not say that nothing comes in:\n{said}");
    Ok(())
}

/// From nothing to a server that answers, and back to nothing.
async fn what_is_provisioned_twice_serves(kind: Kind) -> Result<()> {
    let emulator = Emulator::start().await?;
    let endpoint = emulator.endpoint_url();
    let (requests, responses) = (emulator.queue_url("requests"), emulator.queue_url("responses"));
    let settings = if kind == Kind::Sqs {
        world_of_queues(&endpoint, &requests, &responses)
    } else {
        let account = requests.rsplit('/').nth(1).context("a queue's URL names its account")?;
        let topic = |name: &str| format!("arn:aws:sns:us-east-1:{account}:{name}");
        Settings::new(
            Backend::SnsSqs {
                endpoint: endpoint.clone(),
                request_topic: topic("requests"),
                response_topic: topic("responses"),
                response_queue: Some(responses.clone()),
            },
            "",
        )
    };
    let (done, dry) = run(&settings, "provision", &["--dry-run"]).await?;
    assert!(done, "{dry}");
    assert_eq!(queues(&emulator).await?, 0, "a dry run creates nothing:\n{dry}");
    let (done, first) = run(&settings, "provision", &[]).await?;
    assert!(done, "{first}");
    let before = emulator.calls();
    let (done, second) = run(&settings, "provision", &[]).await?;
    assert!(done, "{second}");
    let since = emulator.calls().since(&before);
    for action in ["CreateQueue", "CreateTopic", "Subscribe", "SetQueueAttributes", "SetTopicAttributes"] {
        assert_eq!(since.of(e2e::proxy::ACCESS_KEY, action), 0, "the second run called {action}:\n{second}");
    }

    let served = if kind == Kind::Sqs {
        Served::Sqs { endpoint: endpoint.clone(), queue: requests.clone() }
    } else {
        // The server's own queue is its operator's.
        let queue = topics::create_queue(&endpoint, "of-the-server").await?;
        if let Backend::SnsSqs { request_topic, .. } = &settings.backend {
            topics::subscribe(&endpoint, request_topic, &queue, false).await?;
        }
        Served::SnsSqs { endpoint: endpoint.clone(), queue }
    };
    let _server = fixtures::server(&served).await?;
    let proxy = Proxy::start(settings.clone()).await?;
    let session = Session::open(&proxy.url(), "2025-11-25").await?;
    let answer = session.answer(json!(1), "echo", json!({"text": "provisioned"})).await?;
    assert_eq!(text(&answer), Some("provisioned"));
    proxy.stop().await?;

    let (done, said) = run(&settings, "provision", &["--destroy", "--yes"]).await?;
    assert!(done, "{said}");
    let left = usize::from(kind == Kind::SnsSqs);
    assert_eq!(queues(&emulator).await?, left, "{said}");
    Ok(())
}

fn world_of_queues(endpoint: &str, requests: &str, responses: &str) -> Settings {
    let backend = Backend::Sqs {
        endpoint: endpoint.to_owned(),
        read_queue: requests.to_owned(),
        response_queue: Some(responses.to_owned()),
    };
    Settings::new(backend, "")
}

async fn queues(emulator: &Emulator) -> Result<usize> {
    Ok(emulator.client().list_queues().send().await?.queue_urls().len())
}
