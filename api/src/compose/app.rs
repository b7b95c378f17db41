//! The parts of an api process.

use std::sync::Arc;

use chrono::TimeDelta;
use commands::faults::Faults;
use commands::intake::{Intake, IntakePorts, ReceiptSigner, Receipts, ReceiptsWorker};
use domain::fingerprint::{PseudonymKey, keyed_hash};
use domain::ports::{Clock, Ids};
use secrecy::ExposeSecret;
use tokio_util::task::TaskTracker;

use super::StartError;
use super::adapters::{Gates, SocketTokens};
use super::bounded::Bounded;
use super::parts::Parts;
use crate::audit::Audit;
use crate::auth::{Auth, Jwks, Keys};
use crate::config::{Config, Secrets};
use crate::extract::address::Proxies;
use crate::extract::rate::OrderRate;
use crate::live::{LiveParts, LiveState};
use crate::ops::Readiness;
use crate::ordering::OrderLookup;
use crate::pages::PageSettings;
use crate::payments::{Provider, ProviderWebhooks};
use crate::state::App;
use crate::webhooks::{AddressRule, SecretKey};

/// What handlers and sockets need beside the adapters.
pub(super) struct Around<'a> {
    pub config: &'a Config,
    pub secrets: &'a Secrets,
    pub node: &'a str,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
    pub faults: Faults,
    pub readiness: Arc<Readiness>,
}

impl Around<'_> {
    pub(super) fn auth(&self) -> Result<Arc<Auth>, StartError> {
        let installation = self.secrets.installation.expose_secret();
        let keys = match (&self.secrets.tokens, &self.config.auth.jwks_url) {
            (None, Some(url)) => Keys::Jwks(Jwks::new(url.clone())?),
            (tokens, _) => {
                let secret = tokens.as_ref().unwrap_or(&self.secrets.installation);
                Keys::Hs256(secret.expose_secret().to_vec())
            }
        };
        Ok(Arc::new(Auth::new(keys, installation)))
    }

    fn pseudonyms(&self) -> PseudonymKey {
        PseudonymKey::from_secret(self.secrets.installation.expose_secret())
    }

    fn page(&self) -> PageSettings {
        PageSettings {
            payments: self.config.payments.clone(),
            public_url: self.config.public_url.clone(),
            frame_ancestors: self.config.allowed_origins.clone(),
            video_url: self.config.watch.video_url.clone(),
        }
    }

    pub(super) fn app(&self, parts: &Parts, auth: &Arc<Auth>) -> (Arc<App>, ReceiptsWorker) {
        let seed = keyed_hash(self.secrets.installation.expose_secret(), b"onair receipt key v1");
        let signer = Arc::new(ReceiptSigner::from_seed(&seed));
        let receipt_key = signer.public_key();
        let (receipts, worker) = Receipts::new(signer, Arc::clone(&parts.accepted));
        let intake = IntakePorts {
            gate: Arc::clone(&parts.gate),
            log: Arc::clone(&parts.log),
            accepted: Arc::clone(&parts.accepted),
            events: Arc::new(Bounded(Arc::clone(&parts.reader))),
            rebuilder: Arc::new(Gates(Arc::clone(&parts.rebuilder))),
            read_models: parts.models.clone(),
            clock: Arc::clone(&self.clock),
            ids: Arc::clone(&self.ids),
            faults: self.faults.clone(),
        };
        let app = App {
            intake: Arc::new(Intake::new(intake, self.node, receipts)),
            order_book: Arc::new(Bounded(Arc::clone(&parts.orders))),
            sales_board: Arc::new(Bounded(Arc::clone(&parts.board))),
            demand: Arc::new(Bounded(Arc::clone(&parts.demand))),
            waitlist: Arc::new(Bounded(Arc::clone(&parts.waitlist))),
            node: self.node.to_owned(),
            gate: Arc::clone(&parts.gate),
            accepted: Arc::clone(&parts.accepted),
            chat_log: Arc::clone(&parts.chat),
            room_book: Arc::new(Bounded(Arc::clone(&parts.rooms))),
            webhooks: Arc::clone(&parts.webhooks),
            webhook_rule: AddressRule { allow_private: self.config.webhooks.allow_private },
            webhook_key: SecretKey::new(self.secrets.installation.expose_secret()),
            reader: Arc::new(Bounded(Arc::clone(&parts.reader))),
            audit: Audit::new(Arc::new(Bounded(Arc::clone(&parts.rows))), receipt_key),
            auth: Arc::clone(auth),
            pseudonyms: self.pseudonyms(),
            clock: Arc::clone(&self.clock),
            ids: Arc::clone(&self.ids),
            proxies: Proxies::new(self.config.trusted_proxies.clone()),
            order_rate: OrderRate::default(),
            parked: Arc::clone(&parts.parked),
            provider_webhooks: ProviderWebhooks {
                // checked with the settings
                provider: Provider::named(&self.config.payments).unwrap_or(Provider::Simulated),
                secrets: self.secrets.provider_webhooks.clone(),
            },
            tasks: TaskTracker::new(),
            readiness: Arc::clone(&self.readiness),
            public_url: self.config.public_url.clone(),
            page: self.page(),
        };
        (Arc::new(app), worker)
    }

    pub(super) fn live(&self, parts: &Parts, auth: &Arc<Auth>) -> Arc<LiveState> {
        LiveState::new(LiveParts {
            bus: Arc::clone(&parts.bus),
            board: Arc::new(Bounded(Arc::clone(&parts.board))),
            orders: Arc::new(Bounded(Arc::clone(&parts.orders))),
            verifier: Arc::new(SocketTokens(Arc::clone(auth))),
            clock: Arc::clone(&self.clock),
            ids: Arc::clone(&self.ids),
            pseudonyms: self.pseudonyms(),
            allowed_origins: self.config.allowed_origins.clone(),
            trusted_proxies: self.config.trusted_proxies.clone(),
            lookup: OrderLookup {
                book: Arc::new(Bounded(Arc::clone(&parts.orders))),
                accepted: Arc::clone(&parts.accepted),
                reader: Arc::new(Bounded(Arc::clone(&parts.reader))),
            },
            rooms: Arc::new(Bounded(Arc::clone(&parts.rooms))),
            chat_log: Arc::clone(&parts.chat),
            chat_kept: TimeDelta::days(self.config.chat.retention_days.into()),
            // one process, one word: a restarted node with the same name counts anew
            node: format!("{}-{}", self.node, self.ids.uuid().simple()),
            limits: self.config.live.limits(),
        })
    }
}
