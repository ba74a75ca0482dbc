//! What may stand between the parts of a process, for somebody who watches them.

use std::sync::Arc;

use proxy_core::{
    backend::{Backend, Inbox},
    intake::Intake,
};

use crate::backends::Clients;

/// Stands between the parts of a process: what it gives back is used in the place of the part. As it is, nothing does.
pub(crate) trait Between: Send + Sync {
    /// In the place of the inbox that the backend delivers to.
    fn inbox(&self, inbox: Arc<dyn Inbox>) -> Arc<dyn Inbox> {
        inbox
    }

    /// In the place of the backend that the proxy sends by.
    fn backend(&self, backend: Arc<dyn Backend>) -> Arc<dyn Backend> {
        backend
    }

    /// In the place of the intake that the worker runs.
    fn intake(&self, intake: Arc<dyn Intake>) -> Arc<dyn Intake> {
        intake
    }

    /// The clients of AWS's services to use.
    fn clients(&self) -> Clients {
        Clients::default()
    }
}

/// Nothing.
impl Between for () {}
