//! Chance that can be repeated.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Set it to the number that a failed run printed.
const SEED_VARIABLE: &str = "TODOKU_TEST_SEED";

/// xorshift64*, G. Marsaglia 2003, S. Vigna 2014: good enough to choose moments.
pub(crate) struct Random(u64);

impl Random {
    /// From the environment or else the clock; says which, so that a run can be repeated.
    pub(crate) fn announced() -> Self {
        let chosen = std::env::var(SEED_VARIABLE).ok().and_then(|text| text.parse().ok());
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.subsec_nanos());
        let seed = chosen.unwrap_or_else(|| u64::from(clock) + 1);
        println!("{SEED_VARIABLE}={seed}");
        Self::new(seed)
    }

    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// From 0 to `end`, without `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % end
    }

    pub(crate) fn sleep(&mut self, least: Duration, most: Duration) {
        let span = u64::try_from((most - least).as_micros()).unwrap_or(u64::MAX);
        std::thread::sleep(least + Duration::from_micros(self.below(span.max(1))));
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap_or(0);
            items.swap(last, other);
        }
    }
}
