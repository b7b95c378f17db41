//! Secrets: only from files, never shown.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rand::TryRngCore;
use rand::rngs::OsRng;
use secrecy::{ExposeSecret, SecretSlice, SecretString};

use super::{Backend, Config};
use crate::payments::Provider;
use crate::payments::signature::secret_of;

/// Bytes of randomness in a generated secret.
pub const GENERATED_BYTES: usize = 32;

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// A file cannot be read or written.
    #[error("the secret file {}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is empty.
    #[error("the secret file {} is empty", .0.display())]
    Empty(PathBuf),
    /// The cluster has none.
    #[error(
        "a cluster needs ONAIR_AUTH_HS256_SECRET_FILE, or ONAIR_AUTH_JWKS_URL together with \
             ONAIR_AUTH_PSEUDONYM_SECRET_FILE"
    )]
    None,
    /// No randomness.
    #[error("the system gives no randomness")]
    Random,
}

/// The secrets of an installation.
#[derive(Debug)]
pub struct Secrets {
    /// What tokens are signed with; absent where an identity provider signs them.
    pub tokens: Option<SecretSlice<u8>>,
    /// What pseudonyms, receipts and anonymous tokens are derived from.
    pub installation: SecretSlice<u8>,
    /// What the payment provider knows us by.
    pub payment_key: Option<SecretString>,
    /// What the payment provider signs its webhooks with; several while one is rotated.
    pub provider_webhooks: Vec<SecretSlice<u8>>,
}

impl Secrets {
    /// Reads the configured secrets; an embedded one without any keeps a generated secret beside
    /// its database file.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn load(config: &Config, backend: &Backend) -> Result<Self, SecretError> {
        let named = config.auth.hs256_secret_file.as_deref().map(read).transpose()?;
        let tokens = match (named, backend, &config.auth.jwks_url) {
            (Some(named), ..) => Some(named),
            (None, Backend::Embedded { file }, None) => Some(generated(&beside(file))?),
            (None, ..) => None,
        };
        let installation = match (&config.auth.pseudonym_secret_file, &tokens, backend) {
            (Some(file), ..) => read(file)?,
            (None, Some(tokens), _) => tokens.expose_secret().to_vec().into(),
            (None, None, Backend::Embedded { file }) => generated(&beside(file))?,
            (None, None, Backend::Cluster(_)) => return Err(SecretError::None),
        };
        let provider_webhooks = match &config.payment.webhook_secrets_file {
            // Stripe signs with the text of its secret, as it stands
            Some(file) if config.payments == Provider::Stripe.name() => {
                lines(file, |line| line.as_bytes().to_vec())?
            }
            Some(file) => lines(file, secret_of)?,
            None => vec![],
        };
        let payment_key = match &config.payment.key_file {
            Some(file) => {
                let text = String::from_utf8_lossy(read(file)?.expose_secret()).trim().to_owned();
                Some(SecretString::from(text))
            }
            None => None,
        };
        Ok(Self { tokens, installation, payment_key, provider_webhooks })
    }
}

/// The generated secret's file.
fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".secret");
    PathBuf::from(name)
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> SecretError {
    let path = path.to_owned();
    |source| SecretError::File { path, source }
}

/// A file's bytes without a newline at the end.
fn read(path: &Path) -> Result<SecretSlice<u8>, SecretError> {
    let mut bytes = fs::read(path).map_err(failed(path))?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    if bytes.is_empty() {
        return Err(SecretError::Empty(path.to_owned()));
    }
    Ok(bytes.into())
}

/// A secret per line; empty lines do not count.
fn lines(path: &Path, secret_of: fn(&str) -> Vec<u8>) -> Result<Vec<SecretSlice<u8>>, SecretError> {
    let text = String::from_utf8_lossy(read(path)?.expose_secret()).into_owned();
    let secrets: Vec<SecretSlice<u8>> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| secret_of(line).into())
        .collect();
    if secrets.is_empty() { Err(SecretError::Empty(path.to_owned())) } else { Ok(secrets) }
}

/// Reads the generated secret, or generates it; whoever creates the file first wins.
fn generated(path: &Path) -> Result<SecretSlice<u8>, SecretError> {
    if path.exists() {
        return read(path);
    }
    let mut random = [0; GENERATED_BYTES];
    OsRng.try_fill_bytes(&mut random).map_err(|_| SecretError::Random)?;
    // written whole before it has its name: a reader never sees half of it
    let mut suffix = [0; 8];
    OsRng.try_fill_bytes(&mut suffix).map_err(|_| SecretError::Random)?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", hex::encode(suffix)));
    let draft = PathBuf::from(draft);
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        writeln!(file, "{}", hex::encode(random))?;
        file.sync_all()?;
        match fs::hard_link(&draft, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => fs::remove_file(&draft),
        }
    };
    write().map_err(failed(path))?;
    read(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_newline_at_the_end_does_not_count() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("secret");
        for (text, bytes) in [("a b\n", "a b"), ("ab", "ab"), ("ab\r\n", "ab"), ("ab\n\n", "ab\n")]
        {
            fs::write(&file, text).expect("writes");
            assert_eq!(read(&file).expect("reads").expose_secret(), bytes.as_bytes());
        }
        fs::write(&file, "\n").expect("writes");
        assert!(matches!(read(&file), Err(SecretError::Empty(_))));
    }

    #[test]
    fn an_embedded_secret_is_generated_once_and_private() {
        let dir = tempfile::tempdir().expect("a folder");
        let backend = Backend::Embedded { file: dir.path().join("onair.db") };
        let load = || Secrets::load(&Config::default(), &backend).expect("loads");
        let first = load().installation.expose_secret().to_vec();
        assert_eq!(first.len(), 2 * GENERATED_BYTES);
        assert_eq!(load().installation.expose_secret(), first);
        let file = dir.path().join("onair.db.secret");
        let mode = fs::metadata(&file).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 1);
    }

    #[test]
    fn a_cluster_without_a_secret_does_not_start() {
        let backend = Backend::Cluster(super::super::ClusterUrls {
            database: String::new(),
            redis: String::new(),
            kafka: String::new(),
        });
        assert!(matches!(Secrets::load(&Config::default(), &backend), Err(SecretError::None)));
    }

    #[test]
    fn secrets_do_not_print() {
        let secrets = Secrets {
            tokens: None,
            installation: b"hunter2".to_vec().into(),
            payment_key: Some(SecretString::from("hunter2")),
            provider_webhooks: vec![b"hunter2".to_vec().into()],
        };
        assert!(!format!("{secrets:?}").contains("hunter2"));
    }
}
