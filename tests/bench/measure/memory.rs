//! What sessions and streams take.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::Result;
use tokio::time::{Instant, sleep};

use super::{binary, float, hybrid, progress, webhook};
use crate::{
    figure::{Place, Report, Target},
    part::Part,
    parts::{Role, generator::Request},
    plan::Plan,
    usage,
};

const GROUP: Place = Place::group("Memory");

/// An idle session, in bytes: 5 KB.
const SESSION: Target = Target::AtMost(5_000.0);

/// A session with an open GET stream, its connection included, in bytes: 25 KB.
const SESSION_WITH_STREAM: Target = Target::AtMost(25_000.0);

/// Files that a process has open besides its connections.
const OTHER_FILES: usize = 64;

/// How long streams may take to be open.
const OPENING: Duration = Duration::from_secs(20);

pub(super) async fn measure(plan: &Plan, proxy: Option<&Path>, report: &mut Report) -> Result<()> {
    let proxy_of_memory = Part::serve(Role::MemoryProxy, &[])?;
    idle_sessions("the memory backend", &proxy_of_memory, &plan.idle_sessions, report)?;
    drop(proxy_of_memory);
    open_streams(plan, report)?;
    let Some(proxy) = proxy else { return Ok(()) };
    let (_server, address) = Part::serve(Role::WebhookServer, &[])?;
    let over_webhooks = webhook::start(proxy, &format!("http://{address}/mcp/request")).await?;
    idle_sessions("webhooks", &over_webhooks, &plan.idle_sessions, report)?;
    drop(over_webhooks);
    sessions_with_a_stream_to_the_server(plan, proxy, report).await
}

/// Sessions over a transport that costs them nothing of its own.
fn idle_sessions(
    over: &str,
    (proxy, address): &(Part, SocketAddr),
    counts: &[usize],
    report: &mut Report,
) -> Result<()> {
    let address = *address;
    let (mut generator, ()) = Part::start(Role::Generator, &[])?;
    // What the first session loads into memory is not the sessions'.
    let () = generator.ask(&Request::Sessions { address, count: 1 })?;
    let none = proxy.resident_bytes()?;
    report.add(GROUP, format!("proxy over {over}, no session but one"), megabytes(none), "MB");
    for &count in counts {
        progress(format!("{count} idle sessions over {over}"))?;
        let () = generator.ask(&Request::Sessions { address, count: count + 1 })?;
        let with = proxy.resident_bytes()?;
        report.add(GROUP, format!("{over}: with {count} idle sessions"), megabytes(with), "MB");
        let name = format!("{over}: an idle session, of {count}");
        report.add_against(GROUP, name, each(none, with, count), "bytes", SESSION);
    }
    Ok(())
}

fn open_streams(plan: &Plan, report: &mut Report) -> Result<()> {
    let count = most_streams(plan)?;
    progress(format!("{count} sessions with an open stream each"))?;
    let (mut generator, ()) = Part::start(Role::Generator, &[])?;
    let (proxy, address) = Part::serve(Role::MemoryProxy, &[])?;
    let () = generator.ask(&Request::Sessions { address, count: 1 })?;
    let none = proxy.resident_bytes()?;
    let () = generator.ask(&Request::Sessions { address, count })?;
    let () = generator.ask(&Request::Streams { count })?;
    let with = proxy.resident_bytes()?;
    let name = format!("the memory backend: with {count} sessions, each with an open GET stream");
    report.add(GROUP, name, megabytes(with), "MB");
    let name = format!("the memory backend: a session with an open GET stream, of {count}");
    report.add_against(GROUP, name, each(none, with, count), "bytes", SESSION_WITH_STREAM);
    Ok(())
}

/// Over Streamable HTTP each session has a connection of its own to the server, for its GET stream there.
async fn sessions_with_a_stream_to_the_server(plan: &Plan, proxy: &Path, report: &mut Report) -> Result<()> {
    const OVER: &str = "Streamable HTTP";
    let count = most_streams(plan)?;
    progress(format!("{count} idle sessions over {OVER}"))?;
    let (mut generator, ()) = Part::start(Role::Generator, &[])?;
    let (mut server, address) = Part::serve(Role::StreamableServer, &[])?;
    let url = format!("http://{address}/mcp");
    let (proxy, address) = binary::start(proxy, &hybrid::settings(&url)).await?;
    let () = generator.ask(&Request::Sessions { address, count: 1 })?;
    streams_are_open(&mut server, 1).await?;
    let none = proxy.resident_bytes()?;
    report.add(GROUP, format!("proxy over {OVER}, no session but one"), megabytes(none), "MB");
    let () = generator.ask(&Request::Sessions { address, count: count + 1 })?;
    streams_are_open(&mut server, count + 1).await?;
    let with = proxy.resident_bytes()?;
    report.add(GROUP, format!("{OVER}: with {count} idle sessions"), megabytes(with), "MB");
    let name = format!("{OVER}: an idle session with its stream from the server, of {count}");
    report.add(GROUP, name, each(none, with, count), "bytes");
    Ok(())
}

/// Waits until the server has so many streams open.
pub(super) async fn streams_are_open(server: &mut Part, count: usize) -> Result<()> {
    let give_up = Instant::now() + OPENING;
    loop {
        let open: usize = server.ask(&())?;
        if open >= count {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < give_up, "{open} of {count} streams were opened");
        sleep(Duration::from_millis(50)).await;
    }
}

/// As many as are asked for and may be open.
pub(super) fn most_streams(plan: &Plan) -> Result<usize> {
    let limit = usage::open_files_limit()?;
    Ok(plan.streams.min(limit.saturating_sub(OTHER_FILES)))
}

pub(super) fn each(without: u64, with: u64, count: usize) -> f64 {
    float(with.saturating_sub(without)) / float(count as u64)
}

/// Of a million bytes.
pub(super) fn megabytes(bytes: u64) -> f64 {
    float(bytes) / 1e6
}
