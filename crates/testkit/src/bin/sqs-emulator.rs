//! The emulator of SQS and SNS as a program, for the demo and for trying things out.

use std::collections::BTreeMap;
use std::{net::SocketAddr, process::ExitCode, str::FromStr};

use clap::Parser;
use testkit::emulator::{Emulator, ServiceError};

/// An emulator of SQS and SNS in one process: it keeps nothing, takes any credentials, and listens until it is stopped.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  sqs-emulator --listen 127.0.0.1:4566 --queue requests --queue responses
  sqs-emulator --queue requests --topic requests --subscribe requests=requests")]
struct Arguments {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:4566")]
    listen: SocketAddr,
    /// A queue to create, a FIFO queue if the name ends in .fifo. Its URL is printed, one a line.
    #[arg(long = "queue", value_name = "NAME")]
    queues: Vec<String>,
    /// A topic to create, a FIFO topic if the name ends in .fifo. Its ARN is printed after the queues' URLs.
    #[arg(long = "topic", value_name = "NAME")]
    topics: Vec<String>,
    /// A queue to subscribe to a topic, both created here; the queue's policy lets the topic send. Delivery is in
    /// envelopes. The subscription's ARN is printed after the topics'.
    #[arg(long = "subscribe", value_name = "TOPIC=QUEUE")]
    subscriptions: Vec<Pair>,
}

/// A topic and the queue that is subscribed to it.
#[derive(Clone, Debug)]
struct Pair {
    topic: String,
    queue: String,
}

impl FromStr for Pair {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (topic, queue) = text.split_once('=').ok_or("a topic's name, =, and a queue's name")?;
        Ok(Self { topic: topic.to_owned(), queue: queue.to_owned() })
    }
}

#[tokio::main]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what a program prints on")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let emulator = match Emulator::bind(arguments.listen).await {
        Ok(emulator) => emulator,
        Err(error) => {
            eprintln!("cannot listen on {}: {error}: choose another address with --listen", arguments.listen);
            return ExitCode::FAILURE;
        }
    };
    match set_up(&emulator, &arguments) {
        Ok(lines) => lines.iter().for_each(|line| println!("{line}")),
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::FAILURE;
        }
    }
    println!("ready");
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
    ExitCode::SUCCESS
}

/// Creates what the arguments ask for; the queues' URLs, the topics' ARNs, the subscriptions' ARNs, or what was refused.
fn set_up(emulator: &Emulator, arguments: &Arguments) -> Result<Vec<String>, String> {
    let (mut queues, mut topics) = (BTreeMap::new(), BTreeMap::new());
    let mut lines = Vec::new();
    for name in &arguments.queues {
        let created = emulator.create_queue(name, &fifo(name, "FifoQueue"));
        let url = created.map_err(|error| format!("cannot create the queue {name}: {error}"))?;
        queues.insert(name, url.clone());
        lines.push(url);
    }
    for name in &arguments.topics {
        let created = emulator.create_topic(name, &fifo(name, "FifoTopic"));
        let arn = created.map_err(|error| format!("cannot create the topic {name}: {error}"))?;
        topics.insert(name, arn.clone());
        lines.push(arn);
    }
    let mut senders: BTreeMap<&String, Vec<&str>> = BTreeMap::new();
    for Pair { topic, queue } in &arguments.subscriptions {
        let arn = topics.get(topic).ok_or_else(|| format!("--topic {topic} is missing"))?;
        let url = queues.get(queue).ok_or_else(|| format!("--queue {queue} is missing"))?;
        let refused =
            |error: ServiceError| format!("cannot subscribe the queue {queue} to the topic {topic}: {error}");
        let senders = senders.entry(queue).or_default();
        senders.push(arn);
        emulator.let_send(senders, url).map_err(refused)?;
        lines.push(emulator.subscribe(arn, url, false, None).map_err(refused)?);
    }
    Ok(lines)
}

/// What the attribute is for a queue or topic of that name: set if it ends in `.fifo`.
fn fifo<'a>(name: &str, attribute: &'a str) -> Vec<(&'a str, &'a str)> {
    name.strip_suffix(".fifo").map(|_| (attribute, "true")).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_asked_for_is_created_and_printed() {
        let emulator = Emulator::start().await.unwrap();
        let arguments = Arguments::parse_from([
            "sqs-emulator",
            "--queue",
            "q",
            "--topic",
            "a.fifo",
            "--topic",
            "b",
            "--subscribe",
            "a.fifo=q",
            "--subscribe",
            "b=q",
        ]);
        let lines = set_up(&emulator, &arguments).unwrap();
        assert_eq!(lines.len(), 5);
        assert_eq!(lines[0], emulator.queue_url("q"));
        assert_eq!(lines[2], "arn:aws:sns:us-east-1:000000000000:b");
        assert!(lines[4].starts_with(&format!("{}:", lines[2])), "{lines:?}");
        for (number, arn) in lines[1..3].iter().enumerate() {
            let publish = emulator.sns_client().publish().topic_arn(arn).message("m");
            let group = Some("g".to_owned()).filter(|_| number == 0);
            publish
                .set_message_group_id(group.clone())
                .set_message_deduplication_id(group)
                .send()
                .await
                .unwrap();
        }
        assert_eq!(emulator.depth("q").unwrap().visible, 2);
        let missing = Arguments::parse_from(["sqs-emulator", "--subscribe", "c=q"]);
        assert_eq!(set_up(&emulator, &missing).unwrap_err(), "--topic c is missing");
    }
}
