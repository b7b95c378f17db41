//! A state as one hash field per member, so that a script can merge a patch without decoding JSON:
//! numbers stay what they were, and an empty object stays an object.

use domain::ports::PortError;
use serde_json::{Map, Value};

/// What stands for an object; no JSON value is written like this.
const OBJECT: &str = "{";
/// What stands for a removal.
const REMOVED: &str = "";

/// The members that a patch names: path and encoded value in turn, parents first.
pub fn members_of(patch: &Value) -> Vec<String> {
    let mut members = Vec::new();
    if let Value::Object(changes) = patch {
        collect(changes, "", &mut members);
    }
    members
}

fn collect(changes: &Map<String, Value>, parent: &str, members: &mut Vec<String>) {
    for (name, change) in changes {
        let path = format!("{parent}/{}", escape(name));
        match change {
            Value::Object(inner) => {
                members.push(path.clone());
                members.push(OBJECT.to_owned());
                collect(inner, &path, members);
            }
            Value::Null => members.extend([path, REMOVED.to_owned()]),
            value => members.extend([path, value.to_string()]),
        }
    }
}

/// The state that the fields of its hash make up.
///
/// # Errors
/// A field that this module did not write.
pub fn assemble(mut fields: Vec<(String, String)>) -> Result<Value, PortError> {
    fields.sort_unstable();
    let mut state = Value::Object(Map::new());
    for (path, text) in fields {
        let corrupt = || PortError::corrupt("the feed", format!("the member {path}"));
        let (parent, name) = path.rsplit_once('/').ok_or_else(corrupt)?;
        let value = if text == OBJECT {
            Value::Object(Map::new())
        } else {
            serde_json::from_str(&text).map_err(|_| corrupt())?
        };
        let parent = state.pointer_mut(parent).and_then(Value::as_object_mut);
        parent.ok_or_else(corrupt)?.insert(unescape(name), value);
    }
    Ok(state)
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn unescape(name: &str) -> String {
    name.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pairs(members: &[String]) -> Vec<(String, String)> {
        members.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
    }

    #[test]
    fn a_state_survives_being_taken_apart() {
        let state = json!({
            "a": {"b": {}, "c": [], "d": [{"e": null}], "/": 1, "~1": 2, "": {"": "{"}},
            "big": 9_007_199_254_740_993_u64, "small": -1, "text": "", "yes": true,
        });
        assert_eq!(assemble(pairs(&members_of(&state))).unwrap(), state);
    }

    #[test]
    fn parents_come_before_children() {
        let members = members_of(&json!({"a": {"b": {"c": null}}}));
        assert_eq!(members, ["/a", "{", "/a/b", "{", "/a/b/c", ""]);
    }
}
