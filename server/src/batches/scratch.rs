//! A file without a name, for what must be read by path but must not stay: it is gone when it is closed, and when the process is killed.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::secrets::random_name;

/// The file, and the path by which this process can open it again.
pub struct Scratch {
    file: File,
}

impl Scratch {
    /// A file in `folder`, on the same disk.
    ///
    /// # Errors
    /// What the file system says.
    pub fn new(folder: &Path) -> std::io::Result<Scratch> {
        let name = random_name().map_err(std::io::Error::other)?;
        let path = folder.join(format!(".scratch-{name}"));
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        // Before anything is in it, so that nothing of it can be left behind.
        fs::remove_file(&path)?;
        Ok(Scratch { file })
    }

    /// Writes to its end.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all(bytes)
    }

    /// Where it can be opened as long as this lives (proc(5), `/proc/pid/fd`).
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_can_be_read_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut scratch = Scratch::new(folder.path()).unwrap();
        scratch.write(b"hello").unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(fs::read(scratch.path()).unwrap(), b"hello");
        assert!(fs::metadata(scratch.path()).unwrap().is_file());
    }
}
