//! Copies of personal fields on `PostgreSQL`.

use domain::ids::BroadcastId;
use domain::ports::PortError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::{PgConnection, PgPool};

use super::{Found, NAME, Person, Rows, Statements, copies_on};
use crate::read_model::{decode, encode, unreachable_as};

copies_on!(
    PgPool,
    PgConnection,
    "BEGIN",
    Statements {
        orders: Rows {
            all: "SELECT id::text, view::text FROM order_book
                  WHERE seller = $1 AND viewer_ref = $2",
            held: "SELECT id::text, view::text FROM order_book
                   WHERE seller = $1 AND viewer_ref = $2 ORDER BY id FOR UPDATE",
            put: "UPDATE order_book SET view = $2::json WHERE id = $1::uuid",
        },
        waits: Rows {
            all: "SELECT id::text, view::text FROM waitlist
                  WHERE view ->> 'seller' = $1 AND view ->> 'viewer_ref' = $2",
            held: "SELECT id::text, view::text FROM waitlist
                   WHERE view ->> 'seller' = $1 AND view ->> 'viewer_ref' = $2
                   ORDER BY id FOR UPDATE",
            put: "UPDATE waitlist SET view = $2::json WHERE id = $1::uuid",
        },
        chat: "SELECT broadcast::text, count(*) FROM chat_log
               WHERE view ->> 'seller' = $1 AND view ->> 'viewer' = $2 GROUP BY broadcast",
        forget_chat: "DELETE FROM chat_log
                      WHERE view ->> 'seller' = $1 AND view ->> 'viewer' = $2",
        webhooks: "SELECT count(*) FROM webhook_deliveries WHERE strpos(body, $1) > 0",
        forget_webhooks: "DELETE FROM webhook_deliveries WHERE strpos(body, $1) > 0",
    }
);
