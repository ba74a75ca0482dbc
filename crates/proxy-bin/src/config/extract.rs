//! From merged values to [`Config`], with every type error and unknown key on the way.
//!
//! Deserializing stops at the first error. So each error is noted, its value taken out, and the rest deserialized again.

use std::collections::BTreeMap;

use figment::{
    Figment,
    error::{Actual, Kind},
    value::{Dict, Value},
};
use proxy_core::config::Problem;
use serde::Deserialize;

use super::{Config, Finding, PREFIX, choice::not_in_this_build, show, text::Text};

/// How alike two names must be for one to be taken for the other misspelt; 1 is the same.
const ALIKE: f64 = 0.7;

/// Where tables stand; `*` is any name or place.
const TABLES: [&[&str]; 15] = [
    &["server"],
    &["session"],
    &["session", "tools", "*"],
    &["security"],
    &["security", "auth_tokens", "*"],
    &["shutdown"],
    &["backend"],
    &["backend", "*"],
    &["backend", "*", "large_payloads"],
    &["worker"],
    &["worker", "server"],
    &["intake"],
    &["intake", "*"],
    &["intake", "*", "large_payloads"],
    &["admin"],
];

/// What was read, and what was wrong with it.
pub(super) struct Extracted {
    /// The settings that could be read, defaults for the rest.
    pub(super) config: Config,
    /// What is wrong.
    pub(super) problems: Vec<Finding>,
    /// What is only worth a warning: variables that mean nothing.
    pub(super) warnings: Vec<String>,
    /// All layers merged, with the marks of where each value comes from.
    pub(super) values: Value,
}

/// Reads what the layers of `figment` say. `texts` are the settings that came as text, by path.
pub(super) fn extract(figment: &Figment, mut texts: BTreeMap<Vec<String>, Text>) -> Extracted {
    let mut values = figment.extract::<Value>().unwrap_or_else(|_| Value::from(Dict::new()));
    let mut extracted = Extracted {
        config: Config::default(),
        problems: Vec::new(),
        warnings: Vec::new(),
        values: values.clone(),
    };
    let mut told: BTreeMap<Vec<String>, Kind> = BTreeMap::new();
    loop {
        let error = match read(&values) {
            Ok(config) => {
                extracted.config = config;
                break;
            }
            Err(error) => *error,
        };
        let path = error.path;
        let origin = place(figment, &extracted.values, &path);
        let is_unknown = matches!(error.kind, Kind::UnknownField(..));
        let present = find(&values, &path);
        // A later layer may have put something else there.
        let text = texts.get_mut(&path).filter(|text| !is_unknown && present == Some(&text.first()));
        if let Some(text) = text {
            if text.is_telling() {
                told.insert(path.clone(), error.kind.clone());
            }
            if let Some(next) = text.next() {
                *at(&mut values, &path) = next;
                continue;
            }
        }
        let kind = told.remove(&path).unwrap_or(error.kind);
        let from_variable = texts.keys().any(|text| text.starts_with(&path))
            && origin.as_deref().is_some_and(|origin| origin.starts_with(PREFIX));
        let problem = problem(&path, &kind);
        if is_unknown && from_variable {
            let origin = origin.unwrap_or_default();
            extracted
                .warnings
                .push(format!("{origin} is ignored: {} {}; {}", problem.key, problem.what, problem.instead));
        } else {
            extracted.problems.push(Finding { origin, problem });
        }
        if !take_out(&mut values, &path) {
            break;
        }
    }
    extracted
}

/// The settings, or the first error.
fn read(values: &Value) -> Result<Config, Box<figment::Error>> {
    match TABLES.iter().find_map(|pattern| list_at(values, pattern)) {
        // Serde would take the items for the table's settings, one after another.
        Some(mut path) => {
            path.reverse();
            let kind = Kind::InvalidType(Actual::Seq, "struct".to_owned());
            let mut error = figment::Error::from(kind);
            error.path = path;
            Err(Box::new(error))
        }
        None => Config::deserialize(values).map_err(Box::new),
    }
}

/// The path of a list where `pattern` has a table, innermost first.
fn list_at(values: &Value, pattern: &[&str]) -> Option<Vec<String>> {
    let Some((&key, rest)) = pattern.split_first() else {
        return matches!(values, Value::Array(..)).then(Vec::new);
    };
    let named = |(name, value): (String, &Value)| {
        let mut path = list_at(value, rest)?;
        path.push(name);
        Some(path)
    };
    match values {
        Value::Dict(_, dict) => dict
            .iter()
            .filter(|(name, _)| key == "*" || key == name.as_str())
            .map(|(name, value)| (name.clone(), value))
            .find_map(named),
        Value::Array(_, list) if key == "*" => {
            list.iter().enumerate().map(|(index, value)| (index.to_string(), value)).find_map(named)
        }
        _ => None,
    }
}

/// The layer that the value at `path` comes from; `None` if it is a default.
pub(super) fn origin(figment: &Figment, values: &Value, path: &[String]) -> Option<String> {
    let (nearest, is_it) = nearest(values, path);
    if is_it { name_of(figment, nearest) } else { None }
}

/// The layer that a problem at `path` is best mended in: that of the value or of the nearest table around it.
pub(super) fn place(figment: &Figment, values: &Value, path: &[String]) -> Option<String> {
    name_of(figment, nearest(values, path).0)
}

fn name_of(figment: &Figment, value: &Value) -> Option<String> {
    figment.get_metadata(value.tag()).map(|metadata| metadata.name.to_string())
}

/// The value at `path` or the nearest around it, and whether it decides about the path: a table that lacks the key does not.
fn nearest<'values>(values: &'values Value, path: &[String]) -> (&'values Value, bool) {
    let Some((key, rest)) = path.split_first() else { return (values, true) };
    let inner = match values {
        Value::Dict(_, dict) => match dict.get(key) {
            Some(inner) => inner,
            None => return (values, false),
        },
        Value::Array(_, list) => match key.parse::<usize>().ok().and_then(|index| list.get(index)) {
            Some(inner) => inner,
            None => return (values, true),
        },
        _ => return (values, true),
    };
    nearest(inner, rest)
}

fn find<'values>(values: &'values Value, path: &[String]) -> Option<&'values Value> {
    path.iter().try_fold(values, |value, key| value.as_dict().and_then(|dict| dict.get(key)))
}

/// The value at `path`; the root if there is none.
fn at<'values>(values: &'values mut Value, path: &[String]) -> &'values mut Value {
    let Some((key, rest)) = path.split_first() else { return values };
    match values {
        Value::Dict(_, dict) => at(dict.entry(key.clone()).or_insert_with(|| Value::from(Dict::new())), rest),
        other => other,
    }
}

/// Takes out the value at `path`; of a list that has something wrong in it, unless in a table, the whole list. Says whether
/// anything was there.
fn take_out(values: &mut Value, path: &[String]) -> bool {
    let Some((key, rest)) = path.split_first() else { return false };
    match values {
        Value::Dict(_, dict) if rest.is_empty() => dict.remove(key).is_some(),
        Value::Dict(_, dict) => match dict.get_mut(key) {
            Some(inner) => take_out(inner, rest) || dict.remove(key).is_some(),
            None => false,
        },
        Value::Array(_, list) => match key.parse::<usize>().ok().and_then(|index| list.get_mut(index)) {
            Some(inner) => take_out(inner, rest),
            None => false,
        },
        _ => false,
    }
}

/// What the standard library says of a text that is no socket address, a host name with a port say.
const NO_ADDRESS: &str = "invalid socket address syntax";
const ADDRESS: &str = "an IP address and a port in quotes, such as \"127.0.0.1:9090\"";

fn problem(path: &[String], kind: &Kind) -> Problem {
    let key = if path.is_empty() { "the file".to_owned() } else { path.join(".") };
    let is_secret = path.iter().any(|name| {
        name.contains("token") || name.contains("secret") || matches!(name.as_str(), "headers" | "env")
    });
    match kind {
        Kind::UnknownField(name, expected) => unknown(path, name, expected),
        Kind::Message(message) if message == NO_ADDRESS => {
            Problem::new(key, "is no address with a port", format!("write {ADDRESS}"))
        }
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => Problem::new(
            key,
            format!("is {}", shown(found, is_secret)),
            format!("write {}", wanted(expected)),
        ),
        Kind::Message(message) => match message.split_once(" is not ") {
            Some((found, wanted)) if !is_secret => {
                Problem::new(key, format!("is {found}"), format!("write {wanted}"))
            }
            _ if is_secret => {
                Problem::new(key, "cannot be read", "see docs/CONFIGURATION.md for what it takes")
            }
            _ => Problem::new(
                key,
                format!("cannot be read: {message}"),
                "see docs/CONFIGURATION.md for what it takes",
            ),
        },
        other => {
            let what =
                if is_secret { "cannot be read".to_owned() } else { format!("cannot be read: {other}") };
            Problem::new(key, what, "see docs/CONFIGURATION.md for what it takes")
        }
    }
}

fn unknown(path: &[String], name: &str, siblings: &[&str]) -> Problem {
    if let [table, backend] = path
        && matches!(table.as_str(), "backend" | "intake")
        && !siblings.iter().any(|sibling| strsim::normalized_damerau_levenshtein(sibling, backend) >= ALIKE)
    {
        return not_in_this_build(&path.join("."), backend);
    }
    let alike = |known: &&&str| strsim::normalized_damerau_levenshtein(known, name);
    let nearest = siblings
        .iter()
        .filter(|sibling| alike(sibling) >= ALIKE)
        .max_by(|left, right| alike(left).total_cmp(&alike(right)));
    let table = path.split_last().map(|(_, table)| table.join(".")).unwrap_or_default();
    let instead = if let Some(nearest) = nearest {
        format!(
            "did you mean {}?",
            if table.is_empty() { (*nearest).to_owned() } else { format!("{table}.{nearest}") }
        )
    } else if let Some(elsewhere) = known_elsewhere(name) {
        format!("did you mean {elsewhere}?")
    } else {
        format!("known here: {}", siblings.join(", "))
    };
    Problem::new(path.join("."), "is not a known setting", instead)
}

/// A setting of this name in any table, or one that is nearly called so.
fn known_elsewhere(name: &str) -> Option<String> {
    let alike = |key: &String| {
        strsim::normalized_damerau_levenshtein(key.rsplit('.').next().unwrap_or_default(), name)
    };
    show::known_keys()
        .into_iter()
        .filter(|key| alike(key) >= ALIKE)
        .max_by(|left, right| alike(left).total_cmp(&alike(right)))
}

fn shown(found: &Actual, is_secret: bool) -> String {
    match found {
        Actual::Str(_) if is_secret => "a text".to_owned(),
        Actual::Str(text) => format!("the text {text:?}"),
        Actual::Unsigned(_) | Actual::Signed(_) | Actual::Float(_) if is_secret => "a number".to_owned(),
        Actual::Unsigned(number) => format!("the number {number}"),
        Actual::Signed(number) => format!("the number {number}"),
        Actual::Float(number) => format!("the number {number}"),
        Actual::Bool(value) => format!("{value}"),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        Actual::Unit | Actual::Option => "nothing".to_owned(),
        _ => "of another type".to_owned(),
    }
}

fn wanted(expected: &str) -> String {
    match expected {
        "a boolean" => "true or false".to_owned(),
        "a string" => "a text in quotes".to_owned(),
        "a sequence" => "a list such as [\"…\"]".to_owned(),
        "a map" => "a table such as { name = \"…\" }".to_owned(),
        "socket address" => ADDRESS.to_owned(),
        "path string" => "a path in quotes".to_owned(),
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "usize" => "a whole number".to_owned(),
        // What serde calls the tables that are structs here.
        other if other.starts_with("struct") => "a table of settings".to_owned(),
        other => other.to_owned(),
    }
}
