//! What a socket has not taken yet.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};

use bytes::{Buf, Bytes};
use tokio::net::tcp::OwnedWriteHalf;

/// Frames of one write.
const FRAMES_AT_ONCE: usize = 64;

/// What a socket has not taken yet, in order; a frame may be there in part.
#[derive(Debug, Default)]
pub struct Unsent {
    frames: VecDeque<Bytes>,
}

impl Unsent {
    /// Whether the socket has taken everything.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Writes what is left, as far as the socket takes it.
    ///
    /// # Errors
    /// The other side is gone.
    pub fn write(&mut self, socket: &OwnedWriteHalf) -> io::Result<()> {
        while !self.frames.is_empty() {
            let mut slices = [IoSlice::new(&[]); FRAMES_AT_ONCE];
            let mut count = 0;
            for (slice, frame) in slices.iter_mut().zip(&self.frames) {
                *slice = IoSlice::new(frame);
                count += 1;
            }
            match socket.try_write_vectored(slices.get(..count).unwrap_or_default()) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(bytes) => self.advance(bytes),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        // most sockets never have anything left
        self.frames = VecDeque::new();
        Ok(())
    }

    /// Writes these after what is left. One frame that the socket takes whole, which is most of
    /// them, is nothing but a write.
    ///
    /// # Errors
    /// The other side is gone.
    pub fn write_all(
        &mut self,
        frames: &mut Vec<Bytes>,
        socket: &OwnedWriteHalf,
    ) -> io::Result<()> {
        if let ([frame], true) = (frames.as_slice(), self.frames.is_empty()) {
            match socket.try_write(frame) {
                Ok(bytes) if bytes == frame.len() => {
                    frames.clear();
                    return Ok(());
                }
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(bytes) => self.frames.push_back(frame.slice(bytes..)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.frames.push_back(frame.clone());
                }
                Err(error) => return Err(error),
            }
            frames.clear();
            return Ok(());
        }
        self.frames.extend(frames.drain(..));
        self.write(socket)
    }

    fn advance(&mut self, mut bytes: usize) {
        while let Some(frame) = self.frames.front_mut() {
            if bytes < frame.len() {
                frame.advance(bytes);
                return;
            }
            bytes = bytes.saturating_sub(frame.len());
            self.frames.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::tcp::OwnedReadHalf;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    async fn pair() -> (OwnedReadHalf, OwnedWriteHalf, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (here, _) = listener.accept().await.unwrap();
        here.writable().await.unwrap();
        let (read, write) = here.into_split();
        (read, write, there)
    }

    /// Frames of every size, until the socket takes no more; then they are read, and not a byte is
    /// missing or twice.
    #[tokio::test]
    async fn nothing_is_lost_or_repeated_where_a_socket_is_full() {
        let (_read, here, mut there) = pair().await;
        let (mut unsent, mut expected) = (Unsent::default(), vec![]);
        let mut number = 0_u32;
        let mut blocked = 0;
        while blocked < 3 {
            let frames = (0..=number % 130).map(|_| {
                number += 1;
                let size = usize::try_from(number * 7_919 % 5_000 + 4).unwrap();
                let mut frame = number.to_le_bytes().repeat(size / 4);
                frame.truncate(size);
                expected.extend_from_slice(&frame);
                Bytes::from(frame)
            });
            unsent.write_all(&mut frames.collect(), &here).unwrap();
            blocked += u32::from(!unsent.is_empty());
        }
        let read = async {
            let mut read = vec![];
            there.read_to_end(&mut read).await.unwrap();
            read
        };
        let write = async {
            while !unsent.is_empty() {
                here.writable().await.unwrap();
                unsent.write(&here).unwrap();
            }
            drop(here);
        };
        let (read, ()) = tokio::join!(read, write);
        assert!(read == expected);
    }

    #[tokio::test]
    async fn whoever_is_gone_is_found_out() {
        let (read, here, there) = pair().await;
        socket2::SockRef::from(&there).set_linger(Some(std::time::Duration::ZERO)).unwrap();
        drop(there);
        read.readable().await.unwrap();
        let mut unsent = Unsent::default();
        assert!(unsent.write_all(&mut vec![Bytes::from_static(b"hello")], &here).is_err());
    }
}
