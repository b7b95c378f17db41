//! What the log proves.
//!
//! [`verify`] reads the log once, in pages, with memory for what is open only, and checks the
//! invariants of [`domain::invariants`] at every position; where a gate or an order book is at hand,
//! it compares them with the fold of the log as well. [`timeline`], [`trace`] and [`why`] answer
//! questions about one order, [`state_at`], [`diff`] and [`bisect`] about a moment. Nothing here can write, and no provider can be called: no type in this
//! module has a way to either.

mod at;
mod bisect;
mod board_check;
mod books;
mod checkpoint;
mod chunks;
mod evidence;
pub mod export;
mod fairness;
mod first_break;
mod gate_check;
mod order_log;
mod orders_check;
mod pages;
mod prove;
mod render;
mod report;
mod seals_check;
mod state;
mod stock_at;
mod subject;
mod timeline;
mod trace;
mod upcasters;
mod verify;
mod watch;
mod whatif;
mod why;
mod why_words;
mod witness;

pub use at::{Change, Diff, When, diff, render_diff, render_state, state_at};
pub use bisect::{BisectError, Bisected, Hit, PREDICATE_CHARS_MAX, Predicate, bisect};
pub use books::{
    BOOK_ENTRIES_MAX, BookDifference, BookEntry, BooksChecked, BooksError, Settlement, Standing,
    check_books, read_books, render_books,
};
pub use checkpoint::Checkpoint;
pub use evidence::{Evidence, EvidenceError, EvidenceSource, write_evidence};
pub use fairness::{
    ADMISSIONS_MAX, Fairness, NodeSkew, OVERTAKINGS_KEPT_MAX, Overtaking, fairness, render_fairness,
};
pub use first_break::{CHAIN_MAX, ChainLink, FirstBreak};
pub use gate_check::{gate_differences, open_spotlights};
pub use order_log::{AskError, accepted_order};
pub use prove::{
    Consistency, EventRef, Inclusion, ProofError, check_inclusion, prove_consistency, prove_event,
};
pub use render::render_human;
pub use report::{Head, InvariantReport, Report, Verdict};
pub use seals_check::{SealsChecked, Unproven, check_seals};
pub use state::{
    BroadcastState, OrderCounts, OrderState, Scope, SkuState, SpotlightState, State, StateFold,
    ViewerState,
};
pub use stock_at::{Holder, SoldOut, StockOf};
pub use subject::{SubjectInLog, subject_in_log};
pub use timeline::{Hop, Timeline, render_timeline, timeline};
pub use trace::{
    TRACE_EVENTS_MAX, Trace, TracedCommand, TracedEvent, render_dot, render_trace, trace,
};
pub use upcasters::{Linted, StoredVersion, lint, render_linted};
pub use verify::{PAGE_EVENTS, Progress, VIOLATIONS_KEPT_MAX, VerifyOptions, verify};
pub use watch::{HOLDS_COUNTED_MAX, LOOK_HEADING, Look, Watch, render_look};
pub use whatif::{
    APPROVED_PERCENT, AskedInVain, CHANGED_KEPT_MAX, ChangedOrder, HOLD_SECONDS_MAX, LIMIT_MAX,
    Outcome, Rules, Setting, SpotlightWhatIf, Totals, WhatIf, render_what_if, what_if,
};
pub use why::{
    BEFORE_MAX, Refused, VIEWER_ORDERS_MAX, VIEWER_REFUSALS_MAX, Why, WhyViewer, why, why_viewer,
};
pub use why_words::{Language, render_why, render_why_viewer};
pub use witness::{Witness, WitnessError, read_witness, write_witness};
