//! Copies of personal fields on `PostgreSQL`.

use domain::ports::PortError;
use sqlx::PgPool;

use super::{Copies, NAME, Person, Statements, copies_on};
use crate::read_model::{decode, encode, unreachable_as};

copies_on!(
    PgPool,
    "BEGIN",
    Statements {
        orders: "SELECT id::text, view::text FROM order_book
                 WHERE seller = $1 AND viewer_ref = $2",
        orders_held: "SELECT id::text, view::text FROM order_book
                      WHERE seller = $1 AND viewer_ref = $2 ORDER BY id FOR UPDATE",
        forget_order: "UPDATE order_book SET view = $2::json WHERE id = $1::uuid",
        chat: "SELECT count(*) FROM chat_log
               WHERE view ->> 'seller' = $1 AND view ->> 'viewer' = $2",
        forget_chat: "DELETE FROM chat_log
                      WHERE view ->> 'seller' = $1 AND view ->> 'viewer' = $2",
        webhooks: "SELECT count(*) FROM webhook_deliveries WHERE strpos(body, $1) > 0",
        forget_webhooks: "DELETE FROM webhook_deliveries WHERE strpos(body, $1) > 0",
    }
);
