//! What the entries of a folder take together, as the processes that share it have told each other.
//!
//! The file holds the number of bytes as a u64, little-endian, and its complement. It may drift from the truth,
//! since a process can end between telling and doing; what is added is told before it is done, so the drift is
//! upwards, and whoever finds the bound passed counts anew.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

pub(super) struct Tally {
    path: PathBuf,
    /// What this process could not tell yet. The lock lets one thread at a time at the file.
    untold: Mutex<i64>,
}

/// What the file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sum {
    /// This many bytes.
    Known(u64),
    /// Nothing, or nonsense: the entries have to be counted.
    Unknown,
    /// It could not be asked now; the change is told next time.
    Busy,
}

/// How often a lock is tried for that another process holds. It needs it for some microseconds.
const ATTEMPTS: usize = 20;

impl Tally {
    pub(super) fn new(path: PathBuf) -> Self {
        Tally { path, untold: Mutex::new(0) }
    }

    /// Adds `bytes`, which may be negative. The sum after that.
    pub(super) fn add(&self, bytes: i64) -> Sum {
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        *untold = untold.saturating_add(bytes);
        let Ok(mut file) = self.open() else { return Sum::Busy };
        match read(&mut file) {
            Ok(Some(told)) => {
                let total = told.saturating_add_signed(*untold);
                if *untold != 0 && write(&mut file, total).is_err() {
                    return Sum::Busy;
                }
                *untold = 0;
                Sum::Known(total)
            }
            Ok(None) => Sum::Unknown,
            Err(_) => Sum::Busy,
        }
    }

    /// Sets the sum to what was counted.
    pub(super) fn set(&self, total: u64) {
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        // If it cannot be told, the next to find the bound passed counts again.
        if let Ok(mut file) = self.open()
            && write(&mut file, total).is_ok()
        {
            *untold = 0;
        }
    }

    /// The file, locked until it is dropped.
    fn open(&self) -> io::Result<File> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path)?;
        for _ in 0..ATTEMPTS {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(std::fs::TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
                Err(std::fs::TryLockError::Error(error)) => return Err(error),
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }
}

/// The number in `file`; `None` when there is none, or its complement is not beside it.
fn read(file: &mut File) -> io::Result<Option<u64>> {
    let mut bytes = Vec::new();
    file.take(17).read_to_end(&mut bytes)?;
    let Some((number, complement)) = bytes.split_first_chunk() else { return Ok(None) };
    let number = u64::from_le_bytes(*number);
    Ok((complement == (!number).to_le_bytes()).then_some(number))
}

fn write(file: &mut File, number: u64) -> io::Result<()> {
    file.rewind()?;
    let bytes = [number.to_le_bytes(), (!number).to_le_bytes()].concat();
    file.write_all(&bytes)?;
    // Usually it has that length, and setting it would cost more than the rest.
    if file.metadata()?.len() == bytes.len() as u64 { Ok(()) } else { file.set_len(bytes.len() as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_add_up() {
        let folder = tempfile::tempdir().unwrap();
        let tally = || Tally::new(folder.path().join("total"));
        let (one, other) = (tally(), tally());
        assert_eq!(one.add(5), Sum::Unknown, "nobody has counted");
        one.set(100);
        assert_eq!(other.add(20), Sum::Known(120));
        assert_eq!(one.add(-70), Sum::Known(50));
        assert_eq!(one.add(-70), Sum::Known(0), "never below nothing");
    }

    #[test]
    fn what_could_not_be_told_is_told_later() {
        let folder = tempfile::tempdir().unwrap();
        let tally = Tally::new(folder.path().join("total"));
        tally.set(100);
        let held = tally.open().unwrap();
        assert_eq!(tally.add(5), Sum::Busy);
        drop(held);
        assert_eq!(tally.add(1), Sum::Known(106));
    }

    #[test]
    fn nonsense_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("total");
        let tally = Tally::new(path.clone());
        for nonsense in [&b""[..], b"12345678", &[0; 16], &[255; 17]] {
            std::fs::write(&path, nonsense).unwrap();
            assert_eq!(tally.add(0), Sum::Unknown, "{nonsense:?}");
        }
        tally.set(7);
        assert_eq!(tally.add(0), Sum::Known(7));
    }
}
