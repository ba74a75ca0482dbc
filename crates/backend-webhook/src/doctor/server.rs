//! Looks at the server: whether it answers, whether the way there is encrypted, whether its clock is ours.

use std::time::{Duration, SystemTime};

use proxy_core::{
    config::duration,
    operator::{Check, Report},
};
use reqwest::{
    Method, Response, Version,
    header::{CONTENT_TYPE, DATE},
};
use tokio::time::Instant;

use crate::{config::is_cleartext_elsewhere, http_client::HttpClient};

/// How much two clocks may differ. `Date` counts in whole seconds, and the response takes its time.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);

/// Asks the server for its options, which changes nothing, and reports what that shows. `path` is what asyncmcp serves there.
pub(crate) async fn check_server(client: &HttpClient, url: &str, path: &str, report: Report<'_, Check>) {
    let asked = Instant::now();
    let request = || client.request(Method::OPTIONS, url).timeout(client.timeout());
    match client.send("check", asked, request).await {
        Err(error) => report(Check::failed(
            "server",
            error.to_string(),
            "start the MCP server, and look at server_url, firewalls and DNS between here and there",
        )),
        Ok(response) => {
            report(reached(&response, asked.elapsed(), path));
            report(encryption(url));
            report(clock(&response));
        }
    }
}

fn reached(response: &Response, took: Duration, path: &str) -> Check {
    let version = match response.version() {
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    };
    let status = response.status();
    let took = took.as_millis();
    match status.as_u16() {
        500..=599 => Check::failed(
            "server",
            format!("it fails: HTTP {}", status.as_u16()),
            "look at the MCP server, and at the gateway in front of it if there is one",
        ),
        404 if !is_json(response) => Check::warning(
            "server",
            format!("something answers over {version}, but it knows nothing at this path (HTTP 404)"),
            format!("look at the path of server_url: asyncmcp's is {path}"),
        ),
        _ => Check::good("server", format!("it answers over {version} within {took} ms")),
    }
}

/// What an MCP server says of a session that it does not know is JSON; what any web server says of an unknown path is not.
fn is_json(response: &Response) -> bool {
    let media = response.headers().get(CONTENT_TYPE).and_then(|media| media.to_str().ok());
    media.is_some_and(|media| media.starts_with("application/json"))
}

fn encryption(url: &str) -> Check {
    if url.starts_with("https://") {
        Check::good("encryption", "TLS, with a certificate that this machine trusts")
    } else if is_cleartext_elsewhere(url) {
        Check::warning(
            "encryption",
            "messages cross the network to the server unencrypted",
            "write an https URL into server_url",
        )
    } else {
        Check::skipped("encryption", "the server is on this machine and is reached without")
    }
}

fn clock(response: &Response) -> Check {
    let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
    let Some(theirs) = date.and_then(|date| httpdate::parse_http_date(date).ok()) else {
        return Check::skipped("clock", "the server does not say what time it is");
    };
    let ours = SystemTime::now();
    let apart = ours.duration_since(theirs).or_else(|_| theirs.duration_since(ours)).unwrap_or_default();
    if apart <= CLOCK_TOLERANCE {
        return Check::good("clock", "the same here as at the server, to some seconds");
    }
    let apart = duration::format(Duration::from_secs(apart.as_secs()));
    Check::warning(
        "clock",
        format!("it is {apart} apart from the server's"),
        "set both machines' time by NTP: deadlines and tokens depend on it",
    )
}
