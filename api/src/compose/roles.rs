//! The role loops of a process, as tracked tasks.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use commands::faults::Faults;
use commands::intake::{Intake, ReceiptsWorker};
use commands::process::{self, GuardedGateway, ProcessConfig, ProcessPorts};
use commands::relay;
use commands::sealer::{self, FolderWitness, KafkaWitness, SealerPorts, WitnessSink};
use commands::store;
use commands::writer::{self, Owned, WriterConfig, WriterPorts};
use domain::envelope::Position;
use domain::ports::{Clock, CommandConsumer, EventStore, PortError};
use futures::FutureExt;
use metrics_exporter_prometheus::PrometheusHandle;
use projections::consumer::by_position;
use projections::{stock_counter, viewer_feed};
use secrecy::ExposeSecret;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::StartError;
use super::adapters::Gates;
use super::parts::{Parts, Wire};
use crate::config::{Config, Role, SealKeyError, Secrets, seal_signer};
use crate::payments::Provider;
use crate::webhooks::{AddressRule, SecretKey, Sender};

/// How often the recorder of metrics tidies up.
const UPKEEP: Duration = Duration::from_secs(5);

/// The running loops.
pub(super) struct Roles {
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
    /// The loops that stop after those whose work they show.
    pub followers: TaskTracker,
    pub followers_stop: CancellationToken,
    failed: watch::Sender<Option<Arc<StartError>>>,
    /// What the writer of this process decides.
    pub owned: Owned,
}

/// What every loop needs.
pub(super) struct Setting<'a> {
    pub config: &'a Config,
    pub secrets: &'a Secrets,
    /// This process among those of its name: whose leases and partitions are whose.
    pub instance: &'a str,
    pub clock: Arc<dyn Clock>,
    pub faults: Faults,
}

impl Roles {
    pub(super) fn new(tasks: TaskTracker) -> Self {
        Self {
            tasks,
            stop: CancellationToken::new(),
            followers: TaskTracker::new(),
            followers_stop: CancellationToken::new(),
            failed: watch::Sender::new(None),
            owned: Owned::default(),
        }
    }

    /// Returns why a loop ended for good, once one has.
    pub(super) async fn failure(&self) -> Option<Arc<StartError>> {
        let mut failed = self.failed.subscribe();
        match failed.wait_for(Option::is_some).await {
            Ok(error) => error.clone(),
            // the sender lives as long as this
            Err(_) => std::future::pending().await,
        }
    }

    /// Runs a loop. One that ends before the stop, whatever its reason, is a failure of the
    /// process: it would look healthy and do nothing.
    fn spawn(
        &self,
        role: &'static str,
        work: impl Future<Output = Result<(), StartError>> + Send + 'static,
    ) {
        self.tasks.spawn(self.watched(role, work, self.stop.clone()));
    }

    fn watched(
        &self,
        role: &'static str,
        work: impl Future<Output = Result<(), StartError>> + Send + 'static,
        stop: CancellationToken,
    ) -> impl Future<Output = ()> + Send + 'static {
        let failed = self.failed.clone();
        async move {
            let error = match AssertUnwindSafe(work).catch_unwind().await {
                Ok(Ok(())) if stop.is_cancelled() => return,
                Ok(Ok(())) => StartError::Ended(role),
                Ok(Err(error)) => error,
                Err(_) => StartError::Panicked(role),
            };
            tracing::error!(role, %error, "the role has stopped for good");
            failed.send_if_modified(|first| {
                let is_first = first.is_none();
                first.get_or_insert_with(|| Arc::new(error));
                is_first
            });
        }
    }

    fn spawn_endless(&self, role: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.spawn(role, work.map(Ok));
    }

    /// Signs receipts until the stop; only then does the queue's other end go away.
    pub(super) fn receipts(&self, worker: ReceiptsWorker) {
        self.spawn_endless("receipts", worker.run(self.stop.clone()));
    }

    /// Writes down what the process refuses, until the stop.
    pub(super) fn demand(&self, intake: Arc<Intake>) {
        let stop = self.stop.clone();
        self.spawn_endless("demand", async move { intake.tell_demand(&stop).await });
    }

    pub(super) fn upkeep(&self, handle: PrometheusHandle, clock: Arc<dyn Clock>) {
        let stop = self.stop.clone();
        self.spawn_endless("upkeep", async move {
            while stop.run_until_cancelled(clock.sleep(UPKEEP)).await.is_some() {
                handle.run_upkeep();
            }
        });
    }

    /// Starts the loops of the configured roles.
    pub(super) async fn start(
        &self,
        parts: &Parts,
        setting: &Setting<'_>,
    ) -> Result<(), StartError> {
        let roles = &setting.config.roles;
        if let Some(store) = &parts.store {
            if roles.contains(&Role::Writer) {
                self.writer(parts, store, setting)?;
            }
            if roles.contains(&Role::Relay) {
                self.relay(parts, store, setting);
                self.sealer(parts, store, setting).await?;
            }
            if roles.contains(&Role::Process) {
                self.process(parts, store, setting)?;
                self.webhooks(parts, setting)?;
            }
        }
        if roles.contains(&Role::Project) {
            // before the read models go on: it tells what they still lack
            self.viewer_feed(parts, setting).await?;
            self.read_models(parts, setting);
            self.stock_counter(parts, setting).await?;
        }
        Ok(())
    }

    fn writer(
        &self,
        parts: &Parts,
        store: &Arc<dyn EventStore>,
        setting: &Setting<'_>,
    ) -> Result<(), StartError> {
        let (consumer, parked): (Box<dyn CommandConsumer>, _) = match &parts.wire {
            Wire::Memory(log) => (Box::new(log.consumer()), None),
            Wire::Kafka(kafka) => ((kafka.join)()?, kafka.parked.clone()),
        };
        let writer = WriterPorts {
            store: Arc::clone(store),
            consumer,
            parked,
            clock: Arc::clone(&setting.clock),
            faults: setting.faults.clone(),
        };
        let config =
            WriterConfig { owned: self.owned.clone(), ..WriterConfig::new(setting.instance) };
        let work = writer::run(writer, config, self.stop.clone());
        self.spawn("writer", async { Ok(work.await?) });
        Ok(())
    }

    /// On one file the store is the log of events, and nothing is to be relayed.
    fn relay(&self, parts: &Parts, store: &Arc<dyn EventStore>, setting: &Setting<'_>) {
        let Wire::Kafka(kafka) = &parts.wire else { return };
        let Some(publisher) = kafka.publisher.clone() else { return };
        let (store, clock) = (Arc::clone(store), Arc::clone(&setting.clock));
        let owner = setting.instance.to_owned();
        let work = relay::run(store, publisher, clock, owner, self.stop.clone());
        self.spawn_endless("relay", work);
    }

    /// Seals where there is a key: which one is asked before each pass, so that another may go on.
    async fn sealer(
        &self,
        parts: &Parts,
        store: &Arc<dyn EventStore>,
        setting: &Setting<'_>,
    ) -> Result<(), StartError> {
        let config = &setting.config.seal;
        let file = config.key_file.clone();
        match seal_signer(file.as_deref()) {
            Err(SealKeyError::None) => return Ok(()),
            Err(error) => return Err(error.into()),
            Ok(_) => {}
        }
        let mut witnesses: Vec<Box<dyn WitnessSink>> = vec![];
        if let Some(folder) = &config.witness_folder {
            let folder = FolderWitness::open(folder).map_err(StartError::Witness)?;
            witnesses.push(Box::new(folder));
        }
        if let Wire::Kafka(kafka) = &parts.wire {
            let (brokers, topic) = &kafka.witness;
            witnesses.push(Box::new(KafkaWitness::connect(brokers, topic)?));
        }
        let sink = store::open_seal_sink(&setting.config.database).await?;
        let sealer = SealerPorts {
            store: Arc::clone(store),
            rows: Arc::clone(&parts.rows),
            witnesses,
            signer: Box::new(move || {
                seal_signer(file.as_deref())
                    .map_err(|error| PortError::unavailable("the seal key", error))
            }),
            clock: Arc::clone(&setting.clock),
        };
        let every = Duration::from_secs(config.every_seconds.into());
        let work = sealer::run(sealer, sink, every, setting.instance.to_owned(), self.stop.clone());
        self.spawn_endless("sealer", work);
        Ok(())
    }

    fn process(
        &self,
        parts: &Parts,
        store: &Arc<dyn EventStore>,
        setting: &Setting<'_>,
    ) -> Result<(), StartError> {
        let payment = &setting.config.payment;
        let provider = Provider::named(&setting.config.payments).unwrap_or(Provider::Simulated);
        let key = setting.secrets.payment_key.as_ref();
        let gateway = provider.gateway(payment, key, &setting.clock)?;
        let process = ProcessPorts {
            store: Arc::clone(store),
            log: Arc::clone(&parts.log),
            gate: Arc::clone(&parts.gate),
            orders: Arc::clone(&parts.orders),
            board: Arc::clone(&parts.board),
            gateway: Arc::new(GuardedGateway::new(gateway, Arc::clone(&setting.clock))),
            rebuilder: Arc::new(Gates(Arc::clone(&parts.rebuilder))),
            clock: Arc::clone(&setting.clock),
            faults: setting.faults.clone(),
        };
        let mut config = ProcessConfig::new(setting.instance);
        config.payment_final = Duration::from_secs(payment.final_seconds.into());
        self.spawn_endless("process", process::run(process, config, self.stop.clone()));
        Ok(())
    }

    /// Another side effect of the log, beside payments.
    fn webhooks(&self, parts: &Parts, setting: &Setting<'_>) -> Result<(), StartError> {
        let rule = AddressRule { allow_private: setting.config.webhooks.allow_private };
        let key = SecretKey::new(setting.secrets.installation.expose_secret());
        let book = Arc::clone(&parts.webhooks);
        let sender = Sender::new(book, Arc::clone(&setting.clock), rule, key)?;
        self.spawn_endless("webhooks", sender.run(self.stop.clone()));
        Ok(())
    }

    fn read_models(&self, parts: &Parts, setting: &Setting<'_>) {
        let (models, reader) = (Arc::clone(&parts.models), Arc::clone(&parts.reader));
        let (clock, stop) = (Arc::clone(&setting.clock), self.followers_stop.clone());
        let work = async move {
            let all =
                [&models.orders, &models.board, &models.waitlist, &models.demand, &models.webhooks];
            by_position::run_all(&all, reader.as_ref(), clock.as_ref(), &stop).await;
            Ok(())
        };
        let stop = self.followers_stop.clone();
        self.followers.spawn(self.watched("read_models", work, stop));
    }

    async fn stock_counter(&self, parts: &Parts, setting: &Setting<'_>) -> Result<(), StartError> {
        // an empty gate is rebuilt when it is asked for, so the past is not needed
        let after = match &parts.wire {
            Wire::Memory(_) => parts.reader.head().await?,
            Wire::Kafka(_) => Position::START,
        };
        let work = stock_counter::run(
            Arc::clone(&parts.gate),
            Arc::clone(&parts.event_log),
            Arc::clone(&parts.reader),
            Arc::clone(&parts.rebuilder),
            Arc::clone(&setting.clock),
            after,
            self.stop.clone(),
        );
        self.spawn_endless("stock_counter", work);
        Ok(())
    }

    async fn viewer_feed(&self, parts: &Parts, setting: &Setting<'_>) -> Result<(), StartError> {
        // viewers are given what the read models have; what these lack after a crash is still to
        // be told
        let after = match &parts.wire {
            Wire::Memory(_) => {
                parts.orders.checkpoint().await?.min(parts.board.checkpoint().await?)
            }
            Wire::Kafka(_) => Position::START,
        };
        let work = viewer_feed::run(
            Arc::clone(&parts.event_log),
            Arc::clone(&parts.reader),
            Arc::clone(&parts.bus),
            Arc::clone(&setting.clock),
            after,
            self.stop.clone(),
        );
        self.spawn("viewer_feed", async { Ok(work.await?) });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_role_that_ends_by_itself_is_a_failure() {
        let roles = Roles::new(TaskTracker::new());
        roles.spawn_endless("quiet", async {});
        assert!(matches!(roles.failure().await.as_deref(), Some(StartError::Ended("quiet"))));
        let roles = Roles::new(TaskTracker::new());
        roles.spawn("loud", async { panic!("a defect") });
        assert!(matches!(roles.failure().await.as_deref(), Some(StartError::Panicked("loud"))));
    }

    #[tokio::test]
    async fn a_role_that_was_stopped_is_none() {
        let roles = Roles::new(TaskTracker::new());
        let stopped = roles.stop.clone();
        roles.spawn_endless("obedient", async move { stopped.cancelled().await });
        roles.stop.cancel();
        roles.tasks.close();
        roles.tasks.wait().await;
        assert!(roles.failed.borrow().is_none());
    }
}
