//! One story, told over several kinds of backends.

/// Makes a test of each `async fn(Kind) -> Result<()>` for each kind: `stories! { a_story: sqs, webhook; another: all; }`, where
/// `all` are the four backends in front of asyncmcp.
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
}
