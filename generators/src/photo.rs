//! A viewer's own photo, prepared to be shown: upright, judged, cropped, freed of noise, enlarged, cut out, painted.
//!
//! What a model does is done without it where the model is not installed or fails, as well as it can be, and that is told. What a
//! photo must pass is not: one that cannot be judged is refused.

mod cut;
mod decency;
mod denoise;
mod enlarge;
mod faces;
mod frame;
mod nets;
mod open;
mod scale;
mod style;

use std::time::Instant;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, GrayImage, ImageEncoder, RgbImage, RgbaImage};
use vignette_templates::blob::Blob;
use vignette_templates::generate::{Crop, Enlarge, PhotoRequest, PhotoStyle, Source};

use crate::error::{GenerateError, did_you_mean};
use crate::models::{Model, Models};
use crate::provider::Context;
use frame::Part;
use nets::Lack;

/// The name of the provider.
const NAME: &str = "photo";
/// Changes with every change of what is made of a photo.
const VERSION: &str = "vignette photo 1";
/// The longest side and the most pixels of a prepared photo.
const MAX_SIDE: u32 = 4096;
const MAX_PIXELS: u64 = 9 << 20;
/// Faces are looked for, and content is judged, in a picture of this side at most.
const OVERVIEW: u32 = 1024;
/// From this factor on a photo is enlarged by a model: less is not seen.
const WORTH_IT: f64 = 1.2;

/// The provider `photo`: works on photos on this machine, with the models that are installed.
///
/// | operation | model | without it |
/// |---|---|---|
/// | `crop: face` | `blazeface` | the part above the middle |
/// | `enlarge` | `span` | Lanczos' filter |
/// | `cut_out` | `u2netp` | the background stays |
/// | `style`, `like` | `styletransfer` | the photo as it is |
/// | `refuse` | `open-nsfw` | the photo is refused |
#[derive(Clone, Debug, Default)]
pub struct Photos {
    models: Models,
}

/// A photo that was prepared.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// A PNG file of the size that was asked for; with [`Crop::None`] as large as fits into it, in the photo's own shape.
    pub picture: Blob,
    /// The models that had a part in it, with their versions, in the order of their work.
    pub models: Vec<String>,
    /// What was asked for and not done, or done in a plainer way, each with its reason and the remedy.
    pub skipped: Vec<String>,
    /// Whether a model made pixels up: it painted the photo or drew it larger.
    pub synthetic: bool,
}

/// Why work ends early.
enum Stop {
    Lack(Lack),
    Over(GenerateError),
}

impl From<Lack> for Stop {
    fn from(lack: Lack) -> Self {
        Stop::Lack(lack)
    }
}

impl Photos {
    /// Uses the models in this folder of models.
    pub fn with(models: Models) -> Self {
        Photos { models }
    }

    /// A short stable name; part of the cache key.
    pub fn name(&self) -> &str {
        NAME
    }

    /// The models that this request wants, each with its version or that it is not installed; part of the cache key.
    pub fn model(&self, request: &PhotoRequest) -> String {
        let wanted = [
            (request.refuse.is_some(), "open-nsfw"),
            (request.crop == Crop::Face, "blazeface"),
            (request.enlarge == Enlarge::Auto, "span"),
            (request.style.is_some(), "styletransfer"),
            (request.cut_out, "u2netp"),
        ];
        let mut list = vec![VERSION.to_owned()];
        for (_, name) in wanted.into_iter().filter(|(is_wanted, _)| *is_wanted) {
            let installed = Model::find(name).filter(|model| self.models.is_installed(model));
            list.push(match installed {
                Some(model) => format!("{name} {}", model.version),
                None => format!("no {name}"),
            });
        }
        list.join(", ")
    }

    /// The model that judges pictures, with its version; `None` when it is not installed.
    pub(crate) fn judge(&self) -> Option<String> {
        let model = Model::find("open-nsfw").filter(|model| self.models.is_installed(model))?;
        Some(format!("{} {}", model.name, model.version))
    }

    /// The model that finds faces, with its version; `None` when it is not installed.
    pub(crate) fn face_model(&self) -> Option<String> {
        let model = Model::find("blazeface").filter(|model| self.models.is_installed(model))?;
        Some(format!("{} {}", model.name, model.version))
    }

    /// Where the largest part of this shape lies that shows the faces in a picture: how much of the room that it leaves is before it,
    /// across and down. It is the middle where no face is found, or nobody can look for one.
    ///
    /// # Errors
    /// A picture that cannot be read.
    pub(crate) fn place(&self, source: &Source, shape: (u32, u32)) -> Result<(f64, f64), GenerateError> {
        const MIDDLE: (f64, f64) = (0.5, 0.5);
        if self.face_model().is_none() {
            return Ok(MIDDLE);
        }
        let photo = open::open(file_of(source)?.bytes()).map_err(rejected)?;
        let (overview, shrunk) = overview(&photo).map_err(failed)?;
        Ok(match faces_in(&self.models, &overview, shrunk) {
            Ok(faces) if !faces.is_empty() => Part::place_around(&faces, photo.dimensions(), shape),
            Ok(_) | Err(_) => MIDDLE,
        })
    }

    /// Has the model that judges pictures ready.
    ///
    /// # Errors
    /// Why it is not, as the end of a sentence.
    pub(crate) fn can_judge(&self) -> Result<(), String> {
        decency::load(&self.models).map_err(|lack| lack.because())
    }

    /// Whether a PNG file that was made here scores `limit` or more for unsafe content, 0 to 1.
    ///
    /// # Errors
    /// Why that cannot be told, as the end of a sentence.
    pub(crate) fn is_unsafe(&self, png: &Blob, limit: f32) -> Result<bool, String> {
        let picture = image::load_from_memory_with_format(png.bytes(), image::ImageFormat::Png)
            .map_err(|_| "as it cannot be decoded".to_owned())?;
        let (overview, _) = overview(&picture.into_rgba8())?;
        let score = decency::score(&self.models, &overview).map_err(|lack| lack.because())?;
        Ok(score >= limit)
    }

    /// The photo as it is to be shown. The same request gives the same bytes on the same machine.
    ///
    /// # Errors
    /// A photo that cannot be read or must not be shown, a size or style that does not exist, or too little time.
    pub fn prepare(&self, request: &PhotoRequest, context: &Context) -> Result<Prepared, GenerateError> {
        self.prepare_at(request, None, context)
    }

    /// [`Photos::prepare`] with the part that is shown at this [`Photos::place`], whatever [`PhotoRequest::crop`] says of it.
    pub(crate) fn prepare_at(
        &self,
        request: &PhotoRequest,
        place: Option<(f64, f64)>,
        context: &Context,
    ) -> Result<Prepared, GenerateError> {
        let started = Instant::now();
        let mut alive = || context.check(NAME, started).map_err(Stop::Over);
        check_size(request)?;
        let style = match &request.style {
            Some(PhotoStyle::Named(name)) => Some(Style::Named(style_of(name)?)),
            Some(PhotoStyle::Like(source)) => {
                let picture = style::open_style(file_of(source)?)
                    .map_err(|reason| rejected(format!("the picture whose style is wanted: {reason}")))?;
                Some(Style::Like(picture))
            }
            None => None,
        };
        let photo = open::open(file_of(&request.source)?.bytes()).map_err(rejected)?;
        let mut work = Work { models: &self.models, used: Vec::new(), skipped: Vec::new(), synthetic: false };
        let over = |stop: Stop| match stop {
            Stop::Over(error) => error,
            Stop::Lack(lack) => failed(lack.because()),
        };
        let (overview, shrunk) = overview(&photo).map_err(failed)?;
        if let Some(limit) = request.refuse {
            work.judge(&overview, limit)?;
        }
        alive().map_err(over)?;
        let part = match place {
            Some(place) => Part::placed(photo.dimensions(), (request.width, request.height), place),
            None => work.part(request, &photo, &overview, shrunk),
        };
        alive().map_err(over)?;
        let (width, height) = match request.crop {
            Crop::None => within(photo.dimensions(), (request.width, request.height)),
            Crop::Face | Crop::Centre => (request.width, request.height),
        };
        // What is larger than its place is made smaller first, so that the rest costs less.
        let is_small = part.width < f64::from(width) || part.height < f64::from(height);
        let size = match is_small {
            true => (part.width.round().max(1.0) as u32, part.height.round().max(1.0) as u32),
            false => (width, height),
        };
        let shown = scale::part_of(&photo, &part, size.0, size.1).map_err(failed)?;
        drop(photo);
        let clear = alpha_of(&shown);
        let mut colours = over_white(&shown);
        if request.denoise
            && let Some(clean) = denoise::denoise(&colours, &mut alive).map_err(over)?
        {
            colours = clean;
        }
        if is_small && request.enlarge == Enlarge::Auto {
            colours = work.enlarge(colours, (width, height), &mut alive).map_err(over)?;
        }
        let mut colours = scale::to(&colours, width, height).map_err(failed)?;
        alive().map_err(over)?;
        // The mask is made of the photo, not of the painting.
        let mut opaque = match clear {
            Some(plane) => Some(scale::plane_to(&plane, width, height).map_err(failed)?),
            None => None,
        };
        let mask = if request.cut_out { work.mask(&colours) } else { None };
        alive().map_err(over)?;
        if let Some(style) = &style {
            colours = work.paint(colours, style, request.strength);
        }
        if let Some(mask) = mask {
            colours = cut::in_front(&colours, &mask);
            opaque = Some(match opaque {
                Some(own) => both(&own, &mask),
                None => mask,
            });
        }
        let picture = to_png(&colours, opaque.as_ref()).map_err(failed)?;
        let Work { used, skipped, synthetic, .. } = work;
        Ok(Prepared { picture: Blob::new(picture), models: used, skipped, synthetic })
    }
}

/// A style that was found.
enum Style {
    Named(usize),
    Like(RgbImage),
}

/// What is noted along the way.
struct Work<'a> {
    models: &'a Models,
    used: Vec<String>,
    skipped: Vec<String>,
    synthetic: bool,
}

impl Work<'_> {
    /// Notes that a model had a part in it.
    fn use_of(&mut self, name: &str) {
        let version = Model::find(name).map_or("", |model| model.version);
        let used = format!("{name} {version}");
        if !self.used.contains(&used) {
            self.used.push(used);
        }
    }

    /// Refuses what scores `limit` or more, and what cannot be judged.
    fn judge(&mut self, overview: &RgbImage, limit: f32) -> Result<(), GenerateError> {
        match decency::score(self.models, overview) {
            Ok(score) if score < limit => {
                self.use_of("open-nsfw");
                Ok(())
            }
            // The score itself would say something about the viewer.
            Ok(_) => Err(rejected(format!("it looks unsafe to show (its score reaches `refuse`, {limit})"))),
            Err(Lack::Missing(model)) => {
                Err(GenerateError::ModelMissing { provider: NAME.to_owned(), model: model.to_owned() })
            }
            Err(lack) => Err(failed(format!("it cannot be judged, {}", lack.because()))),
        }
    }

    /// The part that is shown, in pixels of the photo; `shrunk` is the overview's scale.
    fn part(&mut self, request: &PhotoRequest, photo: &RgbaImage, overview: &RgbImage, shrunk: f64) -> Part {
        let (size, shape) = (photo.dimensions(), (request.width, request.height));
        match request.crop {
            Crop::None => Part::largest(size, size, 0.0),
            Crop::Centre => Part::largest(size, shape, 0.5),
            Crop::Face => {
                let faces = match faces_in(self.models, overview, shrunk) {
                    Ok(faces) => {
                        self.use_of("blazeface");
                        if faces.is_empty() {
                            self.skipped
                                .push("no face was found; the part above the middle is shown".to_owned());
                        }
                        faces
                    }
                    Err(lack) => {
                        self.skipped.push(format!(
                            "faces are not looked for and the part above the middle is shown, {}; `crop: centre` \
                             needs no model",
                            lack.because()
                        ));
                        Vec::new()
                    }
                };
                Part::around(&faces, size, shape)
            }
        }
    }

    /// The picture drawn larger, as often as it takes to reach the size, or as it is.
    fn enlarge(
        &mut self,
        mut picture: RgbImage,
        (width, height): (u32, u32),
        alive: &mut dyn FnMut() -> Result<(), Stop>,
    ) -> Result<RgbImage, Stop> {
        let factor = |picture: &RgbImage| {
            let across = f64::from(width) / f64::from(picture.width());
            across.max(f64::from(height) / f64::from(picture.height()))
        };
        while factor(&picture) >= WORTH_IT {
            let pixels = u64::from(picture.width()) * u64::from(picture.height());
            if pixels > u64::from(enlarge::MOST_PIXELS) {
                if !self.synthetic {
                    self.skipped.push(format!(
                        "it is enlarged by resampling alone, since a model would take too long for {} x {} pixels",
                        picture.width(),
                        picture.height()
                    ));
                }
                break;
            }
            match enlarge::twice(self.models, &picture, alive) {
                Ok(larger) => {
                    self.use_of("span");
                    self.synthetic = true;
                    picture = larger;
                }
                Err(Stop::Lack(lack)) => {
                    self.skipped.push(format!("it is enlarged by resampling alone, {}", lack.because()));
                    break;
                }
                Err(over) => return Err(over),
            }
        }
        Ok(picture)
    }

    /// How opaque each pixel of what is in front is, if that can be told.
    fn mask(&mut self, picture: &RgbImage) -> Option<GrayImage> {
        match cut::mask(self.models, picture) {
            Ok(Some(mask)) => {
                self.use_of("u2netp");
                Some(mask)
            }
            Ok(None) => {
                self.use_of("u2netp");
                self.skipped.push("nothing stands out to be cut out; the background stays".to_owned());
                None
            }
            Err(lack) => {
                self.skipped.push(format!("the background stays, {}", lack.because()));
                None
            }
        }
    }

    fn paint(&mut self, picture: RgbImage, style: &Style, strength: f32) -> RgbImage {
        let painted = match style {
            Style::Named(style) => style::named(self.models, &picture, *style, strength),
            Style::Like(other) => style::like(self.models, &picture, other, strength),
        };
        match painted {
            Ok(painted) => {
                self.use_of("styletransfer");
                self.synthetic = true;
                painted
            }
            Err(lack) => {
                self.skipped.push(format!("it is not painted, {}", lack.because()));
                picture
            }
        }
    }
}

/// The faces in a photo, in its pixels; `shrunk` is the overview's scale.
fn faces_in(models: &Models, overview: &RgbImage, shrunk: f64) -> Result<Vec<faces::Face>, Lack> {
    let mut faces = faces::find(models, overview)?;
    for face in &mut faces {
        let whole = |length: &mut f64| *length /= shrunk;
        [&mut face.x, &mut face.y, &mut face.width, &mut face.height].into_iter().for_each(whole);
    }
    Ok(faces)
}

fn check_size(request: &PhotoRequest) -> Result<(), GenerateError> {
    for (side, length) in [("width", request.width), ("height", request.height)] {
        if !(1..=MAX_SIDE).contains(&length) {
            return Err(GenerateError::Invalid(format!(
                "photo: {side} is {length}, and must be 1 to {MAX_SIDE}"
            )));
        }
    }
    if u64::from(request.width) * u64::from(request.height) > MAX_PIXELS {
        return Err(GenerateError::Invalid(format!(
            "photo: {} x {} pixels are more than the {} million that are allowed",
            request.width,
            request.height,
            MAX_PIXELS >> 20
        )));
    }
    Ok(())
}

fn style_of(name: &str) -> Result<usize, GenerateError> {
    style::STYLES.iter().position(|known| *known == name).ok_or_else(|| {
        GenerateError::Invalid(format!(
            "photo: no style `{name}`; it has {}{}",
            style::STYLES.join(", "),
            did_you_mean(name, style::STYLES)
        ))
    })
}

fn file_of(source: &Source) -> Result<&Blob, GenerateError> {
    source.file.as_ref().ok_or_else(|| failed("the request came without the file".to_owned()))
}

/// Of a photo that is at fault itself.
fn rejected(reason: String) -> GenerateError {
    GenerateError::Invalid(format!("{NAME}: {reason}"))
}

fn failed(reason: String) -> GenerateError {
    GenerateError::Provider { provider: NAME.to_owned(), reason }
}

/// The whole photo at a size that is quickly looked through, and its scale.
fn overview(photo: &RgbaImage) -> Result<(RgbImage, f64), String> {
    let (width, height) = photo.dimensions();
    let small = match width.max(height) > OVERVIEW {
        true => within((width, height), (OVERVIEW, OVERVIEW)),
        false => (width, height),
    };
    let whole = Part::largest((width, height), (width, height), 0.0);
    let view = match small == (width, height) {
        true => over_white(photo),
        false => over_white(&scale::part_of(photo, &whole, small.0, small.1)?),
    };
    Ok((view, f64::from(small.0) / f64::from(width)))
}

/// The largest size of a picture that fits into a box.
fn within((width, height): (u32, u32), (most_width, most_height): (u32, u32)) -> (u32, u32) {
    let (w, h) = (f64::from(width), f64::from(height));
    let share = (f64::from(most_width) / w).min(f64::from(most_height) / h);
    let scaled = |length: f64, most: u32| ((length * share).round() as u32).clamp(1, most);
    (scaled(w, most_width), scaled(h, most_height))
}

/// Colours without transparency: what is clear is white.
fn over_white(picture: &RgbaImage) -> RgbImage {
    let mut opaque = RgbImage::new(picture.width(), picture.height());
    for (into, pixel) in opaque.pixels_mut().zip(picture.pixels()) {
        let [red, green, blue, alpha] = pixel.0;
        let mix = |value: u8| {
            ((u32::from(value) * u32::from(alpha) + 255 * (255 - u32::from(alpha)) + 127) / 255) as u8
        };
        into.0 = [mix(red), mix(green), mix(blue)];
    }
    opaque
}

/// How opaque each pixel is; `None` when all are.
fn alpha_of(picture: &RgbaImage) -> Option<GrayImage> {
    if picture.pixels().all(|pixel| pixel.0[3] == 255) {
        return None;
    }
    let plane = picture.pixels().map(|pixel| pixel.0[3]).collect();
    GrayImage::from_raw(picture.width(), picture.height(), plane)
}

/// What is opaque in both.
fn both(a: &GrayImage, b: &GrayImage) -> GrayImage {
    let mut both = a.clone();
    for (value, other) in both.as_mut().iter_mut().zip(b.as_raw()) {
        *value = ((u32::from(*value) * u32::from(*other) + 127) / 255) as u8;
    }
    both
}

/// The picture as a network wants it: one channel after the other, each value by `number` of value and channel.
fn planes(picture: &RgbImage, number: impl Fn(u8, usize) -> f32) -> Vec<f32> {
    let mut planes = Vec::with_capacity(picture.as_raw().len());
    for channel in 0..3 {
        planes.extend(picture.pixels().map(|pixel| number(pixel.0[channel], channel)));
    }
    planes
}

/// The picture that a network gives, which has three numbers for each pixel; `level` makes them 0 to 255.
fn from_planes(planes: &[f32], width: u32, height: u32, level: impl Fn(f32) -> f32) -> RgbImage {
    let count = width as usize * height as usize;
    let mut picture = RgbImage::new(width, height);
    for (index, pixel) in picture.pixels_mut().enumerate() {
        // Casts saturate, and what is no number becomes 0.
        pixel.0 = [0, 1, 2].map(|channel| {
            let value = planes.get(channel * count + index).copied().unwrap_or(0.0);
            (level(value) + 0.5).clamp(0.0, 255.0) as u8
        });
    }
    picture
}

fn to_png(colours: &RgbImage, opaque: Option<&GrayImage>) -> Result<Vec<u8>, String> {
    let mut png = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut png, CompressionType::Fast, FilterType::Adaptive);
    let (width, height) = colours.dimensions();
    let written = match opaque {
        None => encoder.write_image(colours.as_raw(), width, height, ExtendedColorType::Rgb8),
        Some(opaque) => {
            let pixels: Vec<u8> = colours
                .pixels()
                .zip(opaque.as_raw())
                .flat_map(|(pixel, alpha)| [pixel.0[0], pixel.0[1], pixel.0[2], *alpha])
                .collect();
            encoder.write_image(&pixels, width, height, ExtendedColorType::Rgba8)
        }
    };
    written.map_err(|error| format!("the PNG file cannot be written: {error}"))?;
    Ok(png)
}

#[cfg(test)]
mod tests;
