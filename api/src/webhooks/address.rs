//! Where webhooks may go: to public https addresses only, unless the operator says otherwise.
//! What an address names is looked at when it is registered and again at each delivery.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use domain::limits::URL_MAX_CHARS;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// How long a name may take to resolve where an endpoint is registered.
const RESOLVE: Duration = Duration::from_secs(2);

/// Why an address is not posted to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a URL.
    #[error("is not an absolute URL")]
    Malformed,
    /// Too long.
    #[error("is longer than {URL_MAX_CHARS} characters")]
    TooLong,
    /// Another scheme.
    #[error("is not an https URL")]
    Scheme,
    /// It would carry a password or a part that is never sent.
    #[error("has a user, a password or a fragment")]
    Parts,
    /// Private, loopback, link-local or reserved.
    #[error("names a private or reserved address")]
    Private,
}

/// Which addresses are allowed (`ONAIR_WEBHOOKS_ALLOW_PRIVATE`).
#[derive(Debug, Clone, Copy)]
pub struct AddressRule {
    /// Whether http and private addresses are, too.
    pub allow_private: bool,
}

impl AddressRule {
    /// Reads an address as it is registered, without asking what its name resolves to.
    ///
    /// # Errors
    /// [`AddressError`].
    pub fn read(self, text: &str) -> Result<Url, AddressError> {
        if text.chars().count() > URL_MAX_CHARS {
            return Err(AddressError::TooLong);
        }
        let url = Url::parse(text).map_err(|_| AddressError::Malformed)?;
        let has_scheme = url.scheme() == "https" || (self.allow_private && url.scheme() == "http");
        if !has_scheme {
            return Err(AddressError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(AddressError::Parts);
        }
        match url.host() {
            None => Err(AddressError::Malformed),
            Some(Host::Ipv4(address)) if !self.allows(address.into()) => Err(AddressError::Private),
            Some(Host::Ipv6(address)) if !self.allows(address.into()) => Err(AddressError::Private),
            Some(Host::Domain(name)) if !self.allow_private && is_local(name) => {
                Err(AddressError::Private)
            }
            Some(_) => Ok(url),
        }
    }

    /// The same, and refuses a name that resolves to a private address now. A name that does not
    /// resolve yet is allowed: it is looked at again at each delivery.
    ///
    /// # Errors
    /// [`AddressError`].
    pub async fn check(self, text: &str) -> Result<Url, AddressError> {
        let url = self.read(text)?;
        if let (Some(Host::Domain(name)), false) = (url.host(), self.allow_private) {
            let found = tokio::time::timeout(RESOLVE, tokio::net::lookup_host((name, 0))).await;
            if let Ok(Ok(addresses)) = found
                && !addresses.into_iter().all(|found| self.allows(found.ip()))
            {
                return Err(AddressError::Private);
            }
        }
        Ok(url)
    }

    /// Whether an address may be connected to.
    pub fn allows(self, address: IpAddr) -> bool {
        self.allow_private || is_public(address)
    }
}

/// Resolves names for the sender: a name that leads to any forbidden address leads nowhere, also
/// where it changed after it was registered.
impl Resolve for AddressRule {
    fn resolve(&self, name: Name) -> Resolving {
        let rule = *self;
        Box::pin(async move {
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            if found.iter().all(|address| rule.allows(address.ip())) {
                let found: Addrs = Box::new(found.into_iter());
                Ok(found)
            } else {
                Err(AddressError::Private.into())
            }
        })
    }
}

fn is_local(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost")
        || [".localhost", ".local", ".internal"]
            .iter()
            .any(|suffix| name.to_ascii_lowercase().ends_with(suffix))
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// IANA's special-purpose registry (RFC 6890 and its updates).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let reserved = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19));
    !reserved
}

/// Only global unicast, and of that nothing which carries an IPv4 address inside.
fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(inner) = address.to_ipv4_mapped() {
        return is_public_v4(inner);
    }
    let [a, b, ..] = address.segments();
    let is_global = (0x2000..0x4000).contains(&a);
    let is_tunnel_or_reserved = (a == 0x2001 && (b < 0x200 || b == 0xdb8)) || a == 0x2002;
    is_global && !is_tunnel_or_reserved
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: AddressRule = AddressRule { allow_private: false };

    #[test]
    fn only_public_https_addresses_are_allowed() {
        for bad in [
            "http://shop.example/hook",
            "ftp://shop.example",
            "https://localhost/hook",
            "https://LOCALHOST./hook",
            "https://printer.local/",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://10.1.2.3/",
            "https://172.16.0.1/",
            "https://192.168.1.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
            "https://224.0.0.1/",
            "https://255.255.255.255/",
            "https://[::1]/",
            "https://[::]/",
            "https://[fe80::1]/",
            "https://[fd00::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[64:ff9b::a00:1]/",
            "https://[2002:a00:1::]/",
            "https://user:secret@shop.example/",
            "https://shop.example/#part",
            "https://",
            "/hook",
            "shop.example",
        ] {
            assert!(PUBLIC.read(bad).is_err(), "{bad}");
        }
        for good in [
            "https://shop.example/hook?x=1",
            "https://93.184.216.34/",
            "https://[2606:4700::1]:8443/",
        ] {
            assert!(PUBLIC.read(good).is_ok(), "{good}");
        }
        let any = AddressRule { allow_private: true };
        assert!(any.read("http://127.0.0.1:9000/hook").is_ok());
        assert_eq!(any.read("ftp://127.0.0.1").expect_err("a scheme"), AddressError::Scheme);
    }

    #[test]
    fn an_address_has_a_bound() {
        let longest = format!("https://shop.example/{}", "x".repeat(URL_MAX_CHARS - 21));
        assert_eq!(longest.len(), URL_MAX_CHARS);
        assert!(PUBLIC.read(&longest).is_ok());
        assert_eq!(PUBLIC.read(&format!("{longest}x")), Err(AddressError::TooLong));
    }

    #[tokio::test]
    async fn a_name_that_leads_to_a_private_address_leads_nowhere() {
        let name: Name = "localhost".parse().expect("a name");
        assert!(PUBLIC.resolve(name).await.is_err());
        let name: Name = "localhost".parse().expect("a name");
        assert!(AddressRule { allow_private: true }.resolve(name).await.is_ok());
    }
}
