//! Clients that break the rules, or do nothing, byte by byte.

use std::time::Duration;

use api::live::{CONTROL_FRAMES_PER_SECOND, INBOUND_BYTES_MAX, LiveLimits, PATH, STREAM_BYTES_MAX};
use domain::envelope::Position;
use domain::ids::BroadcastId;
use domain::ports::FeedBus;
use projections::viewer_feed::STREAM_MESSAGES_MAX;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::client::Client;
use super::harness::{key, soon};
use super::stage::{Stage, token};

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const PING: u8 = 0x89;
/// No final fragment.
const BEGUN: u8 = 0x01;
const GOES_ON: u8 = 0x00;
const ENDS: u8 = 0x80;
const MASKED: u8 = 0x80;
const MEDIUM: u8 = 0x7e;
const LONG: u8 = 0x7f;

/// A socket after the 101, without anything that knows WebSocket.
struct Raw {
    stream: TcpStream,
}

impl Raw {
    async fn open(stage: &Stage) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8 * 1_024).unwrap();
        let address = stage.url().trim_start_matches("ws://").to_owned();
        let (host, _) = address.split_once('/').unwrap();
        let mut stream = socket.connect(host.parse().unwrap()).await.unwrap();
        let hello = format!(
            "GET {PATH} HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive, Upgrade\r\n\
             Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(hello.as_bytes()).await.unwrap();
        let mut answer = vec![];
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.unwrap());
        }
        let answer = String::from_utf8(answer).unwrap().to_ascii_lowercase();
        assert!(answer.starts_with("http/1.1 101"), "{answer}");
        assert!(answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
        Self { stream }
    }

    async fn send(&mut self, bytes: &[u8]) {
        // it may be closed while we send
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next frame: its first byte and what it carries.
    async fn frame(&mut self) -> (u8, Vec<u8>) {
        let first = self.stream.read_u8().await.unwrap();
        let length = match self.stream.read_u8().await.unwrap() {
            MEDIUM => u64::from(self.stream.read_u16().await.unwrap()),
            LONG => self.stream.read_u64().await.unwrap(),
            short => short.into(),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).await.unwrap();
        (first, payload)
    }

    /// The code that the server closes with; nothing comes after it.
    async fn closed(&mut self) -> u16 {
        soon(async {
            loop {
                let (first, payload) = self.frame().await;
                if first == 0x88 {
                    assert_eq!(self.stream.read(&mut [0]).await.unwrap(), 0, "the end");
                    return u16::from_be_bytes([payload[0], payload[1]]);
                }
            }
        })
        .await
    }
}

/// A frame as a client writes it; the mask is of zeros.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..=125 => bytes.push(MASKED | u8::try_from(short).unwrap()),
        medium => {
            bytes.push(MASKED | MEDIUM);
            bytes.extend(u16::try_from(medium).unwrap().to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

fn header_of(length: u64) -> Vec<u8> {
    [&[TEXT, MASKED | LONG][..], &length.to_be_bytes(), &[0; 4]].concat()
}

#[tokio::test]
async fn whoever_breaks_the_rules_is_told_which() {
    let stage = Stage::start(LiveLimits::default()).await;
    let large = vec![b' '; INBOUND_BYTES_MAX];
    let cases = [
        ("unmasked", vec![TEXT, 2, b'{', b'}'], 1002),
        ("a reserved bit", frame(0xc1, b"{}"), 1002),
        ("a reserved opcode", frame(0x83, b"{}"), 1002),
        ("a ping in parts", frame(0x09, b"x"), 1002),
        ("a long ping", frame(PING, &[b'x'; 126]), 1002),
        ("a part of nothing", frame(ENDS, b"{}"), 1002),
        ("a message in a message", [frame(BEGUN, b"{"), frame(TEXT, b"}")].concat(), 1002),
        ("no text", frame(TEXT, b"\xff\xfe"), 1007),
        ("bytes", frame(BINARY, b"{}"), 3501),
        ("a message without end", header_of(u64::MAX >> 1), 1009),
        ("a message too large", header_of(u64::try_from(INBOUND_BYTES_MAX).unwrap() + 1), 1009),
        (
            "too large in parts",
            [frame(BEGUN, &large), frame(GOES_ON, b" "), frame(ENDS, b" ")].concat(),
            1009,
        ),
    ];
    for (name, bytes, code) in cases {
        let mut raw = Raw::open(&stage).await;
        raw.send(&bytes).await;
        assert_eq!(raw.closed().await, code, "{name}");
    }
    let mut raw = Raw::open(&stage).await;
    let mut command = json!({"id": 1, "connect": {"token": token("acme", "ana", 600)}}).to_string();
    command.extend(std::iter::repeat_n(' ', INBOUND_BYTES_MAX - command.len()));
    raw.send(&frame(TEXT, command.as_bytes())).await;
    let (first, reply) = soon(raw.frame()).await;
    let reply: Value = serde_json::from_slice(&reply).unwrap();
    assert!(first == TEXT && reply["connect"].is_object(), "the largest message is taken: {reply}");
    soon(async {
        while stage.live.connections() > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn floods_are_ended() {
    let stage = Stage::start(LiveLimits::default()).await;
    let most = usize::try_from(CONTROL_FRAMES_PER_SECOND).unwrap();
    let mut raw = Raw::open(&stage).await;
    raw.send(&frame(PING, b"x").repeat(most)).await;
    for _ in 0..most {
        assert_eq!(soon(raw.frame()).await, (0x8a, b"x".to_vec()));
    }
    raw.send(&frame(PING, b"x").repeat(most)).await;
    assert_eq!(raw.closed().await, 3509);
    let mut raw = Raw::open(&stage).await;
    raw.send(&frame(TEXT, b"{}").repeat(200)).await;
    assert_eq!(raw.closed().await, 3509, "answers to no ping");
    let mut raw = Raw::open(&stage).await;
    raw.send(&frame(TEXT, "{}\n".repeat(5_000).as_bytes())).await;
    assert_eq!(raw.closed().await, 3509, "answers to no ping, in one message");
}

#[tokio::test]
async fn whoever_is_slow_to_connect_or_gone_is_forgotten() {
    let limits = LiveLimits {
        connect_within: Duration::from_millis(200),
        ping_every: Duration::from_millis(100),
        pong_within: Duration::from_millis(50),
        ..LiveLimits::default()
    };
    let stage = Stage::start(limits).await;
    let mut silent = Raw::open(&stage).await;
    assert_eq!(silent.closed().await, 3502);
    let mut dripping = Raw::open(&stage).await;
    let command = json!({"id": 1, "connect": {"token": token("acme", "ana", 600)}}).to_string();
    let hello = frame(TEXT, command.as_bytes());
    for byte in &hello[..10] {
        dripping.send(&[*byte]).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(dripping.closed().await, 3502);
    let mut half_open = Raw::open(&stage).await;
    half_open.send(&hello).await;
    assert_eq!(half_open.closed().await, 3012);
    soon(async {
        while stage.live.connections() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// What waits for somebody who reads nothing is bounded, and is the newest once it is read; and
/// nobody else waits for it.
#[tokio::test]
async fn whoever_reads_nothing_holds_little_and_delays_nobody() {
    const PATCHES: u64 = 400;
    const HELD_MAX: usize = 256 * 1_024;
    let limits = LiveLimits { room_window: Duration::from_millis(1), ..LiveLimits::default() };
    let stage = Stage::start(limits).await;
    let broadcast = stage.log.broadcast();
    stage.settle().await;
    let mut deaf = Raw::open(&stage).await;
    let watch = json!({"token": token("acme", "ana", 600), "data": {"broadcast": broadcast}});
    let hello = json!({"id": 1, "connect": watch}).to_string();
    deaf.send(&frame(TEXT, hello.as_bytes())).await;
    let mut other = Client::watching(&stage.url(), "bo", broadcast).await;
    for number in 1..=PATCHES {
        publish(&stage, broadcast, number).await;
        let told = other.message("live:", |data| data["number"] == number).await;
        assert_eq!(told["number"], number);
    }
    let mut held = 0;
    loop {
        let (_, payload) = soon(deaf.frame()).await;
        held += payload.len();
        if text(&payload).contains(&format!("\"number\":{PATCHES}")) {
            break;
        }
    }
    let sent = usize::try_from(PATCHES).unwrap() * filling().len();
    assert!(held < HELD_MAX && sent > 4 * HELD_MAX, "{held} of {sent}");
}

/// A stream drops nothing: past its bound the connection ends, and a new one has what was missed.
#[tokio::test]
async fn whoever_leaves_its_own_stream_lying_is_closed_and_misses_nothing() {
    let limits = LiveLimits { close_within: Duration::from_mins(1), ..LiveLimits::default() };
    let stage = Stage::start(limits).await;
    let mut deaf = Raw::open(&stage).await;
    let hello = json!({"id": 1, "connect": {"token": token("acme", "ana", 600)}}).to_string();
    deaf.send(&frame(TEXT, hello.as_bytes())).await;
    soon(deaf.frame()).await;
    let own = json!({"id": 2, "subscribe": {"channel": "user#ana"}}).to_string();
    deaf.send(&frame(TEXT, own.as_bytes())).await;
    let (_, begun) = soon(deaf.frame()).await;
    let begun: Value = serde_json::from_slice(&begun).unwrap();
    told_at_once(&stage, STREAM_MESSAGES_MAX, 8_000).await;
    // on one thread: after so many turns everything was handed on, whatever the clock says
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    let mut last = 0;
    let code = loop {
        let (first, payload) = soon(deaf.frame()).await;
        if first == 0x88 {
            break u16::from_be_bytes([payload[0], payload[1]]);
        }
        for line in text(&payload).lines() {
            last += 1;
            assert_eq!(offset_of(&serde_json::from_str(line).unwrap()), last, "without a gap");
        }
    };
    let seen = last;
    assert_eq!(code, 3008);
    assert!(seen < u64::try_from(STREAM_MESSAGES_MAX).unwrap(), "it took everything");
    let mut again = Client::open(&stage).await;
    again.connect(&token("acme", "ana", 600), Value::Null).await;
    let epoch = &begun["subscribe"]["epoch"];
    let after = json!({"channel": "user#ana", "recover": true, "epoch": epoch, "offset": seen});
    let reply = again.ask(json!({"id": 2, "subscribe": after})).await;
    assert_eq!(reply["subscribe"]["recovered"], true);
    for missed in reply["subscribe"]["publications"].as_array().unwrap() {
        last += 1;
        assert_eq!(missed["offset"], last);
    }
    assert_eq!(last, u64::try_from(STREAM_MESSAGES_MAX).unwrap());
}

/// More than the bound at once is nothing to whoever reads.
#[tokio::test]
async fn a_burst_larger_than_the_bound_ends_nobody_who_reads() {
    const MESSAGES: usize = 40;
    const BYTES: usize = 2_500;
    const _: () = assert!(MESSAGES * BYTES > STREAM_BYTES_MAX);
    let stage = Stage::start(LiveLimits::default()).await;
    let mut ana = Client::open(&stage).await;
    ana.connect(&token("acme", "ana", 600), Value::Null).await;
    ana.ask(json!({"id": 2, "subscribe": {"channel": "user#ana"}})).await;
    told_at_once(&stage, MESSAGES, BYTES).await;
    for number in 1..=MESSAGES {
        assert_eq!(offset_of(&ana.frame().await), u64::try_from(number).unwrap());
    }
}

async fn told_at_once(stage: &Stage, messages: usize, bytes: usize) {
    for number in 1..=messages {
        let message = json!({"type": "order", "filling": "x".repeat(bytes)});
        let version = Position(u64::try_from(number).unwrap());
        stage.bus.push("user#acme/ana", key(1), version, &message).await.unwrap();
    }
}

fn offset_of(frame: &Value) -> u64 {
    frame["push"]["pub"]["offset"].as_u64().unwrap_or_else(|| panic!("{frame}"))
}

fn text(payload: &[u8]) -> &str {
    std::str::from_utf8(payload).unwrap()
}

fn filling() -> String {
    "x".repeat(4_000)
}

async fn publish(stage: &Stage, broadcast: BroadcastId, number: u64) {
    let patch = json!({"number": number, "filling": filling()});
    let live = format!("live:{broadcast}");
    stage.bus.patch(&live, key(1), Position(number), &patch).await.unwrap();
}
