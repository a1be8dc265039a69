//! What can go wrong in a store.

use std::io;
use std::time::Duration;

use vignette_templates::blob::Digest;

use super::seal::Damage;
use super::trouble::TroubleKind;

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The entry is not what was put.
    #[error("store {place}: the entry {key} is damaged: {damage}")]
    Corrupt {
        /// The store.
        place: String,
        /// The entry.
        key: Digest,
        /// What is wrong with it.
        damage: Damage,
    },
    /// The device has no room, even after older entries were given up.
    #[error(
        "store {place}: no room for {bytes} more bytes ({source}); free some space or name another store"
    )]
    Full {
        /// The store.
        place: String,
        /// Size of the entry.
        bytes: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The entry can never fit.
    #[error("store {place}: an entry of {bytes} bytes exceeds the bound of {bound} bytes; {}", TroubleKind::TooLarge.remedy())]
    TooLarge {
        /// The store.
        place: String,
        /// Size of the entry.
        bytes: u64,
        /// What it may be at most.
        bound: u64,
    },
    /// The system does not let this process write to the folder.
    #[error("store {place}: {operation}: {source}; {}", TroubleKind::ReadOnly.remedy())]
    ReadOnly {
        /// The store.
        place: String,
        /// What was tried.
        operation: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A file operation failed.
    #[error("store {place}: {operation}: {source}")]
    Io {
        /// The store.
        place: String,
        /// What was tried.
        operation: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// What was named cannot be a store.
    #[error("store {place}: {reason}")]
    Unusable {
        /// What was named, without credentials.
        place: String,
        /// Why, and what would do.
        reason: String,
    },
    /// No answer came in time.
    #[error("store {place}: {operation}: no answer within {} ms", .after.as_millis())]
    TimedOut {
        /// The store.
        place: String,
        /// What was tried.
        operation: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// The object store refused the credentials, or they do not allow it.
    #[error(
        "store {place}: {operation}: {source}; check the credentials (AWS_ACCESS_KEY_ID and kin) and their rights"
    )]
    Denied {
        /// The store.
        place: String,
        /// What was tried.
        operation: &'static str,
        /// What the object store said.
        source: Box<object_store::Error>,
    },
    /// The object store or the way there failed.
    #[error("store {place}: {operation}: {source}")]
    Remote {
        /// The store.
        place: String,
        /// What was tried.
        operation: &'static str,
        /// What the object store said.
        source: Box<object_store::Error>,
    },
    /// The store was not asked, since it failed too often just before.
    #[error("store {place}: left alone for a while after repeated failures")]
    Resting {
        /// The store.
        place: String,
    },
}

impl StoreError {
    /// What a failed file operation on reading means.
    pub(super) fn reading(place: String, operation: &'static str, source: io::Error) -> Self {
        StoreError::Io { place, operation, source }
    }

    /// What a failed file operation on writing `bytes` means.
    pub(super) fn writing(place: String, operation: &'static str, bytes: u64, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                StoreError::Full { place, bytes, source }
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                StoreError::ReadOnly { place, operation, source }
            }
            _ => StoreError::Io { place, operation, source },
        }
    }

    /// The store that failed.
    pub fn place(&self) -> &str {
        match self {
            StoreError::Corrupt { place, .. }
            | StoreError::Full { place, .. }
            | StoreError::TooLarge { place, .. }
            | StoreError::ReadOnly { place, .. }
            | StoreError::Io { place, .. }
            | StoreError::Unusable { place, .. }
            | StoreError::TimedOut { place, .. }
            | StoreError::Denied { place, .. }
            | StoreError::Remote { place, .. }
            | StoreError::Resting { place } => place,
        }
    }

    /// What kind of trouble it is; `None` for [`StoreError::Resting`], which follows from trouble told before.
    pub fn kind(&self) -> Option<TroubleKind> {
        Some(match self {
            StoreError::Corrupt { .. } => TroubleKind::Corrupt,
            StoreError::Full { .. } => TroubleKind::Full,
            StoreError::TooLarge { .. } => TroubleKind::TooLarge,
            StoreError::ReadOnly { .. } => TroubleKind::ReadOnly,
            StoreError::Io { .. } | StoreError::Unusable { .. } | StoreError::Remote { .. } => {
                TroubleKind::Failed
            }
            StoreError::TimedOut { .. } => TroubleKind::TimedOut,
            StoreError::Denied { .. } => TroubleKind::Denied,
            StoreError::Resting { .. } => return None,
        })
    }
}
