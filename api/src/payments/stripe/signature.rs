//! Stripe's signatures: `t=…,v1=…` in `Stripe-Signature`, HMAC-SHA256 over `t.body`, in hexadecimal,
//! compared in constant time, under any of several secrets, so that they can be rotated.

use domain::Timestamp;
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;

use crate::payments::signature::{SIGNATURES_MAX, TOLERANCE_SECONDS};

/// Signs a body as Stripe does.
pub fn sign(secret: &[u8], timestamp: i64, body: &[u8]) -> String {
    let code = mac(secret, &timestamp.to_string(), body).finalize().into_bytes();
    format!("t={timestamp},v1={}", hex::encode(code))
}

/// Whether one of the signatures is of this body, under one of the secrets, and of this time.
pub fn is_signed(secrets: &[SecretSlice<u8>], header: &str, body: &[u8], now: Timestamp) -> bool {
    let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
    let Some(timestamp) = parts().find_map(|(name, value)| (name == "t").then_some(value)) else {
        return false;
    };
    let fresh = timestamp
        .parse::<i64>()
        .is_ok_and(|at| now.timestamp().abs_diff(at) <= TOLERANCE_SECONDS.unsigned_abs());
    if !fresh {
        return false;
    }
    let given: Vec<Vec<u8>> = parts()
        .filter(|(name, _)| *name == "v1")
        .take(SIGNATURES_MAX)
        .filter_map(|(_, value)| hex::decode(value).ok())
        .collect();
    let mut good = false;
    for secret in secrets {
        let code = mac(secret.expose_secret(), timestamp, body);
        for signature in &given {
            good |= code.clone().verify_slice(signature).is_ok();
        }
    }
    good
}

fn mac(secret: &[u8], timestamp: &str, body: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap_or_else(|_| unreachable!());
    for part in [timestamp.as_bytes(), b".", body] {
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

    fn secrets(all: &[&str]) -> Vec<SecretSlice<u8>> {
        all.iter().map(|secret| secret.as_bytes().to_vec().into()).collect()
    }

    #[test]
    fn several_secrets_and_signatures_rotate() {
        let old = sign(b"whsec_old", 100, b"{}");
        assert!(is_signed(&secrets(&["whsec_new", "whsec_old"]), &old, b"{}", at(100)));
        assert!(!is_signed(&secrets(&["whsec_new"]), &old, b"{}", at(100)));
        assert!(!is_signed(&[], &old, b"{}", at(100)));
        let other = sign(b"third", 100, b"{}");
        let both = format!("{other},{},v0=00", old.split_once(',').expect("two parts").1);
        assert!(is_signed(&secrets(&["whsec_old"]), &both, b"{}", at(100)));
    }

    #[test]
    fn what_was_changed_or_is_old_is_not_signed() {
        let secrets = secrets(&["whsec_s"]);
        let good = sign(b"whsec_s", 1_000, b"{}");
        let ok = |header: &str, body: &[u8], now| is_signed(&secrets, header, body, at(now));
        assert!(ok(&good, b"{}", 1_000 + TOLERANCE_SECONDS));
        assert!(ok(&good, b"{}", 1_000 - TOLERANCE_SECONDS));
        assert!(!ok(&good, b"{}", 1_001 + TOLERANCE_SECONDS));
        assert!(!ok(&good, b"{}", 999 - TOLERANCE_SECONDS));
        assert!(!ok(&good, b"{ }", 1_000));
        let code = good.split_once("v1=").expect("a code").1;
        for other in [
            String::new(),
            format!("v1={code}"),
            "t=1000".to_owned(),
            format!("t=soon,v1={code}"),
            format!("t=1001,v1={code}"),
            format!("t=1000,v0={code}"),
        ] {
            assert!(!ok(&other, b"{}", 1_000), "{other}");
        }
        let filled = "v1=00,".repeat(SIGNATURES_MAX);
        assert!(!ok(&format!("t=1000,{filled}v1={code}"), b"{}", 1_000));
        assert!(ok(&format!("t=1000,{}v1={code}", &filled[6..]), b"{}", 1_000));
    }
}
