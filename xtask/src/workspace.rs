//! Where things are in this workspace, and what cargo knows about it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::invocation::Invocation;

/// The folder of the root `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Where everything that tests run and cargo does not build is installed.
pub(crate) fn fixtures() -> PathBuf {
    root().join("target/fixtures")
}

/// A tool that [`crate::setup`] installed.
pub(crate) fn tool(name: &str) -> PathBuf {
    root().join("target/tools/bin").join(name)
}

/// A member of the workspace.
#[derive(Debug)]
pub(crate) struct Member {
    /// The package's name.
    pub(crate) name: String,
    /// The folder of its `Cargo.toml`.
    pub(crate) folder: PathBuf,
    /// Whether a registry would take it.
    pub(crate) publishable: bool,
}

/// The workspace's members, from `cargo metadata`.
pub(crate) fn members() -> Result<Vec<Member>> {
    let output = Invocation::cargo(["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .context("cargo metadata")?;
    let metadata: Value = serde_json::from_str(&output)?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    packages.iter().map(member).collect()
}

fn member(package: &Value) -> Result<Member> {
    let manifest = package["manifest_path"].as_str().context("a package without a manifest")?;
    let folder = Path::new(manifest).parent().context("a manifest without a folder")?;
    Ok(Member {
        name: package["name"].as_str().context("a package without a name")?.to_owned(),
        folder: folder.to_path_buf(),
        publishable: package["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
    })
}
