//! `cargo xtask bench`: builds everything as it is released, measures it, and prints the figures beside their targets.

use anyhow::Result;

use crate::{invocation::Invocation, workspace};

/// Measures; `quick` for a short run, `only` for some of the groups.
pub(crate) fn run(quick: bool, only: &[String]) -> Result<()> {
    println!("[1/2] building the release");
    Invocation::cargo(["build", "--release", "--package", "proxy-bin"]).run()?;
    let bench = ["bench", "--package", "e2e", "--bench", "speed"];
    Invocation::cargo(bench).argument("--no-run").run()?;
    println!("[2/2] measuring: about {}", if quick { "half a minute" } else { "three minutes" });
    let target = workspace::root().join("target");
    let mut measure = Invocation::cargo(bench)
        .argument("--quiet")
        .argument("--")
        .argument("--proxy")
        .argument(target.join("release/proxy-bin").to_string_lossy())
        .argument("--json")
        .argument(target.join("bench.json").to_string_lossy());
    if quick {
        measure = measure.argument("--quick");
    }
    if !only.is_empty() {
        measure = measure.argument("--only").argument(only.join(","));
    }
    measure.run()
}
