//! Whether a line that a machine wrote may be shown, and which of several is best.

use std::collections::BTreeSet;

use vignette_templates::generate::{Request, TextRequest};

use super::names::{self, Others};
use super::words::{self, WordLists};
use super::{check_text, count_chars, language, numbers, overrides_direction};

/// What a line is judged by.
pub(crate) struct Measure<'a> {
    pub request: &'a Request,
    pub text: &'a TextRequest,
    pub lists: &'a WordLists,
    pub others: &'a Others,
}

/// The best of `lines` that may be shown.
///
/// # Errors
/// What is wrong with each of them.
pub(crate) fn judge(lines: &[String], copy: &Measure<'_>) -> Result<String, String> {
    let mut best: Option<(i64, String)> = None;
    let mut reasons: Vec<String> = Vec::new();
    for line in lines {
        match check(line, copy) {
            Ok(line) => {
                let score = score(&line, copy.text.max_chars);
                // The first of equals stays.
                if best.as_ref().is_none_or(|(before, _)| score > *before) {
                    best = Some((score, line));
                }
            }
            Err(reason) if reasons.contains(&reason) => {}
            Err(reason) => reasons.push(reason),
        }
    }
    match best {
        Some((_, line)) => Ok(line),
        None if reasons.is_empty() => Err("there is no line in it".to_owned()),
        None => Err(reasons.join("; ")),
    }
}

/// The line as it may be shown.
fn check(line: &str, copy: &Measure<'_>) -> Result<String, String> {
    if overrides_direction(line) {
        return Err("it holds characters that change the direction of writing".to_owned());
    }
    if let Some(reason) = words::refusal(line) {
        return Err(reason.to_owned());
    }
    let line = check_text(line, copy.text.max_chars)?;
    let line = unquoted(&line);
    if line.trim().is_empty() {
        return Err("there are no words in it".to_owned());
    }
    if line.contains("**") || line.starts_with(['#', '*', '>']) || line.contains("](") {
        return Err("it holds the marks of a formatted text".to_owned());
    }
    // All that whoever wrote the line was given, and what the template's author wrote for it.
    let told = told(copy.text);
    if ["http:", "https:", "www."]
        .iter()
        .any(|mark| line.to_lowercase().contains(mark) && !told.contains(mark))
        || (line.contains('@') && !told.contains('@'))
    {
        return Err("it holds an address that was not given".to_owned());
    }
    let locale = &copy.request.locale;
    let said = numbers::numbers(&line, locale);
    for fact in &copy.text.facts {
        let in_words = || numbers::is_number(fact) && numbers::numbers(fact, locale).is_subset(&said);
        if !holds(&line, fact) && !in_words() {
            return Err("it lacks a fact that has to be said".to_owned());
        }
    }
    let given = numbers::numbers(&told, locale);
    if said.iter().any(|number| !given.contains(number)) {
        return Err("it holds a number that was not given".to_owned());
    }
    let given: BTreeSet<String> = told
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    // What was not given is not accepted either where it happens to be the viewer's own: the line is kept for everybody of whom the
    // same is asked.
    let known = |word: &str| {
        let mut parts = word.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty());
        parts.all(|part| given.contains(&part.to_lowercase()))
    };
    let own: Vec<String> = copy.request.viewer.values.iter().filter(|value| known(value)).cloned().collect();
    names::check(&line, &known, copy.others)?;
    copy.lists.check(&line, &own)?;
    language::check(&line, &copy.request.locale, &known)?;
    if says_nothing_else(&line, &copy.text.facts) {
        return Err("it says nothing but the facts".to_owned());
    }
    if is_fragment(&line) {
        return Err("it is no whole sentence or phrase".to_owned());
    }
    if repeats(&line, &copy.text.prompt) {
        return Err("it repeats what it was asked to write".to_owned());
    }
    Ok(line)
}

/// All words that take part in a request.
fn told(text: &TextRequest) -> String {
    let mut told = super::clean(&text.prompt);
    for part in text.facts.iter().chain(&text.fallback) {
        told.push_str(" ; ");
        told.push_str(&super::clean(part));
    }
    told
}

/// Whether `line` says `fact`: as it is but for capitals, and as words of its own.
fn holds(line: &str, fact: &str) -> bool {
    let fold = |text: &str| super::clean(text).replace('’', "'").to_lowercase();
    let (line, fact) = (fold(line), fold(fact));
    if fact.is_empty() {
        return true;
    }
    // Scripts without spaces have no edges of words to look for.
    let edged = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() && u32::from(c) < 0x0E00);
    line.match_indices(&fact).any(|(at, _)| {
        let end = at + fact.len();
        let inner_start = edged(fact.chars().next()) && edged(line[..at].chars().next_back());
        let inner_end = edged(fact.chars().next_back()) && edged(line[end..].chars().next());
        // `9` is not said by `9.5`, nor by `1,999`.
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_numeric());
        let mut after = line[end..].chars();
        let goes_on = digit(fact.chars().next_back())
            && matches!(after.next(), Some('.' | ',' | '\''))
            && digit(after.next());
        let mut before = line[..at].chars().rev();
        let comes_from = digit(fact.chars().next())
            && matches!(before.next(), Some('.' | ',' | '\''))
            && digit(before.next());
        !inner_start && !inner_end && !goes_on && !comes_from
    })
}

/// Whether `line` has no letter besides those of `facts`: names and figures alone are no sentence.
fn says_nothing_else(line: &str, facts: &[String]) -> bool {
    let mut rest = super::clean(line).to_lowercase();
    for fact in facts.iter().map(|fact| super::clean(fact).to_lowercase()).filter(|fact| !fact.is_empty()) {
        rest = rest.replace(&fact, " ");
    }
    !facts.is_empty() && !rest.chars().any(char::is_alphabetic)
}

/// Whether `line` breaks off or is a word by itself: it ends without a mark, and begins in the middle of a sentence or has fewer words than
/// a phrase needs. Scripts without capitals or spaces are not judged by them.
fn is_fragment(line: &str) -> bool {
    let words = line.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count();
    let is_spaced = line.chars().all(|c| u32::from(c) < 0x0E00 || !c.is_alphabetic());
    let begins_inside = line.chars().find(|c| c.is_alphanumeric()).is_some_and(char::is_lowercase);
    !ends_as_sentence(line) && (begins_inside || (is_spaced && words < 3))
}

fn ends_as_sentence(line: &str) -> bool {
    line.ends_with(['.', '!', '?', '…', '。', '！', '？', '।', '؟', '۔'])
}

/// Words of a prompt's beginning that no line of copy says in this order, unless it repeats the prompt.
const OPENING: usize = 5;

/// Whether `line` begins or goes on as `prompt` begins. An instruction begins with what is to be done, which is nothing for a viewer;
/// models that do not follow it give it back.
fn repeats(line: &str, prompt: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let lower = super::clean(text).to_lowercase();
        let words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.map(str::to_owned).collect()
    };
    let (line, prompt) = (words(line), words(prompt));
    let opening = &prompt[..prompt.len().min(OPENING)];
    // Shorter ones (`Greet Maria`) could be said by chance.
    opening.len() > 2 && line.windows(opening.len()).any(|part| part == opening)
}

/// A line that a model put between quotation marks, without them.
fn unquoted(line: &str) -> String {
    for (open, close) in [('"', '"'), ('“', '”'), ('„', '“'), ('«', '»'), ('「', '」')] {
        if let Some(inner) = line.strip_prefix(open).and_then(|rest| rest.strip_suffix(close))
            && !inner.contains([open, close])
        {
            return inner.trim().to_owned();
        }
    }
    line.to_owned()
}

/// How good a line is that may be shown: one that fills its place comfortably, ends as a sentence does, and does not shout.
fn score(line: &str, max_chars: usize) -> i64 {
    let fill = count_chars(line) as f64 / max_chars.max(1) as f64;
    let mut score = match fill {
        0.35..=0.9 => 20,
        0.2..=1.0 => 10,
        _ => 0,
    };
    if ends_as_sentence(line) {
        score += 10;
    }
    score -= 3 * (line.matches('!').count() as i64 - 1).max(0);
    let letters = line.chars().filter(|c| c.is_alphabetic()).count();
    let shouted = line.chars().filter(|c| c.is_uppercase()).count();
    if letters > 8 && shouted * 2 > letters {
        score -= 15;
    }
    if line.chars().any(|c| matches!(u32::from(c), 0x2600..=0x27BF | 0x1F300..=0x1FAFF)) {
        score -= 5;
    }
    if line.contains(" - ") || line.contains(" — ") {
        score -= 1;
    }
    score
}

#[cfg(test)]
mod tests {
    use vignette_templates::generate::{RequestKind, Viewer};

    use super::*;

    fn judged(line: &str, facts: &[&str], locale: &str) -> Result<String, String> {
        let text = TextRequest {
            prompt: "One warm sentence for Maria, who has 3 courses left of 1,250.50 €".into(),
            facts: facts.iter().map(|fact| (*fact).to_owned()).collect(),
            max_chars: 60,
            fallback: Some("Good to see you, Maria".into()),
            ..TextRequest::default()
        };
        let request = Request {
            name: "hook".into(),
            locale: locale.into(),
            seed: 1,
            kind: RequestKind::Text(text.clone()),
            viewer: Viewer { values: vec!["Maria".into()], ..Viewer::default() },
        };
        let others = Others::default();
        others.note(&["Jonas".into()]);
        let copy = Measure { request: &request, text: &text, lists: &WordLists::default(), others: &others };
        judge(&[line.to_owned()], &copy)
    }

    #[test]
    fn a_number_may_be_said_in_words() {
        for (line, fact, locale, is_said) in [
            ("Maria has three courses to go.", "3", "en", true),
            ("Maria has thirty courses to go.", "3", "en", false),
            ("Maria hat noch einundzwanzig Kurse.", "21", "de", true),
            ("Maria has three courses to go.", "3 €", "en", false),
        ] {
            let said = judged(line, &[fact], locale).map_err(|error| error.contains("lacks a fact"));
            assert_eq!(said != Err(true), is_said, "{line}: {said:?}");
        }
    }

    #[test]
    fn lines_have_to_prove_themselves() {
        let table = [
            ("good", "Welcome back, Maria! Three courses to go.", "en", Ok(())),
            ("possessive", "It is Maria's day: 3 courses left.", "en", Ok(())),
            ("quoted", "\"Maria, 3 courses are left.\"", "en", Ok(())),
            ("no name", "Welcome back! 3 courses to go.", "en", Err("lacks a fact")),
            ("inside a word", "Welcome, Mariana! 3 to go.", "en", Err("lacks a fact")),
            ("invented number", "Maria, 4 courses to go.", "en", Err("a number that was not given")),
            ("invented share", "Maria, you are 90% there.", "en", Err("a number that was not given")),
            ("invented in words", "Maria, only two minutes more.", "en", Err("a number that was not given")),
            ("invented in German words", "Maria, noch zwei Kurse!", "de", Err("a number that was not given")),
            ("several words", "Maria, twenty-three minutes more.", "en", Err("a number that was not given")),
            (
                "one German word",
                "Maria, noch dreizehnhundert Kurse!",
                "de",
                Err("a number that was not given"),
            ),
            ("price in another form", "Maria, 1250,5 € it is.", "en", Ok(())),
            ("wrong price", "Maria, 125,050 € it is.", "en", Err("a number that was not given")),
            ("another viewer", "Maria, tell Jonas about it.", "en", Err("personal to another viewer")),
            ("placeholder", "Welcome, Maria! [COURSE] waits.", "en", Err("never filled in")),
            ("null", "Maria, your next course is null.", "en", Err("never filled in")),
            ("refusal", "I cannot write about Maria.", "en", Err("refuses")),
            ("itself", "As an AI, I greet you, Maria.", "en", Err("speaks of itself")),
            ("profanity", "Fuck yeah, Maria!", "en", Err("word filter")),
            ("overrides", "Welcome \u{202e}Maria\u{202c}!", "en", Err("direction of writing")),
            ("address", "Maria, visit www.evil.example", "en", Err("an address")),
            ("markup", "**Welcome**, Maria!", "en", Err("formatted text")),
            ("language", "Willkommen zurück, Maria, schön, dass du da bist", "en", Err("reads like \"de\"")),
            (
                "too long",
                "Maria, welcome back to the long, long road that leads through all of it",
                "en",
                Err("at most 60"),
            ),
            ("empty", " ", "en", Err("empty")),
            ("the name alone", "Maria!", "en", Err("nothing but the facts")),
            ("a word", "Maria now", "en", Err("no whole sentence")),
            ("a part of a sentence", "and Maria has three courses left", "en", Err("no whole sentence")),
            ("a phrase", "Three courses left, Maria", "en", Ok(())),
            ("the prompt", "One warm sentence for Maria!", "en", Err("repeats what it was asked")),
            ("a part of the prompt", "Maria, who has 3 courses left.", "en", Ok(())),
        ];
        for (name, line, locale, expected) in table {
            let result = judged(line, &["maria"], locale);
            match expected {
                Ok(()) => assert!(result.is_ok(), "{name}: {result:?}"),
                Err(reason) => {
                    let error = result.expect_err(name);
                    assert!(error.contains(reason), "{name}: {error}");
                    assert!(!error.contains("Maria") && !error.contains("Jonas"), "{name}: {error}");
                }
            }
        }
    }

    #[test]
    fn what_was_not_given_is_refused_even_if_it_is_the_viewers_own() {
        let text = TextRequest { prompt: "A line".into(), max_chars: 60, ..TextRequest::default() };
        let request = Request {
            name: "hook".into(),
            locale: "en".into(),
            seed: 1,
            kind: RequestKind::Text(text.clone()),
            viewer: Viewer { values: vec!["Shittu".into(), "Maria".into()], ..Viewer::default() },
        };
        let others = Others::default();
        others.note(&request.viewer.values);
        let copy = Measure { request: &request, text: &text, lists: &WordLists::default(), others: &others };
        for line in ["Welcome back, Maria!", "A day for Maria.", "Hello Shittu!"] {
            let reason = judge(&[line.to_owned()], &copy).unwrap_err();
            assert!(!reason.contains("Maria"), "{reason}");
        }
        assert!(judge(&["Welcome back, all is ready!".to_owned()], &copy).is_ok());
    }

    #[test]
    fn facts_are_whole() {
        let table = [
            ("for 9 €", "9", true),
            ("for 9.", "9", true),
            ("for 9.5 €", "9", false),
            ("for 1,999 €", "999", false),
            ("on 19 May", "9", false),
            ("Hello ann!", "Ann", true),
            ("Hello Anna!", "Ann", false),
            ("はい、美咲さん", "美咲", true),
            ("for 1\u{a0}250 €", "1 250 €", true),
        ];
        for (line, fact, expected) in table {
            assert_eq!(holds(line, fact), expected, "{fact} in {line}");
        }
    }

    #[test]
    fn the_best_line_is_taken() {
        let text = TextRequest { max_chars: 40, ..TextRequest::default() };
        let request = Request {
            name: "hook".into(),
            locale: "en".into(),
            seed: 1,
            kind: RequestKind::Text(text.clone()),
            viewer: Viewer::default(),
        };
        let others = Others::default();
        let copy = Measure { request: &request, text: &text, lists: &WordLists::default(), others: &others };
        let lines =
            ["Hi", "WELCOME BACK TO THE COURSE", "Good to see you here again.", "Call 5555 now please."];
        let lines = lines.map(str::to_owned);
        assert_eq!(judge(&lines, &copy).as_deref(), Ok("Good to see you here again."));
        let reasons = judge(&["Call 5555".to_owned(), "I cannot help.".to_owned()], &copy).unwrap_err();
        assert!(reasons.contains("number") && reasons.contains("refuses"), "{reasons}");
    }
}
