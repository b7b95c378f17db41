//! `docs/METRICS.md` describes exactly the metrics that the code declares.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.file_name().is_some_and(|name| name == "metrics.rs") {
            found.push(path);
        }
    }
}

/// Every quoted name that begins with `onair_`.
fn names_in(text: &str, quote: char) -> BTreeSet<String> {
    text.split(quote)
        .filter(|part| {
            part.starts_with("onair_")
                && part.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_metric_is_described_and_every_description_is_of_a_metric() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut declared = BTreeSet::new();
    for folder in ["domain/src", "commands/src", "projections/src", "api/src"] {
        let mut files = vec![];
        sources(&root.join(folder), &mut files);
        for file in files {
            let text = std::fs::read_to_string(file).expect("a source file");
            for line in text.split("const ").filter(|line| line.contains(": &str")) {
                let declaration = line.split(';').next().unwrap_or_default();
                declared.extend(names_in(declaration, '"'));
            }
        }
    }
    declared.retain(|name| !name.ends_with('_'));
    let page = std::fs::read_to_string(root.join("docs/METRICS.md")).expect("the page");
    let table: String = page.lines().filter(|line| line.starts_with("| `")).collect();
    let described = names_in(&table, '`');
    assert_eq!(declared, described);
    assert!(!declared.is_empty());
}
