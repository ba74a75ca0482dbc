//! Where settings come from: the file, the environment, the flags.

use std::{fs, path::Path};

use figment::{
    Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};
use proxy_core::config::Problem;

use super::{Finding, text::Text};

/// What the names of our variables begin with.
pub const PREFIX: &str = "MCP_PROXY_";

/// The variable that names the configuration file, as `--config` does.
pub const CONFIG_VARIABLE: &str = "MCP_PROXY_CONFIG";

/// One layer of settings.
pub(super) struct Source {
    /// How users know it: a file's path, a variable's name, a flag.
    pub(super) name: String,
    /// The settings, still under the names that were written.
    pub(super) values: Dict,
    /// For variables and flags: the path of the one setting that it is, and its text, which may yet turn out to be a number.
    pub(super) text: Option<(Vec<String>, Text)>,
}

impl Source {
    /// The settings of a TOML file.
    pub(super) fn file(path: &Path) -> Result<Self, Finding> {
        let name = path.display().to_string();
        let problem = |what: String, instead: &str| Finding {
            origin: Some(name.clone()),
            problem: Problem::new("the file", what, instead),
        };
        let text = fs::read_to_string(path).map_err(|error| {
            problem(format!("cannot be read: {error}"), "name a readable file with --config")
        })?;
        let values = toml::from_str::<Dict>(&text).map_err(|error| {
            problem(syntax(&text, &error), "write TOML, as docs/CONFIGURATION.md shows it")
        })?;
        Ok(Self { name, values, text: None })
    }

    /// Our variables among `variables`, in the order of their names, so that a table comes before its keys.
    pub(super) fn environment(variables: impl IntoIterator<Item = (String, String)>) -> Vec<Self> {
        let mut ours: Vec<_> = variables
            .into_iter()
            .filter(|(name, _)| name.starts_with(PREFIX) && name != CONFIG_VARIABLE)
            .collect();
        ours.sort();
        ours.into_iter()
            .map(|(name, value)| {
                let path = name[PREFIX.len()..].to_ascii_lowercase().split("__").map(str::to_owned).collect();
                Self::of_text(name, path, &value)
            })
            .collect()
    }

    /// A setting that is given as text: `path` is its key, table by table.
    pub(super) fn of_text(name: String, path: Vec<String>, value: &str) -> Self {
        let text = Text::new(value);
        Self { name, values: nested(&path, text.first()), text: Some((path, text)) }
    }

    /// A setting that is given as several texts: a flag that can be repeated.
    pub(super) fn of_list(name: String, path: &[String], values: &[String]) -> Self {
        Self { name, values: nested(path, Value::from(values.to_vec())), text: None }
    }
}

impl Provider for Source {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// A value in the tables around it.
pub(super) fn nested(path: &[String], value: Value) -> Dict {
    match path {
        [] => Dict::new(),
        [key] => Dict::from([(key.clone(), value)]),
        [table, rest @ ..] => Dict::from([(table.clone(), Value::from(nested(rest, value)))]),
    }
}

/// The parser's message with the line, but without the text of the line, which may hold a secret.
fn syntax(text: &str, error: &toml::de::Error) -> String {
    let line = error
        .span()
        .and_then(|span| text.get(..span.start))
        .map(|before| format!("line {}: ", before.matches('\n').count() + 1))
        .unwrap_or_default();
    format!("is not TOML: {line}{}", error.message().trim().replace('\n', ", "))
}
