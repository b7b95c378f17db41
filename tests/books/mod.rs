//! The read models: one suite per port, on every adapter, and the role that fills them.
#![expect(clippy::indexing_slicing, reason = "tests panic")]

mod board;
mod board_due;
mod chat_log;
mod demand;
mod fold;
mod orders;
mod orders_edges;
mod orders_lists;
mod orders_states;
mod rooms;
mod runner;
mod setup;
mod waitlist;

/// One test per adapter of each function of a suite, which takes fresh read models.
macro_rules! on_every_adapter {
    ($($name:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::books::setup::Books::memory()).await;
            })+
        }
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::books::setup::Books::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::books::setup::Books::postgres().await).await;
            })+
        }
    };
}
use on_every_adapter;
