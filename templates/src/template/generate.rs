//! What a template asks to be generated.

use super::document::{Asset, Document};
use super::read::{Either, Named};
use super::record::record;
use super::scalar::{
    Characters, FileName, Flag, Fraction, Frequency, Label, Paintable, Pause, PictureName, Pixels, SoundName,
    Speed, Text,
};
use super::written::{Fixed, Written};
use crate::generate::{Crop, Enlarge};

record! {
    /// Something that is generated for each viewer.
    pub struct Generator called "something to generate", exactly one of [text, voice, image, photo] {
        /// A line of copy, used as `{{name}}`.
        pub text: Option<TextGenerator>,
        /// Speech; `{{name.duration}}` is its length in seconds.
        pub voice: Option<VoiceGenerator>,
        /// A picture, used like an asset.
        pub image: Option<ImageGenerator>,
        /// A photo of the viewer's own, prepared to be shown; used like an asset.
        pub photo: Option<PhotoGenerator>,
    }
}

impl Generator {
    /// Whether it is used like an image asset.
    pub(crate) fn is_picture(&self) -> bool {
        self.image.is_some() || self.photo.is_some()
    }

    /// The assets that it works on, as far as they are known without a viewer; all of them where it depends on one.
    pub(crate) fn assets<'d>(&self, document: &'d Document) -> Vec<&'d Asset> {
        let names = self.pictures();
        let names = names.into_iter().map(|name| name.plain());
        match names.collect::<Option<Vec<_>>>() {
            Some(names) => names.iter().filter_map(|name| document.assets.get(&name.0)).collect(),
            None => document.assets.entries.iter().map(|(_, _, asset)| asset).collect(),
        }
    }

    /// The names of the pictures that it works on.
    pub(crate) fn pictures(&self) -> Vec<&Written<PictureName>> {
        let names = match (&self.image, &self.photo) {
            (Some(image), _) => [image.from.as_ref(), image.mask.as_ref()],
            (None, Some(photo)) => [Some(&photo.from), photo.like.as_ref()],
            (None, None) => [None, None],
        };
        names.into_iter().flatten().collect()
    }

    /// The file that is shown when no picture comes back.
    pub(crate) fn picture_fallback(&self) -> Option<&Fixed<FileName>> {
        match (&self.image, &self.photo) {
            (Some(image), _) => image.fallback.as_ref(),
            (None, Some(photo)) => photo.fallback.as_ref(),
            (None, None) => None,
        }
    }
}

record! {
    /// A line of copy.
    pub struct TextGenerator called "a text to generate" {
        /// What to write, for providers that follow instructions.
        pub prompt: Option<Written<Text>>,
        /// What the copy must say: names, numbers, prices. Copy that lacks one, or holds a number that neither these nor the
        /// prompt hold, is not used. Default: none.
        pub facts: Option<Vec<Written<Text>>>,
        /// Phrases for the offline provider, by rule: writing begins at `start`, and `[rule]` expands another rule.
        pub grammar: Named<Vec<Either<Written<Text>, Phrase>>>,
        /// What words in phrases agree with: name to value, used as `[name: one=… | other=…]`.
        pub agree: Named<Written<Text>>,
        /// The longest text that fits, in characters. Default: 120.
        pub max_chars: Option<Fixed<Characters>>,
        /// What is shown when no usable text comes back.
        pub fallback: Option<Written<Text>>,
        /// Decides every random choice. Default: everything that is asked for.
        pub seed: Option<Written<Text>>,
        /// Whether fields marked `x-pii` may be sent to a provider outside this machine. Default: false.
        pub send_personal: Option<Fixed<Flag>>,
    }
}

record! {
    /// A phrase that is chosen more or less often than others.
    pub struct Phrase called "a phrase" {
        /// The words, with `[rule]` where another rule expands.
        pub say: Written<Text>,
        /// How often it is chosen relative to its siblings. Default: 1.
        pub weight: Option<Written<Frequency>>,
        /// The language that it is in: a rule then takes the phrases in the viewer's language only. Default: any.
        pub locale: Option<Fixed<Label>>,
    }
}

record! {
    /// Speech.
    pub struct VoiceGenerator called "a voice to generate", exactly one of [say, recording] {
        /// The words to speak.
        pub say: Option<Written<Text>>,
        /// A narration recorded by a person, whose holes are spoken for each viewer.
        pub recording: Option<Recording>,
        /// The provider's voice. Default: its own for the language.
        pub voice: Option<Written<Label>>,
        /// Speed relative to the voice's own, 0.5 to 2. Default: 1.
        pub speed: Option<Written<Speed>>,
        /// How words are said that a voice may not know.
        pub lexicon: Option<Vec<SaidAs>>,
        /// Decides every random choice. Default: everything that is asked for.
        pub seed: Option<Written<Text>>,
        /// Whether fields marked `x-pii` may be sent to a provider outside this machine. Default: false.
        pub send_personal: Option<Fixed<Flag>>,
    }
}

record! {
    /// A narration recorded by a person, whose holes are spoken for each viewer.
    pub struct Recording called "a recording with holes" {
        /// The audio asset: a WAV file of PCM.
        pub asset: Written<SoundName>,
        /// What is cut out of it and spoken instead, in order of time.
        pub holes: Vec<Hole>,
        /// What the person says outside the holes, in order of time: for captions and the pace of what is spoken. Default: not known.
        pub words: Option<Vec<Recorded>>,
    }
}

record! {
    /// A stretch of a recording that is spoken anew.
    pub struct Hole called "a hole in a recording" {
        /// Where it begins in the recording.
        pub from: Written<Pause>,
        /// Where the recording goes on.
        pub to: Written<Pause>,
        /// The words to speak there. Nothing closes the hole.
        pub say: Written<Text>,
        /// Whether the hole is closed when nobody can speak it; else the voice cannot be made. Default: false.
        pub optional: Option<Fixed<Flag>>,
    }
}

record! {
    /// A word or a phrase in a recording.
    pub struct Recorded called "words of a recording" {
        /// What is said.
        pub text: Written<Text>,
        /// When it begins in the recording.
        pub from: Written<Pause>,
        /// When it ends.
        pub to: Written<Pause>,
    }
}

record! {
    /// How a word is said. An entry with an empty field counts for nothing.
    pub struct SaidAs called "how a word is said" {
        /// The word as the text has it, in any case; several words are matched one by one.
        pub word: Written<Text>,
        /// A respelling, `shi-VAWN`, or phonemes, `/ʃɪˈvɔːn/`; as many words as `word` has.
        pub say: Written<Text>,
    }
}

record! {
    /// A picture.
    pub struct ImageGenerator called "an image to generate" {
        /// What it shows; with `from`, what is changed.
        pub prompt: Written<Text>,
        /// An image asset that is changed as the prompt says, such as a photo of the viewer's own: a PNG, JPEG or WebP file. What does not
        /// fit the shape of `width` and `height` is cut off evenly. Default: a new picture is drawn.
        pub from: Option<Written<PictureName>>,
        /// An image asset of the shape of `from` that is clear where it may be changed. Default: all of it may.
        pub mask: Option<Written<PictureName>>,
        /// The procedural style of the offline provider, e.g. `waves`. Default: chosen by the prompt.
        pub style: Option<Written<Label>>,
        /// The colours to use. Default: the provider's choice.
        pub palette: Option<Vec<Written<Paintable>>>,
        /// Width in pixels. Default: 960.
        pub width: Option<Written<Pixels>>,
        /// Height in pixels. Default: 540.
        pub height: Option<Written<Pixels>>,
        /// Decides every random choice. Default: everything that is asked for.
        pub seed: Option<Written<Text>>,
        /// Whether fields marked `x-pii` may be sent to a provider outside this machine. Default: false.
        pub send_personal: Option<Fixed<Flag>>,
        /// The file that is shown when no picture comes back. Default: with `from` that picture as it is.
        pub fallback: Option<Fixed<FileName>>,
    }
}

record! {
    /// A photo of the viewer's own, prepared to be shown. It is worked on where the video is made and sent nowhere.
    pub struct PhotoGenerator called "a photo to prepare" {
        /// The image asset that is the photo: a PNG, JPEG or WebP file. It is turned upright as its EXIF data say.
        pub from: Written<PictureName>,
        /// Width in pixels; with `crop: none` the most that it may be.
        pub width: Written<Pixels>,
        /// Height in pixels; with `crop: none` the most that it may be.
        pub height: Written<Pixels>,
        /// The part that is shown: `face`, around the faces; `centre`, the middle; `none`, all of it in its own shape. Default: face.
        pub crop: Option<Written<Crop>>,
        /// Whether the background is made transparent. Default: false.
        pub cut_out: Option<Written<Flag>>,
        /// What is done when the photo has too few pixels: `auto`, a model draws it larger; `off`, it is only resampled. Default: auto.
        pub enlarge: Option<Written<Enlarge>>,
        /// Whether noise is taken out. Default: false.
        pub denoise: Option<Written<Flag>>,
        /// The style it is painted in, e.g. `pastel`. Default: none.
        pub style: Option<Written<Label>>,
        /// An image asset whose style it is painted in; instead of `style`. Default: none.
        pub like: Option<Written<PictureName>>,
        /// How much of the style is seen, 0 to 1. Default: 1.
        pub strength: Option<Written<Fraction>>,
        /// The score of unsafe content, 0 to 1, from which on the photo is not shown. Default: it is not judged.
        pub refuse: Option<Fixed<Fraction>>,
        /// The file that is shown when the photo cannot be. Default: the fallback of the asset.
        pub fallback: Option<Fixed<FileName>>,
    }
}
