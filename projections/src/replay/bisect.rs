//! The first position where something was true.
//!
//! A predicate is an expression of the Common Expression Language over the state of `at --json`:
//! `spotlights["ID"].stock["CUP"].remaining == 0`, `order.status == "failed"`,
//! `spotlights.exists(id, spotlights[id].orders.open > 100) && position > 500`. A path that is not
//! there at a position is *not true* there.

use std::collections::HashMap;
use std::sync::Arc;

use cel::objects::{Key, Map};
use cel::{Context, ExecutionError, Program, Value as Cel};
use domain::Timestamp;
use domain::envelope::{Position, Recorded};
use domain::ids::EventId;
use domain::ports::EventReader;
use serde::Serialize;
use serde_json::Value;

use super::at::key_of;
use super::order_log::AskError;
use super::pages::Pages;
use super::state::{Scope, State, StateFold};

/// Characters of the longest predicate.
pub const PREDICATE_CHARS_MAX: usize = 1_000;

/// Where a predicate turned true.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hit {
    /// After the event at this position.
    pub position: Position,
    /// That event.
    pub event_id: EventId,
    /// Its type.
    pub event: String,
    /// When it was stored.
    pub recorded_at: Timestamp,
    /// The state after it.
    pub state: State,
}

/// The answer of a bisection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bisected {
    /// What was asked.
    pub predicate: String,
    /// How many events were looked at.
    pub events: u64,
    /// Whether a path of it was missing at every position: it may be misspelt.
    pub never_evaluated: bool,
    /// Where it turned true; absent where it never did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hit: Option<Hit>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum BisectError {
    /// The predicate is none.
    #[error("the predicate {0}")]
    Predicate(String),
    /// The log has no answer.
    #[error(transparent)]
    Ask(#[from] AskError),
}

/// A predicate, compiled.
pub struct Predicate {
    text: String,
    program: Program,
}

impl Predicate {
    /// Compiles an expression.
    ///
    /// # Errors
    /// [`BisectError::Predicate`] where it is too long or does not parse.
    pub fn try_new(text: &str) -> Result<Self, BisectError> {
        if text.chars().count() > PREDICATE_CHARS_MAX {
            let wrong = format!("has more than {PREDICATE_CHARS_MAX} characters");
            return Err(BisectError::Predicate(wrong));
        }
        let program = Program::compile(text)
            .map_err(|error| BisectError::Predicate(format!("does not parse: {error}")))?;
        Ok(Self { text: text.to_owned(), program })
    }

    /// Whether it is true; nothing where one of its paths is not there.
    fn judge(&self, values: &Values) -> Result<Option<bool>, BisectError> {
        let mut context = Context::default();
        values.bind(&mut context);
        match self.program.execute(&context) {
            Ok(Cel::Bool(answer)) => Ok(Some(answer)),
            Ok(_) => Err(BisectError::Predicate("is no condition: it gives a value".to_owned())),
            Err(ExecutionError::NoSuchKey(_)) => Ok(None),
            Err(error) => Err(BisectError::Predicate(format!("cannot be judged: {error}"))),
        }
    }
}

/// The state as the expression sees it; only the part that changed is made anew.
struct Values {
    names: HashMap<&'static str, Cel>,
    spotlights: Arc<HashMap<Key, Cel>>,
}

impl Values {
    fn new() -> Self {
        let empty = || Cel::Map(Map { map: Arc::default() });
        let names = ["broadcasts", "order", "viewer"].map(|name| (name, empty()));
        Self { names: names.into(), spotlights: Arc::default() }
    }

    fn update(&mut self, fold: &mut StateFold, event: &Recorded) -> Result<(), serde_json::Error> {
        let changed = fold.take(event);
        let state = fold.state();
        if let Some((id, spotlight)) =
            changed.and_then(|id| state.spotlights.get(&id).map(|spotlight| (id, spotlight)))
        {
            let value = cel_of(serde_json::to_value(spotlight)?);
            Arc::make_mut(&mut self.spotlights).insert(text_key(id.to_string()), value);
        }
        if matches!(event.event, domain::event::Event::Broadcast(_)) {
            self.names.insert("broadcasts", cel_of(serde_json::to_value(&state.broadcasts)?));
        }
        if let Some(order) = &state.order {
            self.names.insert("order", cel_of(serde_json::to_value(order)?));
        }
        if let Some(viewer) = &state.viewer {
            self.names.insert("viewer", cel_of(serde_json::to_value(viewer)?));
        }
        let position = i64::try_from(state.position.0).unwrap_or(i64::MAX);
        self.names.insert("position", Cel::Int(position));
        let time = event.recorded_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        self.names.insert("time", Cel::String(Arc::new(time)));
        Ok(())
    }

    fn bind(&self, context: &mut Context<'_, '_>) {
        for (name, value) in &self.names {
            context.add_variable_from_value(*name, value.clone());
        }
        let spotlights = Cel::Map(Map { map: Arc::clone(&self.spotlights) });
        context.add_variable_from_value("spotlights", spotlights);
    }
}

fn text_key(text: String) -> Key {
    Key::String(Arc::new(text))
}

fn cel_of(value: Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(answer) => Cel::Bool(answer),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Cel::Int(number),
            None => Cel::Float(number.as_f64().unwrap_or(f64::MAX)),
        },
        Value::String(text) => Cel::String(Arc::new(text)),
        Value::Array(items) => Cel::List(Arc::new(items.into_iter().map(cel_of).collect())),
        Value::Object(members) => {
            let members =
                members.into_iter().map(|(name, member)| (text_key(name), cel_of(member)));
            Cel::Map(Map { map: Arc::new(members.collect()) })
        }
    }
}

/// Looks at every position, because what turns true may turn false again. `progress` is told of
/// every page.
///
/// # Errors
/// [`BisectError`].
pub async fn bisect(
    reader: &dyn EventReader,
    predicate: &Predicate,
    scope: &Scope,
    progress: &mut (dyn FnMut(Position, Position) + Send),
) -> Result<Bisected, BisectError> {
    let unwritable = |error: serde_json::Error| BisectError::Predicate(error.to_string());
    let end = reader.head().await.map_err(AskError::Store)?;
    let key = key_of(reader, scope).await?;
    let mut pages = Pages::new(reader, key, end);
    let (mut fold, mut values) = (StateFold::new(scope.clone()), Values::new());
    let mut told =
        Bisected { predicate: predicate.text.clone(), events: 0, never_evaluated: true, hit: None };
    loop {
        let page = pages.next().await.map_err(AskError::Store)?;
        let Some(last) = page.last() else { return Ok(told) };
        for event in &page {
            values.update(&mut fold, event).map_err(unwritable)?;
            told.events += 1;
            let answer = predicate.judge(&values)?;
            told.never_evaluated &= answer.is_none();
            if answer == Some(true) {
                told.hit = Some(Hit {
                    position: event.position,
                    event_id: event.event_id,
                    event: event.event.event_type(),
                    recorded_at: event.recorded_at,
                    state: fold.state().clone(),
                });
                return Ok(told);
            }
        }
        progress(last.position, end);
    }
}
