//! Secrets and signatures of webhooks, as Standard Webhooks has them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::Timestamp;
use domain::fingerprint::keyed_hash;
use domain::ports::WebhookEndpoint;
use secrecy::{ExposeSecret, SecretSlice};

const LABEL: &str = "onair webhook secret v1";
const PREFIX: &str = "whsec_";

/// What every endpoint's secret follows from; no secret is stored.
#[derive(Debug, Clone)]
pub struct SecretKey(SecretSlice<u8>);

/// The secret of one endpoint and generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookSecret([u8; 32]);

impl SecretKey {
    /// The key of an installation.
    pub fn new(installation: &[u8]) -> Self {
        Self(SecretSlice::from(installation.to_vec()))
    }

    /// The secret of an endpoint's generation.
    pub fn secret(&self, endpoint: uuid::Uuid, generation: u32) -> WebhookSecret {
        let name = format!("{LABEL} {endpoint} {generation}");
        WebhookSecret(keyed_hash(self.0.expose_secret(), name.as_bytes()))
    }

    /// The value of `webhook-signature`: signed with the endpoint's secret, and for a while after a
    /// rotation with the one before, too.
    pub fn signatures(
        &self,
        endpoint: &WebhookEndpoint,
        id: &str,
        now: Timestamp,
        body: &str,
    ) -> String {
        let seconds = now.timestamp();
        let current = self.secret(endpoint.id, endpoint.generation).sign(id, seconds, body);
        let before = endpoint.generation.checked_sub(1);
        match before.filter(|_| endpoint.previous_until.is_some_and(|until| now < until)) {
            Some(before) => {
                let before = self.secret(endpoint.id, before).sign(id, seconds, body);
                format!("{current} {before}")
            }
            None => current,
        }
    }
}

impl WebhookSecret {
    /// The secret as sellers are given it.
    pub fn text(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(self.0))
    }

    /// One signature, `v1,…`.
    pub fn sign(&self, id: &str, seconds: i64, body: &str) -> String {
        let content = format!("{id}.{seconds}.{body}");
        format!("v1,{}", STANDARD.encode(keyed_hash(&self.0, content.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification and of its libraries.
    #[test]
    fn signs_as_the_specification_does() {
        let bytes = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64");
        let content = "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
        let signed = STANDARD.encode(keyed_hash(&bytes, content.as_bytes()));
        assert_eq!(signed, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn each_endpoint_and_generation_has_a_secret_of_its_own() {
        let key = SecretKey::new(b"installation");
        let (one, other) = (uuid::Uuid::from_u128(1), uuid::Uuid::from_u128(2));
        assert_eq!(key.secret(one, 1), key.secret(one, 1));
        assert_ne!(key.secret(one, 1), key.secret(one, 2));
        assert_ne!(key.secret(one, 1), key.secret(other, 1));
        assert!(key.secret(one, 1).text().starts_with("whsec_"));
    }
}
