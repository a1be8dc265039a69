//! The secret under which receipts tell personal things, so that nobody finds them out by trying.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use crate::templates::blob::Digest;

/// A secret of 32 bytes.
///
/// What it digests (keyed BLAKE3) cannot be found out by digesting every likely name, as it could be without a key.
#[derive(Clone)]
pub struct ReceiptKey {
    secret: [u8; 32],
}

impl std::fmt::Debug for ReceiptKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReceiptKey({})", self.id())
    }
}

/// Why a key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file system refuses.
    #[error("cannot {operation} the receipt key {file}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        file: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The file holds something else.
    #[error("{file}: this is no receipt key: it holds 64 hexadecimal digits and nothing else")]
    NoKey {
        /// The file.
        file: String,
    },
    /// Others can read it.
    #[error("{file}: others than its owner may read this key; close it with `chmod 600`")]
    Open {
        /// The file.
        file: String,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes for a receipt key: {0}")]
    Random(String),
}

impl ReceiptKey {
    /// The key of these 32 bytes.
    pub fn new(secret: [u8; 32]) -> Self {
        ReceiptKey { secret }
    }

    /// Reads the key in `file`.
    ///
    /// # Errors
    /// [`KeyError`], also where others than the owner can read the file.
    pub fn read(file: &Path) -> Result<Self, KeyError> {
        let shown = || file.display().to_string();
        let io = |source| KeyError::Io { operation: "read", file: shown(), source };
        let opened = fs::File::open(file).map_err(io)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            if opened.metadata().map_err(io)?.permissions().mode() & 0o077 != 0 {
                return Err(KeyError::Open { file: shown() });
            }
        }
        let mut text = Vec::new();
        opened.take(256).read_to_end(&mut text).map_err(io)?;
        let key = std::str::from_utf8(&text).ok().and_then(|text| Digest::from_hex(text.trim()));
        key.map(|digest| ReceiptKey { secret: digest.0 }).ok_or_else(|| KeyError::NoKey { file: shown() })
    }

    /// Reads the key in `file`, or makes one there for its owner's eyes alone (mode 0600), with the folders above it. Also tells
    /// whether it was made.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn read_or_make(file: &Path) -> Result<(Self, bool), KeyError> {
        match ReceiptKey::read(file) {
            Err(KeyError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            known => return known.map(|key| (key, false)),
        }
        let io =
            |operation| move |source| KeyError::Io { operation, file: file.display().to_string(), source };
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| KeyError::Random(error.to_string()))?;
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(io("make the folder of"))?;
        // Complete before it has its name, and never over another's: two processes may make it at a time.
        let mut partial =
            tempfile::Builder::new().prefix(".receipt-key-").tempfile_in(folder).map_err(io("make"))?;
        writeln!(partial, "{}", Digest(secret)).map_err(io("write"))?;
        partial.as_file().sync_all().map_err(io("write"))?;
        match partial.persist_noclobber(file) {
            Ok(_) => Ok((ReceiptKey { secret }, true)),
            Err(refused) if refused.error.kind() == ErrorKind::AlreadyExists => {
                ReceiptKey::read(file).map(|key| (key, false))
            }
            Err(refused) => Err(io("make")(refused.error)),
        }
    }

    /// Tells keys apart without telling the key: 16 hexadecimal digits.
    pub fn id(&self) -> String {
        let id = blake3::derive_key("vignette receipt key id v1", &self.secret);
        Digest(id).to_string()[..16].to_owned()
    }

    /// The keyed digest of `bytes` for one use, so that equal values of different things are not seen to be equal.
    pub fn digest(&self, usage: &str, bytes: &[u8]) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key("vignette receipt v1");
        hasher.update(&self.secret).update(usage.as_bytes());
        Digest(*blake3::keyed_hash(hasher.finalize().as_bytes(), bytes).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("below/receipt.key");
        assert!(matches!(ReceiptKey::read(&file), Err(KeyError::Io { .. })));
        let (first, made) = ReceiptKey::read_or_make(&file).unwrap();
        let (second, again) = ReceiptKey::read_or_make(&file).unwrap();
        assert!(made && !again);
        assert_eq!((first.id(), first.secret), (second.id(), second.secret));
        assert_ne!(first.digest("a", b"x"), first.digest("b", b"x"));
        assert!(!format!("{first:?}").contains(&Digest(first.secret).to_string()));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            mode(0o640);
            assert!(ReceiptKey::read(&file).unwrap_err().to_string().contains("chmod 600"));
            mode(0o600);
        }
        fs::write(&file, "maria\n").unwrap();
        assert!(ReceiptKey::read(&file).unwrap_err().to_string().contains("no receipt key"));
    }
}
