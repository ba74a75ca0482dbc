//! The HTTP front end over a proxy: its settings, what its handlers share, and its routes.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Response, request::Parts},
    routing::{any, get},
};
use futures_util::future::BoxFuture;
use prometheus_client::registry::Registry;
use proxy_core::{
    Proxy,
    config::{Problem, SessionConfig},
};

use crate::{
    admin,
    config::{SecurityConfig, ServerConfig},
    cors, endpoint,
    guard::Guard,
    metrics::HttpMetrics,
    rejection::Rejection,
    token::Tokens,
};

/// The HTTP front end over a [`Proxy`]: the MCP endpoint, `/livez`, `/readyz`, `/health` and `/metrics`.
///
/// Give it to [`serve`](crate::serve()), or take its [`router`](Self::router) into an axum application of your own.
pub struct App {
    shared: Shared,
    /// `None`: there is no MCP endpoint.
    server_path: Option<String>,
    allow_unauthenticated: bool,
    beside: Router,
}

/// Looks at something that has to be well for `/readyz` to be green.
pub type Readiness = Arc<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// The settings cannot be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidConfig {
    /// Everything that is wrong, each with its key under `server` or `security`.
    pub problems: Vec<Problem>,
}

/// What the handlers share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) guard: Guard,
    pub(crate) tokens: Tokens,
    pub(crate) strict_accept: bool,
    pub(crate) max_body: usize,
    pub(crate) sse_after: Duration,
    /// Clients have no sessions.
    pub(crate) stateless: bool,
    pub(crate) metrics: HttpMetrics,
    pub(crate) registry: Option<Arc<Registry>>,
    pub(crate) also_ready: AlsoReady,
}

/// What has to be ready beside the proxy.
#[derive(Default)]
pub(crate) struct AlsoReady(Option<Readiness>);

impl App {
    /// A front end with these settings. The error names everything that is wrong with them, a token file that was not read
    /// (see [`SecurityConfig::read_token_files`]) included.
    pub fn new(
        proxy: Arc<Proxy>,
        server: &ServerConfig,
        security: &SecurityConfig,
    ) -> Result<Self, InvalidConfig> {
        let within = |table: &'static str| move |problem: Problem| problem.within(table);
        let mut problems: Vec<Problem> = server.validate().into_iter().map(within("server")).collect();
        problems.extend(security.validate(server).into_iter().map(within("security")));
        problems.extend(unread_tokens(security).map(within("security")));
        let guard = match Guard::new(server, security) {
            Ok(guard) if problems.is_empty() => guard,
            Ok(_) => return Err(InvalidConfig { problems }),
            Err(found) => {
                for problem in found.into_iter().map(within("security")) {
                    if problems.iter().all(|known| known.key != problem.key) {
                        problems.push(problem);
                    }
                }
                return Err(InvalidConfig { problems });
            }
        };
        let shared = Shared {
            stateless: proxy.is_stateless(),
            proxy,
            guard,
            tokens: Tokens::new(security.tokens()),
            strict_accept: security.strict_accept,
            max_body: security.max_body,
            sse_after: SessionConfig::default().sse_after,
            metrics: HttpMetrics::register(&mut Registry::default()),
            registry: None,
            also_ready: AlsoReady::default(),
        };
        let allow_unauthenticated = security.allow_unauthenticated;
        Ok(Self {
            shared,
            server_path: Some(server.server_path.clone()),
            allow_unauthenticated,
            beside: Router::new(),
        })
    }

    /// Waits this long for an answer as plain JSON before a response becomes a stream. Default 250 ms.
    #[must_use]
    pub fn sse_after(mut self, sse_after: Duration) -> Self {
        self.shared.sse_after = sse_after;
        self
    }

    /// Counts into these metrics, and serves the registry under `/metrics`. Default: `/metrics` gets 404.
    #[must_use]
    pub fn metrics(mut self, metrics: HttpMetrics, registry: Arc<Registry>) -> Self {
        self.shared.metrics = metrics;
        self.shared.registry = Some(registry);
        self
    }

    /// Serves no MCP endpoint: only what operators, load balancers and scrapers ask.
    #[must_use]
    pub fn admin_only(mut self) -> Self {
        self.server_path = None;
        self
    }

    /// Is ready only while this says so too, beside the proxy's own check.
    #[must_use]
    pub fn also_ready(mut self, readiness: Readiness) -> Self {
        self.shared.also_ready = AlsoReady(Some(readiness));
        self
    }

    /// Serves these routes on the same port, a backend's callbacks say. They pass none of the guards: they bring their own.
    #[must_use]
    pub fn beside(mut self, routes: Router) -> Self {
        self.beside = self.beside.merge(routes);
        self
    }

    /// Whether a listener at this address would let other machines in without asking anybody for a token, though that is not
    /// allowed.
    pub(crate) fn is_unprotected_at(&self, address: IpAddr) -> bool {
        !address.is_loopback() && !self.shared.tokens.are_required() && !self.allow_unauthenticated
    }

    /// The routes, for a listener at this address: it decides which `Host` and `Origin` headers are let in.
    pub fn router(self, listening: IpAddr) -> Router {
        let Self { mut shared, server_path, beside, .. } = self;
        shared.guard = shared.guard.listening(listening);
        let router = Router::new();
        let router = match server_path {
            Some(path) => router.route(&path, any(endpoint::handle)),
            None => router,
        };
        router
            .route("/livez", get(admin::livez))
            .route("/readyz", get(admin::readyz))
            .route("/health", get(admin::health))
            .route("/metrics", get(admin::metrics))
            .fallback(not_found)
            .with_state(Arc::new(shared))
            .merge(beside)
    }
}

impl fmt::Debug for App {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("App").field("server_path", &self.server_path).finish_non_exhaustive()
    }
}

impl AlsoReady {
    pub(crate) async fn check(&self) -> bool {
        match &self.0 {
            Some(readiness) => readiness().await,
            None => true,
        }
    }
}

impl fmt::Debug for AlsoReady {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("AlsoReady").field(&self.0.is_some()).finish()
    }
}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidConfig {}

impl Shared {
    /// Lets the page that a request comes from read the response, if it may call here.
    pub(crate) fn allow_origin(&self, parts: &Parts, response: &mut Response<Body>) {
        if let Ok(Some(origin)) = self.guard.origin(parts) {
            cors::allow(origin.clone(), response.headers_mut());
        }
    }
}

/// Anything else. Clients that look for metadata of an authorization server find out here that there is none.
async fn not_found(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (parts, _) = request.into_parts();
    let checked = shared.guard.check_host(&parts).and_then(|()| shared.guard.origin(&parts));
    let mut response = match checked {
        Ok(_) if cors::is_preflight(&parts) => cors::preflight(),
        Ok(_) => Rejection::PathNotFound.into_response(None),
        Err(rejection) => rejection.into_response(None),
    };
    shared.allow_origin(&parts, &mut response);
    response
}

/// An entry without its token would be left out, and with it perhaps the only lock on the door.
fn unread_tokens(security: &SecurityConfig) -> impl Iterator<Item = Problem> {
    let unread = |entry: &crate::config::AuthToken| entry.token.is_none() && entry.token_file.is_some();
    security.auth_tokens.iter().enumerate().filter(move |(_, entry)| unread(entry)).map(|(index, _)| {
        Problem::new(
            format!("auth_tokens.{index}.token_file"),
            "was not read",
            "call SecurityConfig::read_token_files first",
        )
    })
}
