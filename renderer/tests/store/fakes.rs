//! A store that fails as it is told.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use vignette_renderer::store::{Claim, Memory, Pruned, Stats, Store, StoreError, Verified};
use vignette_templates::blob::Digest;

/// A call to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Get,
    Put,
    Contains,
    Remove,
    Claim,
}

/// Memory that fails the calls that `fails` says, and takes its time for all.
pub struct Fake {
    pub memory: Memory,
    pub fails: fn(Call) -> Option<io::ErrorKind>,
    pub takes: Duration,
    pub calls: AtomicUsize,
}

impl Fake {
    pub fn new(fails: fn(Call) -> Option<io::ErrorKind>) -> Fake {
        Fake { memory: Memory::new(1 << 30), fails, takes: Duration::ZERO, calls: AtomicUsize::new(0) }
    }

    /// Calls so far.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn call(&self, call: Call) -> Result<(), StoreError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(self.takes);
        let place = self.place();
        match (self.fails)(call).map(|kind| (kind, io::Error::from(kind))) {
            None => Ok(()),
            Some((io::ErrorKind::StorageFull, source)) => Err(StoreError::Full { place, bytes: 1, source }),
            Some((io::ErrorKind::ReadOnlyFilesystem, source)) => {
                Err(StoreError::ReadOnly { place, operation: "write an entry", source })
            }
            Some((_, source)) => Err(StoreError::Io { place, operation: "ask", source }),
        }
    }
}

impl Store for Fake {
    fn place(&self) -> String {
        "fake".to_owned()
    }

    fn get(&self, key: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        self.call(Call::Get)?;
        self.memory.get(key)
    }

    fn put(&self, key: &Digest, bytes: &Arc<[u8]>) -> Result<(), StoreError> {
        self.call(Call::Put)?;
        self.memory.put(key, bytes)
    }

    fn contains(&self, key: &Digest) -> Result<bool, StoreError> {
        self.call(Call::Contains)?;
        self.memory.contains(key)
    }

    fn remove(&self, key: &Digest) -> Result<bool, StoreError> {
        self.call(Call::Remove)?;
        self.memory.remove(key)
    }

    fn claim(&self, key: &Digest) -> Result<Option<Claim>, StoreError> {
        self.call(Call::Claim)?;
        self.memory.claim(key)
    }

    fn stats(&self) -> Result<Stats, StoreError> {
        self.memory.stats()
    }

    fn prune(&self, keep_bytes: u64) -> Result<Pruned, StoreError> {
        self.memory.prune(keep_bytes)
    }

    fn verify(&self, watch: &mut dyn FnMut(&Verified) -> ControlFlow<()>) -> Result<Verified, StoreError> {
        self.memory.verify(watch)
    }
}
