//! docs/CONFIGURATION.md: the tables from the structs that the configuration is read into, the words around them from a template.

use figment::{
    error::Kind,
    value::{Dict, Value as FigmentValue},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{Config, names, schema, show::toml_text};
use crate::cli::FLAGS;

/// The words. A line `{{TABLE}}` stands for the settings of that table.
const TEMPLATE: &str = include_str!("reference/template.md");

/// A key that no table has.
const NO_KEY: &str = "?";

/// The reference of the configuration, in Markdown.
pub fn reference() -> String {
    let schema = schema::schema();
    let mut text = String::new();
    for line in TEMPLATE.lines() {
        match line.strip_prefix("{{").and_then(|line| line.strip_suffix("}}")) {
            Some(path) => text.push_str(&table(&schema, path)),
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

/// The settings of a table as a table.
fn table(schema: &Value, path: &str) -> String {
    let path = if path == "top level" { "" } else { path };
    let Some(settings) = schema::table(schema, path) else {
        return "This build of proxy-bin does not have it.".to_owned();
    };
    let rows: Vec<Row> =
        in_order(path, settings).map(|(name, setting)| Row::new(path, name, setting)).collect();
    let has_python_names = rows.iter().any(|row| row.python.is_some());
    let mut lines = vec!["| key | default | meaning |".to_owned(), "|---|---|---|".to_owned()];
    lines.extend(rows.iter().map(|row| format!("| `{}` | {} | {} |", row.name, row.default, row.meaning)));
    if has_python_names {
        lines[0].push_str(" from the Python proxy |");
        lines[1].push_str("---|");
        for (line, row) in lines[2..].iter_mut().zip(&rows) {
            line.extend([" ", row.python.as_deref().unwrap_or("–"), " |"]);
        }
    }
    lines.join("\n")
}

/// A setting.
struct Row {
    name: String,
    default: String,
    meaning: String,
    python: Option<String>,
}

impl Row {
    fn new(table: &str, name: &str, setting: &Value) -> Self {
        let default = setting.get("default").map(toml_text);
        let default = default.filter(|text| !matches!(text.as_str(), "\"\"" | "{}"));
        let key = if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") };
        let flag = FLAGS.iter().find(|(_, of)| *of == key).map(|(flag, _)| format!(" Flag `--{flag}`."));
        let description = setting.get("description").and_then(Value::as_str).unwrap_or_default();
        Self {
            name: name.to_owned(),
            meaning: meaning(description, default.is_some()) + &flag.unwrap_or_default(),
            default: default.map_or_else(|| "–".to_owned(), |text| format!("`{text}`")),
            python: names::python_name(table, name),
        }
    }
}

/// The description in one line, without a sentence that only repeats the default.
fn meaning(description: &str, is_default_shown: bool) -> String {
    let text = description.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    let sentences = text.split_inclusive(". ");
    let kept: String = sentences
        .filter(|sentence| {
            let repeats = sentence.starts_with("Default ") && sentence.split(' ').count() <= 4;
            !(repeats && is_default_shown)
        })
        .collect();
    kept.trim_end().to_owned()
}

/// The settings of a table in the order of the struct, without other names.
fn in_order<'schema>(
    path: &str,
    settings: &'schema Map<String, Value>,
) -> impl Iterator<Item = (&'static str, &'schema Value)> {
    let is_table = |setting: &Value| {
        let of_tables = |key: &str| setting.get(key).is_some_and(|inner| inner.get("properties").is_some());
        setting.get("properties").is_some() || of_tables("additionalProperties")
    };
    fields(path)
        .iter()
        .filter_map(|name| Some((*name, settings.get(*name)?)))
        .filter(|(_, setting)| setting.get("deprecated").is_none())
        .filter(move |(_, setting)| !is_table(setting))
}

/// The names of a table's settings in the order of the struct: what is said to be expected where an unknown key stands.
fn fields(path: &str) -> &'static [&'static str] {
    let unknown = path.rsplit('.').filter(|key| !key.is_empty()).fold(
        FigmentValue::from(Dict::from([(NO_KEY.to_owned(), FigmentValue::from(0))])),
        |inner, key| match key {
            "NAME" if path.ends_with("auth_tokens.NAME") => FigmentValue::from(vec![inner]),
            key => FigmentValue::from(Dict::from([(key.to_owned(), inner)])),
        },
    );
    expected::<Config>(&unknown)
}

fn expected<T: DeserializeOwned>(value: &FigmentValue) -> &'static [&'static str] {
    match T::deserialize(value).map_err(|error| error.kind) {
        Err(Kind::UnknownField(_, expected)) => expected,
        Err(_) | Ok(_) => &[],
    }
}

#[cfg(test)]
#[cfg(all(feature = "snssqs", feature = "sqs", feature = "streamable-http-webhook", feature = "webhook"))]
mod tests;
