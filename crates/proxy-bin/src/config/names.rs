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

/// Other names of the backends' tables.
pub(super) const OF_TABLES: [(&str, &str); 3] =
    [("sns-sqs", "snssqs"), ("sns_sqs", "snssqs"), ("streamable-http-webhook", "streamable_http_webhook")];

/// The table of any backend.
pub(super) const BACKENDS: &str = "backend.*";

/// In a key under `intake`: the table of the intake that is used, whichever that is. Flags have it, which are written without one.
pub(super) const ANY: &str = "*";

/// What the intakes call what the flags are for: the setting that a flag means, the tables that have it, and its name there.
const OF_FLAGS: [(&str, &str, &str); 4] = [
    ("queue", "sqs", "queue_url"),
    ("queue", "snssqs", "queue_url"),
    ("listen", "webhook", "listen"),
    ("listen", "streamable_http_webhook", "listen"),
];

/// The settings of the transports' `…ClientConfig` that mean something here, by the name of the backend's table.
const OF_CLIENTS: [(&str, &[&str]); 4] = [
    (
        "sqs",
        &[
            "read_queue_url",
            "response_queue_url",
            "client_id",
            "max_messages",
            "wait_time_seconds",
            "visibility_timeout_seconds",
            "message_attributes",
        ],
    ),
    (
        "snssqs",
        &[
            "sqs_queue_url",
            "sns_topic_arn",
            "client_id",
            "max_messages",
            "wait_time_seconds",
            "visibility_timeout_seconds",
            "message_attributes",
        ],
    ),
    ("webhook", &["server_url", "timeout_seconds", "client_id"]),
    ("streamable_http_webhook", &["server_url", "webhook_url", "timeout_seconds", "client_id"]),
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

/// Which tables are meant where none is named.
#[derive(Debug, Clone, Default)]
pub(super) struct Meant {
    /// What `backend_transport` says in the end: the table that the Python proxy's `backend_config` means.
    pub(super) backend: Option<String>,
    /// The same of intakes; without it the only table that is there.
    pub(super) intake: Option<String>,
}

/// Puts every setting of a source where this program keeps it.
pub(super) fn rename(values: Dict, meant: &Meant) -> Renamed {
    let mut renamed = Renamed::default();
    // First what has its own name here, so that the other name is the one that is reported as the second.
    let (ours, others): (Vec<_>, Vec<_>) = values.into_iter().partition(|(key, _)| !is_other_name(key));
    for (key, value) in ours {
        match (key.as_str(), value) {
            ("backend", Value::Dict(_, tables)) => {
                for (name, table) in tables {
                    renamed.put_transport("backend", &name, table);
                }
            }
            ("intake", Value::Dict(_, tables)) => {
                for (name, table) in tables {
                    match table {
                        Value::Dict(_, flags) if name == ANY => {
                            renamed.put_flags(meant.intake.as_deref(), flags);
                        }
                        table => renamed.put_transport("intake", &name, table),
                    }
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
            renamed.put_transport("backend", meant.backend.as_deref().unwrap_or(DEFAULT_TRANSPORT), value);
        }
    }
    renamed
}

impl Renamed {
    /// Stores the table of a transport under `backend` or `intake`.
    fn put_transport(&mut self, tables: &str, name: &str, table: Value) {
        let name = table_of(&canonical_backend(name));
        let Value::Dict(_, settings) = table else {
            return self.put(&[tables, &name], &format!("{tables}.{name}"), table);
        };
        // An empty table chooses the transport as well.
        self.put(&[tables, &name], &format!("{tables}.{name}"), Value::from(Dict::new()));
        for (key, value) in settings {
            let written = format!("{tables}.{name}.{key}");
            if let Some(reason) = why_idle(&key) {
                self.without_effect.push((written, reason));
                continue;
            }
            let other = OF_BACKENDS.iter().find(|(other, _)| *other == key).map(|(_, name)| *name);
            self.put(&[tables, &name, other.unwrap_or(&key)], &written, value);
        }
    }

    /// Stores what flags say of the intake that is used.
    fn put_flags(&mut self, intake: Option<&str>, flags: Dict) {
        for (flag, value) in flags {
            let intake = match intake {
                Some(name) => table_of(&canonical_backend(name)),
                None if flag == "queue" => DEFAULT_TRANSPORT.to_owned(),
                None => {
                    let instead = "say which with --backend webhook or --backend streamable-http-webhook";
                    self.problems.push(Problem::new(
                        format!("--{flag}"),
                        "belongs to a transport over HTTP",
                        instead,
                    ));
                    continue;
                }
            };
            match OF_FLAGS.iter().find(|(of, table, _)| (*of, *table) == (&flag, &intake)) {
                Some((_, table, name)) => self.put(&["intake", table, name], &format!("--{flag}"), value),
                None => self.problems.push(flag_of_another(&flag, &intake)),
            }
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

/// What to say of a flag that this intake has no use for.
fn flag_of_another(flag: &str, intake: &str) -> Problem {
    let fitting = OF_FLAGS.iter().find(|(_, table, _)| *table == intake).map(|(flag, ..)| *flag);
    let instead = match fitting {
        Some("queue") => "name the queue that requests come from with --queue URL",
        Some(_) => "say where requests come in with --listen ADDRESS, such as --listen 127.0.0.1:8000",
        None => "leave it out",
    };
    let what = if flag == "queue" { "names a queue" } else { "is an address to listen on" };
    Problem::new(format!("--{flag}"), format!("{what}, and the transport {intake} has none"), instead)
}

fn is_other_name(key: &str) -> bool {
    key == "backend_config" || FLAT.iter().any(|(other, ..)| *other == key) || why_idle(key).is_some()
}

/// Why this setting does nothing here, if it is one of those.
fn why_idle(key: &str) -> Option<&'static str> {
    WITHOUT_EFFECT.iter().find(|(name, _)| *name == key).map(|(_, reason)| *reason)
}

/// A name that is not this program's own, where it may stand.
pub(super) struct OtherName {
    /// The table it stands in; empty for the top level.
    pub(super) table: String,
    /// The name.
    pub(super) name: String,
    /// Table and name of the setting that it means, if it does anything.
    pub(super) ours: Option<(&'static str, &'static str)>,
    /// What it means.
    pub(super) meaning: String,
}

/// All names that are not this program's own.
pub(super) fn others() -> Vec<OtherName> {
    let flat = FLAT.iter().map(|(name, table, ours)| OtherName {
        table: String::new(),
        name: (*name).to_owned(),
        ours: Some((table, ours)),
        meaning: format!("The Python proxy's name for {table}.{ours}."),
    });
    let idle = ["", "session", BACKENDS].into_iter().flat_map(|table| {
        WITHOUT_EFFECT.iter().map(move |(name, reason)| OtherName {
            table: table.to_owned(),
            name: (*name).to_owned(),
            ours: None,
            meaning: format!("Has no effect: {reason}."),
        })
    });
    let of_backends = OF_BACKENDS.iter().map(|(name, ours)| OtherName {
        table: BACKENDS.to_owned(),
        name: (*name).to_owned(),
        ours: Some((BACKENDS, ours)),
        meaning: format!("The Python proxy's name for {ours}."),
    });
    let config = OtherName {
        table: String::new(),
        name: "backend_config".to_owned(),
        ours: None,
        meaning: "The Python proxy's name for the table of the backend that backend_transport names."
            .to_owned(),
    };
    flat.chain(idle).chain(of_backends).chain([config]).collect()
}

/// What the Python proxy calls the setting `name` in `table`, as a reader of its configuration would look for it.
pub(super) fn python_name(table: &str, name: &str) -> Option<String> {
    if (table, name) == ("", "backend_transport") {
        return Some("the same name".to_owned());
    }
    if let Some((other, ..)) = FLAT.iter().find(|(_, in_table, ours)| (*in_table, *ours) == (table, name)) {
        return Some(format!("`{other}` at the top level"));
    }
    let backend = table.strip_prefix("backend.")?;
    let (_, theirs) = OF_CLIENTS.iter().find(|(name, _)| *name == backend)?;
    if theirs.contains(&name) {
        return Some("the same name".to_owned());
    }
    let (other, _) = OF_BACKENDS.iter().find(|(other, ours)| *ours == name && theirs.contains(other))?;
    Some(format!("`{other}`"))
}
