//! What `doctor` looks at for both intakes: whether requests could come in here, and who else could send them.

use std::io;

use proxy_core::operator::{Check, Report};
use reqwest::{Client, Method, StatusCode, header::HeaderMap};
use tokio::{net::TcpListener, time::Instant};

use super::IntakeSettings;
use crate::http_client::{HttpClient, read_body};

const SUBJECT: &str = "listener";
const REMEDY: &str = "change listen, or end the program that has this address";

/// How much of an answer is read to see whose it is.
const LONGEST_ANSWER: usize = 4096;

/// Reports whether the address is free or a worker's already, and what stands between it and strangers.
pub(crate) async fn check_intake(
    settings: &IntakeSettings<'_>,
    own: Option<Client>,
    report: Report<'_, Check>,
) {
    match TcpListener::bind(settings.listen).await {
        Ok(_) => report(Check::good(SUBJECT, format!("{} is free to listen on", settings.listen))),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            report(if is_worker(settings, own).await {
                Check::good(SUBJECT, format!("a worker is running at {}", settings.url()))
            } else {
                let what = format!("{} is taken, and by no worker", settings.listen);
                Check::failed(SUBJECT, what, REMEDY)
            });
        }
        Err(error) => {
            let what = format!("cannot listen on {}: {error}", settings.listen);
            report(Check::failed(SUBJECT, what, REMEDY));
        }
    }
    report(exposure(settings));
}

/// Who may send requests.
fn exposure(settings: &IntakeSettings<'_>) -> Check {
    let subject = "access";
    match settings.auth_token {
        Some(_) => Check::good(subject, "a bearer token is wanted"),
        None if settings.listen.ip().is_loopback() => {
            Check::good(subject, "only programs of this machine reach the address")
        }
        None => Check::warning(
            subject,
            "whoever reaches the address can call every tool, and has no need of a token",
            "set auth_token, and the same under headers at the proxies (Authorization = \"Bearer …\")",
        ),
    }
}

/// Whether what listens there already is a worker: it says in JSON-RPC that it takes no PUT, or none without its token or for this host.
/// The token is not shown: another program may have the address.
async fn is_worker(settings: &IntakeSettings<'_>, own: Option<Client>) -> bool {
    let Ok(client) = HttpClient::new(settings.timeout, HeaderMap::new(), own) else { return false };
    let mut url = settings.listen;
    if url.ip().is_unspecified() {
        url.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let url = format!("http://{url}{}", settings.path);
    let request = || client.request(Method::PUT, &url).timeout(settings.timeout);
    let answer = async {
        let mut response = client.send("check", Instant::now(), request).await.ok()?;
        let is_refused = matches!(
            response.status(),
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::UNAUTHORIZED | StatusCode::MISDIRECTED_REQUEST
        );
        let body = read_body("check", &mut response, LONGEST_ANSWER).await.ok()?;
        (is_refused && String::from_utf8_lossy(&body).contains("jsonrpc")).then_some(())
    };
    answer.await.is_some()
}
