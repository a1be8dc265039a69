//! A file of a stranger, read whole: all that composing and mixing may ever read of it. For a process that may end by it.

use vignette_renderer::audio;
use vignette_renderer::media::{ConformSpec, MediaError, Picture, VideoClip};
use vignette_renderer::text::{FontLibrary, draw_whole};
use vignette_templates::blob::Blob;
use vignette_templates::time::{FrameRate, Time};
use vignette_templates::video::{AssetKind, Fit};

/// The sizes in which pictures are drawn: the longer side in pixels. A drawing is rasterised for each.
const SIDES: [u32; 2] = [640, 3840];

/// Why a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is the file's fault, in words that follow "found".
    #[error("{0}")]
    File(String),
    /// This machine cannot tell, in words for its operator.
    #[error("{0}")]
    Machine(String),
}

impl From<MediaError> for Refusal {
    fn from(error: MediaError) -> Self {
        match error.is_machine() {
            true => Refusal::Machine(error.fault.to_string()),
            false => Refusal::File(error.fault.to_string()),
        }
    }
}

/// Decodes all of `blob` by the code that renders decode it with: every frame of a video, all of a sound, every character of a font, a
/// picture drawn small and large. A picture may have `most_pixels`.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn read_whole(
    kind: AssetKind,
    blob: &Blob,
    fonts: &FontLibrary,
    most_pixels: u64,
) -> Result<(), Refusal> {
    match kind {
        AssetKind::Image => picture(blob, most_pixels),
        AssetKind::Video => video(blob),
        AssetKind::Audio => Ok(audio::decode(blob).map(drop)?),
        AssetKind::Font => draw_whole(fonts, blob).map(drop).map_err(Refusal::File),
    }
}

fn picture(blob: &Blob, most_pixels: u64) -> Result<(), Refusal> {
    let picture = Picture::open(blob)?;
    let (width, height) = picture.size();
    if u64::from(width) * u64::from(height) > most_pixels {
        return Err(Refusal::File(format!("a picture of more than {most_pixels} pixels")));
    }
    for side in SIDES {
        let scale = f64::from(side) / f64::from(width.max(height));
        let length = |own: u32| ((f64::from(own) * scale).round() as u32).clamp(1, side);
        picture.render(length(width), length(height), Fit::Contain, [0.5, 0.5])?;
    }
    Ok(())
}

fn video(blob: &Blob) -> Result<(), Refusal> {
    let clip = VideoClip::open(blob)?;
    let info = clip.info();
    let Some(rate) = FrameRate::new(1000, 1) else { return Ok(()) };
    let spec = ConformSpec {
        width: info.width,
        height: info.height,
        fit: Fit::Fill,
        focus: [0.5, 0.5],
        rate,
        start: Time::ZERO,
        repeat: false,
    };
    let mut reader = clip.reader(spec)?;
    // A frame counts from its millisecond on, so that none is left out.
    let mut moments: Vec<u32> =
        info.frame_times.iter().map(|time| u32::try_from(time / 1_000_000).unwrap_or(0)).collect();
    moments.dedup();
    for moment in moments {
        reader.frame(moment)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: AssetKind, file: &str) -> Result<(), Refusal> {
        let bytes =
            std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/media/").to_owned() + file).unwrap();
        read_whole(kind, &Blob::new(bytes), &FontLibrary::system().unwrap(), 1 << 24)
    }

    #[test]
    fn whole_files_are_read() {
        for (kind, file) in [
            (AssetKind::Image, "badge.svg"),
            (AssetKind::Image, "quadrants.webp"),
            (AssetKind::Image, "quadrants-turned.jpg"),
            (AssetKind::Video, "counter.mp4"),
            (AssetKind::Audio, "tone.wav"),
        ] {
            assert_eq!(read(kind, file), Ok(()), "{file}");
        }
        assert!(matches!(read(AssetKind::Audio, "disc.png"), Err(Refusal::File(_))));
        let font = std::fs::read("/usr/share/fonts/truetype/noto/NotoSansThai-Regular.ttf").unwrap();
        let fonts = FontLibrary::system().unwrap();
        assert!(draw_whole(&fonts, &Blob::new(font.clone())).unwrap() > 80);
        assert!(read_whole(AssetKind::Font, &Blob::new(&font[..font.len() / 2]), &fonts, 0).is_err());
    }

    /// What opening a clip and its first frame do not find: the end of the file is noise.
    #[test]
    fn damage_behind_the_beginning_is_found() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/media/quadrants.jpg");
        let mut bytes = std::fs::read(path).unwrap();
        let half = bytes.len() / 2;
        bytes.truncate(half);
        let fonts = FontLibrary::system().unwrap();
        assert!(read_whole(AssetKind::Image, &Blob::new(bytes), &fonts, 1 << 24).is_err());
        let bytes = std::fs::read(path).unwrap();
        let refused = read_whole(AssetKind::Image, &Blob::new(bytes), &fonts, 100);
        assert!(refused.unwrap_err().to_string().contains("more than 100 pixels"));
    }
}
