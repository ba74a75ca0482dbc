//! `cargo xtask bench`: builds everything as it is released, measures it, and prints the figures beside their targets.

use std::{env, fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::{invocation::Invocation, workspace};

/// The page that shows the figures, and what stands around them there.
const PAGE: &str = "docs/BENCHMARKS.md";
const BEGIN: &str = "<!-- figures: written by cargo xtask bench --record -->\n";
const END: &str = "<!-- end of figures -->";

/// Measures; `quick` for a short run, `only` for some of the groups, `record` to write the figures into their page.
pub(crate) fn run(quick: bool, only: &[String], record: bool) -> Result<()> {
    ensure!(!record || !quick && only.is_empty(), "only a whole run is worth recording");
    println!("[1/2] building the release");
    Invocation::cargo(["build", "--release", "--package", "proxy-bin"]).run()?;
    let bench = ["bench", "--package", "e2e", "--bench", "speed"];
    Invocation::cargo(bench).argument("--no-run").run()?;
    println!("[2/2] measuring: about {}", if quick { "three minutes" } else { "twenty minutes" });
    let target = target();
    let figures = target.join("bench.md");
    let mut measure = Invocation::cargo(bench)
        .argument("--quiet")
        .argument("--")
        .argument("--proxy")
        .argument(target.join("release/proxy-bin").to_string_lossy())
        .argument("--json")
        .argument(target.join("bench.json").to_string_lossy())
        .argument("--markdown")
        .argument(figures.to_string_lossy());
    if quick {
        measure = measure.argument("--quick");
    }
    if !only.is_empty() {
        measure = measure.argument("--only").argument(only.join(","));
    }
    measure.run()?;
    if record { write_down(&fs::read_to_string(figures)?) } else { Ok(()) }
}

/// Puts the figures in the place of those that the page shows.
fn write_down(figures: &str) -> Result<()> {
    let path = workspace::root().join(PAGE);
    let page = fs::read_to_string(&path)?;
    fs::write(path, with_figures(&page, figures)?)?;
    println!("written into {PAGE}");
    Ok(())
}

fn with_figures(page: &str, figures: &str) -> Result<String> {
    let (before, rest) = page.split_once(BEGIN).with_context(|| format!("{PAGE} has no {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("{PAGE} has no {END}"))?;
    Ok([before, BEGIN, "\n", figures, "\n", END, after].concat())
}

/// Where cargo builds.
fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace::root().join("target"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_put_in_the_place_of_the_old_ones() {
        let page = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let recorded = with_figures(&page, "new\n").unwrap();
        assert_eq!(recorded, format!("before\n{BEGIN}\nnew\n\n{END}\nafter\n"));
        assert!(with_figures("no place for them", "new").is_err());
    }
}
