use std::{io::Write, os::unix::fs::PermissionsExt};

use proxy_core::{ReplyAddress, message::RequestId};

use super::*;

mod left_behind;
mod model;

fn session(name: &str) -> RemoteSession {
    RemoteSession::parse(name).unwrap()
}

fn key(id: i64) -> CallKey {
    CallKey::new(&session("s"), &RequestId::number(id))
}

fn state(entry: Option<Entry>) -> Option<EntryState> {
    entry.map(|entry| entry.state)
}

#[tokio::test]
async fn a_call_is_new_once_and_its_answer_is_kept() {
    let ledger = Ledger::in_memory().unwrap();
    assert_eq!(ledger.look(key(1)).await, None);
    assert_eq!(ledger.begin(key(1), Some("m"), 1).await.unwrap(), Begun::New);
    let Begun::Known(entry) = ledger.begin(key(1), Some("m"), 1).await.unwrap() else { panic!("new twice") };
    assert_eq!(
        (&entry.state, entry.message_id.as_deref(), entry.incarnation),
        (&EntryState::Started, Some("m"), 1)
    );
    assert!(entry.begun_at >= ledger.covers_since());
    ledger.answered(key(1), "{}".into()).await.unwrap();
    assert_eq!(state(ledger.look(key(1)).await), Some(EntryState::Answered("{}".into())));
    ledger.sent(&key(1));
    assert_eq!(state(ledger.look(key(1)).await), Some(EntryState::Sent(Some("{}".into()))));
    // the first answer counts
    ledger.answered(key(1), "[]".into()).await.unwrap();
    assert_eq!(state(ledger.look(key(1)).await), Some(EntryState::Sent(Some("{}".into()))));
}

#[tokio::test]
async fn a_session_begun_anew_counts_its_requests_from_the_beginning() {
    let ledger = Ledger::in_memory().unwrap();
    assert_eq!(ledger.begin(key(1), Some("m"), 1).await.unwrap(), Begun::New);
    // given out again, though the session is another by now
    assert!(matches!(ledger.begin(key(1), Some("m"), 2).await.unwrap(), Begun::Known(_)));
    assert_eq!(ledger.begin(key(1), Some("n"), 2).await.unwrap(), Begun::New);
    // late
    assert!(matches!(ledger.begin(key(1), Some("m"), 1).await.unwrap(), Begun::Known(_)));
    // a transport without message ids gives nothing out twice
    assert!(matches!(ledger.begin(key(1), None, 2).await.unwrap(), Begun::Known(_)));
    assert_eq!(ledger.begin(key(1), None, 3).await.unwrap(), Begun::New);
}

#[test]
fn keys_of_different_calls_differ() {
    let key = |name: &str, id: i64| CallKey::new(&session(name), &RequestId::number(id));
    assert_ne!(key("s", 1), CallKey::new(&session("s"), &RequestId::string("1")));
    assert_ne!(key("s", 11), key("s1", 1));
    assert_eq!(key("s", 1), key("s", 1));
    let shown = format!("{:?}", key("a-secret-session", 1));
    assert!(!shown.contains("secret"), "{shown}");
}

#[tokio::test]
async fn what_was_told_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/ledger.redb");
    let record = SessionRecord {
        reply: ReplyAddress::Sns("arn:aws:sns:eu-west-1:123456789012:responses".into()),
        client_id: Some("client".into()),
        knows_context: true,
        payloads: Some("bucket/prefix".into()),
        incarnation: 7,
    };
    let ledger = Ledger::open(&path).unwrap();
    let (instance, since) = (ledger.instance().clone(), ledger.covers_since());
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(ledger.begin(key(1), None, 1).await.unwrap(), Begun::New);
    ledger.answered(key(1), "a".into()).await.unwrap();
    ledger.sent(&key(1));
    ledger.remember_session(&session("s"), record.clone());
    ledger.remember_session(&session("t"), record.clone());
    ledger.forget_session(&session("t"));
    ledger.close().await;
    assert!(matches!(ledger.begin(key(2), None, 1).await, Err(LedgerError::Closed)));

    let ledger = Ledger::open(&path).unwrap();
    assert_eq!((ledger.instance(), ledger.covers_since()), (&instance, since));
    assert_eq!(state(ledger.look(key(1)).await), Some(EntryState::Sent(Some("a".into()))));
    assert_eq!(ledger.session(&session("s")).await, Some(record));
    assert_eq!(ledger.session(&session("t")).await, None);
}

#[tokio::test]
async fn who_ended_cleanly_comes_back_as_another_instance_that_knows_the_same_calls() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    let ledger = Ledger::open(&path).unwrap();
    let instance = ledger.instance().clone();
    assert_eq!(ledger.begin(key(1), None, 1).await.unwrap(), Begun::New);
    ledger.retire();
    ledger.close().await;
    let ledger = Ledger::open(&path).unwrap();
    assert_ne!(*ledger.instance(), instance);
    assert_eq!(state(ledger.look(key(1)).await), Some(EntryState::Started));
}

#[tokio::test]
async fn many_callers_at_once_each_get_their_own() {
    let ledger = Ledger::in_memory().unwrap();
    let begun: Vec<_> = (0..3000).map(|id| ledger.begin(key(id % 1000), None, 1)).collect();
    let begun = futures_util::future::join_all(begun).await;
    let new = begun.iter().take(1000).filter(|begun| matches!(begun, Ok(Begun::New))).count();
    let known = begun.iter().skip(1000).filter(|begun| matches!(begun, Ok(Begun::Known(_)))).count();
    assert_eq!((new, known), (1000, 2000));
}

#[test]
fn a_file_that_another_has_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    let ledger = Ledger::open(&path).unwrap();
    let error = Ledger::open(&path).unwrap_err();
    assert!(matches!(&error, LedgerError::Locked { .. }), "{error:?}");
    assert!(error.to_string().contains("another process"), "{error}");
    drop(ledger);
}

#[tokio::test]
async fn a_damaged_file_is_an_error_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    std::fs::write(&path, "no database, but a text that somebody put here".repeat(1000)).unwrap();
    let error = Ledger::open(&path).unwrap_err();
    assert!(matches!(&error, LedgerError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("move it away"), "{error}");

    std::fs::remove_file(&path).unwrap();
    let ledger = Ledger::open(&path).unwrap();
    for id in 0..500 {
        ledger.begin(key(id), Some(&"m".repeat(100)), 1).await.unwrap();
    }
    ledger.close().await;
    let whole = std::fs::read(&path).unwrap();
    // wherever it is cut off or overwritten, it opens, or says that it cannot
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        std::fs::write(&path, &whole[..at]).unwrap();
        close(Ledger::open(&path), &path).await;
        std::fs::write(&path, &whole).unwrap();
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(at as u64)).unwrap();
        file.write_all(&[0xa5; 300]).unwrap();
        close(Ledger::open(&path), &path).await;
    }
}

async fn close(opened: Result<Ledger, LedgerError>, path: &Path) {
    match opened {
        Ok(ledger) => ledger.close().await,
        Err(error) => assert!(
            error.to_string().contains("move it away")
                && error.to_string().contains(&*path.to_string_lossy()),
            "{error:?}"
        ),
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Ledger::open(&file.join("ledger.redb")).unwrap_err();
    assert!(matches!(&error, LedgerError::Unusable { doing: "opened", .. }), "{error:?}");
}
