//! The proxy over webhooks: its latency, and how near it comes to the same messages in a bare loop.

use std::path::Path;

use anyhow::Result;

use super::{binary, comparison::Loaded, float, median, progress};
use crate::{
    figure::{Place, Report},
    part::Part,
    parts::{
        Role,
        in_flight::{Done, Request},
        requests::Kind,
    },
    plan::Plan,
};

const GROUP: Place = Place::group("Webhook, by connections");

pub(super) async fn measure(proxy: &Path, plan: &Plan, report: &mut Report) -> Result<()> {
    let (mut generator, ()) = Part::start(Role::Generator, &[])?;
    for connections in [1, 32] {
        let (server, address) = Part::serve(Role::WebhookServer, &[])?;
        let url = format!("http://{address}/mcp/request");
        let mut proxy = Loaded::new("proxy", start(proxy, &url).await?);
        let (mut bare_loop, ()) = Part::start(Role::WebhookLoop, &["--server-url", &url])?;
        let mut ceilings: Vec<(Done, f64)> = Vec::new();
        for round in 1..=plan.rounds {
            progress(format!("webhook, {connections} connections, round {round} of {}", plan.rounds))?;
            proxy.load(&mut generator, plan, connections)?;
            let before = bare_loop.cpu_time()?;
            let (warm_up, duration) = (plan.warm_up, plan.duration);
            let request = Request { in_flight: connections, kind: Kind::Call, warm_up, duration };
            let done: Done = bare_loop.ask(&request)?;
            let used = bare_loop.cpu_time()?.saturating_sub(before);
            ceilings.push((done, used.as_secs_f64() * 1e6 / float(done.made)));
        }
        drop(server);
        let group = GROUP.at(connections);
        proxy.add_figures(report, group);
        let of_loop = |of: fn(&(Done, f64)) -> f64| median(ceilings.iter().map(of).collect());
        report.add(group, "the bare loop, calls a second", of_loop(|(done, _)| done.per_second), "/s");
        report.add(group, "the bare loop, CPU time a call", of_loop(|(_, cpu)| *cpu), "µs");
        let rates = proxy.rounds().iter().zip(&ceilings);
        let share =
            median(rates.map(|(calls, (done, _))| 100.0 * calls.per_second / done.per_second).collect());
        report.add(group, "share of the calls a second of the bare loop", share, "%");
    }
    Ok(())
}

/// The binary, with callbacks to a port of its own.
pub(super) async fn start(proxy: &Path, server_url: &str) -> Result<(Part, std::net::SocketAddr)> {
    let listen = binary::free_address()?.to_string();
    let settings = [("backend.webhook.server_url", server_url), ("backend.webhook.listen", &listen)];
    binary::start(proxy, &settings).await
}
