//! One story, told over several kinds of backends.

/// Makes a test of each `async fn(Kind) -> Result<()>` for each kind: `stories! { a_story: sqs, webhook; another: all; }`, where
/// `all` are the four backends in front of asyncmcp, `worker` the four in front of our worker around a child process, `worker_http` around
/// a server that is reached over HTTP.
#[macro_export]
macro_rules! stories {
    ($($story:ident: $($kind:ident),+;)+) => {
        $(mod $story { $($crate::story!($story $kind);)+ })+
    };
}

/// One test of [`stories!`].
#[doc(hidden)]
#[macro_export]
macro_rules! story {
    ($story:ident all) => {
        $crate::story!($story sqs);
        $crate::story!($story snssqs);
        $crate::story!($story webhook);
        $crate::story!($story streamable_http_webhook);
    };
    ($story:ident worker) => {
        $crate::story!($story worker_sqs);
        $crate::story!($story worker_snssqs);
        $crate::story!($story worker_webhook);
        $crate::story!($story worker_streamable_http_webhook);
    };
    ($story:ident worker_http) => {
        $crate::story!($story worker_http_sqs Sqs Http);
        $crate::story!($story worker_http_snssqs SnsSqs Http);
        $crate::story!($story worker_http_webhook Webhook Http);
        $crate::story!($story worker_http_streamable_http_webhook StreamableHttpWebhook Http);
    };
    ($story:ident worker_sqs) => { $crate::story!($story worker_sqs Sqs Stdio); };
    ($story:ident worker_snssqs) => { $crate::story!($story worker_snssqs SnsSqs Stdio); };
    ($story:ident worker_webhook) => { $crate::story!($story worker_webhook Webhook Stdio); };
    ($story:ident worker_streamable_http_webhook) => {
        $crate::story!($story worker_streamable_http_webhook StreamableHttpWebhook Stdio);
    };
    ($story:ident worker_http_sqs) => { $crate::story!($story worker_http_sqs Sqs Http); };
    ($story:ident sqs) => { $crate::story!($story sqs Sqs); };
    ($story:ident snssqs) => { $crate::story!($story snssqs SnsSqs); };
    ($story:ident webhook) => { $crate::story!($story webhook Webhook); };
    ($story:ident streamable_http_webhook) => {
        $crate::story!($story streamable_http_webhook StreamableHttpWebhook);
    };
    ($story:ident streamable_http) => { $crate::story!($story streamable_http StreamableHttp); };
    ($story:ident $name:ident $kind:ident) => {
        #[tokio::test]
        async fn $name() -> anyhow::Result<()> {
            super::$story($crate::kind::Kind::$kind).await
        }
    };
    ($story:ident $name:ident $transport:ident $reached:ident) => {
        #[tokio::test]
        async fn $name() -> anyhow::Result<()> {
            use $crate::kind::{Kind, Reached, Transport};
            super::$story(Kind::Worker(Transport::$transport, Reached::$reached)).await
        }
    };
}
