//! Which generators are used, and what they were asked.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use vignette::generators::{Engine as Generators, Kind, Settings, Usage};
use vignette::{Engine, Error};

use super::{Stop, complain};

/// Who makes what templates ask for.
#[derive(Args)]
pub(super) struct GeneratorOptions {
    /// The TOML file that chooses who makes words, speech and pictures; what needs no account when left out
    #[arg(long, value_name = "FILE", env = "VIGNETTE_GENERATORS")]
    pub generators: Option<PathBuf>,
    /// Shows only copy that is approved in this file; see `vignette copy list`
    #[arg(long, value_name = "FILE")]
    pub approved: Option<PathBuf>,
    /// How this audience's words are said: a CSV file with the columns `word` and `say`, under the template's own lexicon
    #[arg(long, value_name = "FILE")]
    pub lexicon: Option<PathBuf>,
}

impl GeneratorOptions {
    /// An engine with these generators.
    pub(super) fn engine(&self) -> Result<Engine, Stop> {
        let mut generators = match self.generators.as_deref().filter(|file| !file.as_os_str().is_empty()) {
            Some(file) => Settings::load(file)
                .and_then(|settings| settings.engine(&|name| std::env::var(name).ok()))
                .map_err(Error::from)?,
            None => Generators::offline(),
        };
        if let Some(file) = &self.approved {
            generators = generators.with_approved(super::copy::load(file)?);
        }
        if let Some(file) = &self.lexicon {
            generators = generators.with_lexicon(super::lexicon::load(file)?);
        }
        Ok(Engine::new()?.with_generators(generators))
    }
}

/// Tells what may be spent, before it is.
pub(super) fn tell_budgets(engine: &Engine, json: bool) {
    for (kind, usage) in engine.generators().usage() {
        let budget = usage.budget;
        let bounds: Vec<String> = [
            budget.requests.map(|most| format!("{most} requests")),
            budget.tokens.map(|most| format!("{most} tokens")),
            budget.characters.map(|most| format!("{most} characters")),
            budget.micros.map(|most| format!("{:.2} in money", most as f64 / 1e6)),
        ]
        .into_iter()
        .flatten()
        .collect();
        let most = match bounds.is_empty() {
            true => "without a budget".to_owned(),
            false => format!("up to {}", bounds.join(", ")),
        };
        if !json {
            complain(&format!("{}: makes {kind}, {most}", usage.provider));
        }
    }
    if json {
        tell_json(engine);
    }
}

/// Tells what was spent.
pub(super) fn tell_usage(engine: &Engine, json: bool) {
    if json {
        tell_json(engine);
        return;
    }
    for (kind, usage) in engine.generators().usage() {
        complain(&in_words(kind, &usage));
    }
}

fn tell_json(engine: &Engine) {
    let usage = usage(engine);
    if usage.as_array().is_some_and(|list| !list.is_empty()) {
        complain(&json!({ "event": "generators", "generators": usage }).to_string());
    }
}

/// What each provider was asked so far and may be asked, for programs.
pub(super) fn usage(engine: &Engine) -> Value {
    let usage = engine.generators().usage();
    usage.iter().map(|(kind, usage)| json!({ "kind": kind, "usage": usage })).collect()
}

/// The same in a few words, for a line of progress; nothing where nobody is paid.
pub(super) fn asked(engine: &Engine) -> String {
    let told = engine.generators().usage().into_iter().map(|(_, usage)| {
        let (used, budget) = (usage.used, usage.budget);
        let of = |used: u64, most: Option<u64>, what: &str| most.map(|most| format!("{used}/{most} {what}"));
        let money = budget
            .micros
            .map(|most| format!("{:.2}/{:.2} in money", used.micros as f64 / 1e6, most as f64 / 1e6));
        let bounded = [
            of(used.tokens, budget.tokens, "tokens"),
            of(used.characters, budget.characters, "characters"),
            money,
        ];
        let requests = of(used.requests, budget.requests, "requests");
        let requests = requests.unwrap_or_else(|| format!("{} requests", used.requests));
        let parts: Vec<String> = std::iter::once(requests).chain(bounded.into_iter().flatten()).collect();
        format!(", {} {}", usage.provider, parts.join(" "))
    });
    told.collect()
}

fn in_words(kind: Kind, usage: &Usage) -> String {
    let used = usage.used;
    let mut parts = vec![format!("{} answered", usage.answered), format!("{} failed", usage.failed)];
    if used.tokens > 0 {
        parts.push(format!("{} tokens", used.tokens));
    }
    if used.characters > 0 {
        parts.push(format!("{} characters", used.characters));
    }
    if used.micros > 0 || usage.budget.micros.is_some() {
        let most =
            usage.budget.micros.map_or_else(String::new, |most| format!(" of {:.2}", most as f64 / 1e6));
        parts.push(format!("{:.4}{most} in money", used.micros as f64 / 1e6));
    }
    let resting = if usage.resting { ", resting after faults" } else { "" };
    format!("{}: {kind}: {}{resting}", usage.provider, parts.join(", "))
}
