//! Which codec, and which of its encoders.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use gst::prelude::*;
use vignette_templates::blob::Digest;
use vignette_templates::time::FrameRate;

use super::run::SegmentEncoder;
use super::settings;
use super::{EncodeError, VideoProfile};
use crate::frame::I420Frame;
use crate::segment::EncodedSegment;

/// How pictures are coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Codec {
    /// H.264, Advanced Video Coding (ITU-T H.264): plays everywhere.
    #[default]
    H264,
    /// H.265, High Efficiency Video Coding (ITU-T H.265): plays on Apple's devices, and where hardware decodes it.
    H265,
    /// AV1 (AOMedia): plays in browsers of recent years.
    Av1,
    /// VP9: plays in browsers, in WebM.
    Vp9,
}

impl Codec {
    /// All of them, the default first.
    pub const ALL: [Codec; 4] = [Codec::H264, Codec::H265, Codec::Av1, Codec::Vp9];

    /// The name that users write: `h264`, `h265`, `av1` or `vp9`.
    pub fn as_str(self) -> &'static str {
        match self {
            Codec::H264 => "h264",
            Codec::H265 => "h265",
            Codec::Av1 => "av1",
            Codec::Vp9 => "vp9",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Codec {
    type Err = String;

    /// # Errors
    /// Names the codecs that there are.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Codec::ALL.into_iter().find(|codec| codec.as_str() == name);
        found.ok_or_else(|| format!("there is no codec `{name}`; there are h264, h265, av1 and vp9"))
    }
}

/// What is to encode, as asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoder {
    /// A program on the processor: the same bytes on every machine with the same version of it.
    #[default]
    Software,
    /// Graphics hardware where there is some, otherwise software. Its bytes depend on device and driver.
    Hardware,
}

/// One encoder: an element of GStreamer. Part of a segment's key, because each gives other bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EncoderId {
    /// H.264 by x264.
    #[default]
    X264,
    /// H.265 by x265.
    X265,
    /// AV1 by SVT-AV1.
    SvtAv1,
    /// AV1 by libaom.
    Aom,
    /// VP9 by libvpx.
    Vpx,
    /// H.264 by a VA-API device.
    VaH264,
    /// H.265 by a VA-API device.
    VaH265,
    /// AV1 by a VA-API device.
    VaAv1,
    /// H.264 by a VA-API device, through the older plug-in.
    VaapiH264,
    /// H.265 by a VA-API device, through the older plug-in.
    VaapiH265,
    /// H.264 by NVENC.
    NvH264,
    /// H.265 by NVENC.
    NvH265,
    /// AV1 by NVENC.
    NvAv1,
    /// H.264 by a Video4Linux device.
    V4l2H264,
    /// H.265 by a Video4Linux device.
    V4l2H265,
    /// H.264 by Intel Quick Sync.
    QsvH264,
    /// H.265 by Intel Quick Sync.
    QsvH265,
    /// AV1 by Intel Quick Sync.
    QsvAv1,
}

impl EncoderId {
    /// All of them; of several for one codec the preferred first.
    const ALL: [EncoderId; 18] = [
        EncoderId::X264,
        EncoderId::X265,
        EncoderId::SvtAv1,
        EncoderId::Aom,
        EncoderId::Vpx,
        EncoderId::VaH264,
        EncoderId::VaH265,
        EncoderId::VaAv1,
        EncoderId::VaapiH264,
        EncoderId::VaapiH265,
        EncoderId::NvH264,
        EncoderId::NvH265,
        EncoderId::NvAv1,
        EncoderId::V4l2H264,
        EncoderId::V4l2H265,
        EncoderId::QsvH264,
        EncoderId::QsvH265,
        EncoderId::QsvAv1,
    ];

    /// The element's name in GStreamer, e.g. `x264enc`.
    pub fn element(self) -> &'static str {
        match self {
            EncoderId::X264 => "x264enc",
            EncoderId::X265 => "x265enc",
            EncoderId::SvtAv1 => "svtav1enc",
            EncoderId::Aom => "av1enc",
            EncoderId::Vpx => "vp9enc",
            EncoderId::VaH264 => "vah264enc",
            EncoderId::VaH265 => "vah265enc",
            EncoderId::VaAv1 => "vaav1enc",
            EncoderId::VaapiH264 => "vaapih264enc",
            EncoderId::VaapiH265 => "vaapih265enc",
            EncoderId::NvH264 => "nvh264enc",
            EncoderId::NvH265 => "nvh265enc",
            EncoderId::NvAv1 => "nvav1enc",
            EncoderId::V4l2H264 => "v4l2h264enc",
            EncoderId::V4l2H265 => "v4l2h265enc",
            EncoderId::QsvH264 => "qsvh264enc",
            EncoderId::QsvH265 => "qsvh265enc",
            EncoderId::QsvAv1 => "qsvav1enc",
        }
    }

    /// What it encodes to.
    pub fn codec(self) -> Codec {
        match self {
            EncoderId::X264
            | EncoderId::VaH264
            | EncoderId::VaapiH264
            | EncoderId::NvH264
            | EncoderId::V4l2H264
            | EncoderId::QsvH264 => Codec::H264,
            EncoderId::X265
            | EncoderId::VaH265
            | EncoderId::VaapiH265
            | EncoderId::NvH265
            | EncoderId::V4l2H265
            | EncoderId::QsvH265 => Codec::H265,
            EncoderId::SvtAv1 | EncoderId::Aom | EncoderId::VaAv1 | EncoderId::NvAv1 | EncoderId::QsvAv1 => {
                Codec::Av1
            }
            EncoderId::Vpx => Codec::Vp9,
        }
    }

    /// The shorter side of the smallest picture that it takes, in pixels. x265 3.5 now and then writes beyond its memory when a picture is
    /// smaller than its largest block of 64 x 64.
    pub fn least_side(self) -> u32 {
        match self {
            EncoderId::X265 => 64,
            // Devices know no smaller pictures than these.
            encoder if encoder.is_hardware() => 144,
            _ => 2,
        }
    }

    /// Whether a device encodes, whose bytes may differ from those of another one.
    pub fn is_hardware(self) -> bool {
        !matches!(
            self,
            EncoderId::X264 | EncoderId::X265 | EncoderId::SvtAv1 | EncoderId::Aom | EncoderId::Vpx
        )
    }

    /// Whether GStreamer has it here.
    fn is_present(self) -> bool {
        gst::ElementFactory::find(self.element()).is_some()
    }
}

impl serde::Serialize for EncoderId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.element())
    }
}

impl fmt::Display for EncoderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.element())
    }
}

/// Chooses the encoder for `codec`, before anything is planned: it is part of every segment's key.
///
/// The notes say what was wanted and is not so: hardware that is missing or does not work, settings that an element does not have.
/// They are for the user who asked. A device is tried on a few small frames first.
///
/// # Errors
/// When GStreamer does not start, or the codec has no encoder here at all; the message names the element and the package that
/// brings it.
pub fn resolve(codec: Codec, wanted: Encoder) -> Result<(EncoderId, Vec<String>), EncodeError> {
    gst::init().map_err(|error| EncodeError::Init(error.to_string()))?;
    let all = EncoderId::ALL.into_iter().filter(|encoder| encoder.codec() == codec);
    let (devices, programs): (Vec<_>, Vec<_>) = all.partition(|encoder| encoder.is_hardware());
    let mut notes = Vec::new();
    if wanted == Encoder::Hardware {
        for device in devices.iter().copied().filter(|device| device.is_present()) {
            match attempt(device) {
                Ok(()) => {
                    notes.push(format!(
                        "{device} encodes on this machine's hardware: another device or driver may give other bytes"
                    ));
                    notes.extend(settings::shortfalls(device)?);
                    return Ok((device, notes));
                }
                Err(error) => notes.push(format!("{device} is there but does not work: {error}")),
            }
        }
        if notes.is_empty() {
            let names: Vec<&str> = devices.iter().map(|device| device.element()).collect();
            notes.push(match names.is_empty() {
                true => format!("no hardware encoder for {codec} is known; software encodes instead"),
                false => format!(
                    "there is no hardware encoder for {codec} here (of {}); software encodes instead",
                    names.join(", ")
                ),
            });
        } else {
            notes.push("software encodes instead".to_owned());
        }
    }
    let Some(chosen) = programs.iter().copied().find(|program| program.is_present()) else {
        // Of several the last is the one that is packaged most.
        return Err(EncodeError::missing(programs.last().map_or("x264enc", |program| program.element())));
    };
    notes.extend(settings::shortfalls(chosen)?);
    Ok((chosen, notes))
}

/// Encodes a few small frames, as drivers promise more than they hold.
fn attempt(encoder: EncoderId) -> Result<(), EncodeError> {
    sample(encoder, [640, 368], 4).map(|_| ())
}

/// A few frames of a gradient, encoded.
fn sample(encoder: EncoderId, [width, height]: [u32; 2], frames: u32) -> Result<EncodedSegment, EncodeError> {
    let frame_rate = FrameRate::new(30, 1).ok_or_else(|| EncodeError::Output("no frame rate".into()))?;
    let profile = VideoProfile { width, height, frame_rate, quality: VideoProfile::DEFAULT_QUALITY, encoder };
    let mut run = SegmentEncoder::start(profile, frames)?;
    for index in 0..frames {
        let mut frame = I420Frame::new(width, height);
        for (at, luma) in (0..).zip(frame.y.iter_mut()) {
            let (x, y) = (at % width + 3 * index, at / width + index);
            // A gradient with grain on it, which drifts.
            let grain = (x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca6b)) >> 28;
            *luma = 16 + ((x * 3 + y * 5) % 200 + grain) as u8;
        }
        run.push(&frame)?;
    }
    run.finish()
}

/// The version of the GStreamer that decodes and encodes here, e.g. `1.22.0`.
pub fn gstreamer_version() -> String {
    let (major, minor, micro, _) = gst::version();
    format!("{major}.{minor}.{micro}")
}

impl EncoderId {
    /// What tells apart the builds of an encoder, such as two versions of x264: a digest of the plug-in's version and of what this one makes
    /// of a few small moving pictures. Part of every segment's key, so that machines that share a store never mix builds
    /// whose bytes differ in one video. Found out once in a process, in milliseconds; nothing where the encoder is not installed.
    pub fn build(self) -> Option<Digest> {
        static KNOWN: Mutex<BTreeMap<&'static str, Option<Digest>>> = Mutex::new(BTreeMap::new());
        // An entry is added whole or not at all.
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        *known.entry(self.element()).or_insert_with(|| {
            gst::init().ok()?;
            let factory = gst::ElementFactory::find(self.element())?;
            let mut form =
                factory.plugin().map(|plugin| plugin.version().to_string()).unwrap_or_default().into_bytes();
            let size = if self.is_hardware() { [640, 368] } else { [128, 64] };
            let made = sample(self, size, 8).ok()?;
            form.extend(made.to_bytes());
            Some(Digest::of(&form))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for codec in Codec::ALL {
            assert_eq!(codec.as_str().parse::<Codec>(), Ok(codec));
        }
        assert!("mpeg2".parse::<Codec>().unwrap_err().contains("av1"));
        let names: std::collections::BTreeSet<_> = EncoderId::ALL.iter().map(|id| id.element()).collect();
        assert_eq!(names.len(), EncoderId::ALL.len());
    }

    #[test]
    fn every_codec_has_a_program_that_takes_all_its_settings() {
        for (codec, expected) in [
            (Codec::H264, EncoderId::X264),
            (Codec::H265, EncoderId::X265),
            (
                Codec::Av1,
                if EncoderId::SvtAv1.is_present_after_start() { EncoderId::SvtAv1 } else { EncoderId::Aom },
            ),
            (Codec::Vp9, EncoderId::Vpx),
        ] {
            let (chosen, notes) = resolve(codec, Encoder::Software).unwrap();
            assert_eq!(chosen, expected);
            assert_eq!(notes, [""; 0], "{codec}");
            assert!(!chosen.is_hardware());
        }
    }

    #[test]
    fn hardware_is_used_or_its_absence_told() {
        for codec in Codec::ALL {
            let (chosen, notes) = resolve(codec, Encoder::Hardware).unwrap();
            assert_eq!(chosen.codec(), codec);
            assert!(!notes.is_empty(), "{codec}: {chosen}");
            if !chosen.is_hardware() {
                assert!(notes.iter().any(|note| note.contains("software encodes instead")), "{notes:?}");
            }
        }
    }

    #[test]
    fn builds_are_told_apart_by_what_they_make() {
        let builds: Vec<_> =
            [EncoderId::X264, EncoderId::X265, EncoderId::Aom, EncoderId::Vpx].map(EncoderId::build).into();
        assert!(builds.iter().all(Option::is_some), "{builds:?}");
        assert_eq!(builds[0], EncoderId::X264.build());
        let distinct: std::collections::BTreeSet<_> = builds.iter().collect();
        assert_eq!(distinct.len(), builds.len());
        let cut = &sample(EncoderId::X264, [128, 64], 7).unwrap();
        assert_ne!(Some(Digest::of(&cut.to_bytes())), builds[0]);
    }

    impl EncoderId {
        fn is_present_after_start(self) -> bool {
            gst::init().unwrap();
            self.is_present()
        }
    }
}
