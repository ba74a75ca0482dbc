//! The proxy's `[backend.…]` table.

/// What the proxy has to know of the way to the server.
#[derive(Debug, Clone)]
pub enum Backend {
    /// `[backend.sqs]`
    Sqs {
        /// The emulator.
        endpoint: String,
        /// Where requests go.
        read_queue: String,
        /// Where answers come from; `None` has the proxy create its own queue.
        response_queue: Option<String>,
    },
    /// `[backend.snssqs]`
    SnsSqs {
        /// The emulator.
        endpoint: String,
        /// Where requests go.
        request_topic: String,
        /// Where the server sends answers.
        response_topic: String,
        /// Where they come from; `None` has the proxy create and subscribe its own queue.
        response_queue: Option<String>,
    },
    /// `[backend.webhook]`
    Webhook {
        /// The server.
        server_url: String,
    },
    /// `[backend.streamable_http_webhook]`
    StreamableHttpWebhook {
        /// The server.
        server_url: String,
        /// Whether it is given a callback URL.
        has_callback: bool,
    },
}

impl Backend {
    /// The table as TOML. More settings of the same table may follow.
    pub fn to_toml(&self) -> String {
        let (table, settings) = match self {
            Self::Sqs { endpoint, read_queue, response_queue } => {
                let mut settings = aws(endpoint);
                settings.push(("read_queue_url", read_queue));
                settings.extend(response_queue.as_ref().map(|url| ("response_queue_url", url.as_str())));
                ("sqs", settings)
            }
            Self::SnsSqs { endpoint, request_topic, response_topic, response_queue } => {
                let mut settings = aws(endpoint);
                settings.push(("sns_topic_arn", request_topic));
                settings.push(("response_topic_arn", response_topic));
                settings.extend(response_queue.as_ref().map(|url| ("sqs_queue_url", url.as_str())));
                ("snssqs", settings)
            }
            Self::Webhook { server_url } => ("webhook", http(server_url)),
            Self::StreamableHttpWebhook { server_url, has_callback } => {
                let mut settings = vec![("server_url", server_url.as_str())];
                if *has_callback {
                    settings = http(server_url);
                    settings.push(("webhook_url", ""));
                }
                ("streamable_http_webhook", settings)
            }
        };
        let lines = settings.iter().map(|(key, value)| format!("{key} = \"{value}\"\n"));
        format!("[backend.{table}]\n{}", lines.collect::<String>())
    }

    /// Has the proxy create the queue that it reads, where it reads one.
    #[must_use]
    pub fn with_created_queue(mut self) -> Self {
        if let Self::Sqs { response_queue, .. } | Self::SnsSqs { response_queue, .. } = &mut self {
            *response_queue = None;
        }
        self
    }

    /// The URL that everything goes to: the emulator's or the server's.
    pub fn url(&self) -> &str {
        match self {
            Self::Sqs { endpoint, .. } | Self::SnsSqs { endpoint, .. } => endpoint,
            Self::Webhook { server_url } | Self::StreamableHttpWebhook { server_url, .. } => server_url,
        }
    }

    /// Another way to the emulator or the server.
    #[must_use]
    pub fn through(mut self, address: &str) -> Self {
        match &mut self {
            Self::Sqs { endpoint, .. } | Self::SnsSqs { endpoint, .. } => address.clone_into(endpoint),
            Self::Webhook { server_url } | Self::StreamableHttpWebhook { server_url, .. } => {
                // http://ADDRESS/PATH
                let path = server_url.splitn(4, '/').nth(3).unwrap_or_default();
                *server_url = format!("{address}/{path}");
            }
        }
        self
    }
}

fn aws(endpoint: &str) -> Vec<(&'static str, &str)> {
    vec![("endpoint_url", endpoint), ("region", "us-east-1")]
}

/// The callback listens on a free port, and the server is told which.
fn http(server_url: &str) -> Vec<(&'static str, &str)> {
    vec![("server_url", server_url), ("listen", "127.0.0.1:0")]
}
