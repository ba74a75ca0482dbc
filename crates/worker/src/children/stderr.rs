//! What a server writes to its standard error: it goes to the log, and its last line is kept.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use proxy_core::{
    id::RouteKey,
    lines::{Line, Lines},
};
use tokio::{io::AsyncRead, task::JoinSet, time::timeout};

/// The longest line that is looked at, in bytes.
const LONGEST_LINE: usize = 16 << 10;

/// How much of a line is kept and logged, in characters.
const KEPT: usize = 500;

/// How long the last line may take to come once the server has ended. What it started may hold the pipe open for ever.
const LAST_WORDS_TIME: Duration = Duration::from_millis(200);

/// One server's standard error.
#[derive(Debug)]
pub(super) struct Stderr {
    last: Arc<Mutex<Option<String>>>,
    reading: JoinSet<()>,
}

impl Stderr {
    /// Begins to read.
    pub(super) fn read(pipe: impl AsyncRead + Send + Unpin + 'static, route: RouteKey) -> Self {
        let last = Arc::new(Mutex::new(None));
        let mut reading = JoinSet::new();
        reading.spawn(log(pipe, route, Arc::clone(&last)));
        Self { last, reading }
    }

    /// The last line that was not empty.
    pub(super) async fn last_line(&mut self) -> Option<String> {
        // whatever has come by then is what there is
        drop(timeout(LAST_WORDS_TIME, self.reading.join_next()).await);
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn log(pipe: impl AsyncRead + Unpin, route: RouteKey, last: Arc<Mutex<Option<String>>>) {
    let mut lines = Lines::new(pipe, LONGEST_LINE);
    loop {
        let line = match lines.next().await {
            Ok(Some(Line::Whole(line))) => plain(&String::from_utf8_lossy(&line)),
            Ok(Some(Line::TooLong(_))) => "(a very long line)".to_owned(),
            Ok(None) | Err(_) => return,
        };
        if line.is_empty() {
            continue;
        }
        tracing::info!(?route, line, "a server wrote to its standard error");
        *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(line);
    }
}

/// A line as it can be shown anywhere: without escape sequences and control characters, and not too long.
fn plain(line: &str) -> String {
    let mut shown = String::new();
    let mut characters = line.trim().chars().peekable();
    let mut count = 0;
    while let Some(character) = characters.next() {
        if character == '\u{1b}' && characters.next_if_eq(&'[').is_some() {
            // a control sequence ends with a letter or its like (ECMA-48, section 5.4)
            while characters.next().is_some_and(|within| !('@'..='~').contains(&within)) {}
            continue;
        }
        if count == KEPT {
            shown.push('…');
            break;
        }
        count += 1;
        shown.push(if is_invisible(character) { ' ' } else { character });
    }
    shown.trim().to_owned()
}

/// Whether it would change how the text around it is shown.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proxy_core::id::InstanceId;

    use super::*;

    #[test]
    fn a_line_is_made_harmless() {
        for (line, shown) in [
            ("\u{1b}[1;31mError:\u{1b}[0m no\tkey\r", "Error: no key"),
            ("a\u{7}b\u{202e}c\u{1b}", "a b c"),
            ("\u{1b}[", ""),
            ("größer", "größer"),
        ] {
            assert_eq!(plain(line), shown);
        }
        assert_eq!(plain(&"x".repeat(501)), "x".repeat(500) + "…");
    }

    #[tokio::test]
    async fn the_last_line_that_says_something_is_kept() {
        let route = RouteKey::random(&InstanceId::random());
        let mut stderr = Stderr::read(&b"first\nlast\n\n  \n"[..], route);
        assert_eq!(stderr.last_line().await.as_deref(), Some("last"));
    }
}
