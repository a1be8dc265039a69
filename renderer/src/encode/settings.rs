//! What each encoder is told, and how one scale of quality becomes each one's own.

use gst::glib::{ParamFlags, ParamSpec, ParamSpecInt, ParamSpecInt64, ParamSpecUInt, Value};
use gst::prelude::*;
use vignette_templates::time::FrameRate;

use super::{EncodeError, EncoderId, VideoProfile, make};

/// One property: its name, or the names that versions of the element gave it, and its value as text.
pub(super) struct Setting {
    names: &'static [&'static str],
    value: String,
}

fn set(names: &'static [&'static str], value: impl ToString) -> Setting {
    Setting { names, value: value.to_string() }
}

/// No segment is this many frames long, so none but its first picture is a key frame.
const NEVER: u32 = 100_000;

/// Everything that `profile.encoder` is told about a run of that many frames.
///
/// Every setting that matters is named, because elements put their own defaults over those of a preset. Programs use a number of
/// threads that does not depend on the machine, so that the same frames give the same bytes; devices do without B-frames, whose order
/// differs among them.
pub(super) fn of(profile: &VideoProfile, frames: u32) -> Vec<Setting> {
    let quality = (profile.quality.max(1) + CUT_STEPS).min(50);
    match profile.encoder {
        EncoderId::X264 => x264(quality, threads(profile, frames)),
        EncoderId::X265 => x265(quality),
        EncoderId::SvtAv1 => svt_av1(quality),
        EncoderId::Aom => aom(quality),
        EncoderId::Vpx => vpx(quality),
        EncoderId::VaH264 | EncoderId::VaH265 => vec![
            set(&["rate-control"], "cqp"),
            set(&["qpi"], quality),
            set(&["qpp"], quality),
            set(&["b-frames"], 0),
            // The most that it takes.
            set(&["key-int-max"], 1024),
        ],
        EncoderId::VaAv1 => vec![
            set(&["rate-control"], "cqp"),
            set(&["qp"], av1_index(quality)),
            set(&["gf-group-size"], 1),
            set(&["key-int-max"], 1024),
        ],
        EncoderId::VaapiH264 | EncoderId::VaapiH265 => vec![
            set(&["rate-control"], "cqp"),
            set(&["init-qp"], quality),
            set(&["max-bframes"], 0),
            set(&["keyframe-period"], NEVER),
        ],
        EncoderId::NvH264 | EncoderId::NvH265 => vec![
            set(&["rc-mode", "rate-control"], "constqp"),
            set(&["qp-const", "qp-const-p", "qp-p"], quality),
            set(&["qp-const-i", "qp-i"], quality),
            set(&["bframes", "b-frames"], 0),
            set(&["gop-size"], -1),
        ],
        EncoderId::NvAv1 => vec![
            set(&["rc-mode", "rate-control"], "constqp"),
            set(&["qp-const-p", "qp-p"], av1_index(quality)),
            set(&["qp-const-i", "qp-i"], av1_index(quality)),
            set(&["bframes", "b-frames"], 0),
            set(&["gop-size"], -1),
        ],
        EncoderId::QsvH264 | EncoderId::QsvH265 => vec![
            set(&["rate-control"], "cqp"),
            set(&["qp-i"], quality),
            set(&["qp-p"], quality),
            set(&["b-frames"], 0),
            set(&["gop-size"], 1024),
        ],
        EncoderId::QsvAv1 => vec![
            set(&["rate-control"], "cqp"),
            set(&["qp-i"], av1_index(quality)),
            set(&["qp-p"], av1_index(quality)),
            set(&["gop-size"], 1024),
        ],
        EncoderId::V4l2H264 | EncoderId::V4l2H265 => vec![set(
            &["extra-controls"],
            format!(
                "controls,video_bitrate_mode=(int)0,video_bitrate=(int){},video_gop_size=(int)1024,video_b_frames=(int)0",
                bit_rate(profile)
            ),
        )],
    }
}

/// What is added to the quality that was asked for, because a video is cut: a key frame at the start of every segment costs what in one
/// piece only the first one does, and would make the file up to a half larger. With [`TREE_QCOMP`] the gallery's videos are no larger than in
/// one piece, for less than 0.002 of structural similarity: `tests/exactness.rs` holds both.
const CUT_STEPS: u8 = 2;

/// x264's `qcomp`, which with macroblock trees says how much better that is coded to which many later pictures refer: 0.6 by default,
/// less is more. In a segment that is nearly all of the key frame's content, so more pays.
const TREE_QCOMP: f64 = 0.47;

/// How many threads encode a run of that many frames. Segments are encoded side by side, each on one core; but the first of a video, half a
/// second at most, is what a player waits for, and is then often the only one.
fn threads(profile: &VideoProfile, frames: u32) -> u32 {
    let rate = profile.frame_rate;
    let short = u64::from(frames) * u64::from(rate.den()) * 2 <= u64::from(rate.num());
    if short { 2 } else { 1 }
}

/// Pictures that x264 looks ahead, as `veryfast` does.
const LOOK_AHEAD: u32 = 10;

/// x264's `veryfast` at constant quality, with that many pictures encoded at a time.
fn x264(quality: u8, threads: u32) -> Vec<Setting> {
    vec![
        set(&["speed-preset"], "veryfast"),
        set(&["pass"], "qual"),
        set(&["quantizer"], quality),
        // With `pass=qual` the element caps the bitrate unless its buffer is 0 long.
        set(&["vbv-buf-capacity"], 0),
        set(&["threads"], threads),
        set(&["sliced-threads"], false),
        // Several threads leave looking ahead to one more; the bytes are the same either way.
        set(&["sync-lookahead"], if threads > 1 { LOOK_AHEAD } else { 0 }),
        // One IDR picture a segment, at its start.
        set(&["key-int-max"], NEVER),
        set(&["bframes"], 3),
        set(&["b-adapt"], true),
        set(&["b-pyramid"], true),
        set(&["weightb"], true),
        set(&["cabac"], true),
        set(&["dct8x8"], true),
        set(&["ref"], 1),
        set(&["me"], "hex"),
        set(&["subme"], 2),
        set(&["trellis"], false),
        set(&["mb-tree"], true),
        set(&["rc-lookahead"], LOOK_AHEAD),
        set(&["aud"], false),
        set(&["insert-vui"], true),
        set(
            &["option-string"],
            format!("scenecut=0:open-gop=0:weightp=1:mixed-refs=0:force-cfr=1:qcomp={TREE_QCOMP}"),
        ),
    ]
}

/// x265's `veryfast`, tuned for structural similarity, at constant quality. The element knows no constant rate factor, but its
/// option string comes last and sets one. Without pools, frame threads and wavefronts there is one thread.
fn x265(quality: u8) -> Vec<Setting> {
    let options = format!(
        "crf={}:pools=none:frame-threads=1:wpp=0:bframes=3:b-pyramid=1:scenecut=0:open-gop=0:repeat-headers=0:\
         info=0:aud=0:hrd=0",
        X265_CRF.at(quality)
    );
    vec![
        set(&["speed-preset"], "veryfast"),
        set(&["tune"], "ssim"),
        set(&["key-int-max"], NEVER),
        // Not used, but a decoder's level would be chosen for it.
        set(&["bitrate"], 1),
        set(&["option-string"], options),
    ]
}

/// SVT-AV1's preset 10 at constant quality, without pictures that are only referred to.
fn svt_av1(quality: u8) -> Vec<Setting> {
    vec![
        set(&["preset"], 10),
        set(&["crf"], SVT_CRF.at(quality)),
        set(&["intra-period-length"], -1),
        set(&["intra-refresh-type"], "IDR"),
        set(&["logical-processors"], 1),
        set(&["parameters-string"], "pred-struct=1:scd=0"),
    ]
}

/// libaom's real-time tools. The element has no constant quality level, but where the least and the most quantizer are the same that one is used.
/// Nothing is looked ahead for, so every frame comes out as it goes in.
fn aom(quality: u8) -> Vec<Setting> {
    let quantizer = AV1_QUANTIZER.at(quality);
    vec![
        set(&["usage-profile"], "realtime"),
        set(&["cpu-used"], 6),
        set(&["end-usage"], "q"),
        set(&["min-quantizer"], quantizer),
        set(&["max-quantizer"], quantizer),
        set(&["lag-in-frames"], 0),
        set(&["keyframe-mode"], "disabled"),
        set(&["keyframe-max-dist"], NEVER),
        set(&["drop-frame"], 0),
        set(&["resize-mode"], "none"),
        set(&["superres-mode"], "none"),
        set(&["tile-columns"], 0),
        set(&["tile-rows"], 0),
        set(&["threads"], 1),
        set(&["row-mt"], false),
    ]
}

/// libvpx's real-time tools, with one quantizer as for [`aom`]. The bit rate is set out of the way.
fn vpx(quality: u8) -> Vec<Setting> {
    let quantizer = VP9_QUANTIZER.at(quality);
    vec![
        set(&["deadline"], 1),
        set(&["cpu-used"], 6),
        set(&["end-usage"], "cq"),
        set(&["cq-level"], quantizer),
        set(&["min-quantizer"], quantizer),
        set(&["max-quantizer"], quantizer),
        set(&["target-bitrate"], 1_000_000_000),
        set(&["lag-in-frames"], 0),
        set(&["auto-alt-ref"], false),
        set(&["keyframe-mode"], "disabled"),
        set(&["keyframe-max-dist"], NEVER),
        set(&["dropframe-threshold"], 0),
        set(&["resize-allowed"], false),
        set(&["error-resilient"], 0),
        set(&["frame-parallel-decoding"], false),
        set(&["aq-mode"], "off"),
        set(&["static-threshold"], 1),
        set(&["tile-columns"], 0),
        set(&["tile-rows"], 0),
        set(&["threads"], 1),
        set(&["row-mt"], false),
    ]
}

/// A scale beside x264's: pairs of a constant rate factor of x264 and the value that looked as good, in between along straight lines.
///
/// The pairs were measured: two seconds each of three gallery templates (a moving photograph with cards, cards that come and
/// go, flat bars) at 1920 x 1080 were encoded with the settings above at eight to nine values of each scale; `ffmpeg`'s
/// filter `ssim` (all planes, in dB) told where one was as near to the original as the other; the mean of the three was rounded. The
/// three lie up to 3 apart for x265 and up to 10 for the others, whose flat pictures need a lower value. Below 12 and above 42 the lines
/// were drawn on to the scale's ends. `docs/performance.md` has the figures at the default.
struct Scale(&'static [(u8, u8)]);

impl Scale {
    fn at(&self, quality: u8) -> u8 {
        let Scale(points) = self;
        let above = points.iter().find(|(from, _)| *from >= quality).or(points.last());
        let below = points.iter().rev().find(|(from, _)| *from <= quality).or(points.first());
        match (below, above) {
            (Some((a, low)), Some((b, high))) if a < b => {
                let (way, length) = (i32::from(quality - a), i32::from(b - a));
                let rise = i32::from(*high) - i32::from(*low);
                (i32::from(*low) + (2 * rise * way + length).div_euclid(2 * length)).clamp(0, 255) as u8
            }
            (Some((_, value)), _) => *value,
            _ => quality,
        }
    }
}

/// Constant rate factors of x265.
const X265_CRF: Scale =
    Scale(&[(1, 1), (12, 12), (18, 19), (23, 26), (28, 32), (34, 39), (42, 48), (50, 51)]);
/// Constant rate factors of SVT-AV1, 1 to 63: measured likewise, but at the default alone and with SVT-AV1 1.4 under ffmpeg.
const SVT_CRF: Scale = Scale(&[(1, 1), (23, 36), (50, 63)]);
/// Quantizers of libaom, 0 to 63, in real time.
const AV1_QUANTIZER: Scale =
    Scale(&[(1, 1), (12, 4), (18, 10), (23, 22), (28, 34), (34, 45), (42, 59), (46, 63)]);
/// Quantizers of libvpx, 0 to 63, in real time.
const VP9_QUANTIZER: Scale =
    Scale(&[(1, 1), (12, 4), (18, 9), (23, 22), (28, 33), (34, 44), (42, 58), (46, 63)]);

/// AV1's own index of quantizers, 0 to 255, of which the scale of 0 to 63 takes every fourth.
fn av1_index(quality: u8) -> u32 {
    (u32::from(AV1_QUANTIZER.at(quality)) * 4).clamp(1, 255)
}

/// Bits a second for devices that know no constant quality: a tenth of a bit a pixel at the default, half of it for every 6 more.
fn bit_rate(profile: &VideoProfile) -> u64 {
    let pixels = f64::from(profile.width) * f64::from(profile.height) * profile.frame_rate.as_f64();
    let steps = (f64::from(VideoProfile::DEFAULT_QUALITY) - f64::from(profile.quality)) / 6.0;
    (pixels * 0.1 * steps.exp2()).clamp(100_000.0, 400_000_000.0) as u64
}

/// Sets properties; says which of them `element` does not have or does not take.
pub(super) fn apply(element: &gst::Element, settings: &[Setting]) -> Vec<String> {
    let name = element.factory().map(|factory| factory.name().to_string()).unwrap_or_default();
    let mut notes = Vec::new();
    for Setting { names, value } in settings {
        let Some(property) = names.iter().find_map(|name| element.find_property(name)) else {
            notes.push(format!("{name} has no setting {}; it does as it likes", names.join(" or ")));
            continue;
        };
        let wanted = Value::deserialize_with_pspec(value, &property);
        let held = wanted.ok().filter(|wanted| takes(&property, wanted)).and_then(|wanted| {
            element.set_property_from_value(property.name(), &wanted);
            let held = element.property_value(property.name());
            (held.serialize().ok() == wanted.serialize().ok()).then_some(())
        });
        if held.is_none() {
            notes.push(format!("{name} does not take {}={value}; it does as it likes", property.name()));
        }
    }
    notes
}

/// Whether a property may be set to a value of its type.
fn takes(property: &ParamSpec, value: &Value) -> bool {
    let flags = property.flags();
    if !flags.contains(ParamFlags::WRITABLE) || flags.contains(ParamFlags::CONSTRUCT_ONLY) {
        return false;
    }
    let inside = |range: Option<(i128, i128)>, value: Option<i128>| {
        range.zip(value).is_none_or(|((least, most), value)| (least..=most).contains(&value))
    };
    let signed = property.downcast_ref::<ParamSpecInt>();
    let unsigned = property.downcast_ref::<ParamSpecUInt>();
    let long = property.downcast_ref::<ParamSpecInt64>();
    inside(signed.map(|p| (p.minimum().into(), p.maximum().into())), value.get::<i32>().ok().map(i128::from))
        && inside(
            unsigned.map(|p| (p.minimum().into(), p.maximum().into())),
            value.get::<u32>().ok().map(i128::from),
        )
        && inside(
            long.map(|p| (p.minimum().into(), p.maximum().into())),
            value.get::<i64>().ok().map(i128::from),
        )
}

/// What is wanted of an encoder that it cannot do.
///
/// # Errors
/// When it is not installed.
pub(super) fn shortfalls(encoder: EncoderId) -> Result<Vec<String>, EncodeError> {
    let frame_rate = FrameRate::new(30, 1).ok_or_else(|| EncodeError::Output("no frame rate".into()))?;
    let profile = VideoProfile {
        width: 1280,
        height: 720,
        frame_rate,
        quality: VideoProfile::DEFAULT_QUALITY,
        encoder,
    };
    let mut notes = apply(&make(encoder.element())?, &of(&profile, 1));
    if matches!(encoder, EncoderId::V4l2H264 | EncoderId::V4l2H265) {
        notes.push(format!("{encoder} knows no constant quality: a bit rate is asked for in its place"));
    }
    Ok(notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_rise_and_stay_inside() {
        for (name, scale, most) in [
            ("x265", X265_CRF, 51),
            ("svt", SVT_CRF, 63),
            ("av1", AV1_QUANTIZER, 63),
            ("vp9", VP9_QUANTIZER, 63),
        ] {
            let values: Vec<u8> = (1..=50).map(|quality| scale.at(quality)).collect();
            assert!(values.windows(2).all(|pair| pair[0] <= pair[1]), "{name}: {values:?}");
            assert!(values[0] >= 1 && values[49] <= most, "{name}: {values:?}");
        }
        let middle =
            [X265_CRF, AV1_QUANTIZER, VP9_QUANTIZER].map(|scale| scale.at(VideoProfile::DEFAULT_QUALITY));
        assert_eq!(middle, [26, 22, 22]);
        assert_eq!(Scale(&[(10, 20), (20, 30)]).at(15), 25);
        assert_eq!(Scale(&[(10, 20), (20, 30)]).at(9), 20);
        assert_eq!(Scale(&[(10, 20), (20, 30)]).at(21), 30);
    }

    #[test]
    fn what_an_element_does_not_take_is_told() {
        gst::init().unwrap();
        let element = make("identity").unwrap();
        let notes = apply(
            &element,
            &[
                set(&["sync"], true),
                set(&["no-such-thing", "sleep-time"], 7),
                set(&["quantum"], 3),
                set(&["eos-after"], "soon"),
                set(&["error-after"], -5),
            ],
        );
        assert_eq!(notes.len(), 3, "{notes:?}");
        for (note, part) in notes.iter().zip(["no setting quantum", "eos-after=soon", "error-after=-5"]) {
            assert!(note.contains(part), "{note}");
        }
        assert!(element.property::<bool>("sync"));
        assert_eq!(element.property::<u32>("sleep-time"), 7);
    }
}
