//! What may be done with what an operation answered: the links of the OpenAPI document.

use serde_json::{Value, json};
use utoipa::openapi::link::LinkBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{OpenApi, RefOr};

/// The id of what was answered.
const ANSWERED: &str = "$response.body#/id";
/// The id that the path named.
const NAMED: &str = "$request.path.id";

/// From which operation's answer, under which status, to which operations, by which id.
const LINKS: &[(&str, &str, &str, &[&str])] = &[
    (
        "createBroadcast",
        "201",
        ANSWERED,
        &["readBroadcast", "startBroadcast", "listSpotlights", "joinBroadcast"],
    ),
    ("startBroadcast", "200", ANSWERED, &["createSpotlight", "readMetrics", "endBroadcast"]),
    (
        "createSpotlight",
        "201",
        ANSWERED,
        &[
            "readSpotlight",
            "openSpotlight",
            "pauseSpotlight",
            "resumeSpotlight",
            "closeSpotlight",
            "adjustStock",
            "changeOffer",
            "withdrawOffer",
            "joinWaitlist",
            "placeOrder",
        ],
    ),
    ("readSpotlight", "200", ANSWERED, &["joinWaitlist", "placeOrder"]),
    ("placeOrder", "202", ANSWERED, &["readOrder", "cancelOrder", "payOrder", "refundOrder"]),
    ("joinWaitlist", "202", NAMED, &["readWaitlist", "leaveWaitlist"]),
    (
        "createWebhookEndpoint",
        "201",
        ANSWERED,
        &[
            "readWebhookEndpoint",
            "rotateWebhookSecret",
            "listWebhookDeliveries",
            "deleteWebhookEndpoint",
        ],
    ),
];

/// What is sent along, where more than an id leads on.
fn body(to: &str) -> Option<Value> {
    let offered = || json!([{"sku": "$response.body#/skus/0/sku", "quantity": 1}]);
    match to {
        "placeOrder" => Some(json!({
            "spotlight_id": ANSWERED,
            "offer_version": "$response.body#/offer/version",
            "lines": offered(),
        })),
        "joinWaitlist" => Some(json!({"lines": offered()})),
        "withdrawOffer" => Some(json!({
            "offer_version": "$response.body#/offer/version",
            "settle": "cancel",
            "reason": "a wrong price",
        })),
        "adjustStock" => Some(json!({
            "sku": "$response.body#/skus/0/sku", "delta": 1, "reason": "more came in",
        })),
        "createSpotlight" => {
            let price = json!({"minor": 19_900, "currency": "$response.body#/currency"});
            Some(json!({
                "product": {"id": "p-1", "name": "Lamp", "original_price": price},
                "live_price": price,
                "skus": [{"sku": "lamp", "limited_quantity": 5}],
            }))
        }
        "payOrder" => Some(json!({"method": "sim_ok"})),
        _ => None,
    }
}

/// Writes the links into the document.
pub fn add(document: &mut OpenApi) {
    let operations = document.paths.paths.values_mut().flat_map(operations);
    for operation in operations {
        let Some(name) = operation.operation_id.clone() else { continue };
        for (from, status, id, targets) in LINKS {
            if *from != name {
                continue;
            }
            let Some(RefOr::T(response)) = operation.responses.responses.get_mut(*status) else {
                continue;
            };
            for to in *targets {
                let mut link = LinkBuilder::new().operation_id(*to);
                if *to != "placeOrder" {
                    link = link.parameter("id", *id);
                }
                link = link.request_body(body(to));
                response.links.insert((*to).to_owned(), RefOr::T(link.build()));
            }
        }
    }
}

fn operations(path: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut path.get, &mut path.post, &mut path.put, &mut path.delete].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every link that is written here stands in the document, from and to an operation of it.
    #[test]
    fn each_link_leads_from_an_answer_to_an_operation() {
        let document = serde_json::to_value(crate::openapi::document()).expect("JSON");
        let paths = document["paths"].as_object().expect("paths");
        let all: Vec<&Value> = paths
            .values()
            .flat_map(|path| path.as_object().expect("operations").values())
            .collect();
        let find = |name: &str| all.iter().find(|it| it["operationId"] == name);
        for (from, status, id, targets) in LINKS {
            let answer = &find(from).expect("is an operation")["responses"][*status];
            for to in *targets {
                let target = find(to).unwrap_or_else(|| panic!("{to} is no operation"));
                let link = &answer["links"][*to];
                assert_eq!(link["operationId"], *to, "{from} {status}");
                let by_id = target["parameters"]
                    .as_array()
                    .is_some_and(|all| all.iter().any(|it| it["name"] == "id"));
                let named = if by_id { json!({"id": id}) } else { Value::Null };
                assert_eq!(link["parameters"], named, "{from} to {to}");
            }
        }
    }
}
