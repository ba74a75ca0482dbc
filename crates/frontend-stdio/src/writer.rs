//! The one writer of the output: a line a message.

use std::io;

use proxy_core::lines::framed;
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
                output.write_all(&framed(message)).await?;
            }
            output.flush().await?;
        }
        Ok(())
    };
    (sender, writing)
}

#[cfg(test)]
mod tests {
    use super::*;

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
