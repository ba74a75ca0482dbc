//! What one process leaves to the next.

use super::*;
use crate::ledger::entry::LeftBehind;

const HOUR: Duration = Duration::from_hours(1);

async fn pages(ledger: &Ledger) -> Vec<Vec<LeftBehind>> {
    let (mut pages, mut next) = (Vec::new(), Some(ledger.latest_left_behind().clone()));
    while let Some(page) = next {
        next = ledger.left_behind_before(&page).await.unwrap();
        pages.push(page.calls);
    }
    pages
}

async fn left_behind(ledger: &Ledger) -> Vec<CallKey> {
    pages(ledger).await.into_iter().flatten().map(|call| call.key).collect()
}

async fn given_up(ledger: &Ledger, call: &LeftBehind) -> Option<Box<str>> {
    ledger.give_up(call, "lost").await.unwrap()
}

#[test]
fn a_key_says_what_it_names() {
    let ids = [RequestId::number(-7), RequestId::string("a\"\u{0}\n\u{1f600}"), RequestId::string("1")];
    for id in ids {
        assert_eq!(CallKey::new(&session("s-1"), &id).parts(), Some((session("s-1"), id)));
    }
    for damaged in [&b""[..], b"s", b"s\x00", b"s\x00{}", b"s\x001}", b"\x001", b"\xff\x001"] {
        assert_eq!(CallKey::of_bytes(damaged).parts(), None, "{damaged:?}");
    }
}

#[tokio::test]
async fn what_a_dead_process_began_is_left_behind_unless_its_client_heard() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    let ledger = Ledger::open(&path).unwrap();
    for id in 1..=4 {
        assert_eq!(ledger.begin(key(id), None, 1).await.unwrap(), Begun::New);
    }
    ledger.answered(key(2), "two".into()).await.unwrap();
    ledger.answered(key(3), "three".into()).await.unwrap();
    ledger.sent(&key(3));
    // nobody waits for what was cancelled
    ledger.sent(&key(4));
    assert_eq!(left_behind(&ledger).await, Vec::new(), "nothing of it is dead");
    ledger.close().await;

    let ledger = Ledger::open(&path).unwrap();
    ledger.begin(key(5), None, 2).await.unwrap();
    // the session was begun anew, and this is another call
    ledger.begin(key(1), None, 2).await.unwrap();
    assert_eq!(left_behind(&ledger).await, [key(1), key(2)]);
    ledger.close().await;

    let ledger = Ledger::open(&path).unwrap();
    assert_eq!(left_behind(&ledger).await, [key(2), key(5), key(1)]);
}

#[tokio::test]
async fn what_is_given_up_has_an_answer_and_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    let ledger = Ledger::open(&path).unwrap();
    for id in 1..=3 {
        ledger.begin(key(id), None, 1).await.unwrap();
    }
    ledger.answered(key(2), "two".into()).await.unwrap();
    ledger.close().await;

    let ledger = Ledger::open(&path).unwrap();
    let calls = pages(&ledger).await.concat();
    assert_eq!(calls.iter().map(|call| call.is_answered).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(given_up(&ledger, &calls[0]).await.as_deref(), Some("lost"));
    assert_eq!(state(ledger.look(key(1)).await), Some(EntryState::Answered("lost".into())));
    assert_eq!(given_up(&ledger, &calls[1]).await.as_deref(), Some("two"));
    for call in &calls[..2] {
        ledger.told(call.clone());
        assert_eq!(given_up(&ledger, call).await, None);
    }
    assert_eq!(state(ledger.look(key(1)).await), Some(EntryState::Sent(Some("lost".into()))));
    // another call has the key by now
    ledger.begin(key(3), None, 2).await.unwrap();
    assert_eq!(given_up(&ledger, &calls[2]).await, None);
    ledger.told(calls[2].clone());
    assert_eq!(state(ledger.look(key(3)).await), Some(EntryState::Started));
    // what cannot be written down is not taken for told
    ledger.close().await;
    assert!(matches!(ledger.give_up(&calls[0], "lost").await, Err(LedgerError::Closed)));
}

#[tokio::test]
async fn there_are_pages_and_the_latest_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    let ledger = Ledger::open(&path).unwrap();
    let begun = (0..600).map(|id| ledger.begin(key(id), None, 1));
    futures_util::future::join_all(begun).await;
    ledger.close().await;
    let ledger = Ledger::open(&path).unwrap();
    let pages = pages(&ledger).await;
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [256, 256, 88]);
    let keys: Vec<_> = pages.into_iter().rev().flatten().map(|call| call.key).collect();
    assert_eq!(keys, (0..600).map(key).collect::<Vec<_>>());
}

#[test]
fn what_nobody_can_want_any_more_is_not_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    let bounds = Bounds::for_calls_of(HOUR);
    let apply = |store: &mut Store, at, command| store.apply(at, &[command]).unwrap().remove(0);
    let begin = |id| Command::Begin {
        key: key(id),
        message_id: None,
        incarnation: 1,
        done: tokio::sync::oneshot::channel().0,
    };
    let now = SystemTime::now();
    let mut store = Store::open(&path, bounds).unwrap();
    apply(&mut store, now - 3 * HOUR, begin(1));
    apply(&mut store, now - HOUR, begin(2));
    store.close().unwrap();
    let mut store = Store::open(&path, bounds).unwrap();
    let look = Command::LeftBehind { before: u64::MAX, done: tokio::sync::oneshot::channel().0 };
    let writer::Reply::Page(page) = apply(&mut store, now, look) else { panic!("no page") };
    assert_eq!(page.calls.into_iter().map(|call| call.key).collect::<Vec<_>>(), [key(2)]);
}
