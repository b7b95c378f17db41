//! Who stands in line.

use commands::intake::{Decided, HostRefusal};
use domain::actor::{Actor, Role};
use domain::command::Command;
use domain::envelope::Position;
use domain::event::Event;
use domain::ids::{CommandId, OrderId, derive_id};
use domain::personal::Personal;
use domain::ports::EventReader;
use domain::spotlight::{SpotlightCommand, SpotlightEvent, Wait};

use super::{Client, OnOffer, Wish, viewer_id, viewer_ref};

/// How often somebody who waits looks for an offer.
const LOOKS_MAX: u32 = 12;

impl Client {
    /// Stands in line and answers an offer.
    pub(super) async fn wait(&self, wish: &Wish, on_offer: OnOffer) {
        let world = &self.shop.line.world;
        let wait = Wait {
            viewer_ref: viewer_ref(wish.viewer),
            lines: wish.lines.clone(),
            received_at: world.now(),
            node: "node".to_owned(),
            personal: Personal { viewer: Some(viewer_id(wish.viewer)), ..Personal::default() },
        };
        let command = SpotlightCommand::JoinWaitlist { wait: Box::new(wait), admission: None };
        let joined = self.of_line(wish, "join", command).await;
        let who = wish.viewer;
        world.note(|| match &joined {
            Ok(_) => format!("viewer {who} waits"),
            Err(refusal) => format!("viewer {who} does not wait: {}", refusal.code()),
        });
        if joined.is_err() {
            return;
        }
        if on_offer == OnOffer::Leaves {
            self.pause(100, 4_000).await;
            let viewer_ref = viewer_ref(wish.viewer);
            let left = SpotlightCommand::LeaveWaitlist { viewer_ref };
            // an offer may have come before
            let _ = self.of_line(wish, "leave", left).await;
            return;
        }
        for _ in 0..LOOKS_MAX {
            self.pause(200, 1_500).await;
            let Some(order) = self.offer(wish).await else { continue };
            match on_offer {
                OnOffer::Pays(method) => self.pay(wish, order, 9, method).await,
                OnOffer::Declines => self.cancel(wish, order).await,
                OnOffer::Forgets | OnOffer::Leaves => {}
            }
            return;
        }
    }

    /// The last offer that the viewer was made.
    async fn offer(&self, wish: &Wish) -> Option<OrderId> {
        let viewer = viewer_ref(wish.viewer);
        let events = self.shop.memory.read_key(wish.spotlight.into(), Position::START, usize::MAX);
        events.await.ok()?.into_iter().rev().find_map(|recorded| match recorded.event {
            Event::Spotlight(SpotlightEvent::WaitlistOffered { viewer_ref, order_id, .. }) => {
                (viewer_ref == viewer).then_some(order_id)
            }
            _ => None,
        })
    }

    async fn of_line(
        &self,
        wish: &Wish,
        name: &str,
        command: SpotlightCommand,
    ) -> Result<Decided, HostRefusal> {
        let id = derive_id(name, &[wish.key.as_bytes(), wish.spotlight.0.as_bytes()]);
        let subject = Some(viewer_ref(wish.viewer).as_str().to_owned());
        let actor = Actor { role: Role::Viewer, subject };
        let command = Command::Spotlight { command };
        self.submit(CommandId(id), wish.spotlight.into(), actor, command).await
    }
}
