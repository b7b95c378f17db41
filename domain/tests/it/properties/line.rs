//! What viewers do who wait, and who were made an offer.

use super::*;

impl Show {
    pub(super) fn in_line(&mut self, step: &Step) -> Option<(Uuid, Actor, Command)> {
        let system = Actor::system();
        let next = Uuid::from_u128((1 << 64) + u128::try_from(self.log.events.len()).unwrap());
        Some(match step {
            Step::Join { id, v, both, units } => {
                if !self.inbox.insert(*id) {
                    return None;
                }
                let of = [("A", *units), ("B", *units)];
                let lines = lines(if *both { &of } else { &of[..1] });
                let wait = Box::new(waits(10 + v, lines));
                let admission = Some(Admission {
                    epoch: self.live.spotlight.epoch,
                    number: 1_000 + id,
                    at: at(self.now),
                    offer_version: 1,
                });
                let command = SpotlightCommand::JoinWaitlist { wait, admission };
                let id = Uuid::from_u128(0xb0_0000 + u128::from(*id));
                (id, system, Command::Spotlight { command })
            }
            Step::Leave { id, v } => {
                if !self.inbox.insert(*id) {
                    return None;
                }
                let command = SpotlightCommand::LeaveWaitlist { viewer_ref: viewer(10 + v) };
                let id = Uuid::from_u128(0xb0_0000 + u128::from(*id));
                (id, system, Command::Spotlight { command })
            }
            Step::Offer { nth, what } => {
                let offers = &self.live.spotlight.waitlist.offers;
                let (order_id, offered) = offers.iter().nth(*nth)?;
                let (order_id, viewer) = (*order_id, offered.viewer_ref.to_string());
                let amount = self.live.orders.get(&order_id)?.order.accepted.as_ref()?.total;
                let payment =
                    PaymentChoice { provider: "simulated".to_owned(), method: "m".to_owned() };
                let command = match what {
                    0 => OrderCommand::RequestPayment { order_id, payment },
                    1 => OrderCommand::RecordPayment {
                        order_id,
                        attempt: 1,
                        result: PaymentResult::Captured { amount },
                    },
                    2 => OrderCommand::CancelOrder { order_id, reason: None },
                    _ => OrderCommand::ExpireHold { order_id },
                };
                let actor = Actor { role: Role::Viewer, subject: Some(viewer) };
                (next, actor, Command::Order { command })
            }
            _ => return None,
        })
    }
}
