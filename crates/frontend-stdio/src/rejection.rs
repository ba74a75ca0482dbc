//! Everything that is refused before it is admitted, as JSON-RPC errors.

use proxy_core::{
    Refusal,
    message::{ErrorObject, MessageError, RequestId, Response, code},
};

/// Why a line was refused. Its text is for the client's developer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("the message is larger than the {limit} bytes that are taken")]
    TooLarge { limit: usize },
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error("this server speaks the MCP revisions 2024-11-05 to 2025-11-25: send initialize")]
    ModernEra,
    #[error("the connection is not initialized: send initialize first")]
    NotInitialized,
    #[error("initialize must not be part of a batch")]
    InitializeInBatch,
    #[error("batches are not part of the session's protocol version")]
    BatchNotSupported,
    #[error(transparent)]
    Core(#[from] Refusal),
}

impl Rejection {
    /// The JSON-RPC error code. None of -32020 to -32022, by which a client would know a server of the 2026-07-28 era.
    fn code(&self) -> i64 {
        match self {
            Self::Message(error) => error.code(),
            Self::TooLarge { .. } => code::TRANSPORT,
            Self::ModernEra | Self::NotInitialized | Self::InitializeInBatch | Self::BatchNotSupported => {
                code::INVALID_REQUEST
            }
            Self::Core(refusal) => refusal.code(),
        }
    }

    /// The word for `data.reason`.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "body_too_large",
            Self::Message(MessageError::NotJson) => "not_json",
            Self::Message(MessageError::Invalid(_)) => "invalid_message",
            Self::ModernEra => "modern_era",
            Self::NotInitialized => "not_initialized",
            Self::InitializeInBatch => "initialize_in_batch",
            Self::BatchNotSupported => "batch_not_supported",
            Self::Core(refusal) => refusal.reason(),
        }
    }

    /// The answer to the request with this id, or about a message whose id could not be read (JSON-RPC 2.0, section 5).
    pub(crate) fn answer(&self, id: Option<RequestId>) -> String {
        let message = self.to_string();
        Response::error(id, &ErrorObject::new(self.code(), &message, self.reason())).into_text()
    }
}
