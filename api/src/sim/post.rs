//! What the provider tells on its own: late, in any order, and more than once.

use std::sync::Arc;

use domain::actor::Actor;
use domain::command::{Command, CommandRecord};
use domain::ids::{CommandId, CorrelationId, derive_id};
use domain::order::OrderCommand;
use domain::payment::PaymentResult;
use domain::ports::PaymentCall;
use parking_lot::Mutex;

use super::clients::Client;
use super::script::seller;
use super::world::{OUTSIDE, World};

/// Out of a thousand results, how many are told.
const TOLD_PER_MILLE: u64 = 500;
/// How often one is told at most.
const TELLINGS_MAX: u64 = 3;
/// How late a telling comes at most, in milliseconds; later than any hold ends.
const LATE_MAX_MS: u64 = 60_000;

/// The provider's webhooks.
pub struct Post {
    world: Arc<World>,
    client: Mutex<Option<Client>>,
}

impl Post {
    /// Nothing is told before it is opened.
    pub fn new(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self { world: Arc::clone(world), client: Mutex::new(None) })
    }

    /// Tells it to the api processes that a client knows.
    pub fn open(&self, client: Client) {
        *self.client.lock() = Some(client);
    }

    /// Tells nobody any more.
    pub fn close(&self) {
        *self.client.lock() = None;
    }

    /// What the provider did: it is told now or later, or not at all.
    pub fn send(&self, operation: &str, call: &PaymentCall, result: &PaymentResult) {
        if *result == PaymentResult::Unknown || !self.world.chance(TOLD_PER_MILLE) {
            return;
        }
        let Some(client) = self.client.lock().clone() else { return };
        let world = &self.world;
        let event = derive_id(
            "sim_provider_event",
            &[call.key(operation).as_bytes(), format!("{result:?}").as_bytes()],
        );
        for _ in 0..=world.below(TELLINGS_MAX) {
            let late = if world.chance(500) { 500 } else { LATE_MAX_MS };
            let (after, client) = (world.between(1, late), client.clone());
            let record = CommandRecord {
                command_id: CommandId(event),
                seller: seller(),
                key: call.spotlight.into(),
                correlation: CorrelationId(call.order.0),
                causation: None,
                traceparent: None,
                actor: Actor::system(),
                issued_at: world.now(),
                command: Command::Order {
                    command: OrderCommand::TellPayment {
                        order_id: call.order,
                        attempt: call.attempt,
                        result: result.clone(),
                    },
                },
            };
            client.told.lock().busy += 1;
            world.spawn(
                OUTSIDE,
                Box::pin(async move {
                    client.shop.line.sleep(after).await;
                    client.tell(record).await;
                    client.told.lock().busy -= 1;
                }),
            );
        }
    }
}
