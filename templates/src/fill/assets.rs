//! Names of pictures, videos, sounds and fonts become bytes.

use super::scope::Filler;
use crate::blob::{Blob, Digest};
use crate::check::{asset_kind, file, name_of};
use crate::fault::{At, Fault};
use crate::generate::{GeneratedValue, Voice};
use crate::template::document::Asset as WrittenAsset;
use crate::template::generate::Generator;
use crate::template::scalar::{FileName, NameKind};
use crate::template::written::{Fixed, Written};
use crate::video::{Asset, AssetKind, FontSource};

impl<'a> Filler<'a> {
    /// The file that `name` stands for as a `kind` of thing; `None` after a fault.
    pub(super) fn asset(&mut self, at: &At, kind: NameKind, name: &str) -> Option<Digest> {
        let what = match kind {
            NameKind::Image => "image",
            NameKind::Video => "video",
            _ => "sound",
        };
        let known = (name.to_owned(), what);
        let found = match self.resolved.get(&known) {
            Some(found) => *found,
            None => {
                let outer = std::mem::take(&mut self.personal);
                let digest = self.look_up(at, kind, name);
                let personal = std::mem::replace(&mut self.personal, outer);
                let found = digest.map(|digest| (digest, personal));
                self.resolved.insert(known, found);
                found
            }
        };
        let (digest, personal) = found?;
        self.personal |= personal;
        Some(digest)
    }

    fn look_up(&mut self, at: &At, kind: NameKind, name: &str) -> Option<Digest> {
        if let Err((message, hint)) = name_of(self.template.document(), self.world, kind, name) {
            self.faults.push(Fault::new(at, message).hint_if(hint));
            return None;
        }
        if let Some(asset) = self.template.document().assets.get(name) {
            let (kind, _) = asset_kind(asset);
            let blob = self.file_of(asset)?;
            return Some(self.keep(format!("assets.{name}"), kind, blob));
        }
        self.personal = true;
        let generated = self.generated;
        if let Some(GeneratedValue::Image(blob)) = generated.get(name).map(|made| &made.value) {
            return Some(self.keep(format!("generate.{name}"), AssetKind::Image, blob.clone()));
        }
        // What was not generated has been said already; only its fallback is looked for here.
        let generator = self.template.document().generate.get(name)?;
        let fallback = self.picture_fallback(generator)?;
        let blob = self.read(&fallback.at, AssetKind::Image, &fallback.value.0)?;
        Some(self.keep(format!("generate.{name}"), AssetKind::Image, blob))
    }

    /// The file that is shown when the picture that `generator` makes does not come: a photo may have that of its asset.
    pub(super) fn picture_fallback(&mut self, generator: &'a Generator) -> Option<&'a Fixed<FileName>> {
        if let Some(own) = generator.picture_fallback() {
            return Some(own);
        }
        let from = match (&generator.image, &generator.photo) {
            (Some(image), _) => image.from.as_ref()?,
            (None, photo) => &photo.as_ref()?.from,
        };
        let from = self.get(from)?.0;
        self.template.document().assets.get(&from)?.fallback.as_ref()
    }

    /// The file of the asset that a photo or an edited picture is taken from. `None` after a fault; and without one where the file cannot be used but
    /// the asset has a fallback or the photo has (`may_fall_back`): that is shown as it is.
    pub(super) fn photo_file(&mut self, at: &At, name: &str, may_fall_back: bool) -> Option<Blob> {
        let document = self.template.document();
        let asset = match name_of(document, self.world, NameKind::Picture, name) {
            Ok(()) => document.assets.get(name),
            Err((message, hint)) => {
                self.faults.push(Fault::new(at, message).hint_if(hint));
                return None;
            }
        };
        let asset = asset?;
        let written = asset.image.as_ref()?;
        match self.first_file(AssetKind::Image, written)? {
            Ok(blob) => Some(blob),
            Err(fault) => {
                if asset.fallback.is_none() && !may_fall_back {
                    self.faults.push(fault);
                }
                None
            }
        }
    }

    /// The file that an asset names first, or why it cannot be used; `None` after a fault in its name.
    fn first_file(&mut self, kind: AssetKind, written: &Written<FileName>) -> Option<Result<Blob, Fault>> {
        let name = self.get(written)?.0;
        let (message, found, hint) = match name.is_empty() {
            true => (
                "no file is named".to_owned(),
                None,
                "give the data a value, or the asset a `fallback`".to_owned(),
            ),
            false => match file(self.world, kind, &name) {
                Ok(blob) => return Some(Ok(blob)),
                Err(refusal) => refusal,
            },
        };
        Some(Err(Fault { found, ..Fault::new(&written.at, message).hint(hint) }))
    }

    /// The file of an asset, or its fallback with a warning.
    fn file_of(&mut self, asset: &'a WrittenAsset) -> Option<Blob> {
        let (kind, _) = asset_kind(asset);
        let Some(written) = [&asset.image, &asset.video, &asset.audio].into_iter().flatten().next() else {
            let font = asset.font.as_ref()?;
            return self.read(&font.at, kind, &font.value.0);
        };
        let fault = match self.first_file(kind, written)? {
            Ok(blob) => return Some(blob),
            Err(fault) => fault,
        };
        match &asset.fallback {
            Some(fallback) => {
                // The message would show a value of the viewer's data, and warnings may be kept.
                let plain = written.plain().is_some();
                let reason =
                    if plain { fault.message } else { "the file that the data names cannot be used".into() };
                self.warnings.push(Fault::new(&written.at, format!("the fallback is shown: {reason}")));
                self.read(&fallback.at, kind, &fallback.value.0)
            }
            None => {
                self.faults.push(fault);
                None
            }
        }
    }

    fn read(&mut self, at: &At, kind: AssetKind, name: &str) -> Option<Blob> {
        match file(self.world, kind, name) {
            Ok(blob) => Some(blob),
            Err((message, found, hint)) => {
                self.faults.push(Fault { found, ..Fault::new(at, message).hint(hint) });
                None
            }
        }
    }

    fn keep(&mut self, name: String, kind: AssetKind, blob: Blob) -> Digest {
        let digest = blob.digest();
        self.assets.entry(digest).or_insert(Asset { name, kind, blob });
        digest
    }

    /// The voice called `name`; `None` after a fault.
    pub(super) fn voice(&mut self, at: &At, name: &str) -> Option<&'a Voice> {
        self.personal = true;
        if let Err((message, hint)) = name_of(self.template.document(), self.world, NameKind::Voice, name) {
            self.faults.push(Fault::new(at, message).hint_if(hint));
            return None;
        }
        // A voice that was not generated is a fault where it is declared.
        let generated = self.generated;
        match &generated.get(name)?.value {
            GeneratedValue::Voice(voice) => Some(voice),
            _ => None,
        }
    }

    /// The sound of the voice called `name`.
    pub(super) fn voice_file(&mut self, at: &At, name: &str) -> Option<(Digest, &'a Voice)> {
        let voice = self.voice(at, name)?;
        let digest = self.keep(format!("generate.{name}"), AssetKind::Audio, voice.audio.clone());
        Some((digest, voice))
    }

    /// The font called `name`: an asset, or a family of the engine's library.
    pub(super) fn font(
        &mut self,
        written: &Written<crate::template::scalar::FontName>,
    ) -> Option<FontSource> {
        let name = self.get(written)?.0;
        if let Err((message, hint)) = name_of(self.template.document(), self.world, NameKind::Font, &name) {
            self.faults.push(Fault::new(&written.at, message).hint_if(hint));
            return None;
        }
        match self.template.document().assets.get(&name) {
            Some(asset) if asset.font.is_some() => {
                let blob = self.file_of(asset)?;
                Some(FontSource::Asset(self.keep(format!("assets.{name}"), AssetKind::Font, blob)))
            }
            _ => Some(FontSource::Family(name)),
        }
    }
}
