//! SVG, which is a program that strangers write: everything it asks for is counted before it is done.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use resvg::usvg::{self, filter::Kind, fontdb, roxmltree};
use tiny_skia::{Pixmap, Transform};

use super::error::MediaFault;
use super::fit::Fitted;
use super::image::{MAX_SIDE, bitmap_size, check_size, new_pixmap};

/// The most bytes of an SVG.
const MAX_BYTES: usize = 4 << 20;
/// The deepest nesting of elements. The parsers recurse, so that deeper files overflow the stack.
const MAX_DEPTH: usize = 200;
/// The most elements as written.
const MAX_ELEMENTS: usize = 100_000;
/// The most elements once every reference is written out.
const MAX_EXPANDED: u64 = 400_000;
/// The most pixels that drawing may touch, all layers, masks and filters together: some ten seconds.
const MAX_WORK: f64 = 2e10;
/// The most pixels that drawing may hold at a time, of four bytes each: layers inside layers, and all results of a filter, which stay until it
/// ends.
const MAX_HELD: f64 = 2.56e8;
/// Stack for parsing and drawing: address space, of which only what is used gets memory. The tree may be [`MAX_DEPTH`] deep
/// in each of several references inside each other.
const STACK_BYTES: usize = 256 << 20;

/// An SVG, parsed and found harmless.
#[derive(Debug)]
pub(super) struct Drawing {
    tree: usvg::Tree,
}

impl Drawing {
    /// Parses `bytes`. Only pictures inside the file (`data:` URIs) are drawn; a reference to another file is an error.
    pub(super) fn parse(bytes: &[u8], fonts: Option<Arc<fontdb::Database>>) -> Result<Self, MediaFault> {
        if bytes.len() > MAX_BYTES {
            return Err(MediaFault::TooLarge {
                what: format!("an SVG of {} bytes", bytes.len()),
                limit: format!("{MAX_BYTES} bytes"),
            });
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let text = std::str::from_utf8(bytes).map_err(|error| {
            MediaFault::Svg(format!("it is not UTF-8 after byte {}", error.valid_up_to()))
        })?;
        scan(text)?;
        on_deep_stack(|| Self::parse_scanned(text, fonts))
    }

    fn parse_scanned(text: &str, fonts: Option<Arc<fontdb::Database>>) -> Result<Self, MediaFault> {
        let document =
            roxmltree::Document::parse(text).map_err(|error| MediaFault::Svg(error.to_string()))?;
        check_expansion(&document)?;
        if fonts.is_none() && has_text(&document) {
            return Err(MediaFault::Svg(
                "it holds text, which needs fonts; convert the text to outlines".into(),
            ));
        }
        let refused: Mutex<Option<MediaFault>> = Mutex::new(None);
        let refuse = |fault: MediaFault| {
            refused.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(fault);
            None
        };
        let options = usvg::Options {
            fontdb: fonts.unwrap_or_default(),
            image_href_resolver: usvg::ImageHrefResolver {
                resolve_data: Box::new(|_, data, _| match embedded(&data) {
                    Ok(kind) => Some(kind),
                    Err(fault) => refuse(fault),
                }),
                resolve_string: Box::new(|href, _| {
                    let start: String = href.chars().take(60).collect();
                    refuse(MediaFault::Svg(format!(
                        "it names another file, `{start}`; embed the picture as a data: URI"
                    )))
                }),
            },
            ..usvg::Options::default()
        };
        let tree = usvg::Tree::from_xmltree(&document, &options);
        drop(options);
        if let Some(fault) = refused.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(fault);
        }
        let tree = tree.map_err(|error| MediaFault::Svg(error.to_string()))?;
        Ok(Drawing { tree })
    }

    /// Width and height in user units, greater than 0.
    pub(super) fn size(&self) -> (f64, f64) {
        (f64::from(self.tree.size().width()), f64::from(self.tree.size().height()))
    }

    /// Width and height in whole pixels, proportionally smaller where a side is over [`MAX_SIDE`].
    pub(super) fn pixel_size(&self) -> (u32, u32) {
        let (width, height) = self.size();
        let shrink = (f64::from(MAX_SIDE / 2) / width.max(height)).min(1.0);
        let pixels = |length: f64| (length * shrink).ceil().max(1.0) as u32;
        (pixels(width), pixels(height))
    }

    /// The part `place.crop` of the drawing, drawn where `place` says on a clear pixmap of `width` x `height` pixels.
    pub(super) fn render(&self, width: u32, height: u32, place: &Fitted) -> Result<Pixmap, MediaFault> {
        let [left, top, crop_width, crop_height] = place.crop;
        let (scale_x, scale_y) = (f64::from(place.width) / crop_width, f64::from(place.height) / crop_height);
        let pixels = |rect: tiny_skia::Rect| {
            // What lies outside is clipped; filters work on up to twice the canvas.
            let side =
                |length: f32, scale: f64, most: u32| (f64::from(length) * scale).min(2.0 * f64::from(most));
            side(rect.width(), scale_x, width).max(1.0) * side(rect.height(), scale_y, height).max(1.0)
        };
        let mut budget = MAX_WORK;
        on_deep_stack(|| {
            spend(self.tree.root(), &pixels, scale_x.max(scale_y), &mut budget, 0.0)?;
            let mut part = new_pixmap(place.width, place.height)?;
            let transform = Transform::from_scale(scale_x as f32, scale_y as f32)
                .pre_translate(-left as f32, -top as f32);
            resvg::render(&self.tree, transform, &mut part.as_mut());
            if (place.width, place.height) == (width, height) {
                return Ok(part);
            }
            let mut whole = new_pixmap(width, height)?;
            let paint = tiny_skia::PixmapPaint::default();
            whole.draw_pixmap(
                place.x as i32,
                place.y as i32,
                part.as_ref(),
                &paint,
                Transform::identity(),
                None,
            );
            Ok(whole)
        })
    }
}

/// Runs `work` on a thread with a stack that the deepest permitted file cannot overflow. A panic inside becomes an error.
fn on_deep_stack<T: Send>(work: impl FnOnce() -> Result<T, MediaFault> + Send) -> Result<T, MediaFault> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("svg".into())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(|error| MediaFault::Svg(format!("no thread to draw it: {error}")))?;
        thread.join().unwrap_or_else(|_| Err(MediaFault::Svg("its drawing failed".into())))
    })
}

/// Looks over the text once, without recursion: nesting and number of elements are bounded and there is no document type,
/// whose entities could grow without bound.
fn scan(text: &str) -> Result<(), MediaFault> {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut elements) = (0, 0usize, 0usize);
    let skip_past = |from: usize, end: &str| {
        text.get(from..)
            .and_then(|rest| rest.find(end))
            .map(|found| from + found + end.len())
            .ok_or_else(|| MediaFault::Svg(format!("`{end}` is missing after byte {from}")))
    };
    while let Some(found) = bytes[at..].iter().position(|byte| *byte == b'<') {
        at += found;
        let rest = &bytes[at..];
        if rest.starts_with(b"<!--") {
            at = skip_past(at + 4, "-->")?;
        } else if rest.starts_with(b"<![CDATA[") {
            at = skip_past(at + 9, "]]>")?;
        } else if rest.starts_with(b"<!") {
            return Err(MediaFault::Svg("it has a document type declaration; remove it".into()));
        } else if rest.starts_with(b"<?") {
            at = skip_past(at + 2, "?>")?;
        } else if rest.starts_with(b"</") {
            depth = depth.saturating_sub(1);
            at = skip_past(at + 2, ">")?;
        } else {
            elements += 1;
            let mut quote = None;
            let end = rest.iter().position(|byte| match (quote, byte) {
                (None, b'>') => true,
                (None, b'"' | b'\'') => {
                    quote = Some(*byte);
                    false
                }
                (Some(open), byte) => {
                    if open == *byte {
                        quote = None;
                    }
                    false
                }
                _ => false,
            });
            let end = end.ok_or_else(|| MediaFault::Svg(format!("the tag at byte {at} does not end")))?;
            if rest[end - 1] != b'/' {
                depth += 1;
            }
            at += end + 1;
            if depth > MAX_DEPTH {
                return Err(too_large("elements nested deeper than this", MAX_DEPTH));
            }
            if elements > MAX_ELEMENTS {
                return Err(too_large("more elements than this", MAX_ELEMENTS));
            }
        }
    }
    Ok(())
}

fn too_large(what: &str, limit: impl std::fmt::Display) -> MediaFault {
    MediaFault::TooLarge { what: format!("an SVG with {what}"), limit: limit.to_string() }
}

fn has_text(document: &roxmltree::Document) -> bool {
    document.descendants().any(|node| {
        node.tag_name().name() == "text"
            && node.descendants().any(|inner| inner.text().is_some_and(|text| !text.trim().is_empty()))
    })
}

/// Refuses references that multiply: ten copies of ten copies of ten copies is a thousand.
fn check_expansion(document: &roxmltree::Document) -> Result<(), MediaFault> {
    let ids: BTreeMap<&str, roxmltree::NodeId> =
        document.descendants().filter_map(|node| Some((node.attribute("id")?, node.id()))).collect();
    let count = document.descendants().count();
    let mut expansion = Expansion { document, ids, weights: vec![Weight::Unknown; count + 1] };
    let total = expansion.weight(document.root(), 0)?;
    // A style sheet can give any element any of the references that it holds.
    let mut styled = 0u64;
    for style in document.descendants().filter(|node| node.tag_name().name() == "style") {
        for text in style.descendants().filter_map(|node| node.text()) {
            for id in references(text) {
                styled = styled.saturating_add(expansion.weight_of(id, 0)?);
            }
        }
    }
    let total = total.saturating_add(styled.saturating_mul(count as u64));
    match total > MAX_EXPANDED {
        true => Err(too_large("references that grow to more elements than this", MAX_EXPANDED)),
        false => Ok(()),
    }
}

#[derive(Clone, Copy)]
enum Weight {
    Unknown,
    /// Being counted: a reference to it is a circle, which the parser drops.
    Open,
    Known(u64),
}

struct Expansion<'a, 'input> {
    document: &'a roxmltree::Document<'input>,
    ids: BTreeMap<&'a str, roxmltree::NodeId>,
    weights: Vec<Weight>,
}

impl Expansion<'_, '_> {
    /// How many elements `node` becomes when every reference in it is written out.
    fn weight(&mut self, node: roxmltree::Node, depth: usize) -> Result<u64, MediaFault> {
        if depth > 4 * MAX_DEPTH {
            return Err(too_large("references inside references deeper than this", 4 * MAX_DEPTH));
        }
        let slot = node.id().get_usize().min(self.weights.len() - 1);
        match self.weights[slot] {
            Weight::Known(weight) => return Ok(weight),
            Weight::Open => return Ok(0),
            Weight::Unknown => self.weights[slot] = Weight::Open,
        }
        let mut own = 1u64;
        for child in node.children().filter(roxmltree::Node::is_element) {
            own = own.saturating_add(self.weight(child, depth + 1)?);
        }
        let mut total = own;
        for attribute in node.attributes() {
            let value = attribute.value();
            if attribute.name() == "href" {
                if let Some(id) = value.trim().strip_prefix('#') {
                    total = total.saturating_add(self.weight_of(id, depth + 1)?);
                }
                continue;
            }
            // Paint is inherited by each child, a marker stands at each point of a path.
            let points = |name| node.attribute(name).map_or(0, |data: &str| data.len() as u64 / 2);
            let times = match attribute.name().starts_with("marker") || attribute.name() == "style" {
                true => own.saturating_mul(1 + points("d") + points("points")),
                false => own,
            };
            for id in references(value) {
                total = total.saturating_add(self.weight_of(id, depth + 1)?.saturating_mul(times));
            }
        }
        self.weights[slot] = Weight::Known(total);
        Ok(total)
    }

    fn weight_of(&mut self, id: &str, depth: usize) -> Result<u64, MediaFault> {
        match self.ids.get(id).and_then(|id| self.document.get_node(*id)) {
            Some(node) => self.weight(node, depth),
            None => Ok(0),
        }
    }
}

/// The ids in every `url(#id)` of `text`.
fn references(text: &str) -> impl Iterator<Item = &str> {
    text.split("url(").skip(1).filter_map(|rest| {
        let rest = rest.trim_start_matches([' ', '"', '\'']).strip_prefix('#')?;
        Some(rest[..rest.find([')', '"', '\'', ' ']).unwrap_or(rest.len())].trim())
    })
}

/// A picture inside the SVG: a bitmap of bounded size.
fn embedded(data: &Arc<Vec<u8>>) -> Result<usvg::ImageKind, MediaFault> {
    let (width, height) = bitmap_size(data)
        .map_err(|_| MediaFault::Svg("it embeds a picture that is not a PNG, JPEG or WebP".into()))?;
    check_size(width, height)?;
    match ::image::guess_format(data) {
        Ok(::image::ImageFormat::Png) => Ok(usvg::ImageKind::PNG(data.clone())),
        Ok(::image::ImageFormat::Jpeg) => Ok(usvg::ImageKind::JPEG(data.clone())),
        Ok(::image::ImageFormat::WebP) => Ok(usvg::ImageKind::WEBP(data.clone())),
        _ => Err(MediaFault::Svg("it embeds a picture that is not a PNG, JPEG or WebP".into())),
    }
}

/// Takes the pixels that drawing `group` touches from `budget`; an error when it runs out, or when more pixels than [`MAX_HELD`] would be
/// kept at a time, beside those that are `held` around the group.
fn spend(
    group: &usvg::Group,
    pixels: &dyn Fn(tiny_skia::Rect) -> f64,
    scale: f64,
    budget: &mut f64,
    mut held: f64,
) -> Result<(), MediaFault> {
    let mut take = |work: f64| {
        // Even what paints nothing takes its time.
        *budget -= work.max(1000.0);
        match *budget < 0.0 {
            true => Err(too_large("more to draw at this size than this many pixels", MAX_WORK)),
            false => Ok(()),
        }
    };
    if group.should_isolate() {
        let layer = pixels(group.abs_layer_bounding_box().to_rect());
        take(2.0 * layer)?;
        // Its own pixels; and a filter's results, or a mask.
        let results = group.filters().iter().map(|filter| filter.primitives().len()).max().unwrap_or(0);
        held += layer;
        if held + layer * results as f64 > MAX_HELD {
            return Err(too_large("more layers and filters at this size than this many pixels", MAX_HELD));
        }
    }
    for filter in group.filters() {
        for primitive in filter.primitives() {
            let cost = match primitive.kind() {
                Kind::Turbulence(turbulence) => 40.0 * f64::from(turbulence.num_octaves()),
                Kind::ConvolveMatrix(convolve) => {
                    4.0 * f64::from(convolve.matrix().columns()) * f64::from(convolve.matrix().rows())
                }
                Kind::Morphology(morphology) => {
                    let side = |radius: f32| 2.0 * f64::from(radius) * scale + 1.0;
                    side(morphology.radius_x().get()) * side(morphology.radius_y().get())
                }
                _ => 20.0,
            };
            take(cost * pixels(group.abs_layer_bounding_box().to_rect()))?;
        }
    }
    for node in group.children() {
        match node {
            usvg::Node::Group(inner) => spend(inner, pixels, scale, budget, held)?,
            other => {
                let mut take = |work: f64| {
                    *budget -= work.max(1000.0);
                    *budget >= 0.0
                };
                if !take(pixels(other.abs_stroke_bounding_box())) {
                    return Err(too_large("more to draw at this size than this many pixels", MAX_WORK));
                }
                // A node's own patterns, and masks and clips below.
                let mut outcome = Ok(());
                other.subroots(|root| {
                    if outcome.is_ok() {
                        outcome = spend(root, pixels, scale, budget, held);
                    }
                });
                outcome?;
            }
        }
    }
    let mut roots = Vec::new();
    roots.extend(group.mask().map(|mask| mask.root()));
    roots.extend(group.clip_path().map(|clip| clip.root()));
    roots.into_iter().try_for_each(|root| spend(root, pixels, scale, budget, held))
}
