//! The pseudonym of a viewer, where this installation's secret is at hand.

use domain::fingerprint::PseudonymKey;
use domain::ids::{SellerId, ViewerId, ViewerRef};
use secrecy::ExposeSecret;

use crate::config::{Backend, Config, Secrets};

/// What the name of the generated secret adds to that of the database.
const BESIDE: &str = ".secret";

/// The pseudonym that follows from a viewer's id; a secret that is not there is not generated.
pub(super) fn pseudonym_of(config: &Config, seller: &SellerId, viewer: &str) -> Option<ViewerRef> {
    let backend = config.backend().ok()?;
    let is_named =
        config.auth.pseudonym_secret_file.is_some() || config.auth.hs256_secret_file.is_some();
    if !is_named {
        let Backend::Embedded { file } = &backend else { return None };
        let mut secret = file.as_os_str().to_owned();
        secret.push(BESIDE);
        if !std::path::Path::new(&secret).exists() {
            return None;
        }
    }
    let secrets = Secrets::load(config, &backend).ok()?;
    let viewer = ViewerId::try_new(viewer).ok()?;
    let key = PseudonymKey::from_secret(secrets.installation.expose_secret());
    Some(key.viewer_ref(seller, &viewer))
}
