//! Whether a request may run: what makes a call run at most once, as one pure function.

use crate::ledger::{Entry, EntryState};

/// What is known about a request that was delivered, and is not running here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Case<'ledger> {
    /// What the ledger says of it.
    pub(crate) known: Known<'ledger>,
    /// How often the transport has given it out, this time included.
    pub(crate) receive_count: u32,
    /// How often it may be given out and still run.
    pub(crate) max_receives: u32,
    /// The ledger would know it had it been begun: nobody else can have received it, and the ledger was kept already when it was sent.
    pub(crate) would_be_known: bool,
    /// It may run more than once.
    pub(crate) may_rerun: bool,
    /// Its session is here.
    pub(crate) alive: bool,
}

/// What the ledger says of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known<'ledger> {
    /// Nothing.
    Nothing,
    /// It was begun; its answer, if it has one, is not kept.
    Started,
    /// It has this answer.
    Answered(&'ledger str),
}

impl<'ledger> Known<'ledger> {
    /// What an entry says.
    pub(crate) fn of(entry: &'ledger Entry) -> Self {
        match &entry.state {
            EntryState::Answered(answer) | EntryState::Sent(Some(answer)) => Self::Answered(answer),
            EntryState::Started | EntryState::Sent(None) => Self::Started,
        }
    }
}

/// What to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict<'ledger> {
    /// Run it.
    Run,
    /// Give the answer that was given.
    AnswerAgain(&'ledger str),
    /// It is not run, and the client is told that it may or may not have.
    MayHaveRun,
    /// It was given out too often. It is not run, the client is told, and it goes to the dead-letter queue.
    OutOfReceives,
    /// It never ran and cannot: its session is not here.
    NotStarted,
}

/// Decides. A call that may have run is run again only where it may be, and never without its session.
pub(crate) fn judge<'ledger>(case: &Case<'ledger>) -> Verdict<'ledger> {
    let may_have_run = match case.known {
        Known::Answered(answer) => return Verdict::AnswerAgain(answer),
        Known::Started => true,
        // Where the ledger would know it, an earlier receiver never got as far as to begin it.
        Known::Nothing => case.receive_count > 1 && !case.would_be_known,
    };
    if may_have_run && !(case.may_rerun && case.alive) {
        Verdict::MayHaveRun
    } else if !case.alive {
        Verdict::NotStarted
    } else if case.receive_count > case.max_receives {
        Verdict::OutOfReceives
    } else {
        Verdict::Run
    }
}

#[cfg(test)]
mod tests;
