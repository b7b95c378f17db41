//! One core, two codecs: how commands are read and replies are written.

use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
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
    /// The commands of one message, several of them one after the other: each is read when the one
    /// before was dealt with, since a small message may have thousands.
    pub fn commands(self, message: &[u8]) -> Commands<'_> {
        Commands { codec: self, rest: message }
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

/// The commands of one message.
pub struct Commands<'a> {
    codec: Codec,
    rest: &'a [u8],
}

impl<'a> Commands<'a> {
    /// The next line that has something.
    fn line(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let end = self.rest.iter().position(|byte| *byte == b'\n');
            let (line, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
            self.rest = rest.split_first().map_or(&[], |(_, rest)| rest);
            let line = line.trim_ascii();
            if !line.is_empty() {
                return Some(line);
            }
        }
        None
    }
}

impl Iterator for Commands<'_> {
    type Item = Result<Command, Close>;

    /// The next command; an error where what follows is none, and then the end.
    fn next(&mut self) -> Option<Self::Item> {
        let command = match self.codec {
            Codec::Json => {
                let line = self.line()?;
                // a list would be read as the members of a command
                line.starts_with(b"{").then(|| serde_json::from_slice(line).ok()).flatten()
            }
            Codec::Protobuf if self.rest.is_empty() => return None,
            Codec::Protobuf => Command::decode_length_delimited(&mut self.rest).ok(),
        };
        if command.is_none() {
            self.rest = &[];
        }
        Some(command.ok_or(Close::BadRequest))
    }
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
        let read =
            |codec: Codec, message: &[u8]| codec.commands(message).collect::<Result<Vec<_>, _>>();
        assert_eq!(read(Codec::Protobuf, &protobuf), Ok(commands.to_vec()));
        let json = r#"{"id":1,"connect":{"token":"t","name":"js","data":null}}
            {"id":2,"rpc":{"method":"like","data":{"a":1}}}
            {}"#;
        assert_eq!(read(Codec::Json, json.as_bytes()), Ok(commands.to_vec()));
    }

    #[test]
    fn what_is_no_command_is_a_bad_request() {
        let read = |codec: Codec, message: &[u8]| codec.commands(message).collect::<Vec<_>>();
        let bad_request = [Err(Close::BadRequest)];
        for bad in ["no JSON", "[]", "{", "\"x\"", "{\"id\":-1}", "\u{0}", "x\n{}"] {
            assert_eq!(read(Codec::Json, bad.as_bytes()), bad_request, "{bad}");
        }
        for bad in [&[5, 8, 1][..], &[1, 255], &[2, 34, 9], &[255; 11]] {
            assert_eq!(read(Codec::Protobuf, bad), bad_request, "{bad:?}");
        }
        assert_eq!(read(Codec::Json, b"\xff"), bad_request);
        let then_bad = [Ok(Command::default()), Err(Close::BadRequest)];
        assert_eq!(read(Codec::Json, b" {} \r\n\n{"), then_bad);
        assert_eq!(read(Codec::Protobuf, &[0, 9]), then_bad);
    }
}
