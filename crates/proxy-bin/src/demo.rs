//! `demo`: a client, the proxy, an emulator, a worker and an MCP server in one process, over real HTTP, to be looked at and tried.

mod client;
mod paste;
mod scene;
mod server;
mod show;
mod trail;
mod world;

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr},
};

use anyhow::Context;
use tokio::time::Instant;

use self::{client::Call, show::Words, world::World};
use crate::{
    colour::{BOLD, DIM, GREEN, PLAIN},
    config::Inputs,
    signals::Signals,
};

/// How to show it.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The canonical name of what lies between.
    pub(crate) backend: String,
    /// Where the proxy listens on 127.0.0.1; what lies between gets the next port. 0: any.
    pub(crate) port: u16,
    /// End after the call.
    pub(crate) once: bool,
}

/// Runs the demo until a signal, or to its end with `once`.
pub(crate) async fn run(options: &Options) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut signals = Signals::listen().context("signals cannot be listened to")?;
    let words = Words::of(&options.backend);
    let world = tokio::select! {
        world = Box::pin(World::start(options)) => world?,
        _ = signals.next() => return Ok(()),
    };
    let shown = tokio::select! {
        shown = show(&world, words, options, begun) => shown,
        _ = signals.next() => Ok(()),
    };
    if shown.is_ok() && !options.once {
        print(&["", &format!("{DIM}It runs until Ctrl-C.{PLAIN}")])?;
        tokio::select! {
            _ = signals.next() => {}
            () = world.ended() => {}
        }
    }
    let stopped = tokio::select! {
        stopped = world.stop() => stopped,
        _ = signals.next() => Ok(()),
    };
    shown.and(stopped)
}

/// Prints what is where, a call as it travels, and what to paste.
async fn show(world: &World, words: Words, options: &Options, begun: Instant) -> anyhow::Result<()> {
    let title = format!("{BOLD}MCP over {}, both ends in this process{PLAIN}", words.transport);
    print(&[&title, "", &words.picture(), ""])?;
    for (what, place) in world.places() {
        print(&[&format!("  {BOLD}{what:<9}{PLAIN} {place}")])?;
    }
    let Call { tool, arguments, answer, trail } = client::call(world).await?;
    print(&["", &format!("{BOLD}One call of the tool {tool} with {arguments}, as it travels{PLAIN}"), ""])?;
    for line in words.way(&trail) {
        print(&[&line])?;
    }
    let took = begun.elapsed().as_millis();
    let answered = format!(
        "  {GREEN}{answer}{PLAIN} {DIM}is the answer, {took} ms after the start of the program{PLAIN}"
    );
    print(&["", &answered])?;
    if !options.once {
        let program = std::env::current_exe().context("this program's own path is not known")?;
        print(&[""])?;
        for line in paste::lines(&world.url(), &program, world.proxy_settings()) {
            print(&[&line])?;
        }
    }
    Ok(())
}

fn print(lines: &[&str]) -> std::io::Result<()> {
    let mut output = anstream::stdout().lock();
    lines.iter().try_for_each(|line| writeln!(output, "{line}"))
}

/// This machine's own address with this port.
fn here(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Settings as flags, for a process of this role.
fn inputs(role: crate::config::Role, settings: &[scene::Setting]) -> Inputs {
    let flags =
        settings.iter().map(|(key, value)| ("--set".to_owned(), key.clone(), value.clone())).collect();
    Inputs { role: Some(role), flags, ..Inputs::default() }
}
