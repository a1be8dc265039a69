//! The store that a folder or a URL names.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::aws::AmazonS3Builder;

use super::{Disk, Layered, Memory, Objects, Store, StoreError};

/// Most bytes of memory that stand in front of an object store, 256 MiB.
const NEAR_BYTES: u64 = 256 << 20;

/// Opens the store that `place` names; it keeps at most `max_bytes` on this machine.
///
/// | `place` | store |
/// |---|---|
/// | a path, or `file:///path` | [`Disk`] in that folder, which is made when it is missing |
/// | `s3://bucket/prefix` | [`Objects`] in a bucket, behind at most 256 MiB of [`Memory`]; the bucket has no bound |
/// | `memory:` | [`Memory`], which ends with the process |
///
/// What S3 needs besides is read from the variables that its other programs read: `AWS_ACCESS_KEY_ID`,
/// `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, for other servers `AWS_ENDPOINT_URL`, and
/// `AWS_ALLOW_HTTP=true` for one without TLS. No request is made to open it.
///
/// # Errors
/// [`StoreError::Unusable`] when `place` names no such thing, and the errors of [`Disk::open`].
pub fn open(place: &str, max_bytes: u64) -> Result<Arc<dyn Store>, StoreError> {
    if place == "memory:" {
        return Ok(Arc::new(Memory::new(max_bytes)));
    }
    if place.starts_with("s3://") {
        let far = Objects::s3(place, AmazonS3Builder::from_env(), Objects::TIMEOUT)?;
        let near = Memory::new(max_bytes.min(NEAR_BYTES));
        return Ok(Arc::new(Layered::new(Arc::new(near), Arc::new(far))));
    }
    Ok(Arc::new(Disk::open(&folder(place)?, max_bytes)?))
}

/// The folder that a path or a `file:` URL names.
fn folder(place: &str) -> Result<PathBuf, StoreError> {
    let refuse = |place: &str, reason: &str| {
        Err(StoreError::Unusable { place: place.to_owned(), reason: reason.to_owned() })
    };
    const ACCEPTED: &str = "expected a folder, file:///folder, s3://bucket/prefix or memory:";
    if let Some(rest) = place.strip_prefix("file:") {
        // RFC 8089: the path follows an authority, which is empty or `localhost`, or stands alone.
        let path = match rest.strip_prefix("//") {
            Some(rest) => rest.strip_prefix("localhost").unwrap_or(rest),
            None => rest,
        };
        return match percent_decoded(path) {
            Some(path) if path.starts_with('/') => Ok(PathBuf::from(path)),
            _ => refuse(place, "this is not the URL of a file on this machine; expected file:///folder"),
        };
    }
    if let Some((scheme, _)) = place.split_once("://") {
        // What follows may hold a secret.
        return refuse(&format!("{scheme}://…"), ACCEPTED);
    }
    if place.is_empty() {
        return refuse("", ACCEPTED);
    }
    Ok(PathBuf::from(place))
}

/// `text` with each `%` and two digits replaced by the byte they stand for (RFC 3986, section 2.1); `None` when
/// that is not text.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>()?;
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push((digit(digits[0])? * 16 + digit(digits[1])?) as u8);
        rest = after;
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders() {
        for (place, expected) in [
            ("/var/cache/vignette", Some("/var/cache/vignette")),
            ("relative/folder", Some("relative/folder")),
            ("file:///var/a%20b%C3%A4", Some("/var/a bä")),
            ("file://localhost/var", Some("/var")),
            ("file:/var", Some("/var")),
            ("file://elsewhere/var", None),
            ("file://localhostile/var", None),
            ("file:var", None),
            ("file:///a%2", None),
            ("file:///a%00", None),
            ("file:///a%ff", None),
            ("gs://bucket", None),
            ("", None),
        ] {
            let found = folder(place).ok();
            assert_eq!(found, expected.map(PathBuf::from), "{place}");
        }
    }

    #[test]
    fn places() {
        for (place, called) in [
            ("memory:", "memory"),
            ("s3://bucket", "memory, then s3://bucket"),
            ("s3://bucket/some/where/", "memory, then s3://bucket/some/where"),
        ] {
            assert_eq!(
                open(place, 1 << 20).map(|store| store.place()).unwrap_or_default(),
                called,
                "{place}"
            );
        }
    }

    #[test]
    fn what_is_refused_shows_no_secret() {
        for place in [
            "s3://name:secret@bucket/prefix",
            "s3://bucket/prefix?key=secret",
            "s3://",
            "s3:///prefix",
            "s3://bucket/a//b",
            "https://name:secret@host/",
        ] {
            match open(place, 1 << 20) {
                Ok(_) => panic!("{place} was opened"),
                Err(error) => {
                    let message = error.to_string();
                    assert!(!message.contains("secret"), "{message}");
                }
            }
        }
    }
}
