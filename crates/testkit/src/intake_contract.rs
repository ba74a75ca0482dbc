//! What every intake must do, one function a rule: each brings up a fresh transport, and panics where the rule is broken. The mirror
//! of [`contract`](crate::contract).
//!
//! The tests of an intake implement [`IntakeTarget`] for its transport and say [`intake_contract_tests!`](crate::intake_contract_tests),
//! which makes a test of every rule. What a transport cannot do, its [`ClientSide`] says; such a rule then asks for less, never for
//! something else.
#![expect(clippy::missing_panics_doc, reason = "every rule panics where it is broken")]

mod arriving;
mod desk;
mod extremes;
mod fleet;
mod replying;
mod running;
mod sessions;
mod settling;
mod target;
mod testbed;

pub use self::{
    arriving::*,
    extremes::*,
    fleet::*,
    replying::*,
    running::*,
    sessions::*,
    settling::*,
    target::{
        AnotherWorker, ClientSide, DeadLetter, Envelope, IntakeConnection, IntakeTarget, Place, Received,
        Told,
    },
};

/// A test of every rule for the target that the expression builds.
#[macro_export]
macro_rules! intake_contract_tests {
    ($target:expr) => {
        $crate::intake_contract_tests! { @rules $target =>
            a_message_arrives_with_what_its_envelope_says,
            every_message_arrives_once_and_in_order,
            an_initialize_proposes_its_session_and_names_its_reply,
            the_reply_address_is_taken_out_of_the_message,
            what_our_proxy_says_arrives_beside_the_message,
            a_context_that_is_none_counts_as_none,
            what_is_no_message_never_reaches_the_desk,
            a_session_can_be_ended,
            nothing_is_acknowledged_before_it_is_settled,
            what_is_done_is_acknowledged,
            what_is_given_back_comes_again,
            what_is_dead_is_out_of_the_way,
            a_redelivery_is_recognised,
            what_is_in_hand_is_kept_from_being_given_out_again,
            a_settlement_that_takes_long_holds_nothing_up,
            a_reply_goes_where_it_was_asked_to,
            a_reply_carries_its_session_and_what_is_said_beside_it,
            replies_of_an_exchange_keep_their_order,
            every_one_of_many_replies_at_once_comes_once,
            a_reply_that_is_too_large_is_refused_and_not_sent,
            a_dropped_reply_harms_no_other,
            what_was_sent_back_is_kept_though_the_intake_goes,
            a_reply_to_nowhere_fails_and_harms_nothing,
            a_reply_that_cannot_be_sent_ends_at_its_deadline,
            a_client_is_told_at_once_where_it_can_be,
            answers_of_sessions_never_mix,
            closing_one_session_harms_no_other,
            run_ends_only_when_it_is_stopped,
            draining_loses_nothing_and_still_replies,
            stopping_finishes_what_was_in_hand,
            checking_changes_nothing,
            large_messages_come_whole_both_ways,
            hostile_arrivals_never_stop_it,
            what_is_forwarded_reaches_its_owner,
            what_is_sent_to_an_owner_comes_to_it_alone,
            the_owner_of_a_session_is_found_by_its_id,
            a_forward_to_a_worker_that_is_no_more_says_so,
        }
    };
    (@rules $target:expr => $($rule:ident,)*) => {
        $(
            #[tokio::test]
            async fn $rule() {
                $crate::intake_contract::$rule(&$target).await;
            }
        )*
    };
}
