//! The whole way: client, proxy, transport, worker, server; in turns with going there directly.

use std::path::Path;

use anyhow::Result;

use super::started::{Over, Server, Started};
use crate::{
    figure::{Place, Report},
    measure::{comparison::Loaded, float, median, milliseconds, progress},
    part::Part,
    parts::{Role, generator::Calls, in_flight::Request, requests::Kind},
    plan::Plan,
};

/// One way through a proxy and a worker.
struct Way {
    name: &'static str,
    proxy: Loaded,
    started: Started,
    /// CPU time a call in microseconds, each round.
    worker_cpu: Vec<f64>,
    /// What going there directly took, each round.
    direct: Vec<Calls>,
}

pub(super) async fn measure(over: Over, proxy: &Path, plan: &Plan, report: &mut Report) -> Result<()> {
    let group = group(over);
    let (mut generator, ()) = Part::start(Role::Generator, &[])?;
    let (mut pipes, ()) = Part::start(Role::Pipes, &[])?;
    for connections in [1, 32] {
        let (server, address) = Part::serve(Role::StreamableServer, &[])?;
        let url = format!("http://{address}/mcp");
        let mut directly = Loaded::new("directly over HTTP", (server, address));
        let mut http = Way::start("a server over HTTP", over, proxy, Server::Url(&url)).await?;
        let mut stdio = Way::start("a server over stdio", over, proxy, Server::Stdio).await?;
        for round in 1..=plan.rounds_of_ways {
            progress(format!(
                "the whole way over {}, {connections} connections, round {round} of {}",
                over.name(),
                plan.rounds_of_ways
            ))?;
            http.load(&mut generator, plan, connections)?;
            stdio.load(&mut generator, plan, connections)?;
            directly.load(&mut generator, plan, connections)?;
            http.direct.extend(directly.rounds().last());
            let (warm_up, duration) = (plan.warm_up, plan.duration);
            let request = Request { in_flight: connections, kind: Kind::Call, warm_up, duration };
            stdio.direct.push(pipes.ask(&request)?);
        }
        for way in [http, stdio] {
            way.add_figures(report, group.at(connections));
        }
    }
    Ok(())
}

fn group(over: Over) -> Place {
    Place::group(match over {
        Over::Sqs => "The whole way over the SQS emulator, with a worker, by connections",
        Over::SnsSqs => "The whole way over the SNS+SQS emulator, with a worker, by connections",
        Over::Webhook => "The whole way over webhooks, with a worker, by connections",
        Over::StreamableHttp => "The whole way over Streamable HTTP, with a worker, by connections",
    })
}

impl Way {
    async fn start(name: &'static str, over: Over, proxy: &Path, server: Server<'_>) -> Result<Self> {
        let started = Started::new(over, proxy, server).await?;
        let proxy = Loaded::new(name, started.proxy(proxy).await?);
        Ok(Self { name, proxy, started, worker_cpu: Vec::new(), direct: Vec::new() })
    }

    fn load(&mut self, generator: &mut Part, plan: &Plan, connections: usize) -> Result<()> {
        let before = self.started.worker.cpu_time()?;
        self.proxy.load(generator, plan, connections)?;
        let used = self.started.worker.cpu_time()?.saturating_sub(before);
        let made = self.proxy.rounds().last().map_or(0, |calls| calls.made);
        self.worker_cpu.push(used.as_secs_f64() * 1e6 / float(made));
        Ok(())
    }

    fn add_figures(self, report: &mut Report, place: Place) {
        self.proxy.add_figures(report, place);
        let Self { name, proxy, worker_cpu, direct, .. } = self;
        let named = |what: &str| format!("{name}, {what}");
        report.add(place, named("CPU time a call of the worker"), median(worker_cpu), "µs");
        let of = |of: fn(&Calls) -> f64| median(direct.iter().map(of).collect());
        report.add(place, named("directly: calls a second"), of(|calls| calls.per_second), "/s");
        report.add(place, named("directly: p50"), of(|calls| milliseconds(calls.p50)), "ms");
        let pairs = proxy.rounds().iter().zip(&direct);
        let added = pairs.map(|(way, direct)| milliseconds(way.p50) - milliseconds(direct.p50)).collect();
        report.add(place, named("p50 added to that"), median(added), "ms");
    }
}
