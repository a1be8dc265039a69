//! The right to make one entry.

/// The right to make one entry, among the processes that share a store. Dropping it frees it, and so does the
/// end of the process, however it ends.
#[must_use = "dropping a claim frees it"]
pub struct Claim {
    locks: Vec<Box<dyn Send + Sync>>,
}

impl Claim {
    /// A right that keeps nobody else out: for a store without locks.
    pub fn unlocked() -> Self {
        Claim { locks: Vec::new() }
    }

    /// A right that lasts as long as `lock` is not dropped.
    pub fn holding(lock: impl Send + Sync + 'static) -> Self {
        Claim { locks: vec![Box::new(lock)] }
    }

    /// Both rights in one.
    pub fn and(mut self, mut other: Claim) -> Self {
        self.locks.append(&mut other.locks);
        self
    }

    /// Whether it keeps others out.
    pub fn is_locked(&self) -> bool {
        !self.locks.is_empty()
    }
}
