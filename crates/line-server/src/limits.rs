//! How many connections at once, in all and from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Counts connections; shared by the listeners that share the limits.
#[derive(Debug)]
pub struct ConnectionLimits {
    total_max: usize,
    per_ip_max: usize,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_ip: HashMap<IpAddr, usize>,
}

/// A place among the connections; free again on drop.
#[derive(Debug)]
pub(crate) struct Slot {
    limits: Arc<ConnectionLimits>,
    address: Option<IpAddr>,
}

impl ConnectionLimits {
    /// At most so many in all, and so many from one client address (IPv6: from one /64). This host itself is no such
    /// client: its webmail and its tools stand for many people.
    pub fn new(total_max: usize, per_ip_max: usize) -> Arc<Self> {
        Arc::new(Self { total_max, per_ip_max, counts: Mutex::default() })
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.lock().total
    }

    /// `None`: too many in all.
    pub(crate) fn admit(self: &Arc<Self>) -> Option<Slot> {
        let mut counts = self.lock();
        if counts.total >= self.total_max {
            return None;
        }
        counts.total += 1;
        Some(Slot { limits: Arc::clone(self), address: None })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Counts the connection for its client, once that is known. False: too many from there.
    pub(crate) fn claim(&mut self, address: IpAddr) -> bool {
        if address.to_canonical().is_loopback() {
            return true;
        }
        let key = client_key(address);
        let mut counts = self.limits.lock();
        let count = counts.by_ip.entry(key).or_default();
        if *count >= self.limits.per_ip_max {
            return false;
        }
        *count += 1;
        drop(counts);
        self.address = Some(key);
        true
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.limits.lock();
        counts.total -= 1;
        if let Some(address) = self.address
            && let Some(count) = counts.by_ip.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                counts.by_ip.remove(&address);
            }
        }
    }
}

/// One client usually owns a whole IPv6 /64.
fn client_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_is_counted_in_all_only() {
        let limits = ConnectionLimits::new(2, 0);
        let mut slots = [limits.admit().unwrap(), limits.admit().unwrap()];
        assert!(slots[0].claim("127.0.0.1".parse().unwrap()));
        assert!(slots[1].claim("::ffff:127.0.0.1".parse().unwrap()));
        assert!(limits.admit().is_none());
    }

    #[test]
    fn counts_up_and_down() {
        let limits = ConnectionLimits::new(3, 1);
        let mut first = limits.admit().unwrap();
        assert!(first.claim("2001:db8::1".parse().unwrap()));
        let mut second = limits.admit().unwrap();
        assert!(!second.claim("2001:db8::2".parse().unwrap()), "the same /64");
        assert!(second.claim("192.0.2.1".parse().unwrap()));
        let mut third = limits.admit().unwrap();
        assert!(!third.claim("::ffff:192.0.2.1".parse().unwrap()), "the same address, mapped");
        assert!(limits.admit().is_none());
        drop(second);
        assert!(third.claim("192.0.2.1".parse().unwrap()));
        assert_eq!(limits.open(), 2);
        drop((first, third));
        assert_eq!(limits.open(), 0);
        assert!(limits.lock().by_ip.is_empty());
    }
}
