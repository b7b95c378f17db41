//! Thousands of viewers on sockets of their own.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::frames;
use super::opened::{VIEWERS_PER_ADDRESS, open};
use crate::bench::BenchError;

/// Viewers that connect at the same time.
const CONNECTING_AT_ONCE: usize = 256;
/// How long all of them may take.
const CONNECTED_WITHIN: Duration = Duration::from_mins(2);
/// The first address that nobody came from yet in this process.
static ADDRESSES: AtomicUsize = AtomicUsize::new(0);
const POLL: Duration = Duration::from_millis(5);
/// Bytes that are read at once.
const READ_BYTES: usize = 64 * 1_024;
const LATENCY_MAX_MICROS: u64 = 60_000_000;
/// The answer to a ping.
const PONG: &[u8] = b"{}";
/// Of so many viewers, one notes when each order was on its screen.
const NOTED_EVERY: usize = 10;
/// What tells the stock.
const REMAINING: &[u8] = b"\"remaining\":";

/// What all viewers have seen.
pub(super) struct Seen {
    began: Instant,
    connected: AtomicUsize,
    gone: AtomicUsize,
    /// How the first one ended that was not cut.
    ended: Mutex<Option<String>>,
    frames: AtomicU64,
    messages: AtomicU64,
    bytes: AtomicU64,
    notes: AtomicBool,
    latency: Mutex<Histogram<u64>>,
    /// When each order was accepted, in microseconds; by its number.
    accepted: Mutex<Vec<u64>>,
    /// What was in stock at first.
    stock: AtomicU64,
}

/// What was seen in a while.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Frames that were read.
    pub frames: u64,
    /// Messages in them.
    pub messages: u64,
    /// Bytes of frames that carried messages.
    pub bytes: u64,
}

impl Counts {
    /// Since an earlier look.
    pub fn since(self, before: Self) -> Self {
        Self {
            frames: self.frames - before.frames,
            messages: self.messages - before.messages,
            bytes: self.bytes - before.bytes,
        }
    }
}

impl Seen {
    fn new() -> Result<Arc<Self>, BenchError> {
        let latency = Histogram::new_with_max(LATENCY_MAX_MICROS, 3).map_err(BenchError::failed)?;
        Ok(Arc::new(Self {
            began: Instant::now(),
            connected: AtomicUsize::new(0),
            gone: AtomicUsize::new(0),
            ended: Mutex::new(None),
            frames: AtomicU64::new(0),
            messages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            notes: AtomicBool::new(false),
            latency: Mutex::new(latency),
            accepted: Mutex::new(vec![]),
            stock: AtomicU64::new(0),
        }))
    }

    /// Microseconds since this process began to look.
    pub fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Counts so far.
    pub fn counts(&self) -> Counts {
        Counts {
            frames: self.frames.load(Ordering::Relaxed),
            messages: self.messages.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    /// Notes latencies from now on.
    pub fn note(&self) {
        self.latency.lock().reset();
        self.notes.store(true, Ordering::Relaxed);
    }

    /// Stops to note latencies, and tells a quantile of them in milliseconds.
    pub fn noted(&self, quantiles: &[f64]) -> Vec<f64> {
        self.notes.store(false, Ordering::Relaxed);
        let latency = self.latency.lock();
        let at = |quantile: &f64| latency.value_at_quantile(*quantile);
        quantiles.iter().map(|quantile| crate::bench::measure::figure(at(quantile)) / 1e3).collect()
    }

    /// So many units are in stock before the first order.
    pub fn begin_stock(&self, units: u64) {
        self.stock.store(units, Ordering::Relaxed);
    }

    /// An order of one unit was accepted.
    pub fn order_accepted(&self) {
        let now = self.now();
        self.accepted.lock().push(now);
    }

    fn latency_of(&self, sent: u64) {
        if self.notes.load(Ordering::Relaxed) {
            let took = self.now().saturating_sub(sent);
            self.latency.lock().saturating_record(took);
        }
    }

    /// The orders from `shown` on that are on a screen where so many units remain.
    fn on_screen(&self, shown: &mut usize, remaining: u64) {
        let sold = self.stock.load(Ordering::Relaxed).saturating_sub(remaining);
        let sold = usize::try_from(sold).unwrap_or(usize::MAX);
        let accepted = self.accepted.lock();
        // an order may be on a screen before its buyer has read the answer
        let times: Vec<u64> = accepted.iter().take(sold).skip(*shown).copied().collect();
        drop(accepted);
        *shown = shown.saturating_add(times.len());
        for sent in times {
            self.latency_of(sent);
        }
    }
}

/// How a viewer begins.
#[derive(Debug, Clone)]
pub(super) struct Hello {
    /// The path of the socket.
    pub path: &'static str,
    /// What it says first, if anything.
    pub connect: Option<String>,
    /// Where its reply goes to, if somebody wants to know.
    pub replies: bool,
}

/// Viewers of one server.
pub(super) struct Crowd {
    /// What they have seen.
    pub seen: Arc<Seen>,
    tasks: TaskTracker,
    gone: CancellationToken,
    replies: Arc<Mutex<Vec<Option<String>>>>,
}

impl Crowd {
    /// Connects everybody and waits until all are.
    ///
    /// # Errors
    /// Not all are in time.
    pub async fn connect(server: SocketAddr, hellos: Vec<Hello>) -> Result<Self, BenchError> {
        let (seen, tasks, gone) = (Seen::new()?, TaskTracker::new(), CancellationToken::new());
        let doors = Arc::new(Semaphore::new(CONNECTING_AT_ONCE));
        let count = hellos.len();
        let replies = Arc::new(Mutex::new(vec![None; count]));
        let addresses = count.div_ceil(VIEWERS_PER_ADDRESS);
        let first = ADDRESSES.fetch_add(addresses, Ordering::Relaxed) * VIEWERS_PER_ADDRESS;
        for (number, hello) in hellos.into_iter().enumerate() {
            let viewer = Viewer {
                number,
                port: first.saturating_add(number),
                hello,
                seen: seen.clone(),
                carry: vec![],
                shown: 0,
                is_in: false,
                replies: replies.clone(),
            };
            let (doors, gone) = (doors.clone(), gone.clone());
            tasks.spawn(async move {
                let seen = viewer.seen.clone();
                let watch = viewer.watch(server, doors);
                match gone.run_until_cancelled(watch).await {
                    None => {}
                    Some(ended) => {
                        seen.ended.lock().get_or_insert(format!("{ended:?}"));
                        seen.gone.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let crowd = Self { seen, tasks, gone, replies };
        let until = Instant::now() + CONNECTED_WITHIN;
        while crowd.seen.connected.load(Ordering::Relaxed) < count {
            if Instant::now() > until || crowd.seen.gone.load(Ordering::Relaxed) > 0 {
                let in_time = crowd.seen.connected.load(Ordering::Relaxed);
                let ended = crowd.seen.ended.lock().clone().unwrap_or_default();
                let text = format!("{in_time} of {count} viewers connected; {ended}");
                return Err(BenchError::Failed(text));
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(crowd)
    }

    /// What the server replied to each.
    pub fn replies(&self) -> Vec<Option<String>> {
        self.replies.lock().clone()
    }

    /// How many the server has closed.
    pub fn gone(&self) -> usize {
        self.seen.gone.load(Ordering::Relaxed)
    }

    /// Cuts everybody at once, as a network does.
    pub async fn leave(self) {
        self.gone.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Cuts everybody at once, unless somebody was gone before.
    ///
    /// # Errors
    /// Somebody was.
    pub async fn leave_whole(self) -> Result<(), BenchError> {
        let gone = self.gone();
        self.leave().await;
        match gone {
            0 => Ok(()),
            gone => Err(BenchError::Failed(format!("{gone} viewers were closed by the server"))),
        }
    }
}

struct Viewer {
    number: usize,
    /// Where it comes from.
    port: usize,
    hello: Hello,
    seen: Arc<Seen>,
    carry: Vec<u8>,
    shown: usize,
    is_in: bool,
    replies: Arc<Mutex<Vec<Option<String>>>>,
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

impl Viewer {
    async fn watch(mut self, server: SocketAddr, doors: Arc<Semaphore>) -> io::Result<()> {
        let door = doors.acquire().await.map_err(io::Error::other)?;
        let mut stream = open(server, self.port, self.hello.path).await?;
        match self.hello.connect.take() {
            Some(connect) => stream.write_all(&frames::text(connect.as_bytes())).await?,
            None => self.enter(),
        }
        let mut door = Some(door);
        loop {
            let pongs = self.read(&stream)?;
            for _ in 0..pongs {
                stream.write_all(&frames::text(PONG)).await?;
            }
            if self.is_in {
                drop(door.take());
            }
            stream.readable().await?;
        }
    }

    fn enter(&mut self) {
        if !self.is_in {
            self.is_in = true;
            self.seen.connected.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Reads what is there; tells how many pings are to be answered.
    fn read(&mut self, stream: &TcpStream) -> io::Result<usize> {
        BUFFER.with_borrow_mut(|buffer| {
            let carried = self.carry.len();
            if carried * 2 > buffer.len() {
                buffer.resize(carried * 2, 0);
            }
            if let Some(start) = buffer.get_mut(..carried) {
                start.copy_from_slice(&self.carry);
            }
            let free = buffer.get_mut(carried..).unwrap_or_default();
            let read = match stream.try_read(free) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
                Err(error) => return Err(error),
            };
            let whole = buffer.get(..carried + read).unwrap_or_default();
            let (used, pongs) = self.take(whole);
            self.carry.clear();
            self.carry.extend_from_slice(whole.get(used..).unwrap_or_default());
            Ok(pongs)
        })
    }

    fn take(&mut self, mut bytes: &[u8]) -> (usize, usize) {
        let (mut used, mut pongs) = (0, 0);
        while let Some((payload, length)) = frames::first(bytes) {
            if payload == PONG {
                pongs += 1;
            } else {
                self.frame(payload, length);
            }
            used += length;
            bytes = bytes.get(length..).unwrap_or_default();
        }
        (used, pongs)
    }

    fn frame(&mut self, payload: &[u8], length: usize) {
        if !self.is_in {
            self.enter();
            if self.hello.replies {
                let reply = String::from_utf8_lossy(payload).into_owned();
                if let Some(place) = self.replies.lock().get_mut(self.number) {
                    *place = Some(reply);
                }
            }
            return;
        }
        let mut messages = 0;
        for sent in frames::marks(payload) {
            messages += 1;
            self.seen.latency_of(sent);
        }
        if self.number.is_multiple_of(NOTED_EVERY)
            && let Some(remaining) = frames::number_after(payload, REMAINING)
        {
            self.seen.on_screen(&mut self.shown, remaining);
        }
        self.seen.frames.fetch_add(1, Ordering::Relaxed);
        if messages > 0 {
            self.seen.messages.fetch_add(messages, Ordering::Relaxed);
            self.seen.bytes.fetch_add(u64::try_from(length).unwrap_or(0), Ordering::Relaxed);
        }
    }
}
