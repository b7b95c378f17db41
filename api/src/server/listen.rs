//! One listener: bounded connections, and a shutdown that lets answers finish.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::metrics;

/// Bytes of a request's headers together, names and values.
pub const HEADERS_MAX_BYTES: usize = 32 * 1024;
/// Headers of a request. Up to hyper's own bound of 100 are read, so that whoever is over this one
/// is told so; a bound of our own there would cost each request two allocations.
pub const HEADERS_MAX: usize = 80;
/// Bytes of headers that are read, so that whoever is over the bound is told so.
const HEADERS_READ_BYTES: usize = 128 * 1024;
/// How long a request's headers may take to arrive, the wait for them on an idle connection
/// included: longer than the 60 s after which load balancers drop idle connections, because the side
/// that sends must be the one that closes.
pub const HEADER_READ_SECONDS: u64 = 75;
/// Connections of one listener; the next one waits in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 100_000;
/// Connections that wait to be accepted: thousands press in the same second, and whoever finds the
/// queue full is cut off. The kernel's own bound (`net.core.somaxconn`) may be lower.
pub const BACKLOG: u32 = 16_384;
/// The pause after the machine has no more sockets.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A bound socket that does not answer yet.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// A listener that answers.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    stop: CancellationToken,
    drop: CancellationToken,
    tasks: TaskTracker,
}

impl Listener {
    /// Binds; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = if address.is_ipv6() { TcpSocket::new_v6() } else { TcpSocket::new_v4() }?;
        // a restarted server takes its port again while old connections still close
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let socket = socket.listen(BACKLOG)?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// Where it is bound.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts to answer.
    pub fn serve(self, router: Router) -> Serving {
        let serving = Serving {
            address: self.address,
            stop: CancellationToken::new(),
            drop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        let (stop, drop) = (serving.stop.clone(), serving.drop.clone());
        let tasks = serving.tasks.clone();
        serving.tasks.spawn(accept(self.socket, router, stop, drop, tasks));
        serving
    }
}

impl Serving {
    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts no more, lets answers finish for at most `bound`, then drops what is left.
    pub async fn shut_down(self, bound: Duration) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(bound, self.tasks.wait()).await.is_err() {
            tracing::warn!(connections = self.tasks.len(), "dropping what did not finish in time");
            self.drop.cancel();
            self.tasks.wait().await;
        }
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(HEADER_READ_SECONDS))
        .max_buf_size(HEADERS_READ_BYTES);
    let headers = u32::try_from(HEADERS_READ_BYTES).unwrap_or(u32::MAX);
    builder.http2().timer(TokioTimer::new()).max_header_list_size(headers);
    builder
}

async fn accept(
    socket: TcpListener,
    router: Router,
    stop: CancellationToken,
    drop: CancellationToken,
    tasks: TaskTracker,
) {
    let builder = Arc::new(builder());
    let graceful = GracefulShutdown::new();
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = seat_and_stream(&seats, &socket) => accepted,
        };
        let (seat, stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let service = router.clone().map_request(move |mut request: axum::http::Request<_>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            request
        });
        let builder = Arc::clone(&builder);
        let watcher = graceful.watcher();
        let drop = drop.clone();
        tasks.spawn(async move {
            let _seat = seat;
            metrics::connections(1.0);
            let service = TowerToHyperService::new(service);
            let connection =
                builder.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
            tokio::select! {
                () = drop.cancelled() => {}
                ended = watcher.watch(connection) => if let Err(error) = ended {
                    tracing::trace!(error, "a connection ended");
                },
            }
            metrics::connections(-1.0);
        });
    }
    // the socket is closed first, so that a load balancer's next connection is refused
    std::mem::drop(socket);
    tokio::select! {
        () = drop.cancelled() => {}
        () = graceful.shutdown() => {}
    }
}

type Accepted = (tokio::sync::OwnedSemaphorePermit, TcpStream, SocketAddr);

async fn seat_and_stream(seats: &Arc<Semaphore>, socket: &TcpListener) -> io::Result<Accepted> {
    let seat = Arc::clone(seats).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = socket.accept().await?;
    stream.set_nodelay(true)?;
    Ok((seat, stream, peer))
}
