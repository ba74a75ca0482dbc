//! Who a client proved to be.

use std::sync::Arc;

/// Who a client proved to be. A session is bound to the principal that made it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Principal {
    /// Nobody in particular: no authentication is configured.
    Anonymous,
    /// The name that the operator gave to a credential.
    Named(Arc<str>),
}
