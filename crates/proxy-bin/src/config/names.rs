//! Other names for the same settings: those of the Python proxy (asyncmcp 0.2.1, `ProxyConfig` and the transports'
//! `…ClientConfig`), accepted where its operators write them.

use figment::value::{Dict, Value};
use proxy_core::config::Problem;

/// What asyncmcp takes when `backend_transport` is left out.
const DEFAULT_TRANSPORT: &str = "sqs";

/// `ProxyConfig` has no tables: its names at the top level, and where they live here.
const FLAT: [(&str, &str, &str); 10] = [
    ("host", "server", "host"),
    ("port", "server", "port"),
    ("server_path", "server", "server_path"),
    ("session_timeout", "session", "session_timeout"),
    ("max_sessions", "session", "max_sessions"),
    ("stateless", "session", "stateless"),
    ("request_timeout", "session", "request_timeout"),
    ("cors_origins", "security", "cors_origins"),
    ("auth_enabled", "security", "auth_enabled"),
    ("auth_token", "security", "auth_token"),
];

/// Names within the table of a backend.
const OF_BACKENDS: [(&str, &str); 3] = [
    ("timeout_seconds", "timeout"),
    ("visibility_timeout_seconds", "visibility_timeout"),
    ("wait_time_seconds", "wait_time"),
];

/// Settings of the Python proxy that have no meaning here, and why: at the top level, in `[session]` and in backends' tables.
const WITHOUT_EFFECT: [(&str, &str); 5] = [
    (
        "backend_clients",
        "the clients are the proxy's own, with region and credentials as in every AWS program",
    ),
    ("connection_pool_size", "all sessions share one connection to the backend, so there is no pool"),
    (
        "max_retries",
        "connecting is tried again until `timeout`, and what may have arrived is never sent again",
    ),
    ("poll_interval_seconds", "long polls follow each other without a pause, so there is no interval"),
    (
        "transport_timeout_seconds",
        "the connection to the backend lasts as long as the process; request_timeout_max bounds requests",
    ),
];

/// What a source says under the names of this program, with what there is to say about it.
#[derive(Default)]
pub(super) struct Renamed {
    /// The settings.
    pub(super) values: Dict,
    /// Settings that do nothing: key and reason.
    pub(super) without_effect: Vec<(String, &'static str)>,
    /// Settings that are given twice.
    pub(super) problems: Vec<Problem>,
}

/// The name of a backend as its table has it: lower case, `-` and `_` alike, `sns_sqs` as `snssqs`.
pub fn canonical_backend(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase().replace('_', "-");
    if name == "sns-sqs" { "snssqs".to_owned() } else { name }
}

/// The name of a backend's table, given its canonical name: bare keys of variables have no dashes.
pub(super) fn table_of(name: &str) -> String {
    name.replace('-', "_")
}

/// Puts every setting of a source where this program keeps it. `transport` is what `backend_transport` says in the end: the
/// table that the Python proxy's `backend_config` means.
pub(super) fn rename(values: Dict, transport: Option<&str>) -> Renamed {
    let mut renamed = Renamed::default();
    // First what has its own name here, so that the other name is the one that is reported as the second.
    let (ours, others): (Vec<_>, Vec<_>) = values.into_iter().partition(|(key, _)| !is_other_name(key));
    for (key, value) in ours {
        match (key.as_str(), value) {
            ("backend", Value::Dict(_, tables)) => {
                for (name, table) in tables {
                    renamed.put_backend(&name, table);
                }
            }
            ("session", Value::Dict(_, table)) => {
                for (key, value) in table {
                    match why_idle(&key) {
                        Some(reason) => renamed.without_effect.push((format!("session.{key}"), reason)),
                        None => renamed.put(&["session", &key], &format!("session.{key}"), value),
                    }
                }
                renamed.values.entry("session".to_owned()).or_insert_with(|| Value::from(Dict::new()));
            }
            (_, value) => renamed.put(&[&key], &key, value),
        }
    }
    for (key, value) in others {
        if let Some((_, table, name)) = FLAT.iter().find(|(other, ..)| *other == key) {
            renamed.put(&[table, name], &key, value);
        } else if let Some(reason) = why_idle(&key) {
            renamed.without_effect.push((key, reason));
        } else {
            renamed.put_backend(transport.unwrap_or(DEFAULT_TRANSPORT), value);
        }
    }
    renamed
}

impl Renamed {
    fn put_backend(&mut self, name: &str, table: Value) {
        let name = table_of(&canonical_backend(name));
        let Value::Dict(_, settings) = table else {
            return self.put(&["backend", &name], &format!("backend.{name}"), table);
        };
        // An empty table chooses the backend as well.
        self.put(&["backend", &name], &format!("backend.{name}"), Value::from(Dict::new()));
        for (key, value) in settings {
            let written = format!("backend.{name}.{key}");
            if let Some(reason) = why_idle(&key) {
                self.without_effect.push((written, reason));
                continue;
            }
            let other = OF_BACKENDS.iter().find(|(other, _)| *other == key).map(|(_, name)| *name);
            self.put(&["backend", &name, other.unwrap_or(&key)], &written, value);
        }
    }

    /// Stores a setting, unless something is there already; two tables become one.
    fn put(&mut self, path: &[&str], written: &str, value: Value) {
        let Some((last, tables)) = path.split_last() else { return };
        let mut dict = &mut self.values;
        for table in tables {
            let entry = dict.entry((*table).to_owned()).or_insert_with(|| Value::from(Dict::new()));
            let Value::Dict(_, inner) = entry else {
                // Something that is no table stands where one belongs, which is reported when it is read.
                return;
            };
            dict = inner;
        }
        match (dict.get_mut(*last), value) {
            (None, value) => {
                dict.insert((*last).to_owned(), value);
            }
            (Some(Value::Dict(_, present)), Value::Dict(_, more)) => present.extend(more),
            (Some(_), _) => self.problems.push(Problem::new(
                written,
                format!("is a second name for {}, which is given too", path.join(".")),
                "write one of the two",
            )),
        }
    }
}

fn is_other_name(key: &str) -> bool {
    key == "backend_config" || FLAT.iter().any(|(other, ..)| *other == key) || why_idle(key).is_some()
}

/// Why this setting does nothing here, if it is one of those.
fn why_idle(key: &str) -> Option<&'static str> {
    WITHOUT_EFFECT.iter().find(|(name, _)| *name == key).map(|(_, reason)| *reason)
}

/// All names that are not this program's own.
#[cfg(test)]
pub(super) fn other_names() -> Vec<&'static str> {
    let flat = FLAT.iter().map(|(name, ..)| *name);
    let of_backends = OF_BACKENDS.iter().map(|(name, _)| *name);
    let idle = WITHOUT_EFFECT.iter().map(|(name, _)| *name);
    flat.chain(of_backends).chain(idle).chain(["backend_config"]).collect()
}
