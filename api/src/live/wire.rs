//! Frames of RFC 6455 as a server writes them: unmasked, whole, uncompressed, so that one copy
//! serves every receiver.

use bytes::{BufMut, Bytes, BytesMut};

use super::codec::Codec;
use super::codes::Close;

/// The last fragment, of text.
const TEXT: u8 = 0x81;
/// The last fragment, of bytes.
const BINARY: u8 = 0x82;
/// The end.
const CLOSE: u8 = 0x88;
/// Up to here the length stands in the second byte.
const SHORT_MAX: usize = 125;
/// The length stands in the next two bytes.
const MEDIUM: u8 = 126;
/// The length stands in the next eight bytes.
const LONG: u8 = 127;

/// A message of a codec, with its header.
pub fn message(codec: Codec, payload: &[u8]) -> Bytes {
    let kind = match codec {
        Codec::Json => TEXT,
        Codec::Protobuf => BINARY,
    };
    frame(kind, payload)
}

/// The frame that ends a connection.
pub fn close(close: Close) -> Bytes {
    let (code, reason) = close.parts();
    let mut payload = BytesMut::with_capacity(reason.len().saturating_add(2));
    payload.put_u16(code);
    payload.extend_from_slice(reason.as_bytes());
    frame(CLOSE, &payload)
}

fn frame(kind: u8, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(payload.len().saturating_add(10));
    frame.put_u8(kind);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short), _) if payload.len() <= SHORT_MAX => frame.put_u8(short),
        (_, Ok(medium)) => {
            frame.put_u8(MEDIUM);
            frame.put_u16(medium);
        }
        _ => {
            frame.put_u8(LONG);
            frame.put_u64(u64::try_from(payload.len()).unwrap_or(u64::MAX));
        }
    }
    frame.extend_from_slice(payload);
    frame.freeze()
}

/// What a frame carries, shared with it.
pub fn payload(frame: &Bytes) -> Bytes {
    let header = match frame.get(1) {
        Some(&MEDIUM) => 4,
        Some(&LONG) => 10,
        _ => 2,
    };
    frame.slice(header.min(frame.len())..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};
    use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};

    fn reference(frame: &Frame) -> Vec<u8> {
        let mut bytes = vec![];
        frame.clone().format(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn frames_are_those_of_another_implementation() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let data = vec![b'x'; length];
            let text = Frame::message(data.clone(), OpCode::Data(Data::Text), true);
            let binary = Frame::message(data.clone(), OpCode::Data(Data::Binary), true);
            let (ours, theirs) = (message(Codec::Json, &data), reference(&text));
            assert!(ours == theirs, "text of {length}");
            assert!(message(Codec::Protobuf, &data) == reference(&binary), "bytes of {length}");
            assert!(payload(&ours) == data, "what a frame of {length} carries");
        }
        let end = Frame::close(Some(CloseFrame { code: 3008.into(), reason: "slow".into() }));
        assert_eq!(end.header().opcode, OpCode::Control(Control::Close));
        assert_eq!(close(Close::Slow), reference(&end));
    }
}
