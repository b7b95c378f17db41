//! What a browser lets the viewer page do.

use axum::http::{HeaderName, HeaderValue, header};
use url::Url;

/// The page uses none of these.
const PERMISSIONS: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// What the page needs to know of the configuration.
#[derive(Debug, Clone, Default)]
pub struct PageSettings {
    /// The payment provider.
    pub payments: String,
    /// The address that clients reach this by.
    pub public_url: Option<String>,
    /// Origins of pages that may show this one in a frame; `*` for any.
    pub frame_ancestors: Vec<String>,
    /// Where the video of a broadcast is; `{broadcast}` stands for its id.
    pub video_url: Option<String>,
}

impl PageSettings {
    /// The headers of the page, beside those of every answer.
    pub(super) fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let policy = HeaderValue::from_str(&self.content_security_policy());
        let policy = policy.unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"));
        vec![
            (header::CONTENT_SECURITY_POLICY, policy),
            (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
            (PERMISSIONS_POLICY, HeaderValue::from_static(PERMISSIONS)),
        ]
    }

    /// Own scripts, own styles, own server. Pictures of products are the shop's, so they may come
    /// from anywhere over TLS; nothing they are can run.
    fn content_security_policy(&self) -> String {
        let socket = self.public_url.as_deref().and_then(origin).map(socket_origins);
        let media = self.video_url.as_deref().and_then(origin);
        [
            "default-src 'none'".to_owned(),
            "script-src 'self'".to_owned(),
            "style-src 'self'".to_owned(),
            "img-src 'self' https:".to_owned(),
            sources("media-src 'self' blob:", media),
            sources("connect-src 'self'", socket.into_iter().flatten()),
            "base-uri 'none'".to_owned(),
            "form-action 'none'".to_owned(),
            sources("frame-ancestors 'self'", self.frame_ancestors.iter().cloned()),
            "require-trusted-types-for 'script'".to_owned(),
            "trusted-types 'none'".to_owned(),
        ]
        .join("; ")
    }
}

fn sources(directive: &str, more: impl IntoIterator<Item = String>) -> String {
    more.into_iter().fold(directive.to_owned(), |text, source| format!("{text} {source}"))
}

/// `https://host` of an address.
fn origin(address: &str) -> Option<String> {
    let url = Url::parse(address).ok()?;
    url.origin().is_tuple().then(|| url.origin().ascii_serialization())
}

/// The socket of the public address, which not every browser's `'self'` means too, and the ways
/// beside it.
fn socket_origins(own: String) -> [String; 2] {
    match own.strip_prefix("http") {
        Some(rest) => [format!("ws{rest}"), own],
        None => [own.clone(), own.replacen("ws", "http", 1)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_opens_only_what_is_configured() {
        let bare = PageSettings::default().content_security_policy();
        for part in ["script-src 'self';", "style-src 'self';", "connect-src 'self';"] {
            assert!(bare.contains(part), "{bare}");
        }
        assert!(!bare.contains("unsafe"), "{bare}");
        let settings = PageSettings {
            payments: "simulated".to_owned(),
            public_url: Some("https://live.example/".to_owned()),
            frame_ancestors: vec!["https://shop.example".to_owned()],
            video_url: Some("https://cdn.example/live/{broadcast}.mp4?a=1".to_owned()),
        };
        let policy = settings.content_security_policy();
        for part in [
            "connect-src 'self' wss://live.example https://live.example;",
            "frame-ancestors 'self' https://shop.example;",
            "media-src 'self' blob: https://cdn.example;",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
    }
}
