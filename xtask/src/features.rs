//! The cargo features of the binary, each of which is a backend: together, alone, and what they bring in.

use anyhow::{Result, bail};

use crate::{invocation::Invocation, workspace};

/// The names of the steps that test a backend alone, and the features.
const BACKENDS: [(&str, &str); 4] = [
    ("sqs alone", "sqs"),
    ("snssqs alone", "snssqs"),
    ("webhook alone", "webhook"),
    ("streamable-http-webhook alone", "streamable-http-webhook"),
];

/// Those that have nothing to do with AWS.
const WITHOUT_AWS: [&str; 2] = ["webhook", "streamable-http-webhook"];

/// Every combination of the backends but none at all, under the same lints as the whole. The demo and large payloads are no backends; the
/// whole has them.
pub(crate) fn combinations() -> Invocation {
    let hack = workspace::tool("cargo-hack");
    let clippy = Invocation::new(hack, ["hack", "clippy", "--package", "proxy-bin", "--feature-powerset"]);
    let clippy = clippy.argument("--exclude-features").argument("demo,large-payloads");
    clippy.argument("--exclude-no-default-features").argument("--").argument("-D").argument("warnings")
}

/// Features of the binary that are not backends and not among the default ones, and the steps that test what they add.
const MORE: [(&str, &str); 2] = [("with the demo", "demo"), ("with large payloads", "large-payloads")];

/// The libraries that have the feature of large payloads too.
const OVER_S3: [&str; 3] = ["aws-common", "backend-sqs", "backend-snssqs"];

/// What the feature of large payloads adds to the tests of the libraries; the rest of theirs runs without it already.
const ADDED_OVER_S3: &str = "package(proxy-bin) or binary(large_payloads) or test(large_payloads)";

/// The binary's own tests with each backend alone, and those of what is not among the default features; `full` repeats with a
/// feature what it should change nothing about.
pub(crate) fn each_alone(has_nextest: bool, full: bool) -> impl Iterator<Item = (&'static str, Invocation)> {
    let tests = move || {
        if has_nextest {
            Invocation::cargo(["nextest", "run", "--no-fail-fast"])
        } else {
            Invocation::cargo(["test", "--no-fail-fast", "--lib", "--bins", "--tests"])
        }
    };
    let alone = move |(name, feature): (&'static str, &'static str)| {
        let alone = ["--package", "proxy-bin", "--no-default-features", "--features", feature];
        (name, alone.into_iter().fold(tests(), Invocation::argument))
    };
    let more = move |(name, feature): (&'static str, &'static str)| {
        let mut packages = vec!["--package", "proxy-bin"];
        if feature == "large-payloads" {
            packages.extend(OVER_S3.iter().flat_map(|package| ["--package", package]));
        }
        let run = packages.into_iter().chain(["--features", feature]).fold(tests(), Invocation::argument);
        let narrowed = has_nextest && !full && feature == "large-payloads";
        (name, if narrowed { run.argument("--filterset").argument(ADDED_OVER_S3) } else { run })
    };
    BACKENDS.into_iter().map(alone).chain(MORE.into_iter().map(more))
}

/// What a proxy without an AWS backend compiles holds no crate of AWS's.
pub(crate) fn without_aws() -> Result<()> {
    for feature in WITHOUT_AWS {
        let tree = Invocation::cargo([
            "tree",
            "--package",
            "proxy-bin",
            "--no-default-features",
            "--features",
            feature,
        ])
        .argument("--edges=normal,build")
        .argument("--prefix=none")
        .output()?;
        let found: Vec<&str> = tree.lines().filter(|line| line.starts_with("aws")).collect();
        if !found.is_empty() {
            bail!("--features {feature} compiles {}", found.join(", "));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_of_the_manifest_is_tested() {
        let manifest = include_str!("../../crates/proxy-bin/Cargo.toml");
        let features = manifest.split("[features]").nth(1).unwrap().split("\n[").next().unwrap();
        let mut named: Vec<&str> = features
            .lines()
            .filter_map(|line| line.split_once(" = ").map(|(name, _)| name))
            .filter(|name| *name != "default")
            .collect();
        named.sort_unstable();
        let mut tested: Vec<&str> = BACKENDS.iter().chain(&MORE).map(|(_, feature)| *feature).collect();
        tested.sort_unstable();
        assert_eq!(named, tested);
    }
}
