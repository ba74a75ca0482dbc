//! The one writer of the output: a line a message.

use std::io;

use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};

/// How many messages wait for the output. Whoever has more waits, so what is kept for a client that does not read stays
/// where it is bounded already.
const QUEUED: usize = 16;

/// A queue to the output: what is put into it is written in that order. The output is flushed whenever nothing waits.
pub(crate) fn queue<O: AsyncWrite + Unpin>(
    mut output: O,
) -> (mpsc::Sender<String>, impl Future<Output = io::Result<()>>) {
    let (sender, mut messages) = mpsc::channel(QUEUED);
    let writing = async move {
        let mut waiting = Vec::new();
        while messages.recv_many(&mut waiting, QUEUED).await > 0 {
            for message in waiting.drain(..) {
                output.write_all(&line(message)).await?;
            }
            output.flush().await?;
        }
        Ok(())
    };
    (sender, writing)
}

/// The message as a line. Line ends can only stand between its tokens, where they mean nothing: within JSON strings they are
/// escaped (RFC 8259, section 7).
fn line(mut message: String) -> Vec<u8> {
    if message.contains(['\n', '\r']) {
        message.retain(|character| !matches!(character, '\n' | '\r'));
    }
    message.push('\n');
    message.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_many_lines_becomes_one() {
        let pretty = "{\r\n  \"jsonrpc\": \"2.0\",\n  \"result\": { \"text\": \"two\\nlines\\r\\n\" },\n  \"id\": 1\n}\n";
        let line = String::from_utf8(line(pretty.to_owned())).unwrap();
        assert_eq!(
            line,
            "{  \"jsonrpc\": \"2.0\",  \"result\": { \"text\": \"two\\nlines\\r\\n\" },  \"id\": 1}\n"
        );
    }

    #[tokio::test]
    async fn messages_are_written_in_order() {
        let mut output = Vec::new();
        let (sender, writing) = queue(&mut output);
        let sending = async move {
            for number in 0..40 {
                sender.send(number.to_string()).await.unwrap();
            }
        };
        let ((), written) = tokio::join!(sending, writing);
        written.unwrap();
        let written = String::from_utf8(output).unwrap();
        assert!(written.lines().map(str::to_owned).eq((0..40).map(|number| number.to_string())), "{written}");
    }
}
