//! The policies that `provision` prints, held against what a real server and the proxy call.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use e2e::{
    fixtures,
    kind::Kind,
    process::PATIENCE,
    proxy::{ACCESS_KEY, Proxy, Settings},
    stories,
    world::FarEnd,
};
use serde_json::Value;
use testkit::emulator::Emulator;
use tokio::time::timeout;

/// What the names of created queues begin with.
const CREATED: &str = "mcp-proxy-responses-";

stories! {
    the_printed_policies_are_what_is_used: sqs, snssqs;
}

/// Actions, each with what it is allowed or used on.
type Permissions = BTreeSet<(String, String)>;

/// The server needs exactly what its policy says, the proxy nothing that its own does not. (That it needs all of it, its crate's tests
/// show, which play what is rare.)
async fn the_printed_policies_are_what_is_used(kind: Kind) -> Result<()> {
    for is_created in [false, true] {
        let far_end = FarEnd::start(kind).await?;
        let mut settings = far_end.settings("");
        if is_created {
            settings.backend = settings.backend.with_created_queue();
        }
        let proxy = Proxy::start(settings.clone()).await?;
        let seen = fixtures::python_client("call", &proxy.url(), &[]).await?;
        assert_eq!(seen["echo"], "hello through the proxy");
        proxy.stop().await?;
        let emulator = far_end.emulator()?;
        // Before `provision`, which is the operator's and needs more.
        let (proxys, servers) = (used(emulator, ACCESS_KEY), used(emulator, fixtures::SERVERS_ACCESS_KEY));
        let policies = printed(&settings).await?;
        assert_eq!(servers, allowed(&policies, "the server")?, "{policies:#}");
        let allowed = allowed(&policies, "the proxy")?;
        assert!(proxys.is_subset(&allowed), "{:?} is used and not allowed", proxys.difference(&allowed));
        assert!(proxys.len() > 3, "{proxys:?}");
    }
    Ok(())
}

async fn printed(settings: &Settings) -> Result<Value> {
    let file = settings.write()?;
    let mut provision = file.command("provision")?;
    let output =
        timeout(PATIENCE, provision.args(["--dry-run", "--json"]).kill_on_drop(true).output()).await??;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    Ok(report["policies"].clone())
}

fn allowed(policies: &Value, principal: &str) -> Result<Permissions> {
    let policies = policies.as_array().context("no policies")?;
    let policy = policies.iter().find(|policy| policy["principal"] == principal).context("not its policy")?;
    let texts = |value: &Value| -> Vec<String> {
        let one = value.as_str().map(str::to_owned);
        let many = value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        one.into_iter().chain(many).collect()
    };
    let mut allowed = Permissions::new();
    for statement in policy["document"]["Statement"].as_array().context("no statements")? {
        assert_eq!(statement["Effect"], "Allow");
        for action in texts(&statement["Action"]) {
            for resource in texts(&statement["Resource"]) {
                let name = resource.rsplit(':').next().unwrap_or_default().to_owned();
                allowed.insert((action.clone(), name));
            }
        }
    }
    Ok(allowed)
}

/// All created queues are one.
fn used(emulator: &Emulator, access_key: &str) -> Permissions {
    let uses = emulator.uses().into_iter().filter(|used| used.access_key == access_key);
    uses.map(|used| {
        let is_created = used.resource.starts_with(CREATED);
        (used.permission, if is_created { format!("{CREATED}*") } else { used.resource })
    })
    .collect()
}
