//! Durations in the configuration: `"300s"`, `"1h 30m"`, `"250ms"`; a bare number is seconds.
//!
//! For fields: `#[serde(with = "proxy_core::config::duration")]`, or `…::duration::option`.

use std::{borrow::Cow, fmt, time::Duration};

use schemars::{JsonSchema, SchemaGenerator, json_schema};
use serde::{Deserializer, Serializer, de};

/// What to write where a duration is wanted, for problems.
const EXAMPLE: &str = "a duration such as \"300s\", \"1h\" or \"250ms\", or a number of seconds";

/// The longest duration there is, ten years: added to the present it is still a time.
const LONGEST: Duration = Duration::from_hours(10 * 365 * 24);

/// Reads a duration from text: a number with a unit as the `humantime` crate has them, or a bare number of seconds; at most
/// ten years.
///
/// # Errors
///
/// A sentence that says what is accepted.
pub fn parse(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return from_seconds(seconds);
    }
    humantime::parse_duration(text)
        .ok()
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| format!("{text:?} is not {EXAMPLE}"))
}

/// Writes a duration as [`parse`] reads it, in the largest units that fit.
pub fn format(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

/// Writes a duration.
///
/// # Errors
///
/// The serializer's.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*duration))
}

/// Reads a duration.
///
/// # Errors
///
/// What [`parse`] refuses, and anything that is neither text nor a number.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    deserializer.deserialize_any(DurationVisitor)
}

/// What durations are in a JSON Schema: `#[schemars(with = "duration::Schema")]`.
#[derive(Debug)]
pub enum Schema {}

impl JsonSchema for Schema {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> schemars::Schema {
        json_schema!({
            "anyOf": [
                { "type": "string", "pattern": r"^\s*(\d+(\.\d+)?|(\d+\s*[a-zA-Zµ]+\s*)+)\s*$" },
                { "type": "number", "minimum": 0 }
            ],
            "examples": ["300s", "1h 30m", "250ms", 20]
        })
    }
}

/// Durations that may be left out.
pub mod option {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Writes a duration, if there is one.
    ///
    /// # Errors
    ///
    /// The serializer's.
    pub fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => super::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a duration, if there is one.
    ///
    /// # Errors
    ///
    /// As for a duration that has to be there.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        #[derive(Deserialize)]
        #[serde(transparent)]
        struct Given(#[serde(with = "super")] Duration);

        Ok(Option::<Given>::deserialize(deserializer)?.map(|Given(duration)| duration))
    }
}

fn from_seconds(seconds: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(|| format!("{seconds} is not {EXAMPLE}"))
}

struct DurationVisitor;

impl de::Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(EXAMPLE)
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Duration, E> {
        Some(Duration::from_secs(seconds))
            .filter(|duration| *duration <= LONGEST)
            .ok_or_else(|| E::custom(format!("{seconds} is not {EXAMPLE}")))
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Duration, E> {
        match u64::try_from(seconds) {
            Ok(seconds) => self.visit_u64(seconds),
            Err(_) => Err(E::custom(format!("{seconds} is not {EXAMPLE}"))),
        }
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Duration, E> {
        from_seconds(seconds).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        parse(text).map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Settings {
        #[serde(with = "super")]
        wait: Duration,
        #[serde(default, with = "super::option")]
        longest: Option<Duration>,
    }

    #[test]
    fn units_and_bare_seconds_are_read() {
        for (text, expected) in [
            (r#"{"wait": "300s"}"#, Duration::from_mins(5)),
            (r#"{"wait": "1h 30m"}"#, Duration::from_mins(90)),
            (r#"{"wait": "250ms"}"#, Duration::from_millis(250)),
            (r#"{"wait": "20"}"#, Duration::from_secs(20)),
            (r#"{"wait": 20}"#, Duration::from_secs(20)),
            (r#"{"wait": 0.5}"#, Duration::from_millis(500)),
        ] {
            assert_eq!(serde_json::from_str::<Settings>(text).unwrap().wait, expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_an_example() {
        for text in [
            r#"{"wait": "soon"}"#,
            r#"{"wait": -1}"#,
            r#"{"wait": "-1"}"#,
            r#"{"wait": "nan"}"#,
            r#"{"wait": 1e300}"#,
            r#"{"wait": 18446744073709551615}"#,
            r#"{"wait": "3651days"}"#,
            r#"{"wait": true}"#,
            r#"{"wait": 1, "longest": "ever"}"#,
        ] {
            let error = serde_json::from_str::<Settings>(text).unwrap_err().to_string();
            assert!(error.contains("\"300s\""), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let settings =
            Settings { wait: Duration::from_millis(90_250), longest: Some(Duration::from_hours(26)) };
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(text, r#"{"wait":"1m 30s 250ms","longest":"1day 2h"}"#);
        assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings);
    }
}
