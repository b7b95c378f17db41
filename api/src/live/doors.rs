//! Who is let in: seats of the node, connections of an address, and how fast both fill.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::http::{Extensions, HeaderMap};
use dashmap::DashMap;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::{CONNECTS_BURST_SECONDS, LiveLimits};
use super::metrics;
use crate::extract::address::Proxies;

/// Seconds after which somebody is to try again who found no seat.
const SEAT_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// Addresses whose rate is remembered before those that are calm are forgotten.
const CALM_AFTER: usize = 10_000;

/// Why somebody is not let in; another time it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// The node goes away.
    Draining,
    /// The node has no seat.
    Full,
    /// Too many come to the node at once.
    TooFast(Duration),
    /// The address has enough connections.
    AddressFull,
    /// Too many come from the address at once.
    AddressTooFast(Duration),
}

impl Shut {
    /// Its name in the metrics.
    const fn reason(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Full => "full",
            Self::TooFast(_) => "rate",
            Self::AddressFull => "address_full",
            Self::AddressTooFast(_) => "address_rate",
        }
    }

    /// Whole seconds after which it may be tried again, at least one.
    pub fn retry_after(self) -> u32 {
        let wait = match self {
            Self::Draining | Self::Full | Self::AddressFull => SEAT_AGAIN_AFTER,
            Self::TooFast(wait) | Self::AddressTooFast(wait) => wait,
        };
        let whole = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
        u32::try_from(whole.max(1)).unwrap_or(u32::MAX)
    }
}

/// The doors of a node.
pub struct Doors {
    seats: Arc<Semaphore>,
    rate: DefaultDirectRateLimiter,
    address_rate: DefaultKeyedRateLimiter<IpAddr>,
    addresses: Arc<DashMap<IpAddr, usize>>,
    proxies: Proxies,
    address_connections: usize,
}

/// A seat; dropping it makes room.
pub struct Seat {
    _permit: OwnedSemaphorePermit,
    address: Option<(Arc<DashMap<IpAddr, usize>>, IpAddr)>,
}

impl Doors {
    /// Open doors.
    pub fn new(limits: &LiveLimits, proxies: Proxies) -> Self {
        Self {
            seats: Arc::new(Semaphore::new(limits.connections)),
            rate: RateLimiter::direct(quota(limits.connects_per_second)),
            address_rate: RateLimiter::keyed(quota(limits.address_connects_per_second)),
            addresses: Arc::default(),
            proxies,
            address_connections: limits.address_connections,
        }
    }

    /// The address that a request comes from, where limits apply to it.
    pub fn address(&self, extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
        let ConnectInfo(peer) = extensions.get::<ConnectInfo<std::net::SocketAddr>>()?;
        self.proxies.client(peer.ip(), headers).map(subscriber)
    }

    /// Nobody is let in any more.
    pub fn shut(&self) {
        self.seats.close();
    }

    /// Lets somebody in.
    ///
    /// # Errors
    /// Why not.
    pub fn enter(&self, address: Option<IpAddr>) -> Result<Seat, Shut> {
        self.try_enter(address).inspect_err(|shut| metrics::refused(shut.reason()))
    }

    fn try_enter(&self, address: Option<IpAddr>) -> Result<Seat, Shut> {
        if self.seats.is_closed() {
            return Err(Shut::Draining);
        }
        let now = DefaultClock::default().now();
        if let Some(address) = address {
            if self.address_rate.len() > CALM_AFTER {
                self.address_rate.retain_recent();
            }
            let checked = self.address_rate.check_key(&address);
            checked.map_err(|until| Shut::AddressTooFast(until.wait_time_from(now)))?;
        }
        self.rate.check().map_err(|until| Shut::TooFast(until.wait_time_from(now)))?;
        let permit = self.seats.clone().try_acquire_owned().map_err(|_| Shut::Full)?;
        let address = address.map(|address| self.count(address)).transpose()?;
        Ok(Seat { _permit: permit, address })
    }

    fn count(&self, address: IpAddr) -> Result<(Arc<DashMap<IpAddr, usize>>, IpAddr), Shut> {
        let mut count = self.addresses.entry(address).or_default();
        if *count >= self.address_connections {
            return Err(Shut::AddressFull);
        }
        *count = count.saturating_add(1);
        drop(count);
        Ok((self.addresses.clone(), address))
    }
}

/// Whoever has an address of IPv6 has 2^64 of them, which count as one.
fn subscriber(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => {
            let network = address.to_bits() & (u128::MAX << u64::BITS);
            IpAddr::V6(std::net::Ipv6Addr::from_bits(network))
        }
        IpAddr::V4(_) => address,
    }
}

fn quota(per_second: NonZeroU32) -> Quota {
    Quota::per_second(per_second).allow_burst(per_second.saturating_mul(CONNECTS_BURST_SECONDS))
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some((addresses, address)) = &self.address {
            addresses.remove_if_mut(address, |_, count| {
                *count = count.saturating_sub(1);
                *count == 0
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let of = |text: &str| subscriber(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("203.0.113.1"), of("203.0.113.2"));
    }

    const ONE: NonZeroU32 = NonZeroU32::MIN;
    const MANY: NonZeroU32 = NonZeroU32::new(1_000).unwrap();

    fn limits() -> LiveLimits {
        LiveLimits { connects_per_second: MANY, ..LiveLimits::default() }
    }

    fn refusal(entered: Result<Seat, Shut>) -> Option<Shut> {
        entered.err()
    }

    #[test]
    fn a_node_has_so_many_seats() {
        let doors = Doors::new(&LiveLimits { connections: 1, ..limits() }, Proxies::default());
        let seat = doors.enter(None).unwrap();
        assert_eq!(refusal(doors.enter(None)), Some(Shut::Full));
        drop(seat);
        let seat = doors.enter(None).unwrap();
        doors.shut();
        assert_eq!(refusal(doors.enter(None)), Some(Shut::Draining));
        drop(seat);
    }

    #[test]
    fn so_many_come_in_a_second() {
        let limits = LiveLimits { connects_per_second: ONE, ..limits() };
        let doors = Doors::new(&limits, Proxies::default());
        for _ in 0..CONNECTS_BURST_SECONDS.get() {
            assert!(doors.enter(None).is_ok());
        }
        let Some(shut @ Shut::TooFast(_)) = refusal(doors.enter(None)) else { panic!("let in") };
        assert_eq!(shut.retry_after(), 1);
        assert_eq!(Shut::TooFast(Duration::from_millis(2_001)).retry_after(), 3);
    }

    #[test]
    fn an_address_has_limits_of_its_own() {
        let one: IpAddr = [203, 0, 113, 1].into();
        let other: IpAddr = [203, 0, 113, 2].into();
        let limits =
            LiveLimits { address_connections: 2, address_connects_per_second: MANY, ..limits() };
        let doors = Doors::new(&limits, Proxies::default());
        let seats = [doors.enter(Some(one)).unwrap(), doors.enter(Some(one)).unwrap()];
        assert_eq!(refusal(doors.enter(Some(one))), Some(Shut::AddressFull));
        assert!(doors.enter(Some(other)).is_ok());
        drop(seats);
        assert!(doors.addresses.is_empty(), "nothing is left behind");
        assert!(doors.enter(Some(one)).is_ok());
        let doors = Doors::new(
            &LiveLimits { address_connects_per_second: ONE, ..limits },
            Proxies::default(),
        );
        for _ in 0..CONNECTS_BURST_SECONDS.get() {
            assert!(doors.enter(Some(one)).is_ok());
        }
        assert!(matches!(refusal(doors.enter(Some(one))), Some(Shut::AddressTooFast(_))));
        assert!(doors.enter(Some(other)).is_ok(), "the other address is not held back");
    }
}
