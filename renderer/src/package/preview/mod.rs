//! Previews for e-mail: short animations without sound, as GIF or animated WebP, that keep to a size; and posters, single pictures.
//!
//! Mail programs differ: some show an animation's first frame alone. So an animation may begin in the middle: with
//! [`PreviewOptions::first`] it starts at that time, runs to its end and goes on at its beginning. As it repeats for ever
//! nothing is lost or added, and the frame that shows alone is the one that tells most.

mod gif;
mod palette;
mod still;
mod webp;

use image::RgbImage;
use vignette_signals::{fir, resize};
use vignette_templates::time::{FrameRate, Time};

pub use self::still::{PosterFormat, poster};
use crate::encode::EncodeError;
use crate::error::RenderError;

/// The file format of an animation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PreviewFormat {
    /// GIF: shown by every mail program, with 256 colours at most.
    #[default]
    Gif,
    /// Animated WebP: much smaller, not shown by all.
    WebP,
}

/// What part of a video becomes a preview, and how large it may be.
#[derive(Clone, Copy, Debug)]
pub struct PreviewOptions {
    /// Default: GIF.
    pub format: PreviewFormat,
    /// Where in the video it begins. Default: its start.
    pub from: Time,
    /// Where in the video it ends. Default: 3 s.
    pub to: Time,
    /// The time whose frame is shown first; from `from` to before `to`. Default: `from`.
    pub first: Option<Time>,
    /// Width in pixels; a video that is narrower keeps its own. The height follows. Default: 480.
    pub width: u32,
    /// Frames per second, 1 to 50. Default: 12.
    pub frames_per_second: u32,
    /// The most bytes that it may take. Default: any number.
    pub budget: Option<u64>,
    /// Quality of WebP, 20 to 100; GIF always starts with 256 colours. Default: 75.
    pub quality: u8,
    /// Whether GIF mixes colours that it does not have from dots of others, in a pattern that stands still. Takes more bytes.
    /// Default: it does.
    pub dither: bool,
}

impl Default for PreviewOptions {
    fn default() -> Self {
        PreviewOptions {
            format: PreviewFormat::default(),
            from: Time::ZERO,
            to: Time::from_seconds(3),
            first: None,
            width: 480,
            frames_per_second: 12,
            budget: None,
            quality: 75,
            dither: true,
        }
    }
}

/// A finished preview.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// The file.
    pub bytes: Vec<u8>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames in the file. Frames that look like the one before are not stored; that one shows longer.
    pub frames: u32,
    /// Frames per second that were taken from the video.
    pub frame_rate: FrameRate,
    /// How long it runs before it repeats.
    pub duration: Time,
    /// What was asked for and given up, in words, to keep to the budget or because the video does not have it.
    pub notes: Vec<String>,
}

/// Why there is no preview.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// An option makes no sense, or asks for more than is made.
    #[error("{0}")]
    Options(String),
    /// A frame of the video could not be had.
    #[error(transparent)]
    Frame(#[from] RenderError),
    /// The encoder is missing or failed.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A picture cannot be written in a format.
    #[error("the picture cannot be written: {0}")]
    Picture(String),
    /// Even the smallest form is larger than allowed.
    #[error(
        "even the smallest preview, {width} x {height} at {frame_rate} frames per second, takes {smallest} bytes of the {budget} allowed; \
         make it shorter or allow more"
    )]
    Budget {
        /// Bytes allowed.
        budget: u64,
        /// Bytes of the smallest form.
        smallest: u64,
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// Its frames per second.
        frame_rate: FrameRate,
    },
}

/// No preview has more frames than this.
const MOST_FRAMES: u64 = 600;
/// No preview's frames take more memory than this, in bytes.
const MOST_BYTES: u64 = 512 << 20;
/// Fewer frames a second than this no longer look like movement, so the rate goes no lower.
const FEWEST_PER_SECOND: f64 = 4.0;
/// No picture is narrower or lower than this, as WebP's encoder takes none that is.
const SHORTEST_SIDE: u32 = 16;
/// The width goes no lower to keep to a budget, unless less was asked for.
const NARROWEST: u32 = 120;
/// WebP's quality goes no lower.
const LOWEST_QUALITY: u8 = 20;
/// By how much quality is tried lower; encoding all frames takes seconds.
const QUALITY_STEP: u8 = 5;

/// A frame and how long it shows.
struct Shown {
    picture: RgbImage,
    duration: Time,
}

/// How hard an animation was pressed: 0 is as asked for.
type Pressure = usize;

/// Makes a preview. `frame_at` gives the frame that shows at a time of the video, all of one size; it is asked once for each, in order.
///
/// To keep to the budget, first quality (WebP) or colours and small changes (GIF) go down, then the frame rate, then the width; the result's
/// notes say what was given up.
///
/// # Errors
/// Options that make no sense; what `frame_at` says; a missing encoder; a budget that nothing keeps to.
pub fn preview(
    options: &PreviewOptions,
    frame_at: &mut dyn FnMut(Time) -> Result<RgbImage, RenderError>,
) -> Result<Preview, PreviewError> {
    let rate = check(options)?;
    let mut notes = Vec::new();
    let taken = take(options, rate, frame_at, &mut notes)?;
    let [full_width, _] = size_of(&taken);
    let worst = match options.format {
        PreviewFormat::Gif => gif::LEVELS.len() - 1,
        PreviewFormat::WebP => {
            usize::from(options.quality.saturating_sub(LOWEST_QUALITY).div_ceil(QUALITY_STEP))
        }
    };
    let encode = |frames: &[Shown], pressure: Pressure| match options.format {
        PreviewFormat::Gif => gif::encode(frames, &gif::LEVELS[pressure], options.dither),
        PreviewFormat::WebP => webp::encode(frames, quality_at(options, pressure)),
    };
    let fits = |bytes: &[u8]| options.budget.is_none_or(|budget| bytes.len() as u64 <= budget);
    let mut smallest: Option<(u64, u32, u32, FrameRate)> = None;
    let mut width = full_width;
    loop {
        let narrowed = resized(&taken, width)?;
        for step in 1..=taken.len().max(1) {
            let Some(lower) = FrameRate::new(options.frames_per_second, step as u32) else { break };
            if step > 1 && (lower.as_f64() < FEWEST_PER_SECOND || taken.len() / step < 2) {
                break;
            }
            let thinned = thinned(&narrowed, step, rate, options);
            // As asked for, if that fits; else the least that is pressed, found by halving, if the most that is pressed fits.
            let mut best = (0, encode(&thinned, 0)?);
            if !fits(&best.1.0) && worst > 0 {
                best = (worst, encode(&thinned, worst)?);
                let mut too_large = 0;
                while fits(&best.1.0) && best.0 - too_large > 1 {
                    let middle = (best.0 + too_large) / 2;
                    let tried = encode(&thinned, middle)?;
                    match fits(&tried.0) {
                        true => best = (middle, tried),
                        false => too_large = middle,
                    }
                }
            }
            let (pressure, (bytes, frames)) = best;
            let [width, height] = size_of(&thinned);
            if fits(&bytes) {
                notes.extend(given_up(options, pressure, lower, [full_width, width]));
                let duration = options.to - options.from;
                return Ok(Preview { bytes, width, height, frames, frame_rate: lower, duration, notes });
            }
            let length = bytes.len() as u64;
            if smallest.is_none_or(|(known, ..)| length < known) {
                smallest = Some((length, width, height, lower));
            }
        }
        let narrower = (width * 4 / 5).max(NARROWEST.min(full_width));
        let height = narrower * size_of(&taken)[1] / full_width.max(1);
        if narrower == width || height < SHORTEST_SIDE {
            break;
        }
        width = narrower;
    }
    let (smallest, width, height, frame_rate) = smallest.unwrap_or((0, full_width, size_of(&taken)[1], rate));
    Err(PreviewError::Budget {
        budget: options.budget.unwrap_or_default(),
        smallest,
        width,
        height,
        frame_rate,
    })
}

/// The quality of WebP under pressure.
fn quality_at(options: &PreviewOptions, pressure: Pressure) -> u8 {
    let lost = u8::try_from(pressure).unwrap_or(u8::MAX).saturating_mul(QUALITY_STEP);
    options.quality.saturating_sub(lost).max(LOWEST_QUALITY)
}

/// What was given up for the budget.
fn given_up(
    options: &PreviewOptions,
    pressure: Pressure,
    rate: FrameRate,
    [full_width, width]: [u32; 2],
) -> Vec<String> {
    let Some(budget) = options.budget else { return Vec::new() };
    let mut notes = Vec::new();
    if pressure > 0 {
        notes.push(match options.format {
            PreviewFormat::Gif => format!(
                "{} colours instead of 256, and changes of up to {} of 255 left out, to keep to {budget} bytes",
                gif::LEVELS[pressure].colours + 1,
                gif::LEVELS[pressure].tolerance
            ),
            PreviewFormat::WebP => format!(
                "quality {} instead of {} to keep to {budget} bytes",
                quality_at(options, pressure),
                options.quality
            ),
        });
    }
    if FrameRate::new(options.frames_per_second, 1) != Some(rate) {
        notes.push(format!(
            "{rate} frames per second instead of {} to keep to {budget} bytes",
            options.frames_per_second
        ));
    }
    if width < full_width {
        notes.push(format!("{width} pixels wide instead of {full_width} to keep to {budget} bytes"));
    }
    notes
}

/// The frame rate, when all options make sense.
fn check(options: &PreviewOptions) -> Result<FrameRate, PreviewError> {
    let refuse = |message: String| Err(PreviewError::Options(message));
    let seconds = |time: Time| time.as_seconds();
    if options.from < Time::ZERO || options.to <= options.from {
        return refuse(format!(
            "a preview from {} s to {} s shows nothing: it must end after it begins",
            seconds(options.from),
            seconds(options.to)
        ));
    }
    if let Some(first) = options.first
        && !(options.from <= first && first < options.to)
    {
        return refuse(format!(
            "the first frame's time, {} s, must lie from {} s to before {} s, where the preview is",
            seconds(first),
            seconds(options.from),
            seconds(options.to)
        ));
    }
    if options.width < SHORTEST_SIDE || options.width > 4096 {
        return refuse(format!("a preview is {SHORTEST_SIDE} to 4096 pixels wide, not {}", options.width));
    }
    // GIF counts in hundredths of a second, and readers take less than two of them for ten.
    let rate = FrameRate::new(options.frames_per_second, 1).filter(|_| options.frames_per_second <= 50);
    let Some(rate) = rate else {
        return refuse(format!("a preview has 1 to 50 frames per second, not {}", options.frames_per_second));
    };
    if !(LOWEST_QUALITY..=100).contains(&options.quality) {
        return refuse(format!("a preview's quality is {LOWEST_QUALITY} to 100, not {}", options.quality));
    }
    let frames = rate.frames_covering(options.to - options.from);
    if frames > MOST_FRAMES {
        return refuse(format!(
            "a preview has at most {MOST_FRAMES} frames, not {frames}: make it shorter or lower its frame rate"
        ));
    }
    Ok(rate)
}

/// Gets all frames at the width that is wanted, or the video's own if that is less.
fn take(
    options: &PreviewOptions,
    rate: FrameRate,
    frame_at: &mut dyn FnMut(Time) -> Result<RgbImage, RenderError>,
    notes: &mut Vec<String>,
) -> Result<Vec<RgbImage>, PreviewError> {
    let frames = rate.frames_covering(options.to - options.from);
    let mut taken: Vec<RgbImage> = Vec::with_capacity(frames as usize);
    for index in 0..frames {
        let picture = frame_at(options.from + rate.time_of(index))?;
        let width = options.width.min(picture.width());
        if index == 0 {
            if width < options.width {
                notes.push(format!(
                    "the video is {width} pixels wide, and it is not enlarged to {}",
                    options.width
                ));
            }
            let pixels = u64::from(width) * u64::from(height_for(&picture, width));
            if pixels * 3 * frames > MOST_BYTES {
                return Err(PreviewError::Options(format!(
                    "{frames} frames of {pixels} pixels are too many: make the preview shorter or narrower"
                )));
            }
        }
        let picture = scaled(&picture, width)?;
        if picture.height() < SHORTEST_SIDE {
            return Err(PreviewError::Options(format!(
                "a preview {width} pixels wide would be {} high, but at least {SHORTEST_SIDE} are needed",
                picture.height()
            )));
        }
        if taken.first().is_some_and(|first| first.dimensions() != picture.dimensions()) {
            return Err(PreviewError::Options("the frames are not all of one size".into()));
        }
        taken.push(picture);
    }
    Ok(taken)
}

fn size_of<T: AsPicture>(frames: &[T]) -> [u32; 2] {
    frames.first().map_or([0, 0], |frame| frame.picture().dimensions().into())
}

trait AsPicture {
    fn picture(&self) -> &RgbImage;
}

impl AsPicture for RgbImage {
    fn picture(&self) -> &RgbImage {
        self
    }
}

impl AsPicture for Shown {
    fn picture(&self) -> &RgbImage {
        &self.picture
    }
}

fn resized(frames: &[RgbImage], width: u32) -> Result<Vec<RgbImage>, PreviewError> {
    frames.iter().map(|frame| scaled(frame, width)).collect()
}

/// Every `step`th frame, each as long as those that are left out too; begun with the one that is to be seen first.
fn thinned(frames: &[RgbImage], step: usize, rate: FrameRate, options: &PreviewOptions) -> Vec<Shown> {
    let length = options.to - options.from;
    let time_of = |index: usize| rate.time_of(index as u64).min(length);
    let mut shown: Vec<Shown> = (0..frames.len())
        .step_by(step)
        .map(|index| {
            let end = if index + step < frames.len() { time_of(index + step) } else { length };
            Shown { picture: frames[index].clone(), duration: end - time_of(index) }
        })
        .collect();
    if let Some(first) = options.first {
        let wanted = first - options.from;
        let last_before = (0..shown.len()).rev().find(|index| time_of(index * step) <= wanted);
        shown.rotate_left(last_before.unwrap_or(0));
    }
    shown
}

fn height_for(picture: &RgbImage, width: u32) -> u32 {
    let scaled = u64::from(picture.height()) * u64::from(width);
    let across = u64::from(picture.width().max(1));
    ((scaled + across / 2) / across).max(1) as u32
}

/// The picture at another width, its shape kept.
fn scaled(picture: &RgbImage, width: u32) -> Result<RgbImage, PreviewError> {
    if picture.width() == width {
        return Ok(picture.clone());
    }
    let height = height_for(picture, width);
    let broken = |error: &dyn std::fmt::Display| PreviewError::Picture(error.to_string());
    let source =
        fir::images::ImageRef::new(picture.width(), picture.height(), picture.as_raw(), fir::PixelType::U8x3)
            .map_err(|error| broken(&error))?;
    let mut target = fir::images::Image::new(width, height, fir::PixelType::U8x3);
    let options =
        fir::ResizeOptions::new().resize_alg(fir::ResizeAlg::Convolution(fir::FilterType::Lanczos3));
    resize(&mut fir::Resizer::new(), &source, &mut target, &options).map_err(|error| broken(&error))?;
    RgbImage::from_raw(width, height, target.into_vec())
        .ok_or_else(|| PreviewError::Picture("its size does not fit its pixels".into()))
}

/// A part of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Part {
    left: u32,
    top: u32,
    width: u32,
    height: u32,
}

impl Part {
    fn whole(picture: &RgbImage) -> Self {
        Part { left: 0, top: 0, width: picture.width(), height: picture.height() }
    }

    /// The smallest that holds every pixel for which `changed` says so; `None` when there is none.
    fn around(width: u32, height: u32, changed: impl Fn(usize) -> bool) -> Option<Self> {
        let across = width as usize;
        let row_changed = |row: &usize| (row * across..(row + 1) * across).any(&changed);
        let top = (0..height as usize).find(row_changed)?;
        let bottom = (top..height as usize).rev().find(row_changed)?;
        let column_changed = |column: &usize| (top..=bottom).any(|row| changed(row * across + column));
        let left = (0..across).find(column_changed)?;
        let right = (left..across).rev().find(column_changed)?;
        Some(Part {
            left: left as u32,
            top: top as u32,
            width: (right - left + 1) as u32,
            height: (bottom - top + 1) as u32,
        })
    }
}

/// Whether two colours differ by more than `tolerance` in any channel.
fn differs(a: [u8; 3], b: [u8; 3], tolerance: u8) -> bool {
    a.iter().zip(b).any(|(a, b)| a.abs_diff(b) > tolerance)
}

/// When each frame ends in whole `units` a second, rounded from exact sums, so that errors do not add up.
fn ends(frames: &[Shown], units: u32) -> Vec<u64> {
    let mut sum = Time::ZERO;
    frames
        .iter()
        .map(|frame| {
            sum = sum + frame.duration;
            sum.to_samples(units).max(0) as u64
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::process::Command;

    use image::AnimationDecoder;
    use image::codecs::webp::WebPDecoder;

    use super::*;

    /// A gradient that stands still, and a disc that crosses it from 0.5 s on; 160 x 90.
    fn frame(time: Time) -> RgbImage {
        let at = (time.as_seconds() - 0.5).max(0.0) as f32;
        RgbImage::from_fn(160, 90, |x, y| {
            let (dx, dy) = (x as f32 - 20.0 - 60.0 * at, y as f32 - 60.0);
            match dx * dx + dy * dy < 144.0 {
                true => image::Rgb([230, 40, 60]),
                false => image::Rgb([30 + x as u8 / 2, 60 + y as u8, 200 - x as u8 / 2]),
            }
        })
    }

    /// A picture that changes everywhere, and is hard to pack.
    fn restless(time: Time) -> RgbImage {
        let mut state = time.to_samples(1000) as u32 * 7 + 1;
        RgbImage::from_fn(192, 108, |x, y| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let wave = ((x + y) as f32 / 30.0 + time.as_seconds() as f32 * 4.0).sin() * 70.0 + 128.0;
            image::Rgb([0, 8, 16].map(|shift| wave as u8 ^ (state >> shift) as u8 >> 3))
        })
    }

    fn made(options: &PreviewOptions, frame: fn(Time) -> RgbImage) -> Preview {
        preview(options, &mut |time| Ok(frame(time))).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Every frame as it shows, and for how many milliseconds.
    fn decoded(options: &PreviewOptions, preview: &Preview) -> Vec<(RgbImage, u64)> {
        match options.format {
            PreviewFormat::WebP => {
                let decoder = WebPDecoder::new(Cursor::new(&preview.bytes)).unwrap();
                assert!(matches!(decoder.loop_count(), image::metadata::LoopCount::Infinite));
                let frames = decoder.into_frames().collect_frames().unwrap();
                frames
                    .into_iter()
                    .map(|frame| {
                        let (num, den) = frame.delay().numer_denom_ms();
                        (image::DynamicImage::from(frame.into_buffer()).to_rgb8(), u64::from(num / den))
                    })
                    .collect()
            }
            PreviewFormat::Gif => {
                let mut reading = ::gif::DecodeOptions::new();
                reading.set_color_output(::gif::ColorOutput::RGBA);
                let mut decoder = reading.read_info(Cursor::new(&preview.bytes)).unwrap();
                let mut screen = RgbImage::new(preview.width, preview.height);
                let mut frames = Vec::new();
                while let Some(frame) = decoder.read_next_frame().unwrap() {
                    for (at, pixel) in (0u32..).zip(frame.buffer.chunks_exact(4)) {
                        let (x, y) = (at % u32::from(frame.width), at / u32::from(frame.width));
                        if pixel[3] > 0 {
                            let color = image::Rgb([pixel[0], pixel[1], pixel[2]]);
                            screen.put_pixel(x + u32::from(frame.left), y + u32::from(frame.top), color);
                        }
                    }
                    frames.push((screen.clone(), 10 * u64::from(frame.delay)));
                }
                assert_eq!(decoder.repeat(), ::gif::Repeat::Infinite);
                frames
            }
        }
    }

    fn mean_error(a: &RgbImage, b: &RgbImage) -> f64 {
        assert_eq!(a.dimensions(), b.dimensions());
        let sum: u64 = a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        sum as f64 / a.as_raw().len() as f64
    }

    const FORMATS: [PreviewFormat; 2] = [PreviewFormat::Gif, PreviewFormat::WebP];

    #[test]
    fn frames_and_times_come_back() {
        for format in FORMATS {
            let options = PreviewOptions {
                format,
                to: Time::from_seconds(2),
                // Hundredths of a second do not divide into it.
                frames_per_second: 15,
                ..PreviewOptions::default()
            };
            let preview = made(&options, frame);
            assert_eq!((preview.width, preview.height), (160, 90), "{format:?}");
            assert_eq!(preview.notes.len(), 1, "it is not enlarged: {:?}", preview.notes);
            let frames = decoded(&options, &preview);
            assert_eq!(frames.len() as u32, preview.frames);
            // Nothing moves for half a second, which is the first eight frames; after that every frame differs.
            assert_eq!(frames.len(), 30 - 7, "{format:?}");
            assert_eq!(frames.iter().map(|(_, length)| length).sum::<u64>(), 2000, "{format:?}");
            assert!((530..540).contains(&frames[0].1), "{format:?}: {}", frames[0].1);
            for ((picture, _), index) in frames.iter().zip([0].into_iter().chain(8..)) {
                let original = frame(Time::from_samples(index, 15));
                let error = mean_error(picture, &original);
                assert!(error < 4.0, "{format:?}: frame {index} is {error} off");
            }
            // Where nothing moves nothing flickers.
            let still = |picture: &RgbImage| image::imageops::crop_imm(picture, 0, 0, 160, 32).to_image();
            for (index, (picture, _)) in frames.iter().enumerate() {
                assert_eq!(still(picture), still(&frames[0].0), "{format:?}: frame {index}");
            }
            assert_eq!(made(&options, frame), preview, "{format:?}: the same bytes");
        }
    }

    #[test]
    fn other_programs_read_gifs() {
        let options = PreviewOptions { to: Time::from_seconds(2), width: 100, ..PreviewOptions::default() };
        let preview = made(&options, frame);
        assert_eq!((preview.width, preview.height), (100, 56));
        let file = tempfile::NamedTempFile::with_suffix(".gif").unwrap();
        std::fs::write(file.path(), &preview.bytes).unwrap();
        let output = Command::new("ffprobe")
            .args([
                "-v",
                "warning",
                "-count_frames",
                "-show_entries",
                "stream=nb_read_frames,width,height,duration",
                "-of",
                "csv=p=0",
            ])
            .arg(file.path())
            .output()
            .unwrap_or_else(|error| panic!("ffprobe (package ffmpeg): {error}"));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(said.trim(), format!("100,56,2.000000,{}", preview.frames));
    }

    #[test]
    fn budgets_are_kept_and_what_they_cost_is_told() {
        for format in FORMATS {
            let free =
                PreviewOptions { format, to: Time::from_seconds(1), width: 192, ..PreviewOptions::default() };
            let whole = made(&free, restless);
            assert_eq!(whole.notes, [""; 0]);
            let mut last = (whole.width, whole.frame_rate.as_f64());
            for (part, kinds) in [(9, 1), (6, 1), (3, 1), (1, 1)] {
                let budget = whole.bytes.len() as u64 * part / 10;
                let options = PreviewOptions { budget: Some(budget), ..free };
                let preview = made(&options, restless);
                assert!(
                    preview.bytes.len() as u64 <= budget,
                    "{format:?}: {} of {budget}",
                    preview.bytes.len()
                );
                assert!(preview.notes.len() >= kinds, "{format:?} at {part}/10: {:?}", preview.notes);
                let frames = decoded(&options, &preview);
                assert_eq!(frames.len() as u32, preview.frames);
                assert_eq!(frames.iter().map(|(_, length)| length).sum::<u64>(), 1000);
                assert_eq!(frames[0].0.dimensions(), (preview.width, preview.height));
                // What was given up stays given up with less.
                let now = (preview.width, preview.frame_rate.as_f64());
                assert!(
                    now.0 <= last.0 && (now.0 < last.0 || now.1 <= last.1),
                    "{format:?}: {last:?} then {now:?}"
                );
                last = now;
            }
            let tiny = PreviewOptions { budget: Some(200), ..free };
            match preview(&tiny, &mut |time| Ok(restless(time))) {
                Err(PreviewError::Budget { budget: 200, smallest, width, .. }) => {
                    assert!(smallest > 200 && width == NARROWEST, "{format:?}: {smallest} at {width}");
                }
                other => panic!("{format:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn the_first_frame_is_the_one_that_tells() {
        for format in FORMATS {
            let options = PreviewOptions {
                format,
                from: Time::from_seconds(1),
                to: Time::from_seconds(2),
                first: Some(Time::from_samples(33, 20)),
                frames_per_second: 10,
                ..PreviewOptions::default()
            };
            let preview = made(&options, frame);
            let frames = decoded(&options, &preview);
            assert_eq!(frames.len(), 10);
            // 1.65 s lies in the frame of 1.6 s; after that of 1.9 s comes that of 1 s.
            for (index, tenths) in (0..10).zip([16u64, 17, 18, 19, 10, 11, 12, 13, 14, 15]) {
                let error = mean_error(&frames[index].0, &frame(Time::from_samples(tenths, 10)));
                assert!(error < 4.0, "{format:?}: frame {index} is {error} off");
            }
        }
    }

    #[test]
    fn options_that_make_no_sense_are_refused() {
        let seconds = Time::from_seconds;
        let plain = PreviewOptions::default();
        for (options, part) in [
            (PreviewOptions { from: seconds(3), ..plain }, "must end after it begins"),
            (PreviewOptions { first: Some(seconds(3)), ..plain }, "first frame's time"),
            (PreviewOptions { width: 8, ..plain }, "16 to 4096"),
            (PreviewOptions { frames_per_second: 0, ..plain }, "1 to 50"),
            (PreviewOptions { frames_per_second: 60, ..plain }, "1 to 50"),
            (PreviewOptions { quality: 5, ..plain }, "20 to 100"),
            (PreviewOptions { to: seconds(100), ..plain }, "at most 600 frames"),
        ] {
            let mut asked = 0;
            let refused = preview(&options, &mut |time| {
                asked += 1;
                Ok(frame(time))
            });
            assert!(refused.unwrap_err().to_string().contains(part), "{part}");
            assert_eq!(asked, 0, "{part}: no frame is made for it");
        }
        let flat = |_: Time| RgbImage::new(400, 10);
        let refused = preview(&plain, &mut |time| Ok(flat(time)));
        assert!(refused.unwrap_err().to_string().contains("at least 16 are needed"));
        let failed = preview(&plain, &mut |_| Err(RenderError::Cancelled));
        assert!(matches!(failed, Err(PreviewError::Frame(RenderError::Cancelled))));
    }
}
