//! What a video is written as: the file formats, what each may hold, and writing them.
//!
//! ```text
//! OutputOptions ── resolve ──► Output ── write ──► file or folder, and what came of it
//! ```
//!
//! Films are packaged from encoded segments, which are shared among viewers; previews and posters are made from frames alone.

use std::io::Write;
use std::path::Path;
use std::str::FromStr;

use crate::renderer::audio::SoundCodec;
use crate::renderer::encode::{Codec, Encoder, EncoderId, VideoProfile, resolve};
use crate::renderer::error::RenderError;
use crate::renderer::package::hls::{self, Rung};
use crate::renderer::package::preview::{
    PosterFormat, PreviewError, PreviewFormat, PreviewOptions, poster, preview,
};
use crate::renderer::plan::Plan;
use crate::renderer::render::{
    Observer, Prepared, Progress, RenderOptions, Rendered, write_hls, write_whole,
};
use crate::templates::time::Time;
use crate::templates::units::Duration;
use crate::templates::video::Video;
use crate::{Engine, Error};

/// A file format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// MP4, one file with its index first.
    #[default]
    Mp4,
    /// MP4 in fragments, which plays while it is still being sent.
    Fmp4,
    /// A folder of HLS: playlists, and CMAF media that viewers share.
    Hls,
    /// WebM: VP9 or AV1, and Opus.
    Webm,
    /// An animation for e-mail that every program shows.
    Gif,
    /// An animation for e-mail, smaller, in animated WebP.
    Webp,
    /// One frame as JPEG.
    Jpeg,
    /// One frame as PNG.
    Png,
    /// One frame as WebP.
    WebpPoster,
}

impl Format {
    /// All of them, the default first.
    pub const ALL: [Format; 9] = [
        Format::Mp4,
        Format::Fmp4,
        Format::Hls,
        Format::Webm,
        Format::Gif,
        Format::Webp,
        Format::Jpeg,
        Format::Png,
        Format::WebpPoster,
    ];

    /// The name that users write, e.g. `mp4` or `webp-poster`.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Mp4 => "mp4",
            Format::Fmp4 => "fmp4",
            Format::Hls => "hls",
            Format::Webm => "webm",
            Format::Gif => "gif",
            Format::Webp => "webp",
            Format::Jpeg => "jpeg",
            Format::Png => "png",
            Format::WebpPoster => "webp-poster",
        }
    }

    /// The endings of its files in small letters, the usual one first; for HLS, that of its playlists.
    pub fn endings(self) -> &'static [&'static str] {
        match self {
            Format::Mp4 => &["mp4", "m4v"],
            Format::Fmp4 => &["mp4", "m4v", "m4s"],
            Format::Hls => &["m3u8"],
            Format::Webm => &["webm"],
            Format::Gif => &["gif"],
            Format::Webp | Format::WebpPoster => &["webp"],
            Format::Jpeg => &["jpg", "jpeg"],
            Format::Png => &["png"],
        }
    }

    /// The format that a file with this ending, in small letters, is written in if nothing else is said.
    pub fn of_ending(ending: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.endings().contains(&ending))
    }

    /// Whether a presentation of several files in a folder is written.
    pub fn is_folder(self) -> bool {
        self == Format::Hls
    }

    /// The codecs whose pictures it holds, the default first; none for what is not a film.
    pub fn codecs(self) -> &'static [Codec] {
        match self {
            Format::Mp4 | Format::Fmp4 => &Codec::ALL,
            Format::Hls => &[Codec::H264, Codec::H265, Codec::Av1],
            Format::Webm => &[Codec::Vp9, Codec::Av1],
            Format::Gif | Format::Webp | Format::Jpeg | Format::Png | Format::WebpPoster => &[],
        }
    }

    /// Whether pictures and sound are packaged, rather than frames alone.
    pub fn is_film(self) -> bool {
        !self.codecs().is_empty()
    }

    fn is_animation(self) -> bool {
        matches!(self, Format::Gif | Format::Webp)
    }

    fn sound(self) -> SoundCodec {
        if self == Format::Webm { SoundCodec::Opus } else { SoundCodec::Aac }
    }
}

impl FromStr for Format {
    type Err = String;

    /// # Errors
    /// Names the formats that there are.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Format::ALL.into_iter().find(|format| format.as_str() == name).ok_or_else(|| {
            let names: Vec<&str> = Format::ALL.iter().map(|format| format.as_str()).collect();
            format!("there is no format `{name}`; there are {}", names.join(", "))
        })
    }
}

/// What part of a video becomes an animation, and how. What is left out has its default from [`PreviewOptions`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Excerpt {
    /// Where it begins.
    pub from: Option<Duration>,
    /// Where it ends; the video's end where that comes first.
    pub to: Option<Duration>,
    /// The moment that is shown first, which is all that some mail programs show.
    pub first: Option<Duration>,
    /// Width in pixels.
    pub width: Option<u32>,
    /// Frames per second.
    pub frames_per_second: Option<u32>,
    /// The most bytes that it may take.
    pub budget: Option<u64>,
}

/// How a video is written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OutputOptions {
    /// Default: [`Format::Mp4`].
    pub format: Format,
    /// Workers and quality.
    pub render: RenderOptions,
    /// Default: the format's first.
    pub codec: Option<Codec>,
    /// Default: software.
    pub encoder: Encoder,
    /// The shorter sides of an HLS presentation. Default: [`hls::ladder`].
    pub ladder: Vec<u32>,
    /// For animations; for posters its width alone counts.
    pub excerpt: Excerpt,
    /// The moment that a poster shows. Default: a third of the video, where most have shown what they are about.
    pub at: Option<Duration>,
}

/// What came of writing a video.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Written {
    /// Bytes of all files.
    pub bytes: u64,
    /// Segments that were encoded for it.
    pub segments_new: u64,
    /// Segments that were found, encoded before.
    pub segments_reused: u64,
    /// What was asked for and is not so, in words.
    pub notes: Vec<String>,
}

/// Options that go together, with the encoder that was chosen.
#[derive(Clone, Debug)]
pub struct Output {
    options: OutputOptions,
    encoder: Option<EncoderId>,
    /// What was asked for and is not so: options that do not go with the format, hardware that is not there.
    pub notes: Vec<String>,
}

/// Quality of JPEG and WebP posters, of 100.
const POSTER_QUALITY: u8 = 85;

impl Output {
    /// Looks whether the options go together, and chooses the encoder, which is part of every segment's name.
    ///
    /// # Errors
    /// [`Error::Options`] for a codec that the format does not hold, or a ladder for one size; an encoder that is not installed.
    pub fn resolve(options: OutputOptions) -> Result<Output, Error> {
        let format = options.format;
        let name = format.as_str();
        if format != Format::Hls && !options.ladder.is_empty() {
            return Err(Error::Options(format!("--ladder goes with hls; {name} has one size")));
        }
        if !format.is_film() {
            let mut notes = Vec::new();
            for (asked, option) in
                [(options.codec.is_some(), "--codec"), (options.encoder == Encoder::Hardware, "--hardware")]
            {
                if asked {
                    notes.push(format!("{option} is for films; it changes nothing for {name}"));
                }
            }
            return Ok(Output { options, encoder: None, notes });
        }
        let codecs = format.codecs();
        let codec = options.codec.unwrap_or(codecs[0]);
        if !codecs.contains(&codec) {
            let held: Vec<&str> = codecs.iter().map(|codec| codec.as_str()).collect();
            return Err(Error::Options(format!(
                "{name} does not hold {codec}; choose one of {}, or another format",
                held.join(", ")
            )));
        }
        let (encoder, notes) = resolve(codec, options.encoder).map_err(RenderError::from)?;
        Ok(Output { options, encoder: Some(encoder), notes })
    }

    /// What the video is written as.
    pub fn format(&self) -> Format {
        self.options.format
    }

    /// What encodes; `None` where nothing but frames is written.
    pub fn encoder(&self) -> Option<EncoderId> {
        self.encoder
    }

    /// The options that it was made of.
    pub fn options(&self) -> &OutputOptions {
        &self.options
    }

    /// The segments of `video` for each size that is written, the first being the one that players begin with; none where nothing is
    /// encoded.
    ///
    /// # Errors
    /// [`Error::Options`] for a size that the video does not have.
    pub fn plans(&self, engine: &Engine, video: &Video) -> Result<Vec<Plan>, Error> {
        let Some(encoder) = self.encoder else { return Ok(Vec::new()) };
        let frame_rate = video.canvas.frame_rate;
        let sound = self.options.format.sound();
        let plan = |width, height, quality| {
            let profile = VideoProfile { width, height, frame_rate, quality, encoder };
            engine.plan_for(video, profile).with_sound(sound)
        };
        let (canvas, least) = (video.canvas, encoder.least_side());
        let told = |width: u32, height: u32| match width.min(height) < least {
            false => Ok(()),
            true => Err(Error::Options(format!(
                "{encoder} takes no picture of {width} x {height}, whose shorter side is less than {least} pixels; choose \
                 another --codec or size"
            ))),
        };
        if self.options.format == Format::Hls {
            let rungs = self.rungs(video)?;
            rungs.iter().try_for_each(|rung| told(rung.width, rung.height))?;
            return Ok(rungs.iter().map(|rung| plan(rung.width, rung.height, rung.quality)).collect());
        }
        told(canvas.width, canvas.height)?;
        Ok(vec![plan(video.canvas.width, video.canvas.height, self.options.render.quality)])
    }

    /// The sizes of an HLS presentation: the usual ones that are not larger than the canvas, or those whose shorter sides are told.
    fn rungs(&self, video: &Video) -> Result<Vec<Rung>, Error> {
        let (canvas, quality) = (video.canvas, self.options.render.quality);
        let sides = &self.options.ladder;
        if sides.is_empty() {
            return Ok(hls::ladder(canvas.width, canvas.height, quality));
        }
        let shorter = canvas.width.min(canvas.height);
        let mut rungs = Vec::new();
        for side in sides {
            if *side < 16 || *side > shorter || side % 2 != 0 {
                return Err(Error::Options(format!(
                    "--ladder {side}: a side is even, at least 16, and at most the canvas' shorter side, {shorter}"
                )));
            }
            let rung = Rung::of_side(canvas.width, canvas.height, *side, quality);
            if rungs.contains(&rung) {
                return Err(Error::Options(format!("--ladder: {side} stands there twice")));
            }
            rungs.push(rung);
        }
        Ok(rungs)
    }

    /// Renders what is not there yet and writes it to `target`: a file, as a whole or not at all; or a folder for HLS, which is made
    /// when it is not there and whose master playlist is written last. What is written is read back and checked.
    ///
    /// # Errors
    /// A video that cannot be drawn, encoded or written; [`Error::Options`] for moments and sizes that the video does not have;
    /// [`RenderError::Cancelled`] when the observer says so.
    pub fn write(
        &self,
        engine: &Engine,
        video: &Video,
        prepared: &Prepared<'_>,
        target: &Path,
        observer: &dyn Observer,
    ) -> Result<Written, Error> {
        Ok(self.write_noted(engine, video, prepared, target, observer)?.0)
    }

    /// [`Output::write`], with what was rendered in each size; nothing where frames alone are written.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub fn write_noted(
        &self,
        engine: &Engine,
        video: &Video,
        prepared: &Prepared<'_>,
        target: &Path,
        observer: &dyn Observer,
    ) -> Result<(Written, Vec<Rendered>), Error> {
        if !self.options.format.is_film() {
            let (bytes, notes) = self.picture(video, prepared, observer)?;
            let put = |out: &mut std::io::BufWriter<std::fs::File>| {
                out.write_all(&bytes).map_err(|source| RenderError::Io {
                    operation: format!("cannot write {}", target.display()),
                    source,
                })
            };
            let whole = |written: &[u8]| match written == bytes {
                true => Ok(()),
                false => Err(RenderError::Check("the file reads back otherwise than it was written".into())),
            };
            let bytes = write_whole(target, put, whole)?;
            return Ok((Written { bytes, notes, ..Written::default() }, Vec::new()));
        }
        let plans = self.plans(engine, video)?;
        let rendered =
            prepared.render_plans(&plans, self.options.render.workers, engine.stores(), observer)?;
        let Some(first) = rendered.first() else {
            return Err(Error::Options("nothing was to be rendered".into()));
        };
        let bytes = match self.options.format {
            Format::Hls => {
                let names = self.rungs(video)?.into_iter().map(|rung| rung.name);
                let sizes: Vec<(String, &Rendered)> = names.zip(&rendered).collect();
                write_hls(target, &sizes, &video.captions)?
            }
            Format::Fmp4 => first.write_fragmented(target)?,
            Format::Webm => first.write_webm(target)?,
            _ => first.write_mp4(target)?,
        };
        let written = Written {
            bytes,
            segments_new: rendered.iter().map(|rendered| rendered.new as u64).sum(),
            segments_reused: rendered.iter().map(|rendered| rendered.reused() as u64).sum(),
            notes: Vec::new(),
        };
        Ok((written, rendered))
    }

    /// An animation or a poster, as bytes, with what was given up for its size.
    ///
    /// # Errors
    /// As [`Output::write`]; a budget that nothing keeps to.
    fn picture(
        &self,
        video: &Video,
        prepared: &Prepared<'_>,
        observer: &dyn Observer,
    ) -> Result<(Vec<u8>, Vec<String>), Error> {
        let (options, excerpt) = (&self.options, &self.options.excerpt);
        let total = video.frames();
        let moment = |option: &str, at: Duration| match at_frame(at, video) {
            frame if u64::from(frame) < u64::from(total) => Ok(frame),
            _ => Err(Error::Input(format!(
                "{option} is past the end: the video has {total} frames ({:.3} s)",
                video.duration().as_seconds()
            ))),
        };
        if !options.format.is_animation() {
            let frame = options.at.map_or(Ok(total / 3), |at| moment("--at", at))?;
            let format = match options.format {
                Format::Jpeg => PosterFormat::Jpeg(POSTER_QUALITY),
                Format::WebpPoster => PosterFormat::WebP(POSTER_QUALITY),
                _ => PosterFormat::Png,
            };
            let picture = prepared.frame(frame)?.to_rgb();
            observer.progress(Progress { done: total, found: 0, total });
            return Ok((poster(&picture, format, excerpt.width).map_err(of_preview)?, Vec::new()));
        }
        let rate = video.canvas.frame_rate;
        let defaults = PreviewOptions::default();
        let time = |frame: u32| rate.time_of(u64::from(frame));
        let from = excerpt.from.map_or(Ok(0), |at| moment("--from", at)).map(time)?;
        let to = match excerpt.to {
            Some(at) => time(at_frame(at, video)),
            None => from + defaults.to,
        };
        let first = excerpt.first.map(|at| moment("--first", at).map(time)).transpose()?;
        let wish = PreviewOptions {
            format: if options.format == Format::Gif { PreviewFormat::Gif } else { PreviewFormat::WebP },
            from,
            to: to.min(video.duration()),
            first,
            width: excerpt.width.unwrap_or(defaults.width),
            frames_per_second: excerpt.frames_per_second.unwrap_or(defaults.frames_per_second),
            budget: excerpt.budget,
            ..defaults
        };
        let length = (wish.to - wish.from).max(Time::from_ticks(1));
        let mut frame_at = |at: Time| {
            if observer.cancelled() {
                return Err(RenderError::Cancelled);
            }
            let share = (at - from).as_seconds() / length.as_seconds();
            let done = (f64::from(total) * share.clamp(0.0, 1.0)) as u32;
            observer.progress(Progress { done, found: 0, total });
            Ok(prepared.frame(frame_of(at, video))?.to_rgb())
        };
        let made = preview(&wish, &mut frame_at).map_err(of_preview)?;
        observer.progress(Progress { done: total, found: 0, total });
        Ok((made.bytes, made.notes))
    }
}

fn of_preview(error: PreviewError) -> Error {
    match error {
        PreviewError::Frame(error) => error.into(),
        PreviewError::Encode(error) => RenderError::from(error).into(),
        other @ PreviewError::Options(_) => Error::Options(other.to_string()),
        // Another viewer's pictures may well keep to it.
        other @ PreviewError::Budget { .. } => Error::Input(format!("--max-size: {other}")),
        PreviewError::Picture(message) => RenderError::Check(message).into(),
    }
}

/// The frame that shows at a moment, which may lie past the end.
pub fn at_frame(at: Duration, video: &Video) -> u32 {
    match at {
        Duration::Frames(frames) => u32::try_from(frames.max(0)).unwrap_or(u32::MAX),
        Duration::Time(time) => frame_of(time.max(Time::ZERO), video),
    }
}

/// The last frame that began at or before a time.
fn frame_of(time: Time, video: &Video) -> u32 {
    let rate = video.canvas.frame_rate;
    let near = rate.frames_in(time);
    let frame = if rate.time_of(near) > time { near.saturating_sub(1) } else { near };
    u32::try_from(frame).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_have_names_and_endings() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
            assert!(!format.endings().is_empty());
        }
        for (ending, format) in [
            ("mp4", Some(Format::Mp4)),
            ("m3u8", Some(Format::Hls)),
            ("webm", Some(Format::Webm)),
            ("webp", Some(Format::Webp)),
            ("jpg", Some(Format::Jpeg)),
            ("jpeg", Some(Format::Jpeg)),
            ("avi", None),
        ] {
            assert_eq!(Format::of_ending(ending), format, "{ending}");
        }
        assert!("avi".parse::<Format>().unwrap_err().contains("webm"));
    }

    #[test]
    fn what_does_not_go_together_is_refused_or_told() {
        let with = |format, codec| OutputOptions { format, codec, ..OutputOptions::default() };
        for (format, codec, encoder) in [
            (Format::Mp4, None, Some(Codec::H264)),
            (Format::Webm, None, Some(Codec::Vp9)),
            (Format::Webm, Some(Codec::Av1), Some(Codec::Av1)),
            (Format::Hls, Some(Codec::H265), Some(Codec::H265)),
            (Format::Gif, None, None),
        ] {
            let output = Output::resolve(with(format, codec)).unwrap();
            assert_eq!(output.encoder().map(EncoderId::codec), encoder);
            assert_eq!(output.notes, [""; 0]);
        }
        for (format, codec) in
            [(Format::Webm, Codec::H264), (Format::Hls, Codec::Vp9), (Format::Webm, Codec::H265)]
        {
            assert!(matches!(Output::resolve(with(format, Some(codec))), Err(Error::Options(_))));
        }
        let ladder = OutputOptions { ladder: vec![720], ..OutputOptions::default() };
        assert!(matches!(Output::resolve(ladder), Err(Error::Options(_))));
        let output = Output::resolve(OutputOptions {
            encoder: Encoder::Hardware,
            ..with(Format::Png, Some(Codec::Av1))
        })
        .unwrap();
        assert_eq!(output.notes.len(), 2, "{:?}", output.notes);
    }
}
