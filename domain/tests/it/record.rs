use domain::actor::{Actor, Role};
use domain::command::{Command, CommandRecord};
use domain::ids::{CommandId, CorrelationId, ViewerId};
use domain::order::{OrderCommand, PlaceOrder};
use domain::personal::Personal;
use serde_json::json;
use uuid::Uuid;

use crate::support::{NOW, admission, at, placed, seller, spotlight};

fn record(place: PlaceOrder) -> CommandRecord {
    CommandRecord {
        command_id: CommandId(Uuid::from_u128(7)),
        seller: seller(),
        key: spotlight().into(),
        correlation: CorrelationId(place.order_id.0),
        causation: None,
        traceparent: None,
        actor: Actor { role: Role::Viewer, subject: Some(place.viewer_ref.to_string()) },
        issued_at: at(NOW),
        command: Command::Order { command: OrderCommand::PlaceOrder { place: Box::new(place) } },
    }
}

fn written(what: &str) -> Personal {
    let metadata = json!({"admission": {"a": {"b": {"c": what}}}, "}}}}": what});
    Personal {
        viewer: Some(ViewerId::try_new("ana").unwrap()),
        name: Some(what.to_owned()),
        reference: Some(what.to_owned()),
        metadata: metadata.as_object().cloned(),
        ..Personal::default()
    }
}

#[test]
fn an_order_is_admitted_in_its_text() {
    let nobody = Personal::default();
    for personal in [nobody, written("plain"), written("}}}}"), written("\"}}}},\"admission\":")] {
        for payment in [None, placed(1).payment] {
            let asked =
                PlaceOrder { admission: None, payment, personal: personal.clone(), ..placed(1) };
            let admitted = PlaceOrder { admission: Some(admission(3)), ..asked.clone() };
            let (before, after) = (record(asked), record(admitted));
            let text = before.admitted_json(&before.to_json().unwrap(), admission(3)).unwrap();
            assert_eq!(text, after.to_json().unwrap());
            assert_eq!(serde_json::from_str::<CommandRecord>(&text).unwrap(), after);
        }
    }
}
