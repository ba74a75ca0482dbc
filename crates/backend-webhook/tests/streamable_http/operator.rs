//! What an operator is told, and what is wrong with settings.

use axum::http::Method;
use backend_webhook::{StreamableHttpBackend, StreamableHttpConfig, StreamableHttpParts, streamable_http};
use proxy_core::operator::{Change, Check, Mode, Step, Verdict};

use crate::{harness::in_time, server::Server};

async fn doctor(config: &StreamableHttpConfig, server: &mut Server, status: u16) -> Vec<Check> {
    let mut checks = Vec::new();
    let asking = async {
        for method in [Method::OPTIONS, Method::GET] {
            let got = server.got().await;
            assert_eq!(got.method, method);
            assert!(got.header("mcp-session-id").is_some(), "without one it would begin a session");
            let body = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"no"}}"#;
            got.answer(status, "application/json", body);
        }
    };
    let report = &mut |check| checks.push(check);
    tokio::join!(in_time(streamable_http::doctor(config, None, report)), asking);
    checks
}

fn verdict<'check>(checks: &'check [Check], subject: &str) -> &'check Verdict {
    &checks.iter().find(|check| &*check.subject == subject).expect("it was looked at").verdict
}

#[tokio::test]
async fn doctor_asks_without_beginning_a_session() {
    let mut server = Server::start().await;
    let config = StreamableHttpConfig::new(server.url.clone());
    let checks = doctor(&config, &mut server, 404).await;
    for subject in ["configuration", "server", "clock", "standalone stream"] {
        assert!(matches!(verdict(&checks, subject), Verdict::Good(_)), "{checks:?}");
    }
    assert!(matches!(verdict(&checks, "callback"), Verdict::Skipped(_)), "{checks:?}");
    let checks = doctor(&config, &mut server, 405).await;
    assert!(
        matches!(verdict(&checks, "standalone stream"), Verdict::Good(what) if what.contains("none")),
        "{checks:?}"
    );
}

#[tokio::test]
async fn doctor_says_what_is_wrong_with_the_settings() {
    let mut checks = Vec::new();
    let config = StreamableHttpConfig::new("");
    streamable_http::doctor(&config, None, &mut |check| checks.push(check)).await;
    assert!(matches!(verdict(&checks, "configuration"), Verdict::Failed { .. }), "{checks:?}");
    assert_eq!(checks.len(), 1);
}

#[tokio::test]
async fn nothing_is_provisioned() {
    let mut config = StreamableHttpConfig::new("http://127.0.0.1:1/mcp");
    for url in [None, Some("http://127.0.0.1:2/callback".to_owned())] {
        config.webhook_url = url;
        for mode in [Mode::Apply, Mode::DryRun, Mode::Destroy] {
            let mut steps: Vec<Step> = Vec::new();
            let report = &mut |step| steps.push(step);
            assert_eq!(streamable_http::provision(&config, mode, report).await.unwrap(), []);
            assert!(steps.len() == 1 && steps[0].change == Change::ByHand, "{steps:?}");
        }
    }
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused_at_start() {
    let mut config = StreamableHttpConfig::new("ftp://127.0.0.1/mcp");
    config.share = true;
    config.max_message = 0;
    config.client_id = Some("a b".to_owned());
    config.timeout = std::time::Duration::ZERO;
    let keys: Vec<_> = config.validate().into_iter().map(|problem| problem.key).collect();
    assert_eq!(keys, ["server_url", "share", "max_message", "client_id", "timeout"]);
    let parts = StreamableHttpParts {
        inbox: proxy_core::Router::new(
            proxy_core::id::InstanceId::random(),
            proxy_core::config::SessionConfig::default(),
            1024,
            &mut prometheus_client::registry::Registry::default(),
        ),
        instance: proxy_core::id::InstanceId::random(),
        request_timeout_max: std::time::Duration::from_hours(1),
        registry: &mut prometheus_client::registry::Registry::default(),
        listener: None,
        tls: None,
    };
    let error = StreamableHttpBackend::connect(config, parts).await.unwrap_err();
    assert_eq!(error.kind().as_str(), "config");
    assert!(error.to_string().contains("server_url"), "{error}");
}
