//! `Accept` and `Content-Type`: what a client takes and what it sends.

use axum::http::{HeaderMap, HeaderValue, header};
use proxy_core::Media;

use crate::rejection::Rejection;

/// Which of the two media types of Streamable HTTP an `Accept` covers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Accepted {
    json: bool,
    event_stream: bool,
    /// Both are there by name, as the specification demands of clients (2025-11-25, basic/transports, sending messages).
    both_named: bool,
}

/// What the answer to a POST may be.
///
/// Leniently, whatever the client takes of the two types is what it gets; no `Accept` at all means anything (RFC 9110, section
/// 12.5.1). Strictly, both types must be named, as the official SDK servers demand.
pub(crate) fn for_post(headers: &HeaderMap, strict: bool) -> Result<Media, Rejection> {
    let accepted = Accepted::read(headers);
    if strict && !accepted.is_some_and(|accepted| accepted.both_named) {
        return Err(Rejection::BothTypesRequired);
    }
    match accepted {
        None | Some(Accepted { json: true, event_stream: true, .. }) => Ok(Media::Any),
        Some(Accepted { json: true, .. }) => Ok(Media::Json),
        Some(Accepted { event_stream: true, .. }) => Ok(Media::EventStream),
        Some(_) => Err(Rejection::NoTypeAcceptable),
    }
}

/// Whether a GET may be answered with a stream: the client has to ask for one, by name or, leniently, by a range.
pub(crate) fn for_get(headers: &HeaderMap, strict: bool) -> Result<(), Rejection> {
    let asked = if strict {
        ranges(headers).any(|range| range.eq_ignore_ascii_case("text/event-stream"))
    } else {
        Accepted::read(headers).is_some_and(|accepted| accepted.event_stream)
    };
    if asked { Ok(()) } else { Err(Rejection::EventStreamRequired) }
}

/// Whether the body says that it is JSON; parameters such as a charset do not matter.
pub(crate) fn check_content_type(headers: &HeaderMap) -> Result<(), Rejection> {
    let essence = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(essence);
    match essence {
        Some(essence) if essence.eq_ignore_ascii_case("application/json") => Ok(()),
        _ => Err(Rejection::UnsupportedMediaType),
    }
}

impl Accepted {
    /// `None`: the client says nothing.
    fn read(headers: &HeaderMap) -> Option<Self> {
        headers.get(header::ACCEPT)?;
        let (mut accepted, mut json_named, mut event_stream_named) = (Self::default(), false, false);
        for range in ranges(headers) {
            let is = |name: &str| range.eq_ignore_ascii_case(name);
            let everything = is("*/*");
            json_named |= is("application/json");
            event_stream_named |= is("text/event-stream");
            accepted.json |= everything || is("application/*");
            accepted.event_stream |= everything || is("text/*");
        }
        accepted.json |= json_named;
        accepted.event_stream |= event_stream_named;
        accepted.both_named = json_named && event_stream_named;
        Some(accepted)
    }
}

/// The media ranges of all `Accept` headers, without those that have a quality of zero, which means "not acceptable".
fn ranges(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value: &HeaderValue| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter(|range| !has_no_quality(range))
        .map(essence)
}

fn essence(text: &str) -> &str {
    text.split_once(';').map_or(text, |(essence, _)| essence).trim()
}

fn has_no_quality(range: &str) -> bool {
    range.split(';').skip(1).filter_map(|parameter| parameter.split_once('=')).any(|(name, value)| {
        name.trim().eq_ignore_ascii_case("q")
            && value.trim().parse::<f32>().is_ok_and(|quality| quality <= 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (header::ACCEPT, HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn lenient_clients_get_what_fits() {
        for (accept, expected) in [
            (&[][..], Media::Any),
            (&["*/*"], Media::Any),
            (&["application/json, text/event-stream"], Media::Any),
            (&["text/event-stream", "application/json; q=0.5"], Media::Any),
            (&["application/json"], Media::Json),
            (&["Application/*"], Media::Json),
            (&["text/event-stream"], Media::EventStream),
            (&["text/event-stream, application/json;q=0"], Media::EventStream),
        ] {
            assert_eq!(for_post(&accepting(accept), false), Ok(expected), "{accept:?}");
        }
        assert_eq!(for_post(&accepting(&["text/html"]), false), Err(Rejection::NoTypeAcceptable));
    }

    #[test]
    fn strict_clients_name_both_types() {
        for accept in [&[][..], &["*/*"], &["application/json"], &["text/event-stream"]] {
            assert_eq!(for_post(&accepting(accept), true), Err(Rejection::BothTypesRequired), "{accept:?}");
        }
        assert_eq!(for_post(&accepting(&["application/json,text/event-stream"]), true), Ok(Media::Any));
    }

    #[test]
    fn a_stream_has_to_be_asked_for() {
        assert_eq!(for_get(&accepting(&["text/event-stream"]), true), Ok(()));
        assert_eq!(for_get(&accepting(&["*/*"]), false), Ok(()));
        for accept in [&[][..], &["application/json"]] {
            assert_eq!(for_get(&accepting(accept), false), Err(Rejection::EventStreamRequired), "{accept:?}");
        }
        assert_eq!(for_get(&accepting(&["*/*"]), true), Err(Rejection::EventStreamRequired));
    }

    #[test]
    fn only_json_bodies_are_taken() {
        let typed = |value| HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(value))]);
        assert_eq!(check_content_type(&typed("application/json; charset=utf-8")), Ok(()));
        assert_eq!(check_content_type(&typed("Application/JSON")), Ok(()));
        assert_eq!(check_content_type(&typed("text/plain")), Err(Rejection::UnsupportedMediaType));
        assert_eq!(check_content_type(&HeaderMap::new()), Err(Rejection::UnsupportedMediaType));
    }
}
