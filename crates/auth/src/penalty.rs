//! Wrong passwords make the next attempt wait: attempts from the same place, and attempts on the same name.
//!
//! Nobody is locked out. A login whose password was right a moment ago never waits (see `verifications`), nor does a place
//! wait for the failures of others there if the account has logged in from it before: one phone with an old password
//! must not slow down its whole office. This memory is of one process; several of them allow somewhat more attempts.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{hash::Hash, sync::Arc};

use mail_types::AccountId;
use quick_cache::sync::Cache;

/// Places and names that are remembered, each: some ten megabytes at the most.
const REMEMBERED_MAX: usize = 100_000;
/// Failures that cost nothing: people mistype.
const FREE_BY_PLACE: f64 = 10.0;
const FREE_BY_NAME: f64 = 5.0;
/// The first wait; each further failure doubles it.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// Longest time between two attempts from one place.
const WAIT_BY_PLACE_MAX: Duration = Duration::from_secs(5);
/// Longest wait that somebody else can cause the owner of a name.
const WAIT_BY_NAME_MAX: Duration = Duration::from_secs(3);
/// Who would wait longer than this behind others of the same place is sent away: the caller's deadline is near.
const QUEUE_MAX: Duration = Duration::from_secs(10);
/// After this time half of the failures are forgotten.
const HALF_LIFE: Duration = Duration::from_secs(120);
/// How long a place is known to an account.
const KNOWN_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Where an attempt comes from: an IPv4 address, or the /64 that one IPv6 customer has at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place(IpAddr);

impl Place {
    /// `None` when the address cannot be read, and for this host itself: a webmail here logs in everybody from one place.
    pub(crate) fn of(client_address: &str) -> Option<Self> {
        let address = client_address
            .parse::<IpAddr>()
            .or_else(|_| client_address.parse::<SocketAddr>().map(|socket| socket.ip()))
            .ok()?
            .to_canonical();
        match address {
            address if address.is_loopback() => None,
            IpAddr::V4(_) => Some(Self(address)),
            IpAddr::V6(address) => {
                let network = address.to_bits() & (u128::MAX << 64);
                Some(Self(IpAddr::V6(Ipv6Addr::from_bits(network))))
            }
        }
    }
}

/// Too many attempts from this place wait already.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

pub(crate) struct Penalties {
    places: Cache<Place, Arc<Mutex<Score>>>,
    names: Cache<String, Arc<Mutex<Score>>>,
    known: Cache<(Place, AccountId), Instant>,
}

struct Score {
    failures: f64,
    at: Instant,
    /// When the next attempt may be made.
    free_at: Instant,
}

impl Penalties {
    pub(crate) fn new() -> Self {
        Self {
            places: Cache::new(REMEMBERED_MAX),
            names: Cache::new(REMEMBERED_MAX),
            known: Cache::new(REMEMBERED_MAX),
        }
    }

    /// How long an attempt has to wait. Attempts of one penalised place queue up behind each other.
    pub(crate) fn wait(
        &self,
        place: Option<Place>,
        name: &str,
        account: Option<AccountId>,
        now: Instant,
    ) -> Result<Duration, TooMany> {
        let by_name = self.names.get(name).map_or(Duration::ZERO, |score| {
            wait_after(lock(&score).failures_at(now) - FREE_BY_NAME, WAIT_BY_NAME_MAX)
        });
        let by_place = match place {
            Some(place) if !self.is_known(place, account, now) => self.queue(place, now)?,
            _ => Duration::ZERO,
        };
        Ok(by_name.max(by_place))
    }

    /// The password was wrong.
    pub(crate) fn failed(&self, place: Option<Place>, name: &str, now: Instant) {
        if let Some(place) = place {
            fail(&self.places, &place, now);
        }
        fail(&self.names, &name.to_owned(), now);
    }

    /// The password was right.
    pub(crate) fn succeeded(&self, place: Option<Place>, account: AccountId, now: Instant) {
        if let Some(place) = place {
            self.known.insert((place, account), now);
        }
    }

    fn is_known(&self, place: Place, account: Option<AccountId>, now: Instant) -> bool {
        let since = account.and_then(|account| self.known.get(&(place, account)));
        since.is_some_and(|since| now.saturating_duration_since(since) < KNOWN_FOR)
    }

    fn queue(&self, place: Place, now: Instant) -> Result<Duration, TooMany> {
        let Some(score) = self.places.get(&place) else { return Ok(Duration::ZERO) };
        let mut score = lock(&score);
        let between = wait_after(score.failures_at(now) - FREE_BY_PLACE, WAIT_BY_PLACE_MAX);
        if between.is_zero() {
            return Ok(Duration::ZERO);
        }
        let turn = score.free_at.max(now) + between;
        let wait = turn - now;
        if wait > QUEUE_MAX {
            return Err(TooMany);
        }
        score.free_at = turn;
        Ok(wait)
    }
}

impl Score {
    fn failures_at(&self, now: Instant) -> f64 {
        let half_lives = now.saturating_duration_since(self.at).as_secs_f64() / HALF_LIFE.as_secs_f64();
        self.failures * 0.5f64.powf(half_lives)
    }
}

fn fail<K: Hash + Eq + Clone>(scores: &Cache<K, Arc<Mutex<Score>>>, key: &K, now: Instant) {
    let new = || {
        Ok::<_, std::convert::Infallible>(Arc::new(Mutex::new(Score {
            failures: 0.0,
            at: now,
            free_at: now,
        })))
    };
    let Ok(score) = scores.get_or_insert_with(key, new);
    let mut score = lock(&score);
    score.failures = score.failures_at(now) + 1.0;
    score.at = now;
}

fn wait_after(failures: f64, max: Duration) -> Duration {
    if failures < 0.0 {
        return Duration::ZERO;
    }
    // Beyond 2^16 times the first wait every maximum is reached.
    WAIT_MIN.mul_f64(2f64.powf(failures.min(16.0))).min(max)
}

/// Nothing here can panic halfway through a change, so a poisoned lock holds whole data.
fn lock(score: &Mutex<Score>) -> std::sync::MutexGuard<'_, Score> {
    score.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANNA: AccountId = AccountId::new(1);

    fn place(address: &str) -> Option<Place> {
        Some(Place::of(address).expect(address))
    }

    #[test]
    fn mistakes_are_free_and_guessing_is_not() {
        let (penalties, now) = (Penalties::new(), Instant::now());
        let home = place("192.0.2.1");
        for _ in 0..4 {
            penalties.failed(home, "anna@example.org", now);
            assert_eq!(penalties.wait(home, "anna@example.org", Some(ANNA), now), Ok(Duration::ZERO));
        }
        penalties.failed(home, "anna@example.org", now);
        assert_eq!(penalties.wait(home, "anna@example.org", Some(ANNA), now), Ok(WAIT_MIN));
        for _ in 0..100 {
            penalties.failed(None, "anna@example.org", now);
        }
        assert_eq!(penalties.wait(None, "anna@example.org", Some(ANNA), now), Ok(WAIT_BY_NAME_MAX));
        assert_eq!(penalties.wait(None, "bob@example.org", None, now), Ok(Duration::ZERO));
        let later = now + HALF_LIFE * 8;
        assert_eq!(penalties.wait(None, "anna@example.org", Some(ANNA), later), Ok(Duration::ZERO));
    }

    #[test]
    fn attempts_of_a_bad_place_queue_up_and_others_do_not() {
        let (penalties, now) = (Penalties::new(), Instant::now());
        let (bad, other) = (place("192.0.2.1"), place("192.0.2.2"));
        for guess in 0..100 {
            penalties.failed(bad, &format!("{guess}@example.org"), now);
        }
        assert_eq!(penalties.wait(bad, "x@example.org", None, now), Ok(WAIT_BY_PLACE_MAX));
        assert_eq!(penalties.wait(bad, "y@example.org", None, now), Ok(WAIT_BY_PLACE_MAX * 2));
        assert_eq!(penalties.wait(bad, "z@example.org", None, now), Err(TooMany));
        assert_eq!(penalties.wait(other, "anna@example.org", Some(ANNA), now), Ok(Duration::ZERO));
    }

    #[test]
    fn who_has_logged_in_from_there_does_not_wait_for_others() {
        let (penalties, now) = (Penalties::new(), Instant::now());
        let office = place("192.0.2.1");
        penalties.succeeded(office, ANNA, now);
        for _ in 0..100 {
            penalties.failed(office, "bob@example.org", now);
        }
        assert_eq!(penalties.wait(office, "anna@example.org", Some(ANNA), now), Ok(Duration::ZERO));
        let carol = Some(AccountId::new(2));
        assert_eq!(penalties.wait(office, "carol@example.org", carol, now), Ok(WAIT_BY_PLACE_MAX));
    }

    #[test]
    fn places() {
        assert_eq!(place("192.0.2.1:4711"), place("192.0.2.1"));
        assert_eq!(place("::ffff:192.0.2.1"), place("192.0.2.1"));
        assert_eq!(place("[2001:db8::1]:4711"), place("2001:db8::ffff"));
        assert_ne!(place("2001:db8:0:1::1"), place("2001:db8::1"));
        for nowhere in ["", "127.0.0.1", "::1", "127.0.0.1:4711", "nonsense"] {
            assert_eq!(Place::of(nowhere), None, "{nowhere}");
        }
    }
}
