//! Sizes in the configuration: `"4MiB"`, `"512 KiB"`, `"1MB"`; a bare number is bytes.
//!
//! For fields: `#[serde(with = "proxy_core::config::byte_size")]`.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, SchemaGenerator, json_schema};
use serde::{Deserializer, Serializer, de};

/// What to write where a size is wanted, for problems.
const EXAMPLE: &str = "a size such as \"4MiB\" or \"512KiB\", or a number of bytes";

/// The units, binary ones of 1,024 and decimal ones of 1,000, largest first within each group.
const UNITS: [(&str, usize); 7] = [
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1_000),
    ("b", 1),
];

/// Reads a size from text: a whole number with one of the units B, kB, MB, GB, KiB, MiB, GiB (in any case), or a bare
/// number of bytes.
///
/// # Errors
///
/// A sentence that says what is accepted.
pub fn parse(text: &str) -> Result<usize, String> {
    let lower = text.trim().to_ascii_lowercase();
    let (number, unit) = UNITS
        .iter()
        .find_map(|(name, unit)| lower.strip_suffix(name).map(|number| (number.trim_end(), *unit)))
        .unwrap_or((&lower, 1));
    number
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| format!("{text:?} is not {EXAMPLE}"))
}

/// Writes a size as [`parse`] reads it: in the largest binary unit that divides it.
pub fn format(bytes: usize) -> String {
    for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
        if bytes != 0 && bytes.is_multiple_of(unit) {
            return format!("{}{name}", bytes / unit);
        }
    }
    format!("{bytes}B")
}

/// Writes a size.
///
/// # Errors
///
/// The serializer's.
pub fn serialize<S: Serializer>(bytes: &usize, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*bytes))
}

/// Reads a size.
///
/// # Errors
///
/// What [`parse`] refuses, and anything that is neither text nor a whole number.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    deserializer.deserialize_any(ByteSizeVisitor)
}

/// What sizes are in a JSON Schema: `#[schemars(with = "byte_size::Schema")]`.
#[derive(Debug)]
pub enum Schema {}

impl JsonSchema for Schema {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> schemars::Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "pattern": r"^\s*\d+\s*([kKmMgG][iI]?)?[bB]?\s*$" },
                { "type": "integer", "minimum": 0 }
            ],
            "examples": ["4MiB", "512KiB", 1_048_576]
        })
    }
}

/// Sizes that may be left out.
pub mod option {
    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes a size, if there is one.
    ///
    /// # Errors
    ///
    /// The serializer's.
    pub fn serialize<S: Serializer>(bytes: &Option<usize>, serializer: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => super::serialize(bytes, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a size, if there is one.
    ///
    /// # Errors
    ///
    /// As for a size that has to be there.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<usize>, D::Error> {
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Given(#[serde(with = "super")] usize);

        Ok(Option::<Given>::deserialize(deserializer)?.map(|Given(bytes)| bytes))
    }
}

struct ByteSizeVisitor;

impl de::Visitor<'_> for ByteSizeVisitor {
    type Value = usize;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(EXAMPLE)
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<usize, E> {
        usize::try_from(bytes).map_err(|_| E::custom(format!("{bytes} is not {EXAMPLE}")))
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<usize, E> {
        usize::try_from(bytes).map_err(|_| E::custom(format!("{bytes} is not {EXAMPLE}")))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<usize, E> {
        parse(text).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_may_be_left_out() {
        #[derive(Debug, serde::Serialize, serde::Deserialize)]
        struct Settings {
            #[serde(default, with = "super::option")]
            most: Option<usize>,
        }
        let read = |text| serde_json::from_str::<Settings>(text);
        assert_eq!(read("{}").unwrap().most, None);
        assert_eq!(read(r#"{"most": "2KiB"}"#).unwrap().most, Some(2048));
        assert!(read(r#"{"most": "much"}"#).is_err());
        assert_eq!(serde_json::to_string(&Settings { most: Some(1024) }).unwrap(), r#"{"most":"1KiB"}"#);
    }

    #[test]
    fn units_and_bare_bytes_are_read() {
        for (text, expected) in [
            ("4MiB", 4 << 20),
            ("512 KiB", 512 << 10),
            ("1gib", 1 << 30),
            ("1MB", 1_000_000),
            ("2kB", 2_000),
            ("17B", 17),
            ("1024", 1024),
            ("0", 0),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_an_example() {
        for text in ["", "MiB", "much", "-1", "1.5MiB", "99999999999999999999GiB", "4 parsecs"] {
            assert!(parse(text).unwrap_err().contains("\"4MiB\""), "{text}");
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        for (bytes, text) in
            [(4 << 20, "4MiB"), (1 << 30, "1GiB"), (1536, "1536B"), (2048, "2KiB"), (0, "0B")]
        {
            assert_eq!(format(bytes), text);
            assert_eq!(parse(text), Ok(bytes));
        }
    }
}
