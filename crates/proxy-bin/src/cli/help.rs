//! What `--help` says after the options: examples, and what a table of options cannot say.

pub(super) const AFTER_HELP: &str = "\
Examples:
  proxy-bin serve --config proxy.toml
  proxy-bin serve --set backend.sqs.read_queue_url=$QUEUE_URL
  proxy-bin stdio --config proxy.toml
  proxy-bin worker --backend sqs --queue $QUEUE_URL -- uvx mcp-server-fetch
  proxy-bin config check --config proxy.toml
  proxy-bin provision --config proxy.toml --dry-run
  proxy-bin doctor --config proxy.toml

Logs go to standard error; RUST_LOG sets their level (RUST_LOG=debug, say).
Exit codes: 0 ended cleanly, 1 failed, 2 wrong usage or configuration.";

pub(super) const AFTER_SERVE_HELP: &str = "\
Examples:
  proxy-bin serve --config proxy.toml
  proxy-bin serve --config proxy.toml --port 9090 --set session.sse_after=1s
  MCP_PROXY_BACKEND__SQS__READ_QUEUE_URL=$QUEUE_URL proxy-bin serve

Settings: defaults < file < variables (MCP_PROXY_SERVER__PORT=9090) < flags.
`proxy-bin config show` prints all of them.
SIGTERM or Ctrl-C lets requests in flight finish; a second one ends the process at once.";

pub(super) const AFTER_STDIO_HELP: &str = "\
What desktop clients and editors start: one client, MCP on standard input and output, logs on standard error.
The end of the input ends the process. So does, with exit code 1, the loss of the session with the server, \
since a new connection is what a client initializes again.

Examples:
  proxy-bin stdio --config proxy.toml
  claude mcp add search -- proxy-bin stdio --config /etc/mcp/proxy.toml

For Claude Desktop, in claude_desktop_config.json:
  { \"mcpServers\": { \"search\": {
      \"command\": \"proxy-bin\",
      \"args\": [\"stdio\", \"--config\", \"/etc/mcp/proxy.toml\"] } } }";

pub(super) const AFTER_WORKER_HELP: &str = "\
Any MCP server, unchanged, behind an async transport: a command that speaks MCP at its standard input and output, which is \
started once a session, or a Streamable HTTP server. Clients reach it through proxy-bin serve, or with asyncmcp's own.
A call runs at most once; the worker writes it down in its ledger before it runs.

Examples:
  proxy-bin worker --backend sqs --queue $QUEUE_URL -- uvx mcp-server-fetch
  proxy-bin worker --backend sqs --queue $QUEUE_URL --pass-env GITHUB_TOKEN -- \\
    npx -y @modelcontextprotocol/server-everything
  proxy-bin worker --backend webhook --upstream http://127.0.0.1:3000/mcp
  proxy-bin worker --config worker.toml --admin 127.0.0.1:9090

Of the environment, a command gets HOME, LOGNAME, PATH, SHELL, TERM, USER and what --env and --pass-env name.
`proxy-bin doctor --worker` checks the whole of it. Settings come as for serve (MCP_PROXY_WORKER__SOLE=true).
SIGTERM or Ctrl-C lets calls that run finish; a second one ends the process at once.";

#[cfg(feature = "demo")]
pub(super) const AFTER_DEMO_HELP: &str = "\
Needs no account, no network and nothing installed. It shows one call as it travels, and what to paste into MCP clients to try it \
with, and runs until Ctrl-C.

Examples:
  proxy-bin demo
  proxy-bin demo --backend webhook --port 9000
  proxy-bin demo --once";

pub(super) const AFTER_PROVISION_HELP: &str = "\
Does what is missing and nothing twice, says what it did, and prints the IAM policies that proxy and server, or the worker, need.
Exit code 0 if all of it is done.

--json prints { dry_run, steps: [{ change, kind, name, detail }], policies: [{ principal, document }], error };
change is created, updated, deleted, unchanged, absent or \"by hand\".

Examples:
  proxy-bin provision --config proxy.toml --dry-run
  proxy-bin provision --config proxy.toml
  proxy-bin provision --config proxy.toml --destroy --yes
  proxy-bin provision --config worker.toml --worker --dry-run";

pub(super) const AFTER_DOCTOR_HELP: &str = "\
Checks the configuration, what the backend needs, and then opens a session with the MCP server as a client would.
A line for each check, with the remedy where something is wrong. Exit code 0 only if nothing failed; warnings do not count.
Beside a proxy that runs it takes no answer away, though one may come some seconds later.
Of a worker (--worker, or a file without a backend) it checks where requests come in, where answers may go, the ledger, and the \
MCP server itself, which it starts for that.

--json prints { ok, checks: [{ subject, verdict, what, remedy }] }; verdict is ok, warning, failed or skipped.

Examples:
  proxy-bin doctor --config proxy.toml
  proxy-bin doctor --config worker.toml --worker
  proxy-bin doctor --config proxy.toml --json |
    jq '.checks[] | select(.verdict != \"ok\")'";

pub(super) const AFTER_CHECK_HELP: &str = "\
Prints every problem: where it is, what is wrong, what to write instead. Exit code 1 if there is one. Calls no service.

Example:
  proxy-bin config check --config proxy.toml";

pub(super) const AFTER_SHOW_HELP: &str = "\
Prints every setting in force and where it comes from, secrets masked.

Examples:
  proxy-bin config show --config proxy.toml
  proxy-bin config show --config proxy.toml --json | jq '.[\"server.port\"]'";

pub(super) const AFTER_SCHEMA_HELP: &str = "\
An editor that knows TOML (Taplo, Even Better TOML) completes and checks a configuration file whose first line is
  #:schema ./config.schema.json

Example:
  proxy-bin config schema > config.schema.json";

pub(super) const AFTER_REFERENCE_HELP: &str = "\
Example:
  proxy-bin config reference | less";

pub(super) const AFTER_COMPLETIONS_HELP: &str = "\
Examples:
  proxy-bin completions bash > /etc/bash_completion.d/proxy-bin
  proxy-bin completions zsh > ~/.zfunc/_proxy-bin
  proxy-bin completions fish > ~/.config/fish/completions/proxy-bin.fish";
