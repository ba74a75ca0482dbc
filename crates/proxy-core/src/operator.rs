//! What operators are told about a backend: whether the whole way to the far end works (`doctor`), and what it needs
//! (`provision`). Every backend crate has both; a program prints them.

/// One line of the doctor's report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was looked at, such as `request queue` or `permission sqs:SendMessage`.
    pub subject: Box<str>,
    /// What was found.
    pub verdict: Verdict,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All is well; what was seen.
    Good(Box<str>),
    /// It works, but not as well as it could, or not for ever.
    Warning {
        /// What was seen.
        what: Box<str>,
        /// What to do about it.
        remedy: Box<str>,
    },
    /// It does not work.
    Failed {
        /// What was seen.
        what: Box<str>,
        /// What to do about it.
        remedy: Box<str>,
    },
    /// It could not be looked at, and why.
    Skipped(Box<str>),
}

/// Where the lines of a report go as they come: some take seconds.
pub type Report<'report, Line> = &'report mut (dyn FnMut(Line) + Send);

/// What provisioning is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Create what is missing and change what is different. Doing it twice changes nothing the second time.
    Apply,
    /// Say what [`Mode::Apply`] would do.
    DryRun,
    /// Remove what [`Mode::Apply`] creates. What is gone already is fine.
    Destroy,
}

/// One thing that provisioning looked at, and what it did, or would do in a dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it did.
    pub change: Change,
    /// What kind of thing it is, such as `queue` or `subscription`.
    pub kind: &'static str,
    /// Which one.
    pub name: Box<str>,
    /// What is different, or why.
    pub detail: Option<Box<str>>,
}

/// What provisioning did to a thing, or would do in a dry run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is as it should be.
    Kept,
    /// It was missing.
    Created,
    /// Some of its settings were different.
    Updated,
    /// It was there.
    Deleted,
    /// It was to be removed and was not there.
    Absent,
    /// It is the operator's to do: what is said in the detail.
    ByHand,
}

impl Change {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "unchanged",
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Absent => "absent",
            Self::ByHand => "by hand",
        }
    }
}

/// A least-privilege policy, for whom it is and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Who needs it, such as `the proxy` or `the server`.
    pub principal: &'static str,
    /// The IAM policy document, as indented JSON.
    pub document: String,
}

impl Check {
    /// All is well.
    pub fn good(subject: impl Into<Box<str>>, seen: impl Into<Box<str>>) -> Self {
        Self { subject: subject.into(), verdict: Verdict::Good(seen.into()) }
    }

    /// It works, but.
    pub fn warning(
        subject: impl Into<Box<str>>,
        what: impl Into<Box<str>>,
        remedy: impl Into<Box<str>>,
    ) -> Self {
        Self {
            subject: subject.into(),
            verdict: Verdict::Warning { what: what.into(), remedy: remedy.into() },
        }
    }

    /// It does not work.
    pub fn failed(
        subject: impl Into<Box<str>>,
        what: impl Into<Box<str>>,
        remedy: impl Into<Box<str>>,
    ) -> Self {
        Self {
            subject: subject.into(),
            verdict: Verdict::Failed { what: what.into(), remedy: remedy.into() },
        }
    }

    /// It could not be looked at.
    pub fn skipped(subject: impl Into<Box<str>>, why: impl Into<Box<str>>) -> Self {
        Self { subject: subject.into(), verdict: Verdict::Skipped(why.into()) }
    }
}

impl Step {
    /// A step that needs no more words.
    pub fn new(change: Change, kind: &'static str, name: impl Into<Box<str>>) -> Self {
        Self { change, kind, name: name.into(), detail: None }
    }

    /// Adds what is different, or why.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Box<str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}
