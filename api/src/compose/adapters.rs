//! Where `commands` and `projections` meet: each side's trait over the other's type.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use commands::intake;
use domain::envelope::Position;
use domain::ids::SpotlightId;
use domain::ports::{Clock, PortError};
use projections::consumer::by_position::{self, ReadModel};
use projections::stock_counter::{Presence, Rebuilder};

use crate::auth::{self, Auth};
use crate::live;

/// Lost gates are seen to by the stock counter's rebuilder.
pub(super) struct Gates(pub Arc<Rebuilder>);

#[async_trait]
impl intake::GateRebuilder for Gates {
    async fn ensure(&self, spotlight: SpotlightId) -> Result<intake::Presence, PortError> {
        Ok(match self.0.ensure(spotlight).await? {
            Presence::Unknown => intake::Presence::Unknown,
            Presence::Ready => intake::Presence::Ready,
            Presence::Rebuilding => intake::Presence::Rebuilding,
        })
    }
}

/// The read models that answers wait for.
pub(super) struct Models {
    pub orders: ReadModel,
    pub board: ReadModel,
    pub webhooks: ReadModel,
    pub demand: ReadModel,
    pub waitlist: ReadModel,
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl intake::ReadModels for Models {
    async fn wait_applied(&self, position: Position, bound: Duration) -> bool {
        let wait = |model| by_position::wait_applied(model, self.clock.as_ref(), position, bound);
        let all =
            async { tokio::join!(wait(&self.orders), wait(&self.board), wait(&self.waitlist)) };
        let Ok((orders, board, waitlist)) = tokio::time::timeout(bound, all).await else {
            return false;
        };
        for result in [&orders, &board, &waitlist] {
            if let Err(error) = result {
                tracing::debug!(%error, "a read model cannot be asked");
            }
        }
        [orders, board, waitlist].into_iter().all(|applied| applied.unwrap_or(false))
    }
}

/// Tokens of sockets are those of HTTP.
pub(super) struct SocketTokens(pub Arc<Auth>);

#[async_trait]
impl live::TokenVerifier for SocketTokens {
    async fn verify(&self, token: &str) -> Result<live::Claims, live::TokenError> {
        match self.0.verify(token).await {
            Ok(caller) => Ok(live::Claims {
                seller: caller.seller,
                subject: caller.subject,
                name: caller.name,
                role: caller.role,
                anonymous: caller.anonymous,
                expires_at: caller.expires_at,
            }),
            Err(auth::TokenError::Expired) => Err(live::TokenError::Expired),
            Err(error) => {
                tracing::debug!(%error, "a socket's token is refused");
                Err(live::TokenError::Invalid)
            }
        }
    }
}
