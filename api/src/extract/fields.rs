//! From JSON to domain types: every bad field is named at once.

use std::cell::RefCell;

use serde_json::{Map, Value};

use crate::problem::{FieldError, Problem};

/// Bad fields that one answer names; the rest is counted as one.
pub const ERRORS_MAX: usize = 50;

/// What was found bad so far.
#[derive(Debug, Default)]
pub struct Errors(RefCell<Vec<FieldError>>);

impl Errors {
    /// Notes a bad field.
    pub fn add(&self, pointer: impl Into<String>, detail: impl Into<String>) {
        let mut errors = self.0.borrow_mut();
        if errors.len() < ERRORS_MAX {
            errors.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        }
    }

    /// The checked value, unless anything was bad.
    ///
    /// # Errors
    /// 422 `invalid` naming every bad field.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Problem> {
        let errors = self.0.into_inner();
        match value {
            Some(value) if errors.is_empty() => Ok(value),
            _ => Err(Problem::invalid(errors)),
        }
    }
}

/// One object of the body.
#[derive(Debug)]
pub struct Form<'a> {
    map: Option<&'a Map<String, Value>>,
    pointer: String,
    errors: &'a Errors,
    known: Vec<&'static str>,
}

impl<'a> Form<'a> {
    /// The body itself.
    pub fn root(value: &'a Value, errors: &'a Errors) -> Self {
        Self::at(value, String::new(), errors)
    }

    fn at(value: &'a Value, pointer: String, errors: &'a Errors) -> Self {
        let map = value.as_object();
        if map.is_none() {
            errors.add(pointer.clone(), "is not an object");
        }
        Self { map, pointer, errors, known: Vec::new() }
    }

    fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.pointer, name.replace('~', "~0").replace('/', "~1"))
    }

    /// A member as it is; `null` counts as absent.
    fn member(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.map?.get(name).filter(|value| !value.is_null())
    }

    /// A member that must be there.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let present = self.map.is_some();
        match self.member(name) {
            Some(value) => self.parsed(name, value, parse),
            None if present => {
                self.errors.add(self.pointer(name), "is missing");
                None
            }
            None => None,
        }
    }

    /// A member that may be absent. `Some(None)` where it is, `None` where it is bad.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<Option<T>> {
        match self.member(name) {
            Some(value) => self.parsed(name, value, parse).map(Some),
            None => Some(None),
        }
    }

    /// Whether a member is there, and not `null`.
    pub fn has(&self, name: &str) -> bool {
        self.map.and_then(|map| map.get(name)).is_some_and(|value| !value.is_null())
    }

    /// A member that is known and absent.
    pub fn skip<T>(&mut self, name: &'static str) -> Option<Option<T>> {
        self.known.push(name);
        Some(None)
    }

    /// Whether a member is there and `null`.
    pub fn is_null(&self, name: &str) -> bool {
        self.map.and_then(|map| map.get(name)).is_some_and(Value::is_null)
    }

    fn parsed<T>(
        &self,
        name: &str,
        value: &Value,
        parse: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        parse(value).map_err(|detail| self.errors.add(self.pointer(name), detail)).ok()
    }

    /// An object that must be there.
    pub fn object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Form<'a>) -> Option<T>,
    ) -> Option<T> {
        let present = self.map.is_some();
        let Some(value) = self.member(name) else {
            if present {
                self.errors.add(self.pointer(name), "is missing");
            }
            return None;
        };
        let mut form = Form::at(value, self.pointer(name), self.errors);
        let read = read(&mut form);
        form.close();
        read
    }

    /// A list of objects that must be there, not empty and at most `max` long.
    pub fn list<T>(
        &mut self,
        name: &'static str,
        max: usize,
        mut read: impl FnMut(&mut Form<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let present = self.map.is_some();
        let pointer = self.pointer(name);
        let Some(value) = self.member(name) else {
            if present {
                self.errors.add(pointer, "is missing");
            }
            return None;
        };
        let Some(items) = value.as_array() else {
            self.errors.add(pointer, "is not a list");
            return None;
        };
        if items.is_empty() || items.len() > max {
            self.errors.add(pointer, format!("has {} items, not 1 to {max}", items.len()));
            return None;
        }
        let mut read_items = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let mut form = Form::at(item, format!("{pointer}/{index}"), self.errors);
            read_items.extend(read(&mut form));
            form.close();
        }
        // nothing, where any of them is bad
        (read_items.len() == items.len()).then_some(read_items)
    }

    /// Notes that a member is bad in a way that needs more than itself.
    pub fn bad(&self, name: &str, detail: impl Into<String>) {
        self.errors.add(self.pointer(name), detail);
    }

    /// Refuses every member that was not asked for.
    pub fn close(&self) {
        let unknown = self.map.into_iter().flat_map(Map::keys);
        for name in unknown.filter(|name| !self.known.contains(&name.as_str())) {
            // a name may be as long as the body; the answer is not
            let short: String = name.chars().take(64).collect();
            self.errors.add(self.pointer(&short), "is not a known field");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(value: &Value) -> Result<String, String> {
        value.as_str().map(ToOwned::to_owned).ok_or_else(|| "is not a text".to_owned())
    }

    #[test]
    fn every_bad_field_is_named_at_once() {
        let body = json!({"a": 1, "list": [{"x": "y"}, {"x": 2, "z/~": 0}, 5], "more": true});
        let errors = Errors::default();
        let mut form = Form::root(&body, &errors);
        let a = form.required("a", text);
        let b = form.required("b", text);
        let list = form.list("list", 3, |item| item.required("x", text));
        form.close();
        assert!(a.is_none() && b.is_none() && list.is_none());
        let problem = errors.finish::<()>(None).expect_err("bad");
        let pointers: Vec<_> = problem.errors().iter().map(|e| e.pointer.as_str()).collect();
        assert_eq!(pointers, ["/a", "/b", "/list/1/x", "/list/1/z~1~0", "/list/2", "/more"]);
    }

    #[test]
    fn the_answer_is_bounded() {
        let body: Value =
            (0..1_000).map(|n| (n.to_string(), json!(0))).collect::<Map<_, _>>().into();
        let errors = Errors::default();
        Form::root(&body, &errors).close();
        assert_eq!(errors.finish::<()>(None).expect_err("bad").errors().len(), ERRORS_MAX);
    }

    #[test]
    fn a_null_is_absent() {
        let body = json!({"a": null});
        let errors = Errors::default();
        let mut form = Form::root(&body, &errors);
        assert_eq!(form.optional("a", text), Some(None));
        assert_eq!(form.required("a", text), None);
        assert_eq!(errors.finish::<()>(None).expect_err("bad").errors().len(), 1);
    }
}
