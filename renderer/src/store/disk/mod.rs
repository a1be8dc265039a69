//! A store in a folder, shared by the processes of one machine.
//!
//! ```text
//! <folder>/v1/ab/ab…64 hexadecimal digits   an entry: header and bytes, see `seal`
//! <folder>/v1/tmp/<process>-<number>        an entry while it is written
//! <folder>/v1/locks/000 … fff, evict        empty files that are locked, never removed
//! <folder>/v1/total                         what the entries take together, about
//! ```
//!
//! An entry is written to `tmp` and renamed, so it is there whole or not at all as long as the machine runs.
//! Nothing is synced: after a power cut an entry may be torn, which its checksum shows, and it is made again.
//! Only files that are named like ours are ever removed.

mod locks;
mod scratch;
mod tally;
#[cfg(test)]
mod tests;
mod walk;

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use vignette_templates::blob::Digest;

use self::locks::Locks;
use self::scratch::Scratch;
use self::tally::{Sum, Tally};
use self::walk::Entry;
use super::seal::{self, Check, Damage};
use super::{Claim, Pruned, Stats, Store, StoreError, Verified};

/// Keeps entries in a folder, within a bound on bytes; those not used for longest go first.
///
/// Several processes may share the folder. Each keeps to its own bound; what the entries take is added up in a
/// file that they share, and counted anew whenever that says the bound is passed, so the bound is exact for one
/// process and near for several. An entry that goes while it is read stays readable to who reads it.
///
/// What it makes is open to its user alone (mode 0700), since entries may show personal pictures.
pub struct Disk {
    folder: PathBuf,
    version: PathBuf,
    bound: u64,
    touch_after: Duration,
    locks: Arc<Locks>,
    scratch: Scratch,
    tally: Tally,
    /// One thread makes room at a time; the others wait for it and then find that there is room.
    evicting: Mutex<()>,
    write: WriteEntry,
}

/// Writes a header and a payload to a new file.
type WriteEntry = Box<dyn Fn(&mut File, &[u8], &[u8]) -> io::Result<()> + Send + Sync>;

/// How much of the bound is kept when room must be made, in percent: so that counting all entries is worth it.
const KEPT_PERCENT: u64 = 90;

impl Disk {
    /// How long a use of an entry may go unnoted after another: a note costs the file system a write.
    pub const TOUCH_AFTER: Duration = Duration::from_secs(60);

    /// Opens the store in `folder`, which is made when it is missing. Keeps at most `max_bytes`, counted as
    /// [`Stats::bytes`] are; what the file system needs for itself comes on top.
    ///
    /// A store that cannot be written to can be opened and read; each attempt to write then fails.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] when `folder` is no folder, or holds other things and no store;
    /// [`StoreError::ReadOnly`] or [`StoreError::Io`] when it cannot be read, or there is no store yet and none
    /// can be made.
    pub fn open(folder: &Path, max_bytes: u64) -> Result<Disk, StoreError> {
        let place = || folder.display().to_string();
        match fs::metadata(folder) {
            Ok(found) if !found.is_dir() => {
                let reason = "this is a file; a store needs a folder".to_owned();
                return Err(StoreError::Unusable { place: place(), reason });
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_folder(folder)
                .map_err(|error| StoreError::writing(place(), "make the folder", 0, error))?,
            Err(error) => return Err(StoreError::reading(place(), "look at the folder", error)),
        }
        let version = folder.join("v1");
        if !version.is_dir() {
            if let Some(other) = first_thing_in(folder)
                .map_err(|error| StoreError::reading(place(), "look into the folder", error))?
            {
                let reason = format!("the folder holds other things ({other}); name a new or empty folder");
                return Err(StoreError::Unusable { place: place(), reason });
            }
            make_folder(&version)
                .map_err(|error| StoreError::writing(place(), "make a folder in it", 0, error))?;
        }
        fs::read_dir(&version)
            .map_err(|error| StoreError::reading(place(), "look into the folder", error))?;
        let disk = Disk {
            folder: folder.to_owned(),
            bound: max_bytes,
            touch_after: Disk::TOUCH_AFTER,
            locks: Arc::new(Locks::new(version.join("locks"))),
            scratch: Scratch::new(version.join("tmp")),
            tally: Tally::new(version.join("total")),
            evicting: Mutex::new(()),
            write: Box::new(write_both),
            version,
        };
        disk.scratch.sweep();
        Ok(disk)
    }

    /// Notes each use that comes `interval` or more after the last one noted. Default: [`Disk::TOUCH_AFTER`].
    pub fn touching_after(mut self, interval: Duration) -> Self {
        self.touch_after = interval;
        self
    }

    /// Where the entry under `key` stands, whether there is one or not.
    pub fn path_of(&self, key: &Digest) -> PathBuf {
        let name = key.to_string();
        self.version.join(&name[..2]).join(name)
    }

    fn reading(&self, operation: &'static str, source: io::Error) -> StoreError {
        StoreError::reading(self.place(), operation, source)
    }

    fn writing(&self, operation: &'static str, bytes: u64, source: io::Error) -> StoreError {
        StoreError::writing(self.place(), operation, bytes, source)
    }

    /// Writes an entry beside the others and puts it among them. Bytes of the one it replaced.
    fn write_entry(&self, key: &Digest, payload: &[u8], size: u64) -> Result<u64, StoreError> {
        let path = self.path_of(key);
        let replaced = fs::symlink_metadata(&path).map_or(0, |found| found.len());
        let mut temporary =
            self.scratch.create().map_err(|error| self.writing("make a temporary file", size, error))?;
        (self.write)(&mut temporary.file, &seal::header(key, payload), payload)
            .map_err(|error| self.writing("write an entry", size, error))?;
        // The clock of the file system is coarser than this one; uses are ordered by both.
        temporary
            .file
            .set_modified(SystemTime::now())
            .map_err(|error| self.writing("note the time of an entry", size, error))?;
        temporary.move_to(&path).map_err(|error| self.writing("rename an entry", size, error))?;
        Ok(replaced)
    }

    /// Announces `size` more bytes and, when the bound would be passed, removes the longest unused.
    fn make_room(&self, size: u64) -> Result<(), StoreError> {
        let over = |sum| match sum {
            Sum::Known(total) => total > self.bound,
            Sum::Unknown => true,
            Sum::Busy => false,
        };
        if !over(self.tally.add(size as i64)) {
            return Ok(());
        }
        let _alone = self.evicting.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have made room meanwhile, and another process may be about to.
        if !over(self.tally.add(0)) {
            return Ok(());
        }
        // Where files cannot be locked, two processes may count and remove at once: slower, but not wrong.
        let _lock = match self.locks.evicting() {
            Ok(None) => return Ok(()),
            lock => lock,
        };
        let (entries, total) = self.entries()?;
        if total.saturating_add(size) > self.bound {
            let keep = (self.bound / 100 * KEPT_PERCENT).min(self.bound - size);
            let pruned = self.remove_oldest(entries, total, keep)?;
            self.tally.set(total - pruned.bytes + size);
        } else {
            self.tally.set(total + size);
        }
        Ok(())
    }

    /// Removes the longest unused because the device has no room for `size` bytes. Bytes that became free.
    fn yield_room(&self, size: u64) -> Result<u64, StoreError> {
        let _alone = self.evicting.lock().unwrap_or_else(PoisonError::into_inner);
        let (entries, total) = self.entries()?;
        let give_up = size.max(total / 100 * (100 - KEPT_PERCENT));
        let pruned = self.remove_oldest(entries, total, total.saturating_sub(give_up))?;
        self.tally.set(total - pruned.bytes + size);
        Ok(pruned.bytes)
    }

    /// Every entry and their bytes together.
    fn entries(&self) -> Result<(Vec<Entry>, u64), StoreError> {
        let mut entries = Vec::new();
        walk::each(&self.version, &mut |entry| {
            entries.push(entry);
            ControlFlow::Continue(())
        })
        .map_err(|error| self.reading("list the entries", error))?;
        let total = entries.iter().map(|entry| entry.bytes).sum();
        Ok((entries, total))
    }

    fn remove_oldest(&self, mut entries: Vec<Entry>, total: u64, keep: u64) -> Result<Pruned, StoreError> {
        entries.sort_unstable_by_key(|entry| (entry.used, entry.key));
        let mut pruned = Pruned::default();
        for entry in entries {
            if total - pruned.bytes <= keep {
                break;
            }
            match fs::remove_file(self.path_of(&entry.key)) {
                Ok(()) => pruned.entries += 1,
                // Another process was faster. The room is there all the same.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(self.writing("remove an old entry", 0, error)),
            }
            pruned.bytes += entry.bytes;
        }
        Ok(pruned)
    }

    /// Reads the entry in `file`: what is wrong with it, or the bytes.
    fn read(&self, key: &Digest, mut file: File, length: u64) -> io::Result<Result<Arc<[u8]>, Damage>> {
        let mut check = match read_header(key, &mut file, length)? {
            Ok(check) => check,
            Err(damage) => return Ok(Err(damage)),
        };
        let mut payload = check.room();
        let room = Arc::make_mut(&mut payload);
        match file.read_exact(room) {
            Ok(()) => {}
            // It was cut after its length was asked for.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Ok(Err(Damage::Checksum));
            }
            Err(error) => return Err(error),
        }
        check.update(room);
        Ok(check.finish().map(|()| payload))
    }

    /// Notes that the entry in `file` was used. A store that cannot be written to cannot note it, and need not:
    /// nothing is removed from it either.
    fn touch(&self, file: &File, modified: SystemTime) {
        let now = SystemTime::now();
        // A time ahead of the clock would keep the entry for ever, so it is corrected.
        let due = now.duration_since(modified).map_or(true, |age| age >= self.touch_after);
        if due {
            let _ = file.set_modified(now);
        }
    }

    fn look_at(&self, key: &Digest) -> io::Result<Option<(File, fs::Metadata)>> {
        match File::open(self.path_of(key)) {
            Ok(file) => {
                let found = file.metadata()?;
                Ok(Some((file, found)))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads an entry and forgets it again: its length, or what is wrong with it. `None` when it is gone.
    fn check(&self, key: &Digest) -> io::Result<Option<Result<u64, Damage>>> {
        let Some((mut file, found)) = self.look_at(key)? else { return Ok(None) };
        let length = found.len();
        let mut check = match read_header(key, &mut file, length)? {
            Ok(check) => check,
            Err(damage) => return Ok(Some(Err(damage))),
        };
        let mut piece = vec![0; 1 << 16];
        loop {
            match file.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => check.update(&piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Some(check.finish().map(|()| length)))
    }
}

impl Store for Disk {
    fn place(&self) -> String {
        self.folder.display().to_string()
    }

    fn get(&self, key: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        let failed = |error| self.reading("read an entry", error);
        let Some((file, found)) = self.look_at(key).map_err(failed)? else { return Ok(None) };
        if let Ok(modified) = found.modified() {
            self.touch(&file, modified);
        }
        match self.read(key, file, found.len()).map_err(failed)? {
            Ok(bytes) => Ok(Some(bytes)),
            Err(damage) => Err(StoreError::Corrupt { place: self.place(), key: *key, damage }),
        }
    }

    fn put(&self, key: &Digest, bytes: &Arc<[u8]>) -> Result<(), StoreError> {
        let size = seal::sealed_len(bytes.len() as u64);
        let bound = self.bound.min(seal::sealed_len(seal::MAX_PAYLOAD));
        if size > bound {
            return Err(StoreError::TooLarge { place: self.place(), bytes: size, bound });
        }
        let written = self.make_room(size).and_then(|()| match self.write_entry(key, bytes, size) {
            Err(StoreError::Full { .. }) if self.yield_room(size)? > 0 => self.write_entry(key, bytes, size),
            result => result,
        });
        match written {
            Ok(0) => Ok(()),
            Ok(replaced) => {
                self.tally.add(-(replaced as i64));
                Ok(())
            }
            Err(error) => {
                self.tally.add(-(size as i64));
                Err(error)
            }
        }
    }

    fn contains(&self, key: &Digest) -> Result<bool, StoreError> {
        match fs::metadata(self.path_of(key)) {
            Ok(found) => Ok(found.is_file()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.reading("look at an entry", error)),
        }
    }

    fn remove(&self, key: &Digest) -> Result<bool, StoreError> {
        let path = self.path_of(key);
        let size = fs::symlink_metadata(&path).map_or(0, |found| found.len());
        match fs::remove_file(&path) {
            Ok(()) => {
                self.tally.add(-(size as i64));
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.writing("remove an entry", 0, error)),
        }
    }

    fn claim(&self, key: &Digest) -> Result<Option<Claim>, StoreError> {
        let lock = self.locks.claim(key).map_err(|error| self.writing("lock an entry", 0, error))?;
        Ok(lock.map(Claim::holding))
    }

    fn stats(&self) -> Result<Stats, StoreError> {
        let mut stats = Stats { bound: Some(self.bound), ..Stats::default() };
        walk::each(&self.version, &mut |entry| {
            stats.entries += 1;
            stats.bytes += entry.bytes;
            ControlFlow::Continue(())
        })
        .map_err(|error| self.reading("list the entries", error))?;
        Ok(stats)
    }

    fn prune(&self, keep_bytes: u64) -> Result<Pruned, StoreError> {
        let _alone = self.evicting.lock().unwrap_or_else(PoisonError::into_inner);
        let (entries, total) = self.entries()?;
        let pruned = self.remove_oldest(entries, total, keep_bytes)?;
        self.tally.set(total - pruned.bytes);
        Ok(pruned)
    }

    fn verify(&self, watch: &mut dyn FnMut(&Verified) -> ControlFlow<()>) -> Result<Verified, StoreError> {
        let mut verified = Verified::default();
        walk::each(&self.version, &mut |entry| {
            match self.check(&entry.key) {
                Ok(Some(Ok(bytes))) => {
                    verified.sound += 1;
                    verified.bytes += bytes;
                }
                Ok(Some(Err(_))) => {
                    verified.damaged += 1;
                    verified.removed += u64::from(self.remove(&entry.key).unwrap_or(false));
                }
                Ok(None) => {}
                Err(_) => verified.unread += 1,
            }
            watch(&verified)
        })
        .map_err(|error| self.reading("list the entries", error))?;
        Ok(verified)
    }
}

fn write_both(file: &mut File, header: &[u8], payload: &[u8]) -> io::Result<()> {
    file.write_all(header)?;
    file.write_all(payload)
}

/// Reads the header of an entry in `file` that has `length` bytes in all.
fn read_header(key: &Digest, file: &mut File, length: u64) -> io::Result<Result<Check, Damage>> {
    let mut header = [0; seal::HEADER_LEN];
    match file.read_exact(&mut header) {
        Ok(()) => Ok(Check::start(key, &header, length)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(Err(Damage::Short(length))),
        Err(error) => Err(error),
    }
}

/// Makes `folder`, and what it stands in, for this user alone.
fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)
}

/// The name of something in `folder`; `None` when it is empty. What `mkfs` leaves in a new file system counts
/// as nothing, so that a whole volume can be a store.
fn first_thing_in(folder: &Path) -> io::Result<Option<String>> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if name != "lost+found" && name != "v1" {
            return Ok(Some(name.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}
