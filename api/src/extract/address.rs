//! Where a request comes from.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::problem::Problem;
use crate::state::App;

/// Where proxies write down for whom they ask, each at the end.
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies whose word counts.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// These networks.
    pub const fn new(trusted: Vec<IpNet>) -> Self {
        Self(trusted)
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client's address, for limits; `None` where none apply: while no proxy is declared, since
    /// every client would have the address of one that nobody has named, and for this machine.
    ///
    /// `X-Forwarded-For` is read from its end for as long as proxies of ours wrote it: what stands
    /// before that, anybody may have made up.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        if self.0.is_empty() {
            return None;
        }
        let mut client = peer.to_canonical();
        let lines: Vec<_> = headers.get_all(FORWARDED_FOR).iter().collect();
        let named = lines.iter().rev().flat_map(|line| line.to_str().unwrap_or("").rsplit(','));
        for name in named {
            if !self.trusts(client) {
                break;
            }
            let Some(before) = address(name) else { break };
            client = before;
        }
        (!client.is_loopback()).then_some(client)
    }
}

/// An address with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let plain = text.trim_start_matches('[').trim_end_matches(']').parse();
    let with_port = || text.parse::<SocketAddr>().map(|address| address.ip());
    plain.or_else(|_| with_port()).ok().map(|address: IpAddr| address.to_canonical())
}

/// The client's address, where limits apply to it.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub Option<IpAddr>);

impl FromRequestParts<Arc<App>> for ClientAddress {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map(|ConnectInfo(peer)| peer.ip());
        Ok(Self(peer.and_then(|peer| app.proxies.client(peer, &parts.headers))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> Option<String> {
        let proxies = Proxies::new(trusted.iter().map(|net| net.parse().expect("valid")).collect());
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append(FORWARDED_FOR, line.parse().expect("valid"));
        }
        let client = proxies.client(peer.parse().expect("valid"), &headers);
        client.map(|address| address.to_string())
    }

    #[test]
    fn only_what_our_proxies_wrote_counts() {
        let ours = &["10.0.0.0/8", "fd00::/8"];
        for (peer, forwarded, expected) in [
            // nobody in between
            ("203.0.113.7", vec![], "203.0.113.7"),
            // a stranger says what it likes
            ("203.0.113.7", vec!["198.51.100.1"], "203.0.113.7"),
            ("10.0.0.1", vec!["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", vec!["6.6.6.6, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", vec!["6.6.6.6", "198.51.100.1", "10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", vec!["garbage, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", vec!["198.51.100.1:4711"], "198.51.100.1"),
            ("fd00::1", vec!["[2001:db8::1]:443"], "2001:db8::1"),
            ("::ffff:10.0.0.1", vec!["::ffff:198.51.100.1"], "198.51.100.1"),
        ] {
            assert_eq!(client(ours, peer, &forwarded).as_deref(), Some(expected), "{forwarded:?}");
        }
    }

    #[test]
    fn limits_are_off_for_this_machine_and_until_a_proxy_is_declared() {
        assert_eq!(client(&[], "203.0.113.7", &["198.51.100.1"]), None);
        assert_eq!(client(&["10.0.0.0/8"], "127.0.0.1", &[]), None);
        assert_eq!(client(&["10.0.0.0/8"], "::1", &[]), None);
        assert_eq!(
            client(&["127.0.0.0/8"], "127.0.0.1", &["198.51.100.1"]).as_deref(),
            Some("198.51.100.1")
        );
    }
}
