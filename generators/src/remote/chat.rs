//! Copy by chat completions with an answer in a JSON schema.
//!
//! The call is `POST …/chat/completions` with `response_format: {"type": "json_schema", …}` as in OpenAI's API reference (Chat,
//! "Create chat completion") and in the local servers that follow it (llama.cpp's server, vLLM, Ollama).

use serde::Deserialize;
use serde_json::{Map, Value, json};
use vignette_templates::blob::Digest;
use vignette_templates::generate::{Cost, TextRequest};

use super::client::{Client, Expected, JSON, Sent};
use super::prompt;
use crate::error::GenerateError;
use crate::gate::{Gate, Usage};
use crate::provider::{Answer, Context, TextProvider};

/// The longest answer that is read.
const MAX_ANSWER: u64 = 256 << 10;

/// How a model is asked.
#[derive(Clone, Debug)]
pub(crate) struct ChatOptions {
    pub model: String,
    /// Lines asked for in one call, of which the best is taken.
    pub candidates: usize,
    pub temperature: Option<f64>,
    /// The field that bounds how many tokens are written: `max_tokens`, or `max_completion_tokens` for models that think.
    pub token_field: String,
    /// Tokens that a model may spend on thinking besides those of its lines.
    pub extra_tokens: u64,
    /// Whether the model is a small one, which is shown two worked examples and held to the length of a line by the schema.
    pub small: bool,
    /// Fields that are added to each request as they are.
    pub extra: Map<String, Value>,
    pub price: TokenPrice,
}

/// What a call costs, in millionths of the configuration's currency.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TokenPrice {
    pub request: f64,
    /// Of a million tokens that are read.
    pub million_in: f64,
    /// Of a million tokens that are written.
    pub million_out: f64,
}

impl TokenPrice {
    fn of(&self, tokens_in: u64, tokens_out: u64) -> u64 {
        let tokens = self.million_in * tokens_in as f64 + self.million_out * tokens_out as f64;
        (self.request + tokens / 1e6).ceil() as u64
    }
}

/// Requests as a small model would be sent, with good answers: it learns the form from them better than from instructions. Numbers
/// and names of theirs in what it writes are the examples' and nobody's.
const EXAMPLES: [(&str, [&str; 3]); 2] = [
    (
        "Greet ⟦\"Nadia\"⟧, who joined the choir, in one warm sentence.\n\n\
         Each version has to hold these, letter for letter: ⟦\"Nadia\"⟧",
        [
            "Welcome to the choir, Nadia!",
            "Nadia, we are so glad that you sing with us.",
            "It is good to have you in the choir, Nadia.",
        ],
    ),
    (
        "Say in one line that ⟦\"4\"⟧ of ⟦\"9\"⟧ lessons are done.\n\n\
         Each version has to hold these, letter for letter: ⟦\"4\"⟧, ⟦\"9\"⟧",
        [
            "You have done 4 of 9 lessons.",
            "4 of 9 lessons are behind you, well done.",
            "Great work: 4 lessons of 9 are done.",
        ],
    ),
];
/// Words of the examples that a line holds only if it was asked for them.
const OF_EXAMPLES: [&str; 3] = ["nadia", "choir", "lesson"];

/// A model that writes copy.
pub(crate) struct Chat {
    client: Client,
    options: ChatOptions,
}

impl Chat {
    pub(crate) fn new(client: Client, options: ChatOptions) -> Self {
        Chat { client, options }
    }

    fn body(&self, request: &TextRequest, context: &Context) -> (Value, u64, u64) {
        let wanted = self.options.candidates.max(1);
        let system = format!(
            "You write copy for a video made for one viewer. Write {wanted} different versions of one line of text, in the \
             language with the BCP 47 tag {language}. Each is at most {chars} characters long, a finished sentence or phrase, \
             plain text without quotation marks, markup, emoji, hashtags, addresses or placeholders. Use no name and no number \
             that is not given. {marks} Answer with JSON only: {{\"lines\": [\"…\"]}}.",
            language = context.locale,
            chars = request.max_chars,
            marks = prompt::EXPLAINED,
        );
        let mut user = prompt::quoted(&request.prompt, &request.pieces);
        if !request.facts.is_empty() {
            let facts: Vec<String> = request.facts.iter().map(|fact| prompt::as_data(fact)).collect();
            user.push_str(&format!(
                "\n\nEach version has to hold these, letter for letter: {}",
                facts.join(", ")
            ));
        }
        // A letter is at most a token and a half in the scripts that models split most.
        let written =
            wanted as u64 * (request.max_chars as u64 * 3 / 2 + 24) + 64 + self.options.extra_tokens;
        let mut line = json!({ "type": "string" });
        let mut messages = vec![json!({ "role": "system", "content": system })];
        if self.options.small {
            // Where the schema is a grammar, a line that never ends is cut here; it is then too long to be shown.
            line["maxLength"] = (request.max_chars + 20).into();
            // They are English, and so would be what follows them.
            let is_english =
                context.locale.split(['-', '_']).next().is_some_and(|tag| tag.eq_ignore_ascii_case("en"));
            for (asked, answered) in EXAMPLES.iter().filter(|_| is_english) {
                let answered: Vec<&str> = answered.iter().take(wanted).copied().collect();
                messages.push(json!({ "role": "user", "content": asked }));
                messages.push(
                    json!({ "role": "assistant", "content": json!({ "lines": answered }).to_string() }),
                );
            }
        }
        let seed = seed_of(&system, &user);
        messages.push(json!({ "role": "user", "content": user }));
        let schema = json!({
            "type": "object",
            "properties": { "lines": {
                "type": "array", "minItems": 1, "maxItems": wanted,
                "items": line,
            } },
            "required": ["lines"],
            "additionalProperties": false,
        });
        let mut body = json!({
            "model": self.options.model,
            "messages": messages,
            // Made of what is sent anyway: the request's own seed may be made of a viewer's data.
            "seed": seed,
            "response_format": {
                "type": "json_schema",
                "json_schema": { "name": "copy", "strict": true, "schema": schema },
            },
        });
        if let Some(fields) = body.as_object_mut() {
            fields.insert(self.options.token_field.clone(), written.into());
            if let Some(temperature) = self.options.temperature {
                fields.insert("temperature".to_owned(), temperature.into());
            }
            fields.extend(self.options.extra.clone());
        }
        // A token is at least a byte; a schema counts as read in some services.
        let read = body.to_string().len() as u64 + 64;
        (body, read, written)
    }
}

impl TextProvider for Chat {
    fn name(&self) -> &str {
        self.client.provider()
    }

    fn model(&self) -> String {
        let temperature = self.options.temperature.map_or_else(String::new, |t| format!(" at {t}"));
        let prompt = if self.options.small { "prompt 1 with examples" } else { "prompt 1" };
        format!("{}{temperature} ({prompt})", self.options.model)
    }

    fn generate(&self, request: &TextRequest, context: &Context) -> Result<String, GenerateError> {
        let lines = self.answer(request, context)?.value;
        lines.into_iter().next().ok_or_else(|| GenerateError::Rejected {
            provider: self.name().to_owned(),
            reason: "it holds no line".to_owned(),
        })
    }

    fn answer(&self, request: &TextRequest, context: &Context) -> Result<Answer<Vec<String>>, GenerateError> {
        if request.prompt.trim().is_empty() {
            let reason = "the template gives this text no `prompt`, only phrases".to_owned();
            return Err(GenerateError::Withheld { provider: self.name().to_owned(), reason });
        }
        let (body, read, written) = self.body(request, context);
        let price = self.options.price;
        let most = Cost { tokens: read + written, micros: price.of(read, written), ..Cost::default() };
        let expected = Expected { types: JSON, max_bytes: MAX_ANSWER, first: None };
        self.client
            .post("/chat/completions", &Sent::Json(&body), most, &expected, context, |bytes| {
                let answer: Completion = serde_json::from_slice(bytes)
                    .map_err(|_| "it is not the JSON of a chat completion".to_owned())?;
                let usage = answer.usage.as_ref();
                let told = usage.and_then(|usage| usage.prompt_tokens.zip(usage.completion_tokens));
                let took = match told {
                    Some((read, written)) => Cost {
                        tokens: read.saturating_add(written),
                        micros: price.of(read, written),
                        ..Cost::default()
                    },
                    // Who does not say what it took has taken all it could.
                    None => most,
                };
                // What came back was paid for, usable or not, so that what is wrong with it is told as a value.
                let lines = lines(answer.choices).and_then(|lines| match self.options.small {
                    true => own(lines, request),
                    false => Ok(lines),
                });
                Ok((lines, took, answer.model.chars().take(120).collect()))
            })
            .and_then(|answer| match answer.value {
                Ok(value) => {
                    Ok(Answer { value, version: answer.version, cost: answer.cost, made_at: answer.made_at })
                }
                Err(reason) => Err(GenerateError::Rejected { provider: self.name().to_owned(), reason }),
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
struct Completion {
    #[serde(default)]
    model: String,
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Choice {
    message: Message,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(default)]
    prompt_tokens: Option<u64>,
    #[serde(default)]
    completion_tokens: Option<u64>,
}

/// A seed that tells nothing but the messages themselves. Servers read it as a signed number of 32 bits at least.
fn seed_of(system: &str, user: &str) -> u32 {
    let digest = Digest::of(format!("{system}\0{user}").as_bytes());
    u32::from_le_bytes([digest.0[0], digest.0[1], digest.0[2], digest.0[3]]) & 0x7fff_ffff
}

/// The lines that are not the examples'.
fn own(lines: Vec<String>, request: &TextRequest) -> Result<Vec<String>, String> {
    let told =
        [std::slice::from_ref(&request.prompt), request.facts.as_slice()].concat().join(" ").to_lowercase();
    let is_own = |line: &String| {
        let line = line.to_lowercase();
        OF_EXAMPLES.iter().all(|word| !line.contains(word) || told.contains(word))
    };
    let own: Vec<String> = lines.into_iter().filter(is_own).collect();
    match own.is_empty() {
        true => Err("it repeats an example".to_owned()),
        false => Ok(own),
    }
}

/// The lines of an answer.
fn lines(choices: Vec<Choice>) -> Result<Vec<String>, String> {
    let choice = choices.into_iter().next().ok_or("it holds no choice")?;
    if choice.message.refusal.is_some_and(|refusal| !refusal.is_empty()) {
        return Err("the model refuses to write it".to_owned());
    }
    match choice.finish_reason.as_deref() {
        Some("length") => return Err("it was cut off at its longest".to_owned()),
        Some("content_filter") => return Err("the service's own filter held it back".to_owned()),
        _ => {}
    }
    let content = choice.message.content.unwrap_or_default();
    let content = content.trim();
    // Servers without support for schemas wrap their JSON as in a chat.
    let bare = content.strip_prefix("```json").or_else(|| content.strip_prefix("```"));
    let content = bare.and_then(|rest| rest.trim().strip_suffix("```")).unwrap_or(content);
    #[derive(Deserialize)]
    struct Lines {
        lines: Vec<String>,
    }
    let answer: Lines = serde_json::from_str(content.trim())
        .map_err(|_| "it is not the JSON that was asked for, {\"lines\": […]}".to_owned())?;
    match answer.lines.is_empty() {
        true => Err("it holds no line".to_owned()),
        false => Ok(answer.lines.iter().take(16).map(|line| prompt::unmarked(line)).collect()),
    }
}
