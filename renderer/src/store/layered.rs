//! A small fast store in front of a large slow one.

use std::ops::ControlFlow;
use std::sync::Arc;

use vignette_templates::blob::Digest;

use super::circuit::Patience;
use super::trouble::{Trouble, TroubleKind};
use super::{Claim, Guarded, Pruned, Stats, Store, StoreError, Verified};

/// Looks into a near store first, then into a far one, and copies what it finds there into the near one. What is
/// put goes into both; what is too large for the near one stands in the far one alone. The far store does not see
/// the uses that the near one answers.
///
/// Each of the two is [`Guarded`]: one that keeps failing is left alone, while the other goes on. As long as one
/// answers, so does this; what the other could not do is told by [`Store::take_troubles`].
pub struct Layered {
    near: Arc<dyn Store>,
    far: Arc<dyn Store>,
}

impl Layered {
    /// `near` in front of `far`.
    pub fn new(near: Arc<dyn Store>, far: Arc<dyn Store>) -> Layered {
        Layered::with_patience(near, far, Patience::default())
    }

    /// `near` in front of `far`, either left alone by `patience`.
    pub fn with_patience(near: Arc<dyn Store>, far: Arc<dyn Store>, patience: Patience) -> Layered {
        Layered { near: Guarded::around(near, patience), far: Guarded::around(far, patience) }
    }

    /// Puts what stands in the far store, or will. If that fails, the guard of the near store tells, and what
    /// was there before must not hide what stands in the far store.
    fn copy_near(&self, key: &Digest, bytes: &Arc<[u8]>) {
        if self.near.put(key, bytes).is_err() {
            let _ = self.near.remove(key);
        }
    }
}

impl Store for Layered {
    fn place(&self) -> String {
        format!("{}, then {}", self.near.place(), self.far.place())
    }

    /// # Errors
    /// When neither has it and one could not be asked, or has it damaged.
    fn get(&self, key: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        let near = self.near.get(key);
        if let Ok(Some(_)) = near {
            return near;
        }
        match self.far.get(key) {
            Ok(Some(bytes)) => {
                self.copy_near(key, &bytes);
                Ok(Some(bytes))
            }
            Ok(None) => near,
            Err(error) => Err(error),
        }
    }

    /// # Errors
    /// When the far store does not have it then. That the near one does not is no error here.
    fn put(&self, key: &Digest, bytes: &Arc<[u8]>) -> Result<(), StoreError> {
        self.copy_near(key, bytes);
        self.far.put(key, bytes)
    }

    fn contains(&self, key: &Digest) -> Result<bool, StoreError> {
        match self.near.contains(key) {
            Ok(true) => Ok(true),
            near => match self.far.contains(key)? {
                true => Ok(true),
                false => near,
            },
        }
    }

    fn remove(&self, key: &Digest) -> Result<bool, StoreError> {
        let (near, far) = (self.near.remove(key), self.far.remove(key));
        Ok(far? | near?)
    }

    /// The locks of both. One that cannot lock is passed over.
    fn claim(&self, key: &Digest) -> Result<Option<Claim>, StoreError> {
        match (self.near.claim(key), self.far.claim(key)) {
            (Ok(None), _) | (_, Ok(None)) => Ok(None),
            (Ok(Some(near)), Ok(Some(far))) => Ok(Some(near.and(far))),
            (Ok(claim), Err(_)) | (Err(_), Ok(claim)) => Ok(claim),
            (Err(_), Err(error)) => Err(error),
        }
    }

    /// Of the far store, which has all that is kept for good.
    fn stats(&self) -> Result<Stats, StoreError> {
        self.far.stats()
    }

    /// Prunes either to `keep_bytes`.
    fn prune(&self, keep_bytes: u64) -> Result<Pruned, StoreError> {
        let (near, far) = (self.near.prune(keep_bytes), self.far.prune(keep_bytes));
        let (far, near) = (far?, near?);
        Ok(Pruned { entries: near.entries + far.entries, bytes: near.bytes + far.bytes })
    }

    fn verify(&self, watch: &mut dyn FnMut(&Verified) -> ControlFlow<()>) -> Result<Verified, StoreError> {
        let mut step = ControlFlow::Continue(());
        let near = self.near.verify(&mut |verified| {
            step = watch(verified);
            step
        });
        if step.is_break() {
            return near;
        }
        let so_far = *near.as_ref().unwrap_or(&Verified::default());
        let far = self.far.verify(&mut |far| watch(&so_far.and(far)))?;
        Ok(near?.and(&far))
    }

    fn take_troubles(&self) -> Vec<Trouble> {
        let mut troubles = self.near.take_troubles();
        // That is what the far store is for.
        troubles.retain(|trouble| trouble.kind != TroubleKind::TooLarge);
        troubles.extend(self.far.take_troubles());
        troubles
    }

    fn is_guarded(&self) -> bool {
        true
    }
}
