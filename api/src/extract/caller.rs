//! Who calls, and which roles a route lets in.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use domain::Timestamp;
use domain::actor::{Actor, Role};
use domain::ids::{SellerId, ViewerId};

use crate::auth::TokenError;
use crate::problem::{Code, Problem};
use crate::state::App;

/// The holder of a valid token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The seller that every role acts within.
    pub seller: SellerId,
    /// The token's subject.
    pub subject: ViewerId,
    /// The display name.
    pub name: Option<String>,
    /// What the token allows.
    pub role: Role,
    /// Whether the token was given out by `join` to somebody without one: it watches and likes.
    pub anonymous: bool,
    /// Until when the token is valid.
    pub expires_at: Timestamp,
}

impl Caller {
    /// Whether the caller acts for the seller.
    ///
    /// # Errors
    /// 404: another seller's things are not there.
    pub fn owns(&self, seller: &SellerId, what: &str) -> Result<(), Problem> {
        if self.seller == *seller { Ok(()) } else { Err(Problem::not_found(what)) }
    }

    /// The issuer of a command, as a keyed pseudonym.
    pub fn actor(&self, app: &App) -> Actor {
        let subject = app.pseudonyms.viewer_ref(&self.seller, &self.subject).to_string();
        Actor { role: self.role, subject: Some(subject) }
    }

    #[cfg(test)]
    pub(crate) fn for_test(seller: &str, subject: &str, role: Role) -> Self {
        Self {
            seller: SellerId::try_new(seller).expect("valid"),
            subject: ViewerId::try_new(subject).expect("valid"),
            name: None,
            role,
            anonymous: false,
            expires_at: Timestamp::UNIX_EPOCH,
        }
    }
}

fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Problem::new(Code::TokenInvalid))?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Err(Problem::new(Code::TokenInvalid).detail("the scheme is not Bearer")),
    }
}

async fn caller(parts: &Parts, app: &App) -> Result<Option<Caller>, Problem> {
    let Some(token) = bearer(&parts.headers)? else { return Ok(None) };
    match app.auth.verify(token).await {
        Ok(caller) => Ok(Some(caller)),
        Err(TokenError::Expired) => Err(Problem::new(Code::TokenExpired)),
        Err(TokenError::Invalid(why)) => {
            Err(Problem::new(Code::TokenInvalid).detail(format!("the token {why}")))
        }
        Err(TokenError::KeysUnavailable) => {
            Err(Problem::new(Code::Unavailable).detail("the keys of tokens cannot be fetched"))
        }
    }
}

macro_rules! guard {
    ($(#[$doc:meta])* $name:ident: $($role:ident)|+) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name(pub Caller);

        impl FromRequestParts<Arc<App>> for $name {
            type Rejection = Problem;
            async fn from_request_parts(
                parts: &mut Parts,
                app: &Arc<App>,
            ) -> Result<Self, Problem> {
                match caller(parts, app).await? {
                    None => Err(Problem::new(Code::Unauthenticated)),
                    Some(caller)
                        if !caller.anonymous && matches!(caller.role, $(Role::$role)|+) =>
                    {
                        Ok(Self(caller))
                    }
                    Some(_) => Err(Problem::new(Code::Forbidden)),
                }
            }
        }
    };
}

guard!(
    /// A viewer with a token of its own.
    Viewer: Viewer
);
guard!(
    /// A host.
    Host: Host
);
guard!(
    /// An admin.
    Admin: Admin
);
guard!(
    /// A host or an auditor.
    HostOrAuditor: Host | Auditor
);
guard!(
    /// An auditor.
    Auditor: Auditor
);
guard!(
    /// A moderator or a host.
    ModeratorOrHost: Moderator | Host
);
guard!(
    /// A host or a viewer.
    HostOrViewer: Host | Viewer
);

/// Anyone, also without a token; a token that is there must be valid.
#[derive(Debug, Clone)]
pub struct Anyone(pub Option<Caller>);

impl FromRequestParts<Arc<App>> for Anyone {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        caller(parts, app).await.map(Self)
    }
}
