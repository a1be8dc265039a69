//! Goes through the entries in a folder.

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::SystemTime;

use vignette_templates::blob::Digest;

/// An entry, as its folder tells.
pub(super) struct Entry {
    pub(super) key: Digest,
    /// Bytes of the file.
    pub(super) bytes: u64,
    /// When it was last used, as far as that was noted.
    pub(super) used: SystemTime,
}

/// Shows every entry in `folder` to `visit`, in no order. What is not named like an entry is passed over, and so
/// is what goes meanwhile.
pub(super) fn each(folder: &Path, visit: &mut dyn FnMut(Entry) -> ControlFlow<()>) -> io::Result<()> {
    for shard in fs::read_dir(folder)? {
        let shard = shard?;
        let Some(start) = shard.file_name().to_str().filter(|name| is_shard(name)).map(str::to_owned) else {
            continue;
        };
        let files = match fs::read_dir(shard.path()) {
            Err(error) if gone(&error) || error.kind() == io::ErrorKind::NotADirectory => continue,
            files => files?,
        };
        for file in files {
            let file = file?;
            let Some(key) = file.file_name().to_str().and_then(|name| key_of(&start, name)) else { continue };
            let found = match file.metadata() {
                Err(error) if gone(&error) => continue,
                found => found?,
            };
            if !found.is_file() {
                continue;
            }
            let entry = Entry { key, bytes: found.len(), used: found.modified()? };
            if visit(entry).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

fn is_shard(name: &str) -> bool {
    name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// The key whose entry is called `name` in the folder `shard`.
fn key_of(shard: &str, name: &str) -> Option<Digest> {
    let key = Digest::from_hex(name)?;
    // Upper case is read as well, but it is not what we write.
    (name.starts_with(shard) && key.to_string() == name).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_ours() {
        let name = "ab".repeat(32);
        for (shard, name, ours) in [
            ("ab", name.clone(), true),
            ("ac", name.clone(), false),
            ("ab", name.to_uppercase(), false),
            ("ab", name[2..].to_owned(), false),
            ("ab", format!("{name}.txt"), false),
            ("ab", format!("{}zz", &name[2..]), false),
        ] {
            assert_eq!(key_of(shard, &name).is_some(), ours, "{shard}/{name}");
        }
        for (name, ours) in [("ab", true), ("09", true), ("AB", false), ("abc", false), ("tmp", false)] {
            assert_eq!(is_shard(name), ours, "{name}");
        }
    }
}
