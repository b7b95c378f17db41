//! The schemas of everything that is sent, by their names.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::live::schema::{Command, Reply};
use crate::wire::OrderBody;
use crate::wire::feed::{
    CallRefused, ChatMessage, ChatSend, ChatSent, ChatWelcome, EmulatedCommands, LikeSend, Liked,
    LiveState, OrderGet, UserMessage, UserWelcome,
};

type Schemas = BTreeMap<String, Value>;

/// What the name of a schema begins with where it is referred to.
const PLACE: &str = "#/components/schemas/";

/// All of them.
pub(super) fn schemas() -> Schemas {
    let mut schemas = Schemas::new();
    add::<Command>(&mut schemas);
    add::<Reply>(&mut schemas);
    add::<EmulatedCommands>(&mut schemas);
    add::<LiveState>(&mut schemas);
    add::<ChatMessage>(&mut schemas);
    add::<ChatWelcome>(&mut schemas);
    add::<UserMessage>(&mut schemas);
    add::<UserWelcome>(&mut schemas);
    add::<ChatSend>(&mut schemas);
    add::<ChatSent>(&mut schemas);
    add::<LikeSend>(&mut schemas);
    add::<Liked>(&mut schemas);
    add::<OrderGet>(&mut schemas);
    add::<OrderBody>(&mut schemas);
    add::<CallRefused>(&mut schemas);
    schemas
}

/// A type's name, and a reference to its schema.
pub(super) fn named<T: ToSchema>() -> (String, Value) {
    let name = T::name().into_owned();
    let place = format!("{PLACE}{name}");
    (name, json!({"$ref": place}))
}

/// The kinds of an enum that is told apart by `type`: the kind's name, and its schema.
pub(super) fn kinds<T: ToSchema>() -> Vec<(String, Value)> {
    let schema = encoded(&T::schema());
    let kinds = schema.get("oneOf").and_then(Value::as_array).cloned().unwrap_or_default();
    kinds.into_iter().filter_map(|kind| Some((kind_of(&kind)?, kind))).collect()
}

fn kind_of(schema: &Value) -> Option<String> {
    let parts = schema.get("allOf").and_then(Value::as_array)?;
    let kind = parts.iter().find_map(|part| part.pointer("/properties/type/enum/0"));
    kind.and_then(Value::as_str).map(str::to_owned)
}

fn add<T: ToSchema>(schemas: &mut Schemas) {
    let mut all = vec![(T::name().into_owned(), T::schema())];
    T::schemas(&mut all);
    schemas.extend(all.into_iter().map(|(name, schema)| (name, encoded(&schema))));
}

fn encoded(schema: &RefOr<Schema>) -> Value {
    serde_json::to_value(schema).unwrap_or_default()
}
