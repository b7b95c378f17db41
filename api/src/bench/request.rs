//! Orders as bytes on a connection, and their answers.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Bytes of an answer that are looked at; a longer one is no answer to an order.
const ANSWER_MAX_BYTES: usize = 64 * 1024;

/// What every order of a load has in common.
#[derive(Debug)]
pub(super) struct Orders {
    /// Where they go.
    pub address: SocketAddr,
    /// Signed beforehand, used in turns: each belongs to a viewer of its own.
    pub tokens: Vec<String>,
    /// The body.
    pub body: String,
    /// What their idempotency keys begin with.
    pub run: String,
}

impl Orders {
    /// The key of an order.
    pub fn key(&self, number: u64) -> String {
        format!("{}-{number}", self.run)
    }

    /// Which token an order comes with.
    pub fn viewer(&self, number: u64) -> usize {
        let tokens = u64::try_from(self.tokens.len()).unwrap_or(u64::MAX).max(1);
        usize::try_from(number % tokens).unwrap_or(0)
    }

    /// The request of an order.
    fn render(&self, number: u64, into: &mut Vec<u8>) {
        let token = self.tokens.get(self.viewer(number)).map_or("", String::as_str);
        into.clear();
        for part in [
            "POST /v1/orders HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\nauthorization: Bearer ",
            token,
            "\r\nidempotency-key: ",
            &self.key(number),
            "\r\ncontent-length: ",
            &self.body.len().to_string(),
            "\r\n\r\n",
            &self.body,
        ] {
            into.extend_from_slice(part.as_bytes());
        }
    }
}

/// One connection that is kept alive.
pub(super) struct Connection {
    stream: TcpStream,
    out: Vec<u8>,
    read: Vec<u8>,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Nobody listens there.
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, out: vec![], read: Vec::with_capacity(8 * 1024) })
    }

    /// Sends an order and reads the status of its answer.
    ///
    /// # Errors
    /// The connection broke, or the answer is no HTTP.
    pub async fn send(&mut self, orders: &Orders, number: u64) -> io::Result<u16> {
        orders.render(number, &mut self.out);
        self.stream.write_all(&self.out).await?;
        self.read.clear();
        loop {
            if let Some((status, length)) = whole(&self.read)? {
                if self.read.len() == length {
                    return Ok(status);
                }
                if self.read.len() > length {
                    return Err(io::Error::other("more than one answer"));
                }
            }
            if self.read.len() > ANSWER_MAX_BYTES {
                return Err(io::Error::other("the answer is too long"));
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

/// The status of an answer and its length with head and body, once the head is there.
fn whole(bytes: &[u8]) -> io::Result<Option<(u16, usize)>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let malformed = || io::Error::other("the answer is no HTTP");
    let head = bytes.get(..end).and_then(|head| std::str::from_utf8(head).ok());
    let mut lines = head.ok_or_else(malformed)?.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok());
    Ok(Some((status.ok_or_else(malformed)?, end + 4 + length.ok_or_else(malformed)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_to_its_end() {
        let text = b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(whole(text).expect("HTTP"), Some((202, text.len())));
        assert_eq!(whole(b"HTTP/1.1 202 Accepted\r\n").expect("HTTP"), None);
        assert!(whole(b"hello\r\n\r\n").is_err());
    }

    #[test]
    fn every_order_has_a_key_of_its_own_and_tokens_take_turns() {
        let orders = Orders {
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
            tokens: vec!["a".to_owned(), "b".to_owned()],
            body: "{}".to_owned(),
            run: "r".to_owned(),
        };
        let mut bytes = vec![];
        orders.render(3, &mut bytes);
        let text = String::from_utf8(bytes).expect("text");
        assert!(text.contains("Bearer b\r\nidempotency-key: r-3\r\n"), "{text}");
        assert!(text.ends_with("\r\ncontent-length: 2\r\n\r\n{}"), "{text}");
    }
}
