//! The settings of asyncmcp's own proxy, as it defines them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use e2e::fixtures;
use tokio::process::Command;

/// What asyncmcp's settings cannot say: its proxy names the request topic where answers should go.
const RESPONSES: &str = "backend.snssqs.response_topic_arn=arn:aws:sns:us-east-1:000000000000:responses";

/// Settings that are taken and do nothing.
const WITHOUT_EFFECT: [&str; 5] = [
    "backend_clients",
    "connection_pool_size",
    "max_retries",
    "poll_interval_seconds",
    "transport_timeout_seconds",
];

/// Every field of its `ProxyConfig` and of each transport's configuration is taken, and what does nothing is said.
#[tokio::test]
async fn every_setting_of_asyncmcps_proxy_is_taken() -> Result<()> {
    let files = fixtures::asyncmcp_settings().await?;
    let files: BTreeMap<String, String> = serde_json::from_value(files)?;
    assert_eq!(files.len(), 4);
    let folder = tempfile::tempdir()?;
    for (transport, file) in files {
        let path = folder.path().join(format!("{transport}.toml"));
        std::fs::write(&path, &file)?;
        let proxy_bin = async |command: &str, more: &[&str]| {
            let mut program = Command::new(e2e::proxy::binary()?);
            program.args(["config", command, "--config"]).arg(&path).args(more);
            if transport == "sns_sqs" {
                program.args(["--set", RESPONSES]);
            }
            anyhow::Ok(program.output().await?)
        };
        let checked = proxy_bin("check", &[]).await?;
        let said = String::from_utf8(checked.stderr)?;
        assert!(checked.status.success(), "{transport}: {said}\n{file}");
        let idle = said.lines().filter_map(|warning| warning.split_once(" has no effect"));
        let idle: Vec<_> = idle.filter_map(|(key, _)| key.rsplit([' ', '.']).next()).collect();
        for name in file.lines().filter_map(|line| Some(line.split_once(" = ")?.0)) {
            assert_eq!(idle.contains(&name), WITHOUT_EFFECT.contains(&name), "{transport}, {name}: {said}");
        }
        let shown = proxy_bin("show", &[]).await?;
        let shown = String::from_utf8(shown.stdout)?;
        let table = transport.replace("sns_sqs", "snssqs");
        let (_, table) = shown.split_once(&format!("[backend.{table}]")).context("its table is not there")?;
        assert!(table.contains("client_id = \"python\""), "{shown}");
        assert!(shown.contains("http://localhost:3000"), "{shown}");
    }
    Ok(())
}
