//! The ledger against what it should be: a map.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tokio::sync::oneshot;

use super::*;
use crate::ledger::writer::Reply;

const HOUR: Duration = Duration::from_hours(1);

#[derive(Debug, Clone)]
enum Step {
    Begin {
        id: i64,
        message: Option<u8>,
        incarnation: u64,
    },
    Answer {
        id: i64,
        length: usize,
    },
    Sent {
        id: i64,
    },
    Look {
        id: i64,
    },
    /// Writes what was asked so far in one transaction.
    Flush,
    Pass {
        hours: u32,
    },
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = 0..6_i64;
    let step = prop_oneof![
        4 => (id.clone(), proptest::option::of(0..3_u8), 1..4_u64)
            .prop_map(|(id, message, incarnation)| Step::Begin { id, message, incarnation }),
        3 => (id.clone(), 0..40_usize).prop_map(|(id, length)| Step::Answer { id, length }),
        2 => id.clone().prop_map(|id| Step::Sent { id }),
        3 => id.prop_map(|id| Step::Look { id }),
        3 => Just(Step::Flush),
        1 => (1..4_u32).prop_map(|hours| Step::Pass { hours }),
        1 => Just(Step::Reopen),
    ];
    proptest::collection::vec(step, 0..60)
}

fn bounds(text: u64, calls: u64) -> Bounds {
    Bounds { retention: 5 * HOUR, wanted: 2 * HOUR, calls, sessions: 10, text }
}

#[derive(Default)]
struct Model {
    calls: BTreeMap<i64, Entry>,
}

impl Model {
    fn begin(&mut self, now: SystemTime, id: i64, message_id: Option<Box<str>>, incarnation: u64) -> Begun {
        if let Some(known) = self.calls.get(&id) {
            let same = known.message_id.is_some() && known.message_id == message_id;
            if same || known.incarnation >= incarnation {
                return Begun::Known(known.clone());
            }
        }
        let entry = Entry { state: EntryState::Started, message_id, incarnation, begun_at: now };
        self.calls.insert(id, entry);
        Begun::New
    }

    fn answer(&mut self, id: i64, text: &str) {
        if let Some(entry) = self.calls.get_mut(&id).filter(|entry| entry.state == EntryState::Started) {
            entry.state = EntryState::Answered(text.into());
        }
    }

    fn sent(&mut self, id: i64) {
        if let Some(entry) = self.calls.get_mut(&id) {
            entry.state = match std::mem::replace(&mut entry.state, EntryState::Started) {
                EntryState::Answered(text) => EntryState::Sent(Some(text)),
                EntryState::Started => EntryState::Sent(None),
                sent @ EntryState::Sent(_) => sent,
            };
        }
    }

    fn forget(&mut self, now: SystemTime) {
        self.calls.retain(|_, entry| entry.begun_at + 5 * HOUR >= now);
    }
}

fn command(step: &Step) -> Option<Command> {
    Some(match step {
        Step::Begin { id, message, incarnation } => {
            let message_id = message.map(|message| message.to_string().into());
            Command::Begin {
                key: key(*id),
                message_id,
                incarnation: *incarnation,
                done: oneshot::channel().0,
            }
        }
        Step::Answer { id, length } => Command::Answered {
            key: key(*id),
            answer: "x".repeat(*length).into(),
            done: oneshot::channel().0,
        },
        Step::Sent { id } => Command::Sent { key: key(*id) },
        Step::Look { id } => Command::Look { key: key(*id), done: oneshot::channel().0 },
        Step::Flush | Step::Pass { .. } | Step::Reopen => return None,
    })
}

/// Runs the steps over a store in a file, and calls `check` with what came of each flush.
fn run(
    steps: &[Step],
    bounds: Bounds,
    mut check: impl FnMut(SystemTime, &[Step], Vec<Reply>, SystemTime) -> Result<(), TestCaseError>,
) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.redb");
    let mut store = Store::open(&path, bounds).unwrap();
    let mut now = SystemTime::now() + HOUR;
    now = UNIX_EPOCH + Duration::from_secs(now.duration_since(UNIX_EPOCH).unwrap().as_secs());
    let mut waiting: Vec<Step> = Vec::new();
    for step in steps.iter().chain([&Step::Flush]) {
        if command(step).is_some() {
            waiting.push(step.clone());
            continue;
        }
        let asked = std::mem::take(&mut waiting);
        let commands: Vec<Command> = asked.iter().filter_map(command).collect();
        let replies = store.apply(now, &commands).unwrap();
        let covers = UNIX_EPOCH + Duration::from_millis(store.covers_since().load(Ordering::Acquire));
        check(now, &asked, replies, covers)?;
        match step {
            Step::Pass { hours } => now += *hours * HOUR,
            Step::Reopen => {
                store.close().unwrap();
                store = Store::open(&path, bounds).unwrap();
            }
            _ => {}
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_ledger_is_a_map_that_forgets_what_is_old(steps in steps()) {
        let mut model = Model::default();
        run(&steps, bounds(1 << 20, 100), |now, asked, replies, _| {
            for (step, reply) in asked.iter().zip(replies) {
                match (step, reply) {
                    (Step::Begin { id, message, incarnation }, Reply::Begun(begun)) => {
                        let message_id = message.map(|message| message.to_string().into());
                        prop_assert_eq!(begun, model.begin(now, *id, message_id, *incarnation));
                    }
                    (Step::Look { id }, Reply::Entry(entry)) => {
                        prop_assert_eq!(entry.as_ref(), model.calls.get(id));
                    }
                    (Step::Answer { id, length }, Reply::Done(())) => model.answer(*id, &"x".repeat(*length)),
                    (Step::Sent { id }, Reply::Done(())) => model.sent(*id),
                    _ => prop_assert!(false, "another's reply"),
                }
            }
            model.forget(now);
            Ok(())
        })?;
    }

    #[test]
    fn whatever_is_forgotten_by_number_or_age_is_not_covered(steps in steps()) {
        // when each call was last said to be new
        let mut begun: BTreeMap<i64, SystemTime> = BTreeMap::new();
        let mut covered = UNIX_EPOCH;
        run(&steps, bounds(1 << 20, 3), |now, asked, replies, covers| {
            for (step, reply) in asked.iter().zip(replies) {
                let forgotten = match (step, &reply) {
                    (Step::Look { id }, Reply::Entry(None)) => begun.get(id),
                    _ => None,
                };
                prop_assert!(forgotten.is_none_or(|at| *at < covered), "{step:?}");
                if let (Step::Begin { id, .. }, Reply::Begun(Begun::New)) = (step, reply) {
                    begun.insert(*id, now);
                }
            }
            covered = covers;
            Ok(())
        })?;
    }

    #[test]
    fn answers_stay_within_their_bound_and_the_unsent_go_last(lengths in proptest::collection::vec(0..=25_usize, 1..20), sent in 0..20_usize) {
        let mut store = Store::in_memory(bounds(100, 100)).unwrap();
        let now = SystemTime::now();
        let mut apply = |commands: &[Command]| store.apply(now, commands).unwrap();
        for (id, length) in (0_i64..).zip(&lengths) {
            apply(&[
                command(&Step::Begin { id, message: None, incarnation: 1 }).unwrap(),
                command(&Step::Answer { id, length: *length }).unwrap(),
            ]);
            if id < i64::try_from(sent).unwrap() {
                apply(&[Command::Sent { key: key(id) }]);
            }
        }
        let looks: Vec<Command> = (0_i64..).zip(&lengths).filter_map(|(id, _)| command(&Step::Look { id })).collect();
        let states: Vec<EntryState> = apply(&looks)
            .into_iter()
            .map(|reply| if let Reply::Entry(Some(entry)) = reply { entry.state } else { panic!("forgotten") })
            .collect();
        let kept = |state: &EntryState| match state {
            EntryState::Answered(text) | EntryState::Sent(Some(text)) => Some(text.len()),
            _ => None,
        };
        prop_assert!(states.iter().filter_map(kept).sum::<usize>() <= 100);
        let total: usize = lengths.iter().sum();
        let unsent: usize = lengths.iter().skip(sent).sum();
        prop_assert!(total > 100 || states.iter().all(|state| kept(state).is_some()));
        // those that were not sent are given up only where they are too much by themselves
        prop_assert!(unsent > 100 || states.iter().skip(sent).all(|state| matches!(state, EntryState::Answered(_))));
    }
}

#[test]
fn a_long_answer_is_not_kept_and_old_sessions_go() {
    let mut store = Store::in_memory(bounds(100, 100)).unwrap();
    let now = SystemTime::now();
    let begin = command(&Step::Begin { id: 1, message: None, incarnation: 1 }).unwrap();
    let answer = command(&Step::Answer { id: 1, length: 26 }).unwrap();
    let replies = store.apply(now, &[begin, answer, command(&Step::Look { id: 1 }).unwrap()]).unwrap();
    assert!(matches!(&replies[2], Reply::Entry(Some(entry)) if entry.state == EntryState::Sent(None)));

    let record = SessionRecord {
        reply: ReplyAddress::Url("http://h/".into()),
        client_id: None,
        knows_context: false,
        payloads: None,
        incarnation: 1,
    };
    let remember = |name: &str| Command::RememberSession { session: session(name), record: record.clone() };
    let known = |store: &mut Store, now, name: &str| {
        let look = Command::Session { session: session(name), done: oneshot::channel().0 };
        matches!(&store.apply(now, &[look]).unwrap()[0], Reply::Session(Some(_)))
    };
    for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "a", "k"] {
        store.apply(now, &[remember(name)]).unwrap();
    }
    assert!(known(&mut store, now, "a") && known(&mut store, now, "k") && !known(&mut store, now, "b"));
    let later = now + 8 * 24 * HOUR;
    store.apply(later, &[remember("l")]).unwrap();
    assert!(!known(&mut store, later, "a") && known(&mut store, later, "l"));
}
