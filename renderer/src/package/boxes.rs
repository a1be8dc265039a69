//! What the boxes of ISO base media files have in common (ISO/IEC 14496-12): writing them, and finding them again.

/// A box: its length, its four-letter name, its content.
pub(super) fn boxed(name: &[u8; 4], content: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 0];
    bytes.extend_from_slice(name);
    content(&mut bytes);
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

/// A box that starts with a version and flags.
pub(super) fn full(name: &[u8; 4], version: u8, flags: u32, content: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    boxed(name, |bytes| {
        put32(bytes, u32::from(version) << 24 | flags);
        content(bytes);
    })
}

pub(super) fn put16(bytes: &mut Vec<u8>, value: u16) {
    bytes.extend(value.to_be_bytes());
}

pub(super) fn put32(bytes: &mut Vec<u8>, value: u32) {
    bytes.extend(value.to_be_bytes());
}

pub(super) fn put64(bytes: &mut Vec<u8>, value: u64) {
    bytes.extend(value.to_be_bytes());
}

/// The unity matrix (ISO/IEC 14496-12, section 8.2.2.2).
pub(super) fn put_matrix(bytes: &mut Vec<u8>) {
    for value in [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000] {
        put32(bytes, value);
    }
}

pub(super) fn tkhd(id: u32, duration: u64, size: [u32; 2], volume: u16, group: u16) -> Vec<u8> {
    // Flags: enabled, in the movie, in the preview.
    full(b"tkhd", 0, 7, |bytes| {
        put32(bytes, 0);
        put32(bytes, 0);
        put32(bytes, id);
        put32(bytes, 0);
        put32(bytes, duration as u32);
        bytes.extend([0; 8]);
        put16(bytes, 0);
        put16(bytes, group);
        put16(bytes, volume);
        put16(bytes, 0);
        put_matrix(bytes);
        put32(bytes, size[0] << 16);
        put32(bytes, size[1] << 16);
    })
}

/// An edit list of one entry: `duration` of the movie's clock from `media_time` of the track's own on.
pub(super) fn edts(duration: u64, media_time: u32) -> Vec<u8> {
    boxed(b"edts", |bytes| {
        bytes.extend(full(b"elst", 0, 0, |bytes| {
            put32(bytes, 1);
            put32(bytes, duration as u32);
            put32(bytes, media_time);
            put32(bytes, 0x1_0000);
        }));
    })
}

pub(super) fn mdhd(timescale: u32, duration: u64, locale: &str) -> Vec<u8> {
    full(b"mdhd", 1, 0, |bytes| {
        put64(bytes, 0);
        put64(bytes, 0);
        put32(bytes, timescale);
        put64(bytes, duration);
        put16(bytes, packed_language(locale));
        put16(bytes, 0);
    })
}

/// ISO 639-2/T code packed into 15 bits (ISO/IEC 14496-12, section 8.4.2.3).
pub(super) fn packed_language(locale: &str) -> u16 {
    let language = locale.split(['-', '_']).next().unwrap_or_default();
    let code = match language {
        "en" => "eng",
        "ar" => "ara",
        "bn" => "ben",
        "cs" => "ces",
        "da" => "dan",
        "de" => "deu",
        "el" => "ell",
        "es" => "spa",
        "fa" => "fas",
        "fi" => "fin",
        "fr" => "fra",
        "he" => "heb",
        "hi" => "hin",
        "hu" => "hun",
        "id" => "ind",
        "it" => "ita",
        "ja" => "jpn",
        "ko" => "kor",
        "nb" | "no" => "nor",
        "nl" => "nld",
        "pl" => "pol",
        "pt" => "por",
        "ro" => "ron",
        "ru" => "rus",
        "sv" => "swe",
        "ta" => "tam",
        "th" => "tha",
        "tr" => "tur",
        "uk" => "ukr",
        "ur" => "urd",
        "vi" => "vie",
        "zh" => "zho",
        three if three.len() == 3 && three.bytes().all(|b| b.is_ascii_lowercase()) => three,
        _ => "und",
    };
    code.bytes().fold(0, |packed, letter| packed << 5 | u16::from(letter - 0x60))
}

pub(super) fn hdlr(kind: &[u8; 4], name: &str) -> Vec<u8> {
    full(b"hdlr", 0, 0, |bytes| {
        put32(bytes, 0);
        bytes.extend_from_slice(kind);
        bytes.extend([0; 12]);
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
    })
}

pub(super) fn dinf() -> Vec<u8> {
    boxed(b"dinf", |bytes| {
        bytes.extend(full(b"dref", 0, 0, |bytes| {
            put32(bytes, 1);
            // Flag 1: the samples lie in this file.
            bytes.extend(full(b"url ", 0, 1, |_| {}));
        }));
    })
}

pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// The boxes that lie in `bytes`, one after the other.
pub(super) fn children(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = word(rest, 0)? as usize;
        let name: [u8; 4] = rest.get(4..8)?.try_into().ok()?;
        let (head, length) = match length {
            1 => (16, u64::from_be_bytes(rest.get(8..16)?.try_into().ok()?) as usize),
            length => (8, length),
        };
        let content = rest.get(head..length)?;
        rest = rest.get(length..)?;
        Some((name, content))
    })
}

/// A box where it stands among others.
pub(super) struct Placed<'a> {
    pub name: [u8; 4],
    /// Where its length field stands.
    pub start: usize,
    pub content: &'a [u8],
}

/// The boxes that `bytes` consist of; `None` when they do not fill it exactly.
pub(super) fn whole(bytes: &[u8]) -> Option<Vec<Placed<'_>>> {
    let mut start = 0;
    let mut placed = Vec::new();
    for (name, content) in children(bytes) {
        let head = if word(bytes, start)? == 1 { 16 } else { 8 };
        placed.push(Placed { name, start, content });
        start += head + content.len();
    }
    (start == bytes.len()).then_some(placed)
}

/// The content of the box that is reached by going through `path`, the first one of each name.
pub(super) fn descend<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |inner, wanted| {
        children(inner).find(|(name, _)| name == *wanted).map(|(_, content)| content)
    })
}

/// A 64-bit number, big-endian.
pub(super) fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from(word(bytes, at)?) << 32 | u64::from(word(bytes, at.checked_add(4)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_packed() {
        // `und` is 0x55C4 in ISO/IEC 14496-12.
        assert_eq!(packed_language("xx"), 0x55c4);
        assert_eq!(packed_language("en-GB"), 0x15c7);
    }
}
