//! Plates: raw frames of what all viewers see below the first personal layer, kept on disk.
//!
//! Decoding a background costs a fifth of what encoding costs, and every viewer's personal segments stand on the
//! same background. So the lowest layers of such a segment, up to the first personal one, are composed once and kept as
//! they are, under a name made of their content. Reading a frame back costs about one copy of it.
//!
//! Files are read into frames that the compositor paints on, rather than mapped: a mapped frame would have to be copied
//! just the same, and would count as this process's memory.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    making: Mutex<BTreeSet<Digest>>,
    warning: Mutex<Option<String>>,
}

const MAGIC: &[u8; 8] = b"VPLATE1\n";
/// Magic, width, height and number of frames; then a checksum for each frame.
const HEAD: usize = 20;
/// Bytes of a frame's BLAKE3 hash that are kept.
const SUM: usize = 16;
/// Frames begin here or at a multiple, so that they are read from whole pages.
const PAGE: u64 = 4096;
/// A plate that was used less long ago than this is not marked as used again.
const STEADY: Duration = Duration::from_secs(60);

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

    /// The plate `key` of that many frames and that width and height, if it is there.
    pub(crate) fn read(&self, key: &Digest, frames: u32, [width, height]: [u32; 2]) -> Option<PlateReader> {
        let shared = self.shared.clone()?;
        let path = shared.path(key);
        let file = File::open(&path).ok()?;
        let mut head = vec![0; HEAD + frames as usize * SUM];
        let frame_bytes = bytes_of(width, height);
        let whole = start_of(frames) + u64::from(frames) * frame_bytes;
        let fits = file.metadata().is_ok_and(|meta| meta.len() == whole)
            && file.read_exact_at(&mut head, 0).is_ok()
            && head[..HEAD] == header(frames, width, height);
        if !fits {
            shared.damaged(&path);
            return None;
        }
        let old = file
            .metadata()
            .and_then(|meta| meta.modified())
            .is_ok_and(|at| SystemTime::now().duration_since(at).is_ok_and(|age| age > STEADY));
        if old {
            // Only the order in which plates go depends on it.
            let _ = file.set_modified(SystemTime::now());
        }
        Some(PlateReader { shared, path, file, sums: head.split_off(HEAD), width, height, frames })
    }

    /// Begins the plate `key`; `None` when it would not fit, or is being made.
    pub(crate) fn write(&self, key: &Digest, frames: u32, [width, height]: [u32; 2]) -> Option<PlateWriter> {
        let shared = self.shared.clone()?;
        let bytes = start_of(frames) + u64::from(frames) * bytes_of(width, height);
        if bytes > shared.max_bytes / 4 || !lock(&shared.making).insert(*key) {
            return None;
        }
        let path = shared.folder.join(format!("{key}.{}.part", std::process::id()));
        let writer = |file| PlateWriter {
            file,
            sums: Vec::with_capacity(frames as usize * SUM),
            done: 0,
            failed: false,
            key: *key,
            frames,
            width,
            height,
            path: path.clone(),
            shared: shared.clone(),
        };
        match File::create(&path) {
            Ok(file) => Some(writer(file)),
            Err(error) => {
                lock(&shared.making).remove(key);
                shared.warn(&error);
                None
            }
        }
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
    path: PathBuf,
    file: File,
    sums: Vec<u8>,
    frames: u32,
    width: u32,
    height: u32,
}

impl PlateReader {
    /// Frame `index` of the plate; `None`, and the plate is removed, when it is damaged.
    pub(crate) fn frame(&self, index: u32) -> Option<I420Frame> {
        let mut frame = I420Frame::of_any(self.width, self.height);
        let mut at = start_of(self.frames) + u64::from(index) * bytes_of(self.width, self.height);
        for plane in [&mut frame.y, &mut frame.u, &mut frame.v] {
            if self.file.read_exact_at(plane, at).is_err() {
                self.shared.damaged(&self.path);
                return None;
            }
            at += plane.len() as u64;
        }
        let known = self.sums.get(index as usize * SUM..)?.get(..SUM)?;
        if sum(&frame) != *known {
            self.shared.damaged(&self.path);
            return None;
        }
        Some(frame)
    }
}

/// Writes the frames of a plate, in order. Dropped before [`PlateWriter::finish`], nothing is kept.
pub(crate) struct PlateWriter {
    shared: Arc<Shared>,
    path: PathBuf,
    file: File,
    sums: Vec<u8>,
    done: u32,
    failed: bool,
    key: Digest,
    frames: u32,
    width: u32,
    height: u32,
}

impl PlateWriter {
    /// Adds the next frame.
    pub(crate) fn push(&mut self, frame: &I420Frame) {
        if self.failed || self.done >= self.frames {
            return;
        }
        let mut at = start_of(self.frames) + u64::from(self.done) * bytes_of(self.width, self.height);
        for plane in [&frame.y, &frame.u, &frame.v] {
            if let Err(error) = self.file.write_all_at(plane, at) {
                self.failed = true;
                self.shared.warn(&error);
                return;
            }
            at += plane.len() as u64;
        }
        self.sums.extend(sum(frame));
        self.done += 1;
    }

    /// Keeps the plate if it has all its frames.
    pub(crate) fn finish(mut self) {
        if self.failed || self.done != self.frames {
            return;
        }
        let mut head = header(self.frames, self.width, self.height).to_vec();
        head.append(&mut self.sums);
        let kept = self
            .file
            .write_all_at(&head, 0)
            .and_then(|()| fs::rename(&self.path, self.shared.path(&self.key)));
        match kept {
            Ok(()) => {
                let bytes =
                    start_of(self.frames) + u64::from(self.frames) * bytes_of(self.width, self.height);
                self.shared.bytes.fetch_add(bytes, Ordering::Relaxed);
                self.shared.evict();
            }
            Err(error) => self.shared.warn(&error),
        }
    }
}

impl Drop for PlateWriter {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        let _ = fs::remove_file(&self.path);
        lock(&self.shared.making).remove(&self.key);
    }
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
