//! `cargo xtask test`: every check and test, one step after another; a failed step does not stop the next.
#![expect(
    clippy::disallowed_types,
    reason = "a step takes as long as the wall clock says; there is no time to pause"
)]

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::invocation::Invocation;
use crate::{features, setup, tidy, workspace};

/// One thing to check.
struct Step {
    name: &'static str,
    /// What to type to repeat this step alone.
    repeat: String,
    check: Box<dyn Fn() -> Result<()>>,
}

impl Step {
    fn command(name: &'static str, invocation: Invocation) -> Self {
        Self { name, repeat: invocation.to_string(), check: Box::new(move || invocation.run()) }
    }

    fn task(name: &'static str, repeat: &str, check: fn() -> Result<()>) -> Self {
        Self { name, repeat: repeat.to_owned(), check: Box::new(check) }
    }
}

/// How a step went.
struct Outcome {
    name: &'static str,
    duration: Duration,
    /// What to type to repeat it, where it failed.
    failed: Option<String>,
}

/// Runs everything; `full` adds what is too long for CI.
pub(crate) fn run(full: bool) -> Result<()> {
    let steps = steps(full);
    let mut outcomes = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        println!("\n[{}/{}] {}", index + 1, steps.len(), step.name);
        let begin = Instant::now();
        let result = (step.check)();
        let duration = begin.elapsed();
        match &result {
            Ok(()) => println!("[{}/{}] {}: ok in {}", index + 1, steps.len(), step.name, seconds(duration)),
            Err(problem) => {
                println!("[{}/{}] {}: FAILED in {}", index + 1, steps.len(), step.name, seconds(duration));
                println!("{problem:#}\nto repeat it alone: {}", step.repeat);
            }
        }
        let failed = result.is_err().then(|| step.repeat.clone());
        outcomes.push(Outcome { name: step.name, duration, failed });
    }
    summarize(&outcomes)
}

fn steps(full: bool) -> Vec<Step> {
    let mut steps = vec![
        Step::task("set up", "cargo xtask setup", setup::run),
        Step::command("format", Invocation::cargo(["fmt", "--all", "--check"])),
        Step::task("tidy", "cargo xtask tidy", tidy::run),
        Step::command(
            "clippy",
            Invocation::cargo([
                "clippy",
                "--workspace",
                "--all-targets",
                "--all-features",
                "--",
                "-D",
                "warnings",
            ]),
        ),
        Step::command(
            "dependencies",
            Invocation::new(
                workspace::tool("cargo-deny"),
                ["--all-features", "check", "bans", "licenses", "sources"],
            ),
        ),
        Step::command(
            "documentation",
            Invocation::cargo(["doc", "--workspace", "--no-deps", "--document-private-items"])
                .environment("RUSTDOCFLAGS", "-D warnings"),
        ),
        Step::command("packages", packages(full)),
        Step::task("no AWS without an AWS backend", "cargo xtask test", features::without_aws),
        Step::command("feature combinations", features::combinations()),
    ];
    let nextest = Invocation::cargo(["nextest", "--version"]).output().is_ok();
    steps.extend(
        features::each_alone(nextest, full).map(|(name, invocation)| Step::command(name, invocation)),
    );
    // One build for the programs and all tests: another selection of packages or targets would select other features of
    // the dependencies, and build them again. After those with single features, since their program has the same name.
    let all = Invocation::cargo(["build", "--workspace", "--bins", "--tests"]);
    steps.push(Step::command("programs and tests", all));
    let doc_tests = Invocation::cargo(["test", "--doc", "--workspace", "--no-fail-fast"]);
    steps.push(Step::command("documentation's examples", doc_tests));
    steps.extend(test_steps(nextest, full));
    steps
}

/// The crates as packages, which name all that they need. That each builds from its package alone takes long.
fn packages(full: bool) -> Invocation {
    let all =
        ["package", "--workspace", "--exclude", "e2e", "--exclude", "xtask", "--allow-dirty", "--quiet"];
    let package = Invocation::cargo(all);
    if full { package } else { package.argument("--no-verify") }
}

/// The tests themselves; those from end to end come last where that can be said.
fn test_steps(nextest: bool, full: bool) -> Vec<Step> {
    if !nextest {
        let run = ["test", "--workspace", "--no-fail-fast", "--lib", "--bins", "--tests"];
        return vec![Step::command("all tests", with_cases(Invocation::cargo(run), full))];
    }
    let step = |name, selection| {
        let run = ["nextest", "run", "--workspace", "--no-fail-fast", "--filterset", selection];
        Step::command(name, with_cases(Invocation::cargo(run), full))
    };
    vec![
        step("unit, property and contract tests", "not package(e2e)"),
        step("end-to-end tests", "package(e2e)"),
    ]
}

/// How much the tests do that can always do more: random interleavings of the state machine, worlds over a bad transport, calls of
/// each of many clients over every backend, kills of a worker and of what is around it.
fn with_cases(command: Invocation, full: bool) -> Invocation {
    let (state_cases, chaos_seeds, client_calls, worker_rounds) =
        if full { ("20000", "20", "60", "200") } else { ("3000", "3", "20", "10") };
    let command = command.environment("STATE_CASES", state_cases).environment("CHAOS_SEEDS", chaos_seeds);
    command.environment("CLIENT_CALLS", client_calls).environment("WORKER_ROUNDS", worker_rounds)
}

fn summarize(outcomes: &[Outcome]) -> Result<()> {
    println!();
    for Outcome { name, duration, failed } in outcomes {
        println!("{:<6} {:>8}  {name}", if failed.is_some() { "FAILED" } else { "ok" }, seconds(*duration));
    }
    let failed: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.failed.is_some()).collect();
    for Outcome { name, failed, .. } in &failed {
        println!("to repeat {name} alone: {}", failed.as_deref().unwrap_or_default());
    }
    if failed.is_empty() {
        println!("all {} steps are ok", outcomes.len());
        return Ok(());
    }
    bail!("{} of {} steps failed", failed.len(), outcomes.len());
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(failed: Option<&str>) -> Outcome {
        Outcome { name: "step", duration: Duration::from_secs(1), failed: failed.map(str::to_owned) }
    }

    #[test]
    fn one_failed_step_fails_the_whole() {
        assert!(summarize(&[outcome(None), outcome(None)]).is_ok());
        let error = summarize(&[outcome(None), outcome(Some("cargo x"))]).unwrap_err();
        assert_eq!(error.to_string(), "1 of 2 steps failed");
    }

    #[test]
    fn end_to_end_tests_run_apart_from_the_others_and_come_last() {
        let repeats: Vec<String> = test_steps(true, false).into_iter().map(|step| step.repeat).collect();
        assert!(
            matches!(&*repeats, [others, last] if others.contains("not package(e2e)") && last.contains("'package(e2e)'")),
            "{repeats:?}"
        );
    }

    #[test]
    fn without_nextest_everything_runs_too() {
        let repeats: Vec<String> = test_steps(false, false).into_iter().map(|step| step.repeat).collect();
        assert!(matches!(&*repeats, [all] if all.contains("cargo test --workspace")), "{repeats:?}");
    }

    #[test]
    fn the_full_run_says_so_to_the_tests_that_can_do_more() {
        let read_by_tests = concat!(
            include_str!("../../crates/proxy-core/src/state/tests/interleavings.rs"),
            include_str!("../../crates/testkit/tests/chaos/main.rs"),
            include_str!("../../tests/it/many_clients.rs"),
            include_str!("../../tests/it/worker_chaos.rs")
        );
        let command = |full| with_cases(Invocation::cargo(["test"]), full).to_string();
        let (short, full) = (command(false), command(true));
        for name in ["STATE_CASES", "CHAOS_SEEDS", "CLIENT_CALLS", "WORKER_ROUNDS"] {
            assert!(read_by_tests.contains(&format!("\"{name}\"")), "no test reads {name}");
            let value = |command: &str| {
                let (_, rest) = command.split_once(&format!("{name}=")).unwrap();
                rest.split(' ').next().unwrap().parse::<u32>().unwrap()
            };
            assert!(value(&full) > value(&short), "{full}");
        }
    }
}
