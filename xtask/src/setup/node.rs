//! Node packages, each lock file in a folder of its own.

use std::fs;

use anyhow::{Context, Result};

use super::stamp::Stamp;
use crate::invocation::Invocation;
use crate::workspace;

/// Installs `tests/fixtures/NAME/package-lock.json` into `target/fixtures/NAME`.
pub(super) fn install(name: &str) -> Result<()> {
    let folder = workspace::fixtures().join(name);
    let files = ["package.json", "package-lock.json"];
    let sources = files.map(|file| super::sources().join(name).join(file));
    let version = Invocation::new("node", ["--version"]).output().context("Node 20 or newer is needed")?;
    let stamp = Stamp::new(&folder, &version, &sources)?;
    if stamp.is_current() {
        return Ok(());
    }
    super::announce(&format!("the Node packages of {name} (Node {})", version.trim()));
    super::remove_folder(&folder)?;
    fs::create_dir_all(&folder)?;
    for (file, source) in files.iter().zip(&sources) {
        fs::copy(source, folder.join(file))?;
    }
    // Some packages ask for a newer Node than the one that installs them: they run on the one in their own folder.
    Invocation::new("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts"])
        .folder(&folder)
        .run()?;
    stamp.write()
}
