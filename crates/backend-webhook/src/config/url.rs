//! What the URL of a server or callback has to look like.

use std::net::IpAddr;

use proxy_core::config::Problem;
use reqwest::Url;

/// What is wrong with the URL under `key`. None of what may be a secret in it is repeated.
pub(crate) fn url_problem(key: &str, text: &str, example: &str) -> Option<Problem> {
    let problem = |what: &str, instead: String| Some(Problem::new(key, what, instead));
    let write_such = || format!("write {key} = {example:?}");
    if text.is_empty() {
        return problem("is missing", write_such());
    }
    let Some(url) = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https")) else {
        return problem("is no absolute http or https URL", write_such());
    };
    if !url.username().is_empty() || url.password().is_some() {
        return problem(
            "has credentials in it, which would end up in logs",
            "write it without; credentials for the server go under headers".to_owned(),
        );
    }
    if url.query().is_some() || url.fragment().is_some() {
        return problem("has a query or fragment", "write it without what follows ? or #".to_owned());
    }
    (url.host_str().is_none_or(str::is_empty)).then(|| Problem::new(key, "has no host", write_such()))
}

/// Whether what goes to this URL crosses a network unencrypted.
pub(crate) fn is_cleartext_elsewhere(url: &str) -> bool {
    url.starts_with("http://") && !is_loopback(url)
}

/// Whether this URL's host is this machine itself.
pub(crate) fn is_loopback(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}
