//! Sends a callback to ourselves by the way that the server's come, and sees whether it arrives.

use std::{io, sync::Arc, time::Duration};

use axum::http::HeaderName;
use prometheus_client::registry::Registry;
use proxy_core::{
    BackendMetrics,
    backend::{Disposition, Inbound, Inbox, Settlement},
    id::{InstanceId, RouteKey},
    operator::{Check, Report},
};
use reqwest::{
    Client, Method, RequestBuilder, StatusCode,
    header::{CONTENT_TYPE, HeaderMap},
};
use tokio::{net::TcpListener, sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    callback::{Callback, CallbackParts, NO_SESSION},
    config::{CallbackSettings, is_cleartext_elsewhere, is_loopback},
    http_client::{HttpClient, read_body},
};

const SUBJECT: &str = "callback";

/// What is sent: a message that no server could mean anything by.
const PROBE: &str = r#"{"jsonrpc":"2.0","method":"notifications/probe"}"#;

const RUNNING: &str = "callbacks lead to a proxy that is running";

const LISTEN_REMEDY: &str = "change listen, or end the program that has this address";
const WAY_REMEDY: &str =
    "look at webhook_url, and at DNS, firewall and reverse proxy between the server and this replica";

/// Takes the probe.
#[derive(Debug)]
struct ProbeInbox {
    route: RouteKey,
    arrived: mpsc::Sender<()>,
}

impl Inbox for ProbeInbox {
    fn deliver(&self, inbound: Inbound) -> Settlement {
        if inbound.route.as_ref() != Some(&self.route) || self.arrived.try_send(()).is_err() {
            return Settlement::Now(Disposition::Unroutable);
        }
        Settlement::Now(Disposition::Accepted)
    }
}

/// Reports whether the server's callbacks find here, as far as that shows from here: who asks is this machine, not the server.
pub(crate) async fn check_callback(
    settings: &CallbackSettings<'_>,
    server_url: &str,
    timeout: Duration,
    own: Option<Client>,
    report: Report<'_, Check>,
) {
    let url = settings.webhook_url;
    if !is_loopback(server_url) && (url.is_empty() || is_loopback(url)) {
        return report(Check::failed(
            SUBJECT,
            "webhook_url is this machine's own address, which the server on another machine cannot reach",
            "write a URL into webhook_url under which the server reaches this replica",
        ));
    }
    if is_cleartext_elsewhere(url) {
        report(Check::warning(
            "callback encryption",
            "answers cross the network from the server unencrypted",
            "put a reverse proxy with TLS in front, and write its https URL into webhook_url",
        ));
    }
    let client = match HttpClient::new(timeout, HeaderMap::new(), own) {
        Ok(client) => client,
        Err(error) => {
            return report(Check::failed(SUBJECT, error.to_string(), "see what was said of the server"));
        }
    };
    if settings.share {
        return report(if leads_to_proxy(&client, url).await {
            Check::good(SUBJECT, RUNNING)
        } else {
            Check::warning(
                SUBJECT,
                "the proxy's own port is shared, and webhook_url leads to no running proxy",
                "ask again while the proxy runs",
            )
        });
    }
    match TcpListener::bind(settings.listen).await {
        Ok(listener) => report(send_probe(settings, listener, &client).await),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let own = format!("http://{}/callback", settings.listen);
            let url = if url.is_empty() { &own } else { url };
            report(if leads_to_proxy(&client, url).await {
                Check::good(SUBJECT, RUNNING)
            } else {
                let what = format!("{} is taken, and {url} leads to no running proxy", settings.listen);
                Check::failed(SUBJECT, what, LISTEN_REMEDY)
            });
        }
        Err(error) => {
            let what = format!("cannot listen on {}: {error}", settings.listen);
            report(Check::failed(SUBJECT, what, LISTEN_REMEDY));
        }
    }
}

/// Listens, posts to itself, and sees what comes.
async fn send_probe(settings: &CallbackSettings<'_>, listener: TcpListener, client: &HttpClient) -> Check {
    let instance = InstanceId::random();
    let route = RouteKey::random(&instance);
    let (arrived, mut arrival) = mpsc::channel(1);
    let registry = &mut Registry::default();
    let parts = CallbackParts {
        inbox: Arc::new(ProbeInbox { route: route.clone(), arrived }),
        instance,
        session_header: HeaderName::from_static("x-session-id"),
        backend: "doctor",
        metrics: BackendMetrics::new("doctor", registry),
        registry,
        listener: Some(listener),
    };
    let callback = match Callback::bind(settings, parts).await {
        Ok(callback) => callback,
        Err(error) => return Check::failed(SUBJECT, error.to_string(), LISTEN_REMEDY),
    };
    let url = callback.url(&route);
    let shutdown = CancellationToken::new();
    let posting = async {
        let result = post(client, &url).await;
        shutdown.cancel();
        result
    };
    let started = Instant::now();
    let (result, ()) = tokio::join!(posting, callback.run(shutdown.clone()));
    let took = started.elapsed().as_millis();
    match result {
        Ok(status) if status.is_success() && arrival.try_recv().is_ok() => {
            Check::good(SUBJECT, format!("a message posted to webhook_url arrived here within {took} ms"))
        }
        Ok(status) => Check::failed(
            SUBJECT,
            format!("webhook_url leads elsewhere: HTTP {}, and nothing arrived here", status.as_u16()),
            WAY_REMEDY,
        ),
        Err(what) => Check::failed(SUBJECT, what, WAY_REMEDY),
    }
}

/// Whether a proxy that runs already is what `webhook_url` leads to: it knows no session under a made-up path.
async fn leads_to_proxy(client: &HttpClient, webhook_url: &str) -> bool {
    let route = RouteKey::random(&InstanceId::random());
    let url = format!("{}/{}/probe", webhook_url.trim_end_matches('/'), route.as_str());
    let request = || probe(client, &url);
    let answer = async {
        let mut response = client.send("check", Instant::now(), request).await.ok()?;
        let body = read_body("check", &mut response, 1024).await.ok()?;
        (response.status() == StatusCode::NOT_FOUND).then_some(body)
    };
    answer.await.is_some_and(|body| String::from_utf8_lossy(&body).contains(NO_SESSION))
}

async fn post(client: &HttpClient, url: &str) -> Result<StatusCode, String> {
    let response = client.send("check", Instant::now(), || probe(client, url)).await;
    response.map(|response| response.status()).map_err(|error| format!("at webhook_url, {error}"))
}

fn probe(client: &HttpClient, url: &str) -> RequestBuilder {
    let request = client.request(Method::POST, url).timeout(client.timeout());
    request.header(CONTENT_TYPE, "application/json").body(PROBE)
}
