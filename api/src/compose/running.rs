//! A running process, from its start to its two-step shutdown.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use commands::clock::{SystemClock, SystemIds};
use commands::faults::Faults;
use domain::ports::{Clock, Ids};
use tokio_util::task::TaskTracker;

use super::app::Around;
use super::checks::checks;
use super::parts::{Parts, Wire};
use super::roles::{Roles, Setting};
use super::{StartError, cluster, embedded, metrics_handle};
use crate::config::{Backend, Config, Role, Secrets};
use crate::live::{self, LiveState};
use crate::ops::{Readiness, ops_router};
use crate::server::{HttpLimits, Listener, Serving, beside, no_routes, router};
use crate::state::App;

/// How long the roles may take to finish what they have in hand.
const ROLES_STOP_WITHIN: Duration = Duration::from_secs(10);

/// How long a probe may take to be answered then.
const OPS_STOP_WITHIN: Duration = Duration::from_secs(1);
/// How long the store may take to let go of its connections and its file.
const STORE_CLOSES_WITHIN: Duration = Duration::from_secs(5);

/// A process that serves.
pub struct Running {
    http: Option<Serving>,
    ops: Serving,
    app: Option<Arc<App>>,
    live: Option<Arc<LiveState>>,
    roles: Roles,
    readiness: Arc<Readiness>,
    drain: Duration,
    parts: Parts,
    /// What the store does beside the roles; a file has an owner until these have ended.
    stores: TaskTracker,
}

/// What the shutdown left undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// Nothing.
    Cleanly,
    /// A role did not finish in time; what it had in hand is taken up at the next start.
    InTheMiddle,
}

/// Starts a process: adapters, roles, listeners.
///
/// # Errors
/// [`StartError`].
pub async fn start(
    config: &Config,
    backend: &Backend,
    secrets: &Secrets,
) -> Result<Running, StartError> {
    let handle = metrics_handle();
    // the sockets first: whoever cannot listen has touched nothing
    let http = if serves_http(config) { Some(bind(config.listen)?) } else { None };
    let ops = bind(config.ops_listen)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn Ids> = Arc::new(SystemIds);
    let faults = Faults::from_env()?;
    let roles = Roles::new(TaskTracker::new());
    let stores = TaskTracker::new();
    let parts = match backend {
        Backend::Embedded { .. } => {
            embedded::parts(config, clock.clone(), ids.clone(), &stores).await?
        }
        Backend::Cluster(urls) => {
            let tasks = (&roles.tasks, &stores);
            cluster::parts(config, urls, clock.clone(), ids.clone(), tasks).await?
        }
    };
    let node = config.node.clone().unwrap_or_else(|| node_name(ids.as_ref()));
    let instance = format!("{node}#{}", ids.uuid().simple());
    let readiness = Arc::new(Readiness::new(checks(&parts, &roles.owned, &config.roles)));
    let setting = Setting {
        config,
        secrets,
        instance: &instance,
        clock: clock.clone(),
        faults: faults.clone(),
    };
    roles.start(&parts, &setting).await?;
    roles.upkeep(handle.clone(), clock.clone());
    let around = Around {
        config,
        secrets,
        node: &node,
        clock,
        ids,
        faults,
        readiness: Arc::clone(&readiness),
    };
    let (app, live, routes) = surface(&around, &parts, &roles)?;
    let http = http.map(|listener| listener.serve(routes));
    let ops = ops.serve(ops_router(&readiness, handle));
    let drain = Duration::from_secs(config.http.drain_seconds.into());
    Ok(Running { http, ops, app, live, roles, readiness, drain, parts, stores })
}

fn serves_http(config: &Config) -> bool {
    config.roles.contains(&Role::Api) || config.roles.contains(&Role::Live)
}

fn bind(address: SocketAddr) -> Result<Listener, StartError> {
    Listener::bind(address).map_err(|source| StartError::Listen { address, source })
}

fn node_name(ids: &dyn Ids) -> String {
    let id = ids.uuid().simple().to_string();
    let (_, tail) = id.split_at(20);
    format!("onair-{tail}")
}

type Surface = (Option<Arc<App>>, Option<Arc<LiveState>>, Router);

/// What the public listener answers, by role.
fn surface(around: &Around<'_>, parts: &Parts, roles: &Roles) -> Result<Surface, StartError> {
    let config = around.config;
    let auth = around.auth()?;
    let limits = HttpLimits {
        request: Duration::from_secs(config.http.request_seconds.into()),
        allowed_origins: config.allowed_origins.clone(),
    };
    let app = config.roles.contains(&Role::Api).then(|| {
        let (app, worker) = around.app(parts, &auth);
        roles.receipts(worker);
        roles.demand(Arc::clone(&app.intake));
        app
    });
    let live = config.roles.contains(&Role::Live).then(|| around.live(parts, &auth));
    let mut routes = match &app {
        Some(app) => router(app, &limits),
        None => no_routes(Arc::clone(&around.ids), &limits),
    };
    if let Some(live) = &live {
        // beside the layers of HTTP: a socket has limits of its own, and its query is never seen
        let sockets = live::router(Arc::clone(live));
        routes = routes.merge(beside(sockets, Arc::clone(&around.ids)));
    }
    Ok((app, live, routes))
}

impl Running {
    /// Where HTTP and sockets are answered; absent where no role does.
    pub fn listen(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(Serving::address)
    }

    /// Where probes and metrics are answered.
    pub fn ops(&self) -> SocketAddr {
        self.ops.address()
    }

    /// Returns why a role ended for good, once one has.
    pub async fn failure(&self) -> Option<Arc<StartError>> {
        self.roles.failure().await
    }

    /// Step by step: no longer ready; send viewers away, while whoever still comes is told to go
    /// elsewhere; stop accepting and let answers finish; then let the roles finish and drop.
    pub async fn shut_down(self) -> Stopped {
        self.readiness.drain();
        let drain = self.drain;
        if let Some(live) = &self.live {
            live.drain().await;
        }
        if let Some(http) = self.http {
            http.shut_down(drain).await;
        }
        if let Some(app) = &self.app {
            app.tasks.close();
            let finished = tokio::time::timeout(drain, app.tasks.wait()).await;
            if finished.is_err() {
                tracing::warn!(left = app.tasks.len(), "orders in hand are left to the re-driver");
            }
        }
        // first of all, so that no role takes what follows for the end of its work
        self.roles.stop.cancel();
        if let Wire::Memory(log) = &self.parts.wire {
            log.close();
        }
        // gives the sockets' and handlers' hold on the adapters back
        drop((self.app, self.live));
        self.roles.tasks.close();
        // the bus holds a task of its own, which ends with it
        drop(self.parts);
        let stopped = tokio::time::timeout(ROLES_STOP_WITHIN, self.roles.tasks.wait()).await;
        // what the others decided last is shown too
        self.roles.followers_stop.cancel();
        self.roles.followers.close();
        let followed = tokio::time::timeout(ROLES_STOP_WITHIN, self.roles.followers.wait()).await;
        self.ops.shut_down(OPS_STOP_WITHIN).await;
        // the probes were the last to hold the store
        drop(self.readiness);
        self.stores.close();
        let closed = tokio::time::timeout(STORE_CLOSES_WITHIN, self.stores.wait()).await;
        if stopped.is_ok() && followed.is_ok() && closed.is_ok() {
            return Stopped::Cleanly;
        }
        let roles = self.roles.tasks.len() + self.roles.followers.len();
        let stores = self.stores.len();
        tracing::warn!(roles, stores, "not everything stopped in time");
        Stopped::InTheMiddle
    }
}
