//! An entry that is being looked for or made, and those in this process who wait for it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Lands once.
#[derive(Default)]
pub(super) struct Flight {
    landed: Mutex<Option<Landing>>,
    changed: Condvar,
}

/// How it ended.
#[derive(Clone)]
pub(super) enum Landing {
    /// The entry is there.
    With(Arc<[u8]>),
    /// Nobody makes it any more, so the next who asks does.
    Without,
    /// Another process makes it.
    Elsewhere,
}

impl Flight {
    /// Ends it, and wakes all who wait. Only the first landing counts.
    pub(super) fn land(&self, landing: Landing) {
        self.lock().get_or_insert(landing);
        self.changed.notify_all();
    }

    pub(super) fn landed(&self) -> Option<Landing> {
        self.lock().clone()
    }

    /// Waits for the end, until `deadline` at most; `None` is for ever.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> Option<Landing> {
        let mut landed = self.lock();
        while landed.is_none() {
            landed = match deadline {
                None => self.changed.wait(landed).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    self.changed.wait_timeout(landed, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        landed.clone()
    }

    /// It is set in one go, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Option<Landing>> {
        self.landed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
