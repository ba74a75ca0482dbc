//! How reports are printed: a line each as they come, coloured on a terminal; or one JSON document at the end.

use std::io::{self, Write};

use proxy_core::operator::{Change, Check, Policy, Step, Verdict};
use serde_json::{Value, json};

use crate::colour::{DIM, GREEN, PLAIN, RED, YELLOW};

/// The doctor's report.
#[derive(Debug)]
pub(super) struct Checks {
    json: bool,
    all: Vec<Check>,
    /// Whether the output is still there.
    printed: io::Result<()>,
}

impl Checks {
    /// An empty report.
    pub(super) fn new(json: bool) -> Self {
        Self { json, all: Vec::new(), printed: Ok(()) }
    }

    /// Adds a line, and prints it.
    pub(super) fn add(&mut self, check: Check) {
        if !self.json && self.printed.is_ok() {
            self.printed = writeln!(anstream::stdout(), "{}", check_line(&check));
        }
        self.all.push(check);
    }

    /// How many lines say that something does not work.
    pub(super) fn failed(&self) -> usize {
        self.all.iter().filter(|check| matches!(check.verdict, Verdict::Failed { .. })).count()
    }

    /// Prints what there is to say at the end.
    pub(super) fn finish(self) -> io::Result<()> {
        let failed = self.failed();
        self.printed?;
        if self.json {
            let checks: Vec<Value> = self.all.iter().map(check_json).collect();
            return writeln!(io::stdout(), "{:#}", json!({ "ok": failed == 0, "checks": checks }));
        }
        let warnings =
            self.all.iter().filter(|check| matches!(check.verdict, Verdict::Warning { .. })).count();
        match failed {
            0 if warnings > 0 => {
                let word = if warnings == 1 { "warning" } else { "warnings" };
                writeln!(io::stdout(), "It works, with {warnings} {word}.")
            }
            0 => writeln!(io::stdout(), "All is well."),
            1 => writeln!(io::stdout(), "1 check failed."),
            count => writeln!(io::stdout(), "{count} checks failed."),
        }
    }
}

/// What provisioning did.
#[derive(Debug)]
pub(super) struct Steps {
    json: bool,
    dry_run: bool,
    all: Vec<Step>,
    printed: io::Result<()>,
}

impl Steps {
    /// An empty report.
    pub(super) fn new(json: bool, dry_run: bool) -> Self {
        Self { json, dry_run, all: Vec::new(), printed: Ok(()) }
    }

    /// Adds a line, and prints it.
    pub(super) fn add(&mut self, step: Step) {
        if !self.json && self.printed.is_ok() {
            self.printed = writeln!(anstream::stdout(), "{}", step_line(&step, self.dry_run));
        }
        self.all.push(step);
    }

    /// Prints the policies, and in JSON everything.
    pub(super) fn finish(self, policies: &[Policy], error: Option<&anyhow::Error>) -> io::Result<()> {
        self.printed?;
        if self.json {
            let steps: Vec<Value> = self.all.iter().map(step_json).collect();
            let policies: Vec<Value> = policies.iter().map(policy_json).collect();
            let error = error.map(|error| format!("{error:#}"));
            let report =
                json!({ "dry_run": self.dry_run, "steps": steps, "policies": policies, "error": error });
            return writeln!(io::stdout(), "{report:#}");
        }
        for Policy { principal, document } in policies {
            writeln!(io::stdout(), "\nThe IAM policy of {principal}:\n{document}")?;
        }
        Ok(())
    }
}

fn check_line(check: &Check) -> String {
    let subject = &check.subject;
    match &check.verdict {
        Verdict::Good(what) => format!("{GREEN}ok{PLAIN}       {subject}: {what}"),
        Verdict::Warning { what, remedy } => {
            format!("{YELLOW}warning{PLAIN}  {subject}: {what}\n         {remedy}")
        }
        Verdict::Failed { what, remedy } => {
            format!("{RED}failed{PLAIN}   {subject}: {what}\n         {remedy}")
        }
        Verdict::Skipped(why) => format!("{DIM}skipped{PLAIN}  {subject}: {why}"),
    }
}

fn check_json(check: &Check) -> Value {
    let (verdict, what, remedy) = match &check.verdict {
        Verdict::Good(what) => ("ok", what, None),
        Verdict::Warning { what, remedy } => ("warning", what, Some(remedy)),
        Verdict::Failed { what, remedy } => ("failed", what, Some(remedy)),
        Verdict::Skipped(why) => ("skipped", why, None),
    };
    json!({ "subject": check.subject, "verdict": verdict, "what": what, "remedy": remedy })
}

fn step_line(step: &Step, dry_run: bool) -> String {
    let Step { change, kind, name, detail } = step;
    let colour = match change {
        Change::Kept | Change::Absent => DIM,
        Change::Created | Change::Updated => GREEN,
        Change::Deleted => RED,
        Change::ByHand => YELLOW,
    };
    let would = match change {
        Change::Created | Change::Updated | Change::Deleted if dry_run => "would be ",
        _ => "",
    };
    let detail = detail.as_ref().map(|detail| format!("\n           {detail}")).unwrap_or_default();
    format!("{colour}{would}{:<9}{PLAIN}  {kind} {name}{detail}", change.as_str())
}

fn step_json(step: &Step) -> Value {
    let Step { change, kind, name, detail } = step;
    json!({ "change": change.as_str(), "kind": kind, "name": name, "detail": detail })
}

fn policy_json(policy: &Policy) -> Value {
    let Policy { principal, document } = policy;
    // A document that is no JSON would be a mistake of the backend's; as text it is still of use.
    let document = serde_json::from_str(document).unwrap_or_else(|_| Value::from(document.as_str()));
    json!({ "principal": principal, "document": document })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remedy_stands_below_what_is_wrong() {
        let line = check_line(&Check::failed("clock", "is 10 minutes late", "set it"));
        assert_eq!(line, "\x1b[31mfailed\x1b[0m   clock: is 10 minutes late\n         set it");
        assert_eq!(check_line(&Check::good("clock", "is right")), "\x1b[32mok\x1b[0m       clock: is right");
    }

    #[test]
    fn a_dry_run_says_what_would_be() {
        let step = Step::new(Change::Created, "queue", "requests").with_detail("it is missing");
        assert!(step_line(&step, true).contains("would be created"));
        assert!(!step_line(&step, false).contains("would be"));
        let kept = Step::new(Change::Kept, "queue", "requests");
        assert!(step_line(&kept, true).contains("unchanged") && !step_line(&kept, true).contains("would"));
    }
}
