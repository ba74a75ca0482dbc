//! What a story is told over.

/// A backend of the proxy, and the far end that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Two queues, to asyncmcp's server.
    Sqs,
    /// Two topics, a queue subscribed to each, to asyncmcp's server.
    SnsSqs,
    /// POSTs, answered by POSTs to the proxy, to asyncmcp's server.
    Webhook,
    /// Streamable HTTP, to asyncmcp's server, which answers some tools by webhook.
    StreamableHttpWebhook,
    /// The same backend of the proxy in front of a server that has never heard of webhooks.
    StreamableHttp,
    /// Our own worker behind this transport, around a server that is reached like this.
    Worker(Transport, Reached),
}

/// One of the four async transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Two queues.
    Sqs,
    /// Two topics, a queue subscribed to each.
    SnsSqs,
    /// POSTs, answered by POSTs.
    Webhook,
    /// Streamable HTTP, some answers by webhook.
    StreamableHttpWebhook,
}

/// How a worker reaches its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// As a child process, over stdio.
    Stdio,
    /// Over Streamable HTTP.
    Http,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sqs, Self::SnsSqs, Self::Webhook, Self::StreamableHttpWebhook];

    /// As `--backend` and the cargo features call it.
    pub fn backend(self) -> &'static str {
        match self {
            Self::Sqs => "sqs",
            Self::SnsSqs => "snssqs",
            Self::Webhook => "webhook",
            Self::StreamableHttpWebhook => "streamable-http-webhook",
        }
    }

    /// Whether messages go through queues, so that a server that is gone looks like one that is slow.
    pub fn is_queued(self) -> bool {
        matches!(self, Self::Sqs | Self::SnsSqs)
    }
}

impl Kind {
    /// The transport.
    pub fn transport(self) -> Transport {
        match self {
            Self::Sqs => Transport::Sqs,
            Self::SnsSqs => Transport::SnsSqs,
            Self::Webhook => Transport::Webhook,
            Self::StreamableHttpWebhook | Self::StreamableHttp => Transport::StreamableHttpWebhook,
            Self::Worker(transport, _) => transport,
        }
    }

    /// As `--backend` and the cargo features call the backend.
    pub fn backend(self) -> &'static str {
        self.transport().backend()
    }

    /// Whether messages go through queues, so that a server that is gone looks like one that is slow.
    pub fn is_queued(self) -> bool {
        self.transport().is_queued()
    }

    /// Whether the far end is our own.
    pub fn is_worker(self) -> bool {
        matches!(self, Self::Worker(..))
    }

    /// The bytes of a result that the transport carries for sure. SNS takes 256 KiB a message, SQS 1 MiB, in both cases with
    /// attributes; HTTP has no limit of its own.
    pub fn largest_result(self) -> usize {
        if self.is_queued() { 200_000 } else { 3_000_000 }
    }
}
