//! The JSON of what readers see, written once for HTTP and sockets (contract §2).

use domain::ports::GateView;
use domain::views::{BroadcastView, OrderView, SpotlightView};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::waitlist::WaitRow;

/// The name of a broadcast's state channel on the bus and on the wire.
pub fn live_channel(broadcast: domain::ids::BroadcastId) -> String {
    format!("live:{broadcast}")
}

/// The name of a broadcast's chat on the bus and on the wire.
pub fn chat_channel(broadcast: domain::ids::BroadcastId) -> String {
    format!("chat:{broadcast}")
}

/// The name of a viewer's stream on the bus; on the wire the seller is left out. The first slash ends
/// the seller, whatever is in its name: or one seller's viewer would have another one's stream.
pub fn user_channel(seller: &domain::ids::SellerId, viewer: &domain::ids::ViewerId) -> String {
    let seller = seller.as_str().replace('%', "%25").replace('/', "%2F");
    format!("user#{seller}/{viewer}")
}

/// An order. Its `receipt` is no part of the log and is added where it is known.
pub fn order_json(order: &OrderView) -> Value {
    let payment = &order.payment;
    let mut json = json!({
        "id": order.id,
        "spotlight_id": order.spotlight_id,
        "broadcast_id": order.broadcast_id,
        "viewer": order.viewer,
        "status": order.status,
        "lines": order.lines,
        "total": order.total,
        "offer_version": order.offer_version,
        "version": order.version,
        "hold_expires_at": order.hold_expires_at,
        "payment_method": order.payment_method,
        "payment": {
            "status": payment.status,
            "retryable": payment.retryable,
            "provider": payment.provider,
            "attempts": payment.attempts,
        },
        "accepted_at": order.accepted_at,
        "updated_at": order.updated_at,
    });
    put(&mut json, "reason", order.reason.as_ref());
    put(&mut json, "refunded", order.refunded.as_ref());
    put(&mut json, "reference", order.reference.as_ref());
    put(&mut json, "metadata", order.metadata.as_ref());
    json
}

/// An order as its own viewer reads it: with what is left to do.
pub fn own_order_json(order: &OrderView) -> Value {
    let mut json = order_json(order);
    if let Some(payment) = json.get_mut("payment") {
        put(payment, "next_action", order.payment.next_action.as_ref());
    }
    json
}

/// A message of a viewer's stream.
pub fn order_message(order: &OrderView) -> Value {
    json!({"type": "order", "order": own_order_json(order)})
}

/// A place in line, as a message of a viewer's stream.
pub fn wait_message(row: &WaitRow, place: Option<u64>) -> Value {
    let mut json = json!({
        "type": "waitlist",
        "spotlight_id": row.spotlight_id,
        "lines": row.lines,
        "place": place,
        "status": row.status,
    });
    put(&mut json, "order_id", row.order_id.as_ref());
    put(&mut json, "offer_expires_at", row.offer_expires_at.as_ref());
    json
}

/// A spotlight; where the gate was asked, its stock, status and offer are the newer ones.
pub fn spotlight_json(spotlight: &SpotlightView, gate: Option<&GateView>) -> Value {
    let (status, offer, inventory) = gate
        .map_or((spotlight.status, &spotlight.offer, &spotlight.inventory), |gate| {
            (gate.status, &gate.offer.offer, &gate.inventory)
        });
    let skus: Vec<Value> = spotlight
        .skus
        .iter()
        .map(|terms| {
            let mut sku = json!({"sku": terms.sku, "live_price": offer.unit_price(&terms.sku)});
            put(&mut sku, "name", terms.name.as_ref());
            sku
        })
        .collect();
    let mut json = json!({
        "id": spotlight.id,
        "broadcast_id": spotlight.broadcast_id,
        "status": status,
        "product": spotlight.product,
        "offer": {"version": offer.version, "live_price": offer.live_price},
        "skus": skus,
        "opens_at": spotlight.opens_at,
        "closes_at": spotlight.closes_at,
        "per_viewer_limit": spotlight.per_viewer_limit,
        "hold_seconds": spotlight.hold_seconds,
        "inventory": inventory,
        "created_at": spotlight.created_at,
        "opened_at": spotlight.opened_at,
        "closed_at": spotlight.closed_at,
    });
    let withdrawal = spotlight.withdrawal.map(|withdrawal| {
        json!({
            "offer_version": withdrawal.offer_version,
            "settle": withdrawal.settle,
            "total": withdrawal.total,
            "done": withdrawal.done,
            "failed": withdrawal.failed,
        })
    });
    put(&mut json, "abandoned_hold_seconds", spotlight.abandoned_hold_seconds.as_ref());
    put(&mut json, "withdrawal", withdrawal.as_ref());
    put(&mut json, "reference", spotlight.reference.as_ref());
    put(&mut json, "metadata", spotlight.metadata.as_ref());
    json
}

/// A broadcast.
pub fn broadcast_json(broadcast: &BroadcastView) -> Value {
    json!({
        "id": broadcast.id,
        "seller": broadcast.seller,
        "title": broadcast.title,
        "currency": broadcast.currency,
        "status": broadcast.status,
        "starts_at": broadcast.starts_at,
        "started_at": broadcast.started_at,
        "ended_at": broadcast.ended_at,
        "created_at": broadcast.created_at,
    })
}

/// A broadcast's part of the room's state.
pub fn broadcast_state(broadcast: &BroadcastView) -> Value {
    json!({"broadcast": {
        "id": broadcast.id,
        "title": broadcast.title,
        "status": broadcast.status,
    }})
}

/// A spotlight's part of the room's state: a member without a value is absent, since a merge patch
/// cannot carry null.
pub fn spotlight_state(spotlight: &SpotlightView) -> Value {
    let mut json = spotlight_json(spotlight, None);
    drop_nulls(&mut json);
    json!({"spotlights": {spotlight.id.to_string(): json}})
}

/// The merge patch from one state to a later one; `None` where nothing changed.
pub fn difference(before: &Value, after: &Value) -> Option<Value> {
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return (before != after).then(|| after.clone());
    };
    let mut patch = Map::new();
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    for (name, value) in new {
        let change =
            old.get(name).map_or_else(|| Some(value.clone()), |old| difference(old, value));
        if let Some(change) = change {
            patch.insert(name.clone(), change);
        }
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

pub(super) fn put(json: &mut Value, name: &str, value: Option<&impl Serialize>) {
    let encoded = value.and_then(|value| serde_json::to_value(value).ok());
    if let (Some(members), Some(encoded)) = (json.as_object_mut(), encoded) {
        members.insert(name.to_owned(), encoded);
    }
}

fn drop_nulls(json: &mut Value) {
    if let Value::Object(members) = json {
        members.retain(|_, value| !value.is_null());
        members.values_mut().for_each(drop_nulls);
    }
}

#[cfg(test)]
mod tests {
    use super::super::merge_patch;
    use super::*;

    #[test]
    fn no_two_viewers_share_a_stream() {
        use domain::ids::{SellerId, ViewerId};
        let of = |seller: &str, viewer: &str| {
            user_channel(&SellerId::try_new(seller).unwrap(), &ViewerId::try_new(viewer).unwrap())
        };
        assert_eq!(of("acme", "ana"), "user#acme/ana");
        let names = ["a", "b", "a/b", "b/a", "a%2Fb", "a%b", "a%25b", "/", "%"];
        let all: std::collections::BTreeSet<String> =
            names.iter().flat_map(|seller| names.map(|viewer| of(seller, viewer))).collect();
        assert_eq!(all.len(), names.len() * names.len());
        let viewer = |channel: &str| channel.split_once('/').unwrap().1.to_owned();
        assert_eq!(viewer(&of("a/b", "c/d")), "c/d");
    }

    #[test]
    fn the_difference_leads_from_one_state_to_the_other() {
        let states = [
            json!({}),
            json!({"a": {"b": 1, "c": [1, 2]}, "d": "x"}),
            json!({"a": {"b": 2, "c": [1, 2]}}),
            json!({"a": {"c": [1]}, "d": {"e": {}}}),
            json!({"a": 5, "d": {"e": {"f": 1}}}),
        ];
        for before in &states {
            for after in &states {
                let mut state = before.clone();
                if let Some(patch) = difference(before, after) {
                    merge_patch(&mut state, &patch);
                }
                assert_eq!(state, *after, "from {before}");
            }
            assert_eq!(difference(before, before), None);
        }
    }
}
