//! Copies of personal fields on `SQLite`.

use domain::ports::PortError;
use sqlx::SqlitePool;

use super::{Copies, NAME, Person, Statements, copies_on};
use crate::read_model::{decode, encode, unreachable_as};

copies_on!(
    SqlitePool,
    // it waits for the file's one writer now
    "BEGIN IMMEDIATE",
    Statements {
        orders: "SELECT id, view FROM order_book WHERE seller = $1 AND viewer_ref = $2",
        orders_held: "SELECT id, view FROM order_book WHERE seller = $1 AND viewer_ref = $2",
        forget_order: "UPDATE order_book SET view = $2 WHERE id = $1",
        chat: "SELECT count(*) FROM chat_log
               WHERE view ->> 'seller' = $1 AND view ->> 'viewer' = $2",
        forget_chat: "DELETE FROM chat_log
                      WHERE view ->> 'seller' = $1 AND view ->> 'viewer' = $2",
        webhooks: "SELECT count(*) FROM webhook_deliveries WHERE instr(body, $1) > 0",
        forget_webhooks: "DELETE FROM webhook_deliveries WHERE instr(body, $1) > 0",
    }
);
