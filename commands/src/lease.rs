//! The end of a role's lease.

use std::time::Duration;

use domain::ports::{Clock, EventStore};

use crate::writer::cause;

/// How long giving a lease back may take.
pub const RELEASE_BOUND: Duration = Duration::from_secs(1);

/// Gives a role's lease back, where the store answers in time.
pub(crate) async fn give_back(store: &dyn EventStore, clock: &dyn Clock, role: &str, owner: &str) {
    tokio::select! {
        biased;
        released = store.release(role, owner) => if let Err(error) = released {
            tracing::info!(error = cause(&error), role, "the lease ends by itself");
        },
        () = clock.sleep(RELEASE_BOUND) => {}
    }
}
