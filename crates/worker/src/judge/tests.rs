use proptest::prelude::*;

use super::*;

fn known() -> impl Strategy<Value = Known<'static>> {
    prop_oneof![Just(Known::Nothing), Just(Known::Started), Just(Known::Answered("the answer"))]
}

prop_compose! {
    fn case()(
        known in known(),
        receive_count in 1u32..6,
        max_receives in 1u32..5,
        would_be_known: bool,
        may_rerun: bool,
        alive: bool,
    ) -> Case<'static> {
        Case { known, receive_count, max_receives, would_be_known, may_rerun, alive }
    }
}

proptest! {
    #[test]
    fn only_what_cannot_have_run_or_may_run_again_runs(case in case()) {
        if judge(&case) == Verdict::Run {
            prop_assert!(case.alive);
            prop_assert!(case.receive_count <= case.max_receives);
            let cannot_have_run =
                case.known == Known::Nothing && (case.receive_count == 1 || case.would_be_known);
            prop_assert!(cannot_have_run || (case.may_rerun && !matches!(case.known, Known::Answered(_))));
        }
    }

    #[test]
    fn an_answer_is_given_again_and_nothing_else(case in case()) {
        match case.known {
            Known::Answered(answer) => prop_assert_eq!(judge(&case), Verdict::AnswerAgain(answer)),
            Known::Nothing | Known::Started => {
                prop_assert!(!matches!(judge(&case), Verdict::AnswerAgain(_)));
            }
        }
    }

    #[test]
    fn what_was_begun_is_never_said_not_to_have_run(mut case in case()) {
        case.known = Known::Started;
        if !case.may_rerun {
            prop_assert_eq!(judge(&case), Verdict::MayHaveRun);
        }
        prop_assert_ne!(judge(&case), Verdict::NotStarted);
    }

    #[test]
    fn a_first_delivery_to_a_living_session_runs(mut case in case()) {
        (case.known, case.receive_count, case.alive) = (Known::Nothing, 1, true);
        prop_assert_eq!(judge(&case), Verdict::Run);
    }

    /// Workers that share a queue, each with a ledger of its own, and die at any point: one call, delivered until it is settled.
    #[test]
    fn a_call_runs_at_most_once_on_any_fleet(deliveries in deliveries(), alone: bool) {
        let mut ledgers = [Ledger::Empty; 3];
        let mut runs = 0;
        for (delivered_before, Delivered { worker, dies, alive }) in deliveries.into_iter().enumerate() {
            let ledger = &mut ledgers[if alone { 0 } else { worker }];
            let case = Case {
                known: match ledger {
                    Ledger::Empty => Known::Nothing,
                    Ledger::Begun => Known::Started,
                    Ledger::Answered => Known::Answered("the answer"),
                },
                receive_count: u32::try_from(delivered_before).unwrap() + 1,
                max_receives: 3,
                would_be_known: alone,
                may_rerun: false,
                alive,
            };
            if judge(&case) != Verdict::Run {
                break;
            }
            if dies == Dies::BeforeBegun { continue }
            *ledger = Ledger::Begun;
            if dies == Dies::BeforeRun { continue }
            runs += 1;
            if dies == Dies::BeforeAnswered { continue }
            *ledger = Ledger::Answered;
            if dies == Dies::Never { break }
        }
        prop_assert!(runs <= 1);
    }
}

#[derive(Debug, Clone, Copy)]
enum Ledger {
    Empty,
    Begun,
    Answered,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dies {
    BeforeBegun,
    BeforeRun,
    BeforeAnswered,
    BeforeSettled,
    Never,
}

#[derive(Debug, Clone, Copy)]
struct Delivered {
    worker: usize,
    dies: Dies,
    alive: bool,
}

fn deliveries() -> impl Strategy<Value = Vec<Delivered>> {
    let dies = prop_oneof![
        Just(Dies::BeforeBegun),
        Just(Dies::BeforeRun),
        Just(Dies::BeforeAnswered),
        Just(Dies::BeforeSettled),
        Just(Dies::Never)
    ];
    let delivered =
        (0usize..3, dies, any::<bool>()).prop_map(|(worker, dies, alive)| Delivered { worker, dies, alive });
    prop::collection::vec(delivered, 1..8)
}
