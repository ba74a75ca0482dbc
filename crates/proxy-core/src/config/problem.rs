//! Something wrong with the configuration.

use std::fmt;

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
}
