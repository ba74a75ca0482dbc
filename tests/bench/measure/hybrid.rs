//! The proxy in front of a Streamable HTTP server, in turns with going there directly.

use std::path::Path;

use anyhow::Result;

use super::{
    binary,
    comparison::{Comparison, Loaded, Targets},
};
use crate::{
    figure::{Place, Report, Target},
    part::Part,
    parts::Role,
    plan::Plan,
};

const JSON: Place = Place::group("StreamableHTTP + webhook, a server that answers in JSON, by connections");
const EVENTS: Place =
    Place::group("StreamableHTTP + webhook, a server that answers in events, by connections");

/// The p50 at one connection may be this much above that of going there directly.
const ADDED: Target = Target::AtMost(0.1);

/// The share of the direct calls a second that is to be reached at 32 connections.
const SHARE: Target = Target::AtLeast(30.0);

pub(super) async fn measure(proxy: &Path, plan: &Plan, report: &mut Report) -> Result<()> {
    let (mut generator, ()) = Part::start(Role::Generator, &[])?;
    for (group, arguments) in [(JSON, &[][..]), (EVENTS, &["--events"][..])] {
        for (connections, targets) in [
            (1, Targets { added: Some(ADDED), share: None }),
            (32, Targets { added: None, share: Some(SHARE) }),
        ] {
            let (server, address) = Part::serve(Role::StreamableServer, arguments)?;
            let binary = binary::start(proxy, &settings(&format!("http://{address}/mcp"))).await?;
            let mut comparison = Comparison {
                proxy: Loaded::new("proxy", binary),
                other: Loaded::new("going there directly", (server, address)),
            };
            comparison.run(&mut generator, plan, connections)?;
            comparison.add_figures(report, group.at(connections), targets);
        }
    }
    Ok(())
}

/// The binary's settings in front of this server.
pub(super) fn settings(server_url: &str) -> [(&'static str, &str); 1] {
    [("backend.streamable_http_webhook.server_url", server_url)]
}
