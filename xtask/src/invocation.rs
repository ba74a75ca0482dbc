//! A command that can be shown to be repeated by hand, and run.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// A program with its arguments and what it needs in its environment; it runs in the workspace's root.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    folder: PathBuf,
}

impl Invocation {
    pub(crate) fn new<const N: usize>(program: impl Into<PathBuf>, arguments: [&str; N]) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            environment: Vec::new(),
            folder: workspace::root(),
        }
    }

    /// The cargo that runs this task.
    pub(crate) fn cargo<const N: usize>(arguments: [&str; N]) -> Self {
        Self::new("cargo", arguments)
    }

    pub(crate) fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub(crate) fn environment(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.folder = folder.to_path_buf();
        self
    }

    /// Runs it with our own output; an exit code other than 0 is an error.
    pub(crate) fn run(&self) -> Result<()> {
        let status =
            self.command().status().with_context(|| format!("cannot start {}", self.program.display()))?;
        if !status.success() {
            bail!("{self} ended with {status}");
        }
        Ok(())
    }

    /// Runs it and returns what it wrote to stdout; an exit code other than 0 is an error with what it wrote to stderr.
    pub(crate) fn output(&self) -> Result<String> {
        let output =
            self.command().output().with_context(|| format!("cannot start {}", self.program.display()))?;
        if !output.status.success() {
            bail!("{self} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.folder);
        command
            .envs(self.environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))));
        command
    }
}

impl fmt::Display for Invocation {
    /// The line that a shell in the workspace's root takes.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.environment {
            write!(formatter, "{name}={} ", quoted(value))?;
        }
        let program = self.program.strip_prefix(workspace::root()).unwrap_or(&self.program);
        write!(formatter, "{}", quoted(&program.to_string_lossy()))?;
        for argument in &self.arguments {
            write!(formatter, " {}", quoted(argument))?;
        }
        Ok(())
    }
}

fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./=,:@+".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_a_line_that_a_shell_takes() {
        let invocation = Invocation::cargo(["doc", "--flag=it's"]).environment("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(invocation.to_string(), r"RUSTDOCFLAGS='-D warnings' cargo doc '--flag=it'\''s'");
    }

    #[test]
    fn shows_programs_of_the_workspace_by_their_place_in_it() {
        assert_eq!(
            Invocation::new(workspace::tool("cargo-deny"), []).to_string(),
            "target/tools/bin/cargo-deny"
        );
    }

    #[test]
    fn an_exit_code_is_an_error_that_says_what_failed() {
        let error = Invocation::new("sh", ["-c", "echo why >&2; exit 3"]).output().unwrap_err();
        assert!(error.to_string().contains("why"), "{error}");
    }
}
