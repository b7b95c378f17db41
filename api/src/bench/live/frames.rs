//! Frames of WebSocket as a viewer reads and writes them: as little as a benchmark needs.

/// What stands around the time at which a message was sent.
const MARK: &[u8] = b"@@";

/// The first frame of what was read: what it carries, and how long it is with its header. `None`
/// where it is not whole.
pub(super) fn first(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (length, header): (usize, usize) = match *bytes.get(1)? {
        126 => (u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?).into(), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?).try_into().ok()?, 10),
        short => (short.into(), 2),
    };
    let end = header.checked_add(length)?;
    Some((bytes.get(header..end)?, end))
}

/// A text message as a client writes it; the mask is of zeros.
pub(super) fn text(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short), _) if short < 126 => frame.push(0x80 | short),
        (_, Ok(medium)) => {
            frame.push(0xfe);
            frame.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            frame.push(0xff);
            let long = u64::try_from(payload.len()).unwrap_or(u64::MAX);
            frame.extend_from_slice(&long.to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// A time in a message.
pub(super) fn mark(micros: u64) -> String {
    format!("@@{micros:020}@@")
}

/// The times in a frame: one for each message.
pub(super) fn marks(payload: &[u8]) -> impl Iterator<Item = u64> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        let at = rest.windows(2).position(|two| two == MARK)?;
        let time = rest.get(at.checked_add(2)?..at.checked_add(22)?)?;
        rest = rest.get(at.checked_add(24)?..)?;
        std::str::from_utf8(time).ok()?.parse().ok()
    })
}

/// The number that follows a name.
pub(super) fn number_after(payload: &[u8], name: &[u8]) -> Option<u64> {
    let at = payload.windows(name.len()).position(|window| window == name)?;
    let digits = payload.get(at.checked_add(name.len())?..)?;
    let digits = digits.iter().take_while(|byte| byte.is_ascii_digit());
    digits.map(|digit| u64::from(digit - b'0')).reduce(|sum, digit| sum * 10 + digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_once_they_are_whole() {
        let mut bytes = vec![0x81, 2];
        assert_eq!(first(&bytes), None);
        bytes.extend_from_slice(b"{}rest");
        assert_eq!(first(&bytes), Some((&b"{}"[..], 4)));
        let long = [&[0x81, 126, 0, 200][..], &[b'x'; 200]].concat();
        assert_eq!(first(&long).map(|(payload, end)| (payload.len(), end)), Some((200, 204)));
        assert_eq!(text(b"{}"), [0x81, 0x82, 0, 0, 0, 0, b'{', b'}']);
        assert_eq!(text(&[b'x'; 126]).get(..4), Some(&[0x81, 0xfe, 0, 126][..]));
    }

    #[test]
    fn every_message_has_its_time() {
        let two = format!("a{}b\n{}", mark(7), mark(u64::MAX));
        assert_eq!(marks(two.as_bytes()).collect::<Vec<_>>(), [7, u64::MAX]);
        assert_eq!(marks(b"{}").count(), 0);
        assert_eq!(number_after(br#"{"remaining":1203,"#, b"\"remaining\":"), Some(1_203));
        assert_eq!(number_after(b"{}", b"remaining"), None);
    }
}
