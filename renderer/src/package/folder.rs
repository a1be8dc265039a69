//! A whole HLS presentation in a folder: media first, by name, then what points to it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vignette_templates::blob::Digest;
use vignette_templates::video::Cue;

use super::cmaf::{
    AudioTiming, CmafError, audio_key, audio_name, audio_segment, init_audio, init_audio_name, init_video,
    init_video_name, video_name, video_segment,
};
use super::facts::{FragmentReader, Kind};
use super::hls::{BitRates, Captions, MASTER, MEDIA_FOLDER, Presentation, Sound, Track, Variant};
use crate::audio::AacTrack;
use crate::encode::VideoProfile;
use crate::error::RenderError;
use crate::plan::{Plan, Segment};
use crate::render::write_whole;
use crate::segment::EncodedSegment;

/// A folder that takes a presentation. Media files may come in any order and from several threads.
#[derive(Clone, Debug)]
pub struct HlsFolder {
    root: PathBuf,
}

/// One size of a video that is encoded.
#[derive(Clone, Copy, Debug)]
pub struct HlsRung<'a> {
    /// The name of its folder, e.g. `v1080`: letters, digits, `-` and `_`.
    pub name: &'a str,
    /// What was rendered.
    pub plan: &'a Plan,
    /// The plan's segments, encoded.
    pub segments: &'a [Arc<EncodedSegment>],
}

/// A video that is encoded, in one or more sizes.
#[derive(Clone, Copy, Debug)]
pub struct HlsMovie<'a> {
    /// The sizes; players begin with the first.
    pub rungs: &'a [HlsRung<'a>],
    /// The sound, as long as the pictures.
    pub audio: Option<&'a AacTrack>,
    /// The captions; none gives no caption track.
    pub captions: &'a [Cue],
    /// BCP 47 tag of the language of sound and captions.
    pub locale: &'a str,
}

/// Writes `movie` into `folder`, which is made when it is not there. Returns the bytes of all files of the presentation.
///
/// # Errors
/// What the file system says; segments that do not belong together; a check that fails. Then no master playlist stands in the folder that
/// was not there before.
pub fn write_hls(folder: &Path, movie: &HlsMovie<'_>) -> Result<u64, RenderError> {
    let to = HlsFolder::open(folder)?;
    let mut variants = Vec::new();
    for rung in movie.rungs {
        if rung.plan.segments.len() != rung.segments.len() {
            return Err(RenderError::Check(format!(
                "{} segments instead of {}",
                rung.segments.len(),
                rung.plan.segments.len()
            )));
        }
        for (segment, encoded) in rung.plan.segments.iter().zip(rung.segments) {
            to.put_segment(&rung.plan.profile, segment, encoded)?;
        }
        let mut variant = Variant::planned(rung.name, rung.plan, BitRates::default());
        let config = rung.segments.first().map(|segment| segment.config.as_slice()).unwrap_or_default();
        variant.codec =
            rung.plan.profile.codec().name_of(config).ok_or_else(|| damaged("the decoder configuration"))?;
        variants.push(variant);
    }
    let sound = match movie.audio {
        Some(track) => {
            let key = audio_key(track);
            to.put_sound(key, track)?;
            Some(
                Sound::encoded(key, track, movie.locale)
                    .ok_or_else(|| damaged("the sound's configuration"))?,
            )
        }
        None => None,
    };
    let captions = movie.rungs.first().and_then(|rung| {
        let frames: u64 = rung.plan.segments.iter().map(|segment| u64::from(segment.range.len())).sum();
        Captions::new(movie.captions, movie.locale, rung.plan.profile.frame_rate.time_of(frames))
    });
    to.finish(Presentation { variants, sound, captions })
}

impl HlsFolder {
    /// Takes the folder at `root`, and makes it when it is not there.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(root: &Path) -> Result<Self, RenderError> {
        let media = root.join(MEDIA_FOLDER);
        fs::create_dir_all(&media)
            .map_err(|error| RenderError::io(format!("cannot create {}", media.display()), error))?;
        Ok(HlsFolder { root: root.to_owned() })
    }

    /// Writes the media segment of `segment`, and the header of its profile. Files that are there already are kept.
    ///
    /// # Errors
    /// What the file system says; a damaged segment; one with another decoder configuration than the header that is there.
    pub fn put_segment(
        &self,
        profile: &VideoProfile,
        segment: &Segment,
        encoded: &EncodedSegment,
    ) -> Result<(), RenderError> {
        self.put_header(&init_video_name(profile), &init_video(profile, &encoded.config))?;
        let bytes = video_segment(encoded, profile, segment.first_frame).map_err(fault)?;
        self.put(&video_name(segment.key, segment.first_frame), &bytes)
    }

    /// Writes the sound's header and media segments under names that begin with `key`. Files that are there already are kept.
    ///
    /// # Errors
    /// What the file system says; another header of that name.
    pub fn put_sound(&self, key: Digest, track: &AacTrack) -> Result<(), RenderError> {
        self.put_header(&init_audio_name(key), &init_audio(track))?;
        for units in AudioTiming::of(track).segments() {
            let name = audio_name(key, units.start);
            self.put(&name, &audio_segment(track, units).map_err(fault)?)?;
        }
        Ok(())
    }

    /// Checks that all media is there and fits together, measures its bit rates, and writes playlists and captions, the master
    /// playlist last: the folder is playable once it is there. Returns the bytes of all files of the presentation.
    ///
    /// # Errors
    /// What the file system says; media that is missing or damaged, or that differs in length.
    pub fn finish(&self, mut presentation: Presentation) -> Result<u64, RenderError> {
        if let Some(name) = presentation.bad_name() {
            return Err(RenderError::Check(format!("a rung cannot be named `{name}`")));
        }
        let target = presentation.target_seconds();
        let mut total = 0;
        let mut lengths = Vec::new();
        for variant in &mut presentation.variants {
            let read = self.read_back(&variant.track, Kind::Video)?;
            total += read.bytes;
            variant.rates = variant.track.bit_rates(&read.sizes, target);
            lengths.push(read.micros);
        }
        if let Some(sound) = &mut presentation.sound {
            let read = self.read_back(&sound.track, Kind::Audio)?;
            total += read.bytes;
            sound.rates = sound.track.bit_rates(&read.sizes, target);
            lengths.push(read.micros);
        }
        let frame = presentation
            .variants
            .iter()
            .map(|variant| variant.frame_rate)
            .map(|rate| u128::from(rate.den()) * 1_000_000 / u128::from(rate.num()));
        let spread = lengths.iter().max().zip(lengths.iter().min()).map_or(0, |(most, least)| most - least);
        if frame.min().is_some_and(|frame| spread > frame) {
            return Err(RenderError::Check("tracks differ in length by more than a frame".into()));
        }
        // Playlists that do not belong together must not be found by way of an old one.
        match fs::remove_file(self.root.join(MASTER)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(RenderError::io(
                    format!("cannot replace {}", self.root.join(MASTER).display()),
                    error,
                ));
            }
            _ => {}
        }
        for (path, text) in presentation.files(None) {
            let path = self.root.join(path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)
                    .map_err(|error| RenderError::io(format!("cannot create {}", parent.display()), error))?;
            }
            total += write_exactly(&path, text.as_bytes())?;
        }
        Ok(total)
    }

    /// Writes a media file unless one of that name and length is there.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), RenderError> {
        let path = self.root.join(MEDIA_FOLDER).join(name);
        if fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() == bytes.len() as u64) {
            return Ok(());
        }
        write_exactly(&path, bytes).map(|_| ())
    }

    /// Writes a header unless it is there. Another one of its name would belong to segments of another encoder.
    fn put_header(&self, name: &str, bytes: &[u8]) -> Result<(), RenderError> {
        let path = self.root.join(MEDIA_FOLDER).join(name);
        match fs::read(&path) {
            Ok(found) if found == bytes => Ok(()),
            Ok(_) => Err(RenderError::Check(format!(
                "{} was written by another encoder than this one's; write to an empty folder, or remove it with its segments",
                path.display()
            ))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => write_exactly(&path, bytes).map(|_| ()),
            Err(error) => Err(RenderError::io(format!("cannot read {}", path.display()), error)),
        }
    }

    /// Reads all files of a track and holds them against its playlist.
    fn read_back(&self, track: &Track, kind: Kind) -> Result<ReadBack, RenderError> {
        let read = |name: &str| {
            let path = self.root.join(MEDIA_FOLDER).join(name);
            fs::read(&path)
                .map_err(|error| RenderError::io(format!("cannot read back {}", path.display()), error))
        };
        let wrong = |name: &str, what: &dyn std::fmt::Display| RenderError::Check(format!("{name}: {what}"));
        let header = read(&track.header)?;
        let mut reader = FragmentReader::new(&header).map_err(|damage| wrong(&track.header, &damage))?;
        let mut sizes = Vec::with_capacity(track.pieces.len());
        for piece in &track.pieces {
            let bytes = read(&piece.name)?;
            reader.segment(&bytes).map_err(|damage| wrong(&piece.name, &damage))?;
            sizes.push(bytes.len() as u64);
        }
        let facts = match reader.finish().as_slice() {
            [facts] if facts.kind == kind => facts.clone(),
            _ => return Err(wrong(&track.header, &"it has other tracks than it should")),
        };
        if facts.played() != track.ticks() || facts.timescale != track.timescale {
            return Err(wrong(
                &track.header,
                &format!("{} ticks of media instead of {}", facts.played(), track.ticks()),
            ));
        }
        let micros = u128::from(facts.played()) * 1_000_000 / u128::from(facts.timescale.max(1));
        Ok(ReadBack { bytes: header.len() as u64 + sizes.iter().sum::<u64>(), sizes, micros })
    }
}

struct ReadBack {
    bytes: u64,
    sizes: Vec<u64>,
    micros: u128,
}

fn write_exactly(path: &Path, bytes: &[u8]) -> Result<u64, RenderError> {
    write_whole(
        path,
        |out| {
            out.write_all(bytes)
                .map_err(|error| RenderError::io(format!("cannot write {}", path.display()), error))
        },
        |written| match written == bytes {
            true => Ok(()),
            false => Err(RenderError::Check(format!("{} reads back otherwise", path.display()))),
        },
    )
}

fn damaged(what: &str) -> RenderError {
    RenderError::Check(format!("{what} of an encoded segment is cut short"))
}

/// A packaging fault as that of a render: what is packaged was made here.
pub(crate) fn fault(error: CmafError) -> RenderError {
    RenderError::Check(error.to_string())
}
