//! The form of an entry outside the process: a header that lets every read be checked, then the bytes.
//!
//! ```text
//! 0   "VGSE"                                        4 bytes
//! 4   version, u32 little-endian                    4 bytes
//! 8   length of the payload, u64 little-endian      8 bytes
//! 16  BLAKE3 of the key (32 bytes) and the payload  32 bytes
//! 48  payload
//! ```
//!
//! The key is part of the checksum, so that an entry that came to stand under the name of another, by whatever
//! accident, is found out: it could show one viewer what was made for another.

use std::sync::Arc;

use vignette_templates::blob::Digest;

/// Bytes of the header.
pub const HEADER_LEN: usize = 48;

/// Bytes of the longest payload, 1 GiB. Segments are a few megabytes at most; whatever claims to be longer is
/// not read.
pub const MAX_PAYLOAD: u64 = 1 << 30;

const MAGIC: [u8; 4] = *b"VGSE";
const VERSION: u32 = 1;

/// How an entry differs from what was put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It ends inside the header.
    #[error("it has {0} bytes, less than a header")]
    Short(u64),
    /// It does not start as an entry does.
    #[error("it does not start as an entry does")]
    NotAnEntry,
    /// It has a version that this program does not write here.
    #[error("its version is {0}, not {VERSION}")]
    Version(u32),
    /// It is longer or shorter than its header says.
    #[error("its header says {said} bytes, but there are {there}")]
    Length {
        /// Length of the payload by the header.
        said: u64,
        /// Bytes that follow the header.
        there: u64,
    },
    /// Its bytes, or its key, are not those that were put.
    #[error("its checksum does not match")]
    Checksum,
}

/// Bytes that a payload of `payload` bytes takes with its header.
pub const fn sealed_len(payload: u64) -> u64 {
    payload.saturating_add(HEADER_LEN as u64)
}

/// The header of `payload` under `key`.
pub fn header(key: &Digest, payload: &[u8]) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    let mut hasher = hasher(key);
    hasher.update(payload);
    header[..4].copy_from_slice(&MAGIC);
    header[4..8].copy_from_slice(&VERSION.to_le_bytes());
    header[8..16].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    header[16..].copy_from_slice(hasher.finalize().as_bytes());
    header
}

/// The header and `payload` in one.
pub fn seal(key: &Digest, payload: &[u8]) -> Vec<u8> {
    [&header(key, payload), payload].concat()
}

/// The payload of a sealed entry that stands under `key`.
///
/// # Errors
/// What is wrong with it.
pub fn open<'a>(key: &Digest, sealed: &'a [u8]) -> Result<&'a [u8], Damage> {
    let length = sealed.len() as u64;
    let (head, payload) = sealed.split_first_chunk().ok_or(Damage::Short(length))?;
    let mut check = Check::start(key, head, length)?;
    check.update(payload);
    check.finish()?;
    Ok(payload)
}

/// Checks an entry whose bytes come piece by piece.
pub struct Check {
    hasher: blake3::Hasher,
    payload: u64,
    expected: blake3::Hash,
}

impl Check {
    /// Reads the header of an entry under `key` that has `sealed` bytes in all.
    ///
    /// # Errors
    /// When the header is not one, or says another length.
    pub fn start(key: &Digest, header: &[u8; HEADER_LEN], sealed: u64) -> Result<Self, Damage> {
        let word = |at: usize| -> [u8; 8] { std::array::from_fn(|i| header[at + i]) };
        let version = u32::from_le_bytes(std::array::from_fn(|i| header[4 + i]));
        let said = u64::from_le_bytes(word(8));
        let there = sealed.checked_sub(HEADER_LEN as u64).ok_or(Damage::Short(sealed))?;
        if header[..4] != MAGIC {
            return Err(Damage::NotAnEntry);
        }
        if version != VERSION {
            return Err(Damage::Version(version));
        }
        if said != there || said > MAX_PAYLOAD {
            return Err(Damage::Length { said, there });
        }
        let expected = blake3::Hash::from_bytes(std::array::from_fn(|i| header[16 + i]));
        Ok(Check { hasher: hasher(key), payload: said, expected })
    }

    /// Zeroed room for the whole payload. At most [`MAX_PAYLOAD`] bytes, and as many as there are.
    pub fn room(&self) -> Arc<[u8]> {
        std::iter::repeat_n(0, self.payload as usize).collect()
    }

    /// Takes the next bytes of the payload.
    pub fn update(&mut self, piece: &[u8]) {
        self.hasher.update(piece);
    }

    /// Whether the bytes were those that were put.
    ///
    /// # Errors
    /// When they were not, or not all of them.
    pub fn finish(self) -> Result<(), Damage> {
        let there = self.hasher.count().saturating_sub(KEY_LEN);
        if there != self.payload {
            return Err(Damage::Length { said: self.payload, there });
        }
        if self.hasher.finalize() == self.expected { Ok(()) } else { Err(Damage::Checksum) }
    }
}

const KEY_LEN: u64 = 32;

fn hasher(key: &Digest) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&key.0);
    hasher
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Digest = Digest([7; 32]);

    #[test]
    fn what_was_sealed_is_opened() {
        for payload in [&b""[..], b"x", &[9; 100_000]] {
            let sealed = seal(&KEY, payload);
            assert_eq!(sealed.len() as u64, sealed_len(payload.len() as u64));
            assert_eq!(open(&KEY, &sealed), Ok(payload));
        }
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let sealed = seal(&KEY, b"some bytes");
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&KEY, &damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_other_length_is_seen() {
        let sealed = seal(&KEY, b"some bytes");
        for length in 0..sealed.len() {
            assert!(open(&KEY, &sealed[..length]).is_err(), "cut to {length}");
        }
        for more in [1, 2, 4096] {
            let longer = [sealed.as_slice(), &vec![0; more]].concat();
            assert_eq!(
                open(&KEY, &longer),
                Err(Damage::Length { said: 10, there: 10 + more as u64 }),
                "{more} more"
            );
        }
    }

    #[test]
    fn a_header_cannot_ask_for_memory_that_no_payload_backs() {
        let mut sealed = seal(&KEY, b"some bytes");
        sealed[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
        assert_eq!(open(&KEY, &sealed), Err(Damage::Length { said: u64::MAX, there: 10 }));
    }

    #[test]
    fn an_entry_under_the_name_of_another_is_seen() {
        let sealed = seal(&KEY, b"some bytes");
        assert_eq!(open(&Digest([8; 32]), &sealed), Err(Damage::Checksum));
    }
}
