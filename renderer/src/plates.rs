//! Plates: raw frames of what all viewers see below the first personal layer, kept on disk.
//!
//! Decoding a background costs a fifth of what encoding costs, and every viewer's personal segments stand on the
//! same background. So the lowest layers of such a segment, up to the first personal one, are composed once and kept as
//! they are, under a name made of their content. Reading a frame back costs about one copy of it.
//!
//! Files are read into frames that the compositor paints on, rather than mapped: a mapped frame would have to be copied
//! just the same, and would count as this process's memory.
//!
//! Who needs a plate that another thread is just making follows it frame by frame, instead of decoding the same background beside it. What was
//! read once and found whole is not hashed again while its file stays the same.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use vignette_templates::blob::Digest;

use crate::frame::I420Frame;

/// A folder of plates within a bound on bytes; those not used for longest go first. Cheap to clone; shared by threads, and the
/// folder by processes. Trouble with it never fails a render: plates are then made anew.
#[derive(Clone, Default)]
pub struct Plates {
    shared: Option<Arc<Shared>>,
}

struct Shared {
    folder: PathBuf,
    max_bytes: u64,
    /// Bytes in the folder, as far as this process knows.
    bytes: AtomicU64,
    /// Plates that this process is making.
    making: Mutex<BTreeMap<Digest, Arc<Making>>>,
    /// Frames that were read and found whole, by plate.
    whole: Mutex<HashMap<Digest, Whole>>,
    warning: Mutex<Option<String>>,
}

/// A plate while it is made.
struct Making {
    file: File,
    frames: u32,
    size: [u32; 2],
    state: Mutex<MakingState>,
    changed: Condvar,
}

#[derive(Default)]
struct MakingState {
    /// Frames that are in the file.
    done: u32,
    /// No more will come.
    ended: bool,
}

/// Which frames of a plate's file were found whole, and which file that was.
struct Whole {
    file: FileState,
    frames: Vec<bool>,
}

/// Tells whether a file is still what it was: device, inode, length, time of change.
type FileState = (u64, u64, u64, SystemTime);

const MAGIC: &[u8; 8] = b"VPLATE1\n";
/// Magic, width, height and number of frames; then a checksum for each frame.
const HEAD: usize = 20;
/// Bytes of a frame's BLAKE3 hash that are kept.
const SUM: usize = 16;
/// Frames begin here or at a multiple, so that they are read from whole pages.
const PAGE: u64 = 4096;
/// A plate that was used less long ago than this is not marked as used again.
const STEADY: Duration = Duration::from_secs(60);
/// A file that was changed less long ago may be changed again within the same tick of its clock, so what was found of it does not count.
const SETTLED: Duration = Duration::from_secs(2);
/// Plates of which is known what was found whole, at most.
const MOST_WHOLE: usize = 4096;
/// How long the next frame of a plate that somebody else is making is waited for; after that it is made here.
const PATIENCE: Duration = Duration::from_millis(250);

impl Plates {
    /// Plates in `folder`, which is made if need be, taking at most `max_bytes` together.
    ///
    /// # Errors
    /// A folder that cannot be made or read.
    pub fn open(folder: &Path, max_bytes: u64) -> io::Result<Plates> {
        // They may show pictures that a viewer would not want others on this machine to see.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let shared = Shared {
            folder: folder.to_owned(),
            max_bytes,
            bytes: AtomicU64::new(0),
            making: Mutex::default(),
            whole: Mutex::default(),
            warning: Mutex::default(),
        };
        let mut bytes = 0;
        for (path, meta) in shared.files()? {
            let age = meta.modified().ok().and_then(|at| at.elapsed().ok()).unwrap_or_default();
            // Left by a process that was killed: nothing is written for that long.
            if path.extension().is_some_and(|ending| ending == "part") && age > Duration::from_secs(3600) {
                let _ = fs::remove_file(&path);
            } else {
                bytes += meta.len();
            }
        }
        shared.bytes.store(bytes, Ordering::Relaxed);
        Ok(Plates { shared: Some(Arc::new(shared)) })
    }

    /// Keeps nothing.
    pub fn none() -> Plates {
        Plates::default()
    }

    /// What went wrong so far, in words; each trouble once.
    pub fn take_warning(&self) -> Option<String> {
        lock(&self.shared.as_ref()?.warning).take()
    }

    /// Bytes in the folder.
    pub fn bytes(&self) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.bytes.load(Ordering::Relaxed))
    }

    /// Removes the plates that were not used for longest until at most `keep_bytes` are left; gives the bytes removed.
    pub fn prune(&self, keep_bytes: u64) -> u64 {
        self.shared.as_ref().map_or(0, |shared| shared.shrink(keep_bytes))
    }

    /// The plate `key` of that many frames and that width and height, if it is there or another thread is making it.
    pub(crate) fn read(&self, key: &Digest, frames: u32, [width, height]: [u32; 2]) -> Option<PlateReader> {
        let shared = self.shared.clone()?;
        let path = shared.path(key);
        let Ok(file) = File::open(&path) else {
            let making = lock(&shared.making).get(key).cloned()?;
            let same = (making.frames, making.size) == (frames, [width, height]);
            return same.then(|| PlateReader {
                shared,
                key: *key,
                path,
                source: Source::Made(making),
                width,
                height,
                frames,
            });
        };
        let mut head = vec![0; HEAD + frames as usize * SUM];
        let frame_bytes = bytes_of(width, height);
        let whole = start_of(frames) + u64::from(frames) * frame_bytes;
        let state = file.metadata().ok().and_then(|meta| state_of(&meta));
        let fits = state.is_some_and(|(_, _, length, _)| length == whole)
            && file.read_exact_at(&mut head, 0).is_ok()
            && head[..HEAD] == header(frames, width, height);
        if !fits {
            shared.damaged(&path);
            return None;
        }
        let age = |at| SystemTime::now().duration_since(at).unwrap_or_default();
        let mut state = state.filter(|(.., changed)| age(*changed) > SETTLED);
        if let Some((.., changed)) = &mut state
            && age(*changed) > STEADY
        {
            let known = lock(&shared.whole).remove(key).filter(|whole| state == Some(whole.file));
            // Only the order in which plates go depends on it. What was found whole stays so under the new time.
            let _ = file.set_modified(SystemTime::now());
            state = file.metadata().ok().and_then(|meta| state_of(&meta));
            if let (Some(known), Some(file)) = (known, state) {
                shared.remember(key, Whole { file, ..known });
            }
        }
        let source = Source::Kept { file, state, sums: head.split_off(HEAD) };
        Some(PlateReader { shared, key: *key, path, source, width, height, frames })
    }

    /// Begins the plate `key`; `None` when it would not fit, or is being made.
    pub(crate) fn write(&self, key: &Digest, frames: u32, [width, height]: [u32; 2]) -> Option<PlateWriter> {
        let shared = self.shared.clone()?;
        let bytes = start_of(frames) + u64::from(frames) * bytes_of(width, height);
        let mut all = lock(&shared.making);
        if bytes > shared.max_bytes / 4 || all.contains_key(key) {
            return None;
        }
        let path = shared.folder.join(format!("{key}.{}.part", std::process::id()));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
        let file = file.map_err(|error| shared.warn(&error)).ok()?;
        let making =
            Making { file, frames, size: [width, height], state: Mutex::default(), changed: Condvar::new() };
        let making = Arc::new(making);
        all.insert(*key, making.clone());
        drop(all);
        let sums = Vec::with_capacity(frames as usize * SUM);
        Some(PlateWriter { shared, key: *key, path, making, sums, failed: false })
    }
}

impl Shared {
    fn path(&self, key: &Digest) -> PathBuf {
        self.folder.join(format!("{key}.plate"))
    }

    /// The folder's own files; what others have put there is left alone.
    fn files(&self) -> io::Result<Vec<(PathBuf, fs::Metadata)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let ours = name.len() > 64
                && name.as_bytes()[..64].iter().all(u8::is_ascii_hexdigit)
                && (name.ends_with(".plate") || name.ends_with(".part"));
            // Another process may have removed it meanwhile.
            if let (true, Ok(meta)) = (ours, entry.metadata()) {
                files.push((entry.path(), meta));
            }
        }
        Ok(files)
    }

    /// Notes what was found whole of a plate.
    fn remember(&self, key: &Digest, found: Whole) {
        let mut whole = lock(&self.whole);
        if whole.len() >= MOST_WHOLE && !whole.contains_key(key) {
            whole.clear();
        }
        whole.insert(*key, found);
    }

    fn damaged(&self, path: &Path) {
        let _ = fs::remove_file(path);
        *lock(&self.warning) =
            Some(format!("a plate in {} was damaged and is made again", self.folder.display()));
    }

    fn warn(&self, error: &io::Error) {
        *lock(&self.warning) = Some(format!(
            "plates cannot be kept in {}: {error}; backgrounds are decoded again",
            self.folder.display()
        ));
    }

    /// Makes room when there is too little, with some to spare.
    fn evict(&self) {
        if self.bytes.load(Ordering::Relaxed) > self.max_bytes {
            self.shrink(self.max_bytes / 10 * 9);
        }
    }

    /// Removes plates, oldest first, until at most `keep_bytes` are left; gives the bytes removed.
    fn shrink(&self, keep_bytes: u64) -> u64 {
        let Ok(files) = self.files() else { return 0 };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = files
            .into_iter()
            .map(|(path, meta)| (meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), meta.len(), path))
            .collect();
        files.sort();
        let before: u64 = files.iter().map(|(_, length, _)| length).sum();
        let mut bytes = before;
        for (_, length, path) in files {
            if bytes <= keep_bytes {
                break;
            }
            if path.extension().is_some_and(|ending| ending == "plate") && fs::remove_file(&path).is_ok() {
                bytes -= length;
            }
        }
        self.bytes.store(bytes, Ordering::Relaxed);
        before - bytes
    }
}

/// Reads the frames of a plate.
pub(crate) struct PlateReader {
    shared: Arc<Shared>,
    key: Digest,
    path: PathBuf,
    source: Source,
    frames: u32,
    width: u32,
    height: u32,
}

/// Where a plate's frames come from.
enum Source {
    /// A whole plate: its file, what that was when it was opened if that can be told, and the frames' hashes.
    Kept { file: File, state: Option<FileState>, sums: Vec<u8> },
    /// One that another thread is making.
    Made(Arc<Making>),
}

impl PlateReader {
    /// Frame `index` of the plate; `None` when it is damaged, and is removed, or when who makes it has stopped.
    pub(crate) fn frame(&self, index: u32) -> Option<I420Frame> {
        let (file, sums) = match &self.source {
            Source::Kept { file, sums, .. } => (file, Some(sums)),
            Source::Made(making) => {
                making.wait_for(index)?;
                (&making.file, None)
            }
        };
        let mut frame = I420Frame::of_any(self.width, self.height);
        let mut at = start_of(self.frames) + u64::from(index) * bytes_of(self.width, self.height);
        for plane in [&mut frame.y, &mut frame.u, &mut frame.v] {
            if file.read_exact_at(plane, at).is_err() {
                if sums.is_some() {
                    self.shared.damaged(&self.path);
                }
                return None;
            }
            at += plane.len() as u64;
        }
        let Some(sums) = sums else { return Some(frame) };
        if self.is_known_whole(index) {
            return Some(frame);
        }
        let known = sums.get(index as usize * SUM..)?.get(..SUM)?;
        if sum(&frame) != *known {
            self.shared.damaged(&self.path);
            return None;
        }
        self.found_whole(index);
        Some(frame)
    }

    /// Whether the frame was read before from the same file and found whole.
    fn is_known_whole(&self, index: u32) -> bool {
        let Source::Kept { state: Some(state), .. } = &self.source else { return false };
        let whole = lock(&self.shared.whole);
        whole.get(&self.key).is_some_and(|whole| {
            whole.file == *state && whole.frames.get(index as usize).is_some_and(|whole| *whole)
        })
    }

    fn found_whole(&self, index: u32) {
        let Source::Kept { state: Some(state), .. } = &self.source else { return };
        let mut whole = lock(&self.shared.whole);
        if whole.get(&self.key).is_none_or(|known| known.file != *state) {
            drop(whole);
            self.shared
                .remember(&self.key, Whole { file: *state, frames: vec![false; self.frames as usize] });
            whole = lock(&self.shared.whole);
        }
        if let Some(frame) = whole.get_mut(&self.key).and_then(|whole| whole.frames.get_mut(index as usize)) {
            *frame = true;
        }
    }
}

impl Making {
    /// Waits until frame `index` is in the file; `None` when it will not be, or not soon.
    fn wait_for(&self, index: u32) -> Option<()> {
        let mut state = lock(&self.state);
        while state.done <= index {
            let before = state.done;
            if state.ended {
                return None;
            }
            let waited = self.changed.wait_timeout(state, PATIENCE);
            let (next, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            // Who makes it may itself wait for something; nobody is held up by that.
            if timeout.timed_out() && next.done == before {
                return None;
            }
            state = next;
        }
        Some(())
    }

    fn tell(&self, change: impl FnOnce(&mut MakingState)) {
        change(&mut lock(&self.state));
        self.changed.notify_all();
    }
}

/// Writes the frames of a plate, in order. Dropped before [`PlateWriter::finish`], nothing is kept.
pub(crate) struct PlateWriter {
    shared: Arc<Shared>,
    key: Digest,
    path: PathBuf,
    making: Arc<Making>,
    sums: Vec<u8>,
    failed: bool,
}

impl PlateWriter {
    /// Adds the next frame.
    pub(crate) fn push(&mut self, frame: &I420Frame) {
        let (done, [width, height]) = (self.done(), self.making.size);
        if self.failed || done >= self.making.frames {
            return;
        }
        let mut at = start_of(self.making.frames) + u64::from(done) * bytes_of(width, height);
        for plane in [&frame.y, &frame.u, &frame.v] {
            if let Err(error) = self.making.file.write_all_at(plane, at) {
                self.failed = true;
                self.shared.warn(&error);
                self.making.tell(|state| state.ended = true);
                return;
            }
            at += plane.len() as u64;
        }
        self.making.tell(|state| state.done += 1);
        self.sums.extend(sum(frame));
    }

    /// Keeps the plate if it has all its frames.
    pub(crate) fn finish(mut self) {
        let Making { file, frames, size: [width, height], .. } = &*self.making;
        if self.failed || self.done() != *frames {
            return;
        }
        let mut head = header(*frames, *width, *height).to_vec();
        head.append(&mut self.sums);
        let kept =
            file.write_all_at(&head, 0).and_then(|()| fs::rename(&self.path, self.shared.path(&self.key)));
        match kept {
            Ok(()) => {
                let bytes = start_of(*frames) + u64::from(*frames) * bytes_of(*width, *height);
                self.shared.bytes.fetch_add(bytes, Ordering::Relaxed);
                self.shared.evict();
            }
            Err(error) => self.shared.warn(&error),
        }
    }

    fn done(&self) -> u32 {
        lock(&self.making.state).done
    }
}

impl Drop for PlateWriter {
    fn drop(&mut self) {
        self.making.tell(|state| state.ended = true);
        // After a rename there is nothing left to remove.
        let _ = fs::remove_file(&self.path);
        lock(&self.shared.making).remove(&self.key);
    }
}

/// `None` where the system does not tell.
fn state_of(meta: &fs::Metadata) -> Option<FileState> {
    Some((meta.dev(), meta.ino(), meta.len(), meta.modified().ok()?))
}

fn header(frames: u32, width: u32, height: u32) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(MAGIC);
    head[8..12].copy_from_slice(&width.to_le_bytes());
    head[12..16].copy_from_slice(&height.to_le_bytes());
    head[16..20].copy_from_slice(&frames.to_le_bytes());
    head
}

/// Where the first frame begins in the file.
fn start_of(frames: u32) -> u64 {
    (HEAD as u64 + u64::from(frames) * SUM as u64).next_multiple_of(PAGE)
}

fn bytes_of(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height) + 2 * u64::from(width.div_ceil(2)) * u64::from(height.div_ceil(2))
}

fn sum(frame: &I420Frame) -> [u8; SUM] {
    let mut hasher = blake3::Hasher::new();
    for plane in [&frame.y, &frame.u, &frame.v] {
        hasher.update(plane);
    }
    let mut sum = [0; SUM];
    sum.copy_from_slice(&hasher.finalize().as_bytes()[..SUM]);
    sum
}

/// What is kept behind these locks is whole at every moment, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(seed: u32) -> I420Frame {
        let mut frame = I420Frame::new(70, 50);
        for (at, sample) in frame.y.iter_mut().enumerate() {
            *sample = (at as u32 * 31 + seed * 7) as u8;
        }
        frame
    }

    fn make(plates: &Plates, key: &Digest, frames: u32) {
        let mut writer = plates.write(key, frames, [70, 50]).unwrap();
        (0..frames).for_each(|index| writer.push(&picture(index)));
        writer.finish();
    }

    #[test]
    fn frames_come_back_and_damage_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let plates = Plates::open(folder.path(), 1 << 20).unwrap();
        let key = Digest::of(b"a plate");
        assert!(plates.read(&key, 5, [70, 50]).is_none());
        make(&plates, &key, 5);
        let reader = plates.read(&key, 5, [70, 50]).unwrap();
        for index in [3, 0, 4] {
            assert_eq!(reader.frame(index), Some(picture(index)));
        }
        let path = folder.path().join(format!("{key}.plate"));
        let whole = fs::read(&path).unwrap();
        for at in [0, 9, 25, 5000, whole.len() - 1] {
            let mut bad = whole.clone();
            bad[at] ^= 0x40;
            fs::write(&path, &bad).unwrap();
            let all = plates
                .read(&key, 5, [70, 50])
                .and_then(|reader| (0..5).map(|index| reader.frame(index)).collect::<Option<Vec<_>>>());
            assert!(all.is_none(), "a change at {at} was not seen");
            assert!(!path.exists(), "what is damaged is removed");
            assert!(plates.take_warning().is_some());
        }
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(plates.read(&key, 5, [70, 50]).is_none());
    }

    /// What was found whole is not hashed again; but a file that was changed is another, whoever changed it.
    #[test]
    fn what_was_found_whole_counts_for_the_same_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let plates = Plates::open(folder.path(), 1 << 20).unwrap();
        let key = Digest::of(b"a plate");
        make(&plates, &key, 3);
        let path = folder.path().join(format!("{key}.plate"));
        let aged = |seconds| {
            let file = File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
        };
        let known = |index| plates.read(&key, 3, [70, 50]).unwrap().is_known_whole(index);
        let read = |index| plates.read(&key, 3, [70, 50]).and_then(|reader| reader.frame(index));
        assert!(read(1).is_some());
        assert!(!known(1), "a file that was just written may change unseen");
        aged(30);
        assert!(read(1).is_some());
        assert!(known(1) && !known(0));
        // A plate that was not used for long is marked as used, and is still known.
        aged(30);
        assert!(!known(1), "another time of change is another file");
        assert!(read(1).is_some());
        let old = SystemTime::now() - Duration::from_secs(600);
        File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        let mut whole = plates.shared.as_ref().unwrap().whole.lock().unwrap();
        whole.get_mut(&key).unwrap().file.3 = old;
        drop(whole);
        assert!(known(1));
        // The same length, another content.
        let mut bad = fs::read(&path).unwrap();
        let at = start_of(3) as usize + bytes_of(70, 50) as usize + 7;
        bad[at] ^= 1;
        fs::write(&path, &bad).unwrap();
        assert!(read(1).is_none(), "a change was not seen");
    }

    #[test]
    fn a_plate_is_followed_while_it_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let plates = Plates::open(folder.path(), 1 << 20).unwrap();
        let key = Digest::of(b"a plate");
        let mut writer = plates.write(&key, 3, [70, 50]).unwrap();
        assert!(plates.read(&key, 4, [70, 50]).is_none(), "another length is another plate");
        let reader = plates.read(&key, 3, [70, 50]).unwrap();
        std::thread::scope(|scope| {
            let followed = scope.spawn(|| (0..3).map(|index| reader.frame(index)).collect::<Vec<_>>());
            (0..3).for_each(|index| writer.push(&picture(index)));
            assert_eq!(
                followed.join().unwrap(),
                (0..3).map(|index| Some(picture(index))).collect::<Vec<_>>()
            );
        });
        writer.finish();
        assert_eq!(reader.frame(2), Some(picture(2)), "its file stays open");
        // Given up in the middle, and held up for too long.
        let other = Digest::of(b"another");
        let mut writer = plates.write(&other, 3, [70, 50]).unwrap();
        let reader = plates.read(&other, 3, [70, 50]).unwrap();
        writer.push(&picture(0));
        assert_eq!(reader.frame(0), Some(picture(0)));
        assert_eq!(reader.frame(1), None, "nobody is held up");
        drop(writer);
        assert_eq!(reader.frame(1), None);
        assert!(plates.take_warning().is_none(), "that is no damage");
    }

    #[test]
    fn unfinished_plates_leave_nothing_and_one_maker_is_enough() {
        let folder = tempfile::tempdir().unwrap();
        let plates = Plates::open(folder.path(), 1 << 20).unwrap();
        let key = Digest::of(b"a plate");
        let mut writer = plates.write(&key, 5, [70, 50]).unwrap();
        assert!(plates.write(&key, 5, [70, 50]).is_none(), "it is being made");
        writer.push(&picture(0));
        writer.finish();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(plates.write(&key, 5, [70, 50]).is_some());
    }

    #[test]
    fn the_bound_holds() {
        let folder = tempfile::tempdir().unwrap();
        let plates = Plates::open(folder.path(), 100_000).unwrap();
        assert!(plates.write(&Digest::of(b"large"), 50, [70, 50]).is_none(), "more than a quarter of all");
        for number in 0..20u8 {
            make(&plates, &Digest::of(&[number]), 3);
        }
        let bytes: u64 =
            fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
        assert!(bytes <= 100_000 && bytes > 50_000, "{bytes}");
        assert!(plates.read(&Digest::of(&[19]), 3, [70, 50]).is_some(), "the newest is kept");
    }
}
