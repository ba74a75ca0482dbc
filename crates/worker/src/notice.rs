//! What the worker itself answers to requests that do not run, or not here. Its texts are for the client's developer.

use proxy_core::{
    Refusal,
    intake::Refused,
    message::{ErrorObject, RequestId, Response, code},
};

/// Why a request got no answer of the server's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Notice {
    /// It was begun before, and what became of it is not known.
    #[error(
        "the request was delivered before and its outcome is not known: it may or may not have run, and is not run again"
    )]
    MayHaveRun,
    /// The same, and its session is not here any more.
    #[error(
        "the worker that ran this session has ended or lost it: the request may or may not have run, and is not run again; initialize again"
    )]
    MayHaveRunAndGone,
    /// It was given out too often.
    #[error(
        "the request was delivered {0} times without an answer, more often than max_receives allows: it is not run any more"
    )]
    OutOfReceives(u32),
    /// Its deadline had passed.
    #[error("the request's deadline had passed when it could begin: it was not started")]
    DeadlinePassed,
    /// It could not be written down.
    #[error("the worker could not write the request into its ledger: it was not started")]
    Ledger,
    /// Its answer is larger than the transport takes.
    #[error("the answer cannot go back: {0}")]
    AnswerTooLarge(Box<str>),
    /// Its session's worker cannot be reached.
    #[error("the request could not be passed on to the worker that has its session: {0}")]
    NotForwarded(Box<str>),
    /// The server's request could not be sent to the client.
    #[error("the request could not be sent to the client")]
    ClientNotAsked,
    /// The desk did not take it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The core did not take it.
    #[error(transparent)]
    Core(#[from] Refusal),
}

impl Notice {
    /// The word for `data.reason`.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::MayHaveRun => "may_have_run",
            Self::MayHaveRunAndGone => "session_gone",
            Self::OutOfReceives(_) => "out_of_receives",
            Self::DeadlinePassed => "deadline_passed",
            Self::Ledger => "ledger_failed",
            Self::AnswerTooLarge(_) => "too_large",
            Self::NotForwarded(_) => "not_forwarded",
            Self::ClientNotAsked => "client_not_asked",
            Self::Refused(refused) => refused.reason(),
            Self::Core(refusal) => refusal.reason(),
        }
    }

    /// Whether it means that the session is not here.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(
            self,
            Self::MayHaveRunAndGone
                | Self::Refused(Refused::UnknownSession)
                | Self::Core(Refusal::SessionNotFound)
        )
    }

    /// The answer to the request with this id.
    pub(crate) fn answer(&self, id: RequestId) -> Response {
        let message = self.to_string();
        Response::error(Some(id), &ErrorObject::new(self.code(), &message, self.reason()))
    }

    fn code(&self) -> i64 {
        match self {
            Self::Refused(refused) => refused.code(),
            Self::Core(Refusal::SessionNotFound) => code::SESSION_NOT_FOUND,
            Self::Core(refusal) => refusal.code(),
            Self::MayHaveRun
            | Self::MayHaveRunAndGone
            | Self::OutOfReceives(_)
            | Self::DeadlinePassed
            | Self::Ledger
            | Self::AnswerTooLarge(_)
            | Self::NotForwarded(_)
            | Self::ClientNotAsked => code::INTERNAL_ERROR,
        }
    }
}

/// The words in `data.reason` with which the core answers requests that a session's end cut off (docs/ARCHITECTURE.md).
const CUT_OFF: [&str; 6] =
    ["session_gone", "session_closed", "session_idle", "shutting_down", "handshake_failed", "backend_failed"];

/// Whether an answer is an error that says that the session ended.
pub(crate) fn is_cut_off(answer: &Response) -> bool {
    #[derive(serde::Deserialize)]
    struct Said<'text> {
        #[serde(borrow)]
        data: Option<Data<'text>>,
    }
    #[derive(serde::Deserialize)]
    struct Data<'text> {
        #[serde(borrow)]
        reason: std::borrow::Cow<'text, str>,
    }
    let said = answer.error_object().and_then(|error| serde_json::from_str::<Said<'_>>(error).ok());
    said.and_then(|said| said.data).is_some_and(|data| CUT_OFF.contains(&&*data.reason))
}
