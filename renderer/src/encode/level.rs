//! Levels: how large and how fast pictures may be for a decoder that promises one. And the names of codecs, which tell them.

use super::{Codec, VideoProfile};

impl VideoProfile {
    /// Luma samples of a picture, and of all pictures of a second, rounded up.
    fn load(&self) -> (u64, u64) {
        let samples = u64::from(self.width) * u64::from(self.height);
        let rate = self.frame_rate;
        (samples, (samples * u64::from(rate.num())).div_ceil(u64::from(rate.den())))
    }

    /// What [`Codec::name_of`] will say of segments of this profile, before any of them is encoded: for playlists that are written first.
    ///
    /// It is the lowest level whose limits on the size and rate of pictures hold. Encoders choose by the same limits, and a test compares the two; bit
    /// rates are not foreseen, for constant quality does not bound them.
    pub fn planned_name(&self) -> String {
        match self.codec() {
            Codec::H264 => format!("avc1.6400{:02X}", h264(self)),
            Codec::H265 => format!("hvc1.1.6.L{}.90", h265(self)),
            Codec::Av1 => format!("av01.0.{:02}M.08.0.111.01.01.01.0", av1(self)),
            Codec::Vp9 => format!("vp09.00.{:02}.08.00.01.01.01.00", vp9(self)),
        }
    }
}

impl Codec {
    /// The codec of a segment with this [configuration](crate::segment::EncodedSegment::config) as RFC 6381 has it, for a
    /// playlist's `CODECS` or a source's `type`, e.g. `avc1.640028`; `None` when the record is cut short.
    ///
    /// From ISO/IEC 14496-15, annex E (H.264, H.265), AV1-ISOBMFF, section 5, and the VP Codec ISO Media File Format Binding, section 3.
    pub fn name_of(self, config: &[u8]) -> Option<String> {
        match self {
            Codec::H264 => {
                let [_, profile, constraints, level] = config.get(..4)?.try_into().ok()?;
                Some(format!("avc1.{profile:02X}{constraints:02X}{level:02X}"))
            }
            Codec::H265 => {
                let head: [u8; 13] = config.get(..13)?.try_into().ok()?;
                let space = ["", "A", "B", "C"][usize::from(head[1] >> 6)];
                let tier = if head[1] & 0x20 == 0 { 'L' } else { 'H' };
                // The compatibility flags are read backwards, and zeros at the end of the constraints are left out.
                let compatible = u32::from_be_bytes([head[2], head[3], head[4], head[5]]).reverse_bits();
                let mut name = format!("hvc1.{space}{}.{compatible:X}.{tier}{}", head[1] & 0x1f, head[12]);
                let constraints = &head[6..12];
                let zeros = constraints.iter().rev().take_while(|byte| **byte == 0).count();
                for byte in &constraints[..6 - zeros] {
                    name.push_str(&format!(".{byte:X}"));
                }
                Some(name)
            }
            Codec::Av1 => {
                let [_, second, third] = config.get(..3)?.try_into().ok()?;
                let tier = if third & 0x80 == 0 { 'M' } else { 'H' };
                let depth = if third & 0x40 == 0 { 8 } else { 10 };
                let (grey, across, down, place) = (third >> 4 & 1, third >> 3 & 1, third >> 2 & 1, third & 3);
                // Colours are always BT.709 here.
                Some(format!(
                    "av01.{}.{:02}{tier}.{depth:02}.{grey}.{across}{down}{place}.01.01.01.0",
                    second >> 5,
                    second & 0x1f
                ))
            }
            Codec::Vp9 => {
                let [profile, level, third, primaries, transfer, matrix] =
                    config.get(..6)?.try_into().ok()?;
                Some(format!(
                    "vp09.{profile:02}.{level:02}.{:02}.{:02}.{primaries:02}.{transfer:02}.{matrix:02}.{:02}",
                    third >> 4,
                    third >> 1 & 7,
                    third & 1
                ))
            }
        }
    }
}

/// A level: its number, the most luma samples of a picture, and of a second.
type Level = (u8, u64, u64);

/// The lowest level that allows pictures of this size and rate, or else the highest there is.
fn lowest(levels: &[Level], (picture, second): (u64, u64)) -> u8 {
    let fits = levels.iter().find(|(_, pictures, seconds)| picture <= *pictures && second <= *seconds);
    fits.or(levels.last()).map_or(0, |(level, ..)| *level)
}

/// `level_idc` (ITU-T H.264, table A-1); its limits count macroblocks of 256 samples. For four pictures that are kept to refer to,
/// as many as x264 plans for with pyramids of B-frames.
fn h264(profile: &VideoProfile) -> u8 {
    let [across, down] = [profile.width, profile.height].map(|pixels| u64::from(pixels.div_ceil(16)));
    let (blocks, rate) = (across * down, profile.frame_rate);
    let second = (blocks * u64::from(rate.num())).div_ceil(u64::from(rate.den()));
    // Level, macroblocks a second, a picture, and in all pictures that are kept to refer to.
    const LEVELS: [(u8, u64, u64, u64); 19] = [
        (10, 1_485, 99, 396),
        (11, 3_000, 396, 900),
        (12, 6_000, 396, 2_376),
        (13, 11_880, 396, 2_376),
        (20, 11_880, 396, 2_376),
        (21, 19_800, 792, 4_752),
        (22, 20_250, 1_620, 8_100),
        (30, 40_500, 1_620, 8_100),
        (31, 108_000, 3_600, 18_000),
        (32, 216_000, 5_120, 20_480),
        (40, 245_760, 8_192, 32_768),
        (41, 245_760, 8_192, 32_768),
        (42, 522_240, 8_704, 34_816),
        (50, 589_824, 22_080, 110_400),
        (51, 983_040, 36_864, 184_320),
        (52, 2_073_600, 36_864, 184_320),
        (60, 4_177_920, 139_264, 696_320),
        (61, 8_355_840, 139_264, 696_320),
        (62, 16_711_680, 139_264, 696_320),
    ];
    let kept = 4 * blocks;
    // No side may be longer than the root of eight times the largest picture.
    let fits = LEVELS.iter().find(|(_, seconds, pictures, buffer)| {
        second <= *seconds
            && blocks <= *pictures
            && kept <= *buffer
            && across * across <= 8 * pictures
            && down * down <= 8 * pictures
    });
    fits.map_or(62, |(level, ..)| *level)
}

/// `general_level_idc`, thirty times the level (ITU-T H.265, tables A.8 and A.9).
fn h265(profile: &VideoProfile) -> u8 {
    const LEVELS: [Level; 13] = [
        (30, 36_864, 552_960),
        (60, 122_880, 3_686_400),
        (63, 245_760, 7_372_800),
        (90, 552_960, 16_588_800),
        (93, 983_040, 33_177_600),
        (120, 2_228_224, 66_846_720),
        (123, 2_228_224, 133_693_440),
        (150, 8_912_896, 267_386_880),
        (153, 8_912_896, 534_773_760),
        (156, 8_912_896, 1_069_547_520),
        (180, 35_651_584, 1_069_547_520),
        (183, 35_651_584, 2_139_095_040),
        (186, 35_651_584, 4_278_190_080),
    ];
    lowest(&LEVELS, profile.load())
}

/// `seq_level_idx` (AV1 specification, section A.3); levels that the specification leaves open are not there.
fn av1(profile: &VideoProfile) -> u8 {
    const LEVELS: [(Level, u32, u32); 14] = [
        ((0, 147_456, 4_423_680), 2048, 1152),
        ((1, 278_784, 8_363_520), 2816, 1584),
        ((4, 665_856, 19_975_680), 4352, 2448),
        ((5, 1_065_024, 31_950_720), 5504, 3096),
        ((8, 2_359_296, 70_778_880), 6144, 3456),
        ((9, 2_359_296, 141_557_760), 6144, 3456),
        ((12, 8_912_896, 267_386_880), 8192, 4352),
        ((13, 8_912_896, 534_773_760), 8192, 4352),
        ((14, 8_912_896, 1_069_547_520), 8192, 4352),
        ((15, 8_912_896, 1_069_547_520), 8192, 4352),
        ((16, 35_651_584, 1_069_547_520), 16384, 8704),
        ((17, 35_651_584, 2_139_095_040), 16384, 8704),
        ((18, 35_651_584, 4_278_190_080), 16384, 8704),
        ((19, 35_651_584, 4_278_190_080), 16384, 8704),
    ];
    let roomy = LEVELS.iter().filter(|(_, across, down)| profile.width <= *across && profile.height <= *down);
    let levels: Vec<Level> = roomy.map(|(level, ..)| *level).collect();
    lowest(&levels, profile.load())
}

/// Ten times the level (webmproject.org, "VP9 Levels").
pub(super) fn vp9(profile: &VideoProfile) -> u8 {
    const LEVELS: [(Level, u32); 14] = [
        ((10, 36_864, 829_440), 512),
        ((11, 73_728, 2_764_800), 768),
        ((20, 122_880, 4_608_000), 960),
        ((21, 245_760, 9_216_000), 1344),
        ((30, 552_960, 20_736_000), 2048),
        ((31, 983_040, 36_864_000), 2752),
        ((40, 2_228_224, 83_558_400), 4160),
        ((41, 2_228_224, 160_432_128), 4160),
        ((50, 8_912_896, 311_951_360), 8384),
        ((51, 8_912_896, 588_251_136), 8384),
        ((52, 8_912_896, 1_176_502_272), 8384),
        ((60, 35_651_584, 1_176_502_272), 16832),
        ((61, 35_651_584, 2_353_004_544), 16832),
        ((62, 35_651_584, 4_706_009_088), 16832),
    ];
    let longest = profile.width.max(profile.height);
    let levels: Vec<Level> =
        LEVELS.iter().filter(|(_, side)| longest <= *side).map(|(level, _)| *level).collect();
    lowest(&levels, profile.load())
}

#[cfg(test)]
mod tests {
    use vignette_templates::time::FrameRate;

    use super::super::EncoderId;
    use super::*;

    #[test]
    fn records_have_names() {
        let hvcc = [1, 1, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 93, 0xf0];
        for (codec, record, name) in [
            (Codec::H264, &[1, 100, 0, 40, 0xff][..], "avc1.640028"),
            (Codec::H265, &hvcc, "hvc1.1.6.L93.90"),
            (Codec::Av1, &[0x81, 0x08, 0x0d, 0], "av01.0.08M.08.0.111.01.01.01.0"),
            (Codec::Vp9, &[0, 31, 0x80, 1, 1, 1, 0, 0], "vp09.00.31.08.00.01.01.01.00"),
        ] {
            assert_eq!(codec.name_of(record).as_deref(), Some(name));
            assert_eq!(codec.name_of(&record[..2]), None, "{name} cut short");
        }
    }

    #[test]
    fn levels_follow_size_and_rate() {
        let profile = |width, height, num, den, encoder| VideoProfile {
            width,
            height,
            frame_rate: FrameRate::new(num, den).unwrap(),
            quality: 23,
            encoder,
        };
        for (width, height, num, den, names) in [
            (1920, 1080, 30, 1, ["640028", "L120", "08M", "40"]),
            (1920, 1080, 60, 1, ["64002A", "L123", "09M", "41"]),
            (1280, 720, 30000, 1001, ["64001F", "L93", "05M", "31"]),
            (1080, 1920, 30, 1, ["640028", "L120", "08M", "40"]),
            (640, 360, 25, 1, ["64001E", "L63", "01M", "21"]),
            (3840, 2160, 30, 1, ["640033", "L150", "12M", "50"]),
        ] {
            let encoders = [EncoderId::X264, EncoderId::X265, EncoderId::Aom, EncoderId::Vpx];
            for (encoder, part) in encoders.into_iter().zip(names) {
                let name = profile(width, height, num, den, encoder).planned_name();
                assert!(name.contains(part), "{width}x{height}: {name} has no {part}");
            }
        }
    }
}
