//! HLS playlists (RFC 8216 and draft-pantos-hls-rfc8216bis): from a plan alone, before anything is rendered.
//!
//! A presentation is a folder: `master.m3u8`, a folder with `index.m3u8` for each rung, one for sound and one for captions, and all media
//! under one place, shared with other videos because its names tell what it holds.

use std::fmt::Write;
use std::ops::Range;

use vignette_templates::blob::Digest;
use vignette_templates::time::{FrameRate, Time};
use vignette_templates::video::Cue;

use super::cmaf::{self, AudioTiming, audio_name, init_audio_name, init_video_name, video_name};
use super::webvtt::to_webvtt;
use crate::encode::VideoProfile;
use crate::plan::Plan;

/// The shorter sides of the default ladder, in pixels.
const SHORTER_SIDES: [u32; 3] = [1080, 720, 540];

/// The version of the playlists: the lowest that knows `EXT-X-MAP` (RFC 8216, section 7).
const VERSION: u32 = 6;

/// One size of the same video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rung {
    /// `v` and the shorter side in pixels, e.g. `v720`.
    pub name: String,
    /// Width in pixels, even.
    pub width: u32,
    /// Height in pixels, even.
    pub height: u32,
    /// Constant rate factor of x264.
    pub quality: u8,
}

/// The sizes that a canvas of `width` x `height` pixels is offered in, largest first: its shorter side at 1080, 720 and 540.
///
/// None is larger than the canvas; a canvas whose shorter side is below 1080 is offered as it is, and then at those sizes that are clearly
/// smaller (by a sixth at least). All sizes are even; the shape is kept to within a pixel.
pub fn ladder(width: u32, height: u32, quality: u8) -> Vec<Rung> {
    let shorter = width.min(height);
    let top = shorter.min(SHORTER_SIDES[0]);
    let mut sides = vec![top];
    for side in SHORTER_SIDES {
        if sides.last().is_some_and(|last| u64::from(side) * 6 <= u64::from(*last) * 5) {
            sides.push(side);
        }
    }
    sides.into_iter().map(|side| Rung::of_side(width, height, side, quality)).collect()
}

impl Rung {
    /// A canvas of `width` x `height` pixels with its shorter side at `side`, an even number not larger than it.
    pub fn of_side(width: u32, height: u32, side: u32, quality: u8) -> Rung {
        let shorter = width.min(height);
        let scaled = |length: u32| {
            let exact = u64::from(length) * u64::from(side);
            // To the nearest even number, at least 2 and never more than there is.
            let twice = u64::from(shorter.max(1)) * 2;
            (2 * ((exact + twice / 2) / twice)).clamp(2, u64::from(length & !1).max(2)) as u32
        };
        Rung { name: format!("v{side}"), width: scaled(width), height: scaled(height), quality }
    }
}

/// A media segment as a playlist names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its file's name.
    pub name: String,
    /// How long it plays, in ticks of its track's clock.
    pub ticks: u64,
}

/// The files of one track, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// The file's name of its header.
    pub header: String,
    /// Ticks per second.
    pub timescale: u32,
    /// The media segments.
    pub pieces: Vec<Piece>,
}

/// Bits per second of a track or of several together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BitRates {
    /// The most over any stretch of about a target duration.
    pub peak: u64,
    /// Over the whole.
    pub average: u64,
}

impl Track {
    /// The pictures of a plan.
    pub fn video(plan: &Plan) -> Self {
        let rate = plan.profile.frame_rate;
        let pieces = plan.segments.iter().map(|segment| Piece {
            name: video_name(segment.key, segment.first_frame),
            ticks: u64::from(segment.range.len()) * u64::from(rate.den()),
        });
        Track { header: init_video_name(&plan.profile), timescale: rate.num(), pieces: pieces.collect() }
    }

    /// The sound named `key`.
    pub fn audio(key: Digest, timing: &AudioTiming) -> Self {
        let piece =
            |units: Range<usize>| Piece { ticks: timing.played(&units), name: audio_name(key, units.start) };
        let pieces = timing.segments().into_iter().map(piece).collect();
        Track { header: init_audio_name(key), timescale: timing.sample_rate, pieces }
    }

    /// Length in ticks of its clock.
    pub fn ticks(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.ticks).sum()
    }

    /// The length of its longest segment in whole seconds, rounded as the target duration counts (RFC 8216, section 4.3.3.1).
    pub fn longest_seconds(&self) -> u64 {
        let longest = self.pieces.iter().map(|piece| piece.ticks).max().unwrap_or(0);
        let timescale = u64::from(self.timescale.max(1));
        (longest + timescale / 2) / timescale
    }

    /// Bit rates, when the segments have these lengths in bytes: the peak over runs of segments that last between half a
    /// target duration and one and a half (draft-pantos-hls-rfc8216bis, section 4.4.6.2), rounded up.
    pub fn bit_rates(&self, bytes: &[u64], target_seconds: u64) -> BitRates {
        let timescale = u64::from(self.timescale.max(1));
        let rate = |bytes: u64, ticks: u64| match ticks {
            0 => 0,
            ticks => {
                let bits = u128::from(bytes) * 8 * u128::from(timescale);
                u64::try_from(bits.div_ceil(u128::from(ticks))).unwrap_or(u64::MAX)
            }
        };
        let sizes: Vec<(u64, u64)> =
            self.pieces.iter().map(|piece| piece.ticks).zip(bytes.iter().copied()).collect();
        let average = rate(sizes.iter().map(|size| size.1).sum(), self.ticks());
        let mut peak = average;
        for start in 0..sizes.len() {
            let (mut ticks, mut total) = (0u64, 0u64);
            for (length, bytes) in &sizes[start..] {
                ticks += length;
                total += bytes;
                if ticks * 2 > target_seconds * timescale * 3 {
                    break;
                }
                if ticks * 2 >= target_seconds * timescale {
                    peak = peak.max(rate(total, ticks));
                }
            }
        }
        BitRates { peak, average }
    }

    /// The media playlist, for players that find media files behind `base` (relative to the playlist, or a whole URL, with `/` at its end).
    pub fn playlist(&self, base: &str, target_seconds: u64) -> String {
        let mut text = playlist_head(target_seconds);
        let _ = writeln!(text, "#EXT-X-MAP:URI=\"{base}{}\"", self.header);
        let mut end = 0;
        for piece in &self.pieces {
            let start = end;
            end += piece.ticks;
            let _ = writeln!(text, "#EXTINF:{},\n{base}{}", seconds(start..end, self.timescale), piece.name);
        }
        text.push_str("#EXT-X-ENDLIST\n");
        text
    }
}

/// What every media playlist begins with.
fn playlist_head(target_seconds: u64) -> String {
    format!(
        "#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-TARGETDURATION:{target_seconds}\n#EXT-X-MEDIA-SEQUENCE:0\n\
         #EXT-X-PLAYLIST-TYPE:VOD\n"
    )
}

/// The length of a stretch in seconds, to a microsecond. Both its ends are rounded, so that lengths add up to the whole without drift.
fn seconds(stretch: Range<u64>, timescale: u32) -> String {
    let timescale = u128::from(timescale.max(1));
    let micros = |ticks: u64| (u128::from(ticks) * 1_000_000 + timescale / 2) / timescale;
    let length = micros(stretch.end) - micros(stretch.start);
    format!("{}.{:06}", length / 1_000_000, length % 1_000_000)
}

/// One size of the pictures, as the master playlist offers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The name of its folder: letters, digits, `-` and `_`.
    pub name: String,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Frames per second.
    pub frame_rate: FrameRate,
    /// The codec as RFC 6381 has it.
    pub codec: String,
    /// Its files.
    pub track: Track,
    /// Of the pictures alone.
    pub rates: BitRates,
}

impl Variant {
    /// The pictures of a plan, not rendered yet; `rates` are an estimate.
    pub fn planned(name: &str, plan: &Plan, rates: BitRates) -> Self {
        let VideoProfile { width, height, frame_rate, .. } = plan.profile;
        Variant {
            name: name.to_owned(),
            width,
            height,
            frame_rate,
            codec: plan.profile.planned_name(),
            track: Track::video(plan),
            rates,
        }
    }
}

/// The sound, as the master playlist offers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sound {
    /// BCP 47 tag of its language.
    pub language: String,
    /// Channels.
    pub channels: u16,
    /// The codec as RFC 6381 has it.
    pub codec: String,
    /// Its files.
    pub track: Track,
    /// Of the sound alone.
    pub rates: BitRates,
}

impl Sound {
    /// The sound named `key` of a video of that `length`, not encoded yet: AAC-LC, stereo, at its nominal rate.
    pub fn planned(key: Digest, length: Time, locale: &str) -> Self {
        let rate = u64::from(crate::audio::BITRATE);
        Sound {
            language: locale.to_owned(),
            channels: 2,
            codec: "mp4a.40.2".into(),
            track: Track::audio(key, &AudioTiming::planned(length)),
            // Units vary around the nominal rate, and boxes come on top.
            rates: BitRates { peak: rate * 3 / 2, average: rate + rate / 20 },
        }
    }

    /// The sound named `key` as it was encoded; `rates` are still to be measured. `None` when its configuration is cut short.
    pub fn encoded(key: Digest, track: &crate::audio::AacTrack, locale: &str) -> Option<Self> {
        Some(Sound {
            language: locale.to_owned(),
            channels: track.channels,
            codec: cmaf::aac_codec(&track.config)?,
            track: Track::audio(key, &AudioTiming::of(track)),
            rates: BitRates::default(),
        })
    }
}

/// Captions, as the master playlist offers them: one WebVTT file for the whole video.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captions {
    /// BCP 47 tag of their language.
    pub language: String,
    /// The WebVTT file.
    pub webvtt: String,
    /// The video's length.
    pub length: Time,
}

impl Captions {
    /// Captions of these cues; `None` when there are none.
    pub fn new(cues: &[Cue], locale: &str, length: Time) -> Option<Self> {
        (!cues.is_empty()).then(|| Captions { language: locale.to_owned(), webvtt: to_webvtt(cues), length })
    }

    /// The playlist of the one file. It has no `X-TIMESTAMP-MAP`: media time starts at 0, which is what its absence means
    /// (RFC 8216, section 3.5).
    fn playlist(&self) -> String {
        let ticks = u64::try_from(self.length.ticks()).unwrap_or(0);
        let timescale = Time::TICKS_PER_SECOND as u32;
        let target = ticks.div_ceil(u64::from(timescale)).max(1);
        let mut text = playlist_head(target);
        let _ = write!(text, "#EXTINF:{},\n{CAPTIONS_FILE}\n#EXT-X-ENDLIST\n", seconds(0..ticks, timescale));
        text
    }
}

/// The name of the folder of media files beside the folders of playlists.
pub const MEDIA_FOLDER: &str = "s";
/// The name of the master playlist.
pub const MASTER: &str = "master.m3u8";
const SOUND_FOLDER: &str = "audio";
const CAPTIONS_FOLDER: &str = "captions";
const CAPTIONS_FILE: &str = "captions.vtt";

/// A video as HLS: everything that its playlists tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presentation {
    /// The sizes; players begin with the first until they know their connection.
    pub variants: Vec<Variant>,
    /// The sound, shared by all sizes.
    pub sound: Option<Sound>,
    /// The captions.
    pub captions: Option<Captions>,
}

impl Presentation {
    /// The target duration of pictures and sound alike, which RFC 8216 (section 6.2.4) wants to be one.
    pub fn target_seconds(&self) -> u64 {
        let sound = self.sound.iter().map(|sound| &sound.track);
        let tracks = self.variants.iter().map(|variant| &variant.track).chain(sound);
        tracks.map(Track::longest_seconds).max().unwrap_or(0).max(1)
    }

    /// Every playlist and the captions, as path below the presentation's folder and content; the master playlist is the last.
    ///
    /// Media files are looked for behind `media`: `None` means in [`MEDIA_FOLDER`] of the presentation's own folder; a URL
    /// ends in `/`.
    pub fn files(&self, media: Option<&str>) -> Vec<(String, String)> {
        let own = format!("../{MEDIA_FOLDER}/");
        let base = media.unwrap_or(&own);
        let target = self.target_seconds();
        let mut files: Vec<(String, String)> = Vec::new();
        for variant in &self.variants {
            files.push((format!("{}/index.m3u8", variant.name), variant.track.playlist(base, target)));
        }
        if let Some(sound) = &self.sound {
            files.push((format!("{SOUND_FOLDER}/index.m3u8"), sound.track.playlist(base, target)));
        }
        if let Some(captions) = &self.captions {
            files.push((format!("{CAPTIONS_FOLDER}/{CAPTIONS_FILE}"), captions.webvtt.clone()));
            files.push((format!("{CAPTIONS_FOLDER}/index.m3u8"), captions.playlist()));
        }
        files.push((MASTER.to_owned(), self.master()));
        files
    }

    /// The master playlist.
    fn master(&self) -> String {
        let mut text = format!("#EXTM3U\n#EXT-X-VERSION:{VERSION}\n#EXT-X-INDEPENDENT-SEGMENTS\n");
        if let Some(sound) = &self.sound {
            let _ = writeln!(
                text,
                "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME={name},LANGUAGE={name},DEFAULT=YES,AUTOSELECT=YES,\
                 CHANNELS=\"{}\",URI=\"{SOUND_FOLDER}/index.m3u8\"",
                sound.channels,
                name = quoted(&sound.language),
            );
        }
        if let Some(captions) = &self.captions {
            let _ = writeln!(
                text,
                "#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"captions\",NAME={name},LANGUAGE={name},DEFAULT=NO,AUTOSELECT=YES,\
                 FORCED=NO,URI=\"{CAPTIONS_FOLDER}/index.m3u8\"",
                name = quoted(&captions.language),
            );
        }
        for variant in &self.variants {
            let (mut rates, mut codecs) = (variant.rates, variant.codec.clone());
            let mut groups = String::new();
            if let Some(sound) = &self.sound {
                rates.peak += sound.rates.peak;
                rates.average += sound.rates.average;
                let _ = write!(codecs, ",{}", sound.codec);
                groups.push_str(",AUDIO=\"audio\"");
            }
            if self.captions.is_some() {
                groups.push_str(",SUBTITLES=\"captions\"");
            }
            let rate = variant.frame_rate;
            let thousandths =
                (u64::from(rate.num()) * 1000 + u64::from(rate.den()) / 2) / u64::from(rate.den());
            let _ = writeln!(
                text,
                "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={},CODECS=\"{codecs}\",RESOLUTION={}x{},\
                 FRAME-RATE={}.{:03}{groups}\n{}/index.m3u8",
                rates.peak,
                rates.average,
                variant.width,
                variant.height,
                thousandths / 1000,
                thousandths % 1000,
                variant.name,
            );
        }
        text
    }

    /// The first variant whose name cannot be a folder of its own, because it is empty or long, holds other signs than letters, digits,
    /// `-` and `_`, or is another's.
    pub(super) fn bad_name(&self) -> Option<&str> {
        let mut taken = vec![MEDIA_FOLDER, SOUND_FOLDER, CAPTIONS_FOLDER];
        self.variants.iter().map(|variant| variant.name.as_str()).find(|name| {
            let plain = |sign: u8| sign.is_ascii_alphanumeric() || sign == b'-' || sign == b'_';
            let good = (1..=64).contains(&name.len()) && name.bytes().all(plain) && !taken.contains(name);
            taken.push(name);
            !good
        })
    }
}

/// A quoted string (RFC 8216, section 4.2). It cannot hold quotes or line breaks, which no language tag has; they are left out.
fn quoted(text: &str) -> String {
    let inner: String = text.chars().filter(|sign| *sign != '"' && !sign.is_control()).collect();
    format!("\"{inner}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ladders_keep_the_shape_and_never_enlarge() {
        for (canvas, expected) in [
            ([1920, 1080], &[[1920, 1080], [1280, 720], [960, 540]][..]),
            ([1080, 1920], &[[1080, 1920], [720, 1280], [540, 960]]),
            ([1080, 1080], &[[1080, 1080], [720, 720], [540, 540]]),
            ([3840, 2160], &[[1920, 1080], [1280, 720], [960, 540]]),
            ([1280, 720], &[[1280, 720], [960, 540]]),
            ([1920, 800], &[[1920, 800], [1296, 540]]),
            ([800, 600], &[[800, 600]]),
            ([648, 648], &[[648, 648], [540, 540]]),
            ([160, 90], &[[160, 90]]),
            ([16, 16], &[[16, 16]]),
            ([7680, 16], &[[7680, 16]]),
        ] {
            let rungs = ladder(canvas[0], canvas[1], 23);
            let sizes: Vec<[u32; 2]> = rungs.iter().map(|rung| [rung.width, rung.height]).collect();
            assert_eq!(sizes, expected, "{canvas:?}");
        }
        let names: Vec<String> = ladder(1080, 1920, 23).into_iter().map(|rung| rung.name).collect();
        assert_eq!(names, ["v1080", "v720", "v540"]);
        // Every shape that a canvas can have, and those that none can.
        for width in (0..7680).step_by(37) {
            for height in (0..7680).step_by(41) {
                for rung in ladder(width, height, 23) {
                    assert!(rung.width.is_multiple_of(2) && rung.height.is_multiple_of(2));
                    assert!(rung.width <= width.max(2) && rung.height <= height.max(2), "{width}x{height}");
                }
            }
        }
    }

    fn track(timescale: u32, ticks: &[u64]) -> Track {
        let pieces = ticks.iter().enumerate();
        let pieces = pieces.map(|(index, ticks)| Piece { name: format!("{index}.m4s"), ticks: *ticks });
        Track { header: "h.mp4".into(), timescale, pieces: pieces.collect() }
    }

    #[test]
    fn a_media_playlist_is_exact() {
        let text = track(30, &[15, 60, 1, 1, 1]).playlist("../s/", 2);
        assert_eq!(
            text,
            "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n\
             #EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-MAP:URI=\"../s/h.mp4\"\n\
             #EXTINF:0.500000,\n../s/0.m4s\n#EXTINF:2.000000,\n../s/1.m4s\n\
             #EXTINF:0.033333,\n../s/2.m4s\n#EXTINF:0.033334,\n../s/3.m4s\n#EXTINF:0.033333,\n../s/4.m4s\n\
             #EXT-X-ENDLIST\n"
        );
    }

    #[test]
    fn lengths_add_up_without_drift() {
        let ticks: Vec<u64> = (0..5000).map(|index| 1001 * (6 + index % 55)).collect();
        let text = track(30000, &ticks).playlist("", 2);
        let micros: u64 = text
            .lines()
            .filter_map(|line| line.strip_prefix("#EXTINF:")?.strip_suffix(','))
            .map(|seconds| seconds.replace('.', "").parse::<u64>().unwrap())
            .sum();
        let exact = ticks.iter().sum::<u64>() * 1_000_000;
        assert!((micros * 30000).abs_diff(exact) <= 15000, "{micros}");
    }

    #[test]
    fn bit_rates_are_those_of_the_specification() {
        type Row = (&'static str, &'static [u64], &'static [u64], u64, u64);
        let rows: [Row; 5] = [
            ("even", &[20, 20, 20], &[1000, 1000, 1000], 4000, 4000),
            ("a large one", &[20, 20, 20], &[1000, 4000, 1000], 16000, 8000),
            ("a short one counts with its neighbours only", &[20, 5, 20], &[1000, 2000, 1000], 9600, 7112),
            ("shorter than half a target", &[5], &[1000], 16000, 16000),
            ("nothing", &[], &[], 0, 0),
        ];
        for (name, ticks, bytes, peak, average) in rows {
            let rates = track(10, ticks).bit_rates(bytes, 2);
            assert_eq!(rates, BitRates { peak, average }, "{name}");
        }
    }

    fn presentation() -> Presentation {
        let variant = |name: &str, width, height, peak| Variant {
            name: name.into(),
            width,
            height,
            frame_rate: FrameRate::new(30000, 1001).unwrap(),
            codec: "avc1.640028".into(),
            track: track(30000, &[15015, 60060]),
            rates: BitRates { peak, average: peak / 2 },
        };
        let cue = Cue { start: Time::ZERO, end: Time::from_seconds(2), text: "Hello".into() };
        Presentation {
            variants: vec![variant("v1080", 1920, 1080, 4_000_000), variant("v540", 960, 540, 900_000)],
            sound: Some(Sound::planned(Digest::of(b"sound"), Time::from_seconds(3), "en-GB")),
            captions: Captions::new(&[cue], "en-GB", Time::from_seconds(3)),
        }
    }

    #[test]
    fn the_master_playlist_comes_last_and_names_all() {
        let files = presentation().files(None);
        let names: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
        let expected = [
            "v1080/index.m3u8",
            "v540/index.m3u8",
            "audio/index.m3u8",
            "captions/captions.vtt",
            "captions/index.m3u8",
            "master.m3u8",
        ];
        assert_eq!(names, expected);
        assert_eq!(
            files[5].1,
            "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-INDEPENDENT-SEGMENTS\n\
             #EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"audio\",NAME=\"en-GB\",LANGUAGE=\"en-GB\",DEFAULT=YES,AUTOSELECT=YES,\
             CHANNELS=\"2\",URI=\"audio/index.m3u8\"\n\
             #EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID=\"captions\",NAME=\"en-GB\",LANGUAGE=\"en-GB\",DEFAULT=NO,\
             AUTOSELECT=YES,FORCED=NO,URI=\"captions/index.m3u8\"\n\
             #EXT-X-STREAM-INF:BANDWIDTH=4240000,AVERAGE-BANDWIDTH=2168000,CODECS=\"avc1.640028,mp4a.40.2\",\
             RESOLUTION=1920x1080,FRAME-RATE=29.970,AUDIO=\"audio\",SUBTITLES=\"captions\"\nv1080/index.m3u8\n\
             #EXT-X-STREAM-INF:BANDWIDTH=1140000,AVERAGE-BANDWIDTH=618000,CODECS=\"avc1.640028,mp4a.40.2\",\
             RESOLUTION=960x540,FRAME-RATE=29.970,AUDIO=\"audio\",SUBTITLES=\"captions\"\nv540/index.m3u8\n"
        );
        assert!(files[4].1.contains("#EXTINF:3.000000,\ncaptions.vtt\n"), "{}", files[4].1);
        let elsewhere = presentation().files(Some("https://cdn.example/s/"));
        assert!(elsewhere[0].1.contains("\nhttps://cdn.example/s/0.m4s\n"), "{}", elsewhere[0].1);
        assert!(elsewhere[0].1.contains("URI=\"https://cdn.example/s/h.mp4\""), "{}", elsewhere[0].1);
    }

    #[test]
    fn all_media_playlists_have_one_target() {
        let mut presentation = presentation();
        presentation.variants[1].track = track(30, &[90]);
        for (path, text) in presentation.files(None) {
            if path.starts_with('v') || path.starts_with("audio") {
                assert!(text.contains("#EXT-X-TARGETDURATION:3\n"), "{path}");
            }
        }
    }

    #[test]
    fn names_are_folders_of_their_own() {
        for name in ["", "s", "audio", "captions", "v540", "../x", "a b", "a\"b", &"x".repeat(65)] {
            let mut presentation = presentation();
            presentation.variants[0].name = name.into();
            assert!(presentation.bad_name().is_some(), "{name}");
        }
        assert_eq!(presentation().bad_name(), None);
    }

    #[test]
    fn languages_cannot_break_out_of_their_quotes() {
        let mut presentation = presentation();
        if let Some(sound) = &mut presentation.sound {
            sound.language = "en\",URI=\"x\n#EXT".into();
        }
        let master = presentation.master();
        assert!(master.contains("LANGUAGE=\"en,URI=x#EXT\",DEFAULT"), "{master}");
    }
}
