//! Every member of `params` and `result` that the proxy ever reads. Nothing else in a message's payload is opened.
//!
//! A member that stands twice in one object makes the message invalid: two readers would take different ones.
//!
//! Of `initialize`, at the worker's side, its intake reads and takes out where answers go, which asyncmcp's clients write into the
//! message: `response_queue_url`, `client_topic_arn`, `_meta.responseQueueUrl`, `_meta.clientTopicArn`, `_meta.webhookUrl`
//! ([`Request::param_text`], [`Request::meta_text`]).

use std::borrow::Cow;

use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use super::{Notification, ProgressToken, Request, RequestId, Response, Span, members::Members, parse};
use crate::version::ProtocolVersion;

/// The parameters are not what the method's definition says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the parameters do not fit the method")]
pub struct InvalidParams;

/// What a client declared that it can be asked for (2025-11-25, basic/lifecycle, capability negotiation).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a capability of its own in the specification")]
pub struct ClientCapabilities {
    /// `sampling/createMessage`.
    pub sampling: bool,
    /// `roots/list`.
    pub roots: bool,
    /// `elicitation/create` by form; an empty `elicitation` object means this.
    pub elicitation_form: bool,
    /// `elicitation/create` by URL.
    pub elicitation_url: bool,
}

impl ClientCapabilities {
    /// Whether the client may be sent this request of the server's. Methods that no capability governs may pass.
    pub(crate) fn allow(self, request: &Request) -> bool {
        match request.method() {
            "sampling/createMessage" => self.sampling,
            "roots/list" => self.roots,
            "elicitation/create" if elicitation_is_by_url(request) => self.elicitation_url,
            "elicitation/create" => self.elicitation_form,
            _ => true,
        }
    }
}

/// What is read of the parameters of `initialize`.
#[derive(Debug)]
pub(crate) struct InitializeParams {
    /// The revision that the client asks for and where it stands, to be replaced where it is none of the legacy era.
    pub(crate) version: (Option<ProtocolVersion>, Span),
    pub(crate) capabilities: ClientCapabilities,
}

#[derive(Deserialize)]
struct Meta<'text> {
    #[serde(borrow, rename = "progressToken")]
    progress_token: Option<&'text RawValue>,
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    modern_version: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Params<'text> {
    #[serde(borrow, rename = "_meta")]
    meta: Option<&'text RawValue>,
    #[serde(borrow)]
    name: Option<&'text RawValue>,
    #[serde(borrow)]
    mode: Option<&'text RawValue>,
    task: Option<IgnoredAny>,
    #[serde(borrow, rename = "requestId")]
    request_id: Option<&'text RawValue>,
    #[serde(borrow, rename = "progressToken")]
    progress_token: Option<&'text RawValue>,
    #[serde(borrow, rename = "protocolVersion")]
    protocol_version: Option<&'text RawValue>,
    #[serde(borrow)]
    capabilities: Option<&'text RawValue>,
}

/// What is read of every request's parameters.
#[derive(Debug, Clone, Default)]
pub(super) struct Peeked {
    /// The progress token, and where it stands.
    pub(super) token: Option<(ProgressToken, Span)>,
    /// The name of the tool that a `tools/call` calls.
    pub(super) tool: Option<Box<str>>,
    /// Whether `_meta` names a protocol version.
    pub(super) claims_modern_era: bool,
    /// Whether it asks to be run as a task.
    pub(super) is_task: bool,
}

impl Peeked {
    pub(super) fn at(text: &str, method: &str, span: Option<&Span>) -> Result<Self, InvalidParams> {
        let Some(params) = params(text, span)? else { return Ok(Self::default()) };
        let meta = params.meta.map(read_meta).transpose()?;
        let token = meta.as_ref().and_then(|meta| meta.progress_token).map(|raw| {
            let token = ProgressToken::from_json(raw.get()).ok_or(InvalidParams)?;
            Ok((token, parse::span(text, raw.get())))
        });
        let tool = params.name.filter(|_| method == "tools/call");
        Ok(Self {
            token: token.transpose()?,
            tool: tool.and_then(|name| serde_json::from_str(name.get()).ok()),
            claims_modern_era: meta.is_some_and(|meta| meta.modern_version.is_some()),
            is_task: params.task.is_some(),
        })
    }
}

impl Request {
    /// Whether the request claims the modern era: `_meta` names a protocol version, or the method is `server/discover`.
    pub fn claims_modern_era(&self) -> bool {
        self.method() == "server/discover"
            || self.peeked.as_ref().is_ok_and(|peeked| peeked.claims_modern_era)
    }

    /// The progress token that it carries.
    pub fn progress_token(&self) -> Result<Option<&ProgressToken>, InvalidParams> {
        let peeked = self.peeked.as_ref().map_err(|invalid| *invalid)?;
        Ok(peeked.token.as_ref().map(|(token, _)| token))
    }

    /// The text of `params.{key}`, where that is a string. `None` for one that stands twice. Only for the members that this
    /// module's documentation names.
    pub fn param_text(&self, key: &str) -> Option<String> {
        Members::at(&self.text, self.params.as_ref()?)?.text_of(key)
    }

    /// The text of `params._meta.{key}`, where that is a string. `None` for one that stands twice. Only for the members that this
    /// module's documentation names.
    pub fn meta_text(&self, key: &str) -> Option<String> {
        let meta = meta_span(&self.text, self.params.as_ref()).ok()??;
        Members::at(&self.text, &meta)?.text_of(key)
    }

    /// The name of the tool that a `tools/call` calls.
    pub fn tool_name(&self) -> Option<&str> {
        self.peeked.as_ref().ok()?.tool.as_deref()
    }

    /// Whether it asks to be run as a task (2025-11-25, basic/utilities/tasks, task-augmented requests).
    pub(crate) fn is_task(&self) -> bool {
        self.peeked.as_ref().is_ok_and(|peeked| peeked.is_task)
    }

    /// The revision that an `initialize` asks for: the newest of this era where the one that it names is not known here.
    pub fn requested_version(&self) -> ProtocolVersion {
        self.initialize_params().ok().and_then(|asked| asked.version.0).unwrap_or(ProtocolVersion::LATEST)
    }

    pub(crate) fn initialize_params(&self) -> Result<InitializeParams, InvalidParams> {
        let params = params(&self.text, self.params.as_ref())?.ok_or(InvalidParams)?;
        let version = params.protocol_version.ok_or(InvalidParams)?.get();
        let date: Cow<'_, str> = serde_json::from_str(version).map_err(|_| InvalidParams)?;
        Ok(InitializeParams {
            version: (ProtocolVersion::parse(&date), parse::span(&self.text, version)),
            capabilities: params
                .capabilities
                .map(|raw| capabilities(raw.get()))
                .transpose()?
                .unwrap_or_default(),
        })
    }
}

impl Notification {
    /// Whether the notification claims the modern era in its `_meta`.
    pub fn claims_modern_era(&self) -> bool {
        let params = params(&self.text, self.params.as_ref()).ok().flatten();
        let meta = params.and_then(|params| params.meta).and_then(|meta| read_meta(meta).ok());
        meta.is_some_and(|meta| meta.modern_version.is_some())
    }

    /// The id of the request that a `notifications/cancelled` names.
    pub fn cancelled_id(&self) -> Option<RequestId> {
        let names = self.method() == "notifications/cancelled";
        names.then(|| self.cancelled_request().ok()).flatten().map(|(id, _)| id)
    }

    /// The request that a `notifications/cancelled` names, and where.
    pub(crate) fn cancelled_request(&self) -> Result<(RequestId, Span), InvalidParams> {
        let params = params(&self.text, self.params.as_ref())?.ok_or(InvalidParams)?;
        let id = params.request_id.ok_or(InvalidParams)?.get();
        Ok((RequestId::from_json(id).ok_or(InvalidParams)?, parse::span(&self.text, id)))
    }

    /// The token of a `notifications/progress`, and where it stands.
    pub(crate) fn progress(&self) -> Result<(ProgressToken, Span), InvalidParams> {
        let params = params(&self.text, self.params.as_ref())?.ok_or(InvalidParams)?;
        let token = params.progress_token.ok_or(InvalidParams)?.get();
        Ok((ProgressToken::from_json(token).ok_or(InvalidParams)?, parse::span(&self.text, token)))
    }
}

impl Response {
    /// The revision in the result of `initialize`.
    pub(crate) fn negotiated_version(&self) -> Option<ProtocolVersion> {
        let params: Params<'_> = serde_json::from_str(self.result()?).ok()?;
        let date: Cow<'_, str> = serde_json::from_str(params.protocol_version?.get()).ok()?;
        ProtocolVersion::parse(&date)
    }
}

/// Where `params._meta` stands.
pub(super) fn meta_span(text: &str, span: Option<&Span>) -> Result<Option<Span>, InvalidParams> {
    let meta = params(text, span)?.and_then(|params| params.meta);
    Ok(meta.map(|meta| parse::span(text, meta.get())))
}

fn elicitation_is_by_url(request: &Request) -> bool {
    params(&request.text, request.params.as_ref())
        .ok()
        .flatten()
        .and_then(|params| params.mode)
        .is_some_and(|mode| serde_json::from_str::<Cow<'_, str>>(mode.get()).is_ok_and(|mode| mode == "url"))
}

fn capabilities(text: &str) -> Result<ClientCapabilities, InvalidParams> {
    #[derive(Deserialize)]
    struct Declared {
        sampling: Option<IgnoredAny>,
        roots: Option<IgnoredAny>,
        elicitation: Option<Elicitation>,
    }
    #[derive(Deserialize)]
    struct Elicitation {
        form: Option<IgnoredAny>,
        url: Option<IgnoredAny>,
    }
    let declared: Declared = serde_json::from_str(text).map_err(|_| InvalidParams)?;
    let elicitation = declared.elicitation;
    Ok(ClientCapabilities {
        sampling: declared.sampling.is_some(),
        roots: declared.roots.is_some(),
        elicitation_form: elicitation
            .as_ref()
            .is_some_and(|modes| modes.form.is_some() || modes.url.is_none()),
        elicitation_url: elicitation.is_some_and(|modes| modes.url.is_some()),
    })
}

fn params<'text>(text: &'text str, span: Option<&Span>) -> Result<Option<Params<'text>>, InvalidParams> {
    let Some(params) = span.and_then(|span| text.get(span.clone())) else { return Ok(None) };
    if params.starts_with('[') {
        return Ok(None);
    }
    serde_json::from_str(params).map(Some).map_err(|_| InvalidParams)
}

fn read_meta(raw: &RawValue) -> Result<Meta<'_>, InvalidParams> {
    serde_json::from_str(raw.get()).map_err(|_| InvalidParams)
}
