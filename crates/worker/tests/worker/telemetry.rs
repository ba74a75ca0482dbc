//! What operators are told.

use std::collections::{BTreeMap, BTreeSet};

use proxy_core::{
    error::{BackendError, ErrorKind},
    id::{InstanceId, RemoteSession, RouteKey},
    message::RequestId,
};
use testkit::MemoryTransport;
use worker::CallKey;

use crate::bench::{Bench, Setup, ledger, receive};

/// The worker's own metrics with their labels, as the documentation has them.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let row = |line: &'static str| {
        let mut cells = line.strip_prefix("| `mcp_worker_")?.split('|');
        let name = format!("mcp_worker_{}", cells.next()?.trim().trim_end_matches('`'));
        let is_own = !name.starts_with("mcp_worker_intake") && !name.starts_with("mcp_worker_children");
        let labels = cells.nth(1)?.split(',').map(|label| label.trim().trim_matches('`').to_owned());
        is_own.then(|| (name, labels.filter(|label| label != "–").collect()))
    };
    include_str!("../../../../docs/TELEMETRY.md").lines().filter_map(row).collect()
}

/// The same, as they are.
fn counted(bench: &Bench) -> BTreeMap<String, BTreeSet<String>> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &bench.registry).unwrap();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("mcp_worker_")) {
        let (name, rest) = line.split_once(['{', ' ']).unwrap();
        let labels = rest.split_once('}').map_or("", |(labels, _)| labels);
        let labels = labels.split(',').filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
        found.entry(name.to_owned()).or_default().extend(labels);
    }
    found
}

#[tokio::test]
async fn the_documentation_names_every_metric_with_its_labels() {
    let (folder, transport) = (tempfile::tempdir().unwrap(), MemoryTransport::default());
    let file = folder.path().join("ledger");
    let before = ledger(&file);
    let key = CallKey::new(&RemoteSession::parse("left-behind").unwrap(), &RequestId::number(1));
    before.begin(key, None, 1).await.unwrap();
    before.close().await;
    let ledger = ledger(&file);
    let intake = transport.intake_of(ledger.instance().clone());
    let bench = Setup::default().start_on(transport, intake, ledger);
    let mut client = bench.transport.proxy();
    // A metric with labels shows once it has counted something.
    bench.open(&mut client, "session-1").await;
    bench.intake.fail_next_reply(BackendError::new(ErrorKind::Unavailable, "reply", "the transport is down"));
    client.request("session-1", "a", "tools/list", "{}");
    receive(&mut client).await;
    let elsewhere = RouteKey::random(&InstanceId::random());
    client.request(elsewhere.as_str(), "b", "tools/list", "{}");
    receive(&mut client).await;
    client.end("session-1");
    bench.wait_until_settled().await;
    bench.intake.wait_for_closed(1).await;
    let all = async {
        while counted(&bench).len() < documented().len() {
            tokio::task::yield_now().await;
        }
    };
    let came = tokio::time::timeout(std::time::Duration::from_secs(5), all).await;
    assert_eq!(counted(&bench), documented(), "{came:?}");
    bench.stop().await.unwrap();
}
