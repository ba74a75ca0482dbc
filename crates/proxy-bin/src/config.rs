//! The configuration of the whole process: every part's settings in one struct, and where they come from.
//!
//! [`load()`] reads the layers, later ones winning: defaults, the file, variables that begin with `MCP_PROXY_`, flags.

mod admin;
mod backends;
mod choice;
mod extract;
mod finding;
mod intakes;
mod load;
mod names;
mod reference;
mod role;
mod schema;
mod show;
mod source;
mod text;

use std::time::Duration;

use frontend_http::{SecurityConfig, ServerConfig};
use proxy_core::config::{Problem, SessionConfig, duration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use worker::WorkerConfig;

pub use admin::AdminConfig;
pub use backends::{BackendChoice, BackendTables};
pub use finding::Finding;
pub use intakes::{IntakeChoice, IntakeTables};
pub use load::{Inputs, Loaded, Refused, load};
pub use names::canonical_backend;
pub use reference::reference;
pub use role::Role;
pub use schema::schema;
pub use show::Setting;
pub use source::{CONFIG_VARIABLE, PREFIX};

/// Everything that can be configured.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Which backend to use, or as a worker which intake; only needed when several have a table. `-` and `_` are alike, and `sns_sqs`
    /// is `snssqs`.
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
    /// The worker, and the MCP server that it runs.
    pub worker: Option<WorkerConfig>,
    /// Where a worker's requests come in, each transport in a table of its own.
    pub intake: IntakeTables,
    /// Where the worker's health and metrics are.
    pub admin: AdminConfig,
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
        let wanted = self.backend_transport.as_deref();
        choice::choose(Role::Proxy, self.backend.given(), wanted, BackendTables::remedy)
    }

    /// The settings of the intake to use, if it is clear which one that is.
    ///
    /// # Errors
    ///
    /// The problem with `backend_transport` or the tables under `intake`.
    pub fn choose_intake(&self) -> Result<IntakeChoice, Problem> {
        let wanted = self.backend_transport.as_deref();
        choice::choose(Role::Worker, self.intake.given(), wanted, IntakeTables::remedy)
    }

    /// What the settings are for: a worker where there are some of a worker's and no backend.
    pub fn role(&self) -> Role {
        let is_worker = self.worker.is_some() || !self.intake.given().is_empty();
        if is_worker && self.backend.given().is_empty() { Role::Worker } else { Role::Proxy }
    }

    /// Everything that is wrong with the settings for a process of this role, taken together. What is there for the other role is
    /// looked at too, but need not be complete.
    pub fn validate(&self, role: Role) -> Vec<Problem> {
        let mut problems = within("server", self.server.validate());
        problems.extend(within("session", self.session.validate()));
        // Where the proxy listens says nothing of a worker.
        let served = if role == Role::Proxy { &self.server } else { &ServerConfig::default() };
        problems.extend(within("security", self.security.validate(served)));
        match role {
            Role::Proxy => match self.choose_backend() {
                Ok(choice) => problems.extend(choice.validate()),
                Err(problem) => {
                    problems.push(problem);
                    problems.extend(self.backend.given().iter().flat_map(|(_, given)| given.validate()));
                }
            },
            Role::Worker => problems.extend(self.validate_worker()),
        }
        problems
    }

    /// Everything that is wrong with the settings of the worker.
    fn validate_worker(&self) -> Vec<Problem> {
        let mut problems = within("admin", self.admin.validate(&self.security));
        let worker = self.worker.clone().unwrap_or_default();
        problems.extend(within("worker", worker.validate()));
        if worker.server.url.is_some() && cfg!(not(feature = "streamable-http-webhook")) {
            problems.push(no_upstream_in_this_build());
        }
        match self.choose_intake() {
            Ok(choice) => problems.extend(choice.validate()),
            Err(problem) => {
                problems.push(problem);
                problems.extend(self.intake.given().iter().flat_map(|(_, given)| given.validate()));
            }
        }
        problems
    }
}

/// What to say of an MCP server over HTTP in a build that has no client for it.
pub(crate) fn no_upstream_in_this_build() -> Problem {
    Problem::new(
        "worker.server.url",
        "names a server over HTTP, which this build of proxy-bin cannot reach",
        "use a build with the cargo feature streamable-http-webhook, or a command: worker.server.command, or proxy-bin worker … -- COMMAND",
    )
}

fn within(table: &str, problems: Vec<Problem>) -> Vec<Problem> {
    problems.into_iter().map(|problem| problem.within(table)).collect()
}

#[cfg(test)]
#[cfg(feature = "sqs")]
mod tests;
