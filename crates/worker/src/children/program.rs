//! The server's command: its program, its environment and where it runs.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use proxy_core::error::{BackendError, ErrorKind};

use super::config::ServerConfig;

/// What every program may know (the default environment of the official SDK clients).
const ALWAYS: [&str; 6] = ["HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER"];

/// Where programs are looked for without `PATH`.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// A command, ready to be started again and again.
pub(super) struct Program {
    /// The program and its arguments.
    pub(super) command: Vec<OsString>,
    /// All of its environment.
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) directory: Option<PathBuf>,
}

impl std::fmt::Debug for Program {
    /// Without arguments and values: they may be secrets.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Program").field("name", &self.name()).finish_non_exhaustive()
    }
}

impl Program {
    /// The command of these settings, with what it gets of the worker's own environment.
    pub(super) fn new(config: &ServerConfig) -> Self {
        let mut environment: Vec<(OsString, OsString)> = Vec::new();
        let passed = config.pass_env.iter().map(String::as_str);
        for name in ALWAYS.into_iter().chain(passed.filter(|name| !ALWAYS.contains(name))) {
            match env::var_os(name) {
                Some(_) if config.env.contains_key(name) => {}
                Some(value) => environment.push((name.into(), value)),
                None if ALWAYS.contains(&name) => {}
                None => tracing::warn!(name, "a variable that pass_env names is not set"),
            }
        }
        let given = config.env.iter().map(|(name, value)| (name.into(), value.expose().into()));
        environment.extend(given);
        if !environment.iter().any(|(name, _)| name == "PATH") {
            environment.push(("PATH".into(), DEFAULT_PATH.into()));
        }
        Self {
            command: config.command.iter().map(Into::into).collect(),
            environment,
            directory: config.directory.clone(),
        }
    }

    /// Whether it can be started, as far as files tell: looked for as the process does that becomes it, in its directory and by its `PATH`.
    /// The message may reach clients; where it was looked for, and what to do, is for the operator, and is the source.
    pub(super) fn check(&self) -> Result<(), BackendError> {
        let refuse = |message: String, missing: Missing| {
            Err(BackendError::new(ErrorKind::Config, "send", message).with_source(missing))
        };
        if let Some(directory) = self.directory.as_deref().filter(|directory| !directory.is_dir()) {
            let message = format!("the server's directory \"{}\" does not exist", directory.display());
            return refuse(message, Missing::Directory);
        }
        let name = self.name();
        let shown = name.display();
        if Path::new(name).components().count() > 1 || name.as_encoded_bytes().contains(&b'/') {
            let path = self.directory.as_deref().unwrap_or(Path::new("")).join(name);
            return match fs::metadata(&path) {
                Ok(found) if is_executable(&found) => Ok(()),
                Ok(_) => {
                    refuse(format!("the server program \"{shown}\" is not executable"), Missing::at(path))
                }
                Err(_) => {
                    let missing = if is_several_words(name) { Missing::Words } else { Missing::at(path) };
                    refuse(format!("the server program \"{shown}\" does not exist"), missing)
                }
            };
        }
        let path = self.environment.iter().find(|(variable, _)| variable == "PATH");
        let path = path.map(|(_, path)| path.as_os_str()).unwrap_or_default();
        if env::split_paths(path).any(|directory| is_executable_at(&self.resolved(&directory).join(name))) {
            return Ok(());
        }
        let message = format!("the server program \"{shown}\" is not on PATH, or not executable");
        if is_several_words(name) {
            return refuse(message, Missing::Words);
        }
        refuse(message, Missing::OnPath(path.to_string_lossy().into()))
    }

    /// The program, as the settings name it.
    pub(super) fn name(&self) -> &OsStr {
        self.command.first().map(OsString::as_os_str).unwrap_or_default()
    }

    /// A directory of `PATH` as the server sees it.
    fn resolved(&self, directory: &Path) -> PathBuf {
        self.directory.as_deref().unwrap_or(Path::new("")).join(directory)
    }
}

/// Where something was looked for that is not there, and what to do.
#[derive(Debug, thiserror::Error)]
enum Missing {
    #[error(
        "it was looked for in the directories of the PATH that the server gets, \"{0}\": install it, name it by its whole path in \
         worker.server.command, or set PATH in worker.server.env"
    )]
    OnPath(Box<str>),
    #[error(
        "it was looked for at \"{0}\": write a path to a program that the worker's user may execute into worker.server.command; a relative \
         one counts from worker.server.directory, or else from where the worker was started"
    )]
    At(Box<str>),
    #[error(
        "no shell takes it apart: write the program and each of its arguments as a text of its own in worker.server.command, or after -- \
         without quotes around them all"
    )]
    Words,
    #[error("make it, or name another in worker.server.directory")]
    Directory,
}

impl Missing {
    fn at(path: PathBuf) -> Self {
        let whole = std::path::absolute(&path).unwrap_or(path);
        Self::At(whole.to_string_lossy().into())
    }
}

/// Whether it looks like a whole command in one text.
fn is_several_words(name: &OsStr) -> bool {
    name.to_string_lossy().contains(char::is_whitespace)
}

fn is_executable_at(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| is_executable(&found))
}

fn is_executable(file: &fs::Metadata) -> bool {
    file.is_file() && file.permissions().mode() & 0o111 != 0
}

#[cfg(test)]
mod tests {
    use proxy_core::config::Secret;

    use super::*;

    fn checked(config: &ServerConfig) -> Result<(), String> {
        Program::new(config).check().map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::Config);
            let remedy = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            assert!(remedy.contains("worker.server."), "{remedy}");
            format!("{error}: {remedy}")
        })
    }

    #[test]
    fn programs_are_looked_for_on_path_and_otherwise_where_they_are_said_to_be() {
        assert_eq!(checked(&ServerConfig::new(["sh"])), Ok(()));
        assert_eq!(checked(&ServerConfig::new(["/bin/sh"])), Ok(()));
        let relative = ServerConfig { directory: Some("/bin".into()), ..ServerConfig::new(["./sh"]) };
        assert_eq!(checked(&relative), Ok(()));
    }

    #[test]
    fn what_cannot_be_started_is_named() {
        let nowhere = ServerConfig { directory: Some("/no/where".into()), ..ServerConfig::new(["sh"]) };
        let hidden = ServerConfig {
            env: [("PATH".to_owned(), Secret::new("/no/where"))].into(),
            ..ServerConfig::new(["sh"])
        };
        let beside =
            ServerConfig { directory: Some("/bin".into()), ..ServerConfig::new(["./no-such-program"]) };
        for (config, named) in [
            (ServerConfig::new(["no-such-program"]), "\"no-such-program\" is not on PATH"),
            (ServerConfig::new(["/no/such/program"]), "\"/no/such/program\" does not exist"),
            (ServerConfig::new(["/etc/passwd"]), "\"/etc/passwd\" is not executable"),
            (nowhere, "\"/no/where\" does not exist"),
            (
                hidden,
                "\"sh\" is not on PATH, or not executable: it was looked for in the directories of the PATH that the server gets, \"/no/where\"",
            ),
            (
                ServerConfig::new(["sh -c true"]),
                "\"sh -c true\" is not on PATH, or not executable: no shell takes it apart",
            ),
            (
                ServerConfig::new(["npx -y @scope/server"]),
                "\"npx -y @scope/server\" does not exist: no shell takes it apart",
            ),
            (beside, "\"./no-such-program\" does not exist: it was looked for at \"/bin/no-such-program\""),
        ] {
            let error = checked(&config).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn arguments_and_variables_show_nowhere() {
        let env = [("KEY".to_owned(), Secret::new("sesame"))].into();
        let program = Program::new(&ServerConfig { env, ..ServerConfig::new(["sh", "sesame"]) });
        assert!(!format!("{program:?}").contains("sesame"));
    }
}
