//! Colours: a template's own, or a set that suits the prompt.

use vignette_templates::generate::ImageRequest;
use vignette_templates::video::Color;

use super::maths::{cbrt, lerp};
use crate::random::SplitMix64;

/// A colour as fractions of full sRGB red, green and blue.
pub(super) type Rgb = [f64; 3];

/// Colours from dark to light with everything between.
pub(super) struct Ramp {
    table: Vec<Rgb>,
    /// The colours themselves, dark to light.
    pub(super) colors: Vec<Rgb>,
}

struct Set {
    /// Words of a prompt that call for it.
    words: &'static [&'static str],
    colors: [u32; 5],
}

const SETS: [Set; 12] = [
    Set {
        words: &["calm", "teal", "turquoise", "lagoon", "serene", "relax", "spa", "ocean", "sea", "aqua"],
        colors: [0x0B1F33, 0x14506B, 0x2F8F9D, 0x8FD3C8, 0xF2F7EE],
    },
    Set {
        words: &["blue", "trust", "corporate", "business", "professional", "sky", "water", "tech"],
        colors: [0x08142F, 0x12357A, 0x2F6FD6, 0x7DB9F5, 0xE6F2FF],
    },
    Set {
        words: &["warm", "red", "cozy", "cosy", "autumn", "fire", "love", "food"],
        colors: [0x2B0F1F, 0x7A1F3D, 0xD3483F, 0xF59A50, 0xFFE3B3],
    },
    Set {
        words: &["sunset", "dusk", "evening", "dawn", "sunrise", "dreamy", "travel"],
        colors: [0x1B1035, 0x5B2A86, 0xC2447F, 0xFF8A5C, 0xFFD9A0],
    },
    Set {
        words: &[
            "energetic",
            "vivid",
            "bold",
            "neon",
            "party",
            "fun",
            "exciting",
            "dynamic",
            "magenta",
            "sport",
        ],
        colors: [0x1A0B3B, 0x5A12C9, 0xFF2E88, 0xFF9F1C, 0xFFF07C],
    },
    Set {
        words: &["green", "forest", "nature", "natural", "fresh", "spring", "eco", "growth", "garden"],
        colors: [0x0B1F17, 0x1D4D3A, 0x3F8F5F, 0xA3CF8F, 0xF3F5DC],
    },
    Set {
        words: &["elegant", "night", "luxury", "premium", "dark", "black", "midnight"],
        colors: [0x0B0C14, 0x1E2233, 0x3C4667, 0x8B8FAE, 0xE7D9C2],
    },
    Set {
        words: &["pink", "pastel", "rose", "gentle", "soft", "baby", "wedding", "sweet"],
        colors: [0x4A2C50, 0x94658F, 0xD79CBB, 0xF5C9CF, 0xFFF1EA],
    },
    Set {
        words: &["purple", "violet", "lavender", "magic", "mystic", "creative"],
        colors: [0x150C2E, 0x3C2382, 0x7C4FD0, 0xBFA2F0, 0xF4ECFF],
    },
    Set {
        words: &["gold", "golden", "yellow", "sunny", "summer", "honey", "happy", "cheerful", "orange"],
        colors: [0x33180A, 0x8A4B12, 0xE0912A, 0xF8C85B, 0xFFF3CF],
    },
    Set {
        words: &["gray", "grey", "minimal", "neutral", "white", "silver", "clean", "simple", "winter"],
        colors: [0x12161D, 0x3A4452, 0x7B8794, 0xBFC7CF, 0xF4F6F8],
    },
    Set {
        words: &["earth", "earthy", "desert", "brown", "sand", "coffee", "clay", "rustic"],
        colors: [0x241712, 0x6B3E2B, 0xB8734A, 0xE0B48A, 0xF7EBDD],
    },
];

/// Those of the sets' words that name a colour. They say more than a mood does: calm green waves are green.
const NAMES: [&str; 23] = [
    "teal",
    "turquoise",
    "aqua",
    "blue",
    "red",
    "magenta",
    "green",
    "black",
    "pink",
    "rose",
    "purple",
    "violet",
    "lavender",
    "gold",
    "golden",
    "yellow",
    "orange",
    "gray",
    "grey",
    "white",
    "silver",
    "brown",
    "sand",
];

/// Steps of a ramp: enough that two neighbours differ by less than the dither.
const STEPS: usize = 1024;

impl Ramp {
    /// The request's palette, or a built-in one that its prompt's words suggest, else the seed's.
    pub(super) fn of(request: &ImageRequest, random: &mut SplitMix64) -> Self {
        if !request.palette.is_empty() {
            // More colours than anyone tells apart would only cost time.
            return Ramp::new(request.palette.iter().take(64).map(|color| rgb(*color)).collect());
        }
        let words = words(&request.prompt);
        let (names, moods): (Vec<&str>, Vec<&str>) =
            words.iter().map(String::as_str).partition(|word| NAMES.contains(word));
        let suggested = names.into_iter().chain(moods);
        let suggested =
            suggested.into_iter().find_map(|word| SETS.iter().find(|set| set.words.contains(&word)));
        let chance = random.below(SETS.len());
        let set = suggested.unwrap_or(&SETS[chance]);
        Ramp::new(set.colors.map(|hex| [16, 8, 0].map(|shift| f64::from(hex >> shift & 255) / 255.0)).into())
    }

    /// The ramp through these colours, at least one. A single colour, or several of the same lightness, get a shade and a
    /// tint of themselves, since a picture needs light and dark.
    fn new(colors: Vec<Rgb>) -> Self {
        let mut labs: Vec<Rgb> = colors.into_iter().map(to_oklab).collect();
        labs.sort_by(|a, b| a[0].total_cmp(&b[0]));
        let (darkest, lightest) = (labs[0], labs[labs.len() - 1]);
        if lightest[0] - darkest[0] < 0.25 {
            labs.insert(0, [darkest[0] * 0.45, darkest[1] * 0.7, darkest[2] * 0.7]);
            let tint = lerp(lightest[0], 1.0, 0.65);
            labs.push([tint, lightest[1] * 0.35, lightest[2] * 0.35]);
        }
        let table = (0..STEPS)
            .map(|step| {
                let at = step as f64 / (STEPS - 1) as f64 * (labs.len() - 1) as f64;
                let index = (at as usize).min(labs.len() - 2);
                let t = at - index as f64;
                from_oklab([0, 1, 2].map(|axis| lerp(labs[index][axis], labs[index + 1][axis], t)))
            })
            .collect();
        Ramp { table, colors: labs.into_iter().map(from_oklab).collect() }
    }

    /// The colour at `t`: 0 is the darkest, 1 the lightest.
    pub(super) fn at(&self, t: f64) -> Rgb {
        let at = t.clamp(0.0, 1.0) * (STEPS - 1) as f64;
        let index = (at as usize).min(STEPS - 2);
        mix(self.table[index], self.table[index + 1], at - index as f64)
    }
}

/// Between two colours.
pub(super) fn mix(from: Rgb, to: Rgb, t: f64) -> Rgb {
    [lerp(from[0], to[0], t), lerp(from[1], to[1], t), lerp(from[2], to[2], t)]
}

/// The words of a prompt in lower case.
pub(super) fn words(prompt: &str) -> Vec<String> {
    prompt
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(200)
        .map(str::to_lowercase)
        .collect()
}

fn rgb(color: Color) -> Rgb {
    [color.r, color.g, color.b].map(|channel| f64::from(channel) / 255.0)
}

/// Oklab (Ottosson 2020), in which colours mix without turning grey or dark. The transfer curve of sRGB is taken as a square,
/// since only what lies between the given colours depends on it: they themselves come back as they were.
pub(super) fn to_oklab(color: Rgb) -> Rgb {
    let [r, g, b] = color.map(|channel| channel * channel);
    let l = cbrt(0.412_221_470_8 * r + 0.536_332_536_3 * g + 0.051_445_992_9 * b);
    let m = cbrt(0.211_903_498_2 * r + 0.680_699_545_1 * g + 0.107_396_956_6 * b);
    let s = cbrt(0.088_302_461_9 * r + 0.281_718_837_6 * g + 0.629_978_700_5 * b);
    [
        0.210_454_255_3 * l + 0.793_617_785_0 * m - 0.004_072_046_8 * s,
        1.977_998_495_1 * l - 2.428_592_205_0 * m + 0.450_593_709_9 * s,
        0.025_904_037_1 * l + 0.782_771_766_2 * m - 0.808_675_766_0 * s,
    ]
}

/// Back from [`to_oklab`], clipped to what a screen shows.
pub(super) fn from_oklab(lab: Rgb) -> Rgb {
    let cube = |x: f64| x * x * x;
    let l = cube(lab[0] + 0.396_337_777_4 * lab[1] + 0.215_803_757_3 * lab[2]);
    let m = cube(lab[0] - 0.105_561_345_8 * lab[1] - 0.063_854_172_8 * lab[2]);
    let s = cube(lab[0] - 0.089_484_177_5 * lab[1] - 1.291_485_548_0 * lab[2]);
    [
        4.076_741_662_1 * l - 3.307_711_591_3 * m + 0.230_969_929_2 * s,
        -1.268_438_004_6 * l + 2.609_757_401_1 * m - 0.341_319_396_5 * s,
        -0.004_196_086_3 * l - 0.703_418_614_7 * m + 1.707_614_701_0 * s,
    ]
    .map(|channel| channel.clamp(0.0, 1.0).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_survive_the_way_there_and_back() {
        for hex in [0x000000_u32, 0xFFFFFF, 0xFF0000, 0x00FF00, 0x0000FF, 0x12357A, 0xF59A50] {
            let color = [16, 8, 0].map(|shift| f64::from(hex >> shift & 255) / 255.0);
            let back = from_oklab(to_oklab(color));
            for (before, after) in color.iter().zip(back) {
                assert!((before - after).abs() < 0.004, "{hex:06x}: {color:?} {back:?}");
            }
        }
    }

    #[test]
    fn a_ramp_runs_from_dark_to_light() {
        for colors in [
            vec![[0.2, 0.4, 0.9]],
            vec![[1.0, 1.0, 1.0]],
            vec![[0.0, 0.0, 0.0]],
            vec![[0.9, 0.1, 0.1], [0.1, 0.1, 0.1]],
        ] {
            let ramp = Ramp::new(colors.clone());
            let lightness = |t: f64| to_oklab(ramp.at(t))[0];
            assert!(lightness(1.0) - lightness(0.0) > 0.2, "{colors:?}");
        }
    }
}
