//! The outside as a template may see it: files of its package, and the names of installed fonts.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::blob::Blob;
use crate::video::AssetKind;

/// The largest file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 512 << 20;
/// How many bytes of files are kept at hand.
const CACHE_BYTES: usize = 1 << 30;

/// Everything that opening and filling a template asks of the outside.
pub trait World {
    /// The file that a template or a viewer's data calls `name`.
    ///
    /// # Errors
    /// The name is not allowed, or there is no such file, or it cannot be read.
    fn read(&self, name: &str) -> Result<Blob, FileError>;

    /// Whether the engine's font library has a family of this name.
    fn has_font_family(&self, name: &str) -> bool;

    /// Looks closer at a file whose first bytes are right, where the caller can decode.
    ///
    /// # Errors
    /// Why it cannot be used, in words that follow "found".
    fn probe(&self, _kind: AssetKind, _blob: &Blob) -> Result<(), String> {
        Ok(())
    }
}

/// Why a file is not to be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// The name could lead outside the package.
    #[error("the file name is not allowed: {0}")]
    NotAllowed(&'static str),
    /// There is none.
    #[error("there is no such file in the package")]
    NotFound,
    /// A folder, a device or a pipe.
    #[error("this is not a regular file")]
    NotAFile,
    /// It has more than [`MAX_FILE_BYTES`].
    #[error("the file has {0} bytes, more than the {MAX_FILE_BYTES} allowed")]
    TooLarge(u64),
    /// The system refused.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
    /// It is elsewhere, and cannot be had from there.
    #[error("the file cannot be fetched: {0}")]
    Unfetched(String),
}

/// Whether `name` may name a file of a package at all, wherever that package is.
///
/// # Errors
/// [`FileError::NotAllowed`] with the reason.
pub fn check_name(name: &str) -> Result<(), FileError> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.len() > 1024 {
        "it is longer than 1024 bytes"
    } else if name.chars().any(char::is_control) {
        "it holds a control character"
    } else if name.contains('\\') {
        "it holds a backslash; write `/` between folders"
    } else if name.contains("://") || name.starts_with("data:") {
        "it is a URL; put the file into the package"
    } else if name.starts_with('/') {
        "it is absolute; write it relative to the package"
    } else if name.split('/').any(|part| part == "..") {
        "`..` would leave the package"
    } else {
        return Ok(());
    };
    Err(FileError::NotAllowed(reason))
}

/// Whether `name` is an address rather than a file of the package.
fn is_address(name: &str) -> bool {
    name.starts_with("https://") || name.starts_with("http://")
}

/// Answers whether a font family is installed.
pub type HasFontFamily = Arc<dyn Fn(&str) -> bool + Send + Sync>;
/// Answers whether a file can be decoded; see [`World::probe`].
pub type Probe = Arc<dyn Fn(AssetKind, &Blob) -> Result<(), String> + Send + Sync>;

/// Gives the bytes at an `https:` address, or why there are none; keeps them by itself if it wants to.
pub type Fetch = Arc<dyn Fn(&str) -> Result<Vec<u8>, String> + Send + Sync>;

/// The files below one or more folders. What was read once is kept.
pub struct Directory {
    roots: Vec<PathBuf>,
    has_font_family: HasFontFamily,
    probe: Option<Probe>,
    fetch: Option<Fetch>,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    files: HashMap<String, Blob>,
    bytes: usize,
}

impl Directory {
    /// The files below `root`; every font family counts as installed until [`Directory::with_fonts`] says otherwise.
    ///
    /// # Errors
    /// `root` is not a folder.
    pub fn new(root: &Path) -> std::io::Result<Self> {
        let directory = Directory {
            roots: Vec::new(),
            has_font_family: Arc::new(|_| true),
            probe: None,
            fetch: None,
            cache: Mutex::default(),
        };
        directory.and(root)
    }

    /// Looks below `root` as well, after the folders before it.
    ///
    /// # Errors
    /// `root` is not a folder.
    pub fn and(mut self, root: &Path) -> std::io::Result<Self> {
        let root = root.canonicalize()?;
        if !root.is_dir() {
            return Err(std::io::ErrorKind::NotADirectory.into());
        }
        self.roots.push(root);
        Ok(self)
    }

    /// Takes the font library's answer.
    pub fn with_fonts(mut self, has_font_family: HasFontFamily) -> Self {
        self.has_font_family = has_font_family;
        self
    }

    /// Looks at every file with `probe` before it is used.
    pub fn with_probe(mut self, probe: Probe) -> Self {
        self.probe = Some(probe);
        self
    }

    /// Asks `fetch` for files that are named by an address; without it none is taken.
    pub fn with_fetch(mut self, fetch: Fetch) -> Self {
        self.fetch = Some(fetch);
        self
    }

    fn find(&self, name: &str) -> Result<Blob, FileError> {
        for root in &self.roots {
            // Resolves symbolic links, so that what is compared is where the file really lies.
            let Ok(path) = root.join(name).canonicalize() else { continue };
            if !path.starts_with(root) {
                return Err(FileError::NotAllowed("a symbolic link leads out of the package"));
            }
            return read_file(&path);
        }
        Err(FileError::NotFound)
    }
}

fn read_file(path: &Path) -> Result<Blob, FileError> {
    let unreadable = |error: std::io::Error| FileError::Unreadable(error.to_string());
    // Asked before it is opened, because opening a pipe waits for its other end.
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(FileError::NotAFile);
    }
    if metadata.len() > MAX_FILE_BYTES {
        return Err(FileError::TooLarge(metadata.len()));
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    let mut file = fs::File::open(path).map_err(unreadable)?.take(MAX_FILE_BYTES + 1);
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(FileError::TooLarge(bytes.len() as u64));
    }
    Ok(Blob::from_file(bytes, path.to_owned()))
}

impl World for Directory {
    fn read(&self, name: &str) -> Result<Blob, FileError> {
        if let Some(fetch) = &self.fetch
            && is_address(name)
        {
            return fetch(name).map(Blob::new).map_err(FileError::Unfetched);
        }
        check_name(name)?;
        // A poisoned lock only means that another thread died; the cache holds whole entries at any time.
        let cached = self.cache.lock().unwrap_or_else(PoisonError::into_inner).files.get(name).cloned();
        if let Some(blob) = cached {
            return Ok(blob);
        }
        let blob = self.find(name)?;
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.bytes.saturating_add(blob.bytes().len()) > CACHE_BYTES {
            *cache = Cache::default();
        }
        cache.bytes += blob.bytes().len();
        cache.files.insert(name.to_owned(), blob.clone());
        Ok(blob)
    }

    fn has_font_family(&self, name: &str) -> bool {
        (self.has_font_family)(name)
    }

    fn probe(&self, kind: AssetKind, blob: &Blob) -> Result<(), String> {
        self.probe.as_ref().map_or(Ok(()), |probe| probe(kind, blob))
    }
}

/// Files in memory, for tests. Unlike [`Directory`] it has neither folders nor links, and looks into no file.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The files by name.
    pub files: HashMap<String, Blob>,
    /// The installed font families.
    pub families: Vec<String>,
}

impl Memory {
    /// Adds a file.
    pub fn with(mut self, name: &str, bytes: &[u8]) -> Self {
        self.files.insert(name.to_owned(), Blob::new(bytes));
        self
    }

    /// Adds a font family.
    pub fn with_family(mut self, name: &str) -> Self {
        self.families.push(name.to_owned());
        self
    }
}

impl World for Memory {
    fn read(&self, name: &str) -> Result<Blob, FileError> {
        check_name(name)?;
        self.files.get(name).cloned().ok_or(FileError::NotFound)
    }

    fn has_font_family(&self, name: &str) -> bool {
        self.families.iter().any(|family| family.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own below the system's temporary folder, removed at the end.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("vignette-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(path.join("package/assets")).unwrap();
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn names_that_lead_outside_are_refused() {
        let cases = [
            ("../../etc/passwd", "`..` would leave the package"),
            ("assets/../../x", "`..` would leave the package"),
            ("/etc/passwd", "it is absolute"),
            ("..\\x", "a backslash"),
            ("a\0b", "a control character"),
            ("", "it is empty"),
            ("http://127.0.0.1/x.png", "it is a URL"),
            ("file:///etc/passwd", "it is a URL"),
            ("data:image/png;base64,AA", "it is a URL"),
        ];
        for (name, reason) in cases {
            let error = Memory::default().read(name).unwrap_err().to_string();
            assert!(error.contains(reason), "{name:?}: {error}");
        }
        assert_eq!(check_name(&"a/".repeat(600)), Err(FileError::NotAllowed("it is longer than 1024 bytes")));
        assert_eq!(check_name("assets/a..b.png"), Ok(()));
    }

    #[cfg(unix)]
    #[test]
    fn only_regular_files_inside_the_folders_are_read() {
        use std::os::unix::fs::symlink;
        let scratch = Scratch::new("world");
        let package = scratch.0.join("package");
        fs::write(package.join("assets/a.png"), b"inside").unwrap();
        fs::write(scratch.0.join("secret"), b"outside").unwrap();
        symlink(scratch.0.join("secret"), package.join("assets/out.png")).unwrap();
        symlink("/dev/zero", package.join("assets/zero.png")).unwrap();
        symlink(&scratch.0, package.join("up")).unwrap();
        symlink("a.png", package.join("assets/inside.png")).unwrap();
        symlink("loop.png", package.join("assets/loop.png")).unwrap();
        let world = Directory::new(&package).unwrap();
        assert_eq!(world.read("assets/a.png").unwrap().bytes().as_ref(), b"inside");
        assert_eq!(world.read("assets/inside.png").unwrap().bytes().as_ref(), b"inside");
        for (name, reason) in [
            ("assets/out.png", "leads out of the package"),
            ("assets/zero.png", "leads out of the package"),
            ("up/secret", "leads out of the package"),
            ("assets", "not a regular file"),
            ("assets/loop.png", "no such file"),
            ("assets/none.png", "no such file"),
        ] {
            let error = world.read(name).unwrap_err().to_string();
            assert!(error.contains(reason), "{name}: {error}");
        }
        let fetch: Fetch = Arc::new(|name: &str| match name {
            "https://example.com/a.png" => Ok(b"far".to_vec()),
            _ => Err("no".to_owned()),
        });
        assert!(matches!(world.read("https://example.com/a.png"), Err(FileError::NotAllowed(_))));
        let world = world.with_fetch(fetch);
        assert_eq!(world.read("https://example.com/a.png").unwrap().bytes().as_ref(), b"far");
        assert!(matches!(world.read("http://x/"), Err(FileError::Unfetched(_))));
        assert!(matches!(world.read("file:///etc/passwd"), Err(FileError::NotAllowed(_))));
        let more = scratch.0.join("more");
        fs::create_dir_all(&more).unwrap();
        fs::write(more.join("photo.jpg"), b"photo").unwrap();
        let world = world.and(&more).unwrap();
        assert_eq!(world.read("photo.jpg").unwrap().bytes().as_ref(), b"photo");
        assert!(Directory::new(&more.join("photo.jpg")).is_err());
    }
}
