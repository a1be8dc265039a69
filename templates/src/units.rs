//! Values with units as a template's fields spell them: colours, lengths, times, easings and kin.
//!
//! Each reader takes the text of one field, after its expressions are filled, and gives the typed value or a message
//! that says what was found and what would be right. The text may come from a stranger: readers are linear in its
//! length, never panic, and quote at most its beginning.

use crate::time::{FrameRate, Time};
use crate::video::{Color, Easing};

/// A length with its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Length {
    /// How many units; finite, between -1 000 000 and 1 000 000.
    pub value: f64,
    /// Which unit.
    pub unit: LengthUnit,
}

/// What a length is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LengthUnit {
    /// Pixels of the canvas.
    Px,
    /// Hundredths of what the field refers to: the parent's width or height, the natural size.
    Percent,
    /// Hundredths of the canvas' shorter side.
    Vmin,
    /// Hundredths of the canvas' width.
    Vw,
    /// Hundredths of the canvas' height.
    Vh,
    /// Multiples of the text size.
    Em,
}

/// A length of time, or a position in time, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duration {
    /// Counted in seconds.
    Time(Time),
    /// Counted in frames of the canvas.
    Frames(i64),
}

/// The largest magnitude of a length and of a coordinate in path data.
pub const MAX_LENGTH: f64 = 1_000_000.0;
/// The longest path data in bytes.
pub const MAX_PATH_DATA: usize = 64 * 1024;
/// The longest time in seconds, either way.
const MAX_SECONDS: i128 = 1_000_000;
/// The most frames, either way.
const MAX_FRAMES: i128 = 100_000_000;

/// The candidate that `word` was most likely meant to be, when one is near enough to suggest.
///
/// Nearness is the Damerau-Levenshtein distance without regard to case: at most a third of the longer word's
/// characters and at most 3. Of equally near candidates the first is taken. A word of more than 64 bytes has none.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance costs the product of both lengths; nobody mistypes a word this long.
    const LONGEST: usize = 64;
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let lower = word.to_lowercase();
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates.into_iter().filter(|candidate| candidate.len() <= LONGEST) {
        let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
        let longer = lower.chars().count().max(candidate.chars().count());
        let near = distance <= 3 && distance * 3 <= longer.max(3);
        if near && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// `text` in double quotes for a message, cut after 40 characters.
pub fn quoted(text: &str) -> String {
    const LONGEST: usize = 40;
    let mut shown: String = text.chars().take(LONGEST).flat_map(char::escape_debug).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}

fn expected(what: &str, found: &str, remedy: &str) -> String {
    format!("expected {what}, found {}; {remedy}", quoted(found))
}

fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_ascii_whitespace())
}

// ---- numbers ----

/// A number in decimal notation, finite; `1.5`, `-3`, `.5`, `1e3`.
///
/// # Errors
/// Anything else, among it `NaN`, `inf` and numbers too large for 64-bit floating point.
pub fn parse_number(text: &str) -> Result<f64, String> {
    decimal(trim(text)).ok_or_else(|| expected("a number", text, "write digits, e.g. 12 or 0.5"))
}

/// The number that is all of `text`, if it is one and finite.
fn decimal(text: &str) -> Option<f64> {
    // Floats are read from a prefix known to be a number, because the standard library also takes `inf` and `nan`.
    match number_prefix(text.as_bytes()) {
        0 => None,
        length if length == text.len() => text.parse().ok().filter(|value: &f64| value.is_finite()),
        _ => None,
    }
}

/// How many bytes at the start of `bytes` are a number (SVG 2 path grammar: sign, digits, fraction, exponent); 0 when none.
fn number_prefix(bytes: &[u8]) -> usize {
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let whole = digits(at);
    at += whole;
    let mut fraction = 0;
    if bytes.get(at) == Some(&b'.') {
        fraction = digits(at + 1);
        if whole + fraction > 0 {
            at += 1 + fraction;
        }
    }
    if whole + fraction == 0 {
        return 0;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent > 0 {
            at += 1 + sign + exponent;
        }
    }
    at
}

/// Splits `text` into its leading number and the unit behind it.
fn number_and_unit(text: &str) -> Option<(f64, &str)> {
    let text = trim(text);
    // `2em` keeps its unit's first letter, because an exponent needs digits behind its `e`.
    let length = number_prefix(text.as_bytes());
    let (number, unit) = text.split_at(length);
    Some((decimal(number)?, unit.trim_start_matches(|c: char| c.is_ascii_whitespace())))
}

/// A yes or no: `true`, `false`, `yes`, `no`, `1`, `0`, in any case.
///
/// # Errors
/// Anything else.
pub fn parse_bool(text: &str) -> Result<bool, String> {
    let word = trim(text);
    let is = |words: [&str; 3]| words.iter().any(|known| word.eq_ignore_ascii_case(known));
    if is(["true", "yes", "1"]) {
        Ok(true)
    } else if is(["false", "no", "0"]) {
        Ok(false)
    } else {
        Err(expected("true or false", text, "write true or false"))
    }
}

/// A share of the whole, 0 to 1: `0.4` or `40%`.
///
/// # Errors
/// No number, or one outside 0 to 1 (0% to 100%).
pub fn parse_fraction(text: &str) -> Result<f64, String> {
    let wrong = || expected("a number from 0 to 1 or a percentage", text, "write e.g. 0.4 or 40%");
    let value = fraction(text).ok_or_else(wrong)?;
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(wrong()) }
}

fn fraction(text: &str) -> Option<f64> {
    match number_and_unit(text)? {
        (value, "") => Some(value),
        (value, "%") => Some(value / 100.0),
        _ => None,
    }
}

/// A gain in decibels, -120 to 24: `-12dB`, `3 dB`, `-6`.
///
/// # Errors
/// No number, another unit, or out of range.
pub fn parse_gain_db(text: &str) -> Result<f32, String> {
    match number_and_unit(text) {
        Some((value, unit)) if unit.is_empty() || unit.eq_ignore_ascii_case("db") => {
            if (-120.0..=24.0).contains(&value) {
                Ok(value as f32)
            } else {
                Err(expected("a gain between -120dB and 24dB", text, "write e.g. -12dB"))
            }
        }
        _ => Err(expected("a gain in decibels", text, "write e.g. -12dB or 0dB")),
    }
}

/// A turn in degrees, clockwise: `90deg`, `0.25turn`, `1.57rad`, `100grad`, or a bare number of degrees.
///
/// # Errors
/// No number, another unit, or more than 1 000 000 degrees either way.
pub fn parse_angle(text: &str) -> Result<f64, String> {
    angle(text).ok_or_else(|| expected("an angle", text, "write e.g. 90deg, 0.25turn or 1.57rad"))
}

fn angle(text: &str) -> Option<f64> {
    let (value, unit) = number_and_unit(text)?;
    let degrees = match unit.to_ascii_lowercase().as_str() {
        "" | "deg" | "°" => value,
        "turn" => value * 360.0,
        "rad" => value.to_degrees(),
        "grad" => value * 0.9,
        _ => return None,
    };
    (degrees.abs() <= 1_000_000.0).then_some(degrees)
}

/// A length: `96px`, `8%`, `9vmin`, `50vw`, `10vh`, `0.02em`, or a bare number of pixels.
///
/// # Errors
/// No number, an unknown unit, or more than [`MAX_LENGTH`] either way.
pub fn parse_length(text: &str) -> Result<Length, String> {
    const REMEDY: &str = "write e.g. 96px, 8%, 9vmin, 50vw, 10vh or 0.5em";
    let (value, unit) = number_and_unit(text).ok_or_else(|| expected("a length", text, REMEDY))?;
    let unit = match unit.to_ascii_lowercase().as_str() {
        "" | "px" => LengthUnit::Px,
        "%" => LengthUnit::Percent,
        "vmin" => LengthUnit::Vmin,
        "vw" => LengthUnit::Vw,
        "vh" => LengthUnit::Vh,
        "em" => LengthUnit::Em,
        _ => return Err(expected("a length", text, REMEDY)),
    };
    if value.abs() > MAX_LENGTH {
        return Err(expected("a length of at most 1000000 either way", text, REMEDY));
    }
    Ok(Length { value, unit })
}

/// The point of a box that stands at its position, as fractions of its width and height.
///
/// Names are `top-left`, `top`, `top-right`, `left`, `center`, `right`, `bottom-left`, `bottom`, `bottom-right`; any other
/// point is two percentages or fractions, `25% 75%`.
///
/// # Errors
/// Anything else, and fractions outside 0 to 1.
pub fn parse_anchor(text: &str) -> Result<[f32; 2], String> {
    const ANCHORS: [(&str, [f32; 2]); 10] = [
        ("top-left", [0.0, 0.0]),
        ("top", [0.5, 0.0]),
        ("top-right", [1.0, 0.0]),
        ("left", [0.0, 0.5]),
        ("center", [0.5, 0.5]),
        ("centre", [0.5, 0.5]),
        ("right", [1.0, 0.5]),
        ("bottom-left", [0.0, 1.0]),
        ("bottom", [0.5, 1.0]),
        ("bottom-right", [1.0, 1.0]),
    ];
    let word = trim(text);
    if let Some((_, anchor)) = ANCHORS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)) {
        return Ok(*anchor);
    }
    let parts: Vec<&str> = word
        .split(|c: char| c == ',' || c.is_ascii_whitespace())
        .filter(|part| !part.is_empty())
        .take(3)
        .collect();
    if let [x, y] = parts[..]
        && let (Ok(x), Ok(y)) = (parse_fraction(x), parse_fraction(y))
    {
        return Ok([x as f32, y as f32]);
    }
    Err(match did_you_mean(word, ANCHORS.iter().map(|(name, _)| *name)) {
        Some(near) => expected("an anchor", text, &format!("did you mean {near}?")),
        None => expected("an anchor", text, "write e.g. center, top-left, or two percentages like 50% 100%"),
    })
}

// ---- time ----

/// A length of time or a position in time: `3s`, `450ms`, `12f`, `1:30` (m:ss), `1:02:03` (h:mm:ss), `0:02.5`, `0`; a
/// leading `-` makes it negative.
///
/// Decimals become ticks by integer arithmetic, rounded once to the nearest tick.
///
/// # Errors
/// A number without a unit, another unit, frames that are not whole, and more than 1 000 000 s or 100 000 000 frames.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    const REMEDY: &str = "write e.g. 3s, 450ms, 12f (frames) or 1:30";
    let wrong = || expected("a duration", text, REMEDY);
    let body = trim(text);
    let (negative, body) = match body.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, body.strip_prefix('+').unwrap_or(body)),
    };
    let sign = if negative { -1 } else { 1 };

    if body.contains(':') {
        let nanos = clock(body).ok_or_else(wrong)?;
        return ticks(sign * nanos.0, nanos.1).ok_or_else(|| too_long(text));
    }
    let length = body.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let (number, unit) = body.split_at(length);
    let unit = trim(unit);
    let Some((value, scale)) = exact_decimal(number) else {
        let digits = number.bytes().filter(u8::is_ascii_digit).count();
        let known = ["s", "ms", "f"].iter().any(|known| unit.eq_ignore_ascii_case(known));
        return Err(if digits > 12 && known { too_long(text) } else { wrong() });
    };
    match unit.to_ascii_lowercase().as_str() {
        "s" => ticks(sign * value, scale).ok_or_else(|| too_long(text)),
        "ms" => ticks(sign * value, scale * 1000).ok_or_else(|| too_long(text)),
        "f" if value % scale == 0 => match value / scale {
            frames if frames <= MAX_FRAMES => Ok(Duration::Frames((sign * frames) as i64)),
            _ => Err(too_long(text)),
        },
        "f" => Err(expected("a whole number of frames", text, "write e.g. 12f")),
        "" if value == 0 => Ok(Duration::Time(Time::ZERO)),
        "" => Err(expected("a duration with a unit", text, REMEDY)),
        _ => Err(wrong()),
    }
}

fn too_long(text: &str) -> String {
    expected("a duration of at most 1000000s or 100000000f", text, "write e.g. 3s or 12f")
}

/// `value / scale` seconds in ticks; `None` beyond the longest time.
fn ticks(value: i128, scale: i128) -> Option<Duration> {
    if value.abs() > MAX_SECONDS * scale {
        return None;
    }
    // At most 1e6 * 1e15 * 7e8, well inside 128 bits.
    let scaled = value * i128::from(Time::TICKS_PER_SECOND);
    let rounded = (scaled.abs() + scale / 2) / scale * scaled.signum();
    Some(Duration::Time(Time::from_ticks(rounded as i64)))
}

/// Unsigned decimal notation as `(digits, power of ten)`, at most 12 digits before the point.
///
/// Of the fraction 12 digits count, far finer than a tick: what an expression computes has up to 17.
fn exact_decimal(text: &str) -> Option<(i128, i128)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.len() + fraction.len() == 0
        || whole.len() > 12
        || !fraction.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let fraction = &fraction[..fraction.len().min(12)];
    let mut value = 0i128;
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i128::from(byte - b'0');
    }
    Some((value, 10i128.pow(fraction.len() as u32)))
}

/// `m:ss` or `h:mm:ss`, the seconds with a fraction or without, as seconds in the form of [`exact_decimal`].
fn clock(text: &str) -> Option<(i128, i128)> {
    let parts: Vec<&str> = text.split(':').take(4).collect();
    let (seconds, larger) = parts.split_last()?;
    if larger.is_empty() || larger.len() > 2 {
        return None;
    }
    let mut minutes = 0i128;
    for (index, part) in larger.iter().enumerate() {
        let (value, scale) = exact_decimal(part)?;
        // Behind a larger unit two digits below 60 are meant, so that 1:5 and 1:90 are not guessed at.
        if scale != 1 || (index > 0 && (part.len() != 2 || value >= 60)) {
            return None;
        }
        minutes = minutes * 60 + value;
    }
    let (value, scale) = exact_decimal(seconds)?;
    let whole = seconds.split('.').next().unwrap_or_default();
    if whole.len() != 2 || value >= 60 * scale {
        return None;
    }
    Some((minutes * 60 * scale + value, scale))
}

/// Frames per second, 1 to 240: `25`, `30000/1001`, `12.5`. `23.976` (`23.98`), `29.97`, `47.952`, `59.94` and `119.88` stand
/// for the exact 1000/1001 rates.
///
/// # Errors
/// Anything else, and rates out of range.
pub fn parse_frame_rate(text: &str) -> Result<FrameRate, String> {
    const NTSC: [(&str, u32); 7] = [
        ("23.976", 24),
        ("23.98", 24),
        ("29.97", 30),
        ("47.952", 48),
        ("47.95", 48),
        ("59.94", 60),
        ("119.88", 120),
    ];
    let wrong = || expected("a frame rate from 1 to 240", text, "write e.g. 25, 30, 29.97 or 30000/1001");
    let word = trim(text);
    if let Some((_, whole)) = NTSC.iter().find(|(name, _)| *name == word) {
        return FrameRate::new(whole * 1000, 1001).ok_or_else(wrong);
    }
    let (num, den) = match word.split_once('/') {
        Some((num, den)) => {
            let (num, one) = exact_decimal(trim(num)).ok_or_else(wrong)?;
            let (den, other) = exact_decimal(trim(den)).ok_or_else(wrong)?;
            if one * other != 1 {
                return Err(wrong());
            }
            (num, den)
        }
        None => exact_decimal(word).ok_or_else(wrong)?,
    };
    let part = |value: i128| u32::try_from(value).ok().filter(|value| *value > 0).ok_or_else(wrong);
    let (num, den) = (part(num)?, part(den)?);
    if num < den || u64::from(num) > 240 * u64::from(den) || den > 1_000_000 {
        return Err(wrong());
    }
    FrameRate::new(num, den).ok_or_else(wrong)
}

// ---- easing ----

/// Named easings as cubic Béziers: the CSS keywords (CSS Easing Functions Level 1, section 2.2.1) and the customary
/// approximations of Penner's curves.
const EASINGS: [(&str, [f32; 4]); 28] = [
    ("ease", [0.25, 0.1, 0.25, 1.0]),
    ("ease-in", [0.42, 0.0, 1.0, 1.0]),
    ("ease-out", [0.0, 0.0, 0.58, 1.0]),
    ("ease-in-out", [0.42, 0.0, 0.58, 1.0]),
    ("in-sine", [0.12, 0.0, 0.39, 0.0]),
    ("out-sine", [0.61, 1.0, 0.88, 1.0]),
    ("in-out-sine", [0.37, 0.0, 0.63, 1.0]),
    ("in-quad", [0.11, 0.0, 0.5, 0.0]),
    ("out-quad", [0.5, 1.0, 0.89, 1.0]),
    ("in-out-quad", [0.45, 0.0, 0.55, 1.0]),
    ("in-cubic", [0.32, 0.0, 0.67, 0.0]),
    ("out-cubic", [0.33, 1.0, 0.68, 1.0]),
    ("in-out-cubic", [0.65, 0.0, 0.35, 1.0]),
    ("in-quart", [0.5, 0.0, 0.75, 0.0]),
    ("out-quart", [0.25, 1.0, 0.5, 1.0]),
    ("in-out-quart", [0.76, 0.0, 0.24, 1.0]),
    ("in-quint", [0.64, 0.0, 0.78, 0.0]),
    ("out-quint", [0.22, 1.0, 0.36, 1.0]),
    ("in-out-quint", [0.83, 0.0, 0.17, 1.0]),
    ("in-expo", [0.7, 0.0, 0.84, 0.0]),
    ("out-expo", [0.16, 1.0, 0.3, 1.0]),
    ("in-out-expo", [0.87, 0.0, 0.13, 1.0]),
    ("in-circ", [0.55, 0.0, 1.0, 0.45]),
    ("out-circ", [0.0, 0.55, 0.45, 1.0]),
    ("in-out-circ", [0.85, 0.0, 0.15, 1.0]),
    ("in-back", [0.36, 0.0, 0.66, -0.56]),
    ("out-back", [0.34, 1.56, 0.64, 1.0]),
    ("in-out-back", [0.68, -0.6, 0.32, 1.6]),
];

/// How a value moves: `linear`, `ease`, `ease-in`, `ease-out`, `ease-in-out`; `in-`, `out-` or `in-out-` with `sine`, `quad`,
/// `cubic`, `quart`, `quint`, `expo`, `circ` or `back`; `cubic-bezier(x1, y1, x2, y2)`; `steps(n)`.
///
/// # Errors
/// An unknown name, x1 or x2 outside 0 to 1, y1 or y2 beyond 10 either way, fewer than 1 or more than 1000 steps.
pub fn parse_easing(text: &str) -> Result<Easing, String> {
    const REMEDY: &str = "write e.g. linear, ease-in-out, out-cubic, cubic-bezier(0.2, 0, 0, 1) or steps(4)";
    let word = trim(text);
    if word.eq_ignore_ascii_case("linear") {
        return Ok(Easing::Linear);
    }
    if let Some((_, curve)) = EASINGS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name)) {
        return Ok(Easing::CubicBezier(*curve));
    }
    if let Some((name, arguments)) = call(word) {
        let arguments: Vec<&str> = arguments.split(',').map(trim).take(5).collect();
        return match (name.to_ascii_lowercase().as_str(), &arguments[..]) {
            ("cubic-bezier", [_, _, _, _]) => {
                let mut curve = [0.0f32; 4];
                for (index, argument) in arguments.iter().enumerate() {
                    let value = decimal(argument).ok_or_else(|| expected("an easing", text, REMEDY))?;
                    let fits =
                        if index % 2 == 0 { (0.0..=1.0).contains(&value) } else { value.abs() <= 10.0 };
                    if !fits {
                        return Err(expected(
                            "a cubic-bezier with x1 and x2 from 0 to 1 and y1 and y2 from -10 to 10",
                            text,
                            "write e.g. cubic-bezier(0.2, 0, 0, 1)",
                        ));
                    }
                    curve[index] = value as f32;
                }
                Ok(Easing::CubicBezier(curve))
            }
            ("cubic-bezier", _) => {
                Err(expected("a cubic-bezier of four numbers", text, "write e.g. cubic-bezier(0.2, 0, 0, 1)"))
            }
            ("steps", [count] | [count, "end" | "jump-end"]) => match count.parse::<u32>() {
                Ok(count @ 1..=1000) => Ok(Easing::Steps(count)),
                _ => Err(expected("steps from 1 to 1000", text, "write e.g. steps(4)")),
            },
            _ => Err(expected("an easing", text, REMEDY)),
        };
    }
    let names = EASINGS.iter().map(|(name, _)| *name).chain(["linear"]);
    let bare = word.strip_prefix("ease-").unwrap_or(word);
    let near = names.clone().find(|name| *name == bare).or_else(|| did_you_mean(word, names));
    Err(match near {
        Some(near) => expected("an easing", text, &format!("did you mean {near}?")),
        None => expected("an easing", text, REMEDY),
    })
}

/// Splits `name(arguments)`.
fn call(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.split_once('(')?;
    let arguments = rest.strip_suffix(')')?;
    Some((trim(name), arguments))
}

// ---- colour ----

/// A colour as CSS spells it (CSS Color Level 4): `#rgb`, `#rgba`, `#rrggbb`, `#rrggbbaa`, a name, `transparent`, `rgb()`,
/// `rgba()`, `hsl()`, `hsla()` with commas or with spaces and `/`.
///
/// Components out of range are clamped, as CSS has it.
///
/// # Errors
/// Anything else; a misspelt name is answered with the nearest one.
pub fn parse_color(text: &str) -> Result<Color, String> {
    const REMEDY: &str = "write #rrggbb, rgb(…) or a CSS name";
    let word = trim(text);
    if let Some(digits) = word.strip_prefix('#') {
        return hex(digits)
            .ok_or_else(|| expected("a colour", text, "write 3, 4, 6 or 8 hexadecimal digits after the #"));
    }
    if let Some((name, arguments)) = call(word) {
        let color = match name.to_ascii_lowercase().as_str() {
            "rgb" | "rgba" => rgb(arguments),
            "hsl" | "hsla" => hsl(arguments),
            _ => None,
        };
        return color.ok_or_else(|| {
            expected(
                "a colour",
                text,
                "write e.g. rgb(124, 58, 237), rgb(124 58 237 / 50%) or hsl(262 83% 58%)",
            )
        });
    }
    let lower = if word.len() <= 32 { word.to_ascii_lowercase() } else { String::new() };
    if lower == "transparent" {
        return Ok(Color { r: 0, g: 0, b: 0, a: 0 });
    }
    if let Ok(index) = NAMED_COLORS.binary_search_by_key(&lower.as_str(), |(name, _)| name) {
        let [_, r, g, b] = NAMED_COLORS[index].1.to_be_bytes();
        return Ok(Color { r, g, b, a: 255 });
    }
    if matches!(lower.len(), 3 | 4 | 6 | 8) && hex(&lower).is_some() {
        return Err(expected("a colour", text, &format!("did you mean #{lower}?")));
    }
    let names = NAMED_COLORS.iter().map(|(name, _)| *name).chain(["transparent"]);
    Err(match did_you_mean(&lower, names) {
        Some(near) => expected("a colour", text, &format!("{REMEDY}; did you mean {near}?")),
        None => expected("a colour", text, REMEDY),
    })
}

fn hex(digits: &str) -> Option<Color> {
    let nibbles: Vec<u8> =
        digits.chars().take(9).map(|c| c.to_digit(16).map(|nibble| nibble as u8)).collect::<Option<_>>()?;
    let twice = |nibble: u8| nibble * 17;
    let pair = |high: u8, low: u8| high * 16 + low;
    match nibbles[..] {
        [r, g, b] => Some(Color { r: twice(r), g: twice(g), b: twice(b), a: 255 }),
        [r, g, b, a] => Some(Color { r: twice(r), g: twice(g), b: twice(b), a: twice(a) }),
        [r, r2, g, g2, b, b2] => Some(Color { r: pair(r, r2), g: pair(g, g2), b: pair(b, b2), a: 255 }),
        [r, r2, g, g2, b, b2, a, a2] => {
            Some(Color { r: pair(r, r2), g: pair(g, g2), b: pair(b, b2), a: pair(a, a2) })
        }
        _ => None,
    }
}

/// The three components and the opacity (0 to 1) of a colour function's arguments, in either syntax.
fn components(arguments: &str) -> Option<([&str; 3], f64)> {
    let parts: Vec<&str>;
    let alpha: Option<&str>;
    if arguments.contains(',') {
        let all: Vec<&str> = arguments.split(',').map(trim).take(5).collect();
        (parts, alpha) = match all.len() {
            3 => (all, None),
            4 => (all[..3].to_vec(), Some(all[3])),
            _ => return None,
        };
    } else {
        let (colors, opacity) = match arguments.split_once('/') {
            Some((colors, opacity)) => (colors, Some(trim(opacity))),
            None => (arguments, None),
        };
        parts = colors.split_ascii_whitespace().take(4).collect();
        alpha = opacity;
    }
    let alpha = match alpha {
        Some(alpha) => fraction(alpha)?.clamp(0.0, 1.0),
        None => 1.0,
    };
    Some((parts.try_into().ok()?, alpha))
}

fn channel(value: f64) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

fn rgb(arguments: &str) -> Option<Color> {
    let (parts, alpha) = components(arguments)?;
    let mut channels = [0u8; 3];
    for (slot, part) in channels.iter_mut().zip(parts) {
        *slot = match number_and_unit(part)? {
            (value, "") => channel(value),
            (value, "%") => channel(value / 100.0 * 255.0),
            _ => return None,
        };
    }
    let [r, g, b] = channels;
    Some(Color { r, g, b, a: channel(alpha * 255.0) })
}

/// Hue, saturation, lightness to sRGB (CSS Color Level 4, section 7.1).
fn hsl(arguments: &str) -> Option<Color> {
    let ([hue, saturation, lightness], alpha) = components(arguments)?;
    let hue = angle(hue)?.rem_euclid(360.0);
    let percentage = |part: &str| match number_and_unit(part)? {
        (value, "" | "%") => Some((value / 100.0).clamp(0.0, 1.0)),
        _ => None,
    };
    let (saturation, lightness) = (percentage(saturation)?, percentage(lightness)?);
    let reach = saturation * lightness.min(1.0 - lightness);
    let at = |offset: f64| {
        let sector = (offset + hue / 30.0) % 12.0;
        channel((lightness - reach * (sector - 3.0).min(9.0 - sector).clamp(-1.0, 1.0)) * 255.0)
    };
    Some(Color { r: at(0.0), g: at(8.0), b: at(4.0), a: channel(alpha * 255.0) })
}

/// The named colours of CSS Color Level 4, section 6.1, in the order of their names.
const NAMED_COLORS: [(&str, u32); 148] = [
    ("aliceblue", 0xf0f8ff),
    ("antiquewhite", 0xfaebd7),
    ("aqua", 0x00ffff),
    ("aquamarine", 0x7fffd4),
    ("azure", 0xf0ffff),
    ("beige", 0xf5f5dc),
    ("bisque", 0xffe4c4),
    ("black", 0x000000),
    ("blanchedalmond", 0xffebcd),
    ("blue", 0x0000ff),
    ("blueviolet", 0x8a2be2),
    ("brown", 0xa52a2a),
    ("burlywood", 0xdeb887),
    ("cadetblue", 0x5f9ea0),
    ("chartreuse", 0x7fff00),
    ("chocolate", 0xd2691e),
    ("coral", 0xff7f50),
    ("cornflowerblue", 0x6495ed),
    ("cornsilk", 0xfff8dc),
    ("crimson", 0xdc143c),
    ("cyan", 0x00ffff),
    ("darkblue", 0x00008b),
    ("darkcyan", 0x008b8b),
    ("darkgoldenrod", 0xb8860b),
    ("darkgray", 0xa9a9a9),
    ("darkgreen", 0x006400),
    ("darkgrey", 0xa9a9a9),
    ("darkkhaki", 0xbdb76b),
    ("darkmagenta", 0x8b008b),
    ("darkolivegreen", 0x556b2f),
    ("darkorange", 0xff8c00),
    ("darkorchid", 0x9932cc),
    ("darkred", 0x8b0000),
    ("darksalmon", 0xe9967a),
    ("darkseagreen", 0x8fbc8f),
    ("darkslateblue", 0x483d8b),
    ("darkslategray", 0x2f4f4f),
    ("darkslategrey", 0x2f4f4f),
    ("darkturquoise", 0x00ced1),
    ("darkviolet", 0x9400d3),
    ("deeppink", 0xff1493),
    ("deepskyblue", 0x00bfff),
    ("dimgray", 0x696969),
    ("dimgrey", 0x696969),
    ("dodgerblue", 0x1e90ff),
    ("firebrick", 0xb22222),
    ("floralwhite", 0xfffaf0),
    ("forestgreen", 0x228b22),
    ("fuchsia", 0xff00ff),
    ("gainsboro", 0xdcdcdc),
    ("ghostwhite", 0xf8f8ff),
    ("gold", 0xffd700),
    ("goldenrod", 0xdaa520),
    ("gray", 0x808080),
    ("green", 0x008000),
    ("greenyellow", 0xadff2f),
    ("grey", 0x808080),
    ("honeydew", 0xf0fff0),
    ("hotpink", 0xff69b4),
    ("indianred", 0xcd5c5c),
    ("indigo", 0x4b0082),
    ("ivory", 0xfffff0),
    ("khaki", 0xf0e68c),
    ("lavender", 0xe6e6fa),
    ("lavenderblush", 0xfff0f5),
    ("lawngreen", 0x7cfc00),
    ("lemonchiffon", 0xfffacd),
    ("lightblue", 0xadd8e6),
    ("lightcoral", 0xf08080),
    ("lightcyan", 0xe0ffff),
    ("lightgoldenrodyellow", 0xfafad2),
    ("lightgray", 0xd3d3d3),
    ("lightgreen", 0x90ee90),
    ("lightgrey", 0xd3d3d3),
    ("lightpink", 0xffb6c1),
    ("lightsalmon", 0xffa07a),
    ("lightseagreen", 0x20b2aa),
    ("lightskyblue", 0x87cefa),
    ("lightslategray", 0x778899),
    ("lightslategrey", 0x778899),
    ("lightsteelblue", 0xb0c4de),
    ("lightyellow", 0xffffe0),
    ("lime", 0x00ff00),
    ("limegreen", 0x32cd32),
    ("linen", 0xfaf0e6),
    ("magenta", 0xff00ff),
    ("maroon", 0x800000),
    ("mediumaquamarine", 0x66cdaa),
    ("mediumblue", 0x0000cd),
    ("mediumorchid", 0xba55d3),
    ("mediumpurple", 0x9370db),
    ("mediumseagreen", 0x3cb371),
    ("mediumslateblue", 0x7b68ee),
    ("mediumspringgreen", 0x00fa9a),
    ("mediumturquoise", 0x48d1cc),
    ("mediumvioletred", 0xc71585),
    ("midnightblue", 0x191970),
    ("mintcream", 0xf5fffa),
    ("mistyrose", 0xffe4e1),
    ("moccasin", 0xffe4b5),
    ("navajowhite", 0xffdead),
    ("navy", 0x000080),
    ("oldlace", 0xfdf5e6),
    ("olive", 0x808000),
    ("olivedrab", 0x6b8e23),
    ("orange", 0xffa500),
    ("orangered", 0xff4500),
    ("orchid", 0xda70d6),
    ("palegoldenrod", 0xeee8aa),
    ("palegreen", 0x98fb98),
    ("paleturquoise", 0xafeeee),
    ("palevioletred", 0xdb7093),
    ("papayawhip", 0xffefd5),
    ("peachpuff", 0xffdab9),
    ("peru", 0xcd853f),
    ("pink", 0xffc0cb),
    ("plum", 0xdda0dd),
    ("powderblue", 0xb0e0e6),
    ("purple", 0x800080),
    ("rebeccapurple", 0x663399),
    ("red", 0xff0000),
    ("rosybrown", 0xbc8f8f),
    ("royalblue", 0x4169e1),
    ("saddlebrown", 0x8b4513),
    ("salmon", 0xfa8072),
    ("sandybrown", 0xf4a460),
    ("seagreen", 0x2e8b57),
    ("seashell", 0xfff5ee),
    ("sienna", 0xa0522d),
    ("silver", 0xc0c0c0),
    ("skyblue", 0x87ceeb),
    ("slateblue", 0x6a5acd),
    ("slategray", 0x708090),
    ("slategrey", 0x708090),
    ("snow", 0xfffafa),
    ("springgreen", 0x00ff7f),
    ("steelblue", 0x4682b4),
    ("tan", 0xd2b48c),
    ("teal", 0x008080),
    ("thistle", 0xd8bfd8),
    ("tomato", 0xff6347),
    ("turquoise", 0x40e0d0),
    ("violet", 0xee82ee),
    ("wheat", 0xf5deb3),
    ("white", 0xffffff),
    ("whitesmoke", 0xf5f5f5),
    ("yellow", 0xffff00),
    ("yellowgreen", 0x9acd32),
];

// ---- path data ----

/// Checks that `data` is SVG path data (SVG 2, section 9.3.9) that can be drawn: a moveto first, every command with all
/// its numbers, no coordinate beyond [`MAX_LENGTH`], at most [`MAX_PATH_DATA`] bytes.
///
/// # Errors
/// The first fault, with its byte position.
pub fn check_path_data(data: &str) -> Result<(), String> {
    const REMEDY: &str = "write SVG path data, e.g. M0 0 L10 0 L10 10 Z";
    if data.len() > MAX_PATH_DATA {
        return Err(format!(
            "path data has {} bytes; write at most {MAX_PATH_DATA}, e.g. with fewer decimals",
            data.len()
        ));
    }
    let mut scan = PathScan { bytes: data.as_bytes(), at: 0 };
    let fault = |at: usize, what: &str| {
        let rest = data.get(at..).unwrap_or_default();
        let found = if rest.is_empty() { "the end".to_owned() } else { quoted(rest) };
        Err(format!("expected {what} at byte {at} of the path data, found {found}; {REMEDY}"))
    };
    scan.skip_whitespace();
    let mut first = true;
    while let Some(command) = scan.peek() {
        let count = match command.to_ascii_uppercase() {
            b'Z' => 0,
            b'H' | b'V' => 1,
            b'M' | b'L' | b'T' => 2,
            b'S' | b'Q' => 4,
            b'C' => 6,
            b'A' => 7,
            _ => return fault(scan.at, "one of the commands M L H V C S Q T A Z"),
        };
        if first && !command.eq_ignore_ascii_case(&b'M') {
            return fault(scan.at, "a moveto (M) first");
        }
        first = false;
        scan.at += 1;
        scan.skip_whitespace();
        if count == 0 {
            continue;
        }
        // A command repeats as long as numbers follow; after a comma one must.
        loop {
            for index in 0..count {
                if index > 0 {
                    scan.skip_separator();
                }
                let start = scan.at;
                if count == 7 && (index == 3 || index == 4) {
                    // Arc flags are one digit and need no separator: `a1 1 0 0110 10`.
                    match scan.peek() {
                        Some(b'0' | b'1') => scan.at += 1,
                        _ => return fault(start, "an arc flag, 0 or 1,"),
                    }
                    continue;
                }
                let length = number_prefix(&scan.bytes[start..]);
                let value = data.get(start..start + length).and_then(decimal);
                match value {
                    Some(value) if value.abs() <= MAX_LENGTH => scan.at += length,
                    Some(_) => return fault(start, "a number of at most 1000000 either way"),
                    None => return fault(start, "a number"),
                }
            }
            let comma = scan.skip_separator();
            let more = matches!(scan.peek(), Some(b'0'..=b'9' | b'+' | b'-' | b'.'));
            if comma && !more {
                return fault(scan.at, "a number after the comma");
            }
            if !more {
                break;
            }
        }
    }
    if first { Err(format!("path data is empty; {REMEDY}")) } else { Ok(()) }
}

struct PathScan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl PathScan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')) {
            self.at += 1;
        }
    }

    /// Skips white space with at most one comma in it; whether there was a comma.
    fn skip_separator(&mut self) -> bool {
        self.skip_whitespace();
        let comma = self.peek() == Some(b',');
        if comma {
            self.at += 1;
            self.skip_whitespace();
        }
        comma
    }
}

#[cfg(test)]
mod tests;
