//! What can be known to be wrong before there is a viewer.

pub(crate) mod layers;
pub(crate) mod order;
pub(crate) mod private;
pub(crate) mod spoken;
mod variables;

use std::collections::BTreeSet;

use crate::container;
use crate::expr::Expression;
use crate::fault::{At, Fault, Faults, did_you_mean};
use crate::template::document::{Asset, Document};
use crate::template::generate::{Generator, PhotoGenerator};
use crate::template::layer::{LOOP_FACTS, Repeat};
use crate::template::read::{Either, Read, Visit};
use crate::template::scalar::{FileName, NameKind};
use crate::template::written::{Fixed, Form, Written};
use crate::video::AssetKind;
use crate::world::World;
use variables::{Scope, Shape};

/// What a check found.
pub(crate) struct Findings {
    pub faults: Faults,
    pub warnings: Vec<Fault>,
}

/// Checks `document` against itself, its data's schema and the outside. With `partial`, parts of it could not be read.
pub(crate) fn check(
    document: &Document,
    schema: &serde_json::Value,
    world: &dyn World,
    partial: bool,
) -> Findings {
    let mut checker = Checker {
        document,
        scope: Scope::new(document, schema),
        world,
        partial,
        used: BTreeSet::new(),
        any_name: false,
        faults: Faults::new(),
        warnings: Vec::new(),
    };
    checker.names_are_free();
    document.visit(&mut checker);
    checker.locale_is_data();
    checker.languages();
    checker.captions_are_heard();
    layers::check(document, &mut checker.faults);
    if let Err(faults) = order::order(document) {
        checker.faults.extend(faults);
    }
    checker.assets();
    Findings { faults: checker.faults, warnings: checker.warnings }
}

/// After so many faults no more is said about names: hints cost, and nobody reads on.
const ENOUGH: usize = 1000;

struct Checker<'a> {
    document: &'a Document,
    scope: Scope<'a>,
    world: &'a dyn World,
    partial: bool,
    /// The names of assets and generated things that something uses.
    used: BTreeSet<String>,
    /// Whether a name depends on the viewer, so that any asset may be used.
    any_name: bool,
    faults: Faults,
    warnings: Vec<Fault>,
}

/// What kind of file an asset says it is, and the field that says so.
pub(crate) fn asset_kind(asset: &Asset) -> (AssetKind, &'static str) {
    match asset {
        Asset { image: Some(_), .. } => (AssetKind::Image, "image"),
        Asset { video: Some(_), .. } => (AssetKind::Video, "video"),
        Asset { audio: Some(_), .. } => (AssetKind::Audio, "audio"),
        _ => (AssetKind::Font, "font"),
    }
}

/// Reads a file and looks whether it is what the template says.
///
/// # Errors
/// The message, what was found, and what would be right.
pub(crate) fn file(
    world: &dyn World,
    kind: AssetKind,
    name: &str,
) -> Result<crate::blob::Blob, (String, Option<String>, String)> {
    let shown = crate::fault::quoted(name);
    let hint = "put the file into the package, or add `--assets DIR` for where it lies";
    let blob = world.read(name).map_err(|error| (format!("{shown}: {error}"), None, hint.to_owned()))?;
    container::verify(kind, blob.bytes()).and_then(|()| world.probe(kind, &blob)).map_err(|found| {
        let expected = match kind {
            AssetKind::Image => "an image",
            AssetKind::Video => "a video",
            AssetKind::Audio => "a sound",
            AssetKind::Font => "a font",
        };
        (format!("{shown}: expected {expected}"), Some(found), container::accepted(kind).to_owned())
    })?;
    Ok(blob)
}

impl Visit for Checker<'_> {
    fn expression(&mut self, at: &At, _source: &str, expression: &Expression, kind: Option<NameKind>) {
        self.any_name |= kind.is_some();
        if self.faults.len() >= ENOUGH {
            return;
        }
        for reference in expression.references() {
            if let Some(name) = reference.path.first() {
                self.used.insert(name.clone());
            }
            if let Err((message, hint)) = self.scope.check(&reference.path, reference.guarded) {
                self.faults.push(Fault::new(at, message).hint_if(hint));
            }
        }
    }

    fn name(&mut self, at: &At, kind: NameKind, name: &str) {
        self.used.insert(name.to_owned());
        if self.faults.len() >= ENOUGH {
            return;
        }
        if let Err((message, hint)) = name_of(self.document, self.world, kind, name) {
            // A scene that could not be read has no name here, which is no fault of its own.
            if !(self.partial && kind == NameKind::Scene) {
                self.faults.push(Fault::new(at, message).hint_if(hint));
            }
        }
    }

    fn enter(&mut self, repeat: Option<&Repeat>) {
        let mut names = Vec::new();
        if let Some(repeat) = repeat {
            let variable = repeat.variable().to_owned();
            if self.scope.knows(&variable) {
                let at = repeat.r#as.as_ref().map_or(&repeat.here, |name| &name.at);
                let fault = Fault::new(at, format!("the variable `{variable}` is there already"));
                self.faults.push(fault.hint("give the entries another name with `as`"));
            }
            let entry = match &repeat.r#for.form {
                Form::Expression { expression, .. } => match expression.whole_reference() {
                    Some(list) => self.scope.entry_of(&list.path).unwrap_or(Shape::Any),
                    None => {
                        let fault = Fault::new(&repeat.r#for.at, "expected one variable that is a list");
                        self.faults.push(fault.hint("write e.g. \"{{modules}}\""));
                        Shape::Any
                    }
                },
                Form::Plain(_) => Shape::Any,
            };
            names.extend(LOOP_FACTS.iter().map(|fact| (format!("{variable}{fact}"), Shape::Plain)));
            names.push((variable, entry));
        }
        self.scope.loops.push(names);
    }

    fn leave(&mut self) {
        self.scope.loops.pop();
    }
}

/// Whether `name` names something of `kind`.
///
/// # Errors
/// What is wrong, and what would be right.
pub(crate) fn name_of(
    document: &Document,
    world: &dyn World,
    kind: NameKind,
    name: &str,
) -> Result<(), (String, Option<String>)> {
    let asset = document.assets.get(name).map(|asset| asset_kind(asset));
    let generator = document.generate.get(name);
    let fits = match kind {
        NameKind::Image => {
            matches!(asset, Some((AssetKind::Image, _))) || generator.is_some_and(Generator::is_picture)
        }
        NameKind::Picture => matches!(asset, Some((AssetKind::Image, _))),
        NameKind::Video => matches!(asset, Some((AssetKind::Video, _))),
        NameKind::Sound => matches!(asset, Some((AssetKind::Audio | AssetKind::Video, _))),
        NameKind::Voice => generator.is_some_and(|made| made.voice.is_some()),
        NameKind::Scene => scene_names(document).any(|known| known == name),
        NameKind::Style => document.styles.get(name).is_some(),
        NameKind::Font => matches!(asset, Some((AssetKind::Font, _))) || world.has_font_family(name),
    };
    // What is at fault itself is named and known, so it is not unknown as well.
    let faulty = [&document.assets.faulty, &document.generate.faulty, &document.styles.faulty];
    if fits || faulty.iter().any(|names| names.iter().any(|known| known == name)) {
        return Ok(());
    }
    let shown = crate::fault::shortened(name);
    let what = match kind {
        NameKind::Image | NameKind::Picture => "image",
        NameKind::Video => "video",
        NameKind::Sound => "sound",
        NameKind::Voice => "voice",
        NameKind::Scene => "scene",
        NameKind::Style => "style",
        NameKind::Font => "font",
    };
    if let Some((_, other)) = asset
        && !matches!(kind, NameKind::Scene | NameKind::Style)
    {
        let hint = (kind == NameKind::Picture && other == "video").then(|| STILL_ONLY.to_owned());
        return Err((format!("the asset `{shown}` is {}, not {}", article(other), article(what)), hint));
    }
    if generator.is_some() && kind == NameKind::Picture {
        return Err((format!("`{shown}` is generated"), Some(OF_AN_ASSET.to_owned())));
    }
    if let Some(made) = generator
        && !matches!(kind, NameKind::Scene | NameKind::Style | NameKind::Font)
    {
        let other = if made.text.is_some() {
            "text"
        } else if made.voice.is_some() {
            "voice"
        } else {
            "image"
        };
        let hint = (kind == NameKind::Sound && other == "voice").then(|| format!("write `voice: {shown}`"));
        return Err((format!("the generated `{shown}` is {}, not {}", article(other), article(what)), hint));
    }
    let of_kind = |wanted: &'static [AssetKind]| {
        document
            .assets
            .entries
            .iter()
            .filter(move |(.., asset)| wanted.contains(&asset_kind(asset).0))
            .map(|(name, ..)| name.as_str())
    };
    let made = |wanted: fn(&Generator) -> bool| {
        document
            .generate
            .entries
            .iter()
            .filter(move |(.., made)| wanted(made))
            .map(|(name, ..)| name.as_str())
    };
    let known: Vec<&str> = match kind {
        NameKind::Image => of_kind(&[AssetKind::Image]).chain(made(Generator::is_picture)).collect(),
        NameKind::Picture => of_kind(&[AssetKind::Image]).collect(),
        NameKind::Video => of_kind(&[AssetKind::Video]).collect(),
        NameKind::Sound => of_kind(&[AssetKind::Audio, AssetKind::Video]).collect(),
        NameKind::Voice => made(|made| made.voice.is_some()).collect(),
        NameKind::Scene => scene_names(document).collect(),
        NameKind::Style => document.styles.names().collect(),
        NameKind::Font => of_kind(&[AssetKind::Font]).collect(),
    };
    let where_to_add = match kind {
        NameKind::Scene => "give a scene this name",
        NameKind::Style => "add it under `styles`",
        NameKind::Voice => "add it under `generate`",
        NameKind::Font => "add it under `assets`, or install the font family",
        _ => "add it under `assets`",
    };
    let hint = did_you_mean(name, known).unwrap_or_else(|| where_to_add.to_owned());
    Err((format!("unknown {what} `{shown}`"), Some(hint)))
}

fn article(word: &str) -> String {
    format!("{} {word}", if word.starts_with(['a', 'i']) { "an" } else { "a" })
}

fn scene_names(document: &Document) -> impl Iterator<Item = &str> {
    document.scenes.iter().filter_map(|scene| scene.name.as_ref()).map(|name| name.value.0.as_str())
}

impl Checker<'_> {
    /// One name, one thing: data, generated things and the words the language keeps for itself.
    fn names_are_free(&mut self) {
        for (name, at, generator) in &self.document.generate.entries {
            if self.scope.is_property(name) || matches!(name.as_str(), "vars" | "t") {
                let fault = Fault::new(at, format!("the name `{name}` is taken by the data"));
                self.faults.push(fault.hint("give what is generated another name"));
            }
            if generator.is_picture() && self.document.assets.get(name).is_some() {
                let fault = Fault::new(at, format!("the name `{name}` is taken by an asset"));
                self.faults.push(fault.hint("give what is generated another name"));
            }
        }
        for name in ["vars", "t", "this"] {
            if self.scope.is_property(name)
                && let Some(data) = &self.document.data
            {
                let at = data.place_of(&format!("/properties/{name}"));
                let fault = Fault::new(&at, format!("the name `{name}` belongs to the language"));
                self.faults.push(fault.hint("give the field of the data another name"));
            }
        }
    }

    fn locale_is_data(&mut self) {
        let Some(Written { at, form: Form::Expression { expression, .. } }) = &self.document.locale else {
            return;
        };
        for reference in expression.references() {
            if reference.path.first().is_some_and(|root| !self.scope.is_property(root)) {
                let fault = Fault::new(at, "the language can depend on the viewer's data only");
                self.faults
                    .push(fault.hint("it is needed before `vars`, `strings` and `generate` are filled"));
            }
        }
    }

    fn languages(&mut self) {
        for (name, at, words) in &self.document.strings.entries {
            if words.entries.is_empty() && words.faulty.is_empty() {
                self.faults.push(Fault::new(at, format!("`{name}` has no words in any language")));
            }
            for (tag, at, _) in &words.entries {
                if let Err(message) = crate::expr::Locale::parse(tag) {
                    self.faults.push(Fault::new(at, message));
                }
            }
        }
    }

    fn captions_are_heard(&mut self) {
        let Some(Either::Full(source)) = &self.document.captions else { return };
        let Some(name) = source.from.plain() else { return };
        let heard = self.document.sounds().iter().filter_map(|sound| sound.voice.as_ref());
        let heard = heard.into_iter().any(|voice| voice.plain().is_none_or(|voice| voice == name));
        let known = self.document.generate.get(&name.0).is_some();
        if known && !heard && !self.partial {
            let fault = Fault::new(&source.from.at, format!("the voice `{}` is not heard", name.0));
            self.faults.push(fault.hint("add it under `audio`, so that its captions have a time"));
        }
        let voice = self.document.generate.get(&name.0).and_then(|made| made.voice.as_ref());
        if voice.and_then(|voice| voice.recording.as_ref()).is_some_and(|recording| recording.words.is_none())
        {
            let fault = Fault::new(
                &source.from.at,
                format!("what is said in the recording of `{}` is not known", name.0),
            );
            self.faults.push(fault.hint("give the recording its `words`, with their times"));
        }
    }

    /// Looks at every file that is known before there is a viewer.
    fn assets(&mut self) {
        for (name, at, asset) in &self.document.assets.entries {
            let (kind, _) = asset_kind(asset);
            let first = [&asset.image, &asset.video, &asset.audio].into_iter().flatten().next();
            let first = first.and_then(|written| written.plain().map(|file| (file, &written.at)));
            let font = asset.font.as_ref().map(fixed);
            let fallback = asset.fallback.as_ref().map(fixed);
            for (file_name, place) in [first.or(font), fallback].into_iter().flatten() {
                if let Err((message, found, hint)) = file(self.world, kind, &file_name.0) {
                    let fault = Fault { found, ..Fault::new(place, message).hint(hint) };
                    // With a fallback at hand a missing first file is not fatal.
                    match asset.fallback.as_ref().is_some_and(|fallback| fallback.at != *place) {
                        true => self.warnings.push(fault),
                        false => self.faults.push(fault),
                    }
                }
            }
            if !self.any_name && !self.partial && !self.used.contains(name) {
                self.warnings.push(Fault::new(at, format!("the asset `{name}` is not used")));
            }
        }
        for (_, _, generator) in &self.document.generate.entries {
            let entries =
                generator.voice.as_ref().and_then(|voice| voice.lexicon.as_deref()).unwrap_or_default();
            for entry in entries {
                // What comes from the viewer's data is looked at once they are known.
                if let Some(say) = entry.say.plain()
                    && let Err(reason) = crate::pronunciation::phonemes(&say.0)
                {
                    self.faults.push(Fault::new(&entry.say.at, reason).found(&say.0));
                }
            }
            self.pictures(generator);
            let Some(Fixed { at, value }) = generator.picture_fallback() else { continue };
            if let Err((message, found, hint)) = file(self.world, AssetKind::Image, &value.0) {
                self.faults.push(Fault { found, ..Fault::new(at, message).hint(hint) });
            }
        }
    }
}

impl Checker<'_> {
    /// Fields of pictures go together.
    fn pictures(&mut self, generator: &Generator) {
        if let Some(PhotoGenerator { style: Some(style), like: Some(_), .. }) = &generator.photo {
            let fault = Fault::new(&style.at, "`style` and `like` cannot stand together");
            self.faults.push(fault.hint("keep one of `style`, `like`"));
        }
        let Some(image) = &generator.image else { return };
        if let (None, Some(mask)) = (&image.from, &image.mask) {
            let fault =
                Fault::new(&mask.at, "`mask` says which part of a picture is changed, and there is none");
            self.faults.push(fault.hint("name the picture with `from`, or take `mask` out"));
        }
        if let (Some(_), Some(style)) = (&image.from, &image.style) {
            let fault =
                Fault::new(&style.at, "`style` is that of a picture that is drawn, and `from` is changed");
            self.faults.push(fault.hint("say in the `prompt` what it is to look like, or take `from` out"));
        }
    }
}

/// What is said where a picture that is worked on is itself generated.
const OF_AN_ASSET: &str = "a photo, or a picture that is changed, is an asset: name an entry of `assets`";

/// What is said where a video would be worked on as a picture is.
const STILL_ONLY: &str = "styles, the other operations on photos, and changes by a service are for pictures, not for video: name an \
                          `image` asset, such as a still of it, or show it as it is by a layer with `video`";

fn fixed(written: &Fixed<FileName>) -> (&FileName, &At) {
    (&written.value, &written.at)
}
