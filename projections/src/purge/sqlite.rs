//! Copies of personal fields on `SQLite`.

use domain::ids::BroadcastId;
use domain::ports::PortError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{SqliteConnection, SqlitePool};

use super::{Found, NAME, Person, Rows, Statements, copies_on};
use crate::read_model::{decode, encode, unreachable_as};

copies_on!(
    SqlitePool,
    SqliteConnection,
    // it waits for the file's one writer now
    "BEGIN IMMEDIATE",
    Statements {
        orders: Rows {
            all: "SELECT id, view FROM order_book WHERE seller = $1 AND viewer_ref = $2",
            held: "SELECT id, view FROM order_book WHERE seller = $1 AND viewer_ref = $2",
            put: "UPDATE order_book SET view = $2 WHERE id = $1",
        },
        waits: Rows {
            all: "SELECT id, view FROM waitlist
                  WHERE view ->> 'seller' = $1 AND view ->> 'viewer_ref' = $2",
            held: "SELECT id, view FROM waitlist
                   WHERE view ->> 'seller' = $1 AND view ->> 'viewer_ref' = $2",
            put: "UPDATE waitlist SET view = $2 WHERE id = $1",
        },
        chat: "SELECT broadcast, count(*) FROM chat_log
               WHERE view ->> 'seller' = $1 AND view ->> 'viewer' = $2 GROUP BY broadcast",
        forget_chat: "DELETE FROM chat_log
                      WHERE view ->> 'seller' = $1 AND view ->> 'viewer' = $2",
        webhooks: "SELECT count(*) FROM webhook_deliveries WHERE instr(body, $1) > 0",
        forget_webhooks: "DELETE FROM webhook_deliveries WHERE instr(body, $1) > 0",
    }
);
