//! The commands of `docs/AUDIT.md`, as they stand there: each prints what the page says.

use super::program::{onair, root};

/// A command of the page, and what the page says that it prints.
struct Step {
    command: String,
    lines: Vec<String>,
}

/// The commands in the blocks of a page, in order.
fn steps(page: &str) -> Vec<Step> {
    let text = std::fs::read_to_string(root(&format!("../docs/{page}"))).expect("is there");
    let (mut found, mut inside) = (Vec::<Step>::new(), false);
    for line in text.lines() {
        if line.starts_with("```") {
            inside = !inside;
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
            let command = command.split("  #").next().unwrap_or_default();
            let command = command.split(" # ").next().unwrap_or_default().trim().to_owned();
            found.push(Step { command, lines: vec![] });
        } else if let Some(step) = found.last_mut().filter(|_| inside) {
            step.lines.push(line.to_owned());
        }
    }
    found
}

/// A line without what is another each time: times, digests, durations, the clock's ids.
fn stable(line: &str) -> String {
    let is_id =
        |word: &str| word.len() >= 8 && word.chars().all(|it| it.is_ascii_hexdigit() || it == '-');
    let words = line.split(|letter: char| letter.is_whitespace() || "().".contains(letter));
    let words = words.filter(|word| !word.is_empty()).map(|word| {
        if is_id(word) {
            "ID".to_owned()
        } else if word.contains(|letter: char| letter.is_ascii_digit()) {
            let mut plain: String =
                word.chars().map(|it| if it.is_ascii_digit() { '0' } else { it }).collect();
            while plain.contains("00") {
                plain = plain.replace("00", "0");
            }
            plain
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Whether a text has the lines of the page, in order; what the page leaves out may be anything.
fn shows(text: &str, lines: &[String]) -> Result<(), String> {
    let mut rest = text.lines().map(stable);
    let mut skips = false;
    for line in lines {
        if line.trim() == "…" {
            skips = true;
            continue;
        }
        let wanted = stable(line);
        let found = if skips { rest.any(|it| it == wanted) } else { rest.next() == Some(wanted) };
        if !found {
            return Err(format!("{line:?} is not there"));
        }
        skips = false;
    }
    let ends = skips || rest.next().is_none();
    ends.then_some(()).ok_or_else(|| "more than the page says".to_owned())
}

/// The exit code that the page's last line tells.
fn code_of(step: &Step) -> i32 {
    let is_bad = step.lines.last().is_some_and(|line| line.starts_with("BAD"));
    let changed = step.command.starts_with("onair replay diff");
    i32::from(is_bad || changed)
}

#[test]
fn every_command_of_the_page_does_what_the_page_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    let test = std::env::current_exe().expect("the test's own path");
    let program = test.parent().and_then(std::path::Path::parent).expect("target/<profile>");
    let python = root("sdk/.venv/bin");
    let system = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{}:{system}", program.display(), python.display());
    std::os::unix::fs::symlink(root("../examples"), dir.join("examples")).expect("links");
    let (mut database, mut key) = (None, String::new());
    let steps = steps("AUDIT.md");
    assert!(steps.len() >= 35, "{}", steps.len());
    let mut differs = vec![];
    for step in &steps {
        if let Some(url) = step.command.strip_prefix("export ONAIR_DATABASE=") {
            database = Some(url.to_owned());
            continue;
        }
        // a key is another each time, and nobody wants to wait for the demo's pauses
        let mut command = step.command.replace("91a28a0b…", &key);
        if command.starts_with("onair demo") {
            command.push_str(" --pace 50");
        }
        let said = std::process::Command::new("sh")
            .args(["-c", &command])
            .env_clear()
            .env("PATH", &path)
            .env("HOME", dir)
            .envs(database.iter().map(|url| ("ONAIR_DATABASE", url)))
            .current_dir(dir)
            .output()
            .expect("runs");
        let out = String::from_utf8_lossy(&said.stdout).into_owned();
        let errors = String::from_utf8_lossy(&said.stderr).into_owned();
        if let Some(public) = out.lines().find_map(|line| line.strip_prefix("public key ")) {
            public.clone_into(&mut key);
        }
        if said.status.code() != Some(code_of(step)) {
            differs.push(format!("$ {command}\n{:?}: {out}{errors}", said.status));
        }
        if !step.lines.is_empty()
            && let Err(why) = shows(&out, &step.lines)
        {
            differs.push(format!("$ {command}\n{why}:\n{out}"));
        }
    }
    assert!(differs.is_empty(), "{}", differs.join("\n"));
    // another demo does not write over the one that was kept
    onair(dir, &["demo", "--once", "--keep", "show"]).ended(2);
}
