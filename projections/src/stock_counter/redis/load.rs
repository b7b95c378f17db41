//! A snapshot into the gate: put together in temporary keys, then swapped in by one script.

use domain::ports::{GateSnapshot, Loaded, PortError, SnapshotOrder};
use domain::spotlight::SpotlightStatus;

use super::keys::GateKeys;
use super::reply::{Reply, corrupt};
use super::{RedisGate, encode};

/// Orders that one script loads; Redis does nothing else meanwhile.
const LOAD_CHUNK: usize = 500;
/// How long temporary keys live that nobody swapped in, in seconds.
const TEMPORARY_SECONDS: u64 = 600;

impl RedisGate {
    pub(super) async fn load_whole(&self, snapshot: &GateSnapshot) -> Result<Loaded, PortError> {
        let spotlight = snapshot.spotlight;
        let keys = self.keys(spotlight);
        let token = self.new_token(&keys).await?;
        let temporary = GateKeys::temporary(&self.prefix, spotlight, &token);
        for orders in snapshot.orders.chunks(LOAD_CHUNK) {
            self.load_chunk(&temporary, snapshot.per_viewer_limit, orders).await?;
        }
        // before the swap, so that nobody meets the new state without its script; a swap that is
        // refused leaves a script whose token no state has
        self.load_take(spotlight, &keys, &token).await?;
        let loaded = self.swap(snapshot, &keys, &temporary, &token).await?;
        if loaded == Loaded::Done {
            self.seen.stands(spotlight, token, || self.keys(spotlight));
            // sets the time to live where the spotlight is over already
            self.apply_all(spotlight, &[]).await?;
        }
        Ok(loaded)
    }

    async fn load_chunk(
        &self,
        temporary: &GateKeys,
        limit: Option<u32>,
        orders: &[SnapshotOrder],
    ) -> Result<(), PortError> {
        let mut args = vec![optional(limit), TEMPORARY_SECONDS.to_string().into_bytes()];
        for order in orders {
            args.push(order.order.to_string().into_bytes());
            args.push(encode::entry(order));
            args.push(order.returned.to_string().into_bytes());
        }
        self.link.run(&self.scripts.load_chunk, temporary.all(), &args).await?;
        Ok(())
    }

    async fn swap(
        &self,
        snapshot: &GateSnapshot,
        keys: &GateKeys,
        temporary: &GateKeys,
        token: &str,
    ) -> Result<Loaded, PortError> {
        let offer = &snapshot.offer;
        let (before, after) = encode::around(offer.broadcast, &offer.seller, offer.hold_seconds)?;
        let whole = format!("{before}{}{after}", encode::json(&offer.offer)?);
        let version = offer.offer.version.to_string();
        let status = match snapshot.status {
            SpotlightStatus::Scheduled => "S",
            SpotlightStatus::Open => "O",
            SpotlightStatus::Paused => "P",
            SpotlightStatus::Closed => "C",
        };
        let mut args = vec![
            snapshot.epoch.to_string().into_bytes(),
            encode::units_by_sku(&snapshot.limits).into_bytes(),
            encode::units_by_sku(&snapshot.kept).into_bytes(),
            encode::units_by_viewer(&snapshot.waiting).into_bytes(),
        ];
        let versioned = format!("o{version}");
        let fields: [(&str, Vec<u8>); 18] = [
            ("tk", token.into()),
            ("no", "0".into()),
            ("st", status.into()),
            ("op", encode::optional_time(snapshot.opens_at).into()),
            ("cl", encode::optional_time(snapshot.closes_at).into()),
            ("li", optional(snapshot.per_viewer_limit)),
            ("se", offer.seller.as_str().into()),
            ("ve", version.into()),
            (&versioned, whole.clone().into()),
            ("of", whole.into()),
            ("oa", before.into()),
            ("ob", after.into()),
            ("ap", snapshot.applied.to_string().into()),
            ("re", "0".into()),
            ("un", "0".into()),
            ("hp", "0".into()),
            ("hc", "0".into()),
            ("ho", "0".into()),
        ];
        for (field, value) in fields {
            args.push(field.as_bytes().to_vec());
            args.push(value);
        }
        let both: Vec<String> = keys.all().iter().chain(temporary.all()).cloned().collect();
        let mut reply = Reply::of(self.link.run(&self.scripts.load_swap, &both, &args).await?)?;
        match reply.text()?.as_str() {
            "done" => Ok(Loaded::Done),
            "nothigher" => Ok(Loaded::NotHigher { epoch: reply.number()? }),
            other => Err(corrupt(format!("{other:?} answers no load"))),
        }
    }
}

fn optional(limit: Option<u32>) -> Vec<u8> {
    limit.map_or_else(Vec::new, |limit| limit.to_string().into_bytes())
}
