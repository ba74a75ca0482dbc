//! The proxy over SQS: what it asks of the API, how near it comes to what the emulator can carry, and whether it ever waits.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use anyhow::Result;
use tokio::time::{Instant, sleep_until};

use super::{PROXY_KEY, float, median, milliseconds, progress};
use crate::{
    figure::{Report, Target},
    part::Part,
    parts::{
        Role, bare_loop,
        far_end::{ApiCalls, Ready},
        generator::{Calls, Request},
    },
    plan::Plan,
};

const GROUP: &str = "SQS emulator";

/// API calls of the proxy for a lone call.
const LONE: Target = Target::AtMost(2.2);

/// API calls of the proxy a call with 64 in flight.
const BUSY: Target = Target::AtMost(0.4);

/// The share of the bare loop's calls a second that is to be reached.
const SHARE: Target = Target::AtLeast(80.0);

/// What a call after an idle time may take: far less than any pause that somebody put there.
const AFTER_IDLE: Target = Target::AtMost(50.0);

/// How many calls are in flight where the most is asked of it.
const IN_FLIGHT: usize = 64;

/// Stopped in this order, so that none misses another.
struct Parts {
    generator: Part,
    bare_loop: Part,
    proxy: Part,
    address: SocketAddr,
    far_end: Part,
}

pub(super) async fn measure(plan: &Plan, report: &mut Report) -> Result<()> {
    let mut parts = Parts::start()?;
    progress("SQS, one call in flight")?;
    let lone = parts.load(plan, 1)?;
    add_load(report, 1, &lone);
    report.add_against(GROUP, "1 in flight: API calls of ours a call", lone.api_calls_each(), "", LONE);
    let mut rounds: Vec<(Loaded, Ceiling)> = Vec::new();
    for round in 1..=plan.rounds {
        progress(format!("SQS, {IN_FLIGHT} calls in flight, round {round} of {}", plan.rounds))?;
        rounds.push((parts.load(plan, IN_FLIGHT)?, parts.ceiling(plan)?));
    }
    if let Some((busy, _)) = rounds.last() {
        add_load(report, IN_FLIGHT, busy);
    }
    let each = median(rounds.iter().map(|(busy, _)| busy.api_calls_each()).collect());
    report.add_against(GROUP, format!("{IN_FLIGHT} in flight: API calls of ours a call"), each, "", BUSY);
    let ceiling = median(rounds.iter().map(|(_, ceiling)| ceiling.per_second).collect());
    report.add(GROUP, format!("{IN_FLIGHT} in flight: the bare loop, calls a second"), ceiling, "/s");
    let share = median(
        rounds.iter().map(|(busy, ceiling)| 100.0 * busy.calls.per_second / ceiling.per_second).collect(),
    );
    report.add_against(GROUP, format!("{IN_FLIGHT} in flight: share of the bare loop"), share, "%", SHARE);
    let cpu = median(rounds.iter().map(|(_, ceiling)| ceiling.cpu).collect());
    report.add(GROUP, format!("{IN_FLIGHT} in flight: the bare loop, CPU time a call"), cpu, "µs");
    let all = median(rounds.iter().map(|(busy, _)| busy.cpu_of_all).collect());
    report.add(GROUP, format!("{IN_FLIGHT} in flight: CPU time a call of all parts"), all, "µs");
    let all = median(rounds.iter().map(|(_, ceiling)| ceiling.cpu_of_all).collect());
    report.add(
        GROUP,
        format!("{IN_FLIGHT} in flight: the bare loop, CPU time a call of all parts"),
        all,
        "µs",
    );
    parts.call_after_idle(plan.idle, report).await
}

/// A load, and the API calls that the proxy made meanwhile.
struct Loaded {
    calls: Calls,
    /// CPU time a call in microseconds: the proxy's, and that of all parts.
    cpu: f64,
    cpu_of_all: f64,
    api_calls: BTreeMap<String, u64>,
}

/// What the bare loop came to, in the same terms.
struct Ceiling {
    per_second: f64,
    cpu: f64,
    cpu_of_all: f64,
}

impl Parts {
    fn start() -> Result<Self> {
        let (far_end, Ready { endpoint, requests }) = Part::start(Role::FarEnd, &[])?;
        let sqs = ["--endpoint", &endpoint, "--requests", &requests];
        let (proxy, address) = Part::serve(Role::SqsProxy, &sqs)?;
        let (bare_loop, ()) = Part::start(Role::BareLoop, &sqs)?;
        let (generator, ()) = Part::start(Role::Generator, &[])?;
        Ok(Self { generator, bare_loop, proxy, address, far_end })
    }

    fn load(&mut self, plan: &Plan, connections: usize) -> Result<Loaded> {
        let before = self.api_calls()?;
        let (cpu, others) = (self.proxy.cpu_time()?, self.generator.cpu_time()? + self.far_end.cpu_time()?);
        let (address, warm_up, duration) = (self.address, plan.warm_up, plan.duration);
        let request = Request::Load { address, is_mcp: true, connections, warm_up, duration };
        let calls: Calls = self.generator.ask(&request)?;
        let cpu = self.proxy.cpu_time()?.saturating_sub(cpu);
        let others = (self.generator.cpu_time()? + self.far_end.cpu_time()?).saturating_sub(others);
        let mut api_calls = self.api_calls()?;
        for (action, count) in &mut api_calls {
            *count -= before.get(action).copied().unwrap_or_default();
        }
        api_calls.retain(|_, count| *count > 0);
        Ok(Loaded {
            cpu: each(cpu, calls.made),
            cpu_of_all: each(cpu + others, calls.made),
            calls,
            api_calls,
        })
    }

    fn api_calls(&mut self) -> Result<BTreeMap<String, u64>> {
        let mut calls: ApiCalls = self.far_end.ask(&())?;
        Ok(calls.remove(PROXY_KEY).unwrap_or_default())
    }

    fn ceiling(&mut self, plan: &Plan) -> Result<Ceiling> {
        let (cpu, others) = (self.bare_loop.cpu_time()?, self.far_end.cpu_time()?);
        let (warm_up, duration) = (plan.warm_up, plan.duration);
        let request = bare_loop::Request { in_flight: IN_FLIGHT, warm_up, duration };
        let bare_loop::Done { made, per_second } = self.bare_loop.ask(&request)?;
        let cpu = self.bare_loop.cpu_time()?.saturating_sub(cpu);
        let others = self.far_end.cpu_time()?.saturating_sub(others);
        Ok(Ceiling { per_second, cpu: each(cpu, made), cpu_of_all: each(cpu + others, made) })
    }

    async fn call_after_idle(&mut self, idle: Duration, report: &mut Report) -> Result<()> {
        let () = self.generator.ask(&Request::Sessions { address: self.address, count: 1 })?;
        let _: Duration = self.generator.ask(&Request::Call)?;
        progress(format!("SQS, nobody calls for {} s", idle.as_secs()))?;
        sleep_until(Instant::now() + idle).await;
        let latency: Duration = self.generator.ask(&Request::Call)?;
        let name = format!("a call after {} s without one", idle.as_secs());
        report.add_against(GROUP, name, milliseconds(latency), "ms", AFTER_IDLE);
        Ok(())
    }
}

impl Loaded {
    fn api_calls_each(&self) -> f64 {
        float(self.api_calls.values().sum()) / float(self.calls.made)
    }
}

/// In microseconds.
fn each(time: Duration, calls: u64) -> f64 {
    time.as_secs_f64() * 1e6 / float(calls)
}

fn add_load(report: &mut Report, in_flight: usize, loaded: &Loaded) {
    let Loaded { calls, cpu, cpu_of_all: _, api_calls } = loaded;
    let at = |what: &str| format!("{in_flight} in flight: {what}");
    report.add(GROUP, at("proxy, calls a second"), calls.per_second, "/s");
    report.add(GROUP, at("proxy, p50"), milliseconds(calls.p50), "ms");
    report.add(GROUP, at("proxy, p99"), milliseconds(calls.p99), "ms");
    report.add(GROUP, at("proxy, CPU time a call"), *cpu, "µs");
    for (action, count) in api_calls {
        report.add(GROUP, at(&format!("{action} a call")), float(*count) / float(calls.made), "");
    }
}
