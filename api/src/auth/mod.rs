//! Tokens: JWTs with `sub, name?, role, seller?, exp, aud: onair`.

mod claims;
mod jwks;

use domain::actor::Role;
use domain::fingerprint::keyed_hash;
use domain::ids::SellerId;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use uuid::Uuid;

use claims::PlainClaims;
pub use claims::{Claims, role_name, role_of};
pub use jwks::{Jwks, JwksError, JwksTimes, PAUSE_SECONDS};

use crate::extract::Caller;
use domain::Timestamp;

/// The audience of every token.
pub const AUDIENCE: &str = "onair";
/// How far clocks may differ, in seconds.
pub const LEEWAY_SECONDS: u64 = 5;
/// The seller of a token that names none.
pub const DEFAULT_SELLER: &str = "default";
/// Characters of a display name.
pub const NAME_MAX_CHARS: usize = 128;
/// Bytes of a token.
pub const TOKEN_MAX_BYTES: usize = 8 * 1024;
/// Bytes of a secret that signs tokens in production.
pub const SECRET_MIN_BYTES: usize = 32;
/// How long an anonymous token lasts, in seconds.
pub const ANONYMOUS_TTL_SECONDS: i64 = 12 * 3_600;

const ANONYMOUS_KID: &str = "onair-anonymous";

/// Why a token is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It was valid once.
    #[error("the token has expired")]
    Expired,
    /// It never was.
    #[error("the token {0}")]
    Invalid(&'static str),
    /// The key set cannot be fetched.
    #[error("the keys of tokens cannot be fetched")]
    KeysUnavailable,
}

/// How tokens are signed.
#[derive(Debug)]
pub enum Keys {
    /// HMAC-SHA-256 with a shared secret.
    Hs256(Vec<u8>),
    /// Public keys of an identity provider.
    Jwks(Jwks),
}

/// Verifies tokens, and signs those of anonymous viewers.
pub struct Auth {
    verifier: Verifier,
    validation: Validation,
    /// The first part of a token with the plainest header of all, and its dot: such a token names
    /// no key, so its header needs no look of its own.
    plain: String,
    anonymous_decoding: DecodingKey,
    anonymous_encoding: EncodingKey,
}

enum Verifier {
    Hs256(DecodingKey),
    Jwks(Jwks),
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Auth(…)")
    }
}

fn validation(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&[AUDIENCE]);
    validation.set_required_spec_claims(&["exp", "aud", "sub"]);
    validation.leeway = LEEWAY_SECONDS;
    validation.validate_nbf = true;
    validation
}

impl Auth {
    /// Verifies tokens by `keys`; `secret` is the installation's own and signs anonymous tokens.
    pub fn new(keys: Keys, secret: &[u8]) -> Self {
        let own = keyed_hash(secret, b"onair anonymous tokens v1");
        let verifier = match keys {
            Keys::Hs256(secret) => Verifier::Hs256(DecodingKey::from_secret(&secret)),
            Keys::Jwks(jwks) => Verifier::Jwks(jwks),
        };
        Self {
            verifier,
            validation: validation(Algorithm::HS256),
            plain: plain(),
            anonymous_decoding: DecodingKey::from_secret(&own),
            anonymous_encoding: EncodingKey::from_secret(&own),
        }
    }

    /// Who holds the token.
    ///
    /// # Errors
    /// [`TokenError`].
    pub async fn verify(&self, token: &str) -> Result<Caller, TokenError> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(TokenError::Invalid("is too long"));
        }
        if let Verifier::Hs256(key) = &self.verifier
            && let Some(rest) = token.strip_prefix(&self.plain)
        {
            return match plain_caller(token, rest, key) {
                Some(caller) => caller,
                None => decode(token, key, &self.validation),
            };
        }
        let header = jsonwebtoken::decode_header(token)
            .map_err(|_| TokenError::Invalid("is no signed JWT"))?;
        if header.kid.as_deref() == Some(ANONYMOUS_KID) {
            let mut caller = decode(token, &self.anonymous_decoding, &self.validation)?;
            caller.anonymous = true;
            caller.role = Role::Viewer;
            return Ok(caller);
        }
        match &self.verifier {
            Verifier::Hs256(key) => decode(token, key, &self.validation),
            Verifier::Jwks(jwks) => {
                let (key, algorithm) = jwks.key(&header).await?;
                decode(token, &key, &validation(algorithm))
            }
        }
    }

    /// A token for somebody without one, who watches a broadcast of `seller`.
    ///
    /// # Errors
    /// The token cannot be signed.
    pub fn anonymous(
        &self,
        seller: &SellerId,
        id: Uuid,
        now: Timestamp,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let claims = Claims::new(
            format!("anon-{}", id.simple()),
            Role::Viewer,
            seller.to_string(),
            now.timestamp().saturating_add(ANONYMOUS_TTL_SECONDS),
        );
        let header = Header { kid: Some(ANONYMOUS_KID.to_owned()), ..Header::default() };
        jsonwebtoken::encode(&header, &claims, &self.anonymous_encoding)
    }
}

fn plain() -> String {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    let header = serde_json::to_vec(&Header::default()).unwrap_or_default();
    format!("{}.", BASE64_URL_SAFE_NO_PAD.encode(header))
}

/// Who holds a good token of the plainest header, whose claims are read once; `None` where the token
/// needs a closer look, or is to be told what is wrong with it. `rest` is what follows the header.
fn plain_caller(token: &str, rest: &str, key: &DecodingKey) -> Option<Result<Caller, TokenError>> {
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    let (message, signature) = token.rsplit_once('.')?;
    let (payload, _) = rest.split_once('.')?;
    let signed = jsonwebtoken::crypto::verify(signature, message.as_bytes(), key, Algorithm::HS256);
    if !signed.ok()? {
        return None;
    }
    let claims = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: PlainClaims<'_> = serde_json::from_slice(&claims).ok()?;
    claims.in_time(jsonwebtoken::get_current_timestamp()).then(|| claims.caller())
}

/// Signs a token with a shared secret, as `onair token` does.
///
/// # Errors
/// The token cannot be signed.
pub fn sign(secret: &[u8], claims: &Claims) -> Result<String, jsonwebtoken::errors::Error> {
    jsonwebtoken::encode(&Header::default(), claims, &EncodingKey::from_secret(secret))
}

fn decode(token: &str, key: &DecodingKey, rules: &Validation) -> Result<Caller, TokenError> {
    use jsonwebtoken::errors::ErrorKind;
    let data =
        jsonwebtoken::decode::<Claims>(token, key, rules).map_err(|error| match error.kind() {
            ErrorKind::ExpiredSignature => TokenError::Expired,
            ErrorKind::ImmatureSignature => TokenError::Invalid("is not valid yet"),
            ErrorKind::InvalidAudience => TokenError::Invalid("is meant for another audience"),
            ErrorKind::InvalidSignature => TokenError::Invalid("is signed by another key"),
            ErrorKind::InvalidAlgorithm => TokenError::Invalid("is signed in another way"),
            ErrorKind::MissingRequiredClaim(_) => TokenError::Invalid("lacks exp, aud or sub"),
            _ => TokenError::Invalid("has malformed claims"),
        })?;
    data.claims.caller()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

    fn auth() -> Auth {
        Auth::new(Keys::Hs256(SECRET.to_vec()), SECRET)
    }

    #[expect(clippy::disallowed_methods, reason = "tokens are checked by the system's time")]
    fn now() -> Timestamp {
        chrono::Utc::now()
    }

    fn claims(offset: i64) -> Claims {
        Claims::new("ana".into(), Role::Host, "acme".into(), now().timestamp() + offset)
    }

    #[tokio::test]
    async fn a_valid_token_names_its_holder() {
        let token = sign(SECRET, &claims(60)).expect("signs");
        let caller = auth().verify(&token).await.expect("valid");
        let expires_at = caller.expires_at;
        assert_eq!(caller, Caller { expires_at, ..Caller::for_test("acme", "ana", Role::Host) });
        assert!(expires_at > now());
    }

    #[tokio::test]
    async fn only_the_plainest_header_needs_no_look() {
        let auth = auth();
        let own = sign(SECRET, &claims(60)).expect("signs");
        assert!(own.starts_with(&auth.plain) && auth.plain.len() > 20);
        let seller = SellerId::try_new("acme").expect("valid");
        let anonymous = auth.anonymous(&seller, Uuid::nil(), now()).expect("signs");
        assert!(!anonymous.starts_with(&auth.plain));
        assert!(auth.verify(&anonymous).await.expect("valid").anonymous);
        // the same claims, signed as an anonymous token is, under the plain header
        let claims_and_mac = anonymous.split_once('.').expect("three parts").1;
        let forged = format!("{}{claims_and_mac}", auth.plain);
        assert!(matches!(auth.verify(&forged).await, Err(TokenError::Invalid(_))));
    }

    #[tokio::test]
    async fn what_is_read_once_is_what_the_library_reads() {
        use base64::Engine;
        use base64::prelude::BASE64_URL_SAFE_NO_PAD;
        let auth = auth();
        let Verifier::Hs256(key) = &auth.verifier else { panic!("another verifier") };
        let (soon, then) = (now().timestamp() + 60, now().timestamp() - 60);
        let good = serde_json::json!({"sub": "ana", "role": "host", "aud": "onair", "exp": soon});
        let mut read_once = 0;
        for (claim, value) in [
            ("sub", serde_json::json!("")),
            ("sub", serde_json::json!(7)),
            ("sub", serde_json::json!("a\"b")),
            ("role", serde_json::json!("king")),
            ("role", serde_json::json!("viewer")),
            ("seller", serde_json::json!("acme")),
            ("seller", serde_json::json!(null)),
            ("name", serde_json::json!("Ana \u{1f600}")),
            ("name", serde_json::json!("x".repeat(NAME_MAX_CHARS + 1))),
            ("aud", serde_json::json!("other")),
            ("aud", serde_json::json!(["other", "onair"])),
            ("aud", serde_json::json!(null)),
            ("exp", serde_json::json!(then)),
            ("exp", serde_json::json!(-1)),
            ("exp", serde_json::json!(1e12)),
            ("exp", serde_json::json!("soon")),
            ("nbf", serde_json::json!(then)),
            ("nbf", serde_json::json!(soon)),
            ("nbf", serde_json::json!("now")),
            ("iat", serde_json::json!(then)),
        ] {
            let mut claims = good.clone();
            claims[claim] = value;
            let payload = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
            let message = format!("{}{payload}", auth.plain);
            let signing = EncodingKey::from_secret(SECRET);
            let signed = |message: &str| {
                jsonwebtoken::crypto::sign(message.as_bytes(), &signing, Algorithm::HS256)
            };
            let signature = signed(&message).expect("signs");
            let rest = format!("{payload}.{signature}");
            let token = format!("{}{rest}", auth.plain);
            if let Some(caller) = plain_caller(&token, &rest, key) {
                read_once += 1;
                assert_eq!(caller, decode(&token, key, &auth.validation), "{claims}");
            }
            let forged = signed("another").expect("signs");
            let (rest, token) = (format!("{payload}.{forged}"), format!("{message}.{forged}"));
            assert_eq!(plain_caller(&token, &rest, key), None, "{claims}");
        }
        assert!(read_once >= 8, "{read_once}");
    }

    #[tokio::test]
    async fn leeway_is_five_seconds() {
        let token = |offset| sign(SECRET, &claims(offset)).expect("signs");
        assert!(auth().verify(&token(-3)).await.is_ok());
        assert_eq!(auth().verify(&token(-8)).await, Err(TokenError::Expired));
    }

    #[tokio::test]
    async fn forged_tokens_are_refused() {
        let other = sign(b"another secret of more than 32 bytes!", &claims(60)).expect("signs");
        assert!(matches!(auth().verify(&other).await, Err(TokenError::Invalid(_))));
        let mut audience = claims(60);
        audience.aud = "other".into();
        let audience = sign(SECRET, &audience).expect("signs");
        assert!(matches!(auth().verify(&audience).await, Err(TokenError::Invalid(_))));
        // alg none
        let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbmEiLCJyb2xlIjoiaG9zdCIsImF1ZCI6Im9uYWlyIiwiZXhwIjo5OTk5OTk5OTk5fQ.";
        assert!(matches!(auth().verify(none).await, Err(TokenError::Invalid(_))));
        for text in ["", "x", "a.b.c", &"x".repeat(TOKEN_MAX_BYTES + 1)] {
            assert!(matches!(auth().verify(text).await, Err(TokenError::Invalid(_))), "{text:.20}");
        }
    }

    #[tokio::test]
    async fn an_anonymous_token_is_a_viewer_without_rights() {
        let seller = SellerId::try_new("acme").expect("valid");
        let token = auth().anonymous(&seller, Uuid::nil(), now()).expect("signs");
        let caller = auth().verify(&token).await.expect("valid");
        assert!(caller.anonymous && caller.role == Role::Viewer);
        // the key of ordinary tokens cannot make one
        let header = Header { kid: Some(ANONYMOUS_KID.into()), ..Header::default() };
        let forged = jsonwebtoken::encode(&header, &claims(60), &EncodingKey::from_secret(SECRET))
            .expect("signs");
        assert!(matches!(auth().verify(&forged).await, Err(TokenError::Invalid(_))));
    }

    #[tokio::test]
    async fn subjects_and_roles_are_bounded() {
        for (sub, role, good) in [
            ("a".repeat(128), "viewer", true),
            ("a".repeat(129), "viewer", false),
            (String::new(), "viewer", false),
            ("ana".into(), "system", false),
            ("ana".into(), "king", false),
        ] {
            let mut claims = claims(60);
            claims.sub = sub;
            claims.role = role.into();
            let token = sign(SECRET, &claims).expect("signs");
            assert_eq!(auth().verify(&token).await.is_ok(), good, "{role}");
        }
    }
}
