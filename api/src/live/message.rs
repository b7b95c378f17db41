//! The text of a chat message.

use unicode_segmentation::UnicodeSegmentation;

use super::limits::{CHAT_BYTES_MAX, CHAT_CHARACTERS_MAX};
use super::refused::Refused;

/// The text as it is shown: without white space around it, with as many characters as a person
/// may write, and without what changes how others read.
///
/// # Errors
/// Why it is not shown.
pub fn check(text: &str) -> Result<String, Refused> {
    let text = text.trim();
    if text.chars().all(is_invisible) {
        return Err(Refused::new("empty", "the message is empty"));
    }
    if text.chars().any(is_control) {
        return Err(Refused::new("bad_characters", "the message has control characters"));
    }
    let too_long = || {
        let reason = format!("the message has more than {CHAT_CHARACTERS_MAX} characters");
        Refused::new("too_long", reason)
    };
    if text.len() > CHAT_BYTES_MAX || text.graphemes(true).count() > CHAT_CHARACTERS_MAX {
        return Err(too_long());
    }
    Ok(text.to_owned())
}

/// Control characters, and those that turn the direction of what others read.
fn is_control(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_invisible(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Option<&'static str> {
        check(text).err().map(|refused| refused.code)
    }

    #[test]
    fn characters_are_what_a_person_counts() {
        for one in ["a", "가", "각", "👩‍👩‍👧‍👦", "🇰🇷", "é"] {
            let most = one.repeat(CHAT_CHARACTERS_MAX);
            let is_small = most.len() <= CHAT_BYTES_MAX;
            assert_eq!(code(&most).is_none(), is_small, "{one}");
            assert_eq!(code(&format!("{most}{one}")), Some("too_long"), "{one}");
        }
        let marks = format!("a{}", "\u{301}".repeat(CHAT_BYTES_MAX / 2));
        assert_eq!(code(&marks), Some("too_long"), "one character without end");
    }

    #[test]
    fn control_characters_are_refused() {
        for bad in ["a\nb", "a\u{0}b", "a\u{7f}b", "a\u{202e}b", "a\u{2028}b", "a\u{2067}b"] {
            assert_eq!(code(bad), Some("bad_characters"), "{bad:?}");
        }
    }

    #[test]
    fn nothing_is_nothing() {
        for bad in ["", "  ", "\u{200b}\u{feff}", "\n"] {
            assert_eq!(code(bad), Some("empty"), "{bad:?}");
        }
        assert_eq!(check("  hello \n").as_deref(), Ok("hello"));
    }
}
