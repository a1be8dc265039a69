//! Pictures by `POST …/images/generations` and `POST …/images/edits`, as in OpenAI's API reference (Images, "Create image" and
//! "Create image edit") and in local servers that follow it.

use std::io::Cursor;

use base64::Engine as _;
use image::imageops::{FilterType, crop_imm, resize};
use image::{ImageFormat, ImageReader, Limits, RgbaImage};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use vignette_templates::blob::{Blob, Digest};
use vignette_templates::generate::{Cost, Edit, ImageRequest, Source};

use super::client::{Client, Expected, JSON, Sent};
use super::edit::{self, Around, Frame};
use super::prompt;
use crate::error::GenerateError;
use crate::gate::{Gate, Usage};
use crate::provider::{Answer, Context, ImageProvider};

/// The longest picture that is read, in bytes.
const MAX_PICTURE: usize = 32 << 20;
/// The same as it is written in JSON: four letters for three bytes, and what stands around it.
const MAX_ANSWER: u64 = (MAX_PICTURE as u64 / 3 + 1) * 4 + (64 << 10);
/// The longest side of a picture that is decoded.
const MAX_SIDE: u32 = 8192;
/// The longest picture that is sent to be changed, in bytes.
const MAX_SENT: usize = 20 << 20;

/// What is told of a request that was written down and read again.
const WITHOUT_PICTURE: &str = "the request came without its picture";

/// How a picture is asked for.
#[derive(Clone, Debug)]
pub(crate) struct PicturesOptions {
    pub model: String,
    /// The sizes that the service draws; the one that fits best is asked for. Empty when it draws any.
    pub sizes: Vec<(u32, u32)>,
    /// Whether `response_format: b64_json` is sent. Some models answer so always, and refuse the field.
    pub format_field: bool,
    /// Fields that are added to each request as they are.
    pub extra: Map<String, Value>,
    /// Millionths of the currency for a picture, with what its request costs.
    pub price: f64,
}

/// A service that draws, or one that changes pictures.
pub(crate) struct Pictures {
    client: Client,
    options: PicturesOptions,
    edits: bool,
}

impl Pictures {
    pub(crate) fn new(client: Client, options: PicturesOptions) -> Self {
        Pictures { client, options, edits: false }
    }

    /// The service that changes pictures by `POST …/images/edits`.
    pub(crate) fn that_edits(client: Client, options: PicturesOptions) -> Self {
        Pictures { client, options, edits: true }
    }

    /// The fields of a request as a form with the picture and its mask, both in the frame.
    fn form(
        &self,
        fields: &Map<String, Value>,
        edit: &Edit,
        frame: &Frame,
    ) -> Result<Sent<'static>, GenerateError> {
        let too_long = || {
            GenerateError::Invalid(format!(
                "{}: the picture to change is longer than the {MAX_SENT} bytes that are sent; make `width` and `height` smaller",
                self.name()
            ))
        };
        let mut files = Vec::new();
        for (name, source, around) in
            [("image", Some(&edit.picture), Around::Edges), ("mask", edit.mask.as_ref(), Around::Opaque)]
        {
            let Some(source) = source else { continue };
            let file = source.file.as_ref().ok_or_else(|| self.failed(WITHOUT_PICTURE.to_owned()))?;
            let file = frame.with(file, around).map_err(|reason| self.failed(reason))?;
            if file.bytes().len() > MAX_SENT {
                return Err(too_long());
            }
            files.push((name, file));
        }
        // Nothing that is sent can hold a digest of itself.
        let mut all = Value::Object(fields.clone()).to_string();
        for source in [Some(&edit.picture), edit.mask.as_ref()].into_iter().flatten() {
            all.push_str(&source.digest.to_string());
        }
        let boundary = format!("vignette-{}", &Digest::of(all.as_bytes()).to_string()[..32]);
        let mut body = Vec::new();
        for (name, value) in fields {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let head =
                format!("--{boundary}\r\ncontent-disposition: form-data; name=\"{}\"\r\n\r\n", quoted(name));
            body.extend([head.as_bytes(), text.as_bytes(), b"\r\n"].concat());
        }
        for (name, file) in files {
            let head = format!(
                "--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"{name}.png\"\r\n\
                 content-type: image/png\r\n\r\n"
            );
            body.extend([head.as_bytes(), file.bytes(), b"\r\n"].concat());
        }
        body.extend(format!("--{boundary}--\r\n").into_bytes());
        Ok(Sent::Form(format!("multipart/form-data; boundary={boundary}"), body))
    }

    fn failed(&self, reason: String) -> GenerateError {
        GenerateError::Provider { provider: self.name().to_owned(), reason }
    }
}

/// A field's name between quotation marks, as browsers write it (WHATWG HTML, "multipart form data").
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

impl ImageProvider for Pictures {
    fn name(&self) -> &str {
        self.client.provider()
    }

    fn model(&self) -> String {
        self.options.model.clone()
    }

    fn edits(&self) -> bool {
        self.edits
    }

    fn generate(&self, request: &ImageRequest, context: &Context) -> Result<Blob, GenerateError> {
        Ok(self.answer(request, context)?.value)
    }

    fn answer(&self, request: &ImageRequest, context: &Context) -> Result<Answer<Blob>, GenerateError> {
        let (width, height) = best(&self.options.sizes, request.width, request.height);
        let frame = match &request.edit {
            Some(_) => Frame::around((request.width, request.height), (width, height)).ok_or_else(|| {
                self.failed(format!(
                    "none of its `sizes` has the shape of {}x{}",
                    request.width, request.height
                ))
            })?,
            None => Frame::none((request.width, request.height)),
        };
        let mut words = prompt::plain(&request.prompt, &request.pieces);
        if !request.palette.is_empty() {
            let colours: Vec<String> =
                request.palette.iter().map(|c| format!("#{:02x}{:02x}{:02x}", c.r, c.g, c.b)).collect();
            words.push_str(&format!(" Colours: {}.", colours.join(", ")));
        }
        let mut body = json!({
            "model": self.options.model,
            "prompt": words,
            "n": 1,
            "size": format!("{width}x{height}"),
        });
        if let Some(fields) = body.as_object_mut() {
            if self.options.format_field {
                fields.insert("response_format".to_owned(), "b64_json".into());
            }
            fields.extend(self.options.extra.clone());
        }
        let sent = match (&request.edit, &body) {
            (None, _) => Sent::Json(&body),
            (Some(edit), Value::Object(fields)) => self.form(fields, edit, &frame)?,
            (Some(edit), _) => self.form(&Map::new(), edit, &frame)?,
        };
        let path = if self.edits { "/images/edits" } else { "/images/generations" };
        let cost = Cost { micros: self.options.price.ceil() as u64, ..Cost::default() };
        let expected = Expected { types: JSON, max_bytes: MAX_ANSWER, first: None };
        self.client
            .post(path, &sent, cost, &expected, context, |bytes| {
                let answer: Drawn = serde_json::from_slice(bytes)
                    .map_err(|_| "it is not the JSON of drawn pictures".to_owned())?;
                Ok((picture(&answer, request, &frame), cost, String::new()))
            })
            .and_then(|answer| {
                let value = answer
                    .value
                    .map_err(|reason| GenerateError::Rejected { provider: self.name().to_owned(), reason })?;
                Ok(Answer { value, version: answer.version, cost: answer.cost, made_at: answer.made_at })
            })
    }

    fn remote(&self) -> bool {
        self.client.is_remote()
    }

    fn gate(&self) -> Option<&Gate> {
        Some(&self.client.gate)
    }

    fn usage(&self) -> Option<Usage> {
        Some(self.client.gate.usage())
    }
}

#[derive(Deserialize)]
struct Drawn {
    data: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    #[serde(default)]
    b64_json: Option<String>,
}

/// The size to ask for: of those with the least to cut off, the smallest that need not be enlarged.
fn best(sizes: &[(u32, u32)], width: u32, height: u32) -> (u32, u32) {
    let shape = |(w, h): (u32, u32)| (f64::from(w) / f64::from(h)).ln();
    let wanted = shape((width, height));
    let score = |size: &(u32, u32)| {
        let lost = ((shape(*size) - wanted).abs() * 20.0).round() as u64;
        let small = size.0 < width || size.1 < height;
        (lost, small, u64::from(size.0) * u64::from(size.1))
    };
    sizes.iter().min_by_key(|size| score(size)).copied().unwrap_or((width, height))
}

/// The picture of an answer as a PNG file of the size that was asked for: what does not fit the frame's shape is cut off evenly, and
/// what a mask covers is as it was.
fn picture(answer: &Drawn, request: &ImageRequest, frame: &Frame) -> Result<Blob, String> {
    let coded = answer.data.first().and_then(|one| one.b64_json.as_deref());
    let coded = coded.ok_or("it holds no picture in base64; the model has to answer with `b64_json`")?;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(coded.trim())
        .map_err(|_| "its picture is not written in base64".to_owned())?;
    if bytes.len() > MAX_PICTURE {
        return Err(format!("its picture is longer than {MAX_PICTURE} bytes"));
    }
    let format = image::guess_format(&bytes).ok();
    let format = format.filter(|f| matches!(f, ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP));
    let format = format.ok_or("its picture is neither PNG nor JPEG nor WebP")?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(512 << 20);
    let mut reader = ImageReader::with_format(Cursor::new(&bytes), format);
    reader.limits(limits);
    let decoded =
        reader.decode().map_err(|_| "its picture is broken, or far too large".to_owned())?.to_rgba8();
    let mut fitted = frame.without(&fit(&decoded, frame.size.0, frame.size.1));
    if let Some(Edit { picture, mask: Some(mask), .. }) = &request.edit {
        let size = (request.width, request.height);
        let read = |source: &Source| edit::decoded(source.file.as_ref().ok_or(WITHOUT_PICTURE)?, size);
        edit::within(&mut fitted, &read(picture)?, &read(mask)?);
    }
    let mut png = Cursor::new(Vec::new());
    fitted
        .write_to(&mut png, ImageFormat::Png)
        .map_err(|_| "its picture cannot be written as PNG".to_owned())?;
    Ok(Blob::new(png.into_inner()))
}

fn fit(picture: &RgbaImage, width: u32, height: u32) -> RgbaImage {
    let (w, h) = picture.dimensions();
    if (w, h) == (width, height) {
        return picture.clone();
    }
    // The largest part in the middle that has the wanted shape.
    let part_w = (u64::from(h) * u64::from(width) / u64::from(height).max(1)).clamp(1, u64::from(w)) as u32;
    let part_h = (u64::from(w) * u64::from(height) / u64::from(width).max(1)).clamp(1, u64::from(h)) as u32;
    let part = crop_imm(picture, (w - part_w) / 2, (h - part_h) / 2, part_w, part_h).to_image();
    resize(&part, width, height, FilterType::CatmullRom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_size_is_asked_for() {
        let sizes = [(1024, 1024), (1536, 1024), (1024, 1536)];
        for ((width, height), expected) in
            [((960, 540), (1536, 1024)), ((1080, 1920), (1024, 1536)), ((500, 500), (1024, 1024))]
        {
            assert_eq!(best(&sizes, width, height), expected, "{width}x{height}");
        }
        assert_eq!(best(&[], 960, 540), (960, 540));
        assert_eq!(best(&[(256, 256), (1024, 1024), (512, 512)], 300, 300), (512, 512));
    }

    #[test]
    fn pictures_are_cut_to_shape() {
        let picture = RgbaImage::from_fn(300, 100, |x, _| image::Rgba([(x / 100 * 100) as u8, 0, 0, 255]));
        let cut = fit(&picture, 50, 50);
        assert_eq!(cut.dimensions(), (50, 50));
        // The middle third is left.
        assert!(cut.pixels().all(|pixel| pixel.0[0] == 100), "{:?}", cut.get_pixel(0, 0));
    }

    #[test]
    fn answers_without_a_picture_are_refused() {
        let request = ImageRequest { width: 4, height: 4, ..ImageRequest::default() };
        let drawn = |text: Option<&str>| Drawn { data: vec![One { b64_json: text.map(str::to_owned) }] };
        for (answer, expected) in [
            (Drawn { data: vec![] }, "no picture"),
            (drawn(None), "no picture"),
            (drawn(Some("§§")), "base64"),
            (drawn(Some("aGVsbG8=")), "neither PNG"),
            (drawn(Some("iVBORw0KGgo=")), "broken"),
        ] {
            let reason = picture(&answer, &request, &Frame::none((4, 4))).map(drop).unwrap_err();
            assert!(reason.contains(expected), "{reason}");
        }
    }
}
