//! The document as it is committed, and whether it is whole.

use super::*;

#[test]
fn the_committed_document_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi/asyncapi.json");
    crate::bless::check(path, &document_json().expect("JSON"));
}

fn references(value: &Value, all: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            all.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| references(value, all));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, all)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut all = vec![];
    references(&document, &mut all);
    assert!(all.len() > 100, "{}", all.len());
    for reference in all {
        let place = reference.strip_prefix('#').expect("a place in the document");
        assert!(document.pointer(place).is_some(), "{reference}");
    }
}

#[test]
fn every_message_of_a_channel_has_an_operation() {
    let document = document();
    let (channels, operations) = (&document["channels"], &document["operations"]);
    let mut used = vec![];
    references(operations, &mut used);
    for (name, channel) in channels.as_object().expect("channels") {
        for message in channel["messages"].as_object().expect("messages").keys() {
            let place = format!("#/channels/{name}/messages/{message}");
            assert!(used.contains(&place), "{place}");
        }
    }
}
