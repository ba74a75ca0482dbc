//! The proxy over queues: what it asks of the API, how near it comes to what the emulator can carry, and whether it ever waits.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, time::Duration};

use anyhow::Result;
use tokio::time::{Instant, sleep_until};

use super::{PROXY_KEY, binary, float, median, milliseconds, progress};
use crate::{
    figure::{Place, Report, Target},
    part::Part,
    parts::{
        Role,
        far_end::{ApiCalls, Ready},
        generator::{self, Calls},
        in_flight::{Done, Request},
        requests::Kind,
    },
    plan::Plan,
};

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

/// How requests and answers travel.
#[derive(Debug, Clone, Copy)]
pub(super) enum Transport {
    Sqs,
    SnsSqs,
}

/// Stopped in this order, so that none misses another.
struct Parts {
    generator: Part,
    bare_loop: Part,
    proxy: Part,
    address: SocketAddr,
    far_end: Part,
}

pub(super) async fn measure(
    transport: Transport,
    proxy: &Path,
    plan: &Plan,
    report: &mut Report,
) -> Result<()> {
    let (name, group) = (transport.name(), transport.group());
    let mut parts = Parts::start(transport, proxy).await?;
    progress(format!("{name}, one call in flight"))?;
    let lone = parts.load(plan, 1)?;
    add_load(report, group.at(1), &lone);
    report.add_against(group.at(1), "API calls of ours a call", lone.api_calls_each(), "", LONE);
    let mut rounds: Vec<(Loaded, Ceiling)> = Vec::new();
    for round in 1..=plan.rounds {
        progress(format!("{name}, {IN_FLIGHT} calls in flight, round {round} of {}", plan.rounds))?;
        rounds.push((parts.load(plan, IN_FLIGHT)?, parts.ceiling(plan)?));
    }
    if let Some((busy, _)) = rounds.last() {
        add_load(report, group.at(IN_FLIGHT), busy);
    }
    add_rounds(report, group.at(IN_FLIGHT), &rounds);
    parts.call_after_idle(name, plan.idle, report, group.at(1)).await
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Self::Sqs => "SQS",
            Self::SnsSqs => "SNS+SQS",
        }
    }

    fn group(self) -> Place {
        match self {
            Self::Sqs => Place::group("SQS emulator, by calls in flight"),
            Self::SnsSqs => Place::group("SNS+SQS emulator, by calls in flight"),
        }
    }

    /// The binary's settings; where answers come is created by it.
    pub(super) fn settings(self, ready: &Ready) -> Vec<(&'static str, &str)> {
        match self {
            Self::Sqs => vec![
                ("backend.sqs.read_queue_url", &ready.requests),
                ("backend.sqs.endpoint_url", &ready.endpoint),
            ],
            Self::SnsSqs => vec![
                ("backend.snssqs.sns_topic_arn", &ready.request_topic),
                ("backend.snssqs.response_topic_arn", &ready.response_topic),
                ("backend.snssqs.endpoint_url", &ready.endpoint),
            ],
        }
    }

    /// Where the bare loop sends, and where it has its answers sent.
    pub(super) fn loop_arguments(self, ready: &Ready) -> [&str; 8] {
        let (to, reply_to) = match self {
            Self::Sqs => (&ready.requests, &ready.bare_replies),
            Self::SnsSqs => (&ready.request_topic, &ready.response_topic),
        };
        let (endpoint, replies) = (&ready.endpoint, &ready.bare_replies);
        ["--endpoint", endpoint, "--to", to, "--reply-to", reply_to, "--replies", replies]
    }
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
    async fn start(transport: Transport, proxy: &Path) -> Result<Self> {
        let (far_end, ready): (_, Ready) = Part::start(Role::FarEnd, &[])?;
        let (proxy, address) = binary::start(proxy, &transport.settings(&ready)).await?;
        let (bare_loop, ()) = Part::start(Role::BareLoop, &transport.loop_arguments(&ready))?;
        let (generator, ()) = Part::start(Role::Generator, &[])?;
        Ok(Self { generator, bare_loop, proxy, address, far_end })
    }

    fn load(&mut self, plan: &Plan, connections: usize) -> Result<Loaded> {
        let before = self.api_calls()?;
        let (cpu, others) = (self.proxy.cpu_time()?, self.generator.cpu_time()? + self.far_end.cpu_time()?);
        let (address, warm_up, duration) = (self.address, plan.warm_up, plan.duration);
        let request = generator::Request::Load { address, is_mcp: true, connections, warm_up, duration };
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
        let Done { made, per_second } =
            self.bare_loop.ask(&Request { in_flight: IN_FLIGHT, kind: Kind::Call, warm_up, duration })?;
        let cpu = self.bare_loop.cpu_time()?.saturating_sub(cpu);
        let others = self.far_end.cpu_time()?.saturating_sub(others);
        Ok(Ceiling { per_second, cpu: each(cpu, made), cpu_of_all: each(cpu + others, made) })
    }

    async fn call_after_idle(
        &mut self,
        transport: &str,
        idle: Duration,
        report: &mut Report,
        place: Place,
    ) -> Result<()> {
        let () = self.generator.ask(&generator::Request::Sessions { address: self.address, count: 1 })?;
        let _: Duration = self.generator.ask(&generator::Request::Call)?;
        progress(format!("{transport}, nobody calls for {} s", idle.as_secs()))?;
        sleep_until(Instant::now() + idle).await;
        let latency: Duration = self.generator.ask(&generator::Request::Call)?;
        let name = format!("a call after {} s without one", idle.as_secs());
        report.add_against(place, name, milliseconds(latency), "ms", AFTER_IDLE);
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

fn add_load(report: &mut Report, place: Place, loaded: &Loaded) {
    let Loaded { calls, cpu, cpu_of_all: _, api_calls } = loaded;
    report.add(place, "proxy, calls a second", calls.per_second, "/s");
    report.add(place, "proxy, p50", milliseconds(calls.p50), "ms");
    report.add(place, "proxy, p99", milliseconds(calls.p99), "ms");
    report.add(place, "proxy, CPU time a call", *cpu, "µs");
    for (action, count) in api_calls {
        report.add(place, format!("{action} a call"), float(*count) / float(calls.made), "");
    }
}

fn add_rounds(report: &mut Report, place: Place, rounds: &[(Loaded, Ceiling)]) {
    let of = |figure: fn(&(Loaded, Ceiling)) -> f64| median(rounds.iter().map(figure).collect());
    let api_calls = of(|(busy, _)| busy.api_calls_each());
    report.add_against(place, "API calls of ours a call", api_calls, "", BUSY);
    report.add(place, "the bare loop, calls a second", of(|(_, ceiling)| ceiling.per_second), "/s");
    let share = of(|(busy, ceiling)| 100.0 * busy.calls.per_second / ceiling.per_second);
    report.add_against(place, "share of the bare loop", share, "%", SHARE);
    report.add(place, "the bare loop, CPU time a call", of(|(_, ceiling)| ceiling.cpu), "µs");
    report.add(place, "CPU time a call of all parts", of(|(busy, _)| busy.cpu_of_all), "µs");
    let of_loop = of(|(_, ceiling)| ceiling.cpu_of_all);
    report.add(place, "the bare loop, CPU time a call of all parts", of_loop, "µs");
}
