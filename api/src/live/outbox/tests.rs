//! What waits, and when it is too much.

use super::super::protocol::publication;
use super::super::schema::Publication;
use super::*;

/// A message that is written as so many bytes.
fn message(bytes: usize) -> Reply {
    let with = |letters: usize| {
        let data = format!("\"{}\"", "x".repeat(letters)).into();
        publication("c", Publication { offset: 0, data })
    };
    let around = Codec::Json.encode(&with(0)).len();
    with(bytes - around)
}

#[tokio::test]
async fn a_stream_past_its_bound_closes_the_connection() {
    let outbox = Outbox::new(Codec::Json);
    outbox.stream(&message(STREAM_BYTES_MAX));
    assert_eq!(outbox.next().await.map(|frame| frame.len()), Ok(STREAM_BYTES_MAX));
    outbox.stream(&message(STREAM_BYTES_MAX));
    outbox.stream(&message(100));
    assert_eq!(outbox.next().await, Err(Close::Slow));
    outbox.overflowed().await;
}

#[test]
fn a_ping_is_an_empty_reply() {
    for (codec, ping) in [(Codec::Json, PING_JSON), (Codec::Protobuf, PING_PROTOBUF)] {
        assert_eq!(wire::message(codec, &codec.encode(&Reply::default())), ping);
    }
}

#[tokio::test]
async fn what_waits_is_one_frame_and_then_the_end() {
    let outbox = Outbox::new(Codec::Json);
    outbox.reply(&Reply { id: 1, ..Reply::default() });
    outbox.stream(&Reply { id: 2, ..Reply::default() });
    outbox.close(Close::Shutdown);
    assert_eq!(outbox.next().await, Ok("{\"id\":1}\n{\"id\":2}".into()));
    assert_eq!(outbox.next().await, Err(Close::Shutdown));
}
