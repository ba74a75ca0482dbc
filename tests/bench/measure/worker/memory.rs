//! What a worker in front of a server over HTTP takes, and each of its sessions.

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::Result;
use tokio::time::sleep;

use super::started::{Over, Server, Started};
use crate::{
    figure::{Place, Report},
    measure::{
        memory::{each, megabytes, most_streams, streams_are_open},
        progress,
    },
    part::Part,
    parts::{Role, generator::Request},
    plan::Plan,
};

const GROUP: Place = Place::group("Memory of the worker, in front of a server over HTTP");

pub(super) async fn measure(binary: &Path, plan: &Plan, report: &mut Report) -> Result<()> {
    for over in [Over::Sqs, Over::Webhook] {
        let (mut server, address) = Part::serve(Role::StreamableServer, &[])?;
        let started = Started::new(over, binary, Server::Url(&format!("http://{address}/mcp"))).await?;
        let (_proxy, address) = started.proxy(binary).await?;
        of_one(over, &started.worker, address, &mut server, plan, report).await?;
    }
    Ok(())
}

async fn of_one(
    over: Over,
    worker: &Part,
    address: SocketAddr,
    server: &mut Part,
    plan: &Plan,
    report: &mut Report,
) -> Result<()> {
    let (count, over) = (most_streams(plan)?, over.name());
    progress(format!("{count} idle sessions of the worker over {over}"))?;
    let (mut generator, ()) = Part::start(Role::Generator, &[])?;
    // Its polls have begun, and what it was started with has been freed.
    sleep(Duration::from_secs(2)).await;
    let idle = megabytes(worker.resident_bytes()?);
    report.add(GROUP, format!("worker over {over}, no session"), idle, "MB");
    let own = megabytes(worker.own_bytes()?);
    report.add(GROUP, format!("of that its own, not pages of the program, over {over}"), own, "MB");
    let () = generator.ask(&Request::Sessions { address, count: 1 })?;
    streams_are_open(server, 1).await?;
    let none = worker.resident_bytes()?;
    let () = generator.ask(&Request::Sessions { address, count: count + 1 })?;
    streams_are_open(server, count + 1).await?;
    let with = worker.resident_bytes()?;
    report.add(GROUP, format!("{over}: with {count} idle sessions"), megabytes(with), "MB");
    let name = format!("{over}: an idle session with its stream from the server, of {count}");
    report.add(GROUP, name, each(none, with, count), "bytes");
    Ok(())
}
