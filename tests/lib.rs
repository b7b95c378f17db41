//! Support of the tests that other crates may use.
