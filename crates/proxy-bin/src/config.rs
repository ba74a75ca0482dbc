//! The configuration of the whole process: every part's settings in one struct, and where they come from.
//!
//! [`load()`] reads the layers, later ones winning: defaults, the file, variables that begin with `MCP_PROXY_`, flags.

mod backends;
mod extract;
mod finding;
mod load;
mod names;
mod reference;
mod schema;
mod show;
mod source;
mod text;

use std::time::Duration;

use frontend_http::{SecurityConfig, ServerConfig};
use proxy_core::config::{Problem, SessionConfig, duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use backends::{BackendChoice, BackendTables};
pub use finding::Finding;
pub use load::{Inputs, Loaded, Refused, load};
pub use names::canonical_backend;
pub use reference::reference;
pub use schema::schema;
pub use show::Setting;
pub use source::{CONFIG_VARIABLE, PREFIX};

/// Everything that can be configured.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Which backend to use; only needed when several have a table. `-` and `_` are alike, and `sns_sqs` is `snssqs`.
    pub backend_transport: Option<String>,
    /// Where the front end listens.
    pub server: ServerConfig,
    /// How long sessions and requests live.
    pub session: SessionConfig,
    /// Whom the front end serves.
    pub security: SecurityConfig,
    /// How the process ends.
    pub shutdown: ShutdownConfig,
    /// The backends, each in a table of its own.
    pub backend: BackendTables,
}

/// The table `[shutdown]`: how the process ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ShutdownConfig {
    /// How long requests in flight may take after the signal before they are ended with an error. Default 25 s: container
    /// platforms kill after 30 s.
    #[serde(with = "duration")]
    #[schemars(with = "duration::Schema")]
    pub grace: Duration,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self { grace: Duration::from_secs(25) }
    }
}

impl Config {
    /// The settings of the backend to use, if it is clear which one that is.
    ///
    /// # Errors
    ///
    /// The problem with `backend_transport` or the tables under `backend`.
    pub fn choose_backend(&self) -> Result<BackendChoice, Problem> {
        let mut given = self.backend.given();
        let names: Vec<String> = given.iter().map(|(name, _)| format!("{name:?}")).collect();
        if let Some(wanted) = &self.backend_transport {
            let name = canonical_backend(wanted);
            if !BackendTables::NAMES.contains(&name.as_str()) {
                return Err(not_in_this_build("backend_transport", wanted));
            }
            let table = names::table_of(&name);
            let found = given.into_iter().find(|(given, _)| *given == name);
            return found.map(|(_, choice)| choice).ok_or_else(|| {
                Problem::new(
                    format!("backend.{table}"),
                    format!("is missing, though backend_transport is {wanted:?}"),
                    format!("write a table [backend.{table}]"),
                )
            });
        }
        match given.len() {
            1 => Ok(given.remove(0).1),
            0 => Err(Problem::new(
                "backend",
                "is missing, so it is not known where the MCP server is",
                BackendTables::remedy(),
            )),
            _ => Err(Problem::new(
                "backend_transport",
                format!("is missing, though there are tables of {}", names.join(" and ")),
                format!("write backend_transport = {}", names[0]),
            )),
        }
    }

    /// Everything that is wrong with the settings, taken together.
    pub fn validate(&self) -> Vec<Problem> {
        let mut problems = within("server", self.server.validate());
        problems.extend(within("session", self.session.validate()));
        problems.extend(within("security", self.security.validate(&self.server)));
        match self.choose_backend() {
            Ok(choice) => problems.extend(choice.validate()),
            Err(problem) => {
                problems.push(problem);
                problems.extend(self.backend.given().iter().flat_map(|(_, given)| given.validate()));
            }
        }
        problems
    }
}

/// What to say of a backend that is not in this build, named under `key`.
fn not_in_this_build(key: &str, name: &str) -> Problem {
    let names = BackendTables::NAMES.join(", ");
    Problem::new(
        key,
        format!("asks for the backend {name:?}, which this build of proxy-bin does not have"),
        format!("use one that it has ({names}), or a build with the cargo feature of that backend"),
    )
}

fn within(table: &str, problems: Vec<Problem>) -> Vec<Problem> {
    problems.into_iter().map(|problem| problem.within(table)).collect()
}

#[cfg(test)]
#[cfg(feature = "sqs")]
mod tests;
