//! Which providers are used, in which order and within which bounds: a TOML file.
//!
//! ```toml
//! [text]
//! use = ["house", "grammar"]        # the first that gives something usable
//!
//! [providers.house]
//! kind = "openai-chat"
//! url = "http://127.0.0.1:8080/v1"
//! model = "smollm2"
//! key_env = "HOUSE_KEY"             # the name of a variable; secrets stand in no file
//! deadline = "4s"
//! budget = { requests = 1000 }
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};
use vignette_templates::time::Time;
use vignette_templates::units;

use crate::engine::{Engine, Options};
use crate::error::did_you_mean;
use crate::gate::{Bounds, Limits};
use crate::guard::WordLists;
use crate::provider::{ImageProvider, Kind, TextProvider, VoiceProvider};
use crate::remote::{
    Chat, ChatOptions, Client, ClientOptions, Pictures, PicturesOptions, STREAM_RATES, Speech, SpeechOptions,
    SpeechStream, SpeechStreamOptions, TokenPrice, check_url,
};
use crate::voice::Kokoro;

/// The longest file of settings, in bytes.
const MAX_FILE: u64 = 256 << 10;

/// Fields of requests that `extra` may not set: those that are written by what is asked for, and those by which more would be taken
/// than was set aside.
const CHAT_FIELDS: [&str; 18] = [
    "model",
    "messages",
    "prompt",
    "seed",
    "response_format",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "n_predict",
    "n",
    "best_of",
    "stream",
    "stream_options",
    "tools",
    "functions",
    "web_search_options",
    "modalities",
    "audio",
];
const SPEECH_FIELDS: [&str; 7] =
    ["model", "input", "voice", "response_format", "speed", "stream_format", "stream"];
const STREAM_FIELDS: [&str; 3] = ["text", "model_id", "output_format"];
const IMAGE_FIELDS: [&str; 10] = [
    "model",
    "prompt",
    "n",
    "size",
    "response_format",
    "stream",
    "partial_images",
    "image",
    "image[]",
    "mask",
];

/// What is wrong with a file of settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("{file}: cannot be read")]
    Unreadable {
        /// The file.
        file: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no TOML, or holds what is not known.
    #[error("{file}: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// What is wrong, with its line.
        message: String,
    },
    /// A setting is wrong.
    #[error("{file}: {place}: {message}")]
    Setting {
        /// The file.
        file: String,
        /// The setting.
        place: String,
        /// What is wrong with it, and what would be right.
        message: String,
    },
}

/// The providers of each kind and what they may take, as written.
///
/// # Guarantees
/// Every name in a list is that of a provider of the right kind, and every value is within its range. Whether the secrets are there
/// shows when the engine is made.
#[derive(Debug)]
pub struct Settings {
    file: String,
    written: Written,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written {
    deadline: Option<Span>,
    threads: Option<usize>,
    text: Option<List>,
    voice: Option<List>,
    image: Option<List>,
    guard: Words,
    providers: BTreeMap<String, Provider>,
}

/// Providers in order; none switches the kind off.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    r#use: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Words {
    block: Vec<String>,
    allow: Vec<String>,
    /// The score of unsafe content from which on a service's picture is not shown.
    refuse: Option<f32>,
}

/// A provider over HTTP. Which fields go with which kind is checked afterwards, so that the message can say it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Provider {
    kind: Option<Api>,
    url: String,
    model: String,
    key_env: Option<String>,
    key_header: Option<String>,
    local: bool,
    deadline: Option<Span>,
    retries: Option<u32>,
    concurrent: Option<usize>,
    per_minute: Amounts,
    budget: Amounts,
    breaker: Breaker,
    price: Price,
    extra: Option<toml::Table>,
    // openai-chat
    candidates: Option<usize>,
    temperature: Option<f64>,
    token_field: Option<String>,
    extra_tokens: Option<u64>,
    small: Option<bool>,
    // openai-speech, elevenlabs-speech-stream
    voice: Option<String>,
    voices: BTreeMap<String, String>,
    format: Option<SoundFormat>,
    // elevenlabs-speech-stream
    sample_rate: Option<u32>,
    first_chunk: Option<Span>,
    // openai-image, openai-image-edit
    sizes: Option<Vec<String>>,
    format_field: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum Api {
    #[serde(rename = "openai-chat")]
    Chat,
    #[serde(rename = "openai-speech")]
    Speech,
    #[serde(rename = "elevenlabs-speech-stream")]
    SpeechStream,
    #[serde(rename = "openai-image")]
    Image,
    #[serde(rename = "openai-image-edit")]
    ImageEdit,
}

impl Api {
    fn kind(self) -> Kind {
        match self {
            Api::Chat => Kind::Text,
            Api::Speech | Api::SpeechStream => Kind::Voice,
            Api::Image | Api::ImageEdit => Kind::Image,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SoundFormat {
    Wav,
    Pcm,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Amounts {
    requests: Option<u64>,
    tokens: Option<u64>,
    characters: Option<u64>,
    money: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Breaker {
    faults: Option<u32>,
    rest: Option<Span>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Price {
    request: f64,
    million_tokens_in: f64,
    million_tokens_out: f64,
    million_characters: f64,
    image: f64,
}

/// A length of time as templates write it: `4s`, `450ms`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Span(Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let units::Duration::Time(time) = units::parse_duration(&text)? else {
            return Err("expected a time such as 4s or 450ms".to_owned());
        };
        let seconds = time.ticks() as f64 / Time::TICKS_PER_SECOND as f64;
        match (0.01..=3600.0).contains(&seconds) {
            true => Ok(Span(Duration::from_secs_f64(seconds))),
            false => Err("expected a time from 10ms to 1h".to_owned()),
        }
    }
}

impl Settings {
    /// Reads the settings in `text`; `file` is how messages call it.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Settings, SettingsError> {
        let written: Written = toml::from_str(text).map_err(|error| {
            // The error's own rendering shows the line in which it stands; one line is enough to find it.
            let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            let line = line.map_or_else(String::new, |line| format!("line {line}: "));
            SettingsError::Syntax { file: file.to_owned(), message: format!("{line}{}", error.message()) }
        })?;
        let settings = Settings { file: file.to_owned(), written };
        settings.check()?;
        Ok(settings)
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// As [`Settings::parse`], and a file that cannot be read.
    pub fn load(path: &Path) -> Result<Settings, SettingsError> {
        use std::io::Read;
        let file = path.display().to_string();
        let unreadable = |source| SettingsError::Unreadable { file: file.clone(), source };
        let mut text = String::new();
        let opened = std::fs::File::open(path).map_err(unreadable)?;
        opened.take(MAX_FILE + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > MAX_FILE {
            let message = format!("it is longer than the {MAX_FILE} bytes that are read");
            return Err(SettingsError::Syntax { file, message });
        }
        Settings::parse(&file, &text)
    }

    /// The engine that works by these settings. Kinds that they do not name keep their offline providers. `secret` gives the value
    /// of an environment variable.
    ///
    /// # Errors
    /// A secret that is not there.
    pub fn engine(&self, secret: &dyn Fn(&str) -> Option<String>) -> Result<Engine, SettingsError> {
        let mut options = Options::default();
        if let Some(deadline) = self.written.deadline {
            options.deadline = deadline.0;
        }
        if let Some(threads) = self.written.threads {
            options.threads = threads;
        }
        let words = &self.written.guard;
        let mut engine = Engine::offline_with(options).with_words(WordLists::new(&words.block, &words.allow));
        if let Some(score) = words.refuse {
            engine = engine.with_refuse(score);
        }
        for (kind, list) in self.lists() {
            if list.r#use.is_empty() {
                engine = engine.without(kind);
                continue;
            }
            // Built-in providers are those that the offline engine would use.
            match kind {
                Kind::Text => {
                    let known = engine.text_providers().to_vec();
                    let chosen =
                        list.r#use.iter().map(|name| -> Result<Arc<dyn TextProvider>, SettingsError> {
                            match known.iter().find(|provider| provider.name() == name) {
                                Some(built_in) => Ok(Arc::clone(built_in)),
                                None => Ok(Arc::new(self.chat(name, secret)?)),
                            }
                        });
                    engine = engine.with_text(chosen.collect::<Result<_, _>>()?);
                }
                Kind::Voice => {
                    let known = engine.voice_providers().to_vec();
                    let chosen =
                        list.r#use.iter().map(|name| -> Result<Arc<dyn VoiceProvider>, SettingsError> {
                            match known.iter().find(|provider| provider.name() == name) {
                                // Who names it wants all of it.
                                Some(_) if name == "kokoro" => Ok(Arc::new(Kokoro::default())),
                                Some(built_in) => Ok(Arc::clone(built_in)),
                                None => self.speech(name, secret),
                            }
                        });
                    engine = engine.with_voice(chosen.collect::<Result<_, _>>()?);
                }
                Kind::Image => {
                    let known = engine.image_providers().to_vec();
                    let chosen =
                        list.r#use.iter().map(|name| -> Result<Arc<dyn ImageProvider>, SettingsError> {
                            match known.iter().find(|provider| provider.name() == name) {
                                Some(built_in) => Ok(Arc::clone(built_in)),
                                None => Ok(Arc::new(self.pictures(name, secret)?)),
                            }
                        });
                    engine = engine.with_image(chosen.collect::<Result<_, _>>()?);
                }
                // There is nothing to choose.
                Kind::Photo => {}
            }
        }
        Ok(engine)
    }

    fn lists(&self) -> impl Iterator<Item = (Kind, &List)> {
        let Written { text, voice, image, .. } = &self.written;
        [(Kind::Text, text), (Kind::Voice, voice), (Kind::Image, image)]
            .into_iter()
            .filter_map(|(kind, list)| Some((kind, list.as_ref()?)))
    }

    fn fault(&self, place: &str, message: impl Into<String>) -> SettingsError {
        SettingsError::Setting { file: self.file.clone(), place: place.to_owned(), message: message.into() }
    }

    fn check(&self) -> Result<(), SettingsError> {
        if self.written.threads.is_some_and(|threads| !(1..=256).contains(&threads)) {
            return Err(self.fault("threads", "expected a number from 1 to 256"));
        }
        if self.written.guard.refuse.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
            let message = "expected a score from 0, which refuses every picture from a service, to 1, which judges none";
            return Err(self.fault("guard.refuse", message));
        }
        let offline = Engine::offline();
        let built_in = |kind| -> Vec<String> {
            match kind {
                Kind::Text => offline.text_providers().iter().map(|p| p.name().to_owned()).collect(),
                Kind::Voice => offline.voice_providers().iter().map(|p| p.name().to_owned()).collect(),
                Kind::Image => offline.image_providers().iter().map(|p| p.name().to_owned()).collect(),
                Kind::Photo => vec!["photo".to_owned()],
            }
        };
        for (kind, list) in self.lists() {
            let place = format!("{kind}.use");
            let own = built_in(kind);
            let remote = self.written.providers.iter();
            let remote = remote.filter(|(_, provider)| provider.kind.is_some_and(|api| api.kind() == kind));
            let known: Vec<&str> =
                own.iter().map(String::as_str).chain(remote.map(|(name, _)| name.as_str())).collect();
            for (index, name) in list.r#use.iter().enumerate() {
                if list.r#use[..index].contains(name) {
                    return Err(self.fault(&place, format!("`{name}` stands in it twice")));
                }
                if !known.contains(&name.as_str()) {
                    let hint = did_you_mean(name, known.iter().copied());
                    let message = match self.written.providers.contains_key(name) {
                        true => format!("`{name}` makes no {kind}"),
                        false => format!(
                            "there is no provider `{name}`{hint}; there are {}, and what [providers.…] sets up",
                            own.join(", ")
                        ),
                    };
                    return Err(self.fault(&place, message));
                }
            }
        }
        for (name, provider) in &self.written.providers {
            let place = |field: &str| format!("providers.{name}.{field}");
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
            if name.is_empty() || name.len() > 64 || !plain {
                let message = "a provider's name has 1 to 64 letters, digits, `-`, `_` and `.`";
                return Err(self.fault(&format!("providers.{name}"), message));
            }
            let all = [Kind::Text, Kind::Voice, Kind::Image, Kind::Photo];
            if name == "fallback" || all.into_iter().any(|kind| built_in(kind).contains(name)) {
                let message = format!("`{name}` is the name of something built in; choose another");
                return Err(self.fault(&format!("providers.{name}"), message));
            }
            self.check_provider(provider, &place)?;
        }
        Ok(())
    }

    fn check_provider(
        &self,
        provider: &Provider,
        place: &dyn Fn(&str) -> String,
    ) -> Result<(), SettingsError> {
        let Some(api) = provider.kind else {
            return Err(self.fault(
                &place("kind"),
                "expected openai-chat, openai-speech, elevenlabs-speech-stream, openai-image or openai-image-edit",
            ));
        };
        check_url(&provider.url).map_err(|message| self.fault(&place("url"), message))?;
        let is_name = |text: &str| {
            !text.starts_with(|c: char| c.is_ascii_digit())
                && !text.is_empty()
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if provider.key_env.as_deref().is_some_and(|name| !is_name(name)) {
            // Not repeated: it may be the key itself.
            let message = "expected the name of an environment variable, not the key: letters, digits and _";
            return Err(self.fault(&place("key_env"), message));
        }
        if provider.model.is_empty() {
            return Err(self.fault(&place("model"), "expected the name of a model"));
        }
        const SPEECH: &[Api] = &[Api::Speech, Api::SpeechStream];
        const PICTURES: &[Api] = &[Api::Image, Api::ImageEdit];
        let goes_with: [(&str, bool, &[Api]); 16] = [
            ("candidates", provider.candidates.is_some(), &[Api::Chat]),
            ("temperature", provider.temperature.is_some(), &[Api::Chat]),
            ("token_field", provider.token_field.is_some(), &[Api::Chat]),
            ("small", provider.small.is_some(), &[Api::Chat]),
            ("extra_tokens", provider.extra_tokens.is_some(), &[Api::Chat]),
            ("voice", provider.voice.is_some(), SPEECH),
            ("voices", !provider.voices.is_empty(), SPEECH),
            ("format", provider.format.is_some(), &[Api::Speech]),
            ("sample_rate", provider.sample_rate.is_some(), &[Api::SpeechStream]),
            ("first_chunk", provider.first_chunk.is_some(), &[Api::SpeechStream]),
            ("sizes", provider.sizes.is_some(), PICTURES),
            ("format_field", provider.format_field.is_some(), PICTURES),
            ("budget.tokens", provider.budget.tokens.is_some(), &[Api::Chat]),
            ("per_minute.tokens", provider.per_minute.tokens.is_some(), &[Api::Chat]),
            ("budget.characters", provider.budget.characters.is_some(), SPEECH),
            ("per_minute.characters", provider.per_minute.characters.is_some(), SPEECH),
        ];
        if let Some((field, ..)) = goes_with.iter().find(|(_, given, kinds)| *given && !kinds.contains(&api))
        {
            return Err(self.fault(&place(field), "it does not go with this kind of provider"));
        }
        // What decides how much is asked for is reckoned before it is sent, and must be what was reckoned with.
        let own: &[&str] = match api {
            Api::Chat => &CHAT_FIELDS,
            Api::Speech => &SPEECH_FIELDS,
            Api::SpeechStream => &STREAM_FIELDS,
            Api::Image | Api::ImageEdit => &IMAGE_FIELDS,
        };
        if let Some(field) = provider
            .extra
            .iter()
            .flatten()
            .map(|(field, _)| field)
            .find(|field| own.contains(&field.as_str()))
        {
            let message =
                "it is set by Vignette, which bounds what a request may take; take it out of `extra`";
            return Err(self.fault(&place(&format!("extra.{field}")), message));
        }
        if let Some(name) = &provider.key_header
            && !is_header(name)
        {
            let message =
                "expected the name of a header such as xi-api-key: up to 64 letters, digits, `-` and `_`";
            return Err(self.fault(&place("key_header"), message));
        }
        if provider.sample_rate.is_some_and(|rate| !STREAM_RATES.contains(&rate)) {
            let rates = STREAM_RATES.map(|rate| rate.to_string()).join(", ");
            return Err(self.fault(&place("sample_rate"), format!("expected one of {rates}")));
        }
        if api == Api::SpeechStream && provider.voice.is_none() {
            let message =
                "expected the service's identifier of the voice that speaks when a template names none";
            return Err(self.fault(&place("voice"), message));
        }
        if provider.candidates.is_some_and(|candidates| !(1..=16).contains(&candidates)) {
            return Err(self.fault(&place("candidates"), "expected a number from 1 to 16"));
        }
        if provider.temperature.is_some_and(|t| !(0.0..=2.0).contains(&t)) {
            return Err(self.fault(&place("temperature"), "expected a number from 0 to 2"));
        }
        if provider.retries.is_some_and(|retries| retries > 10) {
            return Err(self.fault(&place("retries"), "expected a number from 0 to 10"));
        }
        if provider.concurrent.is_some_and(|many| !(1..=1000).contains(&many)) {
            return Err(self.fault(&place("concurrent"), "expected a number from 1 to 1000"));
        }
        if let Some(field) = &provider.token_field
            && !matches!(field.as_str(), "max_tokens" | "max_completion_tokens")
        {
            return Err(self.fault(&place("token_field"), "expected max_tokens or max_completion_tokens"));
        }
        if provider.per_minute.money.is_some() {
            return Err(self.fault(&place("per_minute.money"), "money is bounded in all, by `budget`"));
        }
        let Price { request, million_tokens_in, million_tokens_out, million_characters, image } =
            provider.price;
        let prices = [request, million_tokens_in, million_tokens_out, million_characters, image];
        if prices.iter().chain(&provider.budget.money).any(|price| !(0.0..=1e9).contains(price)) {
            return Err(self.fault(&place("price"), "expected amounts of money from 0 to a thousand million"));
        }
        let has_price = match api {
            Api::Chat => million_tokens_in + million_tokens_out + request > 0.0,
            Api::Speech | Api::SpeechStream => million_characters + request > 0.0,
            Api::Image | Api::ImageEdit => image + request > 0.0,
        };
        if provider.budget.money.is_some() && !has_price {
            let message = "a budget of money needs the `price` of what is bought, or it would never be spent";
            return Err(self.fault(&place("budget.money"), message));
        }
        self.sizes(provider, &place("sizes")).map(drop)
    }

    fn sizes(&self, provider: &Provider, place: &str) -> Result<Vec<(u32, u32)>, SettingsError> {
        let sizes = provider.sizes.as_deref().unwrap_or_default();
        let size = |text: &String| {
            let (width, height) = text.split_once('x')?;
            let side = |text: &str| text.parse::<u32>().ok().filter(|side| (16..=8192).contains(side));
            Some((side(width)?, side(height)?))
        };
        sizes
            .iter()
            .map(|text| size(text).ok_or_else(|| self.fault(place, "expected sizes such as \"1024x1024\"")))
            .collect()
    }

    fn client(
        &self,
        name: &str,
        deadline: Duration,
        secret: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(Client, &Provider), SettingsError> {
        let Some(provider) = self.written.providers.get(name) else {
            return Err(self.fault(&format!("providers.{name}"), "it is not set up"));
        };
        let key = match &provider.key_env {
            None => None,
            Some(variable) => {
                match secret(variable).map(|key| key.trim().to_owned()).filter(|key| !key.is_empty()) {
                    Some(key) if key.bytes().all(|b| (0x21..0x7f).contains(&b)) => Some(key),
                    Some(_) => {
                        let message =
                            format!("the environment variable {variable} holds what no key can hold");
                        return Err(self.fault(&format!("providers.{name}.key_env"), message));
                    }
                    None => {
                        let message =
                            format!("the environment variable {variable} is not set; put the key there");
                        return Err(self.fault(&format!("providers.{name}.key_env"), message));
                    }
                }
            }
        };
        let defaults = Limits::default();
        let bounds = |amounts: &Amounts| Bounds {
            requests: amounts.requests,
            tokens: amounts.tokens,
            characters: amounts.characters,
            micros: amounts.money.map(|money| micros(money) as u64),
        };
        let limits = Limits {
            per_minute: bounds(&provider.per_minute),
            budget: bounds(&provider.budget),
            concurrent: provider.concurrent.unwrap_or(defaults.concurrent),
            faults: provider.breaker.faults.unwrap_or(defaults.faults),
            rest: provider.breaker.rest.map_or(defaults.rest, |rest| rest.0),
        };
        let client = Client::new(ClientOptions {
            provider: name.to_owned(),
            url: provider.url.trim_end_matches('/').to_owned(),
            key,
            key_header: match (&provider.key_header, provider.kind) {
                (None, Some(Api::SpeechStream)) => Some("xi-api-key".to_owned()),
                (name, _) => name.clone(),
            },
            deadline: provider.deadline.map_or(deadline, |deadline| deadline.0),
            retries: provider.retries.unwrap_or(2),
            limits,
            local: provider.local,
        });
        Ok((client, provider))
    }

    fn chat(&self, name: &str, secret: &dyn Fn(&str) -> Option<String>) -> Result<Chat, SettingsError> {
        let (client, provider) = self.client(name, Duration::from_secs(8), secret)?;
        let price = &provider.price;
        Ok(Chat::new(
            client,
            ChatOptions {
                model: provider.model.clone(),
                candidates: provider.candidates.unwrap_or(3),
                temperature: provider.temperature,
                token_field: provider.token_field.clone().unwrap_or_else(|| "max_tokens".to_owned()),
                extra_tokens: provider.extra_tokens.unwrap_or(0).min(1 << 20),
                small: provider.small.unwrap_or(false),
                extra: extra(provider),
                price: TokenPrice {
                    request: micros(price.request),
                    million_in: micros(price.million_tokens_in),
                    million_out: micros(price.million_tokens_out),
                },
            },
        ))
    }

    fn speech(
        &self,
        name: &str,
        secret: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Arc<dyn VoiceProvider>, SettingsError> {
        let (client, provider) = self.client(name, Duration::from_secs(15), secret)?;
        if provider.kind == Some(Api::SpeechStream) {
            return Ok(Arc::new(SpeechStream::new(
                client,
                SpeechStreamOptions {
                    model: provider.model.clone(),
                    voice: provider.voice.clone().unwrap_or_default(),
                    voices: provider.voices.clone(),
                    rate: provider.sample_rate.unwrap_or(24_000),
                    first_chunk: provider.first_chunk.map_or(Duration::from_secs(5), |span| span.0),
                    extra: extra(provider),
                    price_request: micros(provider.price.request),
                    price_million: micros(provider.price.million_characters),
                },
            )));
        }
        Ok(Arc::new(Speech::new(
            client,
            SpeechOptions {
                model: provider.model.clone(),
                voice: provider.voice.clone().unwrap_or_else(|| "alloy".to_owned()),
                voices: provider.voices.clone(),
                raw: provider.format == Some(SoundFormat::Pcm),
                extra: extra(provider),
                price_request: micros(provider.price.request),
                price_million: micros(provider.price.million_characters),
            },
        )))
    }

    fn pictures(
        &self,
        name: &str,
        secret: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Pictures, SettingsError> {
        let (client, provider) = self.client(name, Duration::from_secs(60), secret)?;
        let options = PicturesOptions {
            model: provider.model.clone(),
            sizes: self.sizes(provider, "sizes")?,
            format_field: provider.format_field.unwrap_or(true),
            extra: extra(provider),
            price: micros(provider.price.image + provider.price.request),
        };
        Ok(match provider.kind {
            Some(Api::ImageEdit) => Pictures::that_edits(client, options),
            _ => Pictures::new(client, options),
        })
    }
}

/// Whether a header may be called so (RFC 9110, 5.1, less than all it allows).
fn is_header(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

/// An amount of money in millionths.
fn micros(money: f64) -> f64 {
    (money * 1e6).round()
}

fn extra(provider: &Provider) -> Map<String, Value> {
    let table = provider.extra.clone().unwrap_or_default();
    match serde_json::to_value(table) {
        Ok(Value::Object(fields)) => fields,
        // A table of TOML is an object of JSON.
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUSE: &str =
        "[providers.house]\nkind = \"openai-chat\"\nurl = \"http://127.0.0.1:8080/v1/\"\nmodel = \"m\"\n";

    fn message(text: &str) -> String {
        match Settings::parse("generators.toml", text) {
            Ok(settings) => match settings.engine(&|_| None) {
                Ok(_) => panic!("nothing is wrong with {text}"),
                Err(error) => error.to_string(),
            },
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn faults_name_the_place_and_the_remedy() {
        let table: &[(&str, &str, &str)] = &[
            ("no TOML", "text = [", "line 1"),
            ("unknown field", "[text]\nuse = []\nuses = []", "line 3"),
            ("unknown provider", "[voice]\nuse = [\"flit\"]", "did you mean `flite`?"),
            (
                "wrong kind",
                &format!("[voice]\nuse = [\"house\"]\n{HOUSE}"),
                "voice.use: `house` makes no voice",
            ),
            ("a score", "[guard]\nrefuse = 1.5", "guard.refuse: expected a score from 0"),
            ("twice", "[text]\nuse = [\"grammar\", \"grammar\"]", "twice"),
            ("no url", "[providers.a]\nkind = \"openai-chat\"\nmodel = \"m\"", "providers.a.url"),
            ("built-in name", &HOUSE.replace("house", "grammar"), "something built in"),
            ("a secret in the file", &format!("{HOUSE}key = \"sk-1\""), "unknown field `key`"),
            (
                "a secret that is not set",
                &format!("[text]\nuse = [\"house\"]\n{HOUSE}key_env = \"NOT_SET\""),
                "NOT_SET is not set",
            ),
            (
                "a field of another kind",
                &format!("{HOUSE}voice = \"alloy\""),
                "providers.house.voice: it does not go",
            ),
            (
                "a header",
                &format!("{HOUSE}key_header = \"x key\""),
                "providers.house.key_header: expected the name of a header",
            ),
            (
                "a stream without a voice",
                &HOUSE.replace("openai-chat", "elevenlabs-speech-stream"),
                "providers.house.voice: expected",
            ),
            (
                "a rate",
                &format!(
                    "{}voice = \"a\"\nsample_rate = 12",
                    HOUSE.replace("openai-chat", "elevenlabs-speech-stream")
                ),
                "expected one of 8000, 16000",
            ),
            ("money without a price", &format!("{HOUSE}budget = {{ money = 5.0 }}"), "needs the `price`"),
            ("a frame is no time", &format!("{HOUSE}deadline = \"12f\""), "line"),
            ("too many", &format!("{HOUSE}candidates = 99"), "1 to 16"),
            (
                "more than is reckoned with",
                &format!("{HOUSE}extra = {{ top_k = 4, max_tokens = 100000 }}"),
                "providers.house.extra.max_tokens: it is set by Vignette",
            ),
            ("more choices", &format!("{HOUSE}extra = {{ n = 9 }}"), "providers.house.extra.n:"),
            (
                "more pictures",
                "[providers.a]\nkind = \"openai-image\"\nurl = \"http://a/v1\"\nmodel = \"m\"\nextra = { n = 4 }",
                "providers.a.extra.n:",
            ),
            (
                "another picture",
                "[providers.a]\nkind = \"openai-image-edit\"\nurl = \"http://a/v1\"\nmodel = \"m\"\nextra = { mask = \"x\" }",
                "providers.a.extra.mask:",
            ),
            (
                "another text",
                "[providers.a]\nkind = \"openai-speech\"\nurl = \"http://a/v1\"\nmodel = \"m\"\nextra = { input = \"x\" }",
                "providers.a.extra.input:",
            ),
            (
                "a size",
                "[providers.a]\nkind = \"openai-image\"\nurl = \"http://a/v1\"\nmodel = \"m\"\nsizes = [\"big\"]",
                "\"1024x1024\"",
            ),
        ];
        for (name, text, expected) in table {
            let message = message(text);
            assert!(
                message.contains(expected) && message.starts_with("generators.toml: "),
                "{name}: {message}"
            );
        }
    }

    #[test]
    fn kinds_are_chosen_and_switched_off() {
        let text = format!(
            "deadline = \"3s\"\n[text]\nuse = [\"house\", \"grammar\"]\n[voice]\nuse = []\n[guard]\nblock = [\"x\"]\n{HOUSE}\
             key_env = \"KEY\"\nper_minute = {{ requests = 60 }}\nextra = {{ top_k = 40 }}\n"
        );
        let settings = Settings::parse("g.toml", &text).unwrap();
        let engine = settings.engine(&|name| (name == "KEY").then(|| " secret\n".to_owned())).unwrap();
        let names: Vec<&str> = engine.text_providers().iter().map(|p| p.name()).collect();
        assert_eq!(names, ["house", "grammar"]);
        assert!(engine.voice_providers().is_empty());
        assert_eq!(engine.image_providers().len(), 1, "what is not named stays as it is");
        assert!(engine.text_providers()[0].remote(), "a server on this machine may send things on");
        assert_eq!(engine.usage().len(), 1);
        // Nothing that is printed shows the secret.
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
