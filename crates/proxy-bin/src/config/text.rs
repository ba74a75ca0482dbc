//! Settings that are given as text, by variables and flags: what the text means depends on the setting that it is for.
//!
//! A text stays text where text is wanted, even if it looks like a number. Where it is not, it is read as TOML (which has
//! numbers, lists and tables), as JSON, or as a list with commas.

use figment::value::{Dict, Value};

/// A text with the readings that have not been tried yet.
pub(super) struct Text {
    readings: Vec<Reading>,
}

/// One way to read a text.
struct Reading {
    value: Value,
    /// Whether an error about this reading is worth telling: it is what the writer probably meant.
    is_telling: bool,
}

impl Text {
    /// All readings of `text`, the likeliest first.
    pub(super) fn new(text: &str) -> Self {
        let plain = Value::from(text);
        let structured = structured(text);
        let looks_structured = text.trim_start().starts_with(['{', '[']);
        let commas: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        let mut readings = Vec::new();
        match structured {
            Some(value) if looks_structured => {
                readings.push(Reading { value, is_telling: true });
                readings.push(Reading { value: plain, is_telling: false });
            }
            structured => {
                readings.push(Reading { value: plain, is_telling: true });
                readings.extend(structured.map(|value| Reading { value, is_telling: true }));
            }
        }
        readings.push(Reading { value: Value::from(commas), is_telling: false });
        Self { readings }
    }

    /// The likeliest reading.
    pub(super) fn first(&self) -> Value {
        self.readings[0].value.clone()
    }

    /// Whether an error about the present reading is worth telling.
    pub(super) fn is_telling(&self) -> bool {
        self.readings[0].is_telling
    }

    /// The next reading, after the present one was not what the setting takes.
    pub(super) fn next(&mut self) -> Option<Value> {
        if self.readings.len() == 1 {
            return None;
        }
        self.readings.remove(0);
        Some(self.first())
    }
}

fn structured(text: &str) -> Option<Value> {
    let text = text.trim();
    if let Ok(mut document) = toml::from_str::<Dict>(&format!("value = {text}"))
        && document.len() == 1
    {
        return document.remove("value");
    }
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(text: &str) -> Vec<Value> {
        let mut text = Text::new(text);
        let mut readings = vec![text.first()];
        while let Some(value) = text.next() {
            readings.push(value);
        }
        readings
    }

    #[test]
    fn text_is_text_first_and_then_what_it_looks_like() {
        assert_eq!(readings("0123"), [Value::from("0123"), Value::from(vec!["0123"])]);
        assert_eq!(readings("9090"), [Value::from("9090"), Value::from(9090_i64), Value::from(vec!["9090"])]);
        assert_eq!(readings("true")[1], Value::from(true));
        assert_eq!(readings("a, b")[1], Value::from(vec!["a", "b"]));
        assert_eq!(readings(""), [Value::from(""), Value::from(Vec::<String>::new())]);
    }

    #[test]
    fn lists_and_tables_are_toml_or_json() {
        assert_eq!(readings(r#"["a", "b"]"#)[0], Value::from(vec!["a", "b"]));
        let table = Value::from(Dict::from([("team".to_owned(), Value::from("search"))]));
        assert_eq!(readings(r#"{ team = "search" }"#)[0], table);
        assert_eq!(readings(r#"{"team": "search"}"#)[0], table);
        assert_eq!(readings("{curly")[0], Value::from("{curly"));
        assert_eq!(readings("1\nother = 2")[1], Value::from(vec!["1\nother = 2"]));
    }
}
