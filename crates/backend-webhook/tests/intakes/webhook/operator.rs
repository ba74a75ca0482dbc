//! What an operator is told.

use backend_webhook::{WebhookIntakeConfig, webhook};
use proxy_core::{
    config::Secret,
    operator::{Change, Check, Mode, Verdict},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{World, configured};
use crate::desk::in_time;

async fn doctor(config: &WebhookIntakeConfig) -> Vec<Check> {
    let mut checks = Vec::new();
    in_time(webhook::intake_doctor(config, None, &mut |check| checks.push(check))).await;
    checks
}

fn verdict<'check>(checks: &'check [Check], subject: &str) -> &'check Verdict {
    &checks.iter().find(|check| &*check.subject == subject).expect("it was looked at").verdict
}

#[tokio::test]
async fn doctor_looks_at_the_address_and_at_who_reaches_it() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut config = configured(|config| config.listen = free);
    let checks = doctor(&config).await;
    for subject in ["configuration", "listener", "access"] {
        assert!(matches!(verdict(&checks, subject), Verdict::Good(_)), "{checks:?}");
    }
    config.listen = ([0, 0, 0, 0], 0).into();
    let checks = doctor(&config).await;
    assert!(matches!(verdict(&checks, "access"), Verdict::Warning { .. }), "{checks:?}");
    config.max_message = 0;
    let checks = doctor(&config).await;
    assert!(matches!(verdict(&checks, "configuration"), Verdict::Failed { .. }), "{checks:?}");
    assert_eq!(checks.len(), 1);
}

#[tokio::test]
async fn doctor_tells_a_worker_from_another_program() {
    let world = World::start().await;
    let mut config = configured(|config| config.listen = world.intake.address());
    let checks = doctor(&config).await;
    assert!(
        matches!(verdict(&checks, "listener"), Verdict::Good(what) if what.contains("running")),
        "{checks:?}"
    );
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    config.listen = other.local_addr().unwrap();
    config.timeout = std::time::Duration::from_millis(100);
    let checks = doctor(&config).await;
    assert!(matches!(verdict(&checks, "listener"), Verdict::Failed { .. }), "{checks:?}");
}

#[tokio::test]
async fn doctor_shows_the_token_to_no_other_program() {
    let at = |address| {
        configured(|config| (config.auth_token, config.listen) = (Some(Secret::new("hush")), address))
    };
    let world = World::with(at(([127, 0, 0, 1], 0).into())).await;
    let checks = doctor(&at(world.intake.address())).await;
    assert!(matches!(verdict(&checks, "listener"), Verdict::Good(_)), "{checks:?}");
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = at(other.local_addr().unwrap());
    let asked = async {
        let (mut stream, _) = other.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        String::from_utf8(head).unwrap()
    };
    let (checks, head) = in_time(async { tokio::join!(doctor(&taken), asked) }).await;
    assert!(matches!(verdict(&checks, "listener"), Verdict::Failed { .. }), "{checks:?}");
    assert!(!head.contains("hush"), "{head}");
}

#[tokio::test]
async fn provision_says_what_is_to_be_done_by_hand() {
    let config = WebhookIntakeConfig::default();
    for mode in [Mode::Apply, Mode::DryRun, Mode::Destroy] {
        let mut steps = Vec::new();
        let policies = webhook::intake_provision(&config, mode, &mut |step| steps.push(step)).await.unwrap();
        assert!(policies.is_empty());
        assert_eq!((steps.len(), steps[0].change), (1, Change::ByHand));
        assert_eq!(&*steps[0].name, "http://127.0.0.1:8000/mcp/request");
    }
}
