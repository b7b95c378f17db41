//! The arrows between the crates (docs/ARCHITECTURE.md), read from cargo's own metadata.

use std::collections::BTreeSet;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Who may depend on whom; nothing else is allowed.
const ARROWS: [(&str, &[&str]); 5] = [
    ("domain", &[]),
    ("commands", &["domain"]),
    ("projections", &["domain"]),
    ("api", &["domain", "commands", "projections"]),
    ("tests", &["domain", "commands", "projections", "api"]),
];

/// I/O that has no place in the pure core.
const NOT_IN_DOMAIN: [&str; 6] = ["sqlx", "redis", "rdkafka", "postgres-es", "axum", "reqwest"];

fn metadata() -> Metadata {
    MetadataCommand::new().no_deps().exec().expect("cargo metadata runs")
}

fn dependencies(metadata: &Metadata, name: &str) -> BTreeSet<String> {
    let package = metadata
        .packages
        .iter()
        .find(|package| package.name.as_str() == name)
        .unwrap_or_else(|| panic!("no crate {name}"));
    package
        .dependencies
        .iter()
        .filter(|dependency| dependency.kind != DependencyKind::Development)
        .map(|dependency| dependency.name.clone())
        .collect()
}

#[test]
fn crates_depend_only_along_the_arrows() {
    let metadata = metadata();
    let known: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    let members: BTreeSet<&str> =
        metadata.packages.iter().map(|package| package.name.as_str()).collect();
    assert_eq!(members, known, "a crate without arrows, or arrows without a crate");
    for (name, allowed) in ARROWS {
        for dependency in dependencies(&metadata, name) {
            assert!(
                !known.contains(dependency.as_str()) || allowed.contains(&dependency.as_str()),
                "{name} must not depend on {dependency}"
            );
        }
    }
}

#[test]
fn the_domain_does_no_io() {
    let found = dependencies(&metadata(), "domain");
    for name in NOT_IN_DOMAIN {
        assert!(!found.contains(name), "domain must not depend on {name}");
    }
}

/// Replay, rebuilding and every other fold can move no money: nothing that they are made of names
/// the port to a provider.
#[test]
fn no_projection_knows_a_payment_gateway() {
    let mut folders =
        vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../projections/src")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("reads the folder") {
            let path = entry.expect("reads the folder").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let text = std::fs::read_to_string(&path).expect("is text");
            for name in ["PaymentGateway", "PaymentCall"] {
                assert!(!text.contains(name), "{} names {name}", path.display());
            }
        }
    }
    assert!(files > 100, "{files} files were read");
}
