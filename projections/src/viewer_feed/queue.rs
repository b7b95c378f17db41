//! What waits for one subscription: a bounded queue that takes no room while it is empty. Most
//! subscriptions are of viewers to whom nothing happens.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

struct State<T> {
    waiting: VecDeque<T>,
    is_open: bool,
}

struct Shared<T> {
    most: usize,
    state: Mutex<State<T>>,
    came: Notify,
}

/// The end that is written to; dropping it lets the other see its end.
pub struct Sender<T>(Arc<Shared<T>>);

/// The end that is read.
pub struct Receiver<T>(Arc<Shared<T>>);

/// A queue of at most `most`.
pub fn bounded<T>(most: usize) -> (Sender<T>, Receiver<T>) {
    let state = Mutex::new(State { waiting: VecDeque::new(), is_open: true });
    let shared = Arc::new(Shared { most, state, came: Notify::new() });
    (Sender(shared.clone()), Receiver(shared))
}

impl<T> Sender<T> {
    /// Adds something; `false` where the queue is full, or nobody reads it.
    pub fn try_send(&self, item: T) -> bool {
        let mut state = self.0.state.lock();
        let takes = state.is_open && state.waiting.len() < self.0.most;
        if takes {
            state.waiting.push_back(item);
            drop(state);
            self.0.came.notify_one();
        }
        takes
    }

    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        !self.0.state.lock().is_open
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.state.lock().is_open = false;
        self.0.came.notify_one();
    }
}

impl<T> Receiver<T> {
    /// The next; `None` at the end.
    pub async fn recv(&mut self) -> Option<T> {
        loop {
            {
                let mut state = self.0.state.lock();
                if let Some(item) = state.waiting.pop_front() {
                    if state.waiting.is_empty() {
                        state.waiting = VecDeque::new();
                    }
                    return Some(item);
                }
                if !state.is_open {
                    return None;
                }
            }
            self.0.came.notified().await;
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.is_open = false;
        state.waiting = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_bounded_and_ends_after_what_waits() {
        let (sender, mut receiver) = bounded(2);
        assert!(sender.try_send(1) && sender.try_send(2) && !sender.try_send(3));
        assert_eq!(receiver.recv().await, Some(1));
        assert!(sender.try_send(4));
        drop(sender);
        assert_eq!(receiver.recv().await, Some(2));
        assert_eq!(receiver.recv().await, Some(4));
        assert_eq!(receiver.recv().await, None);
    }

    #[tokio::test]
    async fn whoever_writes_sees_that_nobody_reads() {
        let (sender, receiver) = bounded(1);
        assert!(!sender.is_closed());
        drop(receiver);
        assert!(sender.is_closed() && !sender.try_send(1));
    }

    #[tokio::test]
    async fn whoever_waits_is_woken() {
        let (sender, mut receiver) = bounded(1);
        let (got, ()) = tokio::join!(receiver.recv(), async {
            assert!(sender.try_send(7));
        });
        assert_eq!(got, Some(7));
        let (end, ()) = tokio::join!(receiver.recv(), async { drop(sender) });
        assert_eq!(end, None);
    }
}
