//! What lies between the proxy and the worker of the demo, and the settings of both.

use std::{io, net::SocketAddr, path::Path, sync::Arc};

use testkit::emulator::Emulator;

use crate::backends::Clients;

/// A key and its value.
pub(super) type Setting = (String, String);

/// What any emulator takes.
pub(super) const CREDENTIALS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "demo"), ("AWS_SECRET_ACCESS_KEY", "demo")];

/// The region of the emulator.
const REGION: &str = "us-east-1";

/// What lies between the two ends.
#[derive(Debug, Default)]
pub(super) struct Scene {
    /// For people: what there is, and where.
    pub(super) between: Vec<(&'static str, String)>,
    /// Of any proxy, one that a desktop client starts too.
    pub(super) proxy: Vec<Setting>,
    /// Of the demo's own proxy besides.
    pub(super) serving: Vec<Setting>,
    /// Of the worker.
    pub(super) worker: Vec<Setting>,
    /// The emulator, where there is a cloud between.
    pub(super) emulator: Option<Arc<Emulator>>,
}

impl Scene {
    /// Sets up what this backend, by its canonical name, needs. The far end gets this address: the emulator where there is one, else
    /// the worker.
    pub(super) async fn set(backend: &str, address: SocketAddr, ledger: &Path) -> anyhow::Result<Self> {
        let mut scene = Self::default();
        scene.for_worker("ledger", ledger.display().to_string(), "worker");
        // A queue of its own, which nobody else would need, is one that can only be used a second after it was made.
        scene.for_worker("sole", "true".to_owned(), "worker");
        // The demo starts its own server; some command has to be there.
        scene.for_worker("command", r#"["demo"]"#.to_owned(), "worker.server");
        match backend {
            "sqs" => scene.queues(address).await?,
            "snssqs" => scene.topics(address).await?,
            "webhook" => {
                scene.posts("webhook", address, "/mcp/request");
                scene.between.push((
                    "HTTP",
                    format!("requests to http://{address}/mcp/request, answers to the proxy's callback URL"),
                ));
            }
            _ => {
                scene.posts("streamable_http_webhook", address, "/mcp");
                scene
                    .between
                    .push(("HTTP", format!("requests to http://{address}/mcp, answers in the response")));
                scene.for_proxy("webhook_url", String::new(), "backend.streamable_http_webhook");
            }
        }
        Ok(scene)
    }

    /// The clients of AWS's services that both ends use.
    pub(super) fn clients(&self) -> Clients {
        Clients::of(self.emulator.clone())
    }

    /// A queue of requests, and one of answers for the demo's own proxy.
    async fn queues(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let emulator = self.emulate(address, "SQS", "sqs").await?;
        let requests = emulator.create_queue("requests", &[])?;
        let answers = emulator.create_queue("answers", &[])?;
        self.between.push(("queues", format!("requests in {requests}")));
        self.between.push(("", format!("answers in {answers}")));
        self.for_proxy("read_queue_url", requests.clone(), "backend.sqs");
        self.serving.push(("backend.sqs.response_queue_url".to_owned(), answers));
        self.for_worker("queue_url", requests, "intake.sqs");
        Ok(())
    }

    /// Two topics, and the worker's queue. The proxy makes its own.
    async fn topics(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let emulator = self.emulate(address, "SNS and SQS", "snssqs").await?;
        let queue = emulator.create_queue("requests", &[])?;
        let requests = emulator.create_topic("requests", &[])?;
        let responses = emulator.create_topic("responses", &[])?;
        emulator.let_send(&[&requests], &queue)?;
        emulator.subscribe(&requests, &queue, false, None)?;
        self.between.push(("topics", format!("{requests}, to which {queue} is subscribed")));
        self.between.push(("", format!("{responses}, to which the proxy's own queue is")));
        self.for_proxy("sns_topic_arn", requests, "backend.snssqs");
        self.for_proxy("response_topic_arn", responses, "backend.snssqs");
        self.for_worker("queue_url", queue, "intake.snssqs");
        Ok(())
    }

    /// The worker's address, and any port of the proxy's for callbacks.
    fn posts(&mut self, table: &str, address: SocketAddr, path: &str) {
        self.for_proxy("server_url", format!("http://{address}{path}"), &format!("backend.{table}"));
        self.for_proxy("listen", "127.0.0.1:0".to_owned(), &format!("backend.{table}"));
        self.for_worker("listen", address.to_string(), &format!("intake.{table}"));
        self.for_worker("path", path.to_owned(), &format!("intake.{table}"));
    }

    async fn emulate(
        &mut self,
        address: SocketAddr,
        what: &str,
        table: &str,
    ) -> anyhow::Result<Arc<Emulator>> {
        let emulator = Emulator::bind(address).await.map_err(|error| taken(error, address))?;
        let endpoint = emulator.endpoint_url();
        for (key, value) in [("endpoint_url", endpoint.as_str()), ("region", REGION)] {
            self.for_proxy(key, value.to_owned(), &format!("backend.{table}"));
            self.for_worker(key, value.to_owned(), &format!("intake.{table}"));
        }
        self.between.push(("emulator", format!("{what} at {endpoint}, in memory")));
        let emulator = Arc::new(emulator);
        self.emulator = Some(Arc::clone(&emulator));
        Ok(emulator)
    }

    fn for_proxy(&mut self, key: &str, value: String, table: &str) {
        self.proxy.push((format!("{table}.{key}"), value));
    }

    fn for_worker(&mut self, key: &str, value: String, table: &str) {
        self.worker.push((format!("{table}.{key}"), value));
    }
}

/// Why an address cannot be listened on, with the remedy.
pub(super) fn taken(error: io::Error, address: SocketAddr) -> anyhow::Error {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program has it; choose other ports with --port N, or any with --port 0"
        }
        _ => "choose another port with --port N, or any with --port 0",
    };
    anyhow::Error::new(error).context(format!("cannot listen on {address}: {remedy}"))
}
