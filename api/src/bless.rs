//! Generated files that are committed: a test compares them, and writes them under `ONAIR_BLESS=1`.

use std::{env, fs};

/// Compares a committed file with what it should be.
///
/// # Panics
/// Where they differ.
pub(crate) fn check(path: &str, expected: &str) {
    if env::var_os("ONAIR_BLESS").is_some() {
        fs::write(path, expected).expect("the file can be written");
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == expected,
        "{path} is not what the code says: run `ONAIR_BLESS=1 cargo test -p api`"
    );
}
