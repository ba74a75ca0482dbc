//! The worker alone: what a bare loop gets through it, beside a far end that does nothing, and what its ledger costs.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::started::{Over, Server, Started};
use crate::{
    figure::{Place, Report},
    measure::{WORKER_KEY, comparison::Loaded, float, median, progress},
    part::Part,
    parts::{
        Role,
        far_end::{ApiCalls, Ready},
        in_flight::{Done, Request},
        requests::Kind,
    },
    plan::Plan,
};

/// What each round came to.
#[derive(Default)]
struct Rounds {
    per_second: Vec<f64>,
    /// CPU time of the worker a call, in microseconds.
    cpu: Vec<f64>,
    /// API calls of the worker a call.
    api_calls: Vec<f64>,
}

pub(super) async fn measure(over: Over, proxy: &Path, plan: &Plan, report: &mut Report) -> Result<()> {
    for in_flight in [1, 32] {
        let (server, address) = Part::serve(Role::StreamableServer, &[])?;
        let url = format!("http://{address}/mcp");
        let started = Started::new(over, proxy, Server::Url(&url)).await?;
        let place = group(over).at(in_flight);
        if over == Over::StreamableHttp {
            beside_the_server(started, (server, address), plan, report, place, in_flight)?;
        } else {
            beside_a_far_end(over, started, plan, report, place, in_flight)?;
        }
    }
    Ok(())
}

fn group(over: Over) -> Place {
    Place::group(match over {
        Over::Sqs => "The worker alone over the SQS emulator, by calls in flight",
        Over::SnsSqs => "The worker alone over the SNS+SQS emulator, by calls in flight",
        Over::Webhook => "The worker alone over webhooks, by calls in flight",
        Over::StreamableHttp => "The worker alone over Streamable HTTP, by connections",
    })
}

/// Bare loops, one to the worker and one to a far end that does nothing.
fn beside_a_far_end(
    over: Over,
    mut started: Started,
    plan: &Plan,
    report: &mut Report,
    place: Place,
    in_flight: usize,
) -> Result<()> {
    let (_far_end, mut to_far_end) = far_end(over)?;
    let mut to_worker = match over.queues().zip(started.emulator.as_ref()) {
        Some((transport, (_, ready))) => {
            Part::start::<()>(Role::BareLoop, &transport.loop_arguments(ready))?.0
        }
        None => Part::start::<()>(Role::WebhookLoop, &["--server-url", started.url()])?.0,
    };
    let (mut written, mut unwritten, mut ceiling) = (Rounds::default(), Rounds::default(), Vec::new());
    for round in 1..=plan.rounds_of_ways {
        progress(format!(
            "the worker alone over {}, {in_flight} calls in flight, round {round} of {}",
            over.name(),
            plan.rounds_of_ways
        ))?;
        let (warm_up, duration) = (plan.warm_up, plan.duration);
        for (kind, rounds) in [(Kind::Call, &mut written), (Kind::Prompt, &mut unwritten)] {
            let request = Request { in_flight, kind, warm_up, duration };
            rounds.add(&mut started, &mut to_worker, request)?;
        }
        let done: Done = to_far_end.ask(&Request { in_flight, kind: Kind::Call, warm_up, duration })?;
        ceiling.push(done.per_second);
    }
    let rates = written.per_second.iter().zip(&ceiling);
    let share = median(rates.map(|(worker, ceiling)| 100.0 * worker / ceiling).collect());
    written.add_figures("worker", report, place);
    unwritten.add_figures("worker, nothing to write down", report, place);
    report.add(place, "a far end that does nothing, calls a second", median(ceiling), "/s");
    report.add(place, "share of that", share, "%");
    Ok(())
}

/// A far end that does nothing, and the loop to it.
fn far_end(over: Over) -> Result<(Part, Part)> {
    if let Some(transport) = over.queues() {
        let (far_end, ready): (_, Ready) = Part::start(Role::FarEnd, &[])?;
        let (bare_loop, ()) = Part::start(Role::BareLoop, &transport.loop_arguments(&ready))?;
        Ok((far_end, bare_loop))
    } else {
        let (server, address) = Part::serve(Role::WebhookServer, &[])?;
        let url = format!("http://{address}/mcp/request");
        let (bare_loop, ()) = Part::start(Role::WebhookLoop, &["--server-url", &url])?;
        Ok((server, bare_loop))
    }
}

/// Over Streamable HTTP the load is the one of everywhere, and the server itself is what to compare with.
fn beside_the_server(
    started: Started,
    server: (Part, std::net::SocketAddr),
    plan: &Plan,
    report: &mut Report,
    place: Place,
    connections: usize,
) -> Result<()> {
    let (mut generator, ()) = Part::start(Role::Generator, &[])?;
    let address = started.url().trim_start_matches("http://").trim_end_matches("/mcp").parse()?;
    let mut worker = Loaded::new("worker", (started.worker, address));
    let mut direct = Loaded::new("going there directly", server);
    for round in 1..=plan.rounds_of_ways {
        progress(format!(
            "the worker alone over Streamable HTTP, {connections} connections, round {round} of {}",
            plan.rounds_of_ways
        ))?;
        worker.load(&mut generator, plan, connections)?;
        direct.load(&mut generator, plan, connections)?;
    }
    worker.add_figures(report, place);
    direct.add_figures(report, place);
    let rates = worker.rounds().iter().zip(direct.rounds());
    let share = rates.map(|(worker, direct)| 100.0 * worker.per_second / direct.per_second).collect();
    report.add(place, "share of the calls a second of going there directly", median(share), "%");
    Ok(())
}

impl Rounds {
    fn add(&mut self, started: &mut Started, bare_loop: &mut Part, request: Request) -> Result<()> {
        let (cpu, api_calls) = (started.worker.cpu_time()?, api_calls(started)?);
        let done: Done = bare_loop.ask(&request).context("through the worker")?;
        let cpu = started.worker.cpu_time()?.saturating_sub(cpu);
        self.per_second.push(done.per_second);
        self.cpu.push(cpu.as_secs_f64() * 1e6 / float(done.made));
        if let Some((before, after)) = api_calls.zip(self::api_calls(started)?) {
            self.api_calls.push(float(after - before) / float(done.made));
        }
        Ok(())
    }

    fn add_figures(self, name: &str, report: &mut Report, place: Place) {
        report.add(place, format!("{name}, calls a second"), median(self.per_second), "/s");
        report.add(place, format!("{name}, CPU time a call"), median(self.cpu), "µs");
        if !self.api_calls.is_empty() {
            report.add(place, format!("{name}, API calls a call"), median(self.api_calls), "");
        }
    }
}

/// How many the worker has made, where there is an API.
fn api_calls(started: &mut Started) -> Result<Option<u64>> {
    let Some((emulator, _)) = &mut started.emulator else { return Ok(None) };
    let mut calls: ApiCalls = emulator.ask(&())?;
    Ok(Some(calls.remove(WORKER_KEY).unwrap_or_default().values().sum()))
}
