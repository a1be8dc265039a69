//! Copy from a weighted phrase grammar: a person's words, picked by the viewer's seed.

use std::collections::{BTreeMap, BTreeSet};

use vignette_templates::generate::TextRequest;

use crate::error::{GenerateError, did_you_mean};
use crate::guard;
use crate::provider::{Context, TextProvider};
use crate::random::{SplitMix64, mix};

/// Rules may expand rules this deep.
const MAX_DEPTH: usize = 16;
/// Rules expanded for one line, so that `[a][a]` under `a` ends.
const MAX_EXPANSIONS: usize = 2_000;
/// Lines tried until one fits.
const MAX_TRIES: u64 = 64;
/// Beginnings and endings that are put together in one listing of lines.
const MAX_COMBINATIONS: usize = 400_000;
/// Lines that [`variants`] lists at most.
const MAX_VARIANTS: usize = 10_000;

/// The provider `grammar`: expands [`TextRequest::grammar`], the same for the same seed.
///
/// `[rule]` in a phrase expands a rule, `[[` and `]]` are brackets. Where a line comes out too long or unusable,
/// the next one in the seed's sequence is tried.
#[derive(Clone, Copy, Debug, Default)]
pub struct Grammar;

impl TextProvider for Grammar {
    fn name(&self) -> &str {
        "grammar"
    }

    fn model(&self) -> String {
        "weighted phrases 1".to_owned()
    }

    fn synthetic(&self) -> bool {
        false
    }

    fn generate(&self, request: &TextRequest, context: &Context) -> Result<String, GenerateError> {
        let started = std::time::Instant::now();
        let rules = Rules::parse(request)?;
        let mut last = None;
        for attempt in 0..MAX_TRIES {
            context.check("grammar", started)?;
            let mut random = SplitMix64::new(mix(context.seed).wrapping_add(attempt));
            let line = rules.line(&mut random, request.max_chars);
            match line.and_then(|line| guard::check_text(&line, request.max_chars)) {
                Ok(line) => return Ok(line),
                Err(reason) => last = Some(reason),
            }
        }
        // Lines that fit may be so unlikely that chance does not find them: then any that fits.
        context.check("grammar", started)?;
        let fitting = variants(request, 256)?;
        if !fitting.is_empty() {
            return Ok(fitting[SplitMix64::new(mix(context.seed)).below(fitting.len())].clone());
        }
        Err(GenerateError::Rejected {
            provider: "grammar".to_owned(),
            reason: format!(
                "none of {MAX_TRIES} lines was usable; of the last, {}",
                last.unwrap_or_default()
            ),
        })
    }
}

/// The distinct usable lines that the grammar can write, at most `limit` (and at most 10 000), in the order in
/// which the template lists its phrases: for a person to approve.
///
/// # Errors
/// When the request has no grammar, or the grammar is wrong.
pub fn variants(request: &TextRequest, limit: usize) -> Result<Vec<String>, GenerateError> {
    let rules = Rules::parse(request)?;
    let limit = limit.min(MAX_VARIANTS);
    // Some lines fall to the guard afterwards; ask for more so that `limit` remain.
    let mut listing = Listing {
        limit: limit.saturating_mul(2),
        max_chars: request.max_chars,
        combinations: MAX_COMBINATIONS,
        known: BTreeMap::new(),
    };
    let lines = rules.all("start", 0, &mut listing);
    let mut seen = BTreeSet::new();
    Ok(lines
        .iter()
        .filter_map(|line| guard::check_text(line, request.max_chars).ok())
        .filter(|line| seen.insert(line.clone()))
        .take(limit)
        .collect())
}

/// The bounds of one listing, and what it knows already.
struct Listing<'a> {
    limit: usize,
    max_chars: usize,
    combinations: usize,
    /// The lines of a rule at a depth.
    known: BTreeMap<(&'a str, usize), Vec<String>>,
}

/// Bytes beyond which a line cannot fit any more, however its white space and control characters shrink it.
fn longest_useful(max_chars: usize) -> usize {
    max_chars.saturating_mul(32).saturating_add(256).min(64 << 10)
}

/// A grammar that was checked: every rule that is named exists.
struct Rules<'a> {
    rules: BTreeMap<&'a str, Vec<(f64, Vec<Part<'a>>)>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Part<'a> {
    Words(&'a str),
    Rule(&'a str),
}

impl<'a> Rules<'a> {
    fn parse(request: &'a TextRequest) -> Result<Self, GenerateError> {
        let invalid = |message: String| GenerateError::Invalid(format!("grammar: {message}"));
        let grammar = &request.grammar;
        if grammar.is_empty() {
            return Err(invalid("this provider needs a grammar, and the template gives none".to_owned()));
        }
        let known = || grammar.keys().map(String::as_str);
        if !grammar.contains_key("start") {
            let hint = did_you_mean("start", known());
            return Err(invalid(format!("there is no rule `start` to begin with{hint}")));
        }
        let mut rules = BTreeMap::new();
        for (rule, phrases) in grammar {
            if phrases.is_empty() {
                return Err(invalid(format!("rule `{rule}` has no phrase")));
            }
            let mut parsed = Vec::with_capacity(phrases.len());
            for (index, phrase) in phrases.iter().enumerate() {
                let place = format!("{rule}[{index}]");
                if !(phrase.weight.is_finite() && phrase.weight > 0.0) {
                    return Err(invalid(format!(
                        "{place}: weight is {}, and must be greater than 0",
                        phrase.weight
                    )));
                }
                let parts = parts(&phrase.say).map_err(|reason| invalid(format!("{place}: {reason}")))?;
                for part in &parts {
                    if let Part::Rule(name) = part
                        && !grammar.contains_key(*name)
                    {
                        let hint = did_you_mean(name, known());
                        return Err(invalid(format!("{place}: unknown rule `{name}`{hint}")));
                    }
                }
                parsed.push((phrase.weight, parts));
            }
            rules.insert(rule.as_str(), parsed);
        }
        Ok(Rules { rules })
    }

    /// One line, or why this sequence of choices gives none.
    fn line(&self, random: &mut SplitMix64, max_chars: usize) -> Result<String, String> {
        let mut line =
            Line { words: String::new(), expansions: 0, max_bytes: longest_useful(max_chars), random };
        self.expand("start", 0, &mut line)?;
        Ok(line.words)
    }

    fn expand(&self, rule: &str, depth: usize, line: &mut Line<'_>) -> Result<(), String> {
        line.expansions += 1;
        if depth > MAX_DEPTH || line.expansions > MAX_EXPANSIONS {
            return Err(format!("rule `{rule}` keeps expanding itself"));
        }
        let phrases = self.rules.get(rule).map_or(&[][..], Vec::as_slice);
        for part in pick(phrases, line.random) {
            match part {
                Part::Words(words) => line.words.push_str(words),
                Part::Rule(rule) => self.expand(rule, depth + 1, line)?,
            }
            if line.words.len() > line.max_bytes {
                return Err("it is far too long".to_owned());
            }
        }
        Ok(())
    }

    /// The distinct expansions of a rule that can still fit, within the listing's bounds. Each rule is worked out once
    /// per depth.
    fn all(&self, rule: &'a str, depth: usize, listing: &mut Listing<'a>) -> Vec<String> {
        if depth > MAX_DEPTH {
            return Vec::new();
        }
        if let Some(known) = listing.known.get(&(rule, depth)) {
            return known.clone();
        }
        let mut lines = Vec::new();
        let mut seen = BTreeSet::new();
        for (_, parts) in self.rules.get(rule).map_or(&[][..], Vec::as_slice) {
            let mut starts = vec![String::new()];
            for part in parts {
                let endings = match part {
                    Part::Words(words) => vec![(*words).to_owned()],
                    Part::Rule(rule) => self.all(rule, depth + 1, listing),
                };
                starts = listing.combine(&starts, &endings);
            }
            lines.extend(starts.into_iter().filter(|line| seen.insert(line.clone())));
            lines.truncate(listing.limit);
        }
        listing.known.insert((rule, depth), lines.clone());
        lines
    }
}

impl Listing<'_> {
    /// Each start with each ending, as far as they fit and the bounds allow.
    fn combine(&mut self, starts: &[String], endings: &[String]) -> Vec<String> {
        let mut lines = Vec::new();
        for (start, end) in starts.iter().flat_map(|start| endings.iter().map(move |end| (start, end))) {
            if lines.len() >= self.limit || self.combinations == 0 {
                break;
            }
            self.combinations -= 1;
            // Cheap first: what is much too long in bytes is not looked at.
            if start.len() + end.len() > longest_useful(self.max_chars) {
                continue;
            }
            let line = format!("{start}{end}");
            if guard::count_chars(&guard::clean(&line)) <= self.max_chars {
                lines.push(line);
            }
        }
        lines
    }
}

struct Line<'r> {
    words: String,
    expansions: usize,
    max_bytes: usize,
    random: &'r mut SplitMix64,
}

fn pick<'p, 'a>(phrases: &'p [(f64, Vec<Part<'a>>)], random: &mut SplitMix64) -> &'p [Part<'a>] {
    let total: f64 = phrases.iter().map(|(weight, _)| weight).sum();
    let mut at = random.unit() * total;
    for (weight, parts) in phrases {
        at -= weight;
        if at < 0.0 {
            return parts;
        }
    }
    // Rounding may leave a trace of weight behind the last.
    phrases.last().map_or(&[], |(_, parts)| parts.as_slice())
}

/// A phrase cut at its brackets.
fn parts(phrase: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = phrase;
    while let Some(at) = rest.find(['[', ']']) {
        let (words, bracket) = rest.split_at(at);
        if !words.is_empty() {
            parts.push(Part::Words(words));
        }
        if bracket.starts_with("[[") || bracket.starts_with("]]") {
            parts.push(Part::Words(&bracket[..1]));
            rest = &bracket[2..];
        } else if let Some(inside) = bracket.strip_prefix('[') {
            let end = inside.find(']').ok_or("`[` without `]`; a bracket itself is written `[[`")?;
            parts.push(Part::Rule(inside[..end].trim()));
            rest = &inside[end + 1..];
        } else {
            return Err("`]` without `[`; a bracket itself is written `]]`".to_owned());
        }
    }
    if !rest.is_empty() {
        parts.push(Part::Words(rest));
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::{Duration, Instant};

    use vignette_templates::generate::Phrase;

    use super::*;

    fn request(rules: &[(&str, &[(&str, f64)])], max_chars: usize) -> TextRequest {
        let grammar = rules
            .iter()
            .map(|(rule, phrases)| {
                let phrases =
                    phrases.iter().map(|(say, weight)| Phrase { say: (*say).into(), weight: *weight });
                ((*rule).to_owned(), phrases.collect())
            })
            .collect::<BTreeMap<_, Vec<_>>>();
        TextRequest { grammar, max_chars, ..TextRequest::default() }
    }

    fn write(request: &TextRequest, seed: u64) -> Result<String, GenerateError> {
        let deadline = Instant::now() + Duration::from_secs(30);
        Grammar.generate(request, &Context { name: "hook".into(), locale: "en".into(), seed, deadline })
    }

    #[test]
    fn a_seed_always_writes_the_same_words() {
        let request = request(
            &[
                ("start", &[("[hello], Maria[end]", 1.0), ("Maria, [hello][end]", 1.0)]),
                ("hello", &[("hello", 1.0), ("good to see you", 1.0), ("welcome", 1.0)]),
                ("end", &[("!", 1.0), (".", 1.0)]),
            ],
            60,
        );
        let lines: Vec<_> = (0..200).map(|seed| write(&request, seed).unwrap()).collect();
        let again: Vec<_> = (0..200).map(|seed| write(&request, seed).unwrap()).collect();
        assert_eq!(lines, again);
        let distinct: BTreeSet<_> = lines.iter().cloned().collect();
        assert_eq!(distinct, variants(&request, 100).unwrap().into_iter().collect());
        assert_eq!(distinct.len(), 12);
        // Pinned: another line here would change the words of viewers who were served before.
        assert_eq!(lines[..3], PINNED.map(str::to_owned));
    }

    const PINNED: [&str; 3] = ["Maria, good to see you!", "Maria, good to see you!", "welcome, Maria!"];

    #[test]
    fn weights_decide_how_often() {
        let request = request(&[("start", &[("often", 9.0), ("seldom", 1.0)])], 20);
        let seldom = (0..5_000).filter(|seed| write(&request, *seed).unwrap() == "seldom").count();
        assert!((400..600).contains(&seldom), "{seldom} of 5000");
    }

    #[test]
    fn a_line_that_does_not_fit_is_written_anew() {
        let request = request(&[("start", &[("far too long for the box", 20.0), ("short", 1.0)])], 8);
        for seed in 0..20 {
            assert_eq!(write(&request, seed).unwrap(), "short");
        }
    }

    #[test]
    fn faults_name_the_place_and_the_remedy() {
        let table: &[(&str, TextRequest, &str)] = &[
            ("no grammar", request(&[], 20), "needs a grammar"),
            ("no start", request(&[("strat", &[("x", 1.0)])], 20), "did you mean `strat`"),
            (
                "unknown rule in a phrase that is hardly ever chosen",
                request(&[("start", &[("a", 1e9), ("[gretting]", 1e-9)]), ("greeting", &[("b", 1.0)])], 20),
                "start[1]: unknown rule `gretting`; did you mean `greeting`?",
            ),
            ("open bracket", request(&[("start", &[("a [b", 1.0)])], 20), "start[0]: `[` without `]`"),
            ("closed bracket", request(&[("start", &[("a] b", 1.0)])], 20), "`]` without `[`"),
            ("no phrase", request(&[("start", &[])], 20), "rule `start` has no phrase"),
            ("weight 0", request(&[("start", &[("a", 0.0)])], 20), "weight is 0"),
            ("weight NaN", request(&[("start", &[("a", f64::NAN)])], 20), "weight is NaN"),
            ("endless", request(&[("start", &[("a[start]", 1.0)])], 20), "keeps expanding itself"),
            ("doubling", request(&[("start", &[("[start][start]", 1.0)])], 20), "keeps expanding itself"),
            ("too long always", request(&[("start", &[("much too long", 1.0)])], 5), "at most 5 fit"),
            ("unfilled", request(&[("start", &[("Hi {{name}}", 1.0)])], 20), "never filled in"),
        ];
        for (name, request, expected) in table {
            let message = write(request, 7).unwrap_err().to_string();
            assert!(message.contains(expected), "{name}: {message}");
        }
    }

    #[test]
    fn brackets_can_be_written() {
        let request = request(&[("start", &[("[[1]] of [n]", 1.0)]), ("n", &[("3", 1.0)])], 20);
        assert_eq!(write(&request, 0).unwrap(), "[1] of 3");
    }

    #[test]
    fn listing_variants_is_bounded() {
        let wide: Vec<(String, f64)> = (0..50).map(|n| (format!("w{n} "), 1.0)).collect();
        let wide: Vec<(&str, f64)> = wide.iter().map(|(say, weight)| (say.as_str(), *weight)).collect();
        let request = request(&[("start", &[("[w][w][w][w][w][w][w][w]", 1.0)]), ("w", &wide)], 100);
        assert_eq!(variants(&request, 500).unwrap().len(), 500);
        let endless = self::request(&[("start", &[("[start][start]", 1.0), ("x", 1.0)])], 10);
        assert!(variants(&endless, 100).unwrap().contains(&"xx".to_owned()));
    }
}
