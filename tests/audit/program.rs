//! `onair replay …` as a program, golden files and schemas.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

#[path = "../../domain/tests/it/schema.rs"]
mod schema;

/// Files that are compared as they are.
pub fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What the program said.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub errors: String,
}

/// Runs `onair replay …` on a database.
pub fn replay(dir: &Path, database: &str, arguments: &[&str]) -> Said {
    let mut all = vec!["replay"];
    all.extend(arguments);
    if !database.is_empty() {
        all.extend(["--database", database]);
    }
    onair(dir, &all)
}

/// Runs `onair …`.
pub fn onair(dir: &Path, arguments: &[&str]) -> Said {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().and_then(Path::parent).expect("target/<profile>");
    let output: Output = Command::new(folder.join("onair"))
        .args(arguments)
        .env_clear()
        .current_dir(dir)
        .output()
        .expect("runs onair: `cargo build -p api` makes it");
    Said {
        code: output.status.code().expect("ended by itself"),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// What the independent verifier says, `examples/verify.py`.
pub fn verifier(arguments: &[&str]) -> (i32, String) {
    // the one that `scripts/test` installed, with what the SDK tests need as well
    let installed = root("sdk/.venv/bin/python");
    let interpreter = if installed.exists() { installed } else { "python3".into() };
    let output = Command::new(interpreter)
        .arg(root("../examples/verify.py"))
        .args(arguments)
        .output()
        .expect("runs Python");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code().expect("ended by itself"), text)
}

impl Said {
    /// It ended like this.
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.errors);
        self
    }

    /// Its answer, which the schema of that name allows.
    pub fn json(&self, name: &str) -> Value {
        let value: Value = serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.errors));
        check_schema(name, &value);
        value
    }

    /// It is what the golden file says.
    pub fn golden(&self, name: &str) {
        golden(name, &self.out);
    }
}

/// Holds an answer against `openapi/audit/NAME.schema.json`.
pub fn check_schema(name: &str, value: &Value) {
    let path = root(&format!("../openapi/audit/{name}.schema.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("{}", path.display()));
    let schema: Value = serde_json::from_str(&text).expect("a schema is JSON");
    let errors = schema::errors(&schema, value);
    assert!(errors.is_empty(), "{name}: {errors:?} in {value}");
}

/// Compares with `tests/audit/golden/NAME.txt`; writes it under `ONAIR_BLESS=1`.
pub fn golden(name: &str, text: &str) {
    let path = root(&format!("audit/golden/{name}.txt"));
    if std::env::var_os("ONAIR_BLESS").is_some() {
        std::fs::write(&path, text).expect("writes");
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, expected, "{name}: ONAIR_BLESS=1 writes it anew");
}
