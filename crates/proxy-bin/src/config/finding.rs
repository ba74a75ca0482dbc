//! A problem with its place.

use std::fmt;

use proxy_core::config::Problem;

/// Something wrong with the configuration, and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file, variable or flag; `None` for what is nowhere written.
    pub origin: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { key, what, instead } = &self.problem;
        match &self.origin {
            Some(origin) => write!(formatter, "{origin}: {key} {what}\n  {instead}"),
            None => write!(formatter, "{key} {what}\n  {instead}"),
        }
    }
}
