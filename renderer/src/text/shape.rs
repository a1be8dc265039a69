//! A filled text block to placed glyphs.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parley::{
    Alignment, AlignmentOptions, BaseDirection, FontFamily, FontFamilyName, FontStyle, FontWeight,
    GenericFamily, Language, Layout, LineHeight, OverflowWrap, StyleProperty,
};
use swash::text::{Codepoint, Script};
use tiny_skia::{Rect, Transform};
use vignette_templates::blob::Digest;
use vignette_templates::video::{Align, FontSource, Marked, TextBlock, TextFit, VerticalAlign};

use super::clean::{clean, first_direction_is_rtl, han_language, is_invisible, is_joined};
use super::glyphs::{Variant, unite};
use super::library::{Contexts, Face, FontLibrary, asset_family};
use super::{MAX_CHARS, TextError, catalog};

/// Sizes that shrinking tries are this many pixels apart, so that texts of about the same length share glyphs.
const SIZE_STEP: f32 = 0.25;
/// Widths that differ by less than this many pixels count as the same.
const TOLERANCE: f32 = 0.01;
/// Languages written from right to left, for text without any letter.
const RTL_LANGUAGES: [&str; 10] = ["ar", "he", "fa", "ur", "yi", "ps", "sd", "ug", "dv", "ckb"];

/// Text that knows where each of its glyphs stands. Lengths are pixels at scale 1, from the box's upper left
/// corner, y downwards.
#[derive(Clone)]
pub struct TextLayout {
    /// Width of the widest line, without space at its end.
    pub width: f32,
    /// Height of all lines.
    pub height: f32,
    /// What the glyphs touch, without outline and pill. May reach out of the box.
    pub ink: Rect,
    /// The em in pixels after shrinking.
    pub size_used: f32,
    /// How many lines there are.
    pub line_count: usize,
    /// Characters that no font has, each once, in order of appearance; they are drawn as a box.
    pub missing: Vec<char>,
    /// Some of the text stands outside the box, or it did not fit even at the smallest size and was cut.
    pub overflow: bool,
    /// The text was cut with an ellipsis.
    pub shortened: bool,
    pub(super) library: FontLibrary,
    pub(super) block: TextBlock,
    /// Width and height of the box; those of the lines where none was given.
    pub(super) size: [f32; 2],
    /// What the lines cover.
    pub(super) lines: Rect,
    pub(super) runs: Vec<Run>,
}

/// Glyphs of one font on one line.
#[derive(Clone)]
pub(super) struct Run {
    pub face: Arc<Face>,
    pub variant: Variant,
    /// Baseline from the top of the box.
    pub baseline: f32,
    /// Its letters touch one another, so each must stand exactly where it belongs.
    pub connected: bool,
    pub glyphs: Vec<Glyph>,
}

/// A glyph and its place, relative to the box's left edge and the run's baseline.
#[derive(Clone, Copy)]
pub(super) struct Glyph {
    pub id: u32,
    pub x: f32,
    pub y: f32,
    /// It belongs to the part of the text that has a colour of its own.
    pub marked: bool,
}

impl TextLayout {
    /// The font files that the text takes glyphs from, in order of their digests.
    ///
    /// The digest of a large system font is computed when it is first asked for (Noto Sans CJK: 19 MB).
    pub fn fonts(&self) -> Vec<Digest> {
        let mut fonts: Vec<_> = self.runs.iter().map(|run| run.face.file.digest()).collect();
        fonts.sort_unstable();
        fonts.dedup();
        fonts
    }

    /// The engine's own font files that the text takes glyphs from: digest and name, without the folder.
    pub fn own_fonts(&self) -> impl Iterator<Item = (Digest, &str)> {
        let files = self.runs.iter().map(|run| &run.face.file);
        files.filter_map(|file| file.name.as_deref().map(|name| (file.digest(), name)))
    }

    /// Width and height of the box that the text was laid out in; those of the lines where none was given.
    pub fn box_size(&self) -> [f32; 2] {
        self.size
    }
}

impl fmt::Debug for TextLayout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text itself may be personal and stays out.
        f.debug_struct("TextLayout")
            .field("width", &self.width)
            .field("height", &self.height)
            .field("ink", &self.ink)
            .field("size_used", &self.size_used)
            .field("line_count", &self.line_count)
            .field("overflow", &self.overflow)
            .field("shortened", &self.shortened)
            .finish_non_exhaustive()
    }
}

/// Lays out `block` in a box of `width` and `height` pixels (`None` is as large as the text), for a viewer
/// whose language is `locale` (BCP 47).
///
/// Text that shrinks becomes smaller as a whole: its letter spacing and outline shrink with it.
///
/// # Errors
/// [`TextError`] when the block names a font that the library does not hold, when the text has more than
/// [`MAX_CHARS`] characters, or when a number is none that can be drawn with.
pub fn layout(
    library: &FontLibrary,
    block: &TextBlock,
    width: Option<f32>,
    height: Option<f32>,
    locale: &str,
) -> Result<TextLayout, TextError> {
    check(block, width, height)?;
    let chars = block.text.chars().count();
    if chars > MAX_CHARS {
        return Err(TextError::TooLong { chars });
    }
    let text = clean(&block.text);
    let families = families(library, &block.fonts)?;
    let shaper =
        Shaper { block, families, language: language(&text, locale), direction: direction(&text, locale) };
    // Shapers run what a font's tables tell them. Should a template's font find a way to make one panic, that
    // is this text's error, not the end of the process; the scratch space in use is then thrown away.
    catch_unwind(AssertUnwindSafe(|| {
        library.with_contexts(|contexts| {
            let fitted = fit(&shaper, contexts, &text, width, height);
            assemble(library, block, fitted, width, height)
        })
    }))
    .map_err(|_| TextError::Failed)
}

fn check(block: &TextBlock, width: Option<f32>, height: Option<f32>) -> Result<(), TextError> {
    let within = |field, value: f32, range: std::ops::RangeInclusive<f32>, expected| {
        if range.contains(&value) { Ok(()) } else { Err(TextError::OutOfRange { field, value, expected }) }
    };
    within("size", block.size, 0.1..=8192.0, "0.1 to 8192 pixels")?;
    within("letter_spacing", block.letter_spacing, -8192.0..=8192.0, "-8192 to 8192 pixels")?;
    within("line_height", block.line_height.unwrap_or(1.0), 0.0..=100.0, "0 to 100")?;
    within("width", width.unwrap_or(1.0), 0.0..=1e6, "0 to 1000000 pixels")?;
    within("height", height.unwrap_or(1.0), 0.0..=1e6, "0 to 1000000 pixels")?;
    if let Some(stroke) = block.stroke {
        within("stroke.width", stroke.width, 0.0..=8192.0, "0 to 8192 pixels")?;
    }
    if let Some(pill) = block.pill {
        for value in [pill.padding[0], pill.padding[1], pill.radius] {
            within("pill", value, -8192.0..=8192.0, "-8192 to 8192 pixels")?;
        }
    }
    if let TextFit::Shrink { min_size, .. } = block.fit {
        within("min_size", min_size, 0.1..=8192.0, "0.1 to 8192 pixels")?;
    }
    Ok(())
}

fn families(library: &FontLibrary, fonts: &[FontSource]) -> Result<Vec<FontFamilyName<'static>>, TextError> {
    let mut families = Vec::with_capacity(fonts.len() + 1);
    for font in fonts {
        let name = match font {
            FontSource::Asset(digest) if library.has_asset(*digest) => asset_family(*digest),
            FontSource::Asset(digest) => return Err(TextError::UnknownAsset(*digest)),
            FontSource::Family(name) if library.has_family(name) => name.clone(),
            FontSource::Family(name) => return Err(TextError::UnknownFamily(name.clone())),
        };
        families.push(FontFamilyName::Named(Cow::Owned(name)));
    }
    if families.is_empty() {
        families.push(FontFamilyName::Named(Cow::Borrowed(catalog::DEFAULT_FAMILY)));
    }
    Ok(families)
}

/// The language to shape in. A viewer's own decides the forms of Han characters only where it uses them.
fn language(text: &str, locale: &str) -> Option<Language> {
    let language = Language::parse(locale).ok();
    if language.is_some_and(|language| matches!(language.language(), "ja" | "ko" | "zh" | "yue")) {
        return language;
    }
    han_language(text).and_then(|tag| Language::parse(tag).ok()).or(language)
}

fn direction(text: &str, locale: &str) -> BaseDirection {
    let rtl = first_direction_is_rtl(text).unwrap_or_else(|| {
        Language::parse(locale).is_ok_and(|language| RTL_LANGUAGES.contains(&language.language()))
    });
    if rtl { BaseDirection::Rtl } else { BaseDirection::Ltr }
}

/// Everything but the text that shaping depends on.
struct Shaper<'a> {
    block: &'a TextBlock,
    families: Vec<FontFamilyName<'static>>,
    language: Option<Language>,
    direction: BaseDirection,
}

impl Shaper<'_> {
    /// Glyphs and their advances at the block's full size, not yet broken into lines.
    fn shape(&self, contexts: &mut Contexts, text: &str, wrap: OverflowWrap) -> Layout<()> {
        let block = self.block;
        let mut builder = contexts.layout.ranged_builder(&mut contexts.fonts, text, 1.0, false);
        builder.set_base_direction(self.direction);
        builder.push_default(StyleProperty::FontFamily(FontFamily::List(Cow::Borrowed(&self.families))));
        builder.push_default(StyleProperty::FontSize(block.size));
        builder
            .push_default(StyleProperty::FontWeight(FontWeight::new(f32::from(block.weight.clamp(1, 1000)))));
        let style = if block.italic { FontStyle::Italic } else { FontStyle::Normal };
        builder.push_default(StyleProperty::FontStyle(style));
        builder.push_default(StyleProperty::Locale(self.language));
        builder.push_default(StyleProperty::LetterSpacing(block.letter_spacing));
        builder.push_default(StyleProperty::OverflowWrap(wrap));
        let line_height = block.line_height.map_or(LineHeight::NORMAL, LineHeight::FontSizeRelative);
        builder.push_default(StyleProperty::LineHeight(line_height));
        if block.letter_spacing != 0.0 {
            for range in ranges(text, is_joined) {
                builder.push(StyleProperty::LetterSpacing(0.0), range);
            }
        }
        let pictures = picture_ranges(text);
        if !pictures.is_empty() {
            let emoji = FontFamilyName::Generic(GenericFamily::Emoji);
            let families: Vec<_> = std::iter::once(emoji).chain(self.families.iter().cloned()).collect();
            for range in pictures {
                let families = FontFamily::List(Cow::Borrowed(&families));
                builder.push(StyleProperty::FontFamily(families), range);
            }
        }
        builder.build(text)
    }
}

/// The longest stretches of text all of whose characters are `like`.
fn ranges(text: &str, like: impl Fn(char) -> bool) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (start, c) in text.char_indices().filter(|(_, c)| like(*c)) {
        let end = start + c.len_utf8();
        match ranges.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => ranges.push(start..end),
        }
    }
    ranges
}

/// Characters that U+FE0F asks to show as pictures, which the text's own font might have in black.
fn picture_ranges(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut before: Option<(usize, char)> = None;
    for (start, c) in text.char_indices() {
        if c == '\u{fe0f}'
            && let Some((start, _)) = before.filter(|(_, c)| c.is_emoji())
        {
            ranges.push(start..start + c.len_utf8() + text[start..].chars().next().map_or(0, char::len_utf8));
        }
        before = Some((start, c));
    }
    ranges
}

/// Text broken into lines.
struct Fitted<'a> {
    text: Cow<'a, str>,
    layout: Layout<()>,
    /// What the layout's lengths are multiplied with.
    scale: f32,
    wrapped: bool,
    shortened: bool,
}

fn fit<'a>(
    shaper: &Shaper<'_>,
    contexts: &mut Contexts,
    text: &'a str,
    width: Option<f32>,
    height: Option<f32>,
) -> Fitted<'a> {
    let block = shaper.block;
    let whole = |layout, scale, wrapped| Fitted {
        text: Cow::Borrowed(text),
        layout,
        scale,
        wrapped,
        shortened: false,
    };
    match block.fit {
        TextFit::None => {
            let mut layout = shaper.shape(contexts, text, OverflowWrap::Normal);
            layout.break_all_lines(None);
            whole(layout, 1.0, false)
        }
        TextFit::Wrap => {
            let mut layout = shaper.shape(contexts, text, OverflowWrap::BreakWord);
            layout.break_all_lines(width);
            whole(layout, 1.0, true)
        }
        TextFit::Ellipsis { max_lines } => {
            let limits = Limits { width, height, lines: max_lines.max(1) as usize };
            shorten(shaper, contexts, text, limits, 1.0)
        }
        TextFit::Shrink { max_lines, min_size } => {
            let limits = Limits { width, height, lines: max_lines.max(1) as usize };
            let mut layout = shaper.shape(contexts, text, OverflowWrap::Normal);
            let smallest = min_size.min(block.size);
            let steps = ((block.size - smallest) / SIZE_STEP).ceil() as u32;
            let scale = |step: u32| (block.size - step as f32 * SIZE_STEP).max(smallest) / block.size;
            // Advances grow in proportion to the size, so the glyphs need not be shaped again: the box
            // grows instead. `low` is the fewest steps not yet known to be too few.
            let (mut low, mut high) = (0, steps + 1);
            while low < high {
                // The first try is the full size, which fits most often.
                let middle = if low == 0 && high > steps { 0 } else { low + (high - low) / 2 };
                if limits.scaled(scale(middle)).fits(shaper, &mut layout) {
                    high = middle;
                } else {
                    low = middle + 1;
                }
            }
            if low > steps {
                return shorten(shaper, contexts, text, limits, scale(steps));
            }
            limits.scaled(scale(low)).fits(shaper, &mut layout);
            whole(layout, scale(low), true)
        }
    }
}

/// What text must not be larger than.
#[derive(Clone, Copy)]
struct Limits {
    width: Option<f32>,
    height: Option<f32>,
    lines: usize,
}

impl Limits {
    /// The limits in lengths of a layout that will be drawn scaled by `scale`.
    fn scaled(self, scale: f32) -> Limits {
        Limits { width: self.width.map(|w| w / scale), height: self.height.map(|h| h / scale), ..self }
    }

    /// Breaks `layout` at the width, and tells whether all of it is within the limits.
    fn fits(self, shaper: &Shaper<'_>, layout: &mut Layout<()>) -> bool {
        layout.break_all_lines(self.width.map(|width| width + TOLERANCE));
        layout.len() <= self.lines
            && self.height.is_none_or(|height| layout.height() <= height + TOLERANCE)
            && self.width.is_none_or(|width| {
                layout.lines().all(|line| line_width(shaper.block, &line) <= width + TOLERANCE)
            })
    }
}

/// Width of a line without the space at its end.
fn line_width(block: &TextBlock, line: &parley::Line<'_, ()>) -> f32 {
    let metrics = line.metrics();
    let width = metrics.advance - metrics.hanging_advance;
    if width > 0.0 { (width - block.letter_spacing).max(0.0) } else { 0.0 }
}

/// Breaks into as many lines as the limits allow, and cuts the last one with an ellipsis if there is more.
fn shorten<'a>(
    shaper: &Shaper<'_>,
    contexts: &mut Contexts,
    text: &'a str,
    limits: Limits,
    scale: f32,
) -> Fitted<'a> {
    let natural = limits.scaled(scale);
    let mut layout = shaper.shape(contexts, text, OverflowWrap::BreakWord);
    if natural.fits(shaper, &mut layout) || layout.is_empty() {
        return Fitted { text: Cow::Borrowed(text), layout, scale, wrapped: true, shortened: false };
    }
    let room = |height: f32| {
        let within = layout.lines().filter(|line| line.metrics().block_max_coord <= height + TOLERANCE);
        within.count()
    };
    let lines = natural.lines.min(natural.height.map_or(usize::MAX, room)).clamp(1, layout.len());
    // From here on the height is spent: a single line that is too high for its box stays.
    let natural = Limits { lines, height: None, ..natural };
    let last = layout.lines().nth(lines - 1);
    let ends: Vec<usize> = last.map_or(Vec::new(), |line| {
        let mut ends: Vec<_> = line
            .runs()
            .flat_map(|run| run.clusters().map(|cluster| cluster.text_range().end).collect::<Vec<_>>())
            .collect();
        ends.push(line.text_range().start);
        ends.sort_unstable();
        ends.dedup();
        ends
    });
    let cut = |count: usize| {
        let kept = text[..ends.get(count).copied().unwrap_or(0)].trim_end();
        format!("{kept}…")
    };
    // The most characters of the last line that leave room for the ellipsis.
    let (mut low, mut high) = (0, ends.len().saturating_sub(1));
    let mut best = None;
    while low <= high {
        let middle = low + (high - low).div_ceil(2);
        let shorter = cut(middle);
        let mut layout = shaper.shape(contexts, &shorter, OverflowWrap::BreakWord);
        if natural.fits(shaper, &mut layout) {
            best = Some((shorter, layout));
            low = middle + 1;
        } else if middle == 0 {
            break;
        } else {
            high = middle - 1;
        }
    }
    let (text, layout) = best.unwrap_or_else(|| {
        let shorter = cut(0);
        let mut layout = shaper.shape(contexts, &shorter, OverflowWrap::BreakWord);
        layout.break_all_lines(natural.width);
        (shorter, layout)
    });
    Fitted { text: Cow::Owned(text), layout, scale, wrapped: true, shortened: true }
}

fn assemble(
    library: &FontLibrary,
    block: &TextBlock,
    fitted: Fitted<'_>,
    width: Option<f32>,
    height: Option<f32>,
) -> TextLayout {
    let Fitted { text, mut layout, scale, wrapped, shortened } = fitted;
    let rtl = layout.is_rtl();
    let justify = block.align == Align::Justify && wrapped && width.is_some();
    let alignment = if justify { Alignment::Justify } else { Alignment::Left };
    layout.align(alignment, AlignmentOptions { align_when_overflowing: true, last_line_alignment: None });

    let widest = layout.lines().map(|line| line_width(block, &line)).fold(0.0, f32::max) * scale;
    let total = if text.is_empty() { 0.0 } else { layout.height() * scale };
    let size = [width.unwrap_or(widest), height.unwrap_or(total)];
    let free = match block.align {
        Align::Left => 0.0,
        Align::Right => 1.0,
        Align::Center => 0.5,
        Align::Start | Align::Justify => f32::from(u8::from(rtl)),
        Align::End => f32::from(u8::from(!rtl)),
    };
    let top = (size[1] - total)
        * match block.vertical {
            VerticalAlign::Top => 0.0,
            VerticalAlign::Middle => 0.5,
            VerticalAlign::Bottom => 1.0,
        };

    let mut gathered = Gathered {
        library,
        text: &text,
        marked: block.marked.map_or(0..0, |marked| marked_bytes(&text, marked)),
        runs: Vec::new(),
        missing: Vec::new(),
        seen: BTreeSet::new(),
        faces: BTreeMap::new(),
    };
    let mut covered: Option<[f32; 2]> = None;
    for line in layout.lines().filter(|_| !text.is_empty()) {
        let line_width = line_width(block, &line) * scale;
        let shift = if justify { 0.0 } else { (size[0] - line_width) * free };
        let metrics = line.metrics();
        if line_width > 0.0 {
            // Justified lines know where they begin; all others begin at 0 before they are shifted.
            let [left, right] = if justify && !is_last(&line) {
                [0.0, size[0]]
            } else {
                let shift = (size[0] - line_width) * free;
                [shift, shift + line_width]
            };
            covered = Some(covered.map_or([left, right], |[l, r]| [l.min(left), r.max(right)]));
        }
        let x = shift + (metrics.offset + metrics.inline_min_coord) * scale;
        gathered.line(&line, x, top + metrics.baseline * scale, scale);
    }
    let Gathered { runs, missing, .. } = gathered;
    let [left, right] = covered.unwrap_or_default();
    let lines = Rect::from_ltrb(left, top, right.max(left), top + total);
    let ink = ink(library, &runs, block.size * scale);
    TextLayout {
        width: widest,
        height: total,
        ink: ink.unwrap_or(empty()),
        size_used: block.size * scale,
        line_count: if text.is_empty() { 0 } else { layout.len() },
        missing,
        overflow: (shortened && matches!(block.fit, TextFit::Shrink { .. }))
            || width.is_some_and(|width| widest > width + 0.5)
            || height.is_some_and(|height| total > height + 0.5),
        shortened,
        library: library.clone(),
        block: TextBlock {
            letter_spacing: block.letter_spacing * scale,
            stroke: block
                .stroke
                .map(|stroke| vignette_templates::video::Stroke { width: stroke.width * scale, ..stroke }),
            // What is drawn are glyphs; the text itself is needed no more.
            text: String::new(),
            ..block.clone()
        },
        size,
        lines: lines.unwrap_or(empty()),
        runs,
    }
}

fn is_last(line: &parley::Line<'_, ()>) -> bool {
    matches!(line.break_reason(), parley::BreakReason::None | parley::BreakReason::Explicit)
}

/// A rectangle without extent.
pub(super) fn empty() -> Rect {
    Rect::from_ltrb(0.0, 0.0, 0.0, 0.0).expect("zero is finite and not greater than zero")
}

/// Runs and missing characters of the lines so far.
struct Gathered<'a> {
    library: &'a FontLibrary,
    text: &'a str,
    /// The bytes of the text that have a colour of their own.
    marked: Range<usize>,
    runs: Vec<Run>,
    missing: Vec<char>,
    seen: BTreeSet<char>,
    faces: BTreeMap<(u64, u32), Option<Arc<Face>>>,
}

impl Gathered<'_> {
    fn line(&mut self, line: &parley::Line<'_, ()>, mut x: f32, baseline: f32, scale: f32) {
        for run in line.runs() {
            let font = run.font();
            let key = (font.data.id(), font.index);
            let face = self.faces.entry(key).or_insert_with(|| self.library.face(font)).clone();
            let mut glyphs = Vec::new();
            let mut connected = false;
            for cluster in run.visual_clusters() {
                let text = self.text.get(cluster.text_range()).unwrap_or("");
                let invisible = text.chars().all(is_invisible);
                let marked = self.marked.contains(&cluster.text_range().start);
                connected |= text.chars().next().is_some_and(is_connected);
                for glyph in cluster.glyphs() {
                    if glyph.id == 0 && !invisible {
                        for c in text.chars().filter(|c| !is_invisible(*c)) {
                            if self.seen.insert(c) {
                                self.missing.push(c);
                            }
                        }
                    }
                    if !invisible {
                        glyphs.push(Glyph {
                            id: glyph.id,
                            x: x + glyph.x * scale,
                            y: glyph.y * scale,
                            marked,
                        });
                    }
                    x += glyph.advance * scale;
                }
            }
            let (Some(face), false) = (face, glyphs.is_empty()) else { continue };
            let synthesis = run.synthesis();
            let variant = Variant {
                coords: run.normalized_coords().iter().map(|coord| coord.to_bits()).collect(),
                embolden: synthesis.embolden(),
                slant: synthesis.skew().is_some(),
            };
            self.runs.push(Run { face, variant, baseline, connected, glyphs });
        }
    }
}

/// Where the marked characters stand in the text that is laid out.
fn marked_bytes(text: &str, marked: Marked) -> Range<usize> {
    let mut letters = text.char_indices().filter(|(_, c)| !c.is_whitespace()).map(|(at, _)| at);
    let start = letters.clone().nth(marked.from as usize).unwrap_or(text.len());
    let end = letters.nth(marked.to as usize).unwrap_or(text.len());
    start..end.max(start)
}

/// Whether letters of the character's script touch: those that join, and those that hang from one line.
fn is_connected(c: char) -> bool {
    is_joined(c) || matches!(c.script(), Script::Devanagari | Script::Bengali | Script::Gurmukhi)
}

fn ink(library: &FontLibrary, runs: &[Run], em: f32) -> Option<Rect> {
    let mut ink: Option<Rect> = None;
    for run in runs {
        let scale = em / run.face.units_per_em;
        let slant = if run.variant.slant { 0.25 } else { 0.0 };
        let grow = if run.variant.embolden { em / 50.0 } else { 0.0 };
        for glyph in &run.glyphs {
            let outline = library.glyphs().outline(&run.face, glyph.id, &run.variant.coords);
            let bounds = match &outline.path {
                Some(path) => {
                    path.bounds().transform(Transform::from_row(scale, 0.0, scale * slant, -scale, 0.0, 0.0))
                }
                // Pictures of emoji fonts stand a little out of the em; other glyphs without outline are blank.
                None if run.face.color => Rect::from_ltrb(-0.05 * em, -1.05 * em, 1.35 * em, 0.35 * em),
                None => None,
            };
            let placed = bounds.and_then(|bounds| {
                let (x, y) = (glyph.x, run.baseline + glyph.y);
                Rect::from_ltrb(
                    bounds.left() + x - grow,
                    bounds.top() + y - grow,
                    bounds.right() + x + grow,
                    bounds.bottom() + y + grow,
                )
            });
            if let Some(placed) = placed {
                ink = Some(ink.map_or(placed, |ink| unite(ink, placed)));
            }
        }
    }
    ink
}
