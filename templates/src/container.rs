//! What a file is, by its first bytes; its name and what a template says about it count for nothing.

mod jpeg;

use std::borrow::Cow;
use std::fmt;

use crate::video::AssetKind;

/// The formats that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of the formats say all")]
pub enum Format {
    Png,
    Jpeg,
    WebP,
    Svg,
    Gif,
    Heif,
    Mp4,
    QuickTime,
    M4a,
    Matroska,
    Avi,
    Ogg,
    Wav,
    Mp3,
    Flac,
    TrueType,
    OpenType,
    FontCollection,
    /// A text that leads to other files, with the name of its kind.
    Playlist(&'static str),
    Text,
    Empty,
    Unknown,
}

impl Format {
    /// The format of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let starts = |magic: &[u8]| bytes.starts_with(magic);
        let at = |offset: usize, magic: &[u8]| bytes.get(offset..offset + magic.len()) == Some(magic);
        match bytes {
            [] => Format::Empty,
            _ if starts(b"\x89PNG\r\n\x1a\n") => Format::Png,
            _ if starts(b"\xff\xd8\xff") => Format::Jpeg,
            _ if starts(b"GIF8") => Format::Gif,
            _ if starts(b"RIFF") && at(8, b"WEBP") => Format::WebP,
            _ if starts(b"RIFF") && at(8, b"AVI ") => Format::Avi,
            _ if starts(b"RIFF") && at(8, b"WAVE") => Format::Wav,
            _ if starts(b"\x1a\x45\xdf\xa3") => Format::Matroska,
            _ if starts(b"OggS") => Format::Ogg,
            _ if starts(b"fLaC") => Format::Flac,
            _ if starts(b"\0\x01\0\0") || starts(b"true") => Format::TrueType,
            _ if starts(b"OTTO") => Format::OpenType,
            _ if starts(b"ttcf") => Format::FontCollection,
            _ if at(4, b"ftyp") => iso_media(bytes),
            _ if [b"moov", b"mdat", b"wide", b"free", b"skip"].iter().any(|name| at(4, *name)) => {
                Format::QuickTime
            }
            _ if starts(b"ID3") => Format::Mp3,
            // An MPEG audio frame (ISO/IEC 11172-3, section 2.4.1.3): sync, then layer, bit rate and sampling rate in use.
            [0xff, second, third, ..]
                if second & 0xe0 == 0xe0
                    && second & 0x06 != 0
                    && third >> 4 != 15
                    && third & 0x0c != 0x0c =>
            {
                Format::Mp3
            }
            _ => text(bytes),
        }
    }

    /// Whether a file of this format can be what a template uses as `kind`.
    pub fn serves(self, kind: AssetKind) -> bool {
        use Format::*;
        match kind {
            AssetKind::Image => matches!(self, Png | Jpeg | WebP | Svg),
            AssetKind::Video => matches!(self, Mp4 | QuickTime | Matroska | Avi | Ogg),
            AssetKind::Audio => matches!(self, Wav | Mp3 | Ogg | Flac | M4a | Mp4 | QuickTime | Matroska),
            AssetKind::Font => matches!(self, TrueType | OpenType | FontCollection),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Png => "a PNG picture",
            Format::Jpeg => "a JPEG picture",
            Format::WebP => "a WebP picture",
            Format::Svg => "an SVG picture",
            Format::Gif => "a GIF picture",
            Format::Heif => "a HEIF or AVIF picture",
            Format::Mp4 => "an MP4 file",
            Format::QuickTime => "a QuickTime file",
            Format::M4a => "an M4A sound",
            Format::Matroska => "a Matroska or WebM file",
            Format::Avi => "an AVI video",
            Format::Ogg => "an Ogg file",
            Format::Wav => "a WAV sound",
            Format::Mp3 => "an MP3 sound",
            Format::Flac => "a FLAC sound",
            Format::TrueType => "a TrueType font",
            Format::OpenType => "an OpenType font",
            Format::FontCollection => "a font collection",
            Format::Playlist(kind) => {
                return write!(f, "a playlist ({kind}), which would lead to other files");
            }
            Format::Text => "plain text",
            Format::Empty => "an empty file",
            Format::Unknown => "a file of unknown format",
        })
    }
}

/// What a file used as `kind` may be, for hints.
pub fn accepted(kind: AssetKind) -> &'static str {
    match kind {
        AssetKind::Image => "an image is a PNG, JPEG, WebP or SVG file",
        AssetKind::Video => "a video is an MP4, MOV, WebM, Matroska, AVI or Ogg file",
        AssetKind::Audio => "an audio asset is a WAV, MP3, Ogg, FLAC, M4A or MP4 file",
        AssetKind::Font => "a font is a TTF, OTF or TTC file",
    }
}

/// Whether `bytes` can be used as `kind`.
///
/// # Errors
/// What the file is instead, in words.
pub fn verify(kind: AssetKind, bytes: &[u8]) -> Result<(), String> {
    let format = Format::of(bytes);
    if !format.serves(kind) {
        return Err(format.to_string());
    }
    match format {
        Format::Mp4 | Format::QuickTime | Format::M4a => {
            whole(bytes).map_err(|why| format!("{format} that {why}"))
        }
        // Decoders fill what is missing with grey. Some cameras leave out the end alone.
        Format::Jpeg if !has_end(bytes) && !jpeg::is_complete(bytes) => {
            Err(format!("{format} that is cut off"))
        }
        _ => Ok(()),
    }
}

/// A JPEG file with the marker of its end, without which decoders may take the last rows for missing; other files as they are.
pub fn with_end(bytes: &[u8]) -> Cow<'_, [u8]> {
    match Format::of(bytes) == Format::Jpeg && !has_end(bytes) {
        true => Cow::Owned([bytes, b"\xff\xd9"].concat()),
        false => Cow::Borrowed(bytes),
    }
}

/// ISO base media files by their major brand (ISO/IEC 14496-12, section 4.3).
fn iso_media(bytes: &[u8]) -> Format {
    match bytes.get(8..12) {
        Some(b"qt  ") => Format::QuickTime,
        Some(b"M4A " | b"M4B ") => Format::M4a,
        Some(b"mif1" | b"msf1" | b"heic" | b"heix" | b"hevc" | b"avif" | b"avis") => Format::Heif,
        _ => Format::Mp4,
    }
}

/// Walks the top-level boxes: a file that was cut off has one that reaches past its end, or no index.
fn whole(bytes: &[u8]) -> Result<(), &'static str> {
    let mut rest = bytes;
    let mut index = false;
    while rest.len() >= 8 {
        let (head, body) = rest.split_at(8);
        let name = &head[4..8];
        let size = match u32::from_be_bytes([head[0], head[1], head[2], head[3]]) {
            0 => rest.len() as u64,
            1 => {
                let Some(large) = body.first_chunk::<8>() else { return Err("is cut off") };
                u64::from_be_bytes(*large)
            }
            size => u64::from(size),
        };
        index |= name == b"moov" || name == b"moof";
        match usize::try_from(size) {
            Ok(size) if (8..=rest.len()).contains(&size) => rest = &rest[size..],
            // Some writers leave bytes behind the last box; without an index the file is of no use either way.
            _ if index && !matches!(name, b"mdat" | b"moov" | b"moof") => return Ok(()),
            _ => return Err("is cut off"),
        }
    }
    if index { Ok(()) } else { Err("has no index (`moov`), as when a recording was cut off") }
}

/// Walks a JPEG file's segments and scans (ITU-T T.81, annex B): one that was cut off lacks the marker of its end. That of a preview in one
/// of its segments does not count.
fn has_end(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(2..).unwrap_or_default();
    while let Some(start) = rest.iter().position(|byte| *byte == 0xff) {
        rest = &rest[start..];
        let skipped = match rest.get(1) {
            None => return false,
            Some(0xd9) => return true,
            // A byte that fills up.
            Some(0xff) => 1,
            // In a scan, 255 itself and marks to start again at; they have no length.
            Some(0x00 | 0x01 | 0xd0..=0xd8) => 2,
            Some(_) => match rest.get(2..4) {
                Some(length) => 2 + usize::from(u16::from_be_bytes([length[0], length[1]])).max(2),
                None => return false,
            },
        };
        rest = rest.get(skipped..).unwrap_or_default();
    }
    false
}

fn text(bytes: &[u8]) -> Format {
    let start = &bytes[..bytes.len().min(4096)];
    let start = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return Format::Unknown,
    };
    let start = start.trim_start_matches('\u{feff}').trim_start();
    let lower = start.to_ascii_lowercase();
    let begins = |words: &[&str]| words.iter().any(|word| lower.starts_with(word));
    if begins(&["#extm3u", "#ext-x", "#extinf"]) {
        return Format::Playlist("M3U");
    }
    if begins(&["<?xml", "<!--", "<!doctype", "<"]) {
        for (element, found) in [
            ("<mpd", Format::Playlist("MPEG-DASH")),
            ("<smoothstreamingmedia", Format::Playlist("Smooth Streaming")),
            ("<playlist", Format::Playlist("XSPF")),
            ("<asx", Format::Playlist("ASX")),
            ("<smil", Format::Playlist("SMIL")),
            ("<svg", Format::Svg),
        ] {
            if lower.contains(element) {
                return found;
            }
        }
        return Format::Text;
    }
    if begins(&["ffconcat", "file '", "file \""]) {
        return Format::Playlist("concat");
    }
    if begins(&["v=0"]) {
        return Format::Playlist("SDP");
    }
    if begins(&["[playlist]", "[reference]"]) {
        return Format::Playlist("PLS");
    }
    let leads = |line: &str| {
        let line = line.trim();
        ["http://", "https://", "file://", "rtsp://", "rtmp://", "udp://"]
            .iter()
            .any(|scheme| line.starts_with(scheme))
    };
    if lower.lines().take(20).any(leads) {
        return Format::Playlist("M3U");
    }
    if start.chars().any(|c| c.is_control() && !c.is_whitespace()) { Format::Unknown } else { Format::Text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        let cases: &[(&str, &[u8], &str)] = &[
            ("png", b"\x89PNG\r\n\x1a\n....", "a PNG picture"),
            ("jpeg", b"\xff\xd8\xff\xe1", "a JPEG picture"),
            ("webp", b"RIFF\0\0\0\0WEBPVP8 ", "a WebP picture"),
            ("wav", b"RIFF\0\0\0\0WAVEfmt ", "a WAV sound"),
            ("mp3", b"\xff\xfb\x90\x64", "an MP3 sound"),
            ("svg", b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x --><SVG xmlns='x'/>", "an SVG picture"),
            ("html", b"<!doctype html><html>", "plain text"),
            (
                "hls",
                b"#EXTM3U\n#EXT-X-VERSION:3\nfile:///etc/passwd",
                "a playlist (M3U), which would lead to other files",
            ),
            (
                "dash",
                b"<?xml version=\"1.0\"?>\n<MPD>",
                "a playlist (MPEG-DASH), which would lead to other files",
            ),
            ("sdp", b"v=0\r\no=- 0 0 IN IP4 127.0.0.1", "a playlist (SDP), which would lead to other files"),
            (
                "concat",
                b"ffconcat version 1.0\nfile '/etc/passwd'",
                "a playlist (concat), which would lead to other files",
            ),
            (
                "pls",
                b"[playlist]\nFile1=http://127.0.0.1/",
                "a playlist (PLS), which would lead to other files",
            ),
            (
                "urls",
                b"# mine\nhttp://127.0.0.1:80/a.mp4\n",
                "a playlist (M3U), which would lead to other files",
            ),
            ("heic", b"\0\0\0\x18ftypheic", "a HEIF or AVIF picture"),
            ("empty", b"", "an empty file"),
            ("noise", b"\x01\x02\x03\x80", "a file of unknown format"),
        ];
        for (name, bytes, expected) in cases {
            assert_eq!(Format::of(bytes).to_string(), *expected, "{name}");
        }
        assert!(verify(AssetKind::Video, b"#EXTM3U").is_err());
        assert!(verify(AssetKind::Image, b"\x89PNG\r\n\x1a\n").is_ok());
    }

    #[test]
    fn a_truncated_jpeg_is_seen() {
        // A preview with an end of its own in a segment, a scan with a stuffed byte and a mark to start again at, the end, and what a
        // phone put behind it.
        let whole: &[u8] =
            b"\xff\xd8\xff\xe1\0\x06\xff\xd8\xff\xd9\xff\xda\0\x02ab\xff\0c\xff\xd0d\xff\xff\xd9more";
        let end = whole.len() - 4;
        for length in 3..=whole.len() {
            let verified = verify(AssetKind::Image, &whole[..length]);
            match length < end {
                true => assert_eq!(verified.unwrap_err(), "a JPEG picture that is cut off", "{length}"),
                false => assert_eq!(verified, Ok(()), "{length}"),
            }
        }
    }

    #[test]
    fn a_jpeg_may_lack_its_end_and_nothing_else() {
        let media = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/media");
        for name in ["quadrants.jpg", "waves-restarts.jpg", "waves-progressive.jpg"] {
            let whole = std::fs::read(media.join(name)).unwrap();
            assert_eq!(whole[whole.len() - 2..], *b"\xff\xd9", "{name}");
            let end = whole.len() - 2;
            for length in 3..end {
                let verified = verify(AssetKind::Image, &whole[..length]);
                assert_eq!(
                    verified.unwrap_err(),
                    "a JPEG picture that is cut off",
                    "{name}, {length} of {end}"
                );
            }
            let endless = &whole[..end];
            assert_eq!(verify(AssetKind::Image, endless), Ok(()), "{name}");
            // Half of the marker is as good as none.
            assert_eq!(verify(AssetKind::Image, &whole[..end + 1]), Ok(()), "{name}");
            assert_eq!((&*with_end(endless), &*with_end(&whole)), (&whole[..], &whole[..]), "{name}");
        }
        assert_eq!(&*with_end(b"\x89PNG\r\n\x1a\n"), b"\x89PNG\r\n\x1a\n");
    }

    #[test]
    fn a_truncated_mp4_is_seen() {
        let boxed = |name: &[u8; 4], size: u32, body: usize| {
            let mut bytes = size.to_be_bytes().to_vec();
            bytes.extend_from_slice(name);
            bytes.resize(8 + body, 0);
            bytes
        };
        let ftyp = boxed(b"ftyp", 16, 8);
        let whole_file = [ftyp.clone(), boxed(b"moov", 20, 12), boxed(b"mdat", 108, 100)].concat();
        assert_eq!(verify(AssetKind::Video, &whole_file), Ok(()));
        let cut = &whole_file[..whole_file.len() - 30];
        assert_eq!(verify(AssetKind::Video, cut).unwrap_err(), "an MP4 file that is cut off");
        let no_index = [ftyp.clone(), boxed(b"mdat", 0, 100)].concat();
        assert!(verify(AssetKind::Video, &no_index).unwrap_err().contains("no index"));
        let huge = [ftyp, boxed(b"mdat", 1, 4)].concat();
        assert_eq!(verify(AssetKind::Video, &huge).unwrap_err(), "an MP4 file that is cut off");
    }
}
