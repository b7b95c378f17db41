//! The commands of `docs/AUDIT.md`: each exists, and takes what the page gives it.

use super::program::{onair, replay, root};

/// Every command line of `onair` on a page: those behind a prompt, and those in the text.
fn commands(page: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(root(&format!("../docs/{page}"))).expect("is there");
    let prompted = text.lines().filter_map(|line| line.strip_prefix("$ onair "));
    prompted
        .map(|line| {
            let line = line.split(" #").next().unwrap_or_default();
            split(line.trim())
        })
        .collect()
}

/// The words of a line, as a shell takes them.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (vec![], String::new(), false);
    for letter in line.chars() {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            letter => word.push(letter),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[test]
fn a_line_is_split_as_a_shell_does() {
    assert_eq!(
        split("replay bisect --predicate 'a == 0'"),
        ["replay", "bisect", "--predicate", "a == 0"]
    );
}

#[test]
fn each_command_on_the_page_takes_what_the_page_gives_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let found = commands("AUDIT.md");
    assert!(found.len() >= 12, "{found:?}");
    for mut words in found {
        // a store that is not there, so that each ends once its arguments were understood
        if let Some(place) = words.iter().position(|word| word == "--database") {
            words.truncate(place);
        }
        for word in &mut words {
            if word == "BROADCAST" || word == "ORDER" {
                *word = uuid::Uuid::nil().to_string();
            }
        }
        let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        arguments.extend(["--database", "sqlite://nowhere/onair.db"]);
        let said = onair(dir, &arguments);
        assert!(!said.errors.contains("Usage:"), "{words:?}: {}", said.errors);
        assert_ne!(said.code, 0, "{words:?} found a store");
    }
}

#[test]
fn a_demo_that_is_kept_can_be_audited_as_the_page_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let demo =
        ["demo", "--once", "--viewers", "4", "--units", "2", "--pace", "50", "--keep", "show"];
    onair(dir, &demo).ended(0);
    let url = format!("sqlite://{}", dir.join("show/onair.db").display());
    replay(dir, &url, &["verify"]).ended(0);
    replay(dir, &url, &["export", "show.ndjson.zst"]).ended(0);
    let seal = [&["seal", "--key-file", "seal.key"][..]].concat();
    std::fs::write(dir.join("seal.key"), "03".repeat(32)).expect("writes");
    replay(dir, &url, &seal).ended(0);
    replay(dir, &url, &["witness", "export", "witness.ndjson"]).ended(0);
    for database in [url.as_str(), "show.ndjson.zst"] {
        replay(dir, database, &["verify", "--witness", "witness.ndjson"]).ended(0);
        replay(dir, database, &["fairness"]).ended(0);
        let rules = ["whatif", "--set", "limit:lamp-ivory=12", "--set", "hold_seconds=300"];
        replay(dir, database, &rules).ended(0);
        replay(dir, database, &["upcasters", "lint"]).ended(0);
    }
    replay(dir, &url, &["rebuild", "order_book", "--shadow", "--jobs", "2"]).ended(0);
    replay(dir, &url, &["compare", "order_book"]).ended(0);
    replay(dir, &url, &["swap", "order_book"]).ended(0);
    replay(dir, &url, &["rollback", "order_book"]).ended(0);
    replay(dir, &url, &["reconcile", "readmodels"]).ended(0);
    // another demo does not write over it
    onair(dir, &demo).ended(2);
}
