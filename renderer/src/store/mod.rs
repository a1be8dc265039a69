//! Where encoded segments are kept, so that each is made once.
//!
//! ```text
//! key ── Vault ──► Guarded ──► Memory | Disk | Objects | Layered(near, far)
//!        one caller    a store that keeps    bytes under a key,
//!        makes each    failing is left       checked when read
//!                      alone for a while
//! ```
//!
//! A [`Store`] keeps bytes under a [`Digest`] and reports every failure to its caller. A [`Vault`] is what a
//! render uses: it never makes a render fail, whatever its store does, and lets one caller make each entry
//! while the others wait for it. [`open`] gives the store that a folder or URL names.
//!
//! Keys are digests of what decides an entry, so an entry never changes, may be lost at any time, and is then
//! made again. Everything here leans on that: nothing is synced to the disk, and a write that fails costs time,
//! never a video.

mod circuit;
mod claim;
mod disk;
mod error;
mod flight;
mod guarded;
mod layered;
mod memory;
mod objects;
mod place;
pub mod seal;
mod trouble;
mod vault;

use std::ops::ControlFlow;
use std::sync::Arc;

use vignette_templates::blob::Digest;

pub use circuit::Patience;
pub use claim::Claim;
pub use disk::Disk;
pub use error::StoreError;
pub use guarded::Guarded;
pub use layered::Layered;
pub use memory::Memory;
pub use objects::{Bucket, Objects};
pub use place::open;
pub use trouble::{Trouble, TroubleKind};
pub use vault::{Counters, Lookup, Turn, Vault, Waiting};

/// Keeps bytes under a key.
///
/// # Guarantees
/// - A write is atomic: an entry is there whole, or as it was before.
/// - What [`get`](Store::get) gives is what was put under that key. Where bytes leave the process, length and
///   checksum are compared at every read.
/// - A call may come from any thread, also from one that runs an async runtime, and blocks that thread.
pub trait Store: Send + Sync {
    /// What to call it in messages: `memory`, a folder, or a URL without credentials.
    fn place(&self) -> String;

    /// The bytes under `key`; `None` when there are none. Counts as a use of the entry.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for an entry that is not what was put; it stays until it is put again or removed.
    /// Any other error says that the store could not be asked.
    fn get(&self, key: &Digest) -> Result<Option<Arc<[u8]>>, StoreError>;

    /// Keeps `bytes` under `key`, in place of what may be there. Makes room first when the store has a bound.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] when it can never fit, [`StoreError::Full`] when the device has no room even
    /// after older entries were given up, [`StoreError::ReadOnly`] or [`StoreError::Denied`] when writing is
    /// not allowed.
    fn put(&self, key: &Digest, bytes: &Arc<[u8]>) -> Result<(), StoreError>;

    /// Whether there is an entry under `key`. It is not read, so it may turn out to be damaged, and it may be
    /// gone when it is asked for. No use of the entry.
    ///
    /// # Errors
    /// When the store could not be asked.
    fn contains(&self, key: &Digest) -> Result<bool, StoreError>;

    /// Removes the entry under `key`. Whether there was one.
    ///
    /// # Errors
    /// When it may still be there.
    fn remove(&self, key: &Digest) -> Result<bool, StoreError>;

    /// The right to make the entry under `key`, among the processes that share the store; `None` when another
    /// holder has it, or for a moment without need. Never waits. A store that processes do not share, or that
    /// has no locks, grants always.
    ///
    /// # Errors
    /// When no lock can be taken; the entry may then be made without one.
    fn claim(&self, key: &Digest) -> Result<Option<Claim>, StoreError>;

    /// What is kept. Looks at every entry's size, so it may take a while in a large store.
    ///
    /// # Errors
    /// When the store could not be asked.
    fn stats(&self) -> Result<Stats, StoreError>;

    /// Removes entries until at most `keep_bytes` are left, those unused for longest first.
    ///
    /// # Errors
    /// When the store could not be asked or entries could not be removed; some may be gone by then.
    fn prune(&self, keep_bytes: u64) -> Result<Pruned, StoreError>;

    /// Reads every entry and removes those that are damaged. `watch` sees the figures so far after each entry
    /// and may break off. Holds a few entries in memory at most. No use of the entries.
    ///
    /// # Errors
    /// When the store could not be listed. An entry that cannot be read is counted, not an error.
    fn verify(&self, watch: &mut dyn FnMut(&Verified) -> ControlFlow<()>) -> Result<Verified, StoreError>;

    /// Failures that calls lived with since this was last asked: for a store that has others inside, and
    /// answers as long as one of them does. Empty for a store that reports every failure to the caller.
    fn take_troubles(&self) -> Vec<Trouble> {
        Vec::new()
    }

    /// Whether the store by itself leaves alone for a while what keeps failing in it, and lists failures in
    /// [`take_troubles`](Store::take_troubles). Otherwise [`Guarded`] does that for it.
    fn is_guarded(&self) -> bool {
        false
    }
}

/// What a store keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Number of entries.
    pub entries: u64,
    /// Bytes of all entries with their headers ([`seal::sealed_len`]), in every kind of store.
    pub bytes: u64,
    /// The bound on `bytes`; `None` when the store has none of its own.
    pub bound: Option<u64>,
}

/// What [`Store::prune`] removed; in all layers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Number of entries.
    pub entries: u64,
    /// Their bytes, with their headers.
    pub bytes: u64,
}

/// What [`Store::verify`] saw; in all layers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Number of entries that are as they were put.
    pub sound: u64,
    /// Their bytes, with their headers.
    pub bytes: u64,
    /// Number of entries that were damaged.
    pub damaged: u64,
    /// How many of those that were damaged could be removed.
    pub removed: u64,
    /// Number of entries that could not be read, so nobody knows. They were left where they are.
    pub unread: u64,
}

impl Verified {
    fn and(self, other: &Verified) -> Verified {
        Verified {
            sound: self.sound + other.sound,
            bytes: self.bytes + other.bytes,
            damaged: self.damaged + other.damaged,
            removed: self.removed + other.removed,
            unread: self.unread + other.unread,
        }
    }
}
