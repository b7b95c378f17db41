//! The command line, as a program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn binary() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.parent().and_then(Path::parent).expect("target/<profile>");
    let binary = folder.join("onair");
    assert!(binary.exists(), "{} is missing: run `cargo build -p api`", binary.display());
    binary
}

fn onair(dir: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    Command::new(binary())
        .args(arguments)
        .env_clear()
        .envs(variables.iter().copied())
        .current_dir(dir)
        .output()
        .expect("runs onair")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn no_argument_prints_help_and_usage_errors_are_2() {
    let dir = tempfile::tempdir().expect("a folder");
    let help = onair(dir.path(), &[], &[]);
    assert_eq!(help.status.code(), Some(0));
    assert!(out(&help).contains("serve") && out(&help).contains("Exit codes"), "{help:?}");
    for arguments in
        [&["fly"][..], &["serve", "--wings"], &["token", "--role", "king", "--sub", "a"]]
    {
        let refused = onair(dir.path(), &[], arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(out(&refused).is_empty() && !errors(&refused).is_empty());
    }
}

#[test]
fn a_token_is_signed_by_the_secret_beside_the_database() {
    let dir = tempfile::tempdir().expect("a folder");
    let made = onair(dir.path(), &[], &["token", "--role", "host", "--sub", "h", "--json"]);
    assert_eq!(made.status.code(), Some(0), "{}", errors(&made));
    let made: Value = serde_json::from_str(&out(&made)).expect("JSON");
    assert_eq!(made["claims"]["aud"], "onair");
    assert_eq!(made["claims"]["seller"], "default");
    assert!(dir.path().join("onair.db.secret").exists());
    let plain = onair(dir.path(), &[], &["token", "--role", "viewer", "--sub", "ana"]);
    assert_eq!(out(&plain).trim().split('.').count(), 3);
}

#[test]
fn mixes_and_unsafe_settings_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let mixed = onair(dir.path(), &[("ONAIR_REDIS", "redis://127.0.0.1:1")], &["serve"]);
    assert_eq!(mixed.status.code(), Some(2));
    assert!(errors(&mixed).contains("ONAIR_REDIS"), "{}", errors(&mixed));
    let split = onair(dir.path(), &[], &["serve", "--roles", "api"]);
    assert_eq!(split.status.code(), Some(2));
    let unsafe_ = onair(dir.path(), &[("ONAIR_PROFILE", "production")], &["serve"]);
    assert_eq!(unsafe_.status.code(), Some(2));
    assert!(errors(&unsafe_).contains("ONAIR_PAYMENTS"), "{}", errors(&unsafe_));
    let bare = [
        ("ONAIR_DATABASE", "postgres://127.0.0.1:1/onair"),
        ("ONAIR_REDIS", "redis://127.0.0.1:1"),
        ("ONAIR_KAFKA", "127.0.0.1:1"),
    ];
    let secretless = onair(dir.path(), &bare, &["serve"]);
    assert_eq!(secretless.status.code(), Some(2), "{}", errors(&secretless));
    std::fs::write(dir.path().join("s"), "secret").expect("writes");
    let mut away = bare.to_vec();
    away.push(("ONAIR_AUTH_HS256_SECRET_FILE", "s"));
    away.push(("ONAIR_LISTEN", "127.0.0.1:0"));
    away.push(("ONAIR_OPS_LISTEN", "127.0.0.1:0"));
    let away = onair(dir.path(), &away, &["serve"]);
    assert_eq!(away.status.code(), Some(3), "{}", errors(&away));
    assert!(errors(&away).contains("onair doctor"), "{}", errors(&away));
}

#[test]
fn a_verification_of_nothing_is_not_good() {
    let dir = tempfile::tempdir().expect("a folder");
    assert_eq!(onair(dir.path(), &[], &["migrate"]).status.code(), Some(0));
    let reversed = onair(dir.path(), &[], &["replay", "verify", "--from", "9", "--to", "5"]);
    assert_eq!(reversed.status.code(), Some(2), "{}", out(&reversed));
}

#[test]
fn settings_are_printed_and_checked() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("onair.toml"), "listen = \"127.0.0.1:81\"\n").expect("writes");
    let printed = onair(dir.path(), &[("ONAIR_NODE", "n7")], &["config", "print", "--json"]);
    let printed: Value = serde_json::from_str(&out(&printed)).expect("JSON");
    assert_eq!(printed["listen"], "127.0.0.1:81");
    assert_eq!(printed["node"], "n7");
    assert_eq!(onair(dir.path(), &[], &["config", "check"]).status.code(), Some(0));
    let production =
        onair(dir.path(), &[("ONAIR_PROFILE", "production")], &["config", "check", "--json"]);
    assert_eq!(production.status.code(), Some(1));
    let findings: Value = serde_json::from_str(&out(&production)).expect("JSON");
    assert_eq!(findings["ok"], false);
    let typo = onair(dir.path(), &[("ONAIR_HTTP_DRAIN_SECONDS", "soon")], &["config", "check"]);
    assert_eq!(typo.status.code(), Some(2));
    assert!(errors(&typo).contains("ONAIR_HTTP_DRAIN_SECONDS"), "{}", errors(&typo));
}

#[test]
fn doctor_and_migrate_know_a_new_file() {
    let dir = tempfile::tempdir().expect("a folder");
    assert_eq!(onair(dir.path(), &[], &["doctor"]).status.code(), Some(3));
    let migrated = onair(dir.path(), &[], &["migrate", "--json"]);
    assert_eq!(migrated.status.code(), Some(0), "{}", errors(&migrated));
    let healthy = onair(dir.path(), &[], &["doctor", "--json"]);
    assert_eq!(healthy.status.code(), Some(0), "{}{}", out(&healthy), errors(&healthy));
}

#[test]
fn the_printed_documents_are_the_committed_ones() {
    let dir = tempfile::tempdir().expect("a folder");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let committed = std::fs::read_to_string(root.join("openapi/openapi.json")).expect("reads");
    assert_eq!(out(&onair(dir.path(), &[], &["openapi"])), committed);
    let committed = std::fs::read_to_string(root.join("openapi/asyncapi.json")).expect("reads");
    assert_eq!(out(&onair(dir.path(), &[], &["asyncapi"])), committed);
    let example = std::fs::read_to_string(root.join("onair.example.toml")).expect("reads");
    assert_eq!(out(&onair(dir.path(), &[], &["config", "example"])), example);
    assert!(out(&onair(dir.path(), &[], &["completions", "bash"])).contains("_onair"));
}
