//! Those who keep the seals elsewhere: a chain that is checked against its own database proves
//! nothing about a rewrite, or about a tail that was cut.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use domain::ports::PortError;
use domain::seal::{KeyRecord, Seal, WitnessHeading};
use rdkafka::message::{Header, OwnedHeaders};

use crate::log::kafka::Copies;

/// Keeps seals. The same one may come again.
#[async_trait]
pub trait WitnessSink: Send + Sync {
    /// Keeps a seal, with every public key that ever sealed.
    ///
    /// # Errors
    /// It cannot be kept; it is told again.
    async fn keep(&self, seal: &Seal, keys: &[KeyRecord]) -> Result<(), PortError>;
}

/// A folder with a file for each seal; `onair replay verify --witness FOLDER` reads it.
#[derive(Debug, Clone)]
pub struct FolderWitness(PathBuf);

impl FolderWitness {
    /// A folder, which is made where it is missing.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self(folder.to_owned()))
    }

    /// Writes the file whole before it has its name. What is there already stays: a witness is
    /// never overwritten.
    fn write(&self, seal: &Seal, keys: &[KeyRecord]) -> io::Result<()> {
        let file = self.0.join(format!("seal-{:012}.ndjson", seal.number));
        if file.exists() {
            return Ok(());
        }
        let draft = self.0.join(format!(".seal-{:012}.draft", seal.number));
        let mut out = fs::File::create(&draft)?;
        let heading = WitnessHeading::new(keys.to_vec());
        writeln!(out, "{}", serde_json::to_string(&heading)?)?;
        writeln!(out, "{}", serde_json::to_string(seal)?)?;
        out.sync_all()?;
        fs::rename(draft, file)
    }
}

#[async_trait]
impl WitnessSink for FolderWitness {
    async fn keep(&self, seal: &Seal, keys: &[KeyRecord]) -> Result<(), PortError> {
        self.write(seal, keys).map_err(|error| PortError::unavailable("the witness folder", error))
    }
}

/// The topic `onair.witness.v1`: the key is the seal's number, the value the seal as JSON, the header
/// `keys` the published key set.
pub struct KafkaWitness(Copies);

impl KafkaWitness {
    /// A producer of the topic.
    ///
    /// # Errors
    /// Settings that librdkafka does not accept.
    pub fn connect(brokers: &str, topic: &str) -> Result<Self, PortError> {
        Copies::connect(brokers, "onair-witness", topic).map(Self)
    }
}

#[async_trait]
impl WitnessSink for KafkaWitness {
    async fn keep(&self, seal: &Seal, keys: &[KeyRecord]) -> Result<(), PortError> {
        let json = |text: Result<String, serde_json::Error>| {
            text.map_err(|error| PortError::corrupt("a seal", error))
        };
        let (number, value) = (seal.number.to_string(), json(serde_json::to_string(seal))?);
        let keys = json(serde_json::to_string(keys))?;
        let headers = OwnedHeaders::new().insert(Header { key: "keys", value: Some(&keys) });
        self.0.put(&number, value.as_bytes(), headers).await
    }
}
