//! JSON merge patch (RFC 7396).

use serde_json::{Map, Value};

/// Merges `patch` into `target`: a null removes a member, an object is merged, anything else
/// replaces.
pub fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else { return };
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
        } else {
            merge_patch(members.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}

/// Adds a later patch to an earlier one, so that merging the sum is merging one after the other.
/// `false` where one patch cannot say both, because something removed or replaced becomes an object
/// again; then `sum` must be sent before `later`, and is unchanged.
pub fn add_patch(sum: &mut Value, later: &Value) -> bool {
    if !can_add(sum, later) {
        return false;
    }
    add(sum, later);
    true
}

fn can_add(sum: &Value, later: &Value) -> bool {
    match (sum, later) {
        (Value::Object(members), Value::Object(changes)) => changes
            .iter()
            .all(|(name, change)| members.get(name).is_none_or(|member| can_add(member, change))),
        (_, later) => !later.is_object(),
    }
}

fn add(sum: &mut Value, later: &Value) {
    match (sum, later) {
        (Value::Object(members), Value::Object(changes)) => {
            for (name, change) in changes {
                match members.get_mut(name) {
                    Some(member) => add(member, change),
                    None => {
                        members.insert(name.clone(), change.clone());
                    }
                }
            }
        }
        (sum, later) => *sum = later.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_examples_of_rfc_7396() {
        let cases = [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"a":"b"}), json!(["c"]), json!(["c"])),
            (json!({"a":"foo"}), json!(null), json!(null)),
            (json!({"a":"foo"}), json!("bar"), json!("bar")),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ];
        for (mut target, patch, expected) in cases {
            merge_patch(&mut target, &patch);
            assert_eq!(target, expected, "{patch}");
        }
    }

    #[test]
    fn a_sum_of_patches_does_what_they_do() {
        let mut one_by_one = json!({"spotlights": {"a": {"status": "open", "left": 3, "gone": 1}}});
        let mut at_once = one_by_one.clone();
        let patches = [
            json!({"spotlights": {"a": {"left": 2}}, "t": 1}),
            json!({"spotlights": {"a": {"gone": null}, "b": {"left": 9}}, "t": 2}),
            json!({"spotlights": {"a": {"left": 1, "status": "paused"}}, "t": 3}),
        ];
        let mut sum = json!({});
        for patch in &patches {
            merge_patch(&mut one_by_one, patch);
            assert!(add_patch(&mut sum, patch));
        }
        merge_patch(&mut at_once, &sum);
        assert_eq!(one_by_one, at_once);
    }

    #[test]
    fn what_one_patch_cannot_say_is_refused() {
        for first in [json!({"a": null}), json!({"a": 5})] {
            let mut sum = first.clone();
            assert!(!add_patch(&mut sum, &json!({"b": 1, "a": {"c": 1}})));
            assert_eq!(sum, first);
        }
    }
}
