//! Replaces single values in a message's text and leaves every other byte as it is.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::value::RawValue;

use super::{
    Message, Notification, Outcome, ProgressToken, Request, RequestId, Response, Span, members::Members,
    parse, peek,
};
use crate::message::peek::{InvalidParams, Peeked};

impl Request {
    /// The same request under another id and, where it carries a progress token, under another token.
    pub(crate) fn readdressed(
        self,
        id: RequestId,
        token: Option<&ProgressToken>,
    ) -> Result<Self, InvalidParams> {
        let Self { text, id_span, method, params, peeked, .. } = self;
        let Peeked { token: old_token, tool, claims_modern_era, is_task } = peeked?;
        let mut edits = vec![(id_span.clone(), id.to_json())];
        let token = token.zip(old_token);
        if let Some((token, (_, span))) = &token {
            edits.push((span.clone(), token.to_json()));
        }
        let token_span = token.as_ref().map(|(_, (_, span))| span.clone()).unwrap_or_default();
        let spans = [id_span, params.clone().unwrap_or_default(), token_span];
        let (text, [id_span, params_span, token_span]) = splice(&text, edits, spans);
        let token = token.map(|(token, _)| (token.clone(), token_span));
        let peeked = Ok(Peeked { token, tool, claims_modern_era, is_task });
        Ok(Self { text, id, id_span, method, params: params.map(|_| params_span), peeked })
    }

    /// The same request with `params.{key}` set to this JSON text.
    pub fn with_param(self, key: &str, json: &str) -> Result<Self, InvalidParams> {
        let Self { text, id, id_span, method, params, .. } = self;
        let Some(params) = params else {
            let end = text.rfind('}').ok_or(InvalidParams)?;
            let value = format!(",\"params\":{{{}:{json}}}", parse::json_string(key));
            let start = end + ",\"params\":".len();
            let (text, [id_span]) = splice(&text, vec![(end..end, value.clone())], [id_span]);
            return Ok(Self::assemble(text, id, id_span, method, Some(start..end + value.len())));
        };
        let edit = member_edit(&text, &params, key, json)?;
        let (text, [id_span, params]) = splice(&text, vec![edit], [id_span, params]);
        Ok(Self::assemble(text, id, id_span, method, Some(params)))
    }

    /// The same request with `params._meta.{key}` set to this JSON text.
    pub fn with_meta(self, key: &str, json: &str) -> Result<Self, InvalidParams> {
        let Some(meta) = peek::meta_span(&self.text, self.params.as_ref())? else {
            let value = format!("{{{}:{json}}}", parse::json_string(key));
            return self.with_param("_meta", &value);
        };
        let Self { text, id, id_span, method, params, .. } = self;
        let edit = member_edit(&text, &meta, key, json)?;
        let (text, [id_span, params_span]) =
            splice(&text, vec![edit], [id_span, params.clone().unwrap_or_default()]);
        Ok(Self::assemble(text, id, id_span, method, params.map(|_| params_span)))
    }

    /// The same request without `params.{key}`, however often it stands there.
    ///
    /// # Errors
    /// The parameters cannot be read.
    pub fn without_param(self, key: &str) -> Result<Self, InvalidParams> {
        match self.params.clone() {
            Some(params) => self.without_member(&params, key),
            None => Ok(self),
        }
    }

    /// The same request without `params._meta.{key}`, however often it stands there. A `_meta` with nothing left in it stays, as `{}`.
    ///
    /// # Errors
    /// The parameters cannot be read.
    pub fn without_meta(self, key: &str) -> Result<Self, InvalidParams> {
        match peek::meta_span(&self.text, self.params.as_ref())? {
            Some(meta) => self.without_member(&meta, key),
            None => Ok(self),
        }
    }

    fn without_member(self, object: &Span, key: &str) -> Result<Self, InvalidParams> {
        if !self.text.get(object.clone()).ok_or(InvalidParams)?.starts_with('{') {
            return Ok(self);
        }
        let removed = Members::at(&self.text, object).ok_or(InvalidParams)?.without(key);
        if removed.is_empty() {
            return Ok(self);
        }
        let Self { text, id, id_span, method, params, .. } = self;
        let edits = removed.into_iter().map(|span| (span, String::new())).collect();
        let (text, [id_span, params_span]) =
            splice(&text, edits, [id_span, params.clone().unwrap_or_default()]);
        Ok(Self::assemble(text, id, id_span, method, params.map(|_| params_span)))
    }
}

impl Notification {
    /// The same notification with the value at `span` replaced.
    pub(crate) fn with_value(self, span: Span, json: &str) -> Self {
        let Self { text, method, params } = self;
        let (text, [params_span]) =
            splice(&text, vec![(span, json.to_owned())], [params.clone().unwrap_or_default()]);
        Self { text, method, params: params.map(|_| params_span) }
    }
}

impl Response {
    /// The same response under another id. An error that named no request gets one.
    pub(crate) fn readdressed(self, id: &RequestId) -> Self {
        let Self { text, id: old, outcome } = self;
        let body = outcome.span();
        let Some((_, id_span)) = old else {
            return Self::from_error_text(id, text.get(body).unwrap_or_default());
        };
        let (text, [id_span, body]) = splice(&text, vec![(id_span.clone(), id.to_json())], [id_span, body]);
        let outcome = match outcome {
            Outcome::Result(_) => Outcome::Result(body),
            Outcome::Error(_) => Outcome::Error(body),
        };
        Self { text, id: Some((id.clone(), id_span)), outcome }
    }
}

impl From<Request> for Message {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

impl From<Notification> for Message {
    fn from(notification: Notification) -> Self {
        Self::Notification(notification)
    }
}

impl From<Response> for Message {
    fn from(response: Response) -> Self {
        Self::Response(response)
    }
}

/// The edit that sets a member of the object at `object`: its value replaced, or the member put first.
fn member_edit(text: &str, object: &Span, key: &str, json: &str) -> Result<(Span, String), InvalidParams> {
    let object_text = text.get(object.clone()).ok_or(InvalidParams)?;
    let members: BTreeMap<Cow<'_, str>, &RawValue> =
        serde_json::from_str(object_text).map_err(|_| InvalidParams)?;
    if let Some(value) = members.get(key) {
        return Ok((parse::span(text, value.get()), json.to_owned()));
    }
    let comma = if members.is_empty() { "" } else { "," };
    let start = object.start + 1;
    Ok((start..start, format!("{}:{json}{comma}", parse::json_string(key))))
}

/// Applies edits, none of which overlaps another, and moves `spans` along. A span that an edit replaces becomes the
/// replacement's; one that holds an edit grows or shrinks with it.
fn splice<const N: usize>(
    text: &str,
    mut edits: Vec<(Span, String)>,
    spans: [Span; N],
) -> (String, [Span; N]) {
    edits.sort_by_key(|(span, _)| span.start);
    let grown: usize = edits.iter().map(|(_, value)| value.len()).sum();
    let mut result = String::with_capacity(text.len() + grown);
    let mut position = 0;
    for (span, value) in &edits {
        result.push_str(&text[position..span.start]);
        result.push_str(value);
        position = span.end;
    }
    result.push_str(&text[position..]);
    let spans = spans.map(|span| {
        let before = |offset: usize, inclusive: bool| {
            edits
                .iter()
                .filter(|(edit, _)| {
                    if inclusive { edit.end <= offset } else { edit.end <= offset && edit.start < offset }
                })
                .fold(offset, |moved, (edit, value)| moved + value.len() - edit.len())
        };
        before(span.start, false)..before(span.end, true)
    });
    (result, spans)
}
