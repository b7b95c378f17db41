//! Where orders are placed: one process on one file, or a cluster.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use super::bank::{self, Bank};
use crate::support::cluster::{Cluster, Servers};
use crate::support::process::{self, Onair};
use crate::support::shop::Shop;

/// How long after its hold an attempt without an answer is waited for, in seconds.
const FINAL_SECONDS: &str = "4";

pub enum Place {
    Embedded { server: Box<Onair>, settings: Vec<(String, String)>, dir: TempDir },
    Cluster { cluster: Box<Cluster>, _files: TempDir },
}

/// What makes the bank the provider; its files lie in `dir`.
fn settings(dir: &Path, bank: &Bank) -> Vec<(String, String)> {
    let file = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).expect("writes");
        path.to_string_lossy().into_owned()
    };
    [
        ("ONAIR_PAYMENTS", "http".to_owned()),
        ("ONAIR_PAYMENT_URL", bank.address.clone()),
        ("ONAIR_PAYMENT_KEY_FILE", file("payment.key", bank::KEY)),
        ("ONAIR_PAYMENT_WEBHOOK_SECRETS_FILE", file("webhook.secrets", bank::SECRET)),
        ("ONAIR_PAYMENT_FINAL_SECONDS", FINAL_SECONDS.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

impl Place {
    /// One process on a file.
    pub async fn embedded(bank: &Bank) -> (Self, Shop) {
        let dir = tempfile::tempdir().expect("a folder");
        let secret = Uuid::new_v4().simple().to_string();
        let file = dir.path().join("auth.secret");
        std::fs::write(&file, &secret).expect("writes the secret");
        let database = format!("sqlite://{}/onair.db", dir.path().display());
        let mut settings = settings(dir.path(), bank);
        settings.push(("ONAIR_DATABASE".to_owned(), database));
        let secret_file = file.to_string_lossy().into_owned();
        settings.push(("ONAIR_AUTH_HS256_SECRET_FILE".to_owned(), secret_file));
        let mut server = Box::new(Onair::new("onair", dir.path(), "", &settings));
        server.start().await;
        let place = Self::Embedded { server, settings, dir };
        bank.tell_at(&place.urls());
        (place, Shop::new("acme", secret.as_bytes()))
    }

    /// Two api processes, two writers and one of each other role on real servers.
    pub async fn cluster(bank: &Bank) -> (Self, Shop) {
        let servers = Servers::shared().await;
        let dir = tempfile::tempdir().expect("a folder");
        let more = settings(dir.path(), bank);
        let cluster = Cluster::start_with(&servers, (2, 2), more).await;
        let shop = Shop::new("acme", &cluster.secret);
        let place = Self::Cluster { cluster: Box::new(cluster), _files: dir };
        bank.tell_at(&place.urls());
        (place, shop)
    }

    pub fn urls(&self) -> Vec<String> {
        match self {
            Self::Embedded { server, .. } => vec![server.url()],
            Self::Cluster { cluster, .. } => cluster.api.iter().map(Onair::url).collect(),
        }
    }

    /// The command's exit code and the object that it prints.
    pub async fn replay(&self, arguments: &[&str]) -> (i32, Value) {
        let (dir, settings) = match self {
            Self::Embedded { dir, settings, .. } => (dir.path(), settings),
            Self::Cluster { cluster, .. } => (cluster.dir.path(), &cluster.settings),
        };
        let arguments = [&["replay"], arguments, &["--json"]].concat();
        let (code, out, errors) = process::run_again(dir, settings, &arguments).await;
        (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}\n{errors}")))
    }

    pub async fn stop(&mut self) {
        match self {
            Self::Embedded { server, .. } => server.stop().await,
            Self::Cluster { cluster, .. } => cluster.stop().await,
        }
    }
}
