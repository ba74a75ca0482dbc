//! `cargo xtask tidy`: the rules of this repository that neither the compiler, nor clippy, nor cargo-deny knows.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::workspace;

mod layout;
mod source;
mod text;
mod tree;

use source::Source;

/// A breach of a rule.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    path: PathBuf,
    /// Counted from 1; 0 where it is about the file as a whole.
    line: usize,
    what: String,
}

impl Problem {
    fn of_file(path: &Path, what: impl Into<String>) -> Self {
        Self { path: path.to_path_buf(), line: 0, what: what.into() }
    }

    fn of_line(path: &Path, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_path_buf(), line, what: what.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(formatter, "{}: {}", self.path.display(), self.what),
            line => write!(formatter, "{}:{line}: {}", self.path.display(), self.what),
        }
    }
}

/// Looks at every file of the repository; any problem is an error.
pub(crate) fn run() -> Result<()> {
    let root = workspace::root();
    let files = tree::read(&root)?;
    let mut problems = layout::check(&root, &workspace::members()?)?;
    let machine = text::machine_paths(&root);
    let mut lengths = Vec::new();
    for file in &files {
        problems.extend(text::check(file, &machine));
        if let Some(source) = Source::new(file) {
            lengths.push(source.length());
            problems.extend(source.check());
        }
    }
    report_lengths(&mut lengths);
    for problem in &problems {
        println!("{problem}");
    }
    if !problems.is_empty() {
        bail!("{} problems", problems.len());
    }
    Ok(())
}

fn report_lengths(lengths: &mut [usize]) {
    lengths.sort_unstable();
    let Some(last) = lengths.len().checked_sub(1) else { return };
    println!(
        "{} Rust files: median {} lines, 90 % up to {}, longest {}",
        lengths.len(),
        lengths[last / 2],
        lengths[last * 9 / 10],
        lengths[last],
    );
}
