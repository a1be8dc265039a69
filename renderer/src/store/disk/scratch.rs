//! Entries while they are written.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

/// The folder of temporary files.
pub(super) struct Scratch {
    folder: PathBuf,
    next: AtomicU64,
}

/// A temporary file; removed when it is dropped before it was moved.
pub(super) struct Temporary {
    pub(super) file: File,
    path: PathBuf,
    moved: bool,
}

/// A file that nobody has locked may be so new that its writer has not come to lock it.
/// One that is removed too early costs its writer nothing but the keeping of that entry.
const ABANDONED_UNLOCKED: Duration = Duration::from_secs(2);

/// Where files cannot be locked, age alone tells.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

impl Scratch {
    pub(super) fn new(folder: PathBuf) -> Self {
        Scratch { folder, next: AtomicU64::new(0) }
    }

    /// A new file. It is locked, which tells other processes that its writer lives.
    pub(super) fn create(&self) -> io::Result<Temporary> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let path = self.folder.join(format!("{}-{number}", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => {
                    // Without locks the file is held to be ours for a day.
                    let _ = file.try_lock();
                    return Ok(Temporary { file, path, moved: false });
                }
                // Processes in containers may have the same number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => super::make_folder(&self.folder)?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Removes what processes that ended without warning left. What cannot be removed stays, and harms nobody.
    pub(super) fn sweep(&self) {
        let Ok(files) = fs::read_dir(&self.folder) else { return };
        for file in files.flatten() {
            if file.file_name().to_str().is_some_and(is_ours) && is_abandoned(&file.path()) {
                let _ = fs::remove_file(file.path());
            }
        }
    }
}

impl Temporary {
    /// Gives the file the name `path`, in place of what had it.
    pub(super) fn move_to(mut self, path: &Path) -> io::Result<()> {
        let renamed = match fs::rename(&self.path, path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(folder) = path.parent() {
                    super::make_folder(folder)?;
                }
                fs::rename(&self.path, path)
            }
            renamed => renamed,
        };
        self.moved = renamed.is_ok();
        renamed
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.moved {
            // If this fails, the next process that opens the store removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn is_ours(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.split_once('-').is_some_and(|(process, number)| is_number(process) && is_number(number))
}

fn is_abandoned(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let modified = file.metadata().and_then(|found| found.modified());
    let Some(age) = modified.ok().and_then(|at| SystemTime::now().duration_since(at).ok()) else {
        return false;
    };
    match file.try_lock() {
        Ok(()) => age > ABANDONED_UNLOCKED,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => age > ABANDONED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_writer_left_is_swept() {
        let folder = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(folder.path().to_owned());
        let long_ago = SystemTime::now() - Duration::from_secs(3600);
        let leave = |name: &str, modified: SystemTime| {
            let file = File::create(folder.path().join(name)).unwrap();
            file.set_modified(modified).unwrap();
            file
        };
        drop(leave("1-1", long_ago));
        drop(leave("1-2", SystemTime::now()));
        drop(leave("notes.txt", long_ago));
        drop(leave("1-2-3", long_ago));
        let held = leave("1-3", long_ago);
        held.lock().unwrap();
        let living = scratch.create().unwrap();
        living.file.set_modified(long_ago).unwrap();

        scratch.sweep();
        let mut left: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let own = format!("{}-0", std::process::id());
        let mut expected = vec!["1-2".to_owned(), "1-2-3".into(), "1-3".into(), own, "notes.txt".into()];
        expected.sort();
        assert_eq!(left, expected);
    }

    #[test]
    fn what_was_not_moved_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(folder.path().join("tmp"));
        drop(scratch.create().unwrap());
        scratch.create().unwrap().move_to(&folder.path().join("deep/down")).unwrap();
        assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
        assert!(folder.path().join("deep/down").is_file());
    }

    #[test]
    fn a_name_that_another_process_has_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(folder.path().to_owned());
        let taken = folder.path().join(format!("{}-0", std::process::id()));
        fs::write(&taken, b"another's").unwrap();
        drop(scratch.create().unwrap());
        assert_eq!(fs::read(&taken).unwrap(), b"another's");
    }
}
