//! Which read models there are, and their tables.

use crate::read_model::Identity;
use crate::unmet_demand::DemandFold;
use crate::waitlist::WaitlistFold;
use crate::{key_table, order_book, sales_board, unmet_demand, waitlist};

/// A read model in tables, which can be built aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Orders.
    OrderBook,
    /// Broadcasts, spotlights and what they sold.
    SalesBoard,
    /// What was asked for and refused.
    UnmetDemand,
    /// Who waits.
    Waitlist,
}

/// A table and its columns, the key first.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// Its name where it serves.
    pub name: &'static str,
    /// What is compared.
    pub columns: &'static [&'static str],
}

const ORDER_BOOK: [Table; 1] = [Table {
    name: "order_book",
    columns: &[
        "id",
        "seller",
        "viewer_ref",
        "spotlight",
        "broadcast",
        "status",
        "accepted_us",
        "hold_us",
        "payment_open",
        "view",
    ],
}];

/// In the order in which statements over both name them, which is the order of their locks.
const SALES_BOARD: [Table; 2] = [
    Table {
        name: "board_spotlights",
        columns: &[
            "id",
            "broadcast",
            "status",
            "created_us",
            "opens_us",
            "closes_us",
            "view",
            "totals",
        ],
    },
    Table {
        name: "board_broadcasts",
        columns: &["id", "seller", "status", "created_us", "ended_us", "view"],
    },
];

const UNMET_DEMAND: [Table; 1] =
    [Table { name: unmet_demand::NAME, columns: &["id", "spotlight", "place", "view"] }];

const WAITLIST: [Table; 1] =
    [Table { name: waitlist::NAME, columns: &["id", "spotlight", "place", "view"] }];

impl Model {
    /// Every one.
    pub const ALL: [Self; 4] =
        [Self::OrderBook, Self::SalesBoard, Self::UnmetDemand, Self::Waitlist];

    /// Its name in commands, checkpoints and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OrderBook => order_book::NAME,
            Self::SalesBoard => sales_board::NAME,
            Self::UnmetDemand => unmet_demand::NAME,
            Self::Waitlist => waitlist::NAME,
        }
    }

    pub(super) fn identity(self) -> Identity {
        match self {
            Self::OrderBook => order_book::identity(),
            Self::SalesBoard => sales_board::identity(),
            Self::UnmetDemand => key_table::identity::<DemandFold>(),
            Self::Waitlist => key_table::identity::<WaitlistFold>(),
        }
    }

    /// Its tables.
    pub const fn tables(self) -> &'static [Table] {
        match self {
            Self::OrderBook => &ORDER_BOOK,
            Self::SalesBoard => &SALES_BOARD,
            Self::UnmetDemand => &UNMET_DEMAND,
            Self::Waitlist => &WAITLIST,
        }
    }
}

impl std::str::FromStr for Model {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|model| model.name() == name).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.into_iter().map(Self::name).collect();
            format!("there is no read model of that name in tables, only {}", names.join(", "))
        })
    }
}
