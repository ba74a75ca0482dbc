//! What a story is told over.

/// A backend of the proxy, and the server that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Two queues.
    Sqs,
    /// Two topics, a queue subscribed to each.
    SnsSqs,
    /// POSTs, answered by POSTs to the proxy.
    Webhook,
    /// Streamable HTTP whose server answers some tools by webhook.
    StreamableHttpWebhook,
    /// The same backend of the proxy in front of a server that has never heard of webhooks.
    StreamableHttp,
}

impl Kind {
    /// As `--backend` and the cargo features call the backend.
    pub fn backend(self) -> &'static str {
        match self {
            Self::Sqs => "sqs",
            Self::SnsSqs => "snssqs",
            Self::Webhook => "webhook",
            Self::StreamableHttpWebhook | Self::StreamableHttp => "streamable-http-webhook",
        }
    }

    /// Whether messages go through queues, so that a server that is gone looks like one that is slow.
    pub fn is_queued(self) -> bool {
        matches!(self, Self::Sqs | Self::SnsSqs)
    }

    /// The bytes of a result that the transport carries for sure. SNS takes 256 KiB a message, SQS 1 MiB, in both cases with
    /// attributes; HTTP has no limit of its own.
    pub fn largest_result(self) -> usize {
        if self.is_queued() { 200_000 } else { 3_000_000 }
    }
}
