//! Viewers of a sale, on the official SDKs and on our own client, whose record of their own
//! orders is compared with the end that each order came to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;

use super::crowd::{Crowd, Sdk};
use super::shop::Shop;
use super::viewer::{Seen, Viewer, faults_of};

/// How long the last push may take on a busy machine, after its order was read as ended.
const SEEN_WITHIN: Duration = Duration::from_secs(90);

/// What one viewer saw, by its name.
struct Witness {
    client: &'static str,
    viewer: String,
    seen: Arc<Mutex<Seen>>,
}

/// All viewers of a sale.
pub struct Witnesses {
    watching: Vec<Witness>,
    own: Vec<Viewer>,
    crowds: [(&'static str, Crowd); 2],
}

impl Witnesses {
    pub fn none() -> Self {
        let crowds = [
            ("JavaScript SDK", Crowd::start(Sdk::JavaScript)),
            ("Python SDK", Crowd::start(Sdk::Python)),
        ];
        Self { watching: vec![], own: vec![], crowds }
    }

    /// A viewer on our own client, which asks for its node before each try to connect.
    pub fn own(
        &mut self,
        shop: &Shop,
        viewer: &str,
        broadcast: &str,
        address: impl Fn(u64) -> String + Send + 'static,
    ) {
        let started = Viewer::start(viewer, shop.token("viewer", viewer), broadcast, address);
        let seen = started.seen();
        self.own.push(started);
        self.watching.push(Witness { client: "own client", viewer: viewer.to_owned(), seen });
    }

    /// The same viewer's orders on each official SDK, at one node.
    pub async fn official(&mut self, shop: &Shop, viewer: &str, broadcast: &str, address: &str) {
        for (client, crowd) in &mut self.crowds {
            crowd.join(viewer, address, &shop.token("viewer", viewer), broadcast).await;
            let seen = crowd.seen(viewer);
            self.watching.push(Witness { client, viewer: viewer.to_owned(), seen });
        }
    }

    /// Waits until all are connected.
    pub async fn connected(&mut self) {
        for viewer in &mut self.own {
            viewer.connected().await;
        }
        for (_, crowd) in &self.crowds {
            crowd.connected().await;
        }
    }

    /// Every viewer saw each step of its own orders once and in order, up to the end. Where the
    /// feed's history was lost, a viewer may have been told so, and read its orders instead.
    ///
    /// `orders` names the viewer of each order, `ends` what became of it.
    pub async fn check(
        self,
        orders: &BTreeMap<String, String>,
        ends: &BTreeMap<String, Value>,
        history_lost: bool,
    ) {
        let until = Instant::now() + SEEN_WITHIN;
        loop {
            let faults: Vec<String> = self
                .watching
                .iter()
                .flat_map(|witness| witness.faults(orders, ends, history_lost))
                .collect();
            if faults.is_empty() {
                return;
            }
            assert!(
                Instant::now() < until,
                "{} faults, first {:#?}",
                faults.len(),
                &faults[..faults.len().min(5)]
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Witness {
    fn faults(
        &self,
        orders: &BTreeMap<String, String>,
        ends: &BTreeMap<String, Value>,
        history_lost: bool,
    ) -> Vec<String> {
        let seen = self.seen.lock();
        let mut faults = seen.breaks.clone();
        if seen.live == 0 {
            faults.push("saw no stock".to_owned());
        }
        if seen.not_recovered > 0 && !history_lost {
            faults.push("was not recovered though no history was lost".to_owned());
        }
        if seen.not_recovered == 0 {
            for (order, _) in orders.iter().filter(|(_, viewer)| **viewer == self.viewer) {
                let steps = seen.orders.get(order).map_or(&[][..], Vec::as_slice);
                let wrong = faults_of(steps, &ends[order]);
                faults.extend(wrong.into_iter().map(|fault| format!("{order}: {fault}")));
            }
        }
        let name = format!("{} on the {}", self.viewer, self.client);
        faults.into_iter().map(|fault| format!("{name}: {fault}")).collect()
    }
}
