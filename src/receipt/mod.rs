//! What a video was made of, told so that it can be made again and that what is synthetic in it is known, without a word of whom it
//! was made for.
//!
//! ```text
//! template, data, filled video, what was written ── Making::receipt ──► Receipt ── compare ──► what differs, and why
//! ```
//!
//! Personal things stand in it as digests under a secret ([`ReceiptKey`]). The form is described in `docs/receipts.md`.

mod compare;
mod key;
mod make;

use std::io::{BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use self::compare::{Difference, Part, compare};
pub use self::key::{KeyError, ReceiptKey};
pub use self::make::{Making, Value, files_of};

use crate::Error;
use crate::output::{Excerpt, OutputOptions};
use crate::renderer::encode::Encoder;
use crate::renderer::error::RenderError;
use crate::renderer::render::{RenderOptions, write_whole};
use crate::templates::blob::Digest;
use crate::templates::generate::Cost;
use crate::templates::time::Time;
use crate::templates::units::Duration;

/// The version of the form.
pub const VERSION: u32 = 1;

/// The longest receipt that is read, in bytes.
pub const MAX_BYTES: usize = 64 << 20;

/// What one video was made of. Fields are written in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The version of this form: 1.
    pub vignette_receipt: u32,
    /// The id of the key under which personal things are digested.
    pub key: String,
    /// What rendered it.
    pub engine: EngineFacts,
    /// The template.
    pub template: TemplateFacts,
    /// The viewer's data, completed by the template's defaults: keyed digest of its canonical form.
    pub data: Digest,
    /// BCP 47 tag of the language.
    pub locale: String,
    /// The rendition; the canvas itself where there is none.
    pub rendition: Option<String>,
    /// How it was written.
    pub output: OutputFacts,
    /// Files that the video shows or plays, by their names in the template; generated ones aside.
    pub assets: Vec<AssetFacts>,
    /// The engine's own fonts.
    pub fonts: FontFacts,
    /// Who was to make what.
    pub generators: GeneratorFacts,
    /// The values that were generated, by their names in the template.
    pub generated: Vec<GeneratedFacts>,
    /// Models and programs that made them.
    pub models: Vec<ModelFacts>,
    /// The segments of each size, in the order of the sizes; none where frames alone are written.
    pub sizes: Vec<SizeFacts>,
    /// The sound; nothing where frames alone are written.
    pub sound: Option<SoundFacts>,
    /// Every file that was written.
    pub files: Vec<FileFacts>,
    /// Keyed digest of all above, which nobody without the key can make anew after a change.
    pub seal: Digest,
}

/// What rendered a video.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineFacts {
    /// The program's version.
    pub vignette: String,
    /// The version of what decides pixels and segments.
    pub segments: u32,
    /// The version of GStreamer, which decodes and encodes.
    pub gstreamer: String,
}

/// A template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateFacts {
    /// Its name.
    pub name: String,
    /// Digest of its text; its files stand among the assets.
    pub digest: Digest,
}

/// How a video was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputFacts {
    /// The format's name.
    pub format: String,
    /// The codec; nothing where frames alone are written.
    pub codec: Option<String>,
    /// The encoder, an element of GStreamer.
    pub encoder: Option<String>,
    /// What tells apart the builds of the encoder: a digest of what it makes of a few pictures.
    pub encoder_build: Option<Digest>,
    /// Whether hardware was asked for.
    pub hardware: bool,
    /// Constant rate factor.
    pub quality: u8,
    /// The shorter sides of an HLS presentation that were asked for; the usual ones where there are none.
    pub ladder: Vec<u32>,
    /// Where an animation begins.
    pub from: Option<Moment>,
    /// Where it ends.
    pub to: Option<Moment>,
    /// What it shows first.
    pub first: Option<Moment>,
    /// Its width, or that of a poster, in pixels.
    pub width: Option<u32>,
    /// Its frames per second.
    pub frames_per_second: Option<u32>,
    /// The most bytes that it may take.
    pub max_bytes: Option<u64>,
    /// The moment of a poster.
    pub at: Option<Moment>,
}

/// A moment as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// In frames.
    Frames(i64),
    /// In ticks of 1/705,600,000 s.
    Ticks(i64),
}

/// A file of the template, or one that the viewer's data name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetFacts {
    /// Its name in the template, e.g. `assets.office`.
    pub name: String,
    /// What it is used as: `image`, `video`, `audio` or `font`.
    pub role: String,
    /// Whether the viewer's data name the file. Then its digest is keyed.
    pub by_data: bool,
    /// Digest of its bytes.
    pub digest: Digest,
}

/// The engine's own fonts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FontFacts {
    /// Names all of them together.
    pub library: Digest,
    /// Those that letters of the video come from.
    pub used: Vec<FontFileFacts>,
}

/// A font file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FontFileFacts {
    /// Its name without the folder.
    pub name: String,
    /// Digest of its bytes.
    pub digest: Digest,
}

/// Who was to make what; a kind that is switched off has no list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratorFacts {
    /// Providers of copy with their models, in order of use.
    pub text: Option<Vec<String>>,
    /// Providers of speech.
    pub voice: Option<Vec<String>>,
    /// Providers of pictures with their models.
    pub image: Option<Vec<String>>,
    /// Keyed digest of the guard's lists.
    pub guard: Digest,
    /// Keyed digest of the approved copy, where only that is shown.
    pub approved: Option<Digest>,
}

/// A generated value; never the value itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratedFacts {
    /// Its name in the template.
    pub name: String,
    /// What it is; nothing for a value that was not generated and has a fallback file.
    pub kind: Option<String>,
    /// Whether a machine made it.
    pub synthetic: bool,
    /// Who made it.
    pub provider: String,
    /// The model or voice, as the provider calls it.
    pub model: String,
    /// The model's version as its answer names it.
    pub version: String,
    /// Keyed digest of the seed, which may be made of personal data.
    pub seed: Option<Digest>,
    /// When a provider outside this machine answered, in seconds since 1970-01-01T00:00Z.
    pub made_at: Option<u64>,
    /// What it took of a provider's budget.
    pub cost: Cost,
    /// Why the declared fallback stands in for it; nothing when it does not.
    pub fallback: Option<String>,
    /// Why each provider before this one gave nothing.
    pub instead_of: Vec<String>,
    /// Keyed digest of the value; nothing for a value that was not generated.
    pub digest: Option<Digest>,
}

/// A file that generated values were computed with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFacts {
    /// Whose it is.
    pub provider: String,
    /// Its name, e.g. `hibari/0.2.1/hibari.onnx`.
    pub name: String,
    /// Digest of its bytes.
    pub digest: Digest,
}

/// One size of a video.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SizeFacts {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Constant rate factor.
    pub quality: u8,
    /// The segments in order of showing.
    pub segments: Vec<SegmentFacts>,
}

/// A segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentFacts {
    /// Its name in the store.
    pub key: Digest,
    /// Its length in frames.
    pub frames: u32,
    /// Whether a layer that shows in it depends on the viewer's data.
    pub personal: bool,
    /// Digest of its encoded pictures; nothing where they were not looked at.
    pub digest: Option<Digest>,
}

/// The sound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SoundFacts {
    /// How it is coded.
    pub codec: String,
    /// Its name in the store.
    pub key: Digest,
    /// Digest of the encoded sound; nothing where it was not looked at.
    pub digest: Option<Digest>,
}

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileFacts {
    /// `video`, `captions`, or the path inside an HLS folder. Not the file's own name, which may be a viewer's.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Digest of its bytes.
    pub digest: Digest,
}

/// Why a receipt cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReceiptError {
    /// It is no receipt, or not whole.
    #[error("this is no whole receipt: {0}")]
    Form(String),
    /// Its form is of another version.
    #[error("the receipt's form has version {0}, and {VERSION} is known; use the program that wrote it")]
    Version(u64),
    /// It was made under another key.
    #[error(
        "the receipt was made under the key {wanted}, and this is {given}; name the right one with --receipt-key"
    )]
    Key {
        /// The id of the key that it was made under.
        wanted: String,
        /// The id of the key that was given.
        given: String,
    },
    /// Something in it was changed.
    #[error("the receipt was changed after it was written: its seal does not fit")]
    Seal,
}

impl Receipt {
    /// Reads a receipt and makes sure that it is as it was written under `key`.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn read(bytes: &[u8], key: &ReceiptKey) -> Result<Receipt, ReceiptError> {
        if bytes.len() > MAX_BYTES {
            return Err(ReceiptError::Form(format!("it is longer than the {MAX_BYTES} bytes that are read")));
        }
        let form = |error: serde_json::Error| ReceiptError::Form(error.to_string());
        #[derive(Deserialize)]
        struct Version {
            vignette_receipt: u64,
        }
        let version: Version = serde_json::from_slice(bytes).map_err(form)?;
        if version.vignette_receipt != u64::from(VERSION) {
            return Err(ReceiptError::Version(version.vignette_receipt));
        }
        let receipt: Receipt = serde_json::from_slice(bytes).map_err(form)?;
        if receipt.key != key.id() {
            return Err(ReceiptError::Key { wanted: shown(&receipt.key), given: key.id() });
        }
        if receipt.seal_under(key) != receipt.seal {
            return Err(ReceiptError::Seal);
        }
        Ok(receipt)
    }

    /// The receipt as JSON text, indented, with its fields in their order.
    pub fn to_json(&self) -> String {
        // Plain structs always serialise.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Writes it to `path`, as a whole or not at all.
    ///
    /// # Errors
    /// A file system that refuses.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let text = self.to_json();
        let put = |out: &mut BufWriter<std::fs::File>| {
            out.write_all(text.as_bytes()).map_err(|source| RenderError::Io {
                operation: format!("cannot write {}", path.display()),
                source,
            })
        };
        write_whole(path, put, |_| Ok(()))?;
        Ok(())
    }

    /// The options that it was written with, on as many workers as there are cores.
    ///
    /// # Errors
    /// [`ReceiptError::Form`] for a format or codec that this version does not know.
    pub fn options(&self) -> Result<OutputOptions, ReceiptError> {
        let output = &self.output;
        let moment = |moment: Option<Moment>| {
            moment.map(|moment| match moment {
                Moment::Frames(frames) => Duration::Frames(frames),
                Moment::Ticks(ticks) => Duration::Time(Time::from_ticks(ticks)),
            })
        };
        Ok(OutputOptions {
            format: output.format.parse().map_err(ReceiptError::Form)?,
            render: RenderOptions { quality: output.quality, ..RenderOptions::default() },
            codec: output.codec.as_deref().map(str::parse).transpose().map_err(ReceiptError::Form)?,
            encoder: if output.hardware { Encoder::Hardware } else { Encoder::Software },
            ladder: output.ladder.clone(),
            excerpt: Excerpt {
                from: moment(output.from),
                to: moment(output.to),
                first: moment(output.first),
                width: output.width,
                frames_per_second: output.frames_per_second,
                budget: output.max_bytes,
            },
            at: moment(output.at),
        })
    }

    fn seal_under(&self, key: &ReceiptKey) -> Digest {
        let open = Receipt { seal: Digest([0; 32]), ..self.clone() };
        // Plain structs are written in the order of their fields.
        key.digest("seal", &serde_json::to_vec(&open).unwrap_or_default())
    }
}

/// What of a stranger's text a message can bear.
fn shown(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).take(16).collect()
}

fn io(operation: String, source: std::io::Error) -> Error {
    RenderError::Io { operation, source }.into()
}
