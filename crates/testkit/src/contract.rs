//! What every backend must do, one function a rule: each brings up a fresh transport, and panics where the rule is broken.
//!
//! A backend's `tests/contract.rs` implements [`ContractTarget`] for its transport and says
//! [`contract_tests!`](crate::contract_tests), which makes a test of every rule.
#![expect(clippy::missing_panics_doc, reason = "every rule panics where it is broken")]

mod extremes;
mod inbox;
mod receiving;
mod running;
mod sending;
mod sessions;
mod target;
mod testbed;

pub use self::{
    extremes::*,
    receiving::*,
    running::*,
    sending::*,
    sessions::*,
    target::{Carried, Connection, ContractTarget, FarSide, Returned},
};

/// A test of every rule for the target that the expression builds.
#[macro_export]
macro_rules! contract_tests {
    ($target:expr) => {
        $crate::contract_tests! { @rules $target =>
            what_was_accepted_is_kept_though_the_backend_goes,
            a_message_travels_with_its_route_and_version,
            an_initialize_keeps_what_its_client_sent,
            every_one_of_many_sends_at_once_arrives_once,
            a_message_that_is_too_large_is_refused_and_not_sent,
            a_dropped_send_harms_no_other,
            an_answer_comes_back_byte_for_byte,
            what_the_far_end_adds_comes_along,
            what_has_no_route_comes_without_one,
            messages_come_in_the_order_in_which_they_were_sent,
            an_accepted_message_comes_once,
            a_busy_message_comes_back,
            an_unroutable_message_is_acknowledged,
            a_foreign_message_is_left_to_its_owner,
            a_duplicate_is_acknowledged,
            what_is_no_message_never_reaches_the_inbox,
            a_settlement_that_takes_time_holds_nothing_up,
            shutdown_finishes_what_is_in_hand,
            run_ends_well_on_shutdown,
            check_changes_nothing,
            closing_one_session_leaves_the_others,
            the_far_ends_own_session_comes_as_its_peer,
            a_receipt_tells_the_far_ends_own_session,
            sessions_never_mix,
            an_envelope_is_not_corrected_from_its_message,
            an_answer_may_come_before_its_send_is_over,
            an_end_is_told_where_it_can_be_told,
            a_large_message_arrives_whole_both_ways,
            hostile_input_never_stops_run,
            a_send_that_cannot_be_made_ends_at_its_deadline,
        }
    };
    (@rules $target:expr => $($rule:ident,)*) => {
        $(
            #[tokio::test]
            async fn $rule() {
                $crate::contract::$rule(&$target).await;
            }
        )*
    };
}
