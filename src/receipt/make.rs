//! A receipt of what was just made.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use serde_json::Value as Json;

use super::{
    AssetFacts, EngineFacts, FileFacts, FontFacts, FontFileFacts, GeneratedFacts, GeneratorFacts, ModelFacts,
    Moment, OutputFacts, Receipt, ReceiptKey, SegmentFacts, SizeFacts, SoundFacts, TemplateFacts, VERSION,
    io,
};
use crate::generators::Kind;
use crate::output::Output;
use crate::renderer::encode::{Encoder, EncoderId, gstreamer_version};
use crate::renderer::package::hls::MASTER;
use crate::renderer::plan::{ENGINE_VERSION, Plan};
use crate::renderer::render::{Prepared, Rendered};
use crate::templates::Data;
use crate::templates::blob::Digest;
use crate::templates::generate::GeneratedValue;
use crate::templates::units::Duration;
use crate::templates::video::AssetKind;
use crate::{Engine, Error, Personalised, Template};

/// What a receipt has to know of a generated value.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// What it is.
    pub kind: Kind,
    /// Digest of the words, or of the file; of speech, its times are part of it. Not keyed: it is to leave the process as a digest of
    /// this digest only.
    pub(super) digest: Digest,
}

impl Value {
    /// What a receipt has to know of `value`.
    pub fn of(value: &GeneratedValue) -> Value {
        match value {
            GeneratedValue::Text(text) => Value { kind: Kind::Text, digest: Digest::of(text.as_bytes()) },
            GeneratedValue::Image(file) => Value { kind: Kind::Image, digest: file.digest() },
            GeneratedValue::Voice(voice) => {
                let form = serde_json::json!([
                    voice.audio.digest(),
                    voice.duration.ticks(),
                    voice.words,
                    voice.phonemes
                ]);
                Value { kind: Kind::Voice, digest: Digest::of(form.to_string().as_bytes()) }
            }
        }
    }
}

/// One video, and all that it was made with.
#[derive(Clone, Copy)]
pub struct Making<'a> {
    /// What made it.
    pub engine: &'a Engine,
    /// Of this template.
    pub template: &'a Template,
    /// For this viewer.
    pub data: &'a Data,
    /// In this rendition.
    pub rendition: Option<&'a str>,
    /// Filled.
    pub personal: &'a Personalised,
    /// Laid out.
    pub prepared: &'a Prepared<'a>,
    /// Written so.
    pub output: &'a Output,
}

impl Making<'_> {
    /// The receipt of what was rendered and written.
    ///
    /// # Errors
    /// A file of a model that cannot be read.
    pub fn receipt(
        &self,
        key: &ReceiptKey,
        rendered: &[Rendered],
        files: Vec<FileFacts>,
    ) -> Result<Receipt, Error> {
        let sizes = rendered.iter().map(|rendered| {
            let digests = rendered.segments.iter().map(|segment| Some(Digest::of(&segment.to_bytes())));
            size(&rendered.plan, digests)
        });
        let sound =
            rendered.first().map(|first| sound(&first.plan, Some(Digest::of(&first.sound.to_bytes()))));
        self.told(key, sizes.collect(), sound, files)
    }

    /// The receipt as far as it is known without rendering: keys of segments, and no file.
    ///
    /// # Errors
    /// As [`Making::receipt`]; a size that the video does not have.
    pub fn foreseen(&self, key: &ReceiptKey) -> Result<Receipt, Error> {
        let plans = self.output.plans(self.engine, &self.personal.video)?;
        let sizes = plans.iter().map(|plan| size(plan, std::iter::repeat(None)));
        self.told(key, sizes.collect(), plans.first().map(|plan| sound(plan, None)), Vec::new())
    }

    fn told(
        &self,
        key: &ReceiptKey,
        sizes: Vec<SizeFacts>,
        sound: Option<SoundFacts>,
        files: Vec<FileFacts>,
    ) -> Result<Receipt, Error> {
        let (generated, models) = (self.generated(key), self.models()?);
        let video = &self.personal.video;
        let used = self.prepared.own_fonts().into_iter();
        let mut receipt = Receipt {
            vignette_receipt: VERSION,
            key: key.id(),
            engine: EngineFacts {
                vignette: env!("CARGO_PKG_VERSION").to_owned(),
                segments: ENGINE_VERSION,
                gstreamer: gstreamer_version(),
            },
            template: TemplateFacts {
                name: video.name.clone(),
                digest: self.template.package.template.digest(),
            },
            data: key.digest("data", canonical(&Json::Object(self.data.fields().clone())).as_bytes()),
            locale: video.locale.clone(),
            rendition: self.rendition.map(str::to_owned),
            output: output(self.output),
            assets: self.assets(key),
            fonts: FontFacts {
                library: self.engine.fonts.own_identity(),
                used: used.map(|(digest, name)| FontFileFacts { name, digest }).collect(),
            },
            generators: self.generators(key),
            generated,
            models,
            sizes,
            sound,
            files,
            seal: Digest([0; 32]),
        };
        receipt.fonts.used.sort_by(|a, b| a.name.cmp(&b.name));
        receipt.seal = receipt.seal_under(key);
        Ok(receipt)
    }

    fn assets(&self, key: &ReceiptKey) -> Vec<AssetFacts> {
        let written = &self.template.package.template.document().assets;
        let mut assets = Vec::new();
        for (digest, asset) in &self.personal.video.assets {
            // What was generated stands among the generated values.
            if asset.name.starts_with("generate.") {
                continue;
            }
            let asset_of = asset.name.strip_prefix("assets.").and_then(|name| written.get(name));
            let file = asset_of
                .and_then(|asset| [&asset.image, &asset.video, &asset.audio].into_iter().flatten().next());
            let by_data = file.is_some_and(|file| file.plain().is_none());
            assets.push(AssetFacts {
                name: asset.name.clone(),
                role: match asset.kind {
                    AssetKind::Image => "image",
                    AssetKind::Video => "video",
                    AssetKind::Audio => "audio",
                    AssetKind::Font => "font",
                }
                .to_owned(),
                by_data,
                // Which of a few files the data name would tell what they say.
                digest: if by_data { key.digest("asset", &digest.0) } else { *digest },
            });
        }
        assets.sort_by(|a, b| (&a.name, a.digest).cmp(&(&b.name, b.digest)));
        assets
    }

    fn generators(&self, key: &ReceiptKey) -> GeneratorFacts {
        let setup = self.engine.generators().setup();
        GeneratorFacts {
            text: setup.text,
            voice: setup.voice,
            image: setup.image,
            guard: key.digest("guard", &setup.words.0),
            approved: setup.approved.map(|digest| key.digest("approved", &digest.0)),
        }
    }

    fn generated(&self, key: &ReceiptKey) -> Vec<GeneratedFacts> {
        let made = self.personal.video.generated.iter();
        made.map(|(name, made)| {
            let value = self.personal.values.get(name);
            GeneratedFacts {
                name: name.clone(),
                kind: value.map(|value| value.kind.to_string()),
                synthetic: made.synthetic,
                provider: made.provider.clone(),
                model: made.model.clone(),
                version: made.version.clone(),
                seed: made.seed.map(|seed| key.digest("seed", &seed.to_le_bytes())),
                made_at: made.made_at,
                cost: made.cost,
                fallback: made.fallback.clone(),
                instead_of: made.instead_of.clone(),
                digest: value.map(|value| key.digest("generated", &value.digest.0)),
            }
        })
        .collect()
    }

    /// The files of every provider that made something.
    fn models(&self) -> Result<Vec<ModelFacts>, Error> {
        let made = self.personal.video.generated.values();
        let providers: BTreeSet<&str> = made.map(|made| made.provider.as_str()).collect();
        let mut models = Vec::new();
        for provider in providers {
            for file in self.engine.generators().files_of(provider) {
                let digest = digest_of(&file.path)
                    .map_err(|error| io(format!("cannot read {}", file.path.display()), error))?;
                models.push(ModelFacts { provider: provider.to_owned(), name: file.name, digest });
            }
        }
        Ok(models)
    }
}

fn size(plan: &Plan, digests: impl Iterator<Item = Option<Digest>>) -> SizeFacts {
    let segments = plan.segments.iter().zip(digests).map(|(segment, digest)| SegmentFacts {
        key: *segment.key.digest(),
        frames: segment.range.len(),
        personal: segment.personal,
        digest,
    });
    let profile = plan.profile;
    SizeFacts {
        width: profile.width,
        height: profile.height,
        quality: profile.quality,
        segments: segments.collect(),
    }
}

fn sound(plan: &Plan, digest: Option<Digest>) -> SoundFacts {
    SoundFacts { codec: plan.sound.as_str().to_owned(), key: plan.audio, digest }
}

fn output(output: &Output) -> OutputFacts {
    let (options, encoder) = (output.options(), output.encoder());
    // Destructured in full, so that a new option cannot be forgotten here.
    let crate::output::OutputOptions { format, render, codec: _, encoder: wanted, ladder, excerpt, at } =
        options;
    let crate::output::Excerpt { from, to, first, width, frames_per_second, budget } = *excerpt;
    let moment = |duration: Option<Duration>| {
        duration.map(|duration| match duration {
            Duration::Frames(frames) => Moment::Frames(frames),
            Duration::Time(time) => Moment::Ticks(time.ticks()),
        })
    };
    OutputFacts {
        format: format.as_str().to_owned(),
        codec: encoder.map(|encoder| encoder.codec().as_str().to_owned()),
        encoder: encoder.map(|encoder| encoder.element().to_owned()),
        encoder_build: encoder.and_then(EncoderId::build),
        hardware: *wanted == Encoder::Hardware,
        quality: render.quality,
        ladder: ladder.clone(),
        from: moment(from),
        to: moment(to),
        first: moment(first),
        width,
        frames_per_second,
        max_bytes: budget,
        at: moment(*at),
    }
}

/// JSON with the fields of every object in the order of their names, so that equal data have equal bytes.
fn canonical(value: &Json) -> String {
    match value {
        Json::Object(fields) => {
            let sorted: BTreeMap<&String, &Json> = fields.iter().collect();
            let fields = sorted
                .iter()
                .map(|(name, value)| format!("{}:{}", Json::String((*name).clone()), canonical(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        Json::Array(entries) => {
            format!("[{}]", entries.iter().map(canonical).collect::<Vec<_>>().join(","))
        }
        plain => plain.to_string(),
    }
}

/// Files whose digests are remembered, at most.
const MOST_DIGESTS: usize = 256;

/// The digest of a file, which is read again only when it has changed: models are large, and rows of a batch many.
fn digest_of(path: &Path) -> std::io::Result<Digest> {
    type Known = BTreeMap<(PathBuf, u64, Option<SystemTime>), Digest>;
    static KNOWN: Mutex<Known> = Mutex::new(BTreeMap::new());
    let found = fs::metadata(path)?;
    let name = (path.to_owned(), found.len(), found.modified().ok());
    // An entry is added whole or not at all.
    let lock = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(digest) = lock().get(&name) {
        return Ok(*digest);
    }
    let mut hasher = blake3::Hasher::new();
    std::io::copy(&mut fs::File::open(path)?, &mut hasher)?;
    let digest = Digest(*hasher.finalize().as_bytes());
    let mut known = lock();
    if known.len() >= MOST_DIGESTS {
        known.clear();
    }
    known.insert(name, digest);
    Ok(digest)
}

/// What stands at `target`: one file, called `name`, or all files of the HLS presentation in a folder, by their paths in it.
///
/// # Errors
/// A file that cannot be read.
pub fn files_of(target: &Path, is_folder: bool, name: &str) -> Result<Vec<FileFacts>, Error> {
    if !is_folder {
        return Ok(vec![file_of(target, name)?]);
    }
    let mut names = BTreeSet::from([MASTER.to_owned()]);
    let mut open = vec![MASTER.to_owned()];
    while let Some(playlist) = open.pop() {
        let path = target.join(&playlist);
        let text = fs::read_to_string(&path)
            .map_err(|error| io(format!("cannot read {}", path.display()), error))?;
        let folder = playlist.rsplit_once('/').map_or("", |(folder, _)| folder);
        for named in named_in(&text) {
            let Some(path) = resolve(folder, named) else { continue };
            if names.insert(path.clone()) && path.ends_with(".m3u8") {
                open.push(path);
            }
        }
    }
    names.iter().map(|name| file_of(&target.join(name), name)).collect()
}

fn file_of(path: &Path, name: &str) -> Result<FileFacts, Error> {
    let unread = |error| io(format!("cannot read {}", path.display()), error);
    let mut hasher = blake3::Hasher::new();
    let mut file = fs::File::open(path).map_err(unread)?;
    let bytes = std::io::copy(&mut file, &mut hasher).map_err(unread)?;
    Ok(FileFacts { name: name.to_owned(), bytes, digest: Digest(*hasher.finalize().as_bytes()) })
}

/// The files that a playlist names (RFC 8216: lines that are no tags, and `URI` attributes).
fn named_in(playlist: &str) -> impl Iterator<Item = &str> {
    playlist.lines().filter_map(|line| match line.strip_prefix('#') {
        None => Some(line.trim()).filter(|line| !line.is_empty()),
        Some(tag) => tag.split_once("URI=\"").and_then(|(_, rest)| rest.split_once('"')).map(|(uri, _)| uri),
    })
}

/// A path relative to the presentation's folder; nothing where it would leave it.
fn resolve(folder: &str, named: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in named.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_data_have_one_form() {
        let a = serde_json::json!({ "b": [1, { "y": "\"", "x": null }], "a": true });
        let b: Json = serde_json::from_str(r#"{"a":true,"b":[1,{"x":null,"y":"\""}]}"#).unwrap();
        assert_eq!(canonical(&a), canonical(&b));
        assert_eq!(canonical(&a), r#"{"a":true,"b":[1,{"x":null,"y":"\""}]}"#);
    }

    #[test]
    fn playlists_name_their_files() {
        let text = "#EXTM3U\n#EXT-X-MAP:URI=\"../s/i.mp4\"\n#EXTINF:1,\n../s/a.m4s\n\nb.m4s\n#EXT-X-X:A=1\n";
        let named: Vec<_> = named_in(text).filter_map(|name| resolve("v1080", name)).collect();
        assert_eq!(named, ["s/i.mp4", "s/a.m4s", "v1080/b.m4s"]);
        assert_eq!(resolve("", "../x"), None);
    }
}
