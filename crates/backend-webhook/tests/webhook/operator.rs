//! What an operator is told.

use std::time::Duration;

use backend_webhook::{WebhookConfig, webhook};
use proxy_core::operator::{Change, Check, Mode, Step, Verdict};
use tokio::net::TcpListener;

use crate::harness::{Server, World, in_time};

async fn doctor(config: &WebhookConfig) -> Vec<Check> {
    let mut checks = Vec::new();
    in_time(webhook::doctor(config, None, &mut |check| checks.push(check))).await;
    checks
}

fn verdict<'check>(checks: &'check [Check], subject: &str) -> &'check Verdict {
    &checks.iter().find(|check| &*check.subject == subject).expect("it was looked at").verdict
}

async fn free_address() -> std::net::SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// The configuration for a server that answers one OPTIONS.
async fn with_server(status: u16) -> (WebhookConfig, tokio::task::JoinSet<()>) {
    let mut server = Server::start().await;
    let mut config = WebhookConfig::new(server.url.clone());
    config.listen = free_address().await;
    let mut answering = tokio::task::JoinSet::new();
    answering.spawn(async move { server.got().await.answer(status, "") });
    (config, answering)
}

#[tokio::test]
async fn doctor_finds_all_well() {
    let (config, _answering) = with_server(405).await;
    let checks = doctor(&config).await;
    for subject in ["configuration", "server", "clock", "callback"] {
        assert!(matches!(verdict(&checks, subject), Verdict::Good(_)), "{checks:?}");
    }
    assert!(matches!(verdict(&checks, "encryption"), Verdict::Skipped(_)), "{checks:?}");
}

#[tokio::test]
async fn doctor_says_what_is_wrong_with_the_server() {
    let (config, _answering) = with_server(404).await;
    let checks = doctor(&config).await;
    assert!(
        matches!(verdict(&checks, "server"), Verdict::Warning { remedy, .. } if remedy.contains("/mcp/request"))
    );
    let mut config = WebhookConfig::new(format!("http://{}/mcp/request", free_address().await));
    config.listen = free_address().await;
    let checks = doctor(&config).await;
    assert!(matches!(verdict(&checks, "server"), Verdict::Failed { what, .. } if what.contains("refuses")));
}

#[tokio::test]
async fn doctor_says_what_is_wrong_with_the_callback() {
    let (mut config, _answering) = with_server(405).await;
    config.webhook_url = format!("http://{}/callback", free_address().await);
    let checks = doctor(&config).await;
    assert!(matches!(verdict(&checks, "callback"), Verdict::Failed { .. }), "{checks:?}");
    let (mut config, _answering) = with_server(405).await;
    config.server_url = "http://mcp.invalid/mcp/request".to_owned();
    let checks = doctor(&config).await;
    let Verdict::Failed { what, .. } = verdict(&checks, "callback") else { panic!("{checks:?}") };
    assert!(what.contains("this machine's own address"), "{what}");
}

#[tokio::test]
async fn doctor_knows_a_running_proxy_behind_the_callback_url() {
    let world = World::start().await;
    let running = world.backend.callback_url(&world.route());
    let (base, _) = running.split_once("/callback").unwrap();
    let (mut config, _answering) = with_server(405).await;
    config.listen = base.strip_prefix("http://").unwrap().parse().unwrap();
    for url in [format!("{base}/callback"), String::new()] {
        config.webhook_url = url;
        let checks = doctor(&config).await;
        assert!(
            matches!(verdict(&checks, "callback"), Verdict::Good(what) if what.contains("running")),
            "{checks:?}"
        );
    }
}

#[tokio::test]
async fn doctor_knows_a_port_that_is_not_the_proxys() {
    let taken = Server::start().await;
    let (mut config, _answering) = with_server(405).await;
    config.listen = taken.url.strip_prefix("http://").unwrap().split('/').next().unwrap().parse().unwrap();
    config.timeout = Duration::from_millis(300);
    for url in [String::new(), format!("http://{}/callback", config.listen)] {
        config.webhook_url = url;
        let checks = doctor(&config).await;
        assert!(
            matches!(verdict(&checks, "callback"), Verdict::Failed { what, .. } if what.contains("no running proxy")),
            "{checks:?}"
        );
    }
}

#[tokio::test]
async fn doctor_does_not_wait_for_ever_for_what_is_behind_the_callback_url() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut config, _answering) = with_server(405).await;
    config.share = true;
    config.webhook_url = format!("http://{}/callback", silent.local_addr().unwrap());
    config.timeout = Duration::from_millis(300);
    let checks = doctor(&config).await;
    assert!(matches!(verdict(&checks, "callback"), Verdict::Warning { .. }), "{checks:?}");
}

#[tokio::test]
async fn doctor_reports_every_problem_of_the_configuration_and_stops() {
    let mut config = WebhookConfig::default();
    config.max_message = 0;
    let checks = doctor(&config).await;
    assert_eq!(checks.len(), 2);
    assert!(checks.iter().all(|check| matches!(check.verdict, Verdict::Failed { .. })), "{checks:?}");
}

#[tokio::test]
async fn provision_says_what_is_to_be_done_by_hand() {
    let mut config = WebhookConfig::new("https://mcp.example.com/mcp/request");
    config.webhook_url = "https://proxy.example.com/callback".to_owned();
    for mode in [Mode::Apply, Mode::DryRun, Mode::Destroy] {
        let mut steps: Vec<Step> = Vec::new();
        let policies = webhook::provision(&config, mode, &mut |step| steps.push(step)).await.unwrap();
        assert_eq!(policies, []);
        assert_eq!(steps.len(), 1);
        assert_eq!(
            (steps[0].change, &*steps[0].name),
            (Change::ByHand, "https://proxy.example.com/callback")
        );
    }
}
