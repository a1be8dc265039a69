//! Answers requests: cache, providers in order, deadlines, fallbacks.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use serde::Serialize;
use vignette_templates::blob::{Blob, Digest};
use vignette_templates::generate::{
    Cost, Crop, Edit, Enlarge, Generated, GeneratedValue, ImageRequest, PhotoRequest, Piece, Provenance,
    Request, RequestKind, Source, TextRequest, VoiceRequest,
};

use crate::cache::{Cache, Made};
use crate::copy::{Approved, CopyFile};
use crate::error::GenerateError;
use crate::gate::{Gate, Ledger, Usage};
use crate::guard::{self, Others, WordLists};
use crate::image::Procedural;
use crate::kept::{self, Keep};
use crate::photo::Photos;
use crate::provider::{Answer, Context, ImageProvider, Kind, ModelFile, TextProvider, VoiceProvider};
use crate::remote::{injection, plain, preview};
use crate::text::Grammar;
use crate::voice::{EspeakNg, Flite, Hibari, Kokoro, check_speech};

/// Changes whenever the same request may give another result, so that no key names two things.
const KEY_VERSION: u32 = 4;

/// How long a provider that was told the deadline may overrun it before it is left behind.
const GRACE: Duration = Duration::from_millis(250);

/// How long an answer that could not be used is not asked for again: as good as any batch takes, and no longer than a server's
/// operator would wait.
const REFUSED_FOR: Duration = Duration::from_secs(3600);

/// Answers that could not be used are remembered, at most so many.
const MOST_REFUSED: usize = 1 << 16;

/// Calls that overran may still hold a thread each; beyond this many the engine stops starting more.
const MAX_ABANDONED: isize = 32;

/// The bounds an [`Engine`] works within.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long one request may take, all its providers together. A provider that is not the last gets at
    /// most half of what is left, so that the next one still has time. Default: 15 s.
    pub deadline: Duration,
    /// How many requests of one batch are served at the same time, at least 1. Default: one for each core.
    pub threads: usize,
    /// How many bytes of results are remembered. Default: 64 MiB.
    pub cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            deadline: Duration::from_secs(15),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            cache_bytes: 64 << 20,
        }
    }
}

/// Who makes what, and by which lists it is judged: what of an engine decides its results, besides models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The providers for copy with their models, in the order of use; `None` when it is switched off.
    pub text: Option<Vec<String>>,
    /// The providers for speech, whose voices the requests choose.
    pub voice: Option<Vec<String>>,
    /// The providers for pictures with their models.
    pub image: Option<Vec<String>>,
    /// The digest of what the guard goes by: its lists of words, and the bound for pictures.
    pub words: Digest,
    /// The digest of the file of approved copy, when only such copy is shown.
    pub approved: Option<Digest>,
}

/// What a provider would be told for one request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Told {
    /// The provider.
    pub provider: String,
    /// Its model or voice.
    pub model: String,
    /// Whether it is outside the house.
    pub remote: bool,
    /// The words it is told, values of the viewer's data between `⟦` and `⟧`.
    pub words: String,
    /// What its copy has to say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<String>,
    /// JSON pointers to the personal fields in what it is told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub personal: Vec<String>,
    /// Why it is not told after all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withheld: Option<String>,
}

/// Generates what templates ask for. One engine serves many threads; keep it, for its memory.
///
/// Results are remembered under the BLAKE3 digest of the whole request, the locale, the seed (where a provider
/// uses it) and the providers' names and models, and which of them may not be told; the request's name is not part of it.
pub struct Engine {
    /// `None` is switched off.
    text: Option<Vec<Arc<dyn TextProvider>>>,
    voice: Option<Vec<Arc<dyn VoiceProvider>>>,
    image: Option<Vec<Arc<dyn ImageProvider>>>,
    photo: Option<Arc<Photos>>,
    options: Options,
    cache: Cache,
    keep: Option<Arc<dyn Keep>>,
    lists: WordLists,
    /// The score of unsafe content from which on a service's picture is not shown.
    refuse: f32,
    /// How an audience's words are said, by the word in small letters.
    lexicon: BTreeMap<String, String>,
    /// The only copy that is shown, when a person has chosen it.
    approved: Option<Approved>,
    /// What viewers are known by, so that none is shown to another.
    others: Others,
    /// Answers that could not be used, by what was asked of whom: the same would be paid for again.
    refused: Mutex<HashMap<(Digest, String), (Instant, GenerateError)>>,
    abandoned: Arc<AtomicIsize>,
}

impl Default for Engine {
    fn default() -> Self {
        Engine::offline()
    }
}

impl Engine {
    /// An engine without any provider: everything is switched off until given.
    pub fn new(options: Options) -> Self {
        let cache = Cache::new(options.cache_bytes);
        Engine {
            text: None,
            voice: None,
            image: None,
            photo: None,
            options,
            cache,
            keep: None,
            lists: WordLists::default(),
            refuse: decency::REFUSE,
            lexicon: BTreeMap::new(),
            approved: None,
            others: Others::default(),
            refused: Mutex::default(),
            abandoned: Arc::default(),
        }
    }

    /// The engine that needs neither account nor network: phrase grammars, `kokoro` where its voice is named, `hibari` where its
    /// model is installed, else `flite` and then `espeak-ng`, procedural art.
    pub fn offline() -> Self {
        Engine::offline_with(Options::default())
    }

    /// [`Engine::offline`] within other bounds.
    pub fn offline_with(options: Options) -> Self {
        Engine::new(options)
            .with_text(vec![Arc::new(Grammar)])
            .with_voice(vec![
                Arc::new(Kokoro::default().when_named()),
                Arc::new(Hibari::default()),
                Arc::new(Flite::default()),
                Arc::new(EspeakNg::default()),
            ])
            .with_image(vec![Arc::new(Procedural)])
            .with_photo(Photos::default())
    }

    /// Uses these providers for copy, first to last.
    pub fn with_text(mut self, providers: Vec<Arc<dyn TextProvider>>) -> Self {
        self.text = Some(providers);
        self
    }

    /// Uses these providers for speech, first to last.
    pub fn with_voice(mut self, providers: Vec<Arc<dyn VoiceProvider>>) -> Self {
        self.voice = Some(providers);
        self
    }

    /// Uses these providers for pictures, first to last.
    pub fn with_image(mut self, providers: Vec<Arc<dyn ImageProvider>>) -> Self {
        self.image = Some(providers);
        self
    }

    /// Prepares photos with this one.
    pub fn with_photo(mut self, photos: Photos) -> Self {
        self.photo = Some(Arc::new(photos));
        self
    }

    /// Keeps results in `keep` as well, for other processes and later ones.
    pub fn with_keep(mut self, keep: Arc<dyn Keep>) -> Self {
        self.keep = Some(keep);
        self
    }

    /// Judges generated copy by these words besides the built-in ones.
    pub fn with_words(mut self, lists: WordLists) -> Self {
        self.lists = lists;
        self
    }

    /// Says words as `lexicon` has them, by the word in any case, where a template does not say otherwise; each entry is one that
    /// [`phonemes`](vignette_templates::pronunciation::phonemes) reads.
    pub fn with_lexicon(mut self, lexicon: impl IntoIterator<Item = (String, String)>) -> Self {
        self.lexicon = lexicon.into_iter().map(|(word, say)| (word.to_lowercase(), say)).collect();
        self
    }

    /// The request with what the audience's lexicon has for its words. What the lexicon has for others changes nothing, not even
    /// the request's name.
    fn with_sounds<'a>(&self, voice: &'a VoiceRequest) -> Cow<'a, VoiceRequest> {
        if self.lexicon.is_empty() {
            return Cow::Borrowed(voice);
        }
        let recorded = voice.recording.iter().flat_map(|recording| &recording.words);
        let said = recorded.map(|word| word.text.as_str()).chain([voice.say.as_str()]);
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '\'' | '’' | '-');
        let whole: Vec<String> =
            said.flat_map(|text| text.split(|c| !is_part(c))).map(str::to_lowercase).collect();
        // "Siobhán's" and "Siobhán-Marie" are words of hers as well.
        let parts = whole.iter().flat_map(|word| word.split(|c: char| !c.is_alphanumeric()));
        let own: BTreeSet<String> = voice.lexicon.keys().map(|word| word.to_lowercase()).collect();
        let mut voice = Cow::Borrowed(voice);
        for word in whole.iter().map(String::as_str).chain(parts) {
            if let Some(say) = self.lexicon.get(word)
                && !own.contains(word)
            {
                voice.to_mut().lexicon.insert(word.to_owned(), say.clone());
            }
        }
        voice
    }

    /// Shows only copy that is approved in `file`; what has none gets its declared fallback.
    pub fn with_approved(mut self, file: CopyFile) -> Self {
        self.approved = Some(Approved::new(file));
        self
    }

    /// Switches a kind off: its requests get their declared fallback, or an error that says so.
    pub fn without(mut self, kind: Kind) -> Self {
        match kind {
            Kind::Text => self.text = None,
            Kind::Voice => self.voice = None,
            Kind::Image => self.image = None,
            Kind::Photo => self.photo = None,
        }
        self
    }

    /// The providers for copy, in the order of use; none when it is switched off.
    pub(crate) fn text_providers(&self) -> &[Arc<dyn TextProvider>] {
        self.text.as_deref().unwrap_or_default()
    }

    /// The providers for speech.
    pub(crate) fn voice_providers(&self) -> &[Arc<dyn VoiceProvider>] {
        self.voice.as_deref().unwrap_or_default()
    }

    /// The providers for pictures.
    pub(crate) fn image_providers(&self) -> &[Arc<dyn ImageProvider>] {
        self.image.as_deref().unwrap_or_default()
    }

    /// Counts what an earlier process took of the budget of the provider of this name.
    pub fn book(&self, provider: &str, spent: Cost) {
        self.gates().filter(|gate| gate.usage().provider == provider).for_each(|gate| gate.book(spent));
    }

    /// Tells `ledger` from now on what providers take of their budgets, or nobody.
    pub fn tell_spending(&self, ledger: Option<Ledger>) {
        self.gates().for_each(|gate| gate.tell(ledger.clone()));
    }

    /// Has paid providers not asked any more, and nobody wait for them; or has them asked again.
    pub fn halt(&self, halted: bool) {
        self.gates().for_each(|gate| gate.halt(halted));
    }

    fn gates(&self) -> impl Iterator<Item = &Gate> {
        let text = self.text_providers().iter().filter_map(|provider| provider.gate());
        let voice = self.voice_providers().iter().filter_map(|provider| provider.gate());
        let image = self.image_providers().iter().filter_map(|provider| provider.gate());
        text.chain(voice).chain(image)
    }

    /// How many requests its paid providers take at a time, all together.
    pub fn concurrent(&self) -> usize {
        self.gates().map(Gate::concurrent).sum()
    }

    /// What each provider that keeps count was asked so far, each once, by kind in the order of use.
    pub fn usage(&self) -> Vec<(Kind, Usage)> {
        let text = self.text.iter().flatten().filter_map(|provider| provider.usage());
        let voice = self.voice.iter().flatten().filter_map(|provider| provider.usage());
        let image = self.image.iter().flatten().filter_map(|provider| provider.usage());
        let kinds = [Kind::Text, Kind::Voice, Kind::Image];
        let all: [Vec<Usage>; 3] = [text.collect(), voice.collect(), image.collect()];
        kinds
            .into_iter()
            .zip(all)
            .flat_map(|(kind, list)| list.into_iter().map(move |usage| (kind, usage)))
            .collect()
    }

    /// Who makes what, and by which lists it is judged.
    pub fn setup(&self) -> Setup {
        let named = |name: &str, model: String| format!("{name}: {model}");
        let (text, voice, image) = (self.text.as_ref(), self.voice.as_ref(), self.image.as_ref());
        Setup {
            text: text.map(|list| list.iter().map(|p| named(p.name(), p.model())).collect()),
            voice: voice.map(|list| list.iter().map(|p| p.name().to_owned()).collect()),
            image: image.map(|list| list.iter().map(|p| named(p.name(), p.model())).collect()),
            words: Engine::guarded_by(&self.lists, self.refuse),
            approved: self.approved.as_ref().map(Approved::digest),
        }
    }

    /// The files that the provider of this name computes with, as far as they are here.
    pub fn files_of(&self, provider: &str) -> Vec<ModelFile> {
        let text = self.text_providers().iter().find(|p| p.name() == provider).map(|p| p.files());
        let voice = || self.voice_providers().iter().find(|p| p.name() == provider).map(|p| p.files());
        let image = || self.image_providers().iter().find(|p| p.name() == provider).map(|p| p.files());
        text.or_else(voice).or_else(image).unwrap_or_default()
    }

    /// What each provider would be told for `request`, in the order in which they are tried; nothing is asked.
    pub fn explain(&self, request: &Request) -> Vec<Told> {
        let (words, pieces, facts): (String, &[Piece], &[String]) = match &request.kind {
            RequestKind::Image(image) if image.edit.is_some() => {
                let (width, height) = (image.width, image.height);
                let prompt = plain(&image.prompt, &image.pieces);
                (format!("the picture itself, {width} x {height} pixels, and: {prompt}"), &image.pieces, &[])
            }
            RequestKind::Text(text) => (preview(&text.prompt, &text.pieces), &text.pieces, &text.facts),
            RequestKind::Voice(voice) => (guard::clean_data(&recorded::told(voice)), &[], &[]),
            RequestKind::Image(image) => (plain(&image.prompt, &image.pieces), &image.pieces, &[]),
            RequestKind::Photo(_) => ("the photo itself, which stays on this machine".to_owned(), &[], &[]),
        };
        let told = |provider: &str, model: String, remote: bool, follows: bool| Told {
            provider: provider.to_owned(),
            model,
            remote,
            words: words.clone(),
            facts: facts.to_vec(),
            personal: request.viewer.fields.clone(),
            withheld: withheld(remote, follows, request, pieces, facts),
        };
        match &request.kind {
            RequestKind::Text(_) => {
                let text = self.text.iter().flatten();
                text.map(|p| told(p.name(), p.model(), p.remote(), p.synthetic())).collect()
            }
            RequestKind::Voice(voice) => {
                let voices = self.voice.iter().flatten();
                voices.map(|p| told(p.name(), p.model(voice, &request.locale), p.remote(), false)).collect()
            }
            RequestKind::Image(image) => {
                let providers = for_image(self.image_providers(), image);
                providers.iter().map(|p| told(p.name(), p.model(), p.remote(), false)).collect()
            }
            RequestKind::Photo(photo) => {
                self.photo.iter().map(|p| told(p.name(), p.model(photo), false, false)).collect()
            }
        }
    }

    /// Bytes of all results that are remembered, at most [`Options::cache_bytes`].
    pub fn cached_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// The result of each request, in the order of the requests, made on at most [`Options::threads`] threads.
    ///
    /// Copy whose providers all fail is its declared fallback, with the reason in its provenance. Speech and
    /// pictures without a result are errors; what stands in for them is the template's to say.
    pub fn generate(&self, requests: &[Request]) -> Vec<Result<Generated, GenerateError>> {
        self.generate_watched(requests, &|_| ())
    }

    /// [`Engine::generate`], which tells `watch` after each result how many there are.
    pub fn generate_watched(
        &self,
        requests: &[Request],
        watch: &(dyn Fn(usize) + Sync),
    ) -> Vec<Result<Generated, GenerateError>> {
        // All of them before the first answer is judged.
        for request in requests {
            self.others.note(&request.viewer.values);
        }
        let done = AtomicUsize::new(0);
        let one = |request: &Request| {
            let result = self.generate_one(request);
            watch(done.fetch_add(1, Ordering::Relaxed) + 1);
            result
        };
        let threads = self.options.threads.clamp(1, requests.len().max(1));
        if threads == 1 {
            return requests.iter().map(one).collect();
        }
        let next = AtomicUsize::new(0);
        let (sender, receiver) = mpsc::channel();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let (next, one, sender) = (&next, &one, sender.clone());
                scope.spawn(move || {
                    while let Some((index, request)) =
                        Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|i| Some((i, requests.get(i)?)))
                    {
                        // The receiver lives until the scope ends, so that sending cannot fail.
                        let _ = sender.send((index, one(request)));
                    }
                });
            }
        });
        drop(sender);
        let mut results: Vec<_> = receiver.into_iter().collect();
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// The result of one request; see [`Engine::generate`].
    ///
    /// # Errors
    /// [`GenerateError::Off`] when its kind is switched off, [`GenerateError::AllFailed`] when no provider gave a
    /// usable result; neither for copy that declares a fallback.
    pub fn generate_one(&self, request: &Request) -> Result<Generated, GenerateError> {
        self.others.note(&request.viewer.values);
        let result = match &request.kind {
            RequestKind::Text(text) => self.text(request, text),
            RequestKind::Voice(voice) => self.voice(request, &self.with_sounds(voice)),
            RequestKind::Image(image) => self.image(request, image),
            RequestKind::Photo(photo) => self.photo(request, photo),
        };
        // An error may come from another caller's flight, under that caller's name.
        result.map_err(|error| match error {
            GenerateError::AllFailed { kind, reasons, .. } => {
                GenerateError::AllFailed { name: request.name.clone(), kind, reasons }
            }
            error => error,
        })
    }

    fn text(&self, request: &Request, text: &TextRequest) -> Result<Generated, GenerateError> {
        let made = match (&self.approved, &self.text) {
            (Some(approved), _) => approved.answer(request, text),
            (None, None) => Err(GenerateError::Off { name: request.name.clone(), kind: Kind::Text }),
            (None, Some(providers)) => {
                let key = text_key(request, providers);
                let review = |kept| self.is_still_right(request, text, &kept).then_some(kept);
                self.remembered(key, &review, || {
                    self.first(key, request, Kind::Text, providers, |provider, context| {
                        let name = provider.name();
                        let (remote, follows) = (provider.remote(), provider.synthetic());
                        self.may_ask(name, remote, follows, request, &text.pieces, &text.facts)?;
                        let (call, wanted) = (Arc::clone(provider), text.clone());
                        let answer =
                            self.call(name, &context, move |context| call.answer(&wanted, context))?;
                        let judged = match provider.synthetic() {
                            true => {
                                let (lists, others) = (&self.lists, &self.others);
                                guard::judge(&answer.value, &guard::Measure { request, text, lists, others })
                            }
                            false => guard::check_text(
                                answer.value.first().map_or("", String::as_str),
                                text.max_chars,
                            ),
                        };
                        let words = judged.map_err(|reason| GenerateError::Rejected {
                            provider: name.to_owned(),
                            reason,
                        })?;
                        let made = made_by(name, provider.model(), provider.synthetic(), request, &answer);
                        Ok(Generated { value: GeneratedValue::Text(words), provenance: made })
                    })
                })
            }
        };
        match (made, &text.fallback) {
            (Err(error), Some(fallback)) => Ok(Generated {
                value: GeneratedValue::Text(guard::clean(fallback)),
                provenance: Provenance {
                    provider: "fallback".to_owned(),
                    fallback: Some(error.to_string()),
                    ..Provenance::default()
                },
            }),
            (made, _) => made,
        }
    }

    fn voice(&self, request: &Request, voice: &VoiceRequest) -> Result<Generated, GenerateError> {
        if let Some(recording) = &voice.recording {
            return self.recorded(request, voice, recording);
        }
        let Some(providers) = &self.voice else {
            return Err(GenerateError::Off { name: request.name.clone(), kind: Kind::Voice });
        };
        let key = voice_key(request, voice, providers);
        self.remembered(key, &Some, || {
            self.first(key, request, Kind::Voice, providers, |provider, context| {
                let name = provider.name();
                // What is spoken is spoken as it is: there is nothing in it to be followed.
                self.may_ask(name, provider.remote(), false, request, &[], &[])?;
                let (call, wanted) = (Arc::clone(provider), voice.clone());
                let answer = self.call(name, &context, move |context| call.answer(&wanted, context))?;
                check_speech(&answer.value, voice)
                    .map_err(|reason| GenerateError::Rejected { provider: name.to_owned(), reason })?;
                let model = provider.model(voice, &request.locale);
                let mut made = made_by(name, model, true, request, &answer);
                made.seed = made.seed.filter(|_| provider.uses_seed());
                Ok(Generated { value: GeneratedValue::Voice(answer.value), provenance: made })
            })
        })
    }

    fn image(&self, request: &Request, image: &ImageRequest) -> Result<Generated, GenerateError> {
        let made = match &self.image {
            None => Err(GenerateError::Off { name: request.name.clone(), kind: Kind::Image }),
            Some(all) => {
                let providers = for_image(all, image);
                let key = image_key(request, &providers, &self.photos());
                let review = |kept| self.judged_again(kept, &providers);
                let make = || {
                    match &image.edit {
                    None => self.drawn(key, request, image, &providers),
                    Some(_) if providers.is_empty() => Err(GenerateError::AllFailed {
                        name: request.name.clone(),
                        kind: Kind::Image,
                        reasons: vec![GenerateError::Withheld {
                            provider: "image".to_owned(),
                            reason: "nobody here changes pictures; set up a provider of the kind openai-image-edit \
                                     and name it in `image.use`"
                                .to_owned(),
                        }],
                    }),
                    Some(edit) => {
                        let image = ImageRequest { edit: Some(self.prepared(image, edit)?), ..image.clone() };
                        self.drawn(key, request, &image, &providers)
                    }
                }
                };
                match self.remembered(key, &review, make) {
                    // The model was installed meanwhile.
                    Ok(known) if !self.is_judged(&known, &providers) => {
                        self.forget(&key);
                        self.remembered(key, &review, make)
                    }
                    made => made,
                }
            }
        };
        match (made, &image.edit) {
            // A picture that is no picture stays an error.
            (Err(error), Some(edit)) if edit.or_unchanged && !error.is_invalid() => {
                let place = self.place(image, edit)?;
                let value = GeneratedValue::Image(self.fitted(image, &edit.picture, place)?);
                let provenance = Provenance {
                    provider: "fallback".to_owned(),
                    fallback: Some(error.to_string()),
                    ..Provenance::default()
                };
                Ok(Generated { value, provenance })
            }
            (made, _) => made,
        }
    }

    fn drawn(
        &self,
        key: Digest,
        request: &Request,
        image: &ImageRequest,
        providers: &[Arc<dyn ImageProvider>],
    ) -> Result<Made, GenerateError> {
        self.first(key, request, Kind::Image, providers, |provider, context| {
            let name = provider.name();
            self.may_ask(name, provider.remote(), false, request, &image.pieces, &[])?;
            self.can_judge(provider.as_ref())?;
            let (call, wanted) = (Arc::clone(provider), image.clone());
            let answer = self.call(name, &context, move |context| call.answer(&wanted, context))?;
            crate::image::check_picture(&answer.value, image)
                .map_err(|reason| GenerateError::Rejected { provider: name.to_owned(), reason })?;
            let mut made = made_by(name, provider.model(), true, request, &answer);
            self.judged(provider.as_ref(), &answer.value, &context, &mut made)?;
            Ok(Generated { value: GeneratedValue::Image(answer.value), provenance: made })
        })
    }

    /// What is sent to be changed: upright and of the size that is asked for, without what else the files say, such as where a photo
    /// was taken.
    fn prepared(&self, image: &ImageRequest, edit: &Edit) -> Result<Edit, GenerateError> {
        let place = self.place(image, edit)?;
        let picture = self.fitted(image, &edit.picture, place)?.into();
        let mask = match &edit.mask {
            Some(mask) => {
                let mask = self.fitted(image, mask, place)?;
                if !has_clear_part(&mask) {
                    return Err(GenerateError::Invalid(
                        "the mask is clear nowhere: it has to be transparent where the picture may be changed".to_owned(),
                    ));
                }
                Some(mask.into())
            }
            None => None,
        };
        Ok(Edit { picture, mask, or_unchanged: edit.or_unchanged })
    }

    /// Where the part of a picture lies that is sent to be changed.
    fn place(&self, image: &ImageRequest, edit: &Edit) -> Result<(f64, f64), GenerateError> {
        let (photos, picture) = (self.photos(), edit.picture.clone());
        let (name, shape) = (photos.name().to_owned(), (image.width, image.height));
        self.call(&name, &self.here(), move |_| photos.place(&picture, shape))
    }

    /// The part of a picture at this place, at the size that is asked for, as a PNG file.
    fn fitted(
        &self,
        image: &ImageRequest,
        picture: &Source,
        place: (f64, f64),
    ) -> Result<Blob, GenerateError> {
        let photos = self.photos();
        let wanted = PhotoRequest {
            source: picture.clone(),
            crop: Crop::Centre,
            enlarge: Enlarge::Off,
            ..PhotoRequest::new(Blob::new(Vec::new()), image.width, image.height)
        };
        let name = photos.name().to_owned();
        let prepare = move |context: &Context| photos.prepare_at(&wanted, Some(place), context);
        Ok(self.call(&name, &self.here(), prepare)?.picture)
    }

    /// For what is done to a picture on this machine.
    fn here(&self) -> Context {
        let deadline = Instant::now() + self.options.deadline;
        Context { name: String::new(), locale: String::new(), seed: 0, deadline }
    }

    /// The kind of value that a request asks for, and the key under which its result is remembered and kept; `None` when its kind is
    /// switched off, or answered by approved copy, which is nobody's.
    pub fn name_of(&self, request: &Request) -> Option<(Kind, Digest)> {
        Some(match &request.kind {
            RequestKind::Text(_) => {
                let providers = self.text.as_ref().filter(|_| self.approved.is_none())?;
                (Kind::Text, text_key(request, providers))
            }
            RequestKind::Voice(voice) => {
                (Kind::Voice, voice_key(request, &self.with_sounds(voice), self.voice.as_ref()?))
            }
            RequestKind::Image(image) => {
                let providers = for_image(self.image.as_ref()?, image);
                (Kind::Image, image_key(request, &providers, &self.photos()))
            }
            RequestKind::Photo(photo) => (Kind::Photo, photo_key(request, photo, self.photo.as_ref()?)),
        })
    }

    /// Lets go of a result that is remembered under `key`; what is [kept](Engine::with_keep) beyond this process stays.
    pub fn forget(&self, key: &Digest) {
        self.cache.forget(key);
    }

    fn photo(&self, request: &Request, photo: &PhotoRequest) -> Result<Generated, GenerateError> {
        let Some(photos) = &self.photo else {
            return Err(GenerateError::Off { name: request.name.clone(), kind: Kind::Photo });
        };
        let key = photo_key(request, photo, photos);
        self.remembered(key, &Some, || {
            self.first(key, request, Kind::Photo, std::slice::from_ref(photos), |photos, context| {
                let name = photos.name();
                let (call, wanted) = (Arc::clone(photos), photo.clone());
                let made = self.call(name, &context, move |context| call.prepare(&wanted, context))?;
                let provenance = Provenance {
                    provider: name.to_owned(),
                    model: made.models.join(", "),
                    synthetic: made.synthetic,
                    skipped: made.skipped,
                    ..Provenance::default()
                };
                Ok(Generated { value: GeneratedValue::Image(made.picture), provenance })
            })
        })
    }

    /// Nothing when a provider may be told what the request says.
    fn may_ask(
        &self,
        provider: &str,
        remote: bool,
        follows: bool,
        request: &Request,
        pieces: &[Piece],
        facts: &[String],
    ) -> Result<(), GenerateError> {
        match withheld(remote, follows, request, pieces, facts) {
            Some(reason) => Err(GenerateError::Withheld { provider: provider.to_owned(), reason }),
            None => Ok(()),
        }
    }

    /// Whether copy that an earlier process kept may be shown by the lists of this one.
    fn is_still_right(&self, request: &Request, text: &TextRequest, kept: &Generated) -> bool {
        let GeneratedValue::Text(words) = &kept.value else { return false };
        let (lists, others) = (&self.lists, &self.others);
        let measure = guard::Measure { request, text, lists, others };
        !kept.provenance.synthetic
            || guard::judge(std::slice::from_ref(words), &measure).is_ok_and(|line| line == *words)
    }

    /// The result under `key`: remembered, kept by an earlier process and still right, or made. `review` gives what was kept as it is
    /// to be shown today, or nothing.
    fn remembered(
        &self,
        key: Digest,
        review: &dyn Fn(Generated) -> Option<Generated>,
        make: impl FnOnce() -> Result<Made, GenerateError>,
    ) -> Result<Generated, GenerateError> {
        self.cache.get_or_make(key, || {
            let Some(keep) = &self.keep else { return make() };
            let found = keep.get(&key).and_then(|bytes| kept::from_bytes(&bytes));
            if let Some((before, generated)) =
                found.and_then(|found| Some((found.provenance.clone(), review(found)?)))
            {
                if generated.provenance != before
                    && let Some(bytes) = kept::to_bytes(&generated)
                {
                    keep.put(&key, bytes);
                }
                return Ok(Made { generated, lasts: true });
            }
            let made = make()?;
            // As in the memory: a provider that was down is asked again.
            if made.lasts
                && let Some(bytes) = kept::to_bytes(&made.generated)
            {
                keep.put(&key, bytes);
            }
            Ok(made)
        })
    }

    /// The first provider's result that is usable.
    fn first<P: Named + ?Sized>(
        &self,
        key: Digest,
        request: &Request,
        kind: Kind,
        providers: &[Arc<P>],
        attempt: impl Fn(&Arc<P>, Context) -> Result<Generated, GenerateError>,
    ) -> Result<Made, GenerateError> {
        let end = Instant::now() + self.options.deadline;
        let mut reasons: Vec<GenerateError> = Vec::new();
        for (index, provider) in providers.iter().enumerate() {
            let left = end.saturating_duration_since(Instant::now());
            let share = if index + 1 < providers.len() { left / 2 } else { left };
            let context = Context {
                name: request.name.clone(),
                locale: request.locale.clone(),
                seed: request.seed,
                deadline: Instant::now() + share,
            };
            let name = provider.called();
            let outcome = match self.refused_before(key, name) {
                Some(error) => Err(error),
                None => attempt(provider, context),
            };
            match outcome {
                Ok(mut generated) => {
                    let lasts = !reasons.iter().any(GenerateError::is_passing);
                    generated.provenance.instead_of = reasons.iter().map(ToString::to_string).collect();
                    return Ok(Made { generated, lasts });
                }
                Err(error) => {
                    if matches!(error, GenerateError::Rejected { .. }) {
                        self.note_refused(key, name, &error);
                    }
                    reasons.push(error);
                }
            }
        }
        Err(GenerateError::AllFailed { name: request.name.clone(), kind, reasons })
    }

    /// Why this provider's answer to the same could not be used, if it was asked not long ago.
    fn refused_before(&self, key: Digest, provider: &str) -> Option<GenerateError> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, error) = refused.get(&(key, provider.to_owned()))?;
        (since.elapsed() < REFUSED_FOR).then(|| error.clone())
    }

    fn note_refused(&self, key: Digest, provider: &str, error: &GenerateError) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.len() >= MOST_REFUSED {
            refused.clear();
        }
        // What was remembered keeps its age.
        refused
            .entry((key, provider.to_owned()))
            .and_modify(|known| {
                if known.0.elapsed() >= REFUSED_FOR {
                    *known = (Instant::now(), error.clone());
                }
            })
            .or_insert_with(|| (Instant::now(), error.clone()));
    }

    /// `work`'s answer if it comes in time. It runs on a thread of its own, so that a provider which neither
    /// answers nor watches its deadline holds up that thread alone, and one that panics fails alone.
    fn call<T: Send + 'static>(
        &self,
        provider: &str,
        context: &Context,
        work: impl FnOnce(&Context) -> Result<T, GenerateError> + Send + 'static,
    ) -> Result<T, GenerateError> {
        let failed = |reason: &str| GenerateError::Provider {
            provider: provider.to_owned(),
            reason: reason.to_owned(),
        };
        if self.abandoned.load(Ordering::Relaxed) >= MAX_ABANDONED {
            return Err(failed("not asked, because too many earlier calls have still not returned"));
        }
        let given = context.remaining();
        let (sender, receiver) = mpsc::sync_channel(1);
        let (context, abandoned) = (context.clone(), Arc::clone(&self.abandoned));
        // Whichever of the two sides comes second knows of the other, so that each call left behind is counted in once and
        // out once.
        let settled = Arc::new(AtomicBool::new(false));
        let returned = Arc::clone(&settled);
        std::thread::Builder::new()
            .name(format!("generate {provider}"))
            .spawn(move || {
                let answer = catch_unwind(AssertUnwindSafe(|| work(&context)));
                // Nobody may be waiting any more.
                let _ = sender.send(answer);
                if returned.swap(true, Ordering::AcqRel) {
                    abandoned.fetch_sub(1, Ordering::Relaxed);
                }
            })
            .map_err(|source| GenerateError::Io {
                provider: provider.to_owned(),
                operation: "start a thread".to_owned(),
                source: Arc::new(source),
            })?;
        match receiver.recv_timeout(given + GRACE) {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(failed("it panicked, which is a bug in it")),
            Err(_) => {
                if !settled.swap(true, Ordering::AcqRel) {
                    self.abandoned.fetch_add(1, Ordering::Relaxed);
                }
                Err(GenerateError::Deadline { provider: provider.to_owned(), after: given })
            }
        }
    }
}

fn made_by<T>(
    provider: &str,
    model: String,
    synthetic: bool,
    request: &Request,
    answer: &Answer<T>,
) -> Provenance {
    Provenance {
        provider: provider.to_owned(),
        model,
        fallback: None,
        synthetic,
        instead_of: Vec::new(),
        version: answer.version.clone(),
        seed: Some(request.seed),
        made_at: answer.made_at,
        cost: answer.cost,
        skipped: Vec::new(),
        judged: String::new(),
    }
}

/// Why a provider may not be told what the request says, if it may not: one outside the house, or one that `follows` instructions.
fn withheld(
    remote: bool,
    follows: bool,
    request: &Request,
    pieces: &[Piece],
    facts: &[String],
) -> Option<String> {
    let viewer = &request.viewer;
    if remote && is_private(request) {
        return Some(format!(
            "it would be told personal data ({}), and the template does not say `send_personal: true`",
            viewer.fields.join(", ")
        ));
    }
    let found = injection(pieces, facts)?;
    // A grammar follows no instructions; who does is told none by a viewer.
    (remote || follows).then(|| format!("a value of the viewer's data holds {found}"))
}

/// A provider of any kind by its name.
trait Named {
    fn called(&self) -> &str;
}

impl Named for dyn TextProvider {
    fn called(&self) -> &str {
        self.name()
    }
}

impl Named for dyn VoiceProvider {
    fn called(&self) -> &str {
        self.name()
    }
}

impl Named for dyn ImageProvider {
    fn called(&self) -> &str {
        self.name()
    }
}

impl Named for Photos {
    fn called(&self) -> &str {
        self.name()
    }
}

/// Who is asked, as it stands in the name of a result.
#[derive(Serialize)]
struct Asked {
    name: String,
    model: String,
    /// Whether it is not told personal data. What others made in its place is not the result once it is.
    withheld: bool,
}

impl Asked {
    fn new(name: &str, model: String, remote: bool, request: &Request) -> Self {
        Asked { name: name.to_owned(), model, withheld: remote && is_private(request) }
    }
}

/// Whether what is asked holds personal data that the template lets nobody outside have.
fn is_private(request: &Request) -> bool {
    !request.viewer.fields.is_empty() && !request.viewer.may_be_sent
}

fn text_key(request: &Request, providers: &[Arc<dyn TextProvider>]) -> Digest {
    let models: Vec<_> =
        providers.iter().map(|p| Asked::new(p.name(), p.model(), p.remote(), request)).collect();
    key(request, &request.kind, Some(request.seed), &models)
}

/// The name of `voice`, which is what `request` asks for or a part of it.
fn voice_key(request: &Request, voice: &VoiceRequest, providers: &[Arc<dyn VoiceProvider>]) -> Digest {
    let asked = |p: &Arc<dyn VoiceProvider>| {
        Asked::new(p.name(), p.model(voice, &request.locale), p.remote(), request)
    };
    let models: Vec<_> = providers.iter().map(asked).collect();
    let seed = providers.iter().any(|provider| provider.uses_seed()).then_some(request.seed);
    key(request, &RequestKind::Voice(voice.clone()), seed, &models)
}

/// Those of the providers that draw, or those that change pictures, as the request asks.
fn for_image(providers: &[Arc<dyn ImageProvider>], image: &ImageRequest) -> Vec<Arc<dyn ImageProvider>> {
    providers.iter().filter(|provider| provider.edits() == image.edit.is_some()).map(Arc::clone).collect()
}

/// Whether some of a PNG file is transparent.
fn has_clear_part(png: &Blob) -> bool {
    let picture = image::load_from_memory_with_format(png.bytes(), image::ImageFormat::Png);
    picture
        .is_ok_and(|picture| picture.color().has_alpha() && picture.to_rgba8().pixels().any(|p| p.0[3] == 0))
}

fn image_key(request: &Request, providers: &[Arc<dyn ImageProvider>], photos: &Photos) -> Digest {
    let mut models: Vec<_> =
        providers.iter().map(|p| Asked::new(p.name(), p.model(), p.remote(), request)).collect();
    // Which part of a picture is sent to be changed depends on it.
    if let RequestKind::Image(ImageRequest { edit: Some(_), .. }) = &request.kind
        && let Some(model) = photos.face_model()
    {
        models.push(Asked::new(photos.name(), model, false, request));
    }
    key(request, &request.kind, Some(request.seed), &models)
}

/// Nothing about a photo is left to chance, so the seed is no part of its name.
fn photo_key(request: &Request, photo: &PhotoRequest, photos: &Photos) -> Digest {
    let asked = Asked::new(photos.name(), photos.model(photo), false, request);
    key(request, &request.kind, None, &[asked])
}

/// The name of a result: a digest, so that nothing of a viewer can be read from it.
fn key(request: &Request, kind: &RequestKind, seed: Option<u64>, models: &[Asked]) -> Digest {
    #[derive(Serialize)]
    struct Canonical<'a> {
        version: u32,
        locale: &'a str,
        seed: Option<u64>,
        kind: &'a RequestKind,
        models: &'a [Asked],
    }
    let canonical = Canonical { version: KEY_VERSION, locale: &request.locale, seed, kind, models };
    // Struct fields and `BTreeMap`s are written in a fixed order, numbers in their shortest form.
    let bytes = serde_json::to_vec(&canonical).expect("plain structs with string keys always serialise");
    Digest::of(&bytes)
}

mod decency;
mod recorded;
#[cfg(test)]
mod tests;
