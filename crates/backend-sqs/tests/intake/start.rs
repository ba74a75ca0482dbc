//! Starting: what must be there, and what is said of what is not.

use prometheus_client::registry::Registry;
use proxy_core::{error::ErrorKind, intake::Intake as _};
use testkit::emulator::{Emulator, Failure, ServiceError};

use crate::harness::{LETTERS, REQUESTS, Setup, WORKER, World, connect, emulator};

#[tokio::test]
async fn each_missing_permission_is_named() {
    for (denied, on) in [
        ("sqs:GetQueueAttributes", REQUESTS),
        ("sqs:ReceiveMessage", REQUESTS),
        ("sqs:DeleteMessage", REQUESTS),
        ("sqs:ChangeMessageVisibility", REQUESTS),
        ("sqs:SendMessage", REQUESTS),
        ("sqs:CreateQueue", "mcp-worker-"),
    ] {
        let emulator = emulator().await;
        emulator.deny_to(WORKER, denied);
        let error = connect(&emulator, Setup::default(), &mut Registry::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{denied}");
        let text = error.to_string();
        assert!(text.contains(denied) && text.contains(on), "{denied}: {text}");
        let queues = emulator.client().list_queues().queue_name_prefix("mcp-worker-").send().await.unwrap();
        assert!(queues.queue_urls().is_empty(), "a start that fails leaves nothing behind");
    }
}

#[tokio::test]
async fn a_dead_letter_queue_that_is_gone_is_said_at_start() {
    let emulator = emulator().await;
    let delete = emulator.client().delete_queue().queue_url(emulator.queue_url(LETTERS));
    delete.send().await.unwrap();
    let error = connect(&emulator, Setup::default(), &mut Registry::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("the dead-letter queue"), "{error}");
}

#[tokio::test]
async fn a_restart_waits_until_aws_creates_the_same_queue_again() {
    let emulator = emulator().await;
    let refused = ServiceError::new("AWS.SimpleQueueService.QueueDeletedRecently", 400, "wait 60 seconds");
    emulator.fail_next_of(WORKER, "CreateQueue", Failure::Error(refused), 1);
    let mut world = World::with(emulator, Setup::default()).await;
    assert_eq!(world.emulator.calls().of(WORKER, "CreateQueue"), 2);
    world.stop().await;
}

#[tokio::test]
async fn readiness_follows_the_polls() {
    let mut world = World::start().await;
    world.intake.check().await.unwrap();
    world.stop().await;
    let emulator = Emulator::start().await.unwrap();
    let error = connect(&emulator, Setup::default(), &mut Registry::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}
