//! A process that is killed while it writes its ledger: what it was told is written stays written.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use proxy_core::{id::RemoteSession, message::RequestId};
use worker::{Begun, CallKey, EntryState, Ledger};

/// The variable that makes [`holder`] the process that is killed.
const LEDGER: &str = "MCP_TEST_LEDGER";

fn key(id: i64) -> CallKey {
    CallKey::new(&RemoteSession::parse("s").unwrap(), &RequestId::number(id))
}

/// In a process of its own, begins calls and says so, answers every third and says so, until it is killed. A test like any other
/// where it is not asked to.
#[tokio::test]
async fn holder() {
    let Some(path) = std::env::var_os(LEDGER) else { return };
    let ledger = Ledger::open(Path::new(&path)).unwrap();
    let first = i64::from(std::process::id()) << 32;
    for id in first.. {
        assert_eq!(ledger.begin(key(id), Some("m"), 1).await.unwrap(), Begun::New);
        eprintln!("begun {id}");
        if id % 3 == 0 {
            ledger.answered(key(id), id.to_string()).await.unwrap();
            eprintln!("answered {id}");
        }
    }
}

fn start(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holder", "--nocapture"])
        .env(LEDGER, path)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn what_a_killed_process_was_told_is_written_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    let mut instance = None;
    for round in 0..12 {
        let mut child = start(&path);
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        // where in its work it is killed is up to the machine
        let mut lines: Vec<String> = said.by_ref().take(5 + 7 * round).collect();
        child.kill().unwrap();
        child.wait().unwrap();
        lines.extend(said);

        let ledger = Ledger::open(&path).unwrap();
        assert_eq!(instance.get_or_insert_with(|| ledger.instance().clone()), ledger.instance());
        let mut begun = 0;
        for line in &lines {
            let Some((what, id)) = line.split_once(' ') else { continue };
            let Ok(id) = id.parse() else { continue };
            let state = ledger.look(key(id)).await.map(|entry| entry.state);
            match what {
                "begun" => {
                    begun += 1;
                    let answered = lines.contains(&format!("answered {id}"));
                    assert!(state == Some(EntryState::Started) || id % 3 == 0, "{line}: {state:?}");
                    assert!(answered || state.is_some(), "{line}: {state:?}");
                    // not run again
                    assert!(matches!(ledger.begin(key(id), Some("m"), 1).await, Ok(Begun::Known(_))));
                }
                "answered" => assert_eq!(state, Some(EntryState::Answered(id.to_string().into())), "{line}"),
                _ => {}
            }
        }
        assert!(begun > 0, "{lines:?}");
        ledger.close().await;
    }
}
