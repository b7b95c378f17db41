//! Every event version has a frozen fixture, a schema that fits it, and a row in the catalogue.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use domain::cloudevents;
use domain::envelope::Metadata;
use domain::event::{EVENT_TYPES, StreamKind};
use domain::upcast;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::schema::errors;
use crate::support;

#[derive(Deserialize)]
struct Fixture<'a> {
    kind: StreamKind,
    r#type: String,
    version: String,
    ce_type: String,
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(borrow)]
    metadata: &'a RawValue,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files(folder: &str) -> Vec<(String, String)> {
    let mut files: Vec<_> = fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} is empty");
    files
}

fn fixtures() -> Vec<(String, String)> {
    files("tests/fixtures/events")
}

fn schema(ce_type: &str) -> Value {
    let path = root().join(format!("openapi/events/{ce_type}.schema.json"));
    let text =
        fs::read_to_string(&path).unwrap_or_else(|_| panic!("{} is missing", path.display()));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn each_decodes_and_encodes_to_the_same_bytes() {
    for (name, text) in fixtures() {
        let fixture: Fixture<'_> = serde_json::from_str(&text).unwrap();
        let Fixture { kind, r#type, version, payload, .. } = &fixture;
        assert_eq!(name, format!("{type}.v{version}.json"));
        let event = upcast::decode(*kind, r#type, version, payload.get()).unwrap();
        if event.event_version() == *version && event.event_type() == *r#type {
            assert_eq!(event.to_payload().unwrap(), payload.get(), "{name}");
        }
        assert_eq!(cloudevents::type_name(*kind, r#type, version), fixture.ce_type);
        let map: BTreeMap<String, String> = serde_json::from_str(fixture.metadata.get()).unwrap();
        let metadata = Metadata::from_map(&map).unwrap();
        assert_eq!(serde_json::to_string(&metadata.to_map()).unwrap(), fixture.metadata.get());
    }
}

#[test]
fn each_type_has_one() {
    let known: BTreeSet<String> = fixtures().into_iter().map(|(name, _)| name).collect();
    for (_, name, version) in EVENT_TYPES {
        assert!(known.contains(&format!("{name}.v{version}.json")), "{name} has no fixture");
    }
}

#[test]
fn the_list_of_types_is_whole() {
    let listed: BTreeSet<_> = EVENT_TYPES.iter().map(|(_, name, _)| (*name).to_owned()).collect();
    assert_eq!(listed.len(), EVENT_TYPES.len(), "a type is listed twice");
    let source: String = ["broadcast", "spotlight", "reservation", "order"]
        .iter()
        .map(|kind| fs::read_to_string(root().join(format!("domain/src/{kind}/event.rs"))).unwrap())
        .collect();
    let named: BTreeSet<_> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Self::"))
        .filter_map(|line| line.split_once("=> \""))
        .map(|(_, rest)| rest.trim_end_matches("\",").to_owned())
        // reasons are named as well, in small letters
        .filter(|name| name.starts_with(char::is_uppercase))
        .collect();
    assert_eq!(listed, named);
}

#[test]
fn each_fits_its_schema_and_nothing_less_does() {
    for (name, text) in fixtures() {
        let fixture: Fixture<'_> = serde_json::from_str(&text).unwrap();
        let schema = schema(&fixture.ce_type);
        assert_eq!(schema["$id"], cloudevents::schema_of(&fixture.ce_type));
        let payload: Value = serde_json::from_str(fixture.payload.get()).unwrap();
        assert_eq!(errors(&schema, &payload), Vec::<String>::new(), "{name}");
        let fields = payload[&fixture.r#type].as_object().unwrap();
        let described = &schema["properties"][&fixture.r#type];
        for field in fields.keys() {
            let required =
                described["required"].as_array().unwrap().contains(&field.as_str().into());
            let mut less = payload.clone();
            less[&fixture.r#type].as_object_mut().unwrap().remove(field);
            let decodes =
                upcast::decode(fixture.kind, &fixture.r#type, &fixture.version, &less.to_string())
                    .is_ok();
            assert_eq!(!errors(&schema, &less).is_empty(), required, "{name} without {field}");
            // `personal` of an order has a default for reading, and is always written
            assert_eq!(decodes, !required || field == "personal", "{name} without {field}");
        }
        let mut more = payload.clone();
        more[&fixture.r#type]["surprise"] = 1.into();
        assert!(!errors(&schema, &more).is_empty(), "{name} with a surprise");
    }
}

#[test]
fn what_decisions_write_fits_the_schemas() {
    let events = [
        support::holding(1),
        vec![support::broadcast_scheduled(), support::broadcast_ended()],
        vec![support::paused(), support::resumed(), support::closed(), support::reopened(2)],
        vec![support::adjusted("A", 1, None), support::offer_changed(2, 100)],
        vec![support::authorized(1), support::captured(1), support::confirmed(1), support::sold(1)],
    ]
    .concat();
    for event in events {
        let kind = support::stream_of(&event).kind;
        let ce_type = cloudevents::type_name(kind, &event.event_type(), &event.event_version());
        let payload = serde_json::from_str(&event.to_payload().unwrap()).unwrap();
        assert_eq!(errors(&schema(&ce_type), &payload), Vec::<String>::new(), "{ce_type}");
    }
}

#[test]
fn a_field_that_came_later_fits_the_schema_of_its_version() {
    let terms =
        domain::spotlight::SpotlightTerms { abandoned_hold_seconds: Some(30), ..support::terms() };
    let terms = Box::new(terms);
    let event = domain::spotlight::SpotlightEvent::SpotlightScheduled { terms };
    let payload = domain::event::Event::Spotlight(event).to_payload().unwrap();
    let payload = serde_json::from_str(&payload).unwrap();
    let schema = schema("onair.spotlight.scheduled.v1");
    assert_eq!(errors(&schema, &payload), Vec::<String>::new());
}

#[test]
fn each_stands_in_the_catalogue() {
    let catalogue = fs::read_to_string(root().join("docs/EVENTS.md")).unwrap();
    for (kind, name, version) in EVENT_TYPES {
        let ce_type = cloudevents::type_name(*kind, name, version);
        assert!(catalogue.contains(&format!("| `{name}` |")), "{name}");
        assert!(catalogue.contains(&format!("openapi/events/{ce_type}.schema.json")), "{ce_type}");
    }
    assert_eq!(files("openapi/events").len(), EVENT_TYPES.len());
}

#[test]
fn what_names_a_person_is_found_wherever_an_event_has_it() {
    for (name, text) in fixtures() {
        let fixture: Fixture<'_> = serde_json::from_str(&text).unwrap();
        let Fixture { kind, r#type, version, payload, .. } = &fixture;
        let mut event = upcast::decode(*kind, r#type, version, payload.get()).unwrap();
        // what the shop says of its own offer names nobody
        let names = payload.get().contains("\"personal\"") && r#type != "SpotlightScheduled";
        assert_eq!(event.personal().is_some_and(|personal| !personal.is_empty()), names, "{name}");
        let Some(personal) = event.personal_mut() else { continue };
        let key = domain::personal_key::PersonalKey::new([7; 32]);
        let id = domain::ids::EventId(uuid::Uuid::nil());
        *personal = key.seal(personal, id).unwrap();
        let stored: Value = serde_json::from_str(&event.to_payload().unwrap()).unwrap();
        assert_eq!(errors(&schema(&fixture.ce_type), &stored), Vec::<String>::new(), "{name}");
    }
}
