//! `replay export FOLDER --evidence BROADCAST`.

use std::path::Path;

use super::program::{replay, verifier};
use super::show::{Base, Rows, show};

const KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";

/// What the independent verifier says of a pack.
fn checked(key: &str, pack: &Path) -> (bool, String) {
    let (code, text) = verifier(&["--key", key, "--pack", &pack.display().to_string()]);
    (code == 0, text)
}

#[tokio::test]
async fn a_pack_is_believed_as_it_was_written_and_not_after_one_byte_was_changed() {
    let show = show();
    let broadcast = show.story.log()[0].key.0.to_string();
    for base in Base::both(&Rows::of(show.story.log())).await {
        let dir = base.dir.path();
        let key = base.file("seal.key");
        std::fs::write(&key, KEY).expect("writes");
        let pack = dir.join("pack");
        let name = pack.to_str().expect("text").to_owned();
        let asked =
            ["export", name.as_str(), "--evidence", broadcast.as_str(), "--key-file", key.as_str()];
        // nothing is sealed yet
        replay(dir, &base.url, &asked).ended(2);
        assert!(!pack.exists(), "half a pack is none");
        replay(dir, &base.url, &["seal", "--key-file", &key]).ended(0);
        let asked = [&asked[..], &["--json"]].concat();
        let told = replay(dir, &base.url, &asked).ended(0).json("evidence");
        assert_eq!(told["events"], show.story.log().len());
        assert_eq!((&told["orders"], &told["unproven"]), (&4.into(), &0.into()));
        let public = told["public_key"].as_str().expect("a key");
        let (good, text) = checked(public, &pack);
        assert!(good, "{text}");
        replay(dir, &base.url, &asked).ended(2);
        for file in std::fs::read_dir(&pack).expect("a folder") {
            let path = file.expect("an entry").path();
            let bytes = std::fs::read(&path).expect("reads");
            let mut changed = bytes.clone();
            let middle = changed.len() / 2;
            changed[middle] ^= 1;
            std::fs::write(&path, &changed).expect("writes");
            let (good, text) = checked(public, &pack);
            assert!(!good, "{}: {text}", path.display());
            std::fs::write(&path, &bytes).expect("writes");
        }
        std::fs::write(pack.join("more.txt"), "more").expect("writes");
        assert!(!checked(public, &pack).0);
        std::fs::remove_file(pack.join("more.txt")).expect("removes");
        assert!(!checked(&"02".repeat(32), &pack).0, "another key");
        assert!(checked(public, &pack).0);
        let unknown = uuid::Uuid::from_u128(7).to_string();
        let other = base.file("other");
        let asked = ["export", &other, "--evidence", &unknown, "--key-file", &key];
        replay(dir, &base.url, &asked).ended(2);
    }
}
