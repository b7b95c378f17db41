//! Stands before a server and loses what it is told to lose.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

/// A proxy in front of one PostgreSQL.
pub struct Proxy {
    pub url: String,
    wanted: Arc<std::sync::Mutex<Vec<u8>>>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// A proxy before the server of a URL.
    pub async fn before(url: &str) -> Self {
        let (head, database) = url.rsplit_once('/').expect("a URL with a database name");
        let (head, server) = head.rsplit_once('@').expect("a URL with a user");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let here = listener.local_addr().expect("has an address");
        let wanted = Arc::new(std::sync::Mutex::new(vec![]));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server.to_owned(), wanted.clone()));
        Self { url: format!("{head}@{here}/{database}"), wanted, _tasks: tasks }
    }

    /// Passes the next request that ends so on, and cuts the connection when its answer comes.
    pub fn lose_the_answer_to(&self, request: &[u8]) {
        *self.wanted.lock().expect("is not poisoned") = request.to_vec();
    }
}

async fn accept(listener: TcpListener, server: String, wanted: Arc<std::sync::Mutex<Vec<u8>>>) {
    let connections = Mutex::new(JoinSet::new());
    loop {
        let (client, _) = listener.accept().await.expect("accepts");
        let server = TcpStream::connect(&server).await.expect("connects");
        let cut = Arc::new(AtomicBool::new(false));
        let (done, over) = watch::channel(false);
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let mut connections = connections.lock().await;
        connections.spawn(requests(from_client, to_server, wanted.clone(), cut.clone(), over));
        connections.spawn(answers(from_server, to_client, cut, done));
    }
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    wanted: Arc<std::sync::Mutex<Vec<u8>>>,
    cut: Arc<AtomicBool>,
    mut over: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut buffer) => read.unwrap_or(0),
            _ = over.changed() => 0,
        };
        if read == 0 {
            return;
        }
        {
            let mut wanted = wanted.lock().expect("is not poisoned");
            if !wanted.is_empty() && buffer[..read].ends_with(&wanted) {
                wanted.clear();
                cut.store(true, Ordering::SeqCst);
            }
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// Ends, and with it the connection, where an answer is to be lost.
async fn answers(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    cut: Arc<AtomicBool>,
    done: watch::Sender<bool>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        if read == 0 || cut.load(Ordering::SeqCst) || to.write_all(&buffer[..read]).await.is_err() {
            let _ = done.send(true);
            return;
        }
    }
}
