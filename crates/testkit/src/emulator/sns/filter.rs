//! Filter policies on message attributes.
//!
//! AWS, "Amazon SNS subscription filter policies": every key must be met, by any of its conditions.

use serde_json::{Map, Value};

use crate::emulator::sqs::message::{Attribute, Attributes};

/// How many keys a policy has at most (AWS, "Filter policy constraints").
const MOST_KEYS: usize = 5;
/// The most that the numbers of conditions of all keys multiply to (AWS, "Filter policy constraints").
const MOST_COMBINATIONS: usize = 150;

/// What a subscription wants to get.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FilterPolicy {
    keys: Vec<(String, Vec<Condition>)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Condition {
    Is(Value),
    IsIgnoringCase(String),
    Prefix(String),
    Suffix(String),
    Not(Vec<Condition>),
    Exists(bool),
    Numeric(Vec<(String, f64)>),
}

impl FilterPolicy {
    /// Reads a policy; what is wrong with it goes into the error's sentence.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let policy: Map<String, Value> =
            serde_json::from_str(text).map_err(|error| format!("failed to parse JSON. {error}"))?;
        if policy.len() > MOST_KEYS {
            return Err(format!("Filter policy can not have more than {MOST_KEYS} keys"));
        }
        let keys: Result<Vec<_>, String> = policy
            .into_iter()
            .map(|(key, value)| {
                let Value::Array(conditions) = value else {
                    return Err(format!("\"{key}\" must be an object or an array"));
                };
                let conditions: Result<Vec<_>, _> = conditions.iter().map(Condition::parse).collect();
                Ok((key, conditions?))
            })
            .collect();
        let keys = keys?;
        let combinations: usize = keys.iter().map(|(_, conditions)| conditions.len()).product();
        match combinations {
            0 => Err("Empty arrays are not allowed".to_owned()),
            1..=MOST_COMBINATIONS => Ok(Self { keys }),
            _ => Err("Filter policy is too complex".to_owned()),
        }
    }

    pub(super) fn accepts(&self, attributes: &Attributes) -> bool {
        self.keys.iter().all(|(key, conditions)| {
            let values = attributes.get(key).map(values).unwrap_or_default();
            conditions.iter().any(|condition| match condition {
                Condition::Exists(wanted) => *wanted != values.is_empty(),
                _ => values.iter().any(|value| condition.holds(value)),
            })
        })
    }
}

impl Condition {
    fn parse(value: &Value) -> Result<Self, String> {
        let Value::Object(operation) = value else {
            return match value {
                Value::Array(_) => Err("Match value must be String, number, true, false, or null".to_owned()),
                _ => Ok(Self::Is(value.clone())),
            };
        };
        let mut operations = operation.iter();
        let (Some((operator, operand)), None) = (operations.next(), operations.next()) else {
            return Err("Only one key allowed in match expression".to_owned());
        };
        let text = || {
            let text = operand.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            text.ok_or_else(|| format!("{operator} match pattern must be a string"))
        };
        match operator.as_str() {
            "prefix" => text().map(Self::Prefix),
            "suffix" => text().map(Self::Suffix),
            "equals-ignore-case" => text().map(Self::IsIgnoringCase),
            "exists" => {
                let wanted = operand.as_bool().map(Self::Exists);
                wanted.ok_or_else(|| "exists match pattern must be either true or false.".to_owned())
            }
            "anything-but" => {
                let conditions = match operand {
                    Value::Array(values) => values.iter().map(Self::parse).collect(),
                    _ => Self::parse(operand).map(|condition| vec![condition]),
                };
                conditions.map(Self::Not)
            }
            "numeric" => numeric(operand).ok_or_else(|| "Value of numeric must be an array.".to_owned()),
            _ => Err(format!("Unrecognized match type {operator}")),
        }
    }

    fn holds(&self, value: &Value) -> bool {
        let text = value.as_str();
        match self {
            Self::Is(Value::Number(wanted)) => value.as_f64() == wanted.as_f64(),
            Self::Is(wanted) => value == wanted,
            Self::IsIgnoringCase(wanted) => {
                text.is_some_and(|text| text.to_lowercase() == wanted.to_lowercase())
            }
            Self::Prefix(prefix) => text.is_some_and(|text| text.starts_with(prefix)),
            Self::Suffix(suffix) => text.is_some_and(|text| text.ends_with(suffix)),
            Self::Not(conditions) => !conditions.iter().any(|condition| condition.holds(value)),
            Self::Exists(wanted) => *wanted,
            Self::Numeric(bounds) => value.as_f64().is_some_and(|number| {
                bounds.iter().all(|(operator, bound)| match operator.as_str() {
                    "<" => number < *bound,
                    "<=" => number <= *bound,
                    ">" => number > *bound,
                    ">=" => number >= *bound,
                    _ => (number - bound).abs() < f64::EPSILON,
                })
            }),
        }
    }
}

/// Pairs of an operator and a bound: `["=", 1]`, or `[">=", 0, "<", 100]`.
fn numeric(operand: &Value) -> Option<Condition> {
    let pairs = operand.as_array()?.chunks(2).map(|pair| {
        let [operator, bound] = pair else { return None };
        let operator = operator.as_str().filter(|operator| ["=", "<", "<=", ">", ">="].contains(operator))?;
        Some((operator.to_owned(), bound.as_f64()?))
    });
    pairs.collect::<Option<Vec<_>>>().filter(|pairs| (1..=2).contains(&pairs.len())).map(Condition::Numeric)
}

/// The values that a filter sees: those of an array each, of a number the number, of binary data none.
fn values(attribute: &Attribute) -> Vec<Value> {
    let text = attribute.string_value.clone().unwrap_or_default();
    match attribute.data_type.as_str() {
        "String.Array" => serde_json::from_str(&text).unwrap_or_default(),
        kind if kind.starts_with("Number") => serde_json::from_str(&text).into_iter().collect(),
        kind if kind.starts_with("String") => vec![Value::String(text)],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of AWS's pages on filter policies, "string value matching" and "numeric value matching" above all.
    #[test]
    fn policies_accept_what_aws_says() {
        let event = [
            ("customer_interests", "String.Array", r#"["soccer","rugby"]"#),
            ("price_usd", "Number", "301.5"),
        ];
        for (policy, attributes, expected) in [
            (r#"{"customer_interests":["rugby"]}"#, &event[..], true),
            (r#"{"customer_interests":["tennis"]}"#, &event, false),
            (r#"{"customer_interests":["tennis",{"prefix":"soc"}]}"#, &event, true),
            (r#"{"price_usd":[301.5]}"#, &event, true),
            (r#"{"price_usd":[{"numeric":["=",3.015e2]}]}"#, &event, true),
            (r#"{"price_usd":[{"numeric":[">",0,"<=",150]}]}"#, &event, false),
            (r#"{"price_usd":[{"anything-but":[100,500]}]}"#, &event, true),
            (r#"{"customer_interests":["rugby"],"price_usd":[1]}"#, &event, false),
            (r#"{"store":[{"exists":false}]}"#, &event, true),
            (r#"{"store":[{"exists":true}]}"#, &event, false),
            (r#"{"store":[{"anything-but":"x"}]}"#, &event, false),
            (r#"{"S":[{"prefix":"bas"}]}"#, &[("S", "String", "baseball")], true),
            (r#"{"S":[{"prefix":"bas"}]}"#, &[("S", "String", "rugby")], false),
            (r#"{"S":[{"suffix":"ball"}]}"#, &[("S", "String", "baseball")], true),
            (r#"{"S":[{"anything-but":["rugby","tennis"]}]}"#, &[("S", "String", "baseball")], true),
            (r#"{"S":[{"anything-but":["rugby","tennis"]}]}"#, &[("S", "String", "rugby")], false),
            (r#"{"S":[{"anything-but":{"prefix":"order-"}}]}"#, &[("S", "String", "order-1")], false),
            (r#"{"S":[{"equals-ignore-case":"tennis"}]}"#, &[("S", "String", "TENNIS")], true),
            (r#"{"S":["x"]}"#, &[("S", "Binary", "eA==")], false),
            (r#"{"S":["1"]}"#, &[("S", "Number", "1")], false),
        ] {
            let attributes = attributes.iter().map(|(name, data_type, value)| {
                let (data_type, string_value) = ((*data_type).into(), Some((*value).into()));
                ((*name).to_owned(), Attribute { data_type, string_value, binary_value: None })
            });
            let accepts = FilterPolicy::parse(policy).unwrap().accepts(&attributes.collect());
            assert_eq!(accepts, expected, "{policy}");
        }
    }

    /// AWS, "Filter policy constraints".
    #[test]
    fn policies_have_limits() {
        let list = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        FilterPolicy::parse(&format!(r#"{{"a":[{}],"b":[{}]}}"#, list(15), list(10))).unwrap();
        for policy in [
            "x",
            "[]",
            r#"{"a":"b"}"#,
            r#"{"a":[]}"#,
            r#"{"a":[{"infix":"b"}]}"#,
            r#"{"a":[{"exists":1}]}"#,
            r#"{"a":[{"numeric":["~",1]}]}"#,
            r#"{"a":[1],"b":[1],"c":[1],"d":[1],"e":[1],"f":[1]}"#,
            &format!(r#"{{"a":[{}],"b":[{}]}}"#, list(15), list(11)),
        ] {
            FilterPolicy::parse(policy).expect_err(policy);
        }
    }
}
