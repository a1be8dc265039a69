//! Who makes which entry, among processes.
//!
//! There are 4096 lock files; the first 12 bits of a key name its one. They are never removed, so two processes
//! that lock the same name lock the same file. The system frees a lock when its process ends. Keys that share a
//! file wait for one another across processes without need; with the few entries that a machine makes at a time
//! this is rare, costs the time of making one entry, and cannot come to a standstill, since nobody waits here.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vignette_templates::blob::Digest;

/// The folder of lock files, and what this process has locked in it.
pub(super) struct Locks {
    folder: PathBuf,
    held: Mutex<HashMap<u16, Held>>,
}

/// A file that this process has locked, for one key or several.
struct Held {
    file: File,
    keys: HashSet<Digest>,
}

/// Frees its key when dropped.
pub(super) struct Lock {
    locks: Arc<Locks>,
    key: Digest,
}

impl Locks {
    pub(super) fn new(folder: PathBuf) -> Self {
        Locks { folder, held: Mutex::default() }
    }

    /// Locks `key`; `None` when someone has it, or another process has a key that shares its file.
    pub(super) fn claim(self: &Arc<Self>, key: &Digest) -> io::Result<Option<Lock>> {
        let number = file_of(key);
        let mut held = self.held();
        if let Some(held) = held.get_mut(&number) {
            if !held.keys.insert(*key) {
                return Ok(None);
            }
        } else {
            let Some(file) = self.try_lock(&format!("{number:03x}"))? else { return Ok(None) };
            held.insert(number, Held { file, keys: HashSet::from([*key]) });
        }
        Ok(Some(Lock { locks: self.clone(), key: *key }))
    }

    /// The right to make room, for as long as the file is not dropped; `None` when another process does.
    pub(super) fn evicting(&self) -> io::Result<Option<File>> {
        self.try_lock("evict")
    }

    fn try_lock(&self, name: &str) -> io::Result<Option<File>> {
        let path = self.folder.join(name);
        let open = || OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                super::make_folder(&self.folder)?;
                open()?
            }
            file => file?,
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// What is held is whole at every moment, so a panic elsewhere does not spoil it.
    fn held(&self) -> MutexGuard<'_, HashMap<u16, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let number = file_of(&self.key);
        let mut held = self.locks.held();
        let Some(file) = held.get_mut(&number) else { return };
        file.keys.remove(&self.key);
        if file.keys.is_empty()
            && let Some(last) = held.remove(&number)
        {
            // Closing frees it as well, unless a process that is just being started has it still open.
            let _ = last.file.unlock();
        }
    }
}

fn file_of(key: &Digest) -> u16 {
    u16::from_be_bytes([key.0[0], key.0[1]]) >> 4
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two of these on one folder stand for two processes: each opens the files for itself.
    fn locks(folder: &std::path::Path) -> Arc<Locks> {
        Arc::new(Locks::new(folder.join("locks")))
    }

    #[test]
    fn keys_that_share_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (locks(folder.path()), locks(folder.path()));
        let (a, b, c) = (
            Digest([1; 32]),
            Digest([[1, 1].as_slice(), &[2; 30]].concat().try_into().unwrap()),
            Digest([3; 32]),
        );
        assert_eq!(file_of(&a), file_of(&b));

        let held_a = one.claim(&a).unwrap().expect("free");
        assert!(one.claim(&a).unwrap().is_none(), "held in this process");
        assert!(other.claim(&a).unwrap().is_none(), "held by the other process");
        let held_b = one.claim(&b).unwrap().expect("another key of the same process");
        assert!(other.claim(&b).unwrap().is_none(), "held by the other process");
        assert!(other.claim(&c).unwrap().is_some(), "a file of its own");
        drop(held_a);
        assert!(other.claim(&a).unwrap().is_none(), "its file is still held for b");
        drop(held_b);
        let held = other.claim(&a).unwrap().expect("free again");
        assert!(one.claim(&b).unwrap().is_none());
        drop(held);
        assert!(one.claim(&b).unwrap().is_some());
    }

    #[test]
    fn one_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (locks(folder.path()), locks(folder.path()));
        let right = one.evicting().unwrap();
        assert!(right.is_some() && other.evicting().unwrap().is_none());
        drop(right);
        assert!(other.evicting().unwrap().is_some());
    }
}
