//! The members of one JSON object, with where each of them stands in the text.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Span, parse};

/// The members of an object in a message's text, in their order, repeated ones included.
pub(super) struct Members<'text> {
    /// The object itself.
    object: Span,
    members: Vec<Member<'text>>,
}

struct Member<'text> {
    key: Cow<'text, str>,
    value: &'text RawValue,
    /// From the key's first quote to the value's end.
    span: Span,
}

impl<'text> Members<'text> {
    /// Reads the object at `object`; `None` where there is none.
    pub(super) fn at(text: &'text str, object: &Span) -> Option<Self> {
        let Pairs(pairs) = serde_json::from_str(text.get(object.clone())?).ok()?;
        let mut position = object.start + 1;
        let mut members = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            // between two members stand white space and a comma
            let start = position + text.get(position..)?.find('"')?;
            position = parse::span(text, value.get()).end;
            members.push(Member { key, value, span: start..position });
        }
        Some(Self { object: object.clone(), members })
    }

    /// The string that the member with this key holds, if it stands there once.
    pub(super) fn text_of(&self, key: &str) -> Option<String> {
        let mut named = self.members.iter().filter(|member| member.key == key);
        let (Some(member), None) = (named.next(), named.next()) else { return None };
        serde_json::from_str(member.value.get()).ok()
    }

    /// What to take out of the text so that the object is without this key: in order, none overlapping another.
    pub(super) fn without(&self, key: &str) -> Vec<Span> {
        let Some(first_kept) = self.members.iter().position(|member| member.key != key) else {
            let inside = self.object.start + 1..self.object.end - 1;
            return self.members.first().map(|_| inside).into_iter().collect();
        };
        // with what separates it from the next, for those before the first that stays; from the one before it, for the rest
        let pairs = self.members.iter().zip(self.members.iter().skip(1)).enumerate();
        pairs
            .filter_map(|(index, (before, after))| {
                if index < first_kept {
                    Some(before.span.start..after.span.start)
                } else {
                    (after.key == key).then_some(before.span.end..after.span.end)
                }
            })
            .collect()
    }
}

/// An object as the pairs that it consists of.
struct Pairs<'text>(Vec<(Cow<'text, str>, &'text RawValue)>);

/// A key, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Key<'text>(#[serde(borrow)] Cow<'text, str>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Pairs<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some((Key(key), value)) = map.next_entry()? {
                    pairs.push((key, value));
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}
