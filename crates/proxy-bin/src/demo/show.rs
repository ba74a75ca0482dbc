//! What the demo prints of a call.

use std::time::Duration;

use super::trail::Stage;
use crate::colour::{BLUE, CYAN, DIM, GREEN, MAGENTA, PLAIN, YELLOW};

/// The words for what lies between proxy and worker.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    /// For the heading.
    pub(super) transport: &'static str,
    /// What the proxy does with a request.
    sends: &'static str,
    /// How the worker gets it.
    takes: &'static str,
    /// What the worker does with the answer.
    answers: &'static str,
    /// How the proxy gets it.
    receives: &'static str,
    /// The way there, in the picture.
    there: &'static str,
}

impl Words {
    /// Those of a backend, by its canonical name.
    pub(super) fn of(backend: &str) -> Self {
        match backend {
            "sqs" => Self {
                transport: "SQS",
                sends: "puts it into the queue of requests",
                takes: "takes it from the queue, and writes down that it begins",
                answers: "puts the answer into the queue of answers",
                receives: "takes the answer from the queue",
                there: "queue",
            },
            "snssqs" => Self {
                transport: "SNS and SQS",
                sends: "publishes it to the topic of requests",
                takes: "takes it from its queue, and writes down that it begins",
                answers: "publishes the answer to the topic of responses",
                receives: "takes the answer from its queue",
                there: "topic",
            },
            "webhook" => Self {
                transport: "webhooks",
                sends: "POSTs it to the worker",
                takes: "has it, says 200, and writes down that it begins",
                answers: "POSTs the answer to the proxy's callback URL",
                receives: "has the answer",
                there: "POST",
            },
            _ => Self {
                transport: "Streamable HTTP with webhooks",
                sends: "POSTs it to the worker",
                takes: "has it, and writes down that it begins",
                answers: "sends the answer",
                receives: "has the answer",
                there: "POST",
            },
        }
    }

    /// What is where, in a picture.
    pub(super) fn picture(self) -> String {
        let there = self.there;
        format!(
            "  {BLUE}client{PLAIN} ──HTTP──▶ {GREEN}proxy{PLAIN} ──{there}──▶ {YELLOW}worker{PLAIN} ──pipe──▶ {MAGENTA}MCP server{PLAIN}\n\
             {DIM}         ◀──────         ◀──────{bar}          ◀──────{PLAIN}",
            bar = "─".repeat(there.len().saturating_sub(4)),
        )
    }

    /// A line for each place that a call came by, with when it was there.
    pub(super) fn way(self, trail: &[(Stage, Duration)]) -> Vec<String> {
        let mut before = Duration::ZERO;
        let mut lines = Vec::new();
        for (stage, at) in trail {
            let (colour, who, what) = self.line(*stage);
            let (at_text, since) = (milliseconds(*at), milliseconds(at.saturating_sub(before)));
            lines.push(format!(
                "  {CYAN}{at_text:>8} ms{PLAIN} {DIM}{:>9}{PLAIN}  {colour}{who:<6}{PLAIN}  {what}",
                format!("+{since}")
            ));
            before = *at;
        }
        lines
    }

    fn line(self, stage: Stage) -> (&'static str, &'static str, &'static str) {
        match stage {
            Stage::Asked => (BLUE, "client", "asks the proxy, over HTTP"),
            Stage::Sent => (GREEN, "proxy", self.sends),
            Stage::Taken => (YELLOW, "worker", self.takes),
            Stage::Started => (MAGENTA, "server", "runs the tool"),
            Stage::Answered => (YELLOW, "worker", self.answers),
            Stage::Received => (GREEN, "proxy", self.receives),
            Stage::Done => (BLUE, "client", "has the answer"),
        }
    }
}

fn milliseconds(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_has_its_time_and_the_time_since_the_one_before() {
        let trail = [
            (Stage::Asked, Duration::ZERO),
            (Stage::Sent, Duration::from_micros(1500)),
            (Stage::Done, Duration::from_millis(4)),
        ];
        let lines = Words::of("sqs").way(&trail);
        assert!(lines[1].contains("1.5 ms") && lines[1].contains("puts it into the queue"), "{lines:?}");
        assert!(lines[2].contains("4.0 ms") && lines[2].contains("+2.5"), "{lines:?}");
    }
}
