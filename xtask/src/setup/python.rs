//! Python packages, each list of requirements in an environment of its own.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::stamp::Stamp;
use crate::invocation::Invocation;
use crate::workspace;

/// Installs `requirements-NAME.txt` into `target/fixtures/NAME`.
pub(super) fn install(name: &str) -> Result<()> {
    let folder = workspace::fixtures().join(name);
    let requirements = super::sources().join(format!("requirements-{name}.txt"));
    let version =
        Invocation::new("python3", ["--version"]).output().context("Python 3.11 or newer is needed")?;
    let stamp = Stamp::new(&folder, &version, std::slice::from_ref(&requirements))?;
    if stamp.is_current() {
        return Ok(());
    }
    super::announce(&format!("requirements-{name}.txt ({})", version.trim()));
    super::remove_folder(&folder)?;
    create_environment(&folder)?;
    Invocation::new(folder.join("bin/python"), ["-m", "pip", "install", "--quiet", "--no-input"])
        .argument("--disable-pip-version-check")
        .argument("--requirement")
        .argument(requirements.to_string_lossy())
        .run()?;
    stamp.write()
}

/// By `venv`, or, where the distribution packages that apart, by `virtualenv`.
fn create_environment(folder: &Path) -> Result<()> {
    let mut problems = Vec::new();
    for module in ["venv", "virtualenv"] {
        match Invocation::new("python3", ["-m", module]).argument(folder.to_string_lossy()).output() {
            Ok(_) => return Ok(()),
            Err(problem) => problems.push(problem.to_string()),
        }
        super::remove_folder(folder)?;
    }
    bail!(
        "no Python environment: install python3-venv (Debian) or `pip install virtualenv`\n{}",
        problems.join("\n")
    );
}
