//! A batch as the arrays that `onair_append` takes.

use domain::Timestamp;
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryScalar;
use uuid::Uuid;

use super::super::encoded::{Encoded, EncodedEvent};
use super::super::numbers::signed;

/// Names lists of columns, fills them from a batch and binds them in their order.
macro_rules! columns {
    ($(for $row:ident in $rows:expr => { $($name:ident: $type:ty = $value:expr;)* })*) => {
        /// One array per column, in the order of the function's arguments.
        pub(super) struct Columns<'a> {
            $($($name: Vec<$type>,)*)*
        }

        impl<'a> Columns<'a> {
            pub fn of(batch: &'a Encoded) -> Self {
                $(let rows = $rows(batch); $(let $name = rows.iter().map(|$row| $value).collect();)*)*
                Self { $($($name,)*)* }
            }

            /// The call; it answers with the last position, or 0.
            pub fn query(self) -> QueryScalar<'a, Postgres, i64, PgArguments> {
                sqlx::query_scalar(CALL)$($(.bind(self.$name))*)*
            }
        }

        /// The function's arguments in their order.
        #[cfg(test)]
        const NAMES: &[&str] = &[$($(stringify!($name),)*)*];
    };
}

const CALL: &str = "SELECT onair_append_sealed(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20,
    $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39,
    $40, $41, $42, $43, $44)";

/// Streams that go on: their first event in the batch is not their first of all.
fn going_on(batch: &Encoded) -> Vec<&EncodedEvent> {
    batch.events.iter().filter(|event| event.leads && event.sequence > 1).collect()
}

columns! {
    for row in (|batch: &'a Encoded| &batch.fences) => {
        f_topic: &'a str = row.topic.as_str();
        f_partition: i32 = row.partition;
        f_epoch: i64 = signed(row.epoch);
        f_first: Option<i64> = row.first_offset;
        f_next: i64 = row.next_offset;
    }
    for row in (|batch: &'a Encoded| &batch.ledger) => {
        l_spotlight: Uuid = row.spotlight;
        l_sku: &'a str = row.sku.as_str();
        l_lim: i64 = row.limit;
        l_held: i64 = row.held;
        l_confirmed: i64 = row.confirmed;
    }
    for row in (|batch: &'a Encoded| &batch.units) => {
        u_spotlight: Uuid = row.spotlight;
        u_viewer: &'a str = row.viewer.as_str();
        u_delta: i64 = row.delta;
        u_lim: i64 = row.limit;
    }
    for row in (|batch: &'a Encoded| &batch.parked) => {
        p_topic: &'a str = row.topic.as_str();
        p_partition: i32 = row.partition;
        p_offset: i64 = row.offset;
        p_sequence: &'a str = row.sequence.as_str();
        p_value: &'a [u8] = row.value.as_slice();
        p_error: &'a str = row.error.as_str();
        p_parked_at: Timestamp = row.parked_at;
        p_deadline: Timestamp = row.deadline;
    }
    for row in going_on => {
        s_type: &'static str = row.aggregate_type;
        s_id: &'a str = row.aggregate_id.as_str();
        s_sequence: i64 = row.sequence;
    }
    for row in (|batch: &'a Encoded| &batch.keys) => {
        k_key: Uuid = row.key;
        k_last: i64 = row.last;
    }
    for row in (|batch: &'a Encoded| &batch.events) => {
        e_type: &'static str = row.aggregate_type;
        e_id: &'a str = row.aggregate_id.as_str();
        e_sequence: i64 = row.sequence;
        e_event_type: &'a str = row.event_type.as_str();
        e_version: &'a str = row.event_version.as_str();
        e_payload: &'a str = row.payload.as_str();
        e_metadata: &'a str = row.metadata.as_str();
        e_event_id: Uuid = row.event_id;
        e_key: i32 = row.key;
        e_prev: i64 = row.previous;
    }
    for row in (|batch: &'a Encoded| &batch.inbox) => {
        i_command: Uuid = row.command;
        i_key: Uuid = row.key;
        i_topic: &'a str = row.topic.as_str();
        i_partition: i32 = row.partition;
        i_offset: i64 = row.offset;
        i_outcome: &'a str = row.outcome.as_str();
    }
    for row in (|batch: &'a Encoded| &batch.personal_keys) => {
        y_keys: &'a [u8] = row.as_slice();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_binds_what_the_migration_declares() {
        let sql = include_str!("../../../../migrations/postgres/0050_personal_keys.sql");
        let (_, list) = sql.split_once("onair_append_sealed(").expect("declares the function");
        let (list, _) = list.split_once(") RETURNS").expect("ends the list");
        let declared: Vec<&str> =
            list.split(',').filter_map(|item| item.split_whitespace().next()).collect();
        assert_eq!(declared, NAMES);
        assert_eq!(CALL.matches('$').count(), NAMES.len());
    }
}
