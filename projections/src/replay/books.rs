//! The log against the provider's own books.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::io::BufRead;

use domain::envelope::{Position, Recorded};
use domain::ids::{OrderId, SellerId, StreamKey};
use domain::money::Money;
use domain::payment::{PaymentResult, PaymentStatus};
use domain::ports::{EventReader, PortError};
use domain::views::OrderView;
use serde::{Deserialize, Serialize};

use super::pages::Pages;
use crate::order_book::{fold, order_of, payment_is_open};

/// Entries of the books that are compared at once.
pub const BOOK_ENTRIES_MAX: usize = 5_000_000;
/// Characters of a line of the books.
pub const BOOK_LINE_CHARS_MAX: usize = 4_096;

/// How an attempt stands at the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Set aside.
    Authorized,
    /// Taken.
    Captured,
    /// Given back before it was taken.
    Voided,
    /// Refused.
    Declined,
    /// Given back after it was taken, whole.
    Refunded,
}

/// One line of the provider's report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookEntry {
    /// Which order, as the provider was told.
    pub order_id: OrderId,
    /// Which attempt.
    pub attempt: u32,
    /// How it stands.
    pub status: Standing,
    /// How much; what was taken where some of it was given back.
    pub amount: Money,
}

/// Why books cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// The file.
    #[error("the books cannot be read")]
    File(#[from] std::io::Error),
    /// A line.
    #[error("line {line} of the books: {detail}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong.
        detail: String,
    },
    /// The log.
    #[error(transparent)]
    Store(#[from] PortError),
}

/// Reads a report: one JSON object per line.
///
/// # Errors
/// [`BooksError`] naming the line.
pub fn read_books(file: impl BufRead) -> Result<Vec<BookEntry>, BooksError> {
    let mut entries = vec![];
    for (number, line) in file.lines().enumerate() {
        let (line, wrong) = (line?, |detail| BooksError::Line { line: number + 1, detail });
        if line.trim().is_empty() {
            continue;
        }
        if line.chars().count() > BOOK_LINE_CHARS_MAX {
            return Err(wrong(format!("has more than {BOOK_LINE_CHARS_MAX} characters")));
        }
        if entries.len() >= BOOK_ENTRIES_MAX {
            return Err(wrong(format!("there are more than {BOOK_ENTRIES_MAX} entries")));
        }
        entries.push(serde_json::from_str(&line).map_err(|error| wrong(error.to_string()))?);
    }
    Ok(entries)
}

/// What would settle a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Settlement {
    /// The provider's answer is written down: what it took for an order that has ended is refunded
    /// by the process, what it took for one that waits pays it.
    Tell(PaymentResult),
    /// Only the provider can: its console, or its support.
    AtTheProvider(&'static str),
}

/// A difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BookDifference {
    /// Which order.
    pub order_id: OrderId,
    /// Which attempt.
    pub attempt: u32,
    /// In words.
    pub detail: String,
    /// What would settle it.
    pub settlement: Settlement,
    /// Whose order, and the key of its commands; absent where the log has none.
    #[serde(skip)]
    pub home: Option<(SellerId, StreamKey)>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BooksChecked {
    /// Orders of the log that a provider was asked about.
    pub orders: u64,
    /// Entries of the books.
    pub entries: u64,
    /// Orders whose payment is under way: not compared.
    pub open: u64,
    /// Where they differ.
    pub differences: Vec<BookDifference>,
}

/// Compares the orders of a log with the provider's books.
///
/// # Errors
/// The log cannot be read.
pub async fn check_books(
    reader: &dyn EventReader,
    entries: &[BookEntry],
    progress: &mut (dyn FnMut(Position, Position) + Send),
) -> Result<BooksChecked, PortError> {
    let mut books: HashMap<OrderId, Vec<BookEntry>> = HashMap::new();
    for entry in entries {
        books.entry(entry.order_id).or_default().push(*entry);
    }
    let end = reader.head().await?;
    let mut pages = Pages::new(reader, None, end);
    let mut orders: BTreeMap<OrderId, OrderView> = BTreeMap::new();
    let mut work = Work { books, found: vec![], orders: 0, open: 0 };
    loop {
        let page = pages.next().await?;
        let Some(last) = page.last() else { break };
        progress(last.position, end);
        for event in &page {
            take(&mut orders, event);
        }
    }
    for view in orders.values() {
        work.judge(view);
    }
    work.strangers();
    work.found.sort_by_key(|difference| (difference.order_id, difference.attempt));
    let entries = u64::try_from(entries.len()).unwrap_or(u64::MAX);
    Ok(BooksChecked { orders: work.orders, entries, open: work.open, differences: work.found })
}

fn take(orders: &mut BTreeMap<OrderId, OrderView>, event: &Recorded) {
    if let Some(order) = order_of(&event.event)
        && let Some(view) = fold(orders.remove(&order), event)
    {
        orders.insert(order, view);
    }
}

struct Work {
    books: HashMap<OrderId, Vec<BookEntry>>,
    found: Vec<BookDifference>,
    orders: u64,
    open: u64,
}

impl Work {
    fn judge(&mut self, view: &OrderView) {
        let mut entries = self.books.remove(&view.id).unwrap_or_default();
        if view.payment.attempts == 0 && entries.is_empty() {
            return;
        }
        self.orders += 1;
        if payment_is_open(view) {
            self.open += 1;
            return;
        }
        entries.sort_by_key(|entry| entry.attempt);
        let last = view.payment.attempts;
        let mut paid = None;
        for entry in &entries {
            let took = matches!(entry.status, Standing::Captured);
            if took && let Some(before) = paid.replace(entry.attempt) {
                let detail = format!("attempts {before} and {} both took money", entry.attempt);
                self.note(view, entry.attempt, detail, refund(entry));
            } else if took && entry.attempt < last && is_paid(view) {
                let detail = "an attempt that the log holds as over took money".to_owned();
                self.note(view, entry.attempt, detail, refund(entry));
            }
        }
        let entry = entries.iter().rfind(|entry| entry.attempt == last);
        if let Some((detail, settlement)) = difference(view, entry) {
            self.note(view, last, detail, settlement);
        }
    }

    fn note(&mut self, view: &OrderView, attempt: u32, detail: String, settlement: Settlement) {
        let home = Some((view.seller.clone(), view.spotlight_id.into()));
        self.found.push(BookDifference { order_id: view.id, attempt, detail, settlement, home });
    }

    /// Entries of orders that the log has not.
    fn strangers(&mut self) {
        for (order_id, entries) in std::mem::take(&mut self.books) {
            for entry in entries {
                self.found.push(BookDifference {
                    order_id,
                    attempt: entry.attempt,
                    detail: "the log has no such order".to_owned(),
                    settlement: Settlement::AtTheProvider("refund or void it, and ask whose it is"),
                    home: None,
                });
            }
        }
    }
}

const fn is_paid(view: &OrderView) -> bool {
    matches!(view.payment.status, PaymentStatus::Captured | PaymentStatus::PartiallyRefunded)
}

fn refund(entry: &BookEntry) -> Settlement {
    Settlement::Tell(PaymentResult::Captured { amount: entry.amount })
}

/// What the log and the books say otherwise of the last attempt.
fn difference(view: &OrderView, entry: Option<&BookEntry>) -> Option<(String, Settlement)> {
    use Settlement::AtTheProvider as At;
    let status = view.payment.status;
    let Some(entry) = entry else {
        let owed = is_paid(view) || status == PaymentStatus::Refunded;
        let detail = "the log says paid, the books have nothing".to_owned();
        return owed.then_some((detail, At("ask for the payment by order and attempt")));
    };
    let says = |log: &str, books: &str| format!("the log says {log}, the books say {books}");
    match (status, entry.status) {
        (PaymentStatus::Captured | PaymentStatus::PartiallyRefunded, Standing::Captured) => {
            let detail = format!("the log says {}, the books say {}", view.total, entry.amount);
            (entry.amount != view.total)
                .then_some((detail, At("find out which amount the buyer agreed to")))
        }
        (PaymentStatus::Captured | PaymentStatus::PartiallyRefunded, Standing::Authorized) => Some(
            (says("captured", "authorized"), At("capture it before the hold of the money ends")),
        ),
        (PaymentStatus::Captured | PaymentStatus::PartiallyRefunded, other) => Some((
            says("captured", standing(other)),
            At("find out who gave the money back; refund the order if it stays so"),
        )),
        (PaymentStatus::Refunded, Standing::Refunded | Standing::Voided) => None,
        (PaymentStatus::Refunded, other) => {
            Some((says("refunded", standing(other)), At("refund it: the buyer was promised so")))
        }
        (_, Standing::Captured) => Some((says("not paid", "captured"), refund(entry))),
        (_, Standing::Authorized) => {
            Some((says("over", "authorized"), At("void it: the buyer's money is set aside")))
        }
        _ => None,
    }
}

const fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Authorized => "authorized",
        Standing::Captured => "captured",
        Standing::Voided => "voided",
        Standing::Declined => "declined",
        Standing::Refunded => "refunded",
    }
}

/// The answer as lines of text.
pub fn render_books(checked: &BooksChecked) -> String {
    let mut text = String::new();
    let BooksChecked { orders, entries, open, differences } = checked;
    let _ = writeln!(text, "{orders} orders, {entries} entries, {open} still under way");
    for BookDifference { order_id, attempt, detail, settlement, .. } in differences {
        let _ = writeln!(text, "  {order_id} attempt {attempt}: {detail}");
        let _ = match settlement {
            Settlement::Tell(_) => {
                writeln!(text, "    --apply writes it down: the process gives it back")
            }
            Settlement::AtTheProvider(advice) => writeln!(text, "    at the provider: {advice}"),
        };
    }
    let _ = match differences.len() {
        0 => writeln!(text, "EQUAL"),
        count => writeln!(text, "DIFFERENT: {count}"),
    };
    text
}
