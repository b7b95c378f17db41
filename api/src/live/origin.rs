//! Which pages may open a socket.

use axum::http::{HeaderMap, header};

/// The pages that may open a socket. A client that is no browser sends no origin.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    allowed: Vec<String>,
}

impl Origins {
    /// These origins, such as `https://shop.example`, and the node's own; `*` for any.
    pub fn new(allowed: impl IntoIterator<Item = String>) -> Self {
        let clean = |origin: String| origin.trim_end_matches('/').to_ascii_lowercase();
        Self { allowed: allowed.into_iter().map(clean).collect() }
    }

    /// Whether the request comes from one of them.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        let Ok(origin) = origin.to_str().map(str::to_ascii_lowercase) else { return false };
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let own = origin.split_once("://").map(|(_, host)| host);
        own.is_some() && own == host.map(str::to_ascii_lowercase).as_deref()
            || self.allowed.iter().any(|allowed| *allowed == origin || allowed == "*")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_named_pages_and_our_own() {
        let origins = Origins::new(["https://Shop.example/".to_owned()]);
        let admits = |origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "live.example:8080".parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            origins.admits(&headers)
        };
        assert!(admits(None));
        assert!(admits(Some("https://shop.example")));
        assert!(admits(Some("http://live.example:8080")));
        assert!(!admits(Some("https://evil.example")));
        assert!(!admits(Some("https://shop.example.evil.example")));
        assert!(!admits(Some("null")));
    }
}
