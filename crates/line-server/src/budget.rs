//! Bytes in flight, shared by all connections of a process.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Granularity: keeps counts of permits within `u32` up to 4 TiB.
const UNIT_BYTES: usize = 1024;

/// A store of bytes that messages in flight must draw from before they are read. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget {
    units: Arc<Semaphore>,
    total: u32,
}

/// Bytes drawn from a [`Budget`]; given back on drop.
#[derive(Debug)]
#[must_use = "the bytes are given back when this is dropped"]
pub struct BudgetGuard {
    _permit: OwnedSemaphorePermit,
}

impl Budget {
    /// A budget of that many bytes, at least one KiB.
    pub fn new(bytes: usize) -> Self {
        let total = u32::try_from(bytes / UNIT_BYTES).unwrap_or(u32::MAX).clamp(1, u32::MAX >> 4);
        Self { units: Arc::new(Semaphore::new(total as usize)), total }
    }

    /// Waits until that many bytes are free, first come first served. More than the whole budget
    /// counts as the whole: one large message then travels alone. Cancel-safe.
    pub async fn acquire(&self, bytes: usize) -> BudgetGuard {
        let permit = Arc::clone(&self.units).acquire_many_owned(self.units_of(bytes)).await;
        BudgetGuard { _permit: permit.expect("the semaphore is never closed") }
    }

    /// The bytes at once, or `None` when they are not free.
    pub fn try_acquire(&self, bytes: usize) -> Option<BudgetGuard> {
        let permit = Arc::clone(&self.units).try_acquire_many_owned(self.units_of(bytes)).ok()?;
        Some(BudgetGuard { _permit: permit })
    }

    /// Bytes that are free now.
    pub fn available(&self) -> usize {
        self.units.available_permits() * UNIT_BYTES
    }

    fn units_of(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX).min(self.total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_and_gives_back() {
        let budget = Budget::new(10 * 1024);
        let first = budget.acquire(8 * 1024).await;
        assert!(budget.try_acquire(4 * 1024).is_none());
        assert_eq!(budget.available(), 2 * 1024);
        drop(first);
        let whole = budget.acquire(usize::MAX).await;
        assert_eq!(budget.available(), 0);
        drop(whole);
        assert_eq!(budget.available(), 10 * 1024);
    }
}
