//! The event store: one suite for every adapter, then what only one of them can show.

#![expect(clippy::indexing_slicing, reason = "tests panic")]

mod appending;
mod bed;
mod checks;
mod concurrent;
mod fencing;
mod made;
mod postgres;
mod proxy;
mod reading;
mod roles;
mod sqlite;

use bed::Bed;

/// Runs each test of the suite on every adapter.
macro_rules! on_every_store {
    ($($module:ident::$test:ident;)*) => {
        mod on_memory {
            $(#[tokio::test] async fn $test() { super::$module::$test(super::Bed::memory()).await; })*
        }
        mod on_sqlite {
            $(#[tokio::test] async fn $test() { super::$module::$test(super::Bed::sqlite().await).await; })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")]
              async fn $test() { super::$module::$test(super::Bed::postgres().await).await; })*
        }
    };
}

on_every_store! {
    appending::positions_are_dense_and_each_key_is_a_chain;
    appending::what_is_read_is_what_was_appended;
    appending::a_stream_goes_on_by_one;
    appending::a_reservation_ends_once;
    appending::an_event_id_is_stored_once;
    appending::an_empty_batch_moves_only_the_fence;
    appending::a_dropped_append_leaves_the_store_in_order;
    appending::a_store_that_is_opened_again_has_everything;
    checks::stock_is_never_oversold;
    checks::units_move_from_held_to_sold_or_back;
    checks::stock_that_was_never_offered_cannot_be_held;
    checks::a_limit_per_viewer_holds;
    checks::viewers_without_a_limit_are_not_counted;
    checks::a_sum_that_overflows_is_a_conflict;
    checks::a_refused_batch_leaves_nothing_behind;
    fencing::a_partition_that_was_never_claimed_is_fenced;
    fencing::an_older_owner_is_fenced;
    fencing::another_place_is_fenced;
    fencing::one_stale_fence_of_several_fences_the_batch;
    fencing::a_fence_that_contradicts_itself_is_a_conflict;
    fencing::of_two_writers_on_one_partition_one_commits;
    concurrent::a_tail_sees_every_position_once_while_eight_write;
    reading::pages_end_at_their_limit;
    reading::a_key_is_read_without_its_neighbours;
    reading::streams_are_loaded_by_position;
    reading::waiting_ends_with_an_append;
    reading::waiting_ends_without_one;
    roles::outcomes_stand_at_their_keys_position;
    roles::parked_sequences_and_deadlines;
    roles::what_is_asked_for_a_parked_command_is_due_at_once;
    roles::a_lease_is_renewed_taken_over_and_fences_the_checkpoint;
}
