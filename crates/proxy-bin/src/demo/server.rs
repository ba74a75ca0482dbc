//! The MCP server of the demo: a few tools that show what an async transport has to carry.

use std::{fmt, sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use rmcp::{
    ErrorData, Peer, RoleServer, ServerHandler,
    handler::server::wrapper::Parameters,
    model::{
        CallToolResult, ContentBlock, Implementation, ProgressNotificationParam, RequestMetaObject,
        ServerCapabilities, ServerConfig,
    },
    schemars,
    service::ElicitationError,
    tool, tool_handler, tool_router,
};
use serde::Deserialize;

use super::trail::{Stage, Trail};

/// What `picture` returns.
const PICTURE: &[u8] = include_bytes!("picture.png");

/// The longest that `slow` takes.
const LONGEST: u64 = 600;

/// An MCP server as anybody would write one: it knows nothing of queues.
#[derive(Clone)]
pub(super) struct DemoServer {
    trail: Arc<Trail>,
}

/// What `echo` takes.
#[derive(Deserialize, schemars::JsonSchema)]
struct Echo {
    /// What to say again
    text: String,
}

/// What `add` takes.
#[derive(Deserialize, schemars::JsonSchema)]
struct Add {
    /// The first number
    a: f64,
    /// The second number
    b: f64,
}

/// What `slow` takes.
#[derive(Deserialize, schemars::JsonSchema)]
struct Slow {
    /// How long to take: 1 to 600; 5 if left out
    seconds: Option<u64>,
}

/// What `ask` takes.
#[derive(Deserialize, schemars::JsonSchema)]
struct Ask {
    /// What to ask the user; how they are if left out
    question: Option<String>,
}

/// What the user is asked for.
#[derive(Deserialize, schemars::JsonSchema)]
struct Answer {
    /// Your answer
    answer: String,
}

rmcp::elicit_safe!(Answer);

#[tool_router]
impl DemoServer {
    pub(super) fn new(trail: Arc<Trail>) -> Self {
        Self { trail }
    }

    /// Says the text again.
    #[tool(annotations(read_only_hint = true))]
    async fn echo(&self, Parameters(Echo { text }): Parameters<Echo>) -> String {
        self.trail.note(Stage::Started);
        text
    }

    /// Adds two numbers.
    #[tool(annotations(read_only_hint = true))]
    async fn add(&self, Parameters(Add { a, b }): Parameters<Add>) -> String {
        self.trail.note(Stage::Started);
        (a + b).to_string()
    }

    /// Takes its time, and says each second how far it is.
    #[tool(annotations(read_only_hint = true))]
    async fn slow(
        &self,
        Parameters(Slow { seconds }): Parameters<Slow>,
        meta: RequestMetaObject,
        client: Peer<RoleServer>,
    ) -> String {
        let seconds = seconds.unwrap_or(5).clamp(1, LONGEST);
        for second in 1..=seconds {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let Some(token) = meta.get_progress_token() else { continue };
            // Whole seconds of ten minutes at most are exact.
            let [done, total] =
                [second, seconds].map(|seconds| f64::from(u32::try_from(seconds).unwrap_or(u32::MAX)));
            let progress = ProgressNotificationParam::new(token, done).with_total(total);
            let progress = progress.with_message(format!("{second} of {seconds} seconds"));
            if client.notify_progress(progress).await.is_err() {
                break;
            }
        }
        format!("done after {seconds} s")
    }

    /// Asks the user something, in the middle of the call.
    #[tool]
    async fn ask(
        &self,
        Parameters(Ask { question }): Parameters<Ask>,
        client: Peer<RoleServer>,
    ) -> Result<String, ErrorData> {
        let question = question.unwrap_or_else(|| "How are you?".to_owned());
        match client.elicit::<Answer>(question).await {
            Ok(Some(Answer { answer })) => Ok(format!("The user says: {answer}")),
            Ok(None) | Err(ElicitationError::NoContent) => Ok("The user says nothing.".to_owned()),
            Err(ElicitationError::UserDeclined) => Ok("The user does not want to say.".to_owned()),
            Err(ElicitationError::UserCancelled) => Ok("The user closed the question.".to_owned()),
            Err(ElicitationError::CapabilityNotSupported) => {
                Ok("This client cannot ask its user: it did not declare elicitation.".to_owned())
            }
            Err(error) => Err(ErrorData::internal_error(error.to_string(), None)),
        }
    }

    /// Draws the way of a message: client, proxy, queue, worker.
    #[tool(annotations(read_only_hint = true))]
    async fn picture(&self) -> CallToolResult {
        CallToolResult::success(vec![ContentBlock::image(BASE64_STANDARD.encode(PICTURE), "image/png")])
    }
}

#[tool_handler]
impl ServerHandler for DemoServer {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("proxy-bin demo", env!("CARGO_PKG_VERSION")))
            .with_instructions("A small server behind an async transport: echo, add, slow, ask and picture.")
    }
}

impl fmt::Debug for DemoServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DemoServer").finish_non_exhaustive()
    }
}
