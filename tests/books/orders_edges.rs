//! Every edge between the states of an order, found by walking through its decisions, and the page
//! that draws them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use domain::admission::Admission;
use domain::ids::{OrderId, SpotlightId};
use domain::line::Lines;
use domain::order::{OrderCommand, PaymentChoice};
use domain::payment::{DeclineKind, NextAction, PaymentResult};
use domain::spotlight::{Settle, SpotlightCommand};
use domain::views::OrderView;
use projections::order_book::{fold, order_of};

use crate::support::events::{HOLD_SECONDS, PRICE_MINOR, Story, line, won};

/// How many commands one way through an order has at most.
const DEPTH: usize = 8;
/// Where the edges stand in the page.
const MARKS: (&str, &str) = ("<!-- edges: begin -->\n", "<!-- edges: end -->\n");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Pay,
    Authorized,
    Captured,
    Acts,
    Soft,
    Hard,
    Unknown,
    CaptureFailed,
    Voided,
    Refunded,
    Expire,
    Cancel,
    TakeAgain,
    TurnAway,
    RefundOne,
    RefundAll,
    Withdraw,
    EndParked,
}

const STEPS: [Step; 18] = [
    Step::Pay,
    Step::Authorized,
    Step::Captured,
    Step::Acts,
    Step::Soft,
    Step::Hard,
    Step::Unknown,
    Step::CaptureFailed,
    Step::Voided,
    Step::Refunded,
    Step::Expire,
    Step::Cancel,
    Step::TakeAgain,
    Step::TurnAway,
    Step::RefundOne,
    Step::RefundAll,
    Step::Withdraw,
    Step::EndParked,
];

/// How an order begins.
#[derive(Debug, Clone, Copy)]
enum Start {
    WithMethod,
    WithoutMethod,
    TooLate,
    Parked,
    OfWithdrawn,
}

struct Walk {
    story: Story,
    sale: SpotlightId,
    order: OrderId,
}

impl Walk {
    fn begin(start: Start) -> Self {
        let mut story = Story::new();
        let show = story.live("show");
        let sale = story.spotlight(show, &[("a", 4)]);
        let mut place = story.order(sale, "ana", &[("a", 2)]);
        let order = place.order_id;
        match start {
            Start::WithMethod | Start::Parked => {}
            Start::WithoutMethod => place.payment = None,
            Start::TooLate => place.void_after = Some(story.now - chrono::TimeDelta::seconds(1)),
            Start::OfWithdrawn => withdraw(&mut story, sale),
        }
        if matches!(start, Start::Parked) {
            let command = OrderCommand::FailParked { place: Box::new(place) };
            let command = domain::command::Command::Order { command };
            story.send(sale.into(), command).expect("it ends");
        } else {
            story.place_order(place);
        }
        Self { story, sale, order }
    }

    fn take(&mut self, step: Step) {
        let order_id = self.order;
        let total = won(2 * PRICE_MINOR);
        let desk = &self.story.desk(self.sale).orders[&order_id].order;
        let (attempt, refund) = (desk.attempt.max(1), desk.refund_attempt);
        let due = won(desk.refund_asked_minor - desk.refunded_minor);
        let result = match step {
            Step::Authorized => PaymentResult::Authorized { amount: total, reference: None },
            Step::Captured => PaymentResult::Captured { amount: total },
            Step::Acts => PaymentResult::RequiresAction {
                action: NextAction::Redirect { url: "https://pay.example".to_owned() },
                reference: None,
            },
            Step::Soft => PaymentResult::Declined { kind: DeclineKind::Soft, code: "s".to_owned() },
            Step::Hard => PaymentResult::Declined { kind: DeclineKind::Hard, code: "h".to_owned() },
            Step::Unknown => PaymentResult::Unknown,
            Step::CaptureFailed => PaymentResult::CaptureFailed { code: "c".to_owned() },
            Step::Voided => PaymentResult::Voided,
            Step::Refunded => {
                let result = PaymentResult::Refunded { amount: due };
                let command = OrderCommand::RecordPayment { order_id, attempt: refund, result };
                return self.send(command);
            }
            _ => return self.act(step),
        };
        self.send(OrderCommand::RecordPayment { order_id, attempt, result });
    }

    /// What is refused leads nowhere.
    fn send(&mut self, command: OrderCommand) {
        let command = domain::command::Command::Order { command };
        let _ = self.story.send(self.sale.into(), command);
    }

    fn act(&mut self, step: Step) {
        let order_id = self.order;
        let back = |lines: Option<Lines>| OrderCommand::RefundOrder {
            order_id,
            reason: None,
            lines,
            restock: false,
        };
        let command = match step {
            Step::Pay => OrderCommand::RequestPayment {
                order_id,
                payment: PaymentChoice { provider: "simulated".to_owned(), method: "m".to_owned() },
            },
            Step::Expire => {
                self.story.pass(i64::from(HOLD_SECONDS));
                OrderCommand::ExpireHold { order_id }
            }
            Step::Cancel => OrderCommand::CancelOrder { order_id, reason: None },
            Step::TakeAgain => {
                let at = self.story.now;
                let admission = Admission { epoch: 1, number: 99, at, offer_version: 1 };
                OrderCommand::TakeAgain { order_id, admission: Some(admission) }
            }
            Step::TurnAway => OrderCommand::TurnAway { order_id },
            Step::RefundOne => back(Some(Lines::try_new(vec![line("a", 1)]).expect("a line"))),
            Step::RefundAll => back(None),
            Step::Withdraw => {
                withdraw(&mut self.story, self.sale);
                OrderCommand::WithdrawOrder { order_id }
            }
            _ => OrderCommand::EndParked { order_id },
        };
        self.send(command);
    }

    /// What makes two ways the same from here on.
    fn place(&self) -> String {
        let desk = self.story.desk(self.sale);
        let known = &desk.orders[&self.order];
        let mut order = known.order.clone();
        order.accepted = None;
        let late = self.story.now > Story::new().now;
        let withdrawn = !desk.spotlight.withdrawn.is_empty();
        let holds = [&known.reservation, &known.again].map(|it| format!("{it:?}").chars().next());
        format!("{order:?} {holds:?} {late} {withdrawn}")
    }
}

fn withdraw(story: &mut Story, sale: SpotlightId) {
    let command = SpotlightCommand::WithdrawOffer {
        offer_version: 1,
        settle: Settle::Cancel,
        reason: None,
        admission: None,
    };
    let command = domain::command::Command::Spotlight { command };
    let _ = story.send(sale.into(), command);
}

type Edges = BTreeSet<(String, String, String)>;

/// Edges of the status and of the payment's, as (from, event, to).
fn edges() -> (Edges, Edges) {
    let (mut status, mut payment) = (Edges::new(), Edges::new());
    for start in
        [Start::WithMethod, Start::WithoutMethod, Start::TooLate, Start::Parked, Start::OfWithdrawn]
    {
        let mut seen = BTreeSet::new();
        let mut ways: VecDeque<Vec<Step>> = VecDeque::from([vec![]]);
        while let Some(way) = ways.pop_front() {
            let mut walk = Walk::begin(start);
            for step in &way {
                walk.take(*step);
            }
            // the last step of a way may be news, also where it leads to a known place
            collect(&walk, &mut status, &mut payment);
            if !seen.insert(walk.place()) {
                continue;
            }
            if way.len() < DEPTH {
                ways.extend(STEPS.iter().map(|step| [way.as_slice(), &[*step]].concat()));
            }
        }
    }
    (status, payment)
}

fn collect(walk: &Walk, status: &mut Edges, payment: &mut Edges) {
    let mut view: Option<OrderView> = None;
    for recorded in walk.story.log() {
        if order_of(&recorded.event) != Some(walk.order) {
            continue;
        }
        let before = view.as_ref().map(names);
        view = fold(view, recorded);
        let after = view.as_ref().map(names).expect("it is accepted");
        let (from, paid) = before.unwrap_or_else(|| ("[*]".to_owned(), "none".to_owned()));
        let event = recorded.event.event_type();
        if from != after.0 {
            status.insert((from, event.clone(), after.0));
        }
        if paid != after.1 {
            payment.insert((paid, event, after.1));
        }
    }
}

fn names(view: &OrderView) -> (String, String) {
    let paid = serde_json::to_value(view.payment.status).expect("a name");
    (view.status.as_str().to_owned(), paid.as_str().expect("a name").to_owned())
}

fn drawn(edges: &Edges) -> String {
    let mut merged: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for (from, event, to) in edges {
        merged.entry((from, to)).or_default().push(event);
    }
    let lines = merged
        .iter()
        .map(|((from, to), events)| format!("    {from} --> {to}: {}\n", events.join(", ")));
    format!("```mermaid\nstateDiagram-v2\n{}```\n", lines.collect::<String>())
}

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/ORDERS.md")
}

#[test]
fn the_page_draws_every_edge_and_its_event() {
    let (status, payment) = edges();
    let section = format!(
        "{}\n### `status`\n\n{}\n### `payment.status`\n\n{}{}",
        MARKS.0,
        drawn(&status),
        drawn(&payment),
        MARKS.1
    );
    let text = std::fs::read_to_string(page()).expect("docs/ORDERS.md");
    let (head, rest) = text.split_once(MARKS.0).expect("the first mark");
    let (_, tail) = rest.split_once(MARKS.1).expect("the last mark");
    let wanted = format!("{head}{section}{tail}");
    if std::env::var_os("ONAIR_BLESS").is_some() {
        std::fs::write(page(), wanted).expect("writes");
        return;
    }
    assert!(text == wanted, "docs/ORDERS.md is behind the code: ONAIR_BLESS=1 writes it anew");
}

/// Each window of `docs/ORDERS.md` names tests that exist.
#[test]
fn every_window_names_its_tests() {
    let text = std::fs::read_to_string(page()).expect("docs/ORDERS.md");
    let tests = std::process::Command::new("grep")
        .args([
            "-rhoE",
            "--include=*.rs",
            "fn [a-z0-9_]+",
            "tests",
            "domain/tests",
            "domain/src",
            "commands",
            "api/src",
        ])
        .current_dir(page().parent().and_then(std::path::Path::parent).expect("the root"))
        .output()
        .expect("grep runs");
    let known: BTreeSet<String> = String::from_utf8(tests.stdout)
        .expect("text")
        .lines()
        .map(|line| line.trim_start_matches("fn ").to_owned())
        .collect();
    let mut windows = BTreeSet::new();
    for row in text.lines().filter(|line| line.starts_with("| W")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        windows.insert(cells[1].to_owned());
        let named: Vec<&str> = cells[3].split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{row}");
        for test in named {
            let name = test.rsplit("::").next().expect("a name");
            assert!(known.contains(name), "there is no test {test}");
        }
    }
    let wanted: BTreeSet<String> = (1..=9).chain(22..=28).map(|n| format!("W{n}")).collect();
    assert_eq!(windows, wanted);
}
