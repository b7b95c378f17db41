//! The servers that viewers watch at: onair as it is, and those that it is measured beside.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use domain::actor::Role;
use domain::limits::SKU_UNITS_MAX;
use serde_json::{Value, json};

use super::crowd::Hello;
use super::publisher::Publisher;
use crate::bench::child::Process;
use crate::bench::stage::{Folder, Host, SKU, token};
use crate::bench::{BenchError, Options};
use crate::live;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// All roles in one process, on a file.
    Onair,
    /// uWebSockets.
    Bun,
    /// The Go library.
    Centrifuge,
}

/// One that runs.
pub(super) struct Server {
    kind: Kind,
    process: Process,
    /// Where it serves.
    pub address: SocketAddr,
    /// What viewers watch, where that has a name.
    pub show: Show,
}

/// A broadcast with one lamp.
#[derive(Debug, Clone, Default)]
pub(super) struct Show {
    /// Which.
    pub broadcast: String,
    /// Its lamp.
    pub spotlight: String,
}

/// Units of the lamp.
pub(super) const UNITS: u32 = SKU_UNITS_MAX;

impl Kind {
    /// Whether its program was installed; onair always is.
    pub fn is_there(self, options: &Options) -> bool {
        self.program(options).is_none_or(|(program, _)| program.exists())
    }

    fn program(self, options: &Options) -> Option<(PathBuf, Option<PathBuf>)> {
        let folder = &options.references;
        match self {
            Self::Onair => None,
            Self::Bun => Some((folder.join("node_modules/.bin/bun"), Some(folder.join("bun.mjs")))),
            Self::Centrifuge => Some((folder.join("centrifuge/centrifuge"), None)),
        }
    }
}

impl Server {
    /// Starts one; `pinned` to a core of its own.
    ///
    /// # Errors
    /// It does not serve.
    pub async fn start(
        kind: Kind,
        folder: &Folder,
        options: &Options,
        pinned: bool,
    ) -> Result<Self, BenchError> {
        let process = match kind.program(options) {
            None => onair(folder.path(), options, pinned).await?,
            Some((program, script)) => {
                let script: Vec<String> =
                    script.iter().map(|path| path.to_string_lossy().into_owned()).collect();
                let name = format!("{kind:?}");
                Process::start_program(&program, folder.path(), &name, &script, &[], pinned).await?
            }
        };
        let address = process.address()?;
        let show = match kind {
            Kind::Onair => Show::begin(address).await?,
            _ => Show::default(),
        };
        Ok(Self { kind, process, address, show })
    }

    /// Its process.
    pub const fn pid(&self) -> u32 {
        self.process.pid
    }

    /// How so many viewers begin.
    ///
    /// # Errors
    /// A token cannot be signed.
    pub fn hellos(&self, count: usize) -> Result<Vec<Hello>, BenchError> {
        (0..count).map(|number| self.hello(number)).collect()
    }

    fn hello(&self, number: usize) -> Result<Hello, BenchError> {
        let (path, connect) = match self.kind {
            Kind::Onair => {
                let token = token(&viewer(number), Role::Viewer)?;
                let data = json!({"broadcast": self.show.broadcast});
                (live::PATH, Some(json!({"token": token, "data": data})))
            }
            Kind::Bun => ("/", None),
            Kind::Centrifuge => (live::PATH, Some(json!({"token": "viewer"}))),
        };
        let connect = connect.map(|connect| json!({"id": 1, "connect": connect}).to_string());
        Ok(Hello { path, connect, replies: false })
    }

    /// Somebody whose messages go to everybody.
    ///
    /// # Errors
    /// It cannot connect.
    pub async fn publisher(&self, number: usize) -> Result<Publisher, BenchError> {
        match self.kind {
            Kind::Onair => {
                let token = token(&format!("moderator-{number}"), Role::Moderator)?;
                let data = json!({"broadcast": self.show.broadcast});
                let connect = json!({"token": token, "data": data});
                Publisher::says(self.address, &self.show.broadcast, &connect).await
            }
            Kind::Bun => Publisher::publishes(self.address).await,
            Kind::Centrifuge => Publisher::calls(self.address).await,
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// It does not end.
    pub async fn end(self) -> Result<(), BenchError> {
        self.process.end().await
    }
}

/// The name of a viewer.
pub(super) fn viewer(number: usize) -> String {
    format!("viewer-{number}")
}

async fn onair(folder: &Path, options: &Options, pinned: bool) -> Result<Process, BenchError> {
    let program = options.subject.clone().map_or_else(std::env::current_exe, Ok)?;
    // a file of its own for each process
    let run = format!("onair-{}", std::fs::read_dir(folder)?.count());
    let file = folder.join(format!("{run}.db"));
    let arguments: Vec<String> =
        ["serve", "--listen", "127.0.0.1:0", "--ops-listen", "127.0.0.1:0"]
            .map(ToOwned::to_owned)
            .into();
    let variables = [
        ("ONAIR_DATABASE", format!("sqlite://{}", file.display())),
        ("ONAIR_AUTH_HS256_SECRET_FILE", folder.join("secret").to_string_lossy().into_owned()),
        ("ONAIR_LOG", "warn".to_owned()),
    ];
    Process::start_program(&program, folder, &run, &arguments, &variables, pinned).await
}

impl Show {
    async fn begin(api: SocketAddr) -> Result<Self, BenchError> {
        let host = Host::new(api)?;
        let title = json!({"title": "A show that is measured", "currency": "KRW"});
        let broadcast = host.call("/v1/broadcasts", &title).await?;
        host.call(&format!("/v1/broadcasts/{broadcast}/start"), &json!({})).await?;
        let price = json!({"minor": 19_900, "currency": "KRW"});
        let body: Value = json!({
            "product": {"id": "lamp", "name": "Lamp", "original_price": price},
            "live_price": price,
            "skus": [{"sku": SKU, "limited_quantity": UNITS}],
        });
        let path = format!("/v1/broadcasts/{broadcast}/products/spotlight");
        let spotlight = host.call(&path, &body).await?;
        Ok(Self { broadcast, spotlight })
    }
}
