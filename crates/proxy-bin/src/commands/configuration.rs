//! `config`: looks at the configuration without using it.

use std::io::{self, Write};

use super::{FAILED, configured, warn};
use crate::config::{self, Inputs, Loaded};

/// Finds everything that is wrong.
pub(super) fn check(inputs: &Inputs) -> anyhow::Result<u8> {
    let Some(loaded) = configured(inputs)? else { return Ok(FAILED) };
    warn(&loaded.warnings)?;
    writeln!(io::stdout(), "The configuration is valid.")?;
    Ok(0)
}

/// Prints what is in force, and where it comes from.
pub(super) fn show(inputs: &Inputs, json: bool) -> anyhow::Result<u8> {
    let Some(loaded) = configured(inputs)? else { return Ok(FAILED) };
    warn(&loaded.warnings)?;
    let text = if json { as_json(&loaded)? } else { as_toml(&loaded) };
    writeln!(io::stdout(), "{text}")?;
    Ok(0)
}

/// Prints the JSON Schema of the file.
pub(super) fn schema() -> anyhow::Result<u8> {
    writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&config::schema())?)?;
    Ok(0)
}

/// Prints docs/CONFIGURATION.md.
pub(super) fn reference() -> anyhow::Result<u8> {
    write!(io::stdout(), "{}", config::reference())?;
    Ok(0)
}

fn as_json(loaded: &Loaded) -> anyhow::Result<String> {
    let settings = loaded.settings.iter().map(|setting| {
        let origin = setting.origin.as_deref().unwrap_or("default");
        (setting.key(), serde_json::json!({ "value": setting.value, "from": origin }))
    });
    Ok(serde_json::to_string_pretty(&settings.collect::<serde_json::Map<_, _>>())?)
}

fn as_toml(loaded: &Loaded) -> String {
    let mut lines = Vec::new();
    let mut table = "";
    for setting in &loaded.settings {
        if setting.table != table {
            table = &setting.table;
            lines.push(format!("\n[{table}]"));
        }
        lines.push(setting.to_string());
    }
    lines.join("\n")
}
