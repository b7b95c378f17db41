//! One connection per store that hears of other processes' appends.

use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::envelope::Position;
use domain::ports::EventReader;
use sqlx::postgres::PgListener;
use tokio_util::sync::CancellationToken;

use super::reader::PostgresReader;

/// The channel of the migrations' `pg_notify`; the payload is the last position of a batch.
const CHANNEL: &str = "onair_events";
/// Time between two attempts to connect.
const RECONNECT: Duration = Duration::from_secs(1);

/// Listens until `stop`. While it cannot, waiting falls back to a short poll.
pub(super) async fn listen(url: String, reader: PostgresReader, stop: CancellationToken) {
    let forever = async {
        loop {
            if let Err(error) = hear(&url, &reader).await {
                tracing::warn!(%error, "appends of other processes are polled for");
            }
            reader.listening.store(false, Ordering::Relaxed);
            tokio::time::sleep(RECONNECT).await;
        }
    };
    stop.run_until_cancelled(forever).await;
    reader.listening.store(false, Ordering::Relaxed);
}

/// Listens until the connection is lost.
async fn hear(url: &str, reader: &PostgresReader) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect(url).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    // what was appended before the connection listened
    if let Ok(head) = reader.head().await {
        reader.head.advance(head);
        reader.listening.store(true, Ordering::Relaxed);
    }
    while let Some(notification) = listener.try_recv().await? {
        if let Ok(position) = notification.payload().parse() {
            reader.head.advance(Position(position));
        }
    }
    Ok(())
}
