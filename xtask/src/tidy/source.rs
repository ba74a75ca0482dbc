//! Rules for Rust files.

use std::path::Path;

use super::Problem;
use super::tree::TextFile;

/// The longest a file may be, its unit tests included.
const LONGEST: usize = 500;
/// The longest a `lib.rs` may be: it is a table of contents.
const LONGEST_CONTENTS: usize = 60;
/// What makes a wait in a test legitimate, in a comment beside it that goes on to say why.
const ALLOWED: &str = "// allowed:";

/// A Rust file.
#[derive(Debug)]
pub(super) struct Source<'a> {
    path: &'a Path,
    lines: Vec<&'a str>,
}

impl<'a> Source<'a> {
    /// The file as Rust, if it is that.
    pub(super) fn new(file: &'a TextFile) -> Option<Self> {
        let is_rust = file.path.extension().is_some_and(|extension| extension == "rs");
        is_rust.then(|| Self { path: &file.path, lines: file.text.lines().collect() })
    }

    /// In lines.
    pub(super) fn length(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn check(&self) -> Vec<Problem> {
        let mut problems = self.check_file();
        let tests_begin = self.tests_begin();
        let mut paused = false;
        for (index, line) in self.lines.iter().enumerate() {
            let before =
                index.checked_sub(1).and_then(|above| self.lines.get(above)).copied().unwrap_or_default();
            let mut problem = |what: &str| problems.push(Problem::of_line(self.path, index + 1, what));
            if line.contains("test]") || line.contains("::test(") {
                paused = line.contains("start_paused = true");
            }
            if index >= tests_begin
                && !paused
                && waits(line)
                && !line.contains(ALLOWED)
                && !before.contains(ALLOWED)
            {
                problem("a test waits for an event or pauses tokio's time; else say why: // allowed: ...");
            }
            if line.trim_start().starts_with(concat!("#[ig", "nore")) {
                problem("a test that does not run is no test");
            }
            if let Some(message) = error_message(line) {
                if message.starts_with(char::is_uppercase) && !is_name(message) {
                    problem("an error's message begins in lower case");
                }
                if message.ends_with('.') {
                    problem("an error's message has no full stop at its end");
                }
            }
            if holds_secret(line) {
                problem("a secret is a SecretString, which nothing prints");
            }
            if line.contains(concat!("cfg(", "feature")) && !self.may_have_features() {
                problem("only proxy-bin knows which backends are built in");
            }
        }
        problems
    }

    /// Beside the binary, the crate that holds two backends, and the one that does without S3 where it can.
    fn may_have_features(&self) -> bool {
        let crates = ["crates/proxy-bin", "crates/backend-webhook", "crates/aws-common"];
        crates.iter().any(|folder| self.path.starts_with(folder))
    }

    fn check_file(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |line, what: String| problems.push(Problem::of_line(self.path, line, what));
        if self.length() > LONGEST {
            problem(0, format!("{} lines, {LONGEST} at most: one concept a file", self.length()));
        }
        if !self.lines.first().is_some_and(|line| line.starts_with("//!") || line.starts_with("#![doc"))
            && !self.is_tests()
        {
            problem(1, "begins by saying what it is for: //! ...".to_owned());
        }
        let name = self.path.file_name().unwrap_or_default();
        if name == "mod.rs" {
            problem(0, "foo.rs and foo/, not foo/mod.rs".to_owned());
        }
        if name == "lib.rs" {
            if self.length() > LONGEST_CONTENTS {
                problem(
                    0,
                    format!("{} lines, {LONGEST_CONTENTS} at most: a table of contents", self.length()),
                );
            }
            for (index, line) in self.lines.iter().enumerate() {
                if defines(line) {
                    problem(index + 1, "lib.rs is a table of contents: this belongs in a module".to_owned());
                }
            }
        }
        problems
    }

    /// Whether the whole file is tests. A bench under `tests/` is none: what it measures takes real time.
    fn is_tests(&self) -> bool {
        let in_folder = |name: &str| self.path.components().any(|component| component.as_os_str() == name);
        self.path.file_name().is_some_and(|name| name == "tests.rs")
            || in_folder("tests") && !in_folder("bench")
    }

    /// The index of the first line that is test code.
    fn tests_begin(&self) -> usize {
        if self.is_tests() {
            return 0;
        }
        self.lines.iter().position(|line| line.trim() == "#[cfg(test)]").unwrap_or(self.lines.len())
    }
}

/// Whether the line passes time, rather than naming what does in words.
fn waits(line: &str) -> bool {
    line.contains(concat!("sl", "eep(")) && !line.trim_start().starts_with("//")
}

/// Whether the line, at the outermost level of a file, defines something of its own.
fn defines(line: &str) -> bool {
    let line = line.strip_prefix("pub ").unwrap_or(line);
    ["fn ", "async fn ", "struct ", "enum ", "trait ", "impl "]
        .iter()
        .any(|keyword| line.starts_with(keyword))
}

/// The text of thiserror's attribute.
fn error_message(line: &str) -> Option<&str> {
    let (message, _) = line.trim_start().strip_prefix("#[error(\"")?.rsplit_once('"')?;
    Some(message)
}

/// Whether the first word is a name that is always written so, such as SQS.
fn is_name(message: &str) -> bool {
    let word = message.split(' ').next().unwrap_or_default();
    word.chars().skip(1).any(|character| character.is_uppercase() || character == '_')
}

/// Whether the line is a field or parameter that keeps a secret as plain text.
fn holds_secret(line: &str) -> bool {
    let Some((name, kind)) = line.trim().split_once(": ") else { return false };
    let name = name.rsplit(' ').next().unwrap_or_default();
    let secret = ["auth_token", "bearer_token", "password", "secret", "secret_key"].contains(&name);
    secret && ["String,", "Option<String>,", "&str,", "Vec<String>,"].contains(&kind)
}

#[cfg(test)]
mod tests;
