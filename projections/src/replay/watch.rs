//! What is under way right now.

use std::fmt::Write;

use domain::Timestamp;
use domain::envelope::{Position, Recorded};
use domain::event::Event;
use domain::order::{OrderEvent, OrderReason};
use domain::ports::{EventReader, OrderBook, PortError, RowReader, SalesBoard};
use serde::Serialize;

/// Events that one look takes in; a faster log is caught up with look by look.
const LOOK_EVENTS: usize = 10_000;
/// Holds that are counted; more are shown as so many.
pub const HOLDS_COUNTED_MAX: usize = 1_000;
/// Seals that are looked over at a time.
const PAGE_SEALS: usize = 1_000;

/// One look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Look {
    /// The head of the log.
    pub head: Position,
    /// Events that the order book has not applied.
    pub order_book_lag: u64,
    /// Events that the sales board has not applied.
    pub sales_board_lag: u64,
    /// Events that no seal covers.
    pub unsealed: u64,
    /// Orders whose hold is open, at most [`HOLDS_COUNTED_MAX`].
    pub holds: usize,
    /// Events since the look before.
    pub events: u64,
    /// Orders accepted since the look before.
    pub accepted: u64,
    /// Orders confirmed since the look before.
    pub confirmed: u64,
    /// Orders that failed since the look before, for whatever reason.
    pub failed: u64,
    /// Orders that the second check of the stock failed, since the watch began: 0 where Redis lost
    /// nothing.
    pub guard_failures: u64,
    /// Positions that are missing since the watch began: 0 always.
    pub gaps: u64,
}

/// Looks at a store again and again.
pub struct Watch<'a> {
    reader: &'a dyn EventReader,
    rows: &'a dyn RowReader,
    orders: &'a dyn OrderBook,
    board: &'a dyn SalesBoard,
    after: Position,
    sealed: (u64, Position),
    guard_failures: u64,
    gaps: u64,
}

impl<'a> Watch<'a> {
    /// Begins at the head of the log.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn begin(
        (reader, rows): (&'a dyn EventReader, &'a dyn RowReader),
        (orders, board): (&'a dyn OrderBook, &'a dyn SalesBoard),
    ) -> Result<Self, PortError> {
        let after = reader.head().await?;
        let sealed = (0, Position::START);
        Ok(Self { reader, rows, orders, board, after, sealed, guard_failures: 0, gaps: 0 })
    }

    /// Looks.
    ///
    /// # Errors
    /// The store cannot be reached.
    pub async fn look(&mut self) -> Result<Look, PortError> {
        let (orders, board) = (self.orders.checkpoint().await?, self.board.checkpoint().await?);
        let events = self.reader.read(self.after, LOOK_EVENTS).await?;
        let head = self.reader.head().await?;
        self.follow_seals().await?;
        let holds = self.orders.due_holds(Timestamp::MAX_UTC, HOLDS_COUNTED_MAX).await?.len();
        let lag = |at: Position| head.0.saturating_sub(at.0);
        let mut look = Look {
            head,
            order_book_lag: lag(orders),
            sales_board_lag: lag(board),
            unsealed: lag(self.sealed.1),
            holds,
            events: u64::try_from(events.len()).unwrap_or(u64::MAX),
            accepted: 0,
            confirmed: 0,
            failed: 0,
            guard_failures: 0,
            gaps: 0,
        };
        for event in &events {
            self.take(event, &mut look);
        }
        (look.guard_failures, look.gaps) = (self.guard_failures, self.gaps);
        Ok(look)
    }

    fn take(&mut self, event: &Recorded, look: &mut Look) {
        self.gaps += event.position.0.saturating_sub(self.after.0).saturating_sub(1);
        self.after = event.position;
        match &event.event {
            Event::Order(OrderEvent::OrderAccepted { .. }) => look.accepted += 1,
            Event::Order(OrderEvent::OrderConfirmed { .. }) => look.confirmed += 1,
            Event::Order(OrderEvent::OrderFailed { reason, .. }) => {
                look.failed += 1;
                self.guard_failures += u64::from(*reason == OrderReason::StockGuard);
            }
            _ => {}
        }
    }

    async fn follow_seals(&mut self) -> Result<(), PortError> {
        loop {
            let page = self.rows.seals(self.sealed.0, PAGE_SEALS).await?;
            let Some(last) = page.last() else { return Ok(()) };
            self.sealed = (last.number, last.last);
        }
    }
}

/// The heading over [`render_look`].
pub const LOOK_HEADING: &str = "      head   events accepted confirmed  failed    holds \
     orders-lag board-lag  unsealed  guard  gaps";

/// A look as a line of text.
pub fn render_look(look: &Look) -> String {
    let mut text = String::new();
    let more = if look.holds >= HOLDS_COUNTED_MAX { "+" } else { "" };
    let holds = format!("{}{more}", look.holds);
    let _ = write!(
        text,
        "{:>10} {:>8} {:>8} {:>9} {:>7} {holds:>8} {:>11} {:>9} {:>9} {:>6} {:>5}",
        look.head.0,
        look.events,
        look.accepted,
        look.confirmed,
        look.failed,
        look.order_book_lag,
        look.sales_board_lag,
        look.unsealed,
        look.guard_failures,
        look.gaps,
    );
    text
}
