//! One core, two codecs: how commands are read and replies are written.

use std::sync::{Arc, OnceLock};

use bytes::{Buf, Bytes, BytesMut};
use prost::Message;

use super::codes::Close;
use super::schema::{Command, Reply};
use super::wire;

/// How a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Lines of JSON.
    Json,
    /// Protobuf messages, each after its length.
    Protobuf,
}

impl Codec {
    /// The commands of one message, several of them one after the other.
    ///
    /// # Errors
    /// The message is no list of commands.
    pub fn commands(self, message: &[u8]) -> Result<Vec<Command>, Close> {
        match self {
            Self::Json => json_commands(message),
            Self::Protobuf => protobuf_commands(message),
        }
    }

    /// A reply as it is written.
    pub fn encode(self, reply: &Reply) -> Bytes {
        match self {
            // what is encoded here always fits JSON
            Self::Json => serde_json::to_vec(reply).unwrap_or_default().into(),
            Self::Protobuf => reply.encode_length_delimited_to_vec().into(),
        }
    }

    /// Replies in one message.
    pub fn join(self, replies: &[Bytes]) -> Bytes {
        let size = replies.iter().map(|reply| reply.len().saturating_add(1)).sum();
        let mut message = BytesMut::with_capacity(size);
        for reply in replies {
            if self == Self::Json && !message.is_empty() {
                message.extend_from_slice(b"\n");
            }
            message.extend_from_slice(reply);
        }
        message.freeze()
    }
}

fn json_commands(message: &[u8]) -> Result<Vec<Command>, Close> {
    let text = std::str::from_utf8(message).map_err(|_| Close::BadRequest)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            // a list would be read as the members of a command
            let command = line.starts_with('{').then(|| serde_json::from_str(line).ok()).flatten();
            command.ok_or(Close::BadRequest)
        })
        .collect()
}

fn protobuf_commands(mut message: &[u8]) -> Result<Vec<Command>, Close> {
    let mut commands = Vec::new();
    while message.has_remaining() {
        let command = Command::decode_length_delimited(&mut message);
        commands.push(command.map_err(|_| Close::BadRequest)?);
    }
    Ok(commands)
}

/// What many receive: encoded once per codec, and shared.
#[derive(Debug)]
pub struct Frame {
    content: Content,
    json: OnceLock<Bytes>,
    protobuf: OnceLock<Bytes>,
}

#[derive(Debug)]
enum Content {
    One(Box<Reply>),
    Several(Vec<Arc<Frame>>),
}

impl Frame {
    /// A frame that nobody has received yet.
    pub fn new(reply: Reply) -> Arc<Self> {
        Self::of(Content::One(Box::new(reply)))
    }

    /// Several as one; one alone is itself.
    pub fn several(mut frames: Vec<Arc<Self>>) -> Arc<Self> {
        match (frames.len(), frames.pop()) {
            (1, Some(one)) => one,
            (_, last) => {
                frames.extend(last);
                Self::of(Content::Several(frames))
            }
        }
    }

    fn of(content: Content) -> Arc<Self> {
        Arc::new(Self { content, json: OnceLock::new(), protobuf: OnceLock::new() })
    }

    /// The data of the message that it is, if it is one.
    pub fn data(&self) -> Option<&Bytes> {
        match &self.content {
            Content::One(reply) => Some(&reply.push.as_ref()?.publication.as_ref()?.data),
            Content::Several(_) => None,
        }
    }

    /// The frame as it is written on a WebSocket, with its header.
    pub fn framed(&self, codec: Codec) -> Bytes {
        let known = match codec {
            Codec::Json => &self.json,
            Codec::Protobuf => &self.protobuf,
        };
        let encode = || match &self.content {
            Content::One(reply) => codec.encode(reply),
            Content::Several(frames) => {
                let payloads: Vec<_> = frames.iter().map(|frame| frame.bytes(codec)).collect();
                codec.join(&payloads)
            }
        };
        known.get_or_init(|| wire::message(codec, &encode())).clone()
    }

    /// What it says, without the header.
    pub fn bytes(&self, codec: Codec) -> Bytes {
        wire::payload(&self.framed(codec))
    }
}

#[cfg(test)]
mod tests {
    use super::super::schema::{ConnectRequest, Nothing, RpcRequest};
    use super::*;

    const BOTH: [Codec; 2] = [Codec::Json, Codec::Protobuf];

    #[test]
    fn a_frame_is_encoded_once_per_codec() {
        let frame = Frame::new(Reply { id: 2, ping: Some(Nothing {}), ..Reply::default() });
        for codec in BOTH {
            assert_eq!(frame.bytes(codec).as_ptr(), frame.bytes(codec).as_ptr());
            assert_eq!(frame.framed(codec).as_ptr(), frame.framed(codec).as_ptr());
        }
        assert_eq!(frame.bytes(Codec::Json), r#"{"id":2,"ping":{}}"#);
        // length, field 1 = 2, field 12 of no bytes
        assert_eq!(frame.bytes(Codec::Protobuf), &[4, 8, 2, 98, 0][..]);
        assert_eq!(Codec::Json.encode(&Reply::default()), "{}", "a ping");
        assert_eq!(Codec::Protobuf.encode(&Reply::default()), &[0][..], "a ping");
    }

    #[test]
    fn several_replies_are_one_message() {
        let reply = |id| Reply { id, ..Reply::default() };
        let join = |codec: Codec| codec.join(&[codec.encode(&reply(1)), codec.encode(&reply(2))]);
        assert_eq!(join(Codec::Json), "{\"id\":1}\n{\"id\":2}");
        assert_eq!(join(Codec::Protobuf), &[2, 8, 1, 2, 8, 2][..]);
        let frames = || [1, 2].map(|id| Frame::new(reply(id))).to_vec();
        for codec in BOTH {
            assert_eq!(Frame::several(frames()).bytes(codec), join(codec));
        }
        let one = Frame::new(reply(1));
        assert!(Arc::ptr_eq(&Frame::several(vec![one.clone()]), &one));
    }

    #[test]
    fn both_codecs_read_the_same_commands() {
        let rpc = RpcRequest { method: "like".to_owned(), data: Bytes::from_static(b"{\"a\":1}") };
        let connect = ConnectRequest { token: "t".to_owned(), ..ConnectRequest::default() };
        let commands = [
            Command { id: 1, connect: Some(connect), ..Command::default() },
            Command { id: 2, rpc: Some(rpc), ..Command::default() },
            Command::default(),
        ];
        let protobuf: Vec<u8> =
            commands.iter().flat_map(Message::encode_length_delimited_to_vec).collect();
        assert_eq!(Codec::Protobuf.commands(&protobuf), Ok(commands.to_vec()));
        let json = r#"{"id":1,"connect":{"token":"t","name":"js","data":null}}
            {"id":2,"rpc":{"method":"like","data":{"a":1}}}
            {}"#;
        assert_eq!(Codec::Json.commands(json.as_bytes()), Ok(commands.to_vec()));
    }

    #[test]
    fn what_is_no_command_is_a_bad_request() {
        for bad in ["no JSON", "[]", "{", "\"x\"", "{\"id\":-1}", "\u{0}"] {
            assert_eq!(Codec::Json.commands(bad.as_bytes()), Err(Close::BadRequest), "{bad}");
        }
        for bad in [&[5, 8, 1][..], &[1, 255], &[2, 34, 9], &[255; 11]] {
            assert_eq!(Codec::Protobuf.commands(bad), Err(Close::BadRequest), "{bad:?}");
        }
        assert_eq!(Codec::Json.commands(b"\xff"), Err(Close::BadRequest));
    }
}
