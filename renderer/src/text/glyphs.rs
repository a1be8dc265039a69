//! Glyphs to outlines, coverage and pictures, each kept for the next time.

use std::collections::HashMap;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use skrifa::MetadataProvider;
use skrifa::instance::{LocationRef, NormalizedCoord, Size};
use skrifa::outline::{DrawSettings, OutlinePen};
use swash::scale::{Render, ScaleContext, Source, StrikeWith};
use tiny_skia::{FillRule, LineCap, LineJoin, Mask, Path, PathBuilder, Rect, Stroke, Transform};

use super::library::{Face, lock};

/// Glyphs with an em of more pixels than this are drawn straight from their outline and not kept.
pub(super) const MAX_KEPT_EM: f32 = 320.0;
/// Colour pictures are made at most this large and drawn larger by scaling.
const MAX_PICTURE_EM: f32 = 256.0;
/// Positions are kept to this part of a pixel.
pub(super) const SUBPIXELS: i32 = 4;
/// Tangent of 14 degrees, the slant of an italic that is made from an upright font.
const SLANT: f32 = 0.249_328;
/// How much wider, in ems, a bold that is made from a regular font is drawn around its outline.
const EMBOLDEN: f32 = 1.0 / 30.0;

/// Bytes of outlines, coverage and pictures that are kept; twice this while two generations overlap.
const KEPT_BYTES: usize = 16 << 20;

/// How a run's glyphs differ from those of the plain font.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Variant {
    /// Position on the axes of a variable font, in 2.14 fixed point; empty is the default.
    pub coords: Arc<[i16]>,
    pub embolden: bool,
    pub slant: bool,
}

/// An outline in font units, y upwards.
pub(super) struct Outline {
    pub path: Option<Path>,
}

/// Coverage of pixels, with its upper left corner relative to the glyph's origin, y downwards.
pub(super) struct Coverage {
    pub left: i32,
    pub top: i32,
    pub width: u32,
    /// One byte per pixel, rows without padding.
    pub data: Vec<u8>,
}

/// A premultiplied RGBA8 picture, placed like [`Coverage`].
pub(super) struct Picture {
    pub left: i32,
    pub top: i32,
    pub width: u32,
    pub height: u32,
    pub data: Vec<u8>,
    /// The em that it was made for, in pixels.
    pub em: f32,
}

/// Pixels per em, the part of a pixel by which the origin is off, and the outline's width in pixels
/// (0 is the inside).
#[derive(Clone, Copy)]
pub(super) struct Raster {
    pub em: f32,
    pub subpixel: [u8; 2],
    pub stroke: f32,
    /// Let fontdue do it, if it can.
    pub fontdue: bool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct OutlineKey {
    face: u64,
    glyph: u32,
    coords: Arc<[i16]>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct CoverageKey {
    face: u64,
    glyph: u32,
    variant: Variant,
    em: u32,
    subpixel: [u8; 2],
    stroke: u32,
    fontdue: bool,
}

/// Outlines, coverage and pictures, within a bound of memory. One for all threads.
#[derive(Default)]
pub(super) struct GlyphCache {
    outlines: Kept<OutlineKey, Outline>,
    coverage: Kept<CoverageKey, Coverage>,
    pictures: Kept<(u64, u32, u32), Option<Picture>>,
}

impl GlyphCache {
    pub fn outline(&self, face: &Face, glyph: u32, coords: &Arc<[i16]>) -> Arc<Outline> {
        let key = OutlineKey { face: face.id, glyph, coords: coords.clone() };
        self.outlines.get(
            key,
            |outline| 64 + outline.path.as_ref().map_or(0, |path| path.len() * 24),
            || Outline { path: read_outline(face, glyph, coords) },
        )
    }

    pub fn coverage(&self, face: &Face, glyph: u32, variant: &Variant, raster: Raster) -> Arc<Coverage> {
        let key = CoverageKey {
            face: face.id,
            glyph,
            variant: variant.clone(),
            em: raster.em.to_bits(),
            subpixel: raster.subpixel,
            stroke: raster.stroke.to_bits(),
            fontdue: raster.fontdue,
        };
        self.coverage.get(
            key,
            |coverage| 64 + coverage.data.len(),
            || {
                let outline = self.outline(face, glyph, &variant.coords);
                // An empty answer to a glyph that has an outline means that fontdue did not load that glyph.
                raster
                    .fontdue
                    .then(|| fontdue_coverage(face, glyph, raster.em))
                    .flatten()
                    .filter(|coverage| !coverage.data.is_empty() || outline.path.is_none())
                    .or_else(|| outline_coverage(face, &outline, variant, raster))
                    .unwrap_or(Coverage { left: 0, top: 0, width: 0, data: Vec::new() })
            },
        )
    }

    /// The glyph in its own colours; `None` when the font has none for it.
    pub fn picture(&self, face: &Face, glyph: u32, em: f32) -> Arc<Option<Picture>> {
        let em = em.min(MAX_PICTURE_EM);
        let size = |picture: &Option<Picture>| 64 + picture.as_ref().map_or(0, |picture| picture.data.len());
        self.pictures.get((face.id, glyph, em.to_bits()), size, || read_picture(face, glyph, em))
    }
}

/// The outline in pixels, y downwards, with its origin at `at`. A stroke makes the outline of the line.
pub(super) fn place(
    face: &Face,
    outline: &Outline,
    variant: &Variant,
    em: f32,
    stroke: f32,
    at: [f32; 2],
) -> Vec<Path> {
    let scale = em / face.units_per_em;
    let slant = if variant.slant { SLANT } else { 0.0 };
    let to_pixels = Transform::from_row(scale, 0.0, scale * slant, -scale, at[0], at[1]);
    let Some(path) = outline.path.clone().and_then(|path| path.transform(to_pixels)) else {
        return Vec::new();
    };
    let bold = if variant.embolden { em * EMBOLDEN } else { 0.0 };
    let around = |width: f32| {
        let stroke =
            Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() };
        path.stroke(&stroke, 1.0)
    };
    if stroke > 0.0 {
        around(stroke + bold).into_iter().collect()
    } else if bold > 0.0 {
        around(bold).into_iter().chain([path.clone()]).collect()
    } else {
        vec![path]
    }
}

fn outline_coverage(face: &Face, outline: &Outline, variant: &Variant, raster: Raster) -> Option<Coverage> {
    let at = raster.subpixel.map(|part| f32::from(part) / SUBPIXELS as f32);
    let paths = place(face, outline, variant, raster.em, raster.stroke, at);
    let bounds = paths.iter().map(Path::bounds).reduce(unite)?;
    let [left, top] = [bounds.left().floor(), bounds.top().floor()];
    let [width, height] = [bounds.right().ceil() - left, bounds.bottom().ceil() - top];
    // No glyph of a sane font is eight ems large; what a hostile one asks for is not drawn.
    if !(width <= MAX_KEPT_EM * 8.0 && height <= MAX_KEPT_EM * 8.0) {
        return None;
    }
    let mut mask = Mask::new((width as u32).max(1), (height as u32).max(1))?;
    for path in &paths {
        mask.fill_path(path, FillRule::Winding, true, Transform::from_translate(-left, -top));
    }
    let width = mask.width();
    Some(Coverage { left: left as i32, top: top as i32, width, data: mask.take() })
}

fn fontdue_coverage(face: &Face, glyph: u32, em: f32) -> Option<Coverage> {
    // fontdue was written for fonts one trusts: should it stumble over a broken one, the outline stands in.
    let font = face.fontdue.get_or_init(|| {
        let settings =
            fontdue::FontSettings { collection_index: face.index, scale: 96.0, load_substitutions: true };
        let data = face.file.blob.data();
        catch_unwind(AssertUnwindSafe(|| fontdue::Font::from_bytes(data, settings).ok())).ok().flatten()
    });
    let font = font.as_ref()?;
    let index = u16::try_from(glyph).ok().filter(|index| *index < font.glyph_count())?;
    let (metrics, data) = catch_unwind(AssertUnwindSafe(|| {
        let metrics = font.metrics_indexed(index, em);
        let limit = (MAX_KEPT_EM * 8.0) as usize;
        (metrics.width <= limit && metrics.height <= limit).then(|| font.rasterize_indexed(index, em))
    }))
    .ok()??;
    Some(Coverage {
        left: metrics.xmin,
        top: -(metrics.ymin + metrics.height as i32),
        width: metrics.width as u32,
        data,
    })
}

fn read_outline(face: &Face, glyph: u32, coords: &[i16]) -> Option<Path> {
    struct Pen(PathBuilder);
    impl OutlinePen for Pen {
        fn move_to(&mut self, x: f32, y: f32) {
            self.0.move_to(x, y);
        }
        fn line_to(&mut self, x: f32, y: f32) {
            self.0.line_to(x, y);
        }
        fn quad_to(&mut self, cx: f32, cy: f32, x: f32, y: f32) {
            self.0.quad_to(cx, cy, x, y);
        }
        fn curve_to(&mut self, ax: f32, ay: f32, bx: f32, by: f32, x: f32, y: f32) {
            self.0.cubic_to(ax, ay, bx, by, x, y);
        }
        fn close(&mut self) {
            self.0.close();
        }
    }

    let font = face.font()?;
    let coords: Vec<_> = coords.iter().map(|bits| NormalizedCoord::from_bits(*bits)).collect();
    let settings = DrawSettings::unhinted(Size::unscaled(), LocationRef::new(&coords));
    let mut pen = Pen(PathBuilder::new());
    let drawn = font
        .outline_glyphs()
        .get(skrifa::GlyphId::new(glyph))
        .is_some_and(|outline| outline.draw(settings, &mut pen).is_ok());
    let path = if drawn { pen.0.finish() } else { None };
    // What no font has must be seen: a font whose stand-in glyph is blank gets a box.
    if path.is_none() && glyph == 0 { missing_box(face.units_per_em) } else { path }
}

/// An upright rectangle as a line, of the height of a capital.
fn missing_box(em: f32) -> Option<Path> {
    let mut path = PathBuilder::new();
    path.push_rect(Rect::from_ltrb(em * 0.08, 0.0, em * 0.52, em * 0.7)?);
    let inner = Rect::from_ltrb(em * 0.13, em * 0.05, em * 0.47, em * 0.65)?;
    path.move_to(inner.left(), inner.top());
    path.line_to(inner.left(), inner.bottom());
    path.line_to(inner.right(), inner.bottom());
    path.line_to(inner.right(), inner.top());
    path.close();
    path.finish()
}

fn read_picture(face: &Face, glyph: u32, em: f32) -> Option<Picture> {
    let glyph = u16::try_from(glyph).ok()?;
    let font = swash::FontRef::from_index(face.file.blob.data(), face.index as usize)?;
    let image = catch_unwind(AssertUnwindSafe(|| {
        let mut context = ScaleContext::new();
        let mut scaler = context.builder(font).size(em).build();
        Render::new(&[Source::ColorOutline(0), Source::ColorBitmap(StrikeWith::BestFit)])
            .render(&mut scaler, glyph)
    }))
    .ok()??;
    let placement = image.placement;
    let expected = placement.width as usize * placement.height as usize * 4;
    if image.content != swash::scale::image::Content::Color || image.data.len() != expected {
        return None;
    }
    let mut data = image.data;
    for pixel in data.chunks_exact_mut(4) {
        let alpha = u32::from(pixel[3]);
        for channel in &mut pixel[..3] {
            *channel = ((u32::from(*channel) * alpha + 127) / 255) as u8;
        }
    }
    Some(Picture {
        left: placement.left,
        top: -placement.top,
        width: placement.width,
        height: placement.height,
        data,
        em,
    })
}

pub(super) fn unite(a: Rect, b: Rect) -> Rect {
    Rect::from_ltrb(
        a.left().min(b.left()),
        a.top().min(b.top()),
        a.right().max(b.right()),
        a.bottom().max(b.bottom()),
    )
    .unwrap_or(a)
}

/// A map that forgets what was not asked for lately: entries live in two generations, and when the younger
/// one is full, the older one goes. What is taken out is whole and immutable, so threads may share it.
struct Kept<K, V> {
    generations: Mutex<Generations<K, V>>,
}

struct Generations<K, V> {
    young: HashMap<K, (Arc<V>, usize)>,
    old: HashMap<K, (Arc<V>, usize)>,
    young_bytes: usize,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        let generations = Generations { young: HashMap::new(), old: HashMap::new(), young_bytes: 0 };
        Kept { generations: Mutex::new(generations) }
    }
}

impl<K: Eq + Hash + Clone, V> Kept<K, V> {
    /// The value of `key`. Two threads may make the same value at once; both are equal, one is kept.
    fn get(&self, key: K, bytes: impl FnOnce(&V) -> usize, make: impl FnOnce() -> V) -> Arc<V> {
        {
            let mut generations = lock(&self.generations);
            if let Some((value, _)) = generations.young.get(&key) {
                return value.clone();
            }
            if let Some((value, bytes)) = generations.old.remove(&key) {
                generations.insert(key, value.clone(), bytes);
                return value;
            }
        }
        let value = Arc::new(make());
        let bytes = bytes(&value);
        lock(&self.generations).insert(key, value.clone(), bytes);
        value
    }
}

impl<K: Eq + Hash, V> Generations<K, V> {
    fn insert(&mut self, key: K, value: Arc<V>, bytes: usize) {
        if self.young_bytes + bytes > KEPT_BYTES {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        self.young_bytes += bytes;
        self.young.insert(key, (value, bytes));
    }
}
