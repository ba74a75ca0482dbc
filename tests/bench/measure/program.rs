//! The memory of the binary itself.

use std::{path::Path, time::Duration};

use anyhow::Result;
use testkit::load::McpClient;
use tokio::time::sleep;

use super::{binary, memory::megabytes, progress, queues::Transport};
use crate::{
    figure::{Place, Report, Target},
    part::Part,
    parts::{Role, far_end::Ready},
};

const GROUP: Place = Place::group("Memory");

/// With no session, in MB.
const NO_SESSION: Target = Target::AtMost(17.0);

pub(super) async fn measure(proxy: &Path, report: &mut Report) -> Result<()> {
    progress("the binary over the emulator")?;
    let (_far_end, ready): (_, Ready) = Part::start(Role::FarEnd, &[])?;
    let (binary, address) = binary::start(proxy, &Transport::Sqs.settings(&ready)).await?;
    let mut client = McpClient::connect(address).await?;
    // Its long poll has begun, and what it was started with has been freed.
    sleep(Duration::from_secs(2)).await;
    let idle = megabytes(binary.resident_bytes()?);
    report.add_against(GROUP, "proxy-bin over SQS, no session", idle, "MB", NO_SESSION);
    let own = megabytes(binary.own_bytes()?);
    report.add(GROUP, "of that its own, not pages of the program", own, "MB");
    let mut session = client.open().await?;
    client.call(&mut session).await?;
    report.add(GROUP, "proxy-bin over SQS after a first call", megabytes(binary.resident_bytes()?), "MB");
    Ok(())
}
