//! `cargo xtask setup`: installs under `target/` what the tests need besides cargo's own packages.
//!
//! Everything is pinned by a file of the repository and comes from the package registries through their ordinary
//! clients. What is there already costs nothing: a stamp beside it has the hash of what it was made from.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};

use crate::invocation::Invocation;
use crate::workspace;

mod node;
mod python;
mod stamp;

/// The tools that run checks, with their versions: written down once, here.
const TOOLS: [(&str, &str); 2] = [("cargo-deny", "0.20.2"), ("cargo-hack", "0.6.46")];

/// Installs everything; one run at a time, a second one waits.
pub(crate) fn run() -> Result<()> {
    let _lock = lock()?;
    for requirements in ["asyncmcp", "mcp2", "time"] {
        python::install(requirements)?;
    }
    for project in ["typescript", "conformance", "conformance-0.1", "servers"] {
        node::install(project)?;
    }
    for (name, version) in TOOLS {
        install_tool(name, version)?;
    }
    Ok(())
}

/// Held while something is installed.
fn lock() -> Result<File> {
    let fixtures = workspace::fixtures();
    fs::create_dir_all(&fixtures)?;
    let lock = File::create(fixtures.join(".lock"))?;
    lock.lock().context("cannot lock target/fixtures")?;
    Ok(lock)
}

/// Where the files are that pin what is installed.
fn sources() -> std::path::PathBuf {
    workspace::root().join("tests/fixtures")
}

fn announce(what: &str) {
    println!("installing {what}");
}

fn install_tool(name: &str, version: &str) -> Result<()> {
    let root = workspace::root();
    if installed_tool(name).is_some_and(|line| line.split_whitespace().nth(1) == Some(version)) {
        return Ok(());
    }
    announce(&format!("{name} {version}"));
    let build = root.join("target/tools-build");
    // A debug build is there in half the time and runs for seconds only.
    Invocation::cargo(["install", "--locked", "--debug", "--force", "--quiet", "--root", "target/tools"])
        .argument(format!("{name}@{version}"))
        .environment("CARGO_TARGET_DIR", build.to_string_lossy())
        .run()?;
    remove_folder(&build)
}

/// What the tool says of itself, such as `cargo-deny 0.20.2`; nothing where it is not installed.
fn installed_tool(name: &str) -> Option<String> {
    let tool = workspace::tool(name);
    if !tool.exists() {
        return None;
    }
    // cargo-hack wants to be called as cargo would call it; cargo-deny takes both.
    let subcommand = name.trim_start_matches("cargo-");
    Invocation::new(tool, [subcommand, "--version"]).output().ok()
}

fn remove_folder(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}
