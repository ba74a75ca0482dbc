//! What is in force, and where it comes from.

use std::{collections::BTreeMap, fmt};

use figment::value::{Dict, Empty, Num, Value};
use frontend_http::AuthToken;
use proxy_core::config::ToolTimeouts;

use worker::WorkerConfig;

use super::{BackendTables, Config, IntakeTables};

/// A setting in force.
#[derive(Debug, Clone)]
pub struct Setting {
    /// The table that it is in; empty for the top level.
    pub table: String,
    /// Its name in the table.
    pub name: String,
    /// Its value, secrets masked; `None` if it is not set.
    pub value: Option<serde_json::Value>,
    /// The file, variable or flag that it comes from; `None`: it is the default.
    pub origin: Option<String>,
}

impl Setting {
    /// The whole key.
    pub fn key(&self) -> String {
        if self.table.is_empty() { self.name.clone() } else { format!("{}.{}", self.table, self.name) }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.origin.as_deref().unwrap_or("default");
        match &self.value {
            Some(value) => write!(formatter, "{} = {}  # {origin}", quoted(&self.name), toml_text(value)),
            None => write!(formatter, "# {} is not set", self.name),
        }
    }
}

/// Every setting of `config`, top level first, with what `origin` says of its path.
pub(super) fn settings(config: &Config, origin: impl Fn(&[String]) -> Option<String>) -> Vec<Setting> {
    let mut settings = Vec::new();
    // Serializing plain structs into values cannot fail; if it did, there would be nothing to show.
    if let Ok(Value::Dict(_, values)) = Value::serialize(config) {
        collect(&values, &mut Vec::new(), &origin, &mut settings);
    }
    settings
}

/// The keys of all settings that there are, `NAME` where operators choose the name.
pub(super) fn known_keys() -> Vec<String> {
    let mut config = Config::default();
    config.session.tools = BTreeMap::from([("NAME".to_owned(), ToolTimeouts::default())]);
    config.backend = BackendTables::all_given();
    config.worker = Some(WorkerConfig::default());
    config.intake = IntakeTables::all_given();
    let mut keys: Vec<String> = settings(&config, |_| None).iter().map(Setting::key).collect();
    if let Ok(Value::Dict(_, entry)) = Value::serialize(AuthToken::default()) {
        keys.extend(entry.keys().map(|name| format!("security.auth_tokens.{name}")));
    }
    keys
}

fn collect(
    values: &Dict,
    path: &mut Vec<String>,
    origin: &impl Fn(&[String]) -> Option<String>,
    settings: &mut Vec<Setting>,
) {
    let is_table = |value: &Value| matches!(value, Value::Dict(_, dict) if !dict.is_empty());
    for (name, value) in values.iter().filter(|(_, value)| !is_table(value)) {
        path.push(name.clone());
        let value = json(value);
        // A transport or a worker that is not configured is no setting.
        let is_absent_table = match path[0].as_str() {
            "backend" | "intake" => path.len() <= 2 || name == "large_payloads",
            "worker" => path.len() == 1,
            _ => false,
        };
        if value.is_some() || !is_absent_table {
            settings.push(Setting {
                table: path[..path.len() - 1].iter().map(|name| quoted(name)).collect::<Vec<_>>().join("."),
                name: name.clone(),
                value,
                origin: origin(path),
            });
        }
        path.pop();
    }
    for (name, value) in values {
        if let Value::Dict(_, table) = value
            && !table.is_empty()
        {
            path.push(name.clone());
            collect(table, path, origin, settings);
            path.pop();
        }
    }
}

fn json(value: &Value) -> Option<serde_json::Value> {
    Some(match value {
        Value::Empty(_, Empty::None | Empty::Unit) => return None,
        Value::Bool(_, value) => (*value).into(),
        Value::String(_, text) => text.clone().into(),
        Value::Char(_, character) => character.to_string().into(),
        Value::Num(_, number) => match number {
            Num::F32(number) => f64::from(*number).into(),
            Num::F64(number) => (*number).into(),
            whole => match (whole.to_u128(), whole.to_i128()) {
                (Some(number), _) => u64::try_from(number).ok().into(),
                (None, number) => number.and_then(|number| i64::try_from(number).ok()).into(),
            },
        },
        Value::Array(_, list) => list.iter().filter_map(json).collect(),
        Value::Dict(_, dict) => {
            let entries = dict.iter().filter_map(|(key, value)| Some((key.clone(), json(value)?)));
            serde_json::Value::Object(entries.collect())
        }
    })
}

pub(super) fn toml_text(value: &serde_json::Value) -> String {
    match toml::Value::try_from(value) {
        Ok(value) => value.to_string(),
        Err(_) => value.to_string(),
    }
}

/// A key as TOML wants it.
fn quoted(key: &str) -> String {
    let is_bare = !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if is_bare { key.to_owned() } else { toml::Value::from(key).to_string() }
}
