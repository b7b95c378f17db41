//! Banned words, found however they are written.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// The words that a chat bans, as they are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    words: Vec<String>,
}

impl Words {
    /// These words; what has neither letter nor digit bans nothing.
    pub fn new(words: &[String]) -> Self {
        let normal = words.iter().map(|word| normal(word));
        Self { words: normal.filter(|word| !word.is_empty()).collect() }
    }

    /// Whether a text has one of them: as a whole word where it is written in ASCII, so that *class*
    /// may be said where *ass* may not, and anywhere else in other scripts, which join words.
    pub fn are_in(&self, text: &str) -> bool {
        if self.words.is_empty() {
            return false;
        }
        let text = normal(text);
        self.words.iter().any(|word| {
            if word.is_ascii() {
                text.match_indices(word.as_str()).any(|(at, _)| {
                    let before = text.get(..at).and_then(|text| text.chars().next_back());
                    let after = text.get(at.saturating_add(word.len())..);
                    let after = after.and_then(|text| text.chars().next());
                    let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric());
                    is_edge(before) && is_edge(after)
                })
            } else {
                text.contains(word.as_str())
            }
        })
    }
}

/// Compatible forms as one, without marks, case and whatever is neither letter nor digit; words are
/// parted by one space.
fn normal(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    for c in text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            normal.push(c);
        } else if c.is_whitespace() && !normal.ends_with(' ') {
            normal.push(' ');
        }
    }
    normal.trim().nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_however_it_is_written() {
        let banned = ["Rude", "나쁜말", "naïve fool", "...", "ass"].map(str::to_owned);
        let words = Words::new(&banned);
        for bad in [
            "rude",
            "so RUDE!",
            "ｒｕｄｅ",
            "r.u.d.e",
            "rúde",
            "ru\u{200b}de",
            "𝓻𝓾𝓭𝓮",
            "나쁜말이야",
            "나.쁜.말",
            "나쁜말",
            "you naive   FOOL",
        ] {
            assert!(words.are_in(bad), "{bad}");
        }
        for good in ["rudeness", "prude", "class", "나쁜 말", "naive", "...", ""] {
            assert!(!words.are_in(good), "{good}");
        }
        assert!(!Words::default().are_in("rude"));
    }
}
