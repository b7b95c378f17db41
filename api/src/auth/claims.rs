//! The claims of a token.

use domain::actor::Role;
use domain::ids::{SellerId, ViewerId};
use serde::{Deserialize, Serialize};

use super::{AUDIENCE, DEFAULT_SELLER, LEEWAY_SECONDS, NAME_MAX_CHARS, TokenError};
use crate::extract::Caller;

/// What a token says. The audience is checked by the verifier, which also takes a list of them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    /// Who.
    pub sub: String,
    /// The display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// viewer, host, moderator, admin or auditor.
    pub role: String,
    /// Within which seller; `default` where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seller: Option<String>,
    /// Until when, in seconds since 1970.
    pub exp: i64,
    /// For whom; `onair`.
    #[serde(default = "audience", deserialize_with = "ignored_audience")]
    pub aud: String,
}

/// The claims of a token as most have them: times in whole seconds, one audience.
#[derive(Deserialize)]
pub(super) struct PlainClaims<'a> {
    sub: &'a str,
    name: Option<String>,
    role: &'a str,
    seller: Option<&'a str>,
    exp: i64,
    nbf: Option<i64>,
    aud: &'a str,
}

impl PlainClaims<'_> {
    /// Whether the token is meant for onair, and valid at this second since 1970.
    pub(super) fn in_time(&self, now: u64) -> bool {
        let clock = |seconds: Option<u64>| seconds.and_then(|seconds| i64::try_from(seconds).ok());
        let (Some(earliest), Some(latest)) =
            (clock(now.checked_sub(LEEWAY_SECONDS)), clock(now.checked_add(LEEWAY_SECONDS)))
        else {
            return false;
        };
        self.aud == AUDIENCE && self.exp >= earliest && self.nbf.is_none_or(|nbf| nbf <= latest)
    }

    /// As [`Claims::caller`].
    pub(super) fn caller(self) -> Result<Caller, TokenError> {
        caller(self.sub, self.name, self.role, self.seller, self.exp)
    }
}

fn audience() -> String {
    AUDIENCE.to_owned()
}

/// The verifier has checked it already, as a text or a list.
fn ignored_audience<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer)?;
    Ok(audience())
}

const ROLES: [(Role, &str); 5] = [
    (Role::Viewer, "viewer"),
    (Role::Host, "host"),
    (Role::Moderator, "moderator"),
    (Role::Admin, "admin"),
    (Role::Auditor, "auditor"),
];

/// The role of a token by its name; onair's own is not among them.
pub fn role_of(name: &str) -> Option<Role> {
    ROLES.iter().find(|(_, known)| *known == name).map(|(role, _)| *role)
}

/// The name of a role in a token.
pub fn role_name(role: Role) -> &'static str {
    ROLES.iter().find(|(known, _)| *known == role).map_or("system", |(_, name)| name)
}

impl Claims {
    /// A token's claims.
    pub fn new(sub: String, role: Role, seller: String, exp: i64) -> Self {
        let role = role_name(role).to_owned();
        Self { sub, name: None, role, seller: Some(seller), exp, aud: audience() }
    }

    /// Parses who holds the token.
    ///
    /// # Errors
    /// [`TokenError::Invalid`] where a claim is out of bounds.
    pub fn caller(self) -> Result<Caller, TokenError> {
        caller(self.sub, self.name, &self.role, self.seller.as_deref(), self.exp)
    }
}

fn caller(
    sub: impl Into<String>,
    name: Option<String>,
    role: &str,
    seller: Option<&str>,
    exp: i64,
) -> Result<Caller, TokenError> {
    let role = role_of(role).ok_or(TokenError::Invalid("has no known role"))?;
    let subject = ViewerId::try_new(sub).map_err(|_| TokenError::Invalid("has a bad sub"))?;
    let seller = SellerId::try_new(seller.unwrap_or(DEFAULT_SELLER))
        .map_err(|_| TokenError::Invalid("has a bad seller"))?;
    if name.as_ref().is_some_and(|name| name.chars().count() > NAME_MAX_CHARS) {
        return Err(TokenError::Invalid("has a name that is too long"));
    }
    let expires_at = chrono::DateTime::from_timestamp(exp, 0).unwrap_or(domain::Timestamp::MAX_UTC);
    Ok(Caller { seller, subject, name, role, anonymous: false, expires_at })
}
