//! Standard Webhooks signatures: `v1,base64(HMAC-SHA256(secret, id.timestamp.body))`, over the raw
//! body, compared in constant time, under any of several secrets, so that they can be rotated.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::Timestamp;
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

/// How far a signature's time may be from now, in seconds, before and after.
pub const TOLERANCE_SECONDS: i64 = 300;
/// Signatures of one request that are looked at.
pub const SIGNATURES_MAX: usize = 8;
/// What a secret in text begins with; the rest is base64.
const SECRET_PREFIX: &str = "whsec_";
/// What a signature begins with.
const VERSION: &str = "v1,";

/// The headers of a signed request.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// `webhook-id`: the event's id, the same each time it is told.
    pub id: &'a str,
    /// `webhook-timestamp`: when this try was made, in seconds.
    pub timestamp: &'a str,
    /// `webhook-signature`: one or several, with spaces between.
    pub signatures: &'a str,
}

/// The secret in a line of text: `whsec_` and base64, else the text's own bytes.
pub fn secret_of(line: &str) -> Vec<u8> {
    line.strip_prefix(SECRET_PREFIX)
        .and_then(|encoded| STANDARD.decode(encoded).ok())
        .unwrap_or_else(|| line.as_bytes().to_vec())
}

/// Signs a body as a provider does.
pub fn sign(secret: &[u8], id: &str, timestamp: &str, body: &[u8]) -> String {
    let code = mac(secret, id, timestamp, body).finalize().into_bytes();
    format!("{VERSION}{}", STANDARD.encode(code))
}

/// Whether one of the signatures is of this body, under one of the secrets, and of this time.
pub fn is_signed(
    secrets: &[SecretSlice<u8>],
    signed: &Signed<'_>,
    body: &[u8],
    now: Timestamp,
) -> bool {
    let fresh = signed
        .timestamp
        .parse::<i64>()
        .is_ok_and(|at| now.timestamp().abs_diff(at) <= TOLERANCE_SECONDS.unsigned_abs());
    if !fresh || signed.id.is_empty() {
        return false;
    }
    let given: Vec<Vec<u8>> = signed
        .signatures
        .split(' ')
        .take(SIGNATURES_MAX)
        .filter_map(|signature| STANDARD.decode(signature.strip_prefix(VERSION)?).ok())
        .collect();
    let mut good = false;
    for secret in secrets {
        let code = mac(secret.expose_secret(), signed.id, signed.timestamp, body);
        for signature in &given {
            good |= code.clone().verify_slice(signature).is_ok();
        }
    }
    good
}

fn mac(secret: &[u8], id: &str, timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap_or_else(|_| unreachable!());
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).expect("in range")
    }

    /// The example of the Standard Webhooks specification's reference libraries.
    #[test]
    fn the_published_example_verifies() {
        let secret = secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let (id, timestamp) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330");
        let body = br#"{"test": 2432232314}"#;
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(sign(&secret, id, timestamp, body), signature);
        let signed = Signed { id, timestamp, signatures: signature };
        assert!(is_signed(&[secret.into()], &signed, body, at(1_614_265_330)));
    }

    #[test]
    fn several_secrets_and_signatures_rotate() {
        let (old, new): (Vec<u8>, Vec<u8>) = (b"old".to_vec(), b"new".to_vec());
        let by = |secret: &[u8]| sign(secret, "e", "100", b"{}");
        let both = format!("{} {} v2,nonsense", by(b"third"), by(&old));
        let signed = Signed { id: "e", timestamp: "100", signatures: &both };
        assert!(is_signed(&[new.clone().into(), old.into()], &signed, b"{}", at(100)));
        assert!(!is_signed(&[new.into()], &signed, b"{}", at(100)));
        assert!(!is_signed(&[], &signed, b"{}", at(100)));
    }

    #[test]
    fn what_was_changed_or_is_old_is_not_signed() {
        let secret = || vec![SecretSlice::from(b"secret".to_vec())];
        let signature = sign(b"secret", "e", "1000", b"{}");
        let signed = Signed { id: "e", timestamp: "1000", signatures: &signature };
        let ok =
            |signed: &Signed<'_>, body: &[u8], now| is_signed(&secret(), signed, body, at(now));
        assert!(ok(&signed, b"{}", 1_000 + TOLERANCE_SECONDS));
        assert!(ok(&signed, b"{}", 1_000 - TOLERANCE_SECONDS));
        assert!(!ok(&signed, b"{}", 1_001 + TOLERANCE_SECONDS));
        assert!(!ok(&signed, b"{}", 999 - TOLERANCE_SECONDS));
        assert!(!ok(&signed, b"{ }", 1_000));
        for other in [
            Signed { id: "f", ..signed },
            Signed { id: "", ..signed },
            Signed { timestamp: "1001", ..signed },
            Signed { timestamp: "soon", ..signed },
            Signed { signatures: "", ..signed },
            Signed { signatures: &signature[3..], ..signed },
        ] {
            assert!(!ok(&other, b"{}", 1_000), "{other:?}");
        }
        let late = format!("{}{signature}", "v1,AAAA ".repeat(SIGNATURES_MAX));
        assert!(!ok(&Signed { signatures: &late, ..signed }, b"{}", 1_000));
        let last = format!("{}{signature}", "v1,AAAA ".repeat(SIGNATURES_MAX - 1));
        assert!(ok(&Signed { signatures: &last, ..signed }, b"{}", 1_000));
    }
}
