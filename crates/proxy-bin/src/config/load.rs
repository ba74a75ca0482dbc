//! The layers and how they are laid over each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
};

use figment::{
    Figment,
    value::{Dict, Value},
};
use proxy_core::config::Problem;

use super::{
    Config, Finding, Role, Setting,
    extract::{Extracted, extract, origin, place},
    names::{self, Meant},
    show,
    source::{Source, nested},
    text::Text,
    within,
};

/// What the configuration is read from, and for what. `Debug` shows no value, since any may be a secret.
#[derive(Clone, Default)]
pub struct Inputs {
    /// What it is for; `None`: what its tables say.
    pub role: Option<Role>,
    /// The TOML file, if one is named.
    pub file: Option<PathBuf>,
    /// The environment, or what stands in for it.
    pub variables: Vec<(String, String)>,
    /// Flags in the order of their precedence, least first: how each was written, its key, its text.
    pub flags: Vec<(String, String, String)>,
    /// Flags that were given several times: how each was written, its key, its texts.
    pub repeated_flags: Vec<(String, String, Vec<String>)>,
}

impl fmt::Debug for Inputs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags: Vec<_> = self.flags.iter().map(|(flag, ..)| flag).collect();
        formatter
            .debug_struct("Inputs")
            .field("file", &self.file)
            .field("flags", &flags)
            .finish_non_exhaustive()
    }
}

/// A configuration without problems.
#[derive(Debug)]
pub struct Loaded {
    /// The settings in force.
    pub config: Config,
    /// What they are for.
    pub role: Role,
    /// What the operator should know: settings that do nothing, variables that mean nothing.
    pub warnings: Vec<String>,
    /// Every setting in force with where it comes from.
    pub settings: Vec<Setting>,
}

/// A configuration with problems.
#[derive(Debug)]
pub struct Refused {
    /// All of them.
    pub problems: Vec<Finding>,
    /// As in [`Loaded`].
    pub warnings: Vec<String>,
}

/// Reads the configuration.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn load(inputs: &Inputs) -> Result<Loaded, Box<Refused>> {
    let mut problems = Vec::new();
    let sources = sources(inputs, &mut problems);
    let is_unread = !problems.is_empty();
    let mut warnings = Vec::new();
    let (figment, texts) = merge(sources, &mut problems, &mut warnings);
    let Extracted { mut config, problems: unread, warnings: ignored, values } = extract(&figment, texts);
    problems.extend(unread);
    warnings.extend(ignored);

    let role = inputs.role.unwrap_or_else(|| config.role());
    let mut found = Vec::new();
    // What is missing may stand in a file that could not be read.
    if !is_unread {
        let folder = token_folder(inputs, &figment, &values);
        found.extend(within("security", config.security.read_token_files(&folder)));
        found.extend(config.validate(role));
    }
    for problem in found {
        // What could not be read is not missing, empty or wrong in another way too.
        if problems.iter().all(|known| !is_about_the_same(&known.problem, &problem)) {
            let path: Vec<String> = problem.key.split('.').map(str::to_owned).collect();
            problems.push(Finding { origin: place(&figment, &values, &path), problem });
        }
    }
    if problems.is_empty() {
        let settings = show::settings(&config, |path| origin(&figment, &values, path));
        Ok(Loaded { config, role, warnings, settings })
    } else {
        Err(Box::new(Refused { problems, warnings }))
    }
}

/// All layers, least important first.
fn sources(inputs: &Inputs, problems: &mut Vec<Finding>) -> Vec<Source> {
    let path = |key: &str| key.split('.').map(str::to_owned).collect::<Vec<_>>();
    let mut sources = Vec::new();
    match inputs.file.as_deref().map(Source::file) {
        Some(Ok(file)) => sources.push(file),
        Some(Err(problem)) => problems.push(problem),
        None => {}
    }
    sources.extend(Source::environment(inputs.variables.iter().cloned()));
    for (flag, key, values) in &inputs.repeated_flags {
        sources.push(Source::of_list(flag.clone(), &path(key), values));
    }
    for (flag, key, value) in &inputs.flags {
        sources.push(Source::of_text(flag.clone(), path(key), value));
    }
    sources
}

/// Lays the layers over each other, and remembers which settings came as text.
fn merge(
    sources: Vec<Source>,
    problems: &mut Vec<Finding>,
    warnings: &mut Vec<String>,
) -> (Figment, BTreeMap<Vec<String>, Text>) {
    let meant = meant(&sources);
    let mut figment = Figment::new();
    let mut texts = BTreeMap::new();
    for mut source in sources {
        let renamed = names::rename(source.values, &meant);
        let name = source.name.clone();
        warnings.extend(
            renamed
                .without_effect
                .iter()
                .map(|(key, reason)| format!("{name}: {key} has no effect: {reason}")),
        );
        problems.extend(
            renamed.problems.into_iter().map(|problem| Finding { origin: Some(name.clone()), problem }),
        );
        source.values = renamed.values;
        if let Some((path, text)) = source.text.take().filter(|_| renamed.without_effect.is_empty()) {
            // The path under the names of this program, whatever the text turns out to be.
            let probe = names::rename(nested(&path, Value::from("")), &meant);
            texts.insert(path_of(&probe.values), text);
        }
        figment = figment.merge(source);
    }
    (figment, texts)
}

/// Which tables are meant where none is named.
fn meant(sources: &[Source]) -> Meant {
    let backend = sources
        .iter()
        .rev()
        .find_map(|source| source.values.get("backend_transport").and_then(Value::as_str))
        .map(str::to_owned);
    let tables: BTreeSet<String> = sources
        .iter()
        .filter_map(|source| source.values.get("intake").and_then(Value::as_dict))
        .flat_map(Dict::keys)
        .filter(|name| *name != names::ANY)
        .map(|name| names::canonical_backend(name))
        .collect();
    let only = || tables.first().filter(|_| tables.len() == 1).cloned();
    Meant { intake: backend.clone().or_else(only), backend }
}

/// The path of the only setting that there is.
fn path_of(values: &Dict) -> Vec<String> {
    let mut path = Vec::new();
    let mut dict = values;
    while let (1, Some((key, value))) = (dict.len(), dict.iter().next()) {
        path.push(key.clone());
        let Value::Dict(_, inner) = value else { break };
        dict = inner;
    }
    path
}

/// Where relative paths of token files start: the folder of the file, if they stand in it.
fn token_folder(inputs: &Inputs, figment: &Figment, values: &Value) -> PathBuf {
    let list = ["security", "auth_tokens"].map(str::to_owned);
    let file = inputs.file.as_deref().filter(|file| {
        origin(figment, values, &list).is_some_and(|origin| origin == file.display().to_string())
    });
    file.and_then(Path::parent).map(Path::to_path_buf).unwrap_or_default()
}

fn is_about_the_same(known: &Problem, found: &Problem) -> bool {
    let around =
        |outer: &str, inner: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
    known.key == found.key || around(&known.key, &found.key) || around(&found.key, &known.key)
}
