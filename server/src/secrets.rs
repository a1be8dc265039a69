//! The service's own keys, and what is sealed with them: links and everything personal that is written to disk.
//!
//! A sealed value is XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with a random nonce of 24 bytes:
//!
//! ```text
//! version 1 │ key id, 4 bytes │ form, 1 byte │ nonce, 24 bytes │ ciphertext and tag
//! ```
//!
//! All that stands before the nonce, and what the value is sealed for, is authenticated with it. The form says whether the text was
//! deflated before (RFC 1951), which is done where it makes it shorter. Keys are rotated by adding one: new values are sealed with the
//! last, older ones are opened with the key that they name.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};

/// What a value is sealed for. One that was sealed for something else does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A link's token.
    Link,
    /// A record in the database.
    Record,
}

/// The longest text that is sealed or opened, in bytes.
pub const MAX_TEXT: usize = 256 << 10;

const VERSION: u8 = 1;
const PLAIN: u8 = 0;
const DEFLATED: u8 = 1;
const NONCE: usize = 24;
const HEAD: usize = 6;

/// Why a sealed value does not open. Says no more, as who forges values would learn from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this was not sealed here, was changed, or is cut short")]
pub struct Unsealed;

/// The keys of a data folder.
pub struct Secrets {
    keys: Vec<Key>,
    /// Names what must not be told from its digest, and signs webhooks.
    root: [u8; 32],
}

struct Key {
    id: [u8; 4],
    cipher: XChaCha20Poly1305,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    root: String,
    /// Oldest first.
    keys: Vec<WrittenKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenKey {
    id: String,
    key: String,
}

const FILE: &str = "secrets.json";

impl Secrets {
    /// Reads the keys of the data folder, and makes them when there are none. With `rotate`, another is added for what is sealed from now on.
    ///
    /// # Errors
    /// A file that cannot be read or written, or that is damaged, in words.
    pub fn open(folder: &Path, rotate: bool) -> Result<Secrets, String> {
        let path = folder.join(FILE);
        let shown = path.display();
        let mut written = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|_| format!("{shown}: damaged; restore it, or remove it and lose all links"))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Written { root: STANDARD.encode(random::<32>()?), keys: Vec::new() }
            }
            Err(error) => return Err(format!("{shown}: cannot be read: {error}")),
        };
        if written.keys.is_empty() || rotate {
            let (id, key) = (random::<4>()?, random::<32>()?);
            written.keys.push(WrittenKey { id: STANDARD.encode(id), key: STANDARD.encode(key) });
            let text = serde_json::to_vec_pretty(&written).map_err(|error| error.to_string())?;
            let part = folder.join(".secrets.part");
            let write = || {
                let mut options = fs::OpenOptions::new();
                let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&part)?;
                file.write_all(&text)?;
                file.sync_all()?;
                fs::rename(&part, &path)
            };
            write().map_err(|error| format!("{shown}: cannot be written: {error}"))?;
        }
        let damaged = || format!("{shown}: a key is damaged");
        let bytes = |text: &str| STANDARD.decode(text).map_err(|_| damaged());
        let mut keys = Vec::new();
        for key in &written.keys {
            let id = bytes(&key.id)?.try_into().map_err(|_| damaged())?;
            let cipher = XChaCha20Poly1305::new_from_slice(&bytes(&key.key)?).map_err(|_| damaged())?;
            keys.push(Key { id, cipher });
        }
        let root = bytes(&written.root)?.try_into().map_err(|_| damaged())?;
        Ok(Secrets { keys, root })
    }

    /// Seals `text`.
    ///
    /// # Errors
    /// A text that is too long, or a system without randomness, in words.
    pub fn seal(&self, purpose: Purpose, text: &[u8]) -> Result<Vec<u8>, String> {
        if text.len() > MAX_TEXT {
            return Err(format!("longer than {MAX_TEXT} bytes"));
        }
        let key = self.keys.last().ok_or("there is no key")?;
        let deflated = miniz_oxide::deflate::compress_to_vec(text, 6);
        let (form, body) = match deflated.len() < text.len() {
            true => (DEFLATED, deflated.as_slice()),
            false => (PLAIN, text),
        };
        let nonce = random::<NONCE>()?;
        let mut sealed = vec![VERSION];
        sealed.extend(key.id);
        sealed.push(form);
        let aad = associated(purpose, &sealed);
        let payload = Payload { msg: body, aad: &aad };
        let body = key
            .cipher
            .encrypt(XNonce::from_slice(&nonce), payload)
            .map_err(|_| "sealing failed".to_owned())?;
        sealed.extend(nonce);
        sealed.extend(body);
        Ok(sealed)
    }

    /// Opens what [`Secrets::seal`] made for the same purpose.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn open_sealed(&self, purpose: Purpose, sealed: &[u8]) -> Result<Vec<u8>, Unsealed> {
        let (head, rest) = sealed.split_at_checked(HEAD).ok_or(Unsealed)?;
        let (nonce, body) = rest.split_at_checked(NONCE).ok_or(Unsealed)?;
        let [VERSION, id @ .., form] = head else { return Err(Unsealed) };
        let key = self.keys.iter().find(|key| key.id == *id).ok_or(Unsealed)?;
        let aad = associated(purpose, head);
        let payload = Payload { msg: body, aad: &aad };
        let text = key.cipher.decrypt(XNonce::from_slice(nonce), payload).map_err(|_| Unsealed)?;
        match *form {
            PLAIN => Ok(text),
            DEFLATED => {
                miniz_oxide::inflate::decompress_to_vec_with_limit(&text, MAX_TEXT).map_err(|_| Unsealed)
            }
            _ => Err(Unsealed),
        }
    }

    /// [`Secrets::seal`] as text for a URL.
    ///
    /// # Errors
    /// As there.
    pub fn seal_text(&self, purpose: Purpose, text: &[u8]) -> Result<String, String> {
        Ok(URL_SAFE_NO_PAD.encode(self.seal(purpose, text)?))
    }

    /// Opens what [`Secrets::seal_text`] made.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn open_text(&self, purpose: Purpose, text: &str) -> Result<Vec<u8>, Unsealed> {
        self.open_sealed(purpose, &URL_SAFE_NO_PAD.decode(text).map_err(|_| Unsealed)?)
    }

    /// Names `parts` for those who know these keys alone: the same parts have the same name, and nobody else can try out which.
    pub fn name(&self, what: &str, parts: &[&[u8]]) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.root);
        for part in std::iter::once(&what.as_bytes()).chain(parts) {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        *hasher.finalize().as_bytes()
    }
}

fn associated(purpose: Purpose, head: &[u8]) -> Vec<u8> {
    let purpose: &[u8] = match purpose {
        Purpose::Link => b"vignette link ",
        Purpose::Record => b"vignette record ",
    };
    [purpose, head].concat()
}

/// Random bytes of the system.
///
/// # Errors
/// A system that has none.
pub fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| format!("the system gives no random bytes: {error}"))?;
    Ok(bytes)
}

/// A random name of 128 bits, in hexadecimal digits.
///
/// # Errors
/// As [`random`].
pub fn random_name() -> Result<String, String> {
    Ok(hex(&random::<16>()?))
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_opens_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(folder.path(), false).unwrap();
        for text in [&b""[..], b"x", "Maria ".repeat(200).as_bytes()] {
            let sealed = secrets.seal(Purpose::Link, text).unwrap();
            assert_eq!(secrets.open_sealed(Purpose::Link, &sealed).as_deref(), Ok(text));
            assert_eq!(secrets.open_sealed(Purpose::Record, &sealed), Err(Unsealed), "another purpose");
            for cut in 0..sealed.len() {
                assert_eq!(secrets.open_sealed(Purpose::Link, &sealed[..cut]), Err(Unsealed), "cut at {cut}");
                let mut changed = sealed.clone();
                changed[cut] ^= 1;
                assert_eq!(secrets.open_sealed(Purpose::Link, &changed), Err(Unsealed), "changed at {cut}");
            }
        }
        let long = secrets.seal(Purpose::Link, "Maria ".repeat(200).as_bytes()).unwrap();
        assert!(long.len() < 200, "deflated where it pays: {}", long.len());
        assert!(secrets.seal(Purpose::Link, &vec![0; MAX_TEXT + 1]).is_err());
    }

    #[test]
    fn keys_rotate_and_stay() {
        let folder = tempfile::tempdir().unwrap();
        let first = Secrets::open(folder.path(), false).unwrap();
        let sealed = first.seal(Purpose::Link, b"one").unwrap();
        let second = Secrets::open(folder.path(), true).unwrap();
        let later = second.seal(Purpose::Link, b"two").unwrap();
        assert_eq!(second.open_sealed(Purpose::Link, &sealed).as_deref(), Ok(&b"one"[..]));
        assert_ne!(sealed[1..5], later[1..5]);
        assert_eq!(first.open_sealed(Purpose::Link, &later), Err(Unsealed), "it does not know the new key");
        let again = Secrets::open(folder.path(), false).unwrap();
        assert_eq!(again.open_sealed(Purpose::Link, &later).as_deref(), Ok(&b"two"[..]));
        let other = tempfile::tempdir().unwrap();
        let stranger = Secrets::open(other.path(), false).unwrap();
        assert_eq!(stranger.open_sealed(Purpose::Link, &later), Err(Unsealed));
        fs::write(folder.path().join(FILE), b"{}").unwrap();
        assert!(Secrets::open(folder.path(), false).is_err());
    }
}
