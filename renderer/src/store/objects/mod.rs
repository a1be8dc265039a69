//! A store in an object store, shared by machines.
//!
//! Entries have the names and the form that they have on a disk, `<prefix>/v1/ab/ab…`, so either can be copied
//! to the other. Nothing is locked: two machines that want the same entry at the same time both make it, and
//! both put the same bytes.

mod bucket;
mod crew;

use std::future::Future;
use std::ops::{ControlFlow, Deref};
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt, PutOptions};
use vignette_templates::blob::Digest;

pub use self::bucket::Bucket;
use self::crew::Crew;
use super::seal::{self, Damage};
use super::{Claim, Pruned, Stats, Store, StoreError, Verified};

/// Keeps entries in an object store, such as S3.
///
/// It has no bound of its own: give the bucket a lifecycle rule, or [`prune`](Store::prune) it. Objects keep no
/// time of use, so those written first go first.
pub struct Objects {
    crew: Crew,
    objects: Arc<dyn ObjectStore>,
    place: String,
    root: Path,
    timeout: Duration,
}

/// How a request failed, before it is known by what name.
enum Failure {
    TimedOut(Duration),
    Store(object_store::Error),
}

/// An object that is named like an entry.
struct Entry {
    key: Digest,
    bytes: u64,
    /// Microseconds since 1970.
    written: i64,
}

/// What reading one entry for its check showed.
enum Seen {
    Sound(u64),
    Damaged { removed: bool },
    Gone,
    Unread,
}

impl Objects {
    /// How long an answer is waited for when nothing else is said. It is short, since making a segment again
    /// takes about as long.
    pub const TIMEOUT: Duration = Duration::from_secs(3);

    /// How often a request is made again that failed in passing.
    const TRIES: usize = 2;

    /// Requests of one kind at a time, where many are made for one call.
    const WIDTH: usize = 16;

    /// Entries that are held in memory at a time while all are checked.
    const CHECKED_AT_ONCE: usize = 4;

    /// Keeps entries in `objects` below `prefix`, which may be empty. Each request, with what the client tries
    /// again by itself, may take `timeout` and one second more for each MiB that it moves; listing may take 30
    /// seconds.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] when `prefix` is not a path of an object; [`StoreError::Io`] when no thread can
    /// be started.
    pub fn new(
        objects: Arc<dyn ObjectStore>,
        prefix: &str,
        timeout: Duration,
    ) -> Result<Objects, StoreError> {
        let place = format!("{objects}");
        let prefix = bucket::path(&place, prefix)?;
        Objects::at(place, objects, prefix, timeout)
    }

    /// Keeps entries in a bucket of S3 or of a server that speaks like it; `url` is `s3://bucket/prefix`, with
    /// the prefix as it may be left out. `settings` tell the rest: endpoint, region and credentials, usually by
    /// [`AmazonS3Builder::from_env`]. The timeout is that of [`Objects::new`].
    ///
    /// # Errors
    /// [`StoreError::Unusable`] when the URL or the settings are not right; no request is made.
    pub fn s3(url: &str, settings: AmazonS3Builder, timeout: Duration) -> Result<Objects, StoreError> {
        let bucket = Bucket::open(url, settings, Self::TRIES, timeout)?;
        Objects::at(bucket.place, bucket.objects, bucket.prefix, timeout)
    }

    fn at(
        place: String,
        objects: Arc<dyn ObjectStore>,
        prefix: Path,
        timeout: Duration,
    ) -> Result<Objects, StoreError> {
        let root = prefix.join("v1");
        match Crew::start() {
            Ok(crew) => Ok(Objects { crew, objects, place, root, timeout }),
            Err(error) => Err(StoreError::reading(place, "start a thread for its requests", error)),
        }
    }

    fn path_of(&self, key: &Digest) -> Path {
        let name = key.to_string();
        self.root.clone().join(&name[..2]).join(name.as_str())
    }

    fn time_for_list(&self) -> Duration {
        self.timeout.max(Duration::from_secs(30))
    }

    /// Runs `request` and waits for it. `None` when there is no such object.
    fn ask<T: Send + 'static>(
        &self,
        operation: &'static str,
        request: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<Option<T>, StoreError> {
        self.judge(operation, self.crew.run(request))
    }

    /// What came of a request, in the words of a store. `None` when there is no such object.
    fn judge<T>(
        &self,
        operation: &'static str,
        outcome: Option<Result<T, Failure>>,
    ) -> Result<Option<T>, StoreError> {
        let place = || self.place.clone();
        match outcome {
            Some(Ok(answer)) => Ok(Some(answer)),
            Some(Err(Failure::Store(object_store::Error::NotFound { .. }))) => Ok(None),
            Some(Err(Failure::TimedOut(after))) => {
                Err(StoreError::TimedOut { place: place(), operation, after })
            }
            Some(Err(Failure::Store(source))) => {
                let (place, source) = (place(), Box::new(source));
                Err(match *source {
                    object_store::Error::PermissionDenied { .. }
                    | object_store::Error::Unauthenticated { .. } => {
                        StoreError::Denied { place, operation, source }
                    }
                    _ => StoreError::Remote { place, operation, source },
                })
            }
            None => {
                let source = std::io::Error::other("the client of the object store panicked");
                Err(StoreError::reading(place(), operation, source))
            }
        }
    }

    /// The folders that entries are spread over.
    fn shards(&self) -> Result<Vec<Path>, StoreError> {
        let (objects, root, limit) = (self.objects.clone(), self.root.clone(), self.time_for_list());
        let listed = async move { within(limit, objects.list_with_delimiter(Some(&root))).await };
        Ok(self.ask("list", listed)?.map(|list| list.common_prefixes).unwrap_or_default())
    }

    /// Shows the entries of each folder to `visit`, a folder at a time, so that only some folders' worth is held.
    /// The folders are listed side by side, which is faster than one long list.
    fn each_shard(
        &self,
        mut visit: impl FnMut(Vec<Entry>) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<(), StoreError> {
        let limit = self.time_for_list();
        let lists = self.shards()?.into_iter().map(|shard| {
            let objects = self.objects.clone();
            async move { within(limit, objects.list_with_delimiter(Some(&shard))).await }
        });
        let mut failed = None;
        self.crew.run_each(lists, Self::WIDTH, |listed| {
            let step = match self.judge("list", listed) {
                Ok(None) => Ok(ControlFlow::Continue(())),
                Ok(Some(list)) => visit(list.objects.iter().filter_map(|meta| self.entry(meta)).collect()),
                Err(error) => Err(error),
            };
            step.unwrap_or_else(|error| {
                failed = Some(error);
                ControlFlow::Break(())
            })
        });
        failed.map_or(Ok(()), Err)
    }

    /// The entry that an object is; `None` when it is not named like one.
    fn entry(&self, meta: &ObjectMeta) -> Option<Entry> {
        let key = Digest::from_hex(meta.location.filename()?)?;
        let entry = Entry { key, bytes: meta.size, written: meta.last_modified.timestamp_micros() };
        (self.path_of(&key) == meta.location).then_some(entry)
    }

    /// What removes the object at `path`.
    fn deletion(&self, path: Path) -> impl Future<Output = Result<(), Failure>> + Send + 'static {
        let (objects, limit) = (self.objects.clone(), self.timeout);
        async move { within(limit, objects.delete(&path)).await }
    }

    /// What reads the entry under `key`, checks it, and removes it when it is damaged.
    fn check(&self, key: Digest) -> impl Future<Output = Seen> + Send + 'static {
        let deletion = self.deletion(self.path_of(&key));
        let (objects, path, timeout) = (self.objects.clone(), self.path_of(&key), self.timeout);
        async move {
            match fetch(objects, path, timeout).await {
                Ok(sealed) => match sealed.and_then(|sealed| seal::open(&key, &sealed).map(|_| sealed.len()))
                {
                    Ok(bytes) => Seen::Sound(bytes as u64),
                    Err(_) => Seen::Damaged { removed: deletion.await.is_ok() },
                },
                Err(Failure::Store(object_store::Error::NotFound { .. })) => Seen::Gone,
                Err(_) => Seen::Unread,
            }
        }
    }
}

impl Store for Objects {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn get(&self, key: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        let (objects, path, timeout) = (self.objects.clone(), self.path_of(key), self.timeout);
        let fetched = self.ask("get", fetch(objects, path, timeout))?;
        let Some(sealed) = fetched else { return Ok(None) };
        match sealed.as_ref().map_err(|damage| *damage).and_then(|sealed| seal::open(key, sealed)) {
            Ok(payload) => Ok(Some(Arc::from(payload))),
            Err(damage) => Err(StoreError::Corrupt { place: self.place(), key: *key, damage }),
        }
    }

    fn put(&self, key: &Digest, bytes: &Arc<[u8]>) -> Result<(), StoreError> {
        if bytes.len() as u64 > seal::MAX_PAYLOAD {
            let size = seal::sealed_len(bytes.len() as u64);
            let bound = seal::sealed_len(seal::MAX_PAYLOAD);
            return Err(StoreError::TooLarge { place: self.place(), bytes: size, bound });
        }
        let sealed = seal::seal(key, bytes);
        let limit = time_for(self.timeout, sealed.len() as u64);
        let (objects, path) = (self.objects.clone(), self.path_of(key));
        let stored = async move {
            within(limit, objects.put_opts(&path, sealed.into(), PutOptions::default())).await?;
            Ok(())
        };
        match self.ask("put", stored)? {
            Some(()) => Ok(()),
            // The bucket itself is missing.
            None => {
                let reason = "there is no such bucket; create it or name another".to_owned();
                Err(StoreError::Unusable { place: self.place(), reason })
            }
        }
    }

    fn contains(&self, key: &Digest) -> Result<bool, StoreError> {
        let (objects, path, limit) = (self.objects.clone(), self.path_of(key), self.timeout);
        let found = self.ask("head", async move { within(limit, objects.head(&path)).await })?;
        Ok(found.is_some())
    }

    fn remove(&self, key: &Digest) -> Result<bool, StoreError> {
        // Object stores do not tell whether there was something to delete.
        let there = self.contains(key)?;
        if there {
            self.ask("delete", self.deletion(self.path_of(key)))?;
        }
        Ok(there)
    }

    fn claim(&self, _key: &Digest) -> Result<Option<Claim>, StoreError> {
        Ok(Some(Claim::unlocked()))
    }

    fn stats(&self) -> Result<Stats, StoreError> {
        let mut stats = Stats::default();
        self.each_shard(|entries| {
            stats.entries += entries.len() as u64;
            stats.bytes += entries.iter().map(|entry| entry.bytes).sum::<u64>();
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(stats)
    }

    fn prune(&self, keep_bytes: u64) -> Result<Pruned, StoreError> {
        let mut entries = Vec::new();
        self.each_shard(|mut some| {
            entries.append(&mut some);
            Ok(ControlFlow::Continue(()))
        })?;
        entries.sort_unstable_by_key(|entry| (entry.written, entry.key));
        let mut left: u64 = entries.iter().map(|entry| entry.bytes).sum();
        let removable = entries.iter().take_while(|entry| {
            let over = left > keep_bytes;
            left = left.saturating_sub(entry.bytes);
            over
        });
        let deletions = removable.map(|entry| {
            let (bytes, deletion) = (entry.bytes, self.deletion(self.path_of(&entry.key)));
            async move { deletion.await.map(|()| bytes) }
        });
        let mut pruned = Pruned::default();
        let mut failed = None;
        self.crew.run_each(deletions, Self::WIDTH, |deleted| match self.judge("delete", deleted) {
            Ok(removed) => {
                pruned.entries += u64::from(removed.is_some());
                pruned.bytes += removed.unwrap_or(0);
                ControlFlow::Continue(())
            }
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        });
        failed.map_or(Ok(pruned), Err)
    }

    fn verify(&self, watch: &mut dyn FnMut(&Verified) -> ControlFlow<()>) -> Result<Verified, StoreError> {
        let mut verified = Verified::default();
        self.each_shard(|entries| {
            let mut step = ControlFlow::Continue(());
            let checks = entries.into_iter().map(|entry| self.check(entry.key));
            self.crew.run_each(checks, Self::CHECKED_AT_ONCE, |seen| {
                match seen.unwrap_or(Seen::Unread) {
                    Seen::Sound(bytes) => {
                        verified.sound += 1;
                        verified.bytes += bytes;
                    }
                    Seen::Damaged { removed } => {
                        verified.damaged += 1;
                        verified.removed += u64::from(removed);
                    }
                    Seen::Unread => verified.unread += 1,
                    Seen::Gone => {}
                }
                step = watch(&verified);
                step
            });
            Ok(step)
        })?;
        Ok(verified)
    }
}

/// Time for a request that moves `bytes`, where one that moves little may take `timeout`.
fn time_for(timeout: Duration, bytes: u64) -> Duration {
    timeout.saturating_add(Duration::from_millis(bytes.saturating_mul(1000) >> 20))
}

async fn within<T>(
    limit: Duration,
    request: impl Future<Output = object_store::Result<T>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, request).await {
        Ok(outcome) => outcome.map_err(Failure::Store),
        Err(_) => Err(Failure::TimedOut(limit)),
    }
}

/// The bytes of an object. Its size is looked at first: what is too large to be an entry is not read.
async fn fetch(
    objects: Arc<dyn ObjectStore>,
    path: Path,
    timeout: Duration,
) -> Result<Result<impl Deref<Target = [u8]> + Send + 'static, Damage>, Failure> {
    let found = within(timeout, objects.get_opts(&path, GetOptions::default())).await?;
    let size = found.meta.size;
    if size > seal::sealed_len(seal::MAX_PAYLOAD) {
        return Ok(Err(Damage::Length { said: seal::MAX_PAYLOAD, there: size }));
    }
    within(time_for(timeout, size), found.bytes()).await.map(Ok)
}
