//! All payments, and the one call that each makes at a time.

use std::time::Duration;

use domain::command::Command;
use domain::envelope::{Position, Recorded};
use domain::event::StreamId;
use domain::ids::{CorrelationId, OrderId};
use domain::order::OrderCommand;
use domain::payment::PaymentResult;
use domain::ports::{PaymentCall, PortError, StoreError};
use futures::future::{BoxFuture, Fuse, FusedFuture};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use metrics::{counter, gauge};

use super::in_hand::{ASK_PAUSE, InHand, Next};
use super::payment::{Payment, REFUND_PENDING_MAX, REFUND_UNANSWERED_MAX, Step, moved};
use super::proposals::{Proposal, Purpose};
use super::{Process, ROLE, SWEEP_MAX};
use crate::clock::{between, delta};
use crate::faults::{PROCESS_AFTER_CALL, PROCESS_BEFORE_CALL};
use crate::metrics::{PAYMENT_CALLS_TOTAL, PAYMENTS_OPEN_ORDERS};

/// Payments that are worked on at once, by default.
pub const PAYMENTS_MAX: usize = 256;
/// Orders that wait for their turn; beyond it no events are read.
pub const WAITING_MAX: usize = 65_536;
/// The pause between two lists of open payments from the order book.
pub const RELIST_PAUSE: Duration = Duration::from_secs(10);
/// The pause between two checkpoints.
pub const CHECKPOINT_PAUSE: Duration = Duration::from_secs(1);
/// Times that one answer is written down at most, however often the provider tells it.
pub const TELLS_MAX: usize = 3;

/// The code of a refund that no provider answered.
const UNANSWERED: &str = "unanswered";

impl Process {
    /// Drives payments until the lease is lost. Whatever reads or writes is polled beside the
    /// payments: one that waited alone for a connection would wait for those that hold them all.
    pub(super) async fn pay(&self, epoch: u64) {
        let mut position = self.started_at().await;
        let mut in_hand = InHand::default();
        let mut running: FuturesUnordered<BoxFuture<'_, (OrderId, Next)>> = FuturesUnordered::new();
        let mut tail: BoxFuture<'_, Vec<Recorded>> = Box::pin(self.events_after(position));
        let mut listing: Fuse<BoxFuture<'_, Vec<OrderId>>> = Fuse::terminated();
        let mut checking: Fuse<BoxFuture<'_, Result<(), ()>>> = Fuse::terminated();
        let mut relist_at = self.ports.clock.now();
        let mut checkpoint_at = relist_at;
        loop {
            let now = self.ports.clock.now();
            in_hand.wake(now);
            if now >= relist_at && listing.is_terminated() {
                listing = self
                    .list_open(WAITING_MAX.saturating_sub(in_hand.waiting.len()))
                    .boxed()
                    .fuse();
                relist_at = now + delta(RELIST_PAUSE);
            }
            while running.len() < self.config.payments.max(1)
                && let Some((order, again)) = in_hand.start()
            {
                running.push(Box::pin(async move { (order, self.work_on(order, again).await) }));
            }
            gauge!(PAYMENTS_OPEN_ORDERS)
                .set(f64::from(u32::try_from(in_hand.open()).unwrap_or(u32::MAX)));
            let next_at = in_hand.next_at().map_or(relist_at, |at| relist_at.min(at));
            tokio::select! {
                biased;
                Some((order, next)) = running.next(), if !running.is_empty() => {
                    in_hand.finish(order, &next, self.ports.clock.now());
                }
                open = &mut listing => in_hand.take_in(open),
                Err(()) = &mut checking => return,
                events = &mut tail, if in_hand.waiting.len() < WAITING_MAX => {
                    for recorded in &events {
                        position = recorded.position;
                        if let Some(order) = moved(&recorded.event) {
                            in_hand.queue(order);
                        }
                    }
                    tail = Box::pin(self.events_after(position));
                    let now = self.ports.clock.now();
                    if now >= checkpoint_at && checking.is_terminated() {
                        checkpoint_at = now + delta(CHECKPOINT_PAUSE);
                        checking = self.check_in(epoch, position).boxed().fuse();
                    }
                }
                () = self.ports.clock.sleep(between(now, next_at)) => {}
            }
        }
    }

    async fn started_at(&self) -> Position {
        loop {
            match self.ports.store.checkpoint(ROLE).await {
                Ok(position) => return position,
                Err(error) => Self::failed("checkpoint", &error),
            }
            self.ports.clock.sleep(ASK_PAUSE).await;
        }
    }

    /// The next events; waits until there are some.
    async fn events_after(&self, position: Position) -> Vec<Recorded> {
        loop {
            match self.ports.store.read(position, SWEEP_MAX).await {
                Ok(events) if events.is_empty() => self.ports.store.wait(position).await,
                Ok(events) => return events,
                Err(error) => {
                    Self::failed("tail", &error);
                    self.ports.clock.sleep(ASK_PAUSE).await;
                }
            }
        }
    }

    /// Everything up to the position is in hand; whether the lease is still ours comes with it.
    async fn check_in(&self, epoch: u64, position: Position) -> Result<(), ()> {
        match self.ports.store.set_checkpoint(ROLE, epoch, position).await {
            Ok(()) | Err(StoreError::Conflict(_)) => Ok(()),
            Err(StoreError::Fenced) => Err(()),
            Err(StoreError::Unavailable(error) | StoreError::Ambiguous(error)) => {
                Self::failed("checkpoint", &error);
                Ok(())
            }
        }
    }

    /// The open payments in the order book, about so many at most.
    async fn list_open(&self, max: usize) -> Vec<OrderId> {
        let mut open = vec![];
        while open.len() < max {
            match self.ports.orders.open_payments(open.last().copied(), SWEEP_MAX).await {
                Ok(page) => {
                    open.extend(page.iter().map(|order| order.id));
                    if page.len() < SWEEP_MAX {
                        break;
                    }
                }
                Err(error) => {
                    Self::failed("open payments", &error);
                    break;
                }
            }
        }
        open
    }

    async fn work_on(&self, order: OrderId, again: bool) -> Next {
        match self.take_step(order, again).await {
            Ok(next) => next,
            Err(error) => {
                Self::failed("payment", &error);
                Next::Ask(None)
            }
        }
    }

    /// One call to the provider and its answer into the log, or nothing.
    async fn take_step(&self, order: OrderId, again: bool) -> Result<Next, PortError> {
        let streams = StreamId::of_order(order);
        let payment = Payment::of(&self.ports.store.load(&streams).await?);
        let step = payment.step(self.ports.clock.now(), self.config.payment_final);
        if step == Step::TakeAgain {
            return self.take_again(order, &payment).await;
        }
        let Some(call) = call_of(order, &payment, step) else { return Ok(Next::Event) };
        if !payment.is_of(self.ports.gateway.name()) {
            tracing::error!(%order, "its payment was asked of another provider than the configured one");
            return Ok(Next::Ask(None));
        }
        let latest = payment.final_at(self.config.payment_final);
        // an answer that cannot be taken in is not asked for again and again
        let parked = (again || payment.has_ended())
            && !self.ports.store.parked_among(&[order.to_string()]).await?.is_empty();
        if parked || self.ports.gateway.is_down() {
            return Ok(Next::Ask(None));
        }
        if step == Step::Authorize && self.paid_before(order, &payment).await? {
            return Ok(Next::Recheck);
        }
        self.ports.faults.at(PROCESS_BEFORE_CALL).await?;
        let asked = self.ask(step, &call).await;
        let refunds = matches!(step, Step::Refund { .. });
        let unanswered = match &asked {
            Err(_) => REFUND_UNANSWERED_MAX,
            Ok(_) => REFUND_PENDING_MAX,
        };
        let given_up = payment.gives_refund_up(unanswered, self.ports.clock.now());
        let result = match asked {
            // it is parked: somebody has to look, and may have it asked for again
            Err(_) | Ok(None) if refunds && given_up => {
                Some(PaymentResult::RefundFailed { code: UNANSWERED.to_owned() })
            }
            asked => asked?,
        };
        let Some(result) = result else {
            // a bank takes days, and its answer is told by itself as well
            return Ok(if refunds { Next::Pending } else { Next::Ask(latest) });
        };
        // said before: the buyer has not acted yet
        if payment.waits_for_buyer() && matches!(result, PaymentResult::RequiresAction { .. }) {
            return Ok(Next::Ask(latest));
        }
        self.ports.faults.at(PROCESS_AFTER_CALL).await?;
        let tells = self.ports.gateway.tells(&call).clamp(1, TELLS_MAX);
        for _ in 0..tells {
            self.record(order, &payment, call.attempt, &result).await?;
        }
        Ok(Next::Recheck)
    }

    /// Ends the attempt before this one for good, so that no buyer pays twice. A provider that took
    /// the money after its *no* says so here, and nothing more is asked of it.
    async fn paid_before(&self, order: OrderId, payment: &Payment) -> Result<bool, PortError> {
        let Some(earlier) = payment.attempt().checked_sub(1).filter(|attempt| *attempt > 0) else {
            return Ok(false);
        };
        let Some(call) = call_for(order, payment, earlier) else { return Ok(false) };
        counter!(PAYMENT_CALLS_TOTAL, "operation" => "void").increment(1);
        let result = self.ports.gateway.void(&call).await?;
        let paid = matches!(result, PaymentResult::Captured { .. });
        if paid {
            self.record(order, payment, earlier, &result).await?;
        }
        Ok(paid)
    }

    /// The provider's answer, where it leads to a fact.
    async fn ask(
        &self,
        step: Step,
        call: &PaymentCall,
    ) -> Result<Option<PaymentResult>, PortError> {
        let gateway = &self.ports.gateway;
        let (operation, answer) = match step {
            Step::Nothing | Step::TakeAgain => return Ok(None),
            // an answer that did not come is asked for, never asked again
            Step::Authorize => {
                let answer = gateway.authorize(call).await.unwrap_or(PaymentResult::Unknown);
                ("authorize", Some(answer))
            }
            Step::Query => ("query", known(gateway.query(call).await?)),
            Step::Capture => ("capture", known(Some(gateway.capture(call).await?))),
            Step::Void => ("void", known(Some(gateway.void(call).await?))),
            Step::Refund { .. } => ("refund", known(Some(gateway.refund(call).await?))),
        };
        counter!(PAYMENT_CALLS_TOTAL, "operation" => operation).increment(1);
        Ok(answer)
    }

    async fn record(
        &self,
        order: OrderId,
        payment: &Payment,
        attempt: u32,
        result: &PaymentResult,
    ) -> Result<(), PortError> {
        let Some((seller, key, _)) = payment.home.clone() else { return Ok(()) };
        let told = serde_json::to_vec(result).unwrap_or_default();
        let parts = [order.0.as_bytes().as_slice(), &attempt.to_be_bytes(), &told];
        let purpose = Purpose { name: "record_payment", parts: &parts };
        let command =
            OrderCommand::RecordPayment { order_id: order, attempt, result: result.clone() };
        let proposal = Proposal {
            seller,
            key,
            correlation: CorrelationId(order.0),
            causation: payment.causation,
            command: Command::Order { command },
        };
        self.append(&self.proposal(&purpose, proposal)).await
    }
}

fn known(answer: Option<PaymentResult>) -> Option<PaymentResult> {
    answer.filter(|result| *result != PaymentResult::Unknown)
}

fn call_of(order: OrderId, payment: &Payment, step: Step) -> Option<PaymentCall> {
    match step {
        Step::Nothing | Step::TakeAgain => None,
        Step::Refund { attempt, amount } => {
            let call = call_for(order, payment, payment.paid())?;
            Some(PaymentCall { attempt, amount, ..call })
        }
        _ => call_for(order, payment, payment.attempt()),
    }
}

fn call_for(order: OrderId, payment: &Payment, attempt: u32) -> Option<PaymentCall> {
    let asked = payment.asked.get(&attempt)?.clone();
    let (_, _, spotlight) = payment.home.as_ref()?;
    Some(PaymentCall {
        order,
        spotlight: *spotlight,
        attempt,
        payment: attempt,
        reference: asked.reference,
        method: asked.method,
        amount: asked.amount,
        held_until: payment.deadline,
    })
}
