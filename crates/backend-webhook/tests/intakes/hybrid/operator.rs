//! What an operator is told.

use backend_webhook::streamable_http;
use proxy_core::operator::{Check, Mode, Verdict};

use super::{World, configured};
use crate::desk::in_time;

#[tokio::test]
async fn doctor_knows_a_running_worker_and_provision_what_is_to_be_done_by_hand() {
    let world = World::start().await;
    let config = configured(|config| {
        config.listen = world.intake.address();
        config.webhook_tools = vec!["slow".to_owned()];
    });
    let mut checks: Vec<Check> = Vec::new();
    in_time(streamable_http::intake_doctor(&config, None, &mut |check| checks.push(check))).await;
    assert!(checks.iter().all(|check| matches!(check.verdict, Verdict::Good(_))), "{checks:?}");
    let mut steps = Vec::new();
    let mut report = |step| steps.push(step);
    let policies = streamable_http::intake_provision(&config, Mode::Apply, &mut report).await.unwrap();
    assert!(policies.is_empty());
    assert!(steps[0].name.ends_with("/mcp"), "{steps:?}");
}
