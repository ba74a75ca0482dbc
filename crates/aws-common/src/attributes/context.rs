//! The attribute `ProxyContext`, whose format every transport shares.

pub use proxy_core::{ProxyContext, ReplyAddress};
