//! The parameters of a request.

use std::collections::BTreeMap;

use super::super::error::ServiceError;

/// A form's fields by name, or those of one member of a list without the list's name.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Form {
    fields: BTreeMap<String, String>,
}

impl Form {
    pub(in super::super) fn parse(body: &[u8]) -> Self {
        Self { fields: form_urlencoded::parse(body).into_owned().collect() }
    }

    /// The field of that name; an empty one counts.
    pub(in super::super) fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// The field of that name, or the error of a request that lacks it.
    pub(in super::super) fn required(&self, name: &str) -> Result<&str, ServiceError> {
        let missing = || {
            let message = format!("1 validation error detected: value at '{name}' must not be null");
            ServiceError::sns("ValidationError", message)
        };
        self.get(name).ok_or_else(missing)
    }

    /// The members of a list, in their order; `name` includes the list's `.member` or `.entry`.
    pub(in super::super) fn list(&self, name: &str) -> Vec<Self> {
        let prefix = format!("{name}.");
        let mut members: BTreeMap<u32, Self> = BTreeMap::new();
        for (field, value) in self.fields.range(prefix.clone()..) {
            let Some(rest) = field.strip_prefix(&prefix) else { break };
            let (number, field) = rest.split_once('.').unwrap_or((rest, ""));
            let Ok(number) = number.parse() else { continue };
            members.entry(number).or_default().fields.insert(field.to_owned(), value.clone());
        }
        members.into_values().collect()
    }

    /// The values of a list of texts.
    pub(in super::super) fn texts(&self, name: &str) -> Vec<String> {
        self.list(name).into_iter().filter_map(|mut member| member.fields.remove("")).collect()
    }

    /// A map, with what its keys and values are called: `key` and `value`, or `Key` and `Value`.
    pub(in super::super) fn map(&self, name: &str, key: &str, value: &str) -> BTreeMap<String, String> {
        let pair = |entry: Self| Some((entry.get(key)?.to_owned(), entry.get(value)?.to_owned()));
        self.list(name).into_iter().filter_map(pair).collect()
    }
}

impl FromIterator<(String, String)> for Form {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(fields: I) -> Self {
        Self { fields: fields.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_maps_are_numbered_fields() {
        let form = Form::parse(
            b"Action=A&Tags.member.2.Key=b&Tags.member.2.Value=2&Tags.member.1.Key=a%20%2B&Tags.member.1.Value=\
              &Tags.member.10.Key=c&Tags.member.10.Value=3&TagKeys.member.1=x&TagKeys.member.2=y",
        );
        assert_eq!(form.get("Action"), Some("A"));
        let keys: Vec<_> =
            form.list("Tags.member").iter().map(|tag| tag.get("Key").unwrap().to_owned()).collect();
        assert_eq!(keys, ["a +", "b", "c"]);
        assert_eq!(form.texts("TagKeys.member"), ["x", "y"]);
        let tags = form.map("Tags.member", "Key", "Value");
        assert_eq!(
            tags,
            BTreeMap::from([("a +", ""), ("b", "2"), ("c", "3")].map(|(k, v)| (k.into(), v.into())))
        );
        assert_eq!(form.required("TopicArn").unwrap_err().status, 400);
    }
}
