//! What was made once and may be of use again, within a bound on bytes.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Values by key; those not used for longest go first. Shared by threads.
pub(super) struct Lru<K, V> {
    budget: usize,
    kept: Mutex<Kept<K, V>>,
}

struct Kept<K, V> {
    entries: HashMap<K, Entry<V>>,
    bytes: usize,
    clock: u64,
}

struct Entry<V> {
    value: Arc<V>,
    bytes: usize,
    used: u64,
}

impl<K: Copy + Eq + Hash, V> Lru<K, V> {
    /// Keeps at most `budget` bytes.
    pub(super) fn new(budget: usize) -> Self {
        Lru { budget, kept: Mutex::new(Kept { entries: HashMap::new(), bytes: 0, clock: 0 }) }
    }

    pub(super) fn get(&self, key: &K) -> Option<Arc<V>> {
        let mut kept = self.lock();
        kept.clock += 1;
        let now = kept.clock;
        let entry = kept.entries.get_mut(key)?;
        entry.used = now;
        Some(entry.value.clone())
    }

    /// Keeps `value`, which takes `bytes`.
    pub(super) fn put(&self, key: K, value: Arc<V>, bytes: usize) {
        let mut kept = self.lock();
        kept.clock += 1;
        let used = kept.clock;
        kept.bytes += bytes;
        if let Some(old) = kept.entries.insert(key, Entry { value, bytes, used }) {
            kept.bytes -= old.bytes;
        }
        while kept.bytes > self.budget {
            // Each use has a time of its own, so the order of the map plays no part.
            let oldest = kept.entries.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| *key);
            let Some(entry) = oldest.and_then(|key| kept.entries.remove(&key)) else { break };
            kept.bytes -= entry.bytes;
        }
    }

    /// What is kept is whole at every moment, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Kept<K, V>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unused_goes_first() {
        let cache = Lru::new(10);
        cache.put(1, Arc::new('a'), 4);
        cache.put(2, Arc::new('b'), 4);
        assert!(cache.get(&1).is_some());
        cache.put(3, Arc::new('c'), 4);
        assert_eq!(
            (cache.get(&1).is_some(), cache.get(&2).is_some(), cache.get(&3).is_some()),
            (true, false, true)
        );
        cache.put(4, Arc::new('d'), 11);
        assert!(cache.get(&4).is_none(), "larger than everything that may be kept");
    }
}
