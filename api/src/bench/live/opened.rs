//! A socket of a benchmark, from its own address to the 101.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

/// Viewers that come from one address of this machine: each has its own ports, and the kernel looks
/// long for one where most are taken.
pub(super) const VIEWERS_PER_ADDRESS: usize = 1_000;

/// A socket after the 101.
pub(super) async fn open(server: SocketAddr, number: usize, path: &str) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    // ports of those that left a moment ago are taken again
    socket.set_reuseaddr(true)?;
    // processes that follow each other come from different networks
    let [_, net, ..] = std::process::id().to_le_bytes();
    let number = u16::try_from(number / VIEWERS_PER_ADDRESS).unwrap_or(u16::MAX);
    let [high, low] = number.to_be_bytes();
    let address = Ipv4Addr::new(127, net | 1, high, low.saturating_add(2));
    socket.bind(SocketAddr::from((address, 0)))?;
    let mut stream = socket.connect(server).await?;
    stream.set_nodelay(true)?;
    let hello = format!(
        "GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(hello.as_bytes()).await?;
    let mut answer = vec![];
    while !answer.ends_with(b"\r\n\r\n") {
        // nothing follows the answer before this side has said something
        let mut part = [0; 512];
        stream.readable().await?;
        match stream.try_read(&mut part) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => answer.extend_from_slice(part.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    if answer.starts_with(b"HTTP/1.1 101") {
        return Ok(stream);
    }
    let said = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
    Err(io::Error::other(said))
}
