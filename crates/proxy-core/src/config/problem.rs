//! Something wrong with the configuration.

use std::fmt;

use crate::error::{BackendError, ErrorKind};

/// Something wrong with one setting, in words for whoever wrote it.
///
/// None of the texts holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting: its key with the tables it is in, such as `server.port`.
    pub key: String,
    /// What is wrong: continues a sentence that begins with the key.
    pub what: String,
    /// What to write instead.
    pub instead: String,
}

impl Problem {
    /// A problem of the setting `key`, named within its own table.
    pub fn new(key: impl Into<String>, what: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { key: key.into(), what: what.into(), instead: instead.into() }
    }

    /// The same problem seen from outside of the table `table`.
    #[must_use]
    pub fn within(mut self, table: &str) -> Self {
        self.key = format!("{table}.{}", self.key);
        self
    }
}

/// Refuses settings that have problems, with all of them in one sentence.
///
/// # Errors
/// `Config`, of this operation.
pub fn refuse_problems(operation: &'static str, problems: &[Problem]) -> Result<(), BackendError> {
    if problems.is_empty() {
        return Ok(());
    }
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Err(BackendError::new(ErrorKind::Config, operation, problems.join("; ")))
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}; {}", self.key, self.what, self.instead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_a_sentence() {
        let problem = Problem::new("port", "is 0", "write port = 8080").within("server");
        assert_eq!(problem.to_string(), "server.port is 0; write port = 8080");
    }

    #[test]
    fn settings_are_refused_for_every_problem_at_once() {
        assert!(refuse_problems("start", &[]).is_ok());
        let problems = [Problem::new("a", "is 0", "write 1"), Problem::new("b", "is missing", "write it")];
        let error = refuse_problems("start", &problems).unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Config, "start"));
        assert!(error.to_string().ends_with("a is 0; write 1; b is missing; write it"), "{error}");
    }
}
