//! The files of the viewer page, in the binary.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The content type of a script.
pub(super) const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";

/// The page itself; what stands in braces is written in when the process starts.
pub(super) const PAGE: &str = include_str!("../../pages/watch/watch.html");
/// The official client, as its authors published it.
pub(super) const CENTRIFUGE: &str = "centrifuge.js";

/// One file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asset {
    /// Its path below the folder of assets.
    pub path: &'static str,
    /// Its content type.
    pub kind: &'static str,
    /// What is in it.
    pub text: &'static str,
}

macro_rules! assets {
    ($($kind:ident $path:literal),+ $(,)?) => {
        [$(Asset {
            path: $path,
            kind: $kind,
            text: include_str!(concat!("../../pages/watch/", $path)),
        }),+]
    };
}

/// The page's own files.
pub(super) const OWN: [Asset; 20] = assets![
    JAVASCRIPT "watch.js",
    JAVASCRIPT "chat.js",
    JAVASCRIPT "dom.js",
    JAVASCRIPT "feed.js",
    JAVASCRIPT "format.js",
    JAVASCRIPT "http.js",
    JAVASCRIPT "likes.js",
    JAVASCRIPT "orders.js",
    JAVASCRIPT "purchase.js",
    JAVASCRIPT "room.js",
    JAVASCRIPT "session.js",
    JAVASCRIPT "view/buy.js",
    JAVASCRIPT "view/offer.js",
    JAVASCRIPT "view/orders.js",
    JAVASCRIPT "view/stage.js",
    JAVASCRIPT "words/en.js",
    JAVASCRIPT "words/index.js",
    JAVASCRIPT "words/ko.js",
    STYLE "watch.css",
    PICTURE "icon.svg",
];

/// The files of others.
pub(super) const VENDORED: [Asset; 1] = [Asset {
    path: CENTRIFUGE,
    kind: JAVASCRIPT,
    text: include_str!("../../pages/vendor/centrifuge-5.7.4/centrifuge.js"),
}];

/// Every file that the page loads.
pub(super) fn all() -> impl Iterator<Item = &'static Asset> {
    OWN.iter().chain(&VENDORED)
}

/// One name for all files together: they change together, so that a page never mixes two builds.
pub(super) fn digest() -> String {
    let mut hash = Sha256::new();
    for asset in all() {
        hash.update(asset.path);
        hash.update([0]);
        hash.update(asset.text);
        hash.update([0]);
    }
    short(&hash.finalize())
}

/// The first half of a hash, in hex.
pub(super) fn short(hash: &[u8]) -> String {
    hash.iter().take(16).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/pages");
    const VENDOR: &str = "vendor/centrifuge-5.7.4";
    /// Lines of a file, as everywhere in this repository.
    const LINES_MAX: usize = 400;

    fn read(path: impl AsRef<Path>) -> String {
        std::fs::read_to_string(Path::new(FOLDER).join(path)).expect("reads")
    }

    #[test]
    fn vendored_files_are_as_they_were_published() {
        let sums = read(Path::new(VENDOR).join("SHA256SUMS"));
        let mut checked = BTreeSet::new();
        for line in sums.lines() {
            let (sum, name) = line.split_once("  ").expect("a sum and a name");
            let text = read(Path::new(VENDOR).join(name));
            assert_eq!(hex::encode(Sha256::digest(&text)), sum, "{name} was changed");
            checked.insert(name.to_owned());
        }
        let known = ["LICENSE", "LICENSE.events", CENTRIFUGE].map(ToOwned::to_owned);
        assert_eq!(checked, BTreeSet::from(known));
        let embedded = Sha256::digest(VENDORED[0].text);
        assert!(sums.contains(&hex::encode(embedded)), "another file is served");
    }

    #[test]
    fn every_file_of_the_page_is_served() {
        let root = Path::new(FOLDER).join("watch");
        let mut found = BTreeSet::new();
        let mut folders: Vec<PathBuf> = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("reads") {
                let path = entry.expect("reads").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(&root).expect("below").to_string_lossy();
                    found.insert(name.into_owned());
                }
            }
        }
        assert!(found.remove("watch.html"));
        let served: BTreeSet<String> = OWN.iter().map(|asset| asset.path.to_owned()).collect();
        assert_eq!(found, served);
    }

    #[test]
    fn the_page_obeys_its_own_policy_and_stays_small() {
        for asset in &OWN {
            assert!(asset.text.lines().count() <= LINES_MAX, "{} is too long", asset.path);
            for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "new Function"] {
                assert!(!asset.text.contains(word), "{}: {word}", asset.path);
            }
        }
        for word in ["style=", "onclick", "<style", "javascript:"] {
            assert!(!PAGE.contains(word), "{word}");
        }
        assert!(PAGE.split("<script").skip(1).all(|script| script.contains("src=")));
    }
}
