//! What is said for what is written: numbers, dates, times, money, units, abbreviations and addresses in words.

mod tables;

use super::numbers;
use crate::voice::flite;
use tables::{
    ABBREVIATIONS, CURRENCIES, Currency, MONTHS, REGNAL, ROMAN_AFTER, SCALES, TITLES, TOP_LEVEL, UNITS,
};

/// How a country reads what English-speaking countries read differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::voice) struct Manner {
    /// `3/4/2026` is the third of April.
    day_first: bool,
    /// `105` is *one hundred and five*.
    and: bool,
}

impl Manner {
    /// That of a BCP 47 tag: American without a region, and where America's ways are taken.
    pub(in crate::voice) fn of(locale: &str) -> Self {
        let american = |region: &str| {
            region.len() != 2 || ["US", "PH", "PR", "GU", "VI"].iter().any(|a| region.eq_ignore_ascii_case(a))
        };
        let elsewhere =
            locale.split(['-', '_']).skip(1).take_while(|part| part.len() > 1).any(|part| !american(part));
        Manner { day_first: elsewhere, and: elsewhere }
    }
}

/// A word to say or a pause to make.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::voice) struct Spoken {
    pub(in crate::voice) text: String,
    /// Which of the written words it comes from; never descending.
    pub(in crate::voice) written: usize,
    pub(in crate::voice) kind: SpokenKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::voice) enum SpokenKind {
    Word,
    /// Each letter by its name.
    Letters,
    /// One of `. , ; : ! ? … — “ ” ( )`.
    Mark(char),
}

/// What is said for these words, each written with the punctuation that follows it. `is_listed` tells words that
/// somebody's lexicon has as they are written, which are left alone.
pub(in crate::voice) fn read(
    words: &[String],
    manner: Manner,
    is_listed: &dyn Fn(&str) -> bool,
) -> Vec<Spoken> {
    let pieces: Vec<Piece> = words
        .iter()
        .enumerate()
        .flat_map(|(written, word)| word.split_whitespace().map(move |piece| Piece::cut(piece, written)))
        .collect();
    let mut reader = Reader { pieces, at: 0, manner, is_listed, said: Vec::new() };
    while reader.at < reader.pieces.len() {
        reader.piece();
    }
    reader.said
}

/// Letters of English for those with marks: `Zoë` as `Zoe`.
pub(super) fn fold(word: &str) -> String {
    let mut folded = String::with_capacity(word.len());
    for c in word.chars() {
        match flite::fold(c) {
            Some(letters) => folded.push_str(letters),
            None => folded.push(c),
        }
    }
    folded
}

/// The parts of a word that is joined by hyphens or by capitals.
pub(super) fn parts(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    for piece in word.split(['-', '‐', '‑', '/', '·', '_']).filter(|piece| !piece.is_empty()) {
        let mut from = 0;
        let chars: Vec<(usize, char)> = piece.char_indices().collect();
        for window in chars.windows(2) {
            let ((_, before), (at, c)) = (window[0], window[1]);
            if before.is_lowercase() && c.is_uppercase() {
                parts.push(&piece[from..at]);
                from = at;
            }
        }
        parts.push(&piece[from..]);
    }
    parts
}

/// The word, and what is joined to it by an apostrophe: `don't` as `do`, `n't`.
pub(super) fn clitics(word: &str) -> impl Iterator<Item = &str> {
    let cut = ["n't", "'s", "'re", "'ll", "'ve", "'d", "'m"].into_iter().find_map(|ending| {
        let at = word.len().checked_sub(ending.len())?;
        (at > 0 && word.is_char_boundary(at) && word[at..].eq_ignore_ascii_case(ending)).then_some(at)
    });
    let (head, tail) = word.split_at(cut.unwrap_or(word.len()));
    [head, tail].into_iter().filter(|part| !part.is_empty())
}

/// A word without the punctuation around it.
struct Piece {
    written: usize,
    lead: Vec<char>,
    core: String,
    trail: Vec<char>,
}

impl Piece {
    fn cut(piece: &str, written: usize) -> Self {
        let plain: String = piece
            .chars()
            .map(|c| match c {
                '’' | '‘' | '‛' | 'ʼ' | '´' | '`' => '\'',
                '−' | '‐' | '‑' => '-',
                '\u{A0}' | '\u{202F}' => ' ',
                c => c,
            })
            .collect();
        let mut core = plain.as_str();
        let mut lead = Vec::new();
        while let Some(c) = core.chars().next() {
            let mark = match c {
                '"' | '“' | '„' | '«' | '»' => Some('“'),
                '(' | '[' | '{' => Some('('),
                '\'' if !keeps_apostrophe(core) => None,
                '¿' | '¡' | '<' | '>' | '*' | '_' | '|' | '•' | '·' | ']' | '}' | ')' | '!' | '?' | ';'
                | ':' | ',' | '\\' | '^' | '~' => None,
                '.' if !core[1..].starts_with(|c: char| c.is_ascii_digit()) => Some('.'),
                '…' | '—' | '–' => Some(if c == '…' { '…' } else { '—' }),
                '-' if !core[1..].starts_with(|c: char| c.is_ascii_digit() || "$£€.".contains(c)) => {
                    Some('—')
                }
                _ => break,
            };
            lead.extend(mark);
            core = &core[c.len_utf8()..];
        }
        let mut trail = Vec::new();
        while let Some(c) = core.chars().next_back() {
            let mark = match c {
                '.' | ',' | ';' | ':' | '!' | '?' | '…' => Some(c),
                '。' => Some('.'),
                '，' | '、' => Some(','),
                '！' => Some('!'),
                '？' => Some('?'),
                '"' | '”' | '“' | '»' | '«' => Some('”'),
                ')' | ']' | '}' => Some(')'),
                '—' | '–' => Some('—'),
                '\'' | '-' | '<' | '>' | '*' | '_' | '|' | '\\' | '^' | '~' | '•' | '·' | '(' | '[' | '{'
                | '/' => None,
                _ => break,
            };
            // What is left out keeps its place, so that marks of an abbreviation are told from those after it.
            trail.extend(mark);
            core = &core[..core.len() - c.len_utf8()];
        }
        trail.reverse();
        // What a word that is all punctuation leaves is a pause, not an opening.
        if core.is_empty() {
            for mark in &mut lead {
                *mark = match *mark {
                    '“' => '”',
                    '(' => ')',
                    mark => mark,
                };
            }
        }
        Piece { written, lead, core: core.to_owned(), trail }
    }

    /// Whether the next word follows without a pause.
    fn flows(&self) -> bool {
        self.trail.is_empty()
    }

    fn is_capitalised(&self) -> bool {
        self.core.starts_with(char::is_uppercase)
    }
}

/// Whether an apostrophe in front belongs to the word.
fn keeps_apostrophe(word: &str) -> bool {
    let rest = word[1..].trim_end_matches(|c: char| !c.is_alphanumeric());
    ["tis", "twas", "em", "cause", "til", "bout", "cos"].iter().any(|known| rest.eq_ignore_ascii_case(known))
}

struct Reader<'a> {
    pieces: Vec<Piece>,
    at: usize,
    manner: Manner,
    is_listed: &'a dyn Fn(&str) -> bool,
    said: Vec<Spoken>,
}

impl Reader<'_> {
    /// Says the piece at `at`, and further ones that are read together with it.
    fn piece(&mut self) {
        let piece = &self.pieces[self.at];
        let (written, core) = (piece.written, piece.core.clone());
        for mark in piece.lead.clone() {
            self.mark(mark, written);
        }
        let mut stop_spoken = true;
        let first = self.at;
        if core.is_empty() {
        } else if (self.is_listed)(&core) {
            self.word(&core, written);
        } else if self.date_in_words(&core) {
        } else if let Some((words, keeps_stop)) = self.abbreviation(&core) {
            stop_spoken = keeps_stop;
            self.words(&words, written);
        } else if let Some(keeps_stop) = self.initials(&core) {
            stop_spoken = keeps_stop;
            self.letters(&core, written);
        } else if !self.roman(&core) {
            self.core(&core, written, true);
        }
        // Reading may have gone on over further pieces.
        let last = &self.pieces[self.at];
        let (written, trail) = (last.written, last.trail.clone());
        let mut before = None;
        let dots = trail.iter().filter(|mark| **mark == '.').count();
        for (index, mark) in trail.into_iter().enumerate() {
            // "Dr. Who" makes no pause, "at 5 p.m." ends a sentence like any other.
            let dropped = mark == '.' && index == 0 && first == self.at && !stop_spoken && dots == 1;
            if !dropped && before != Some(mark) {
                self.mark(if mark == '.' && dots > 1 { '…' } else { mark }, written);
            }
            before = Some(mark);
        }
        self.at += 1;
    }

    fn mark(&mut self, mark: char, written: usize) {
        if self.said.last().is_some_and(|last| last.kind == SpokenKind::Mark(mark)) {
            return;
        }
        self.said.push(Spoken { text: mark.to_string(), written, kind: SpokenKind::Mark(mark) });
    }

    fn word(&mut self, word: &str, written: usize) {
        self.said.push(Spoken { text: word.to_owned(), written, kind: SpokenKind::Word });
    }

    fn words(&mut self, words: &str, written: usize) {
        for word in words.split(' ') {
            self.word(word, written);
        }
    }

    fn say(&mut self, words: &[impl AsRef<str>], written: usize) {
        for word in words {
            self.word(word.as_ref(), written);
        }
    }

    fn letters(&mut self, letters: &str, written: usize) {
        let text: String = letters.chars().filter(|c| c.is_alphabetic()).collect();
        self.said.push(Spoken { text, written, kind: SpokenKind::Letters });
    }

    /// The next piece, if nothing parts it from this one.
    fn following(&self) -> Option<&Piece> {
        self.pieces[self.at]
            .flows()
            .then(|| self.pieces.get(self.at + 1))
            .flatten()
            .filter(|next| next.lead.is_empty())
    }

    /// The words of an abbreviation, and whether the stop after it is one of the sentence too.
    fn abbreviation(&self, core: &str) -> Option<(String, bool)> {
        let piece = &self.pieces[self.at];
        let stopped = piece.trail.first() == Some(&'.');
        let next = self.pieces.get(self.at + 1);
        let ends = next.is_none() || piece.trail.len() > 1;
        if let Some((_, words)) = TITLES.iter().find(|(short, _)| *short == core)
            && next.is_some_and(Piece::is_capitalised)
            && (stopped || (piece.flows() && matches!(core, "Mr" | "Mrs" | "Ms" | "Dr" | "Prof" | "St")))
            // "12 Main St. Suite 5"
            && !(core == "St" && self.at > 0 && self.pieces[self.at - 1].is_capitalised()
                 && self.at > 1 && self.pieces[self.at - 2].core.starts_with(|c: char| c.is_ascii_digit()))
        {
            return Some(((*words).to_owned(), false));
        }
        if matches!(core, "no" | "No" | "nos" | "Nos") {
            let counts = next.is_some_and(|next| next.core.starts_with(|c: char| c.is_ascii_digit()));
            let words = if core.len() == 2 { "number" } else { "numbers" };
            return (stopped && counts).then(|| (words.to_owned(), false));
        }
        if let Some((_, words, needs_stop)) = ABBREVIATIONS.iter().find(|(short, _, _)| *short == core)
            && (stopped || !needs_stop)
        {
            return Some(((*words).to_owned(), ends));
        }
        // A month's or a day's short name ends with a stop, and something follows it.
        if stopped && next.is_some() {
            let month = MONTHS.iter().find(|month| is_short_for(core, month)).copied();
            let day = tables::DAYS.iter().find(|day| core.len() <= 5 && is_short_for(core, day)).copied();
            return month.or(day).map(|words| (words.to_owned(), piece.trail.len() > 1));
        }
        None
    }

    /// Whether these are initials with stops (`U.S.`, `J. Doe`, `p.m.`), and whether the last stop ends the sentence too.
    fn initials(&self, core: &str) -> Option<bool> {
        let piece = &self.pieces[self.at];
        let next = self.pieces.get(self.at + 1);
        let stopped = piece.trail == ['.'];
        let ends = next.is_none() || !stopped;
        let next_is_name = next.is_some_and(Piece::is_capitalised);
        if core.chars().count() == 1 && core.chars().all(char::is_uppercase) && stopped {
            return (next_is_name && core != "I").then_some(false);
        }
        // "7:30 pm"
        let after_number = self.at > 0
            && self.pieces[self.at - 1].flows()
            && self.pieces[self.at - 1].core.ends_with(|c: char| c.is_ascii_digit());
        if after_number && matches!(core, "am" | "pm" | "AM" | "PM") {
            return Some(true);
        }
        let dotted = core.contains('.')
            && core.split('.').all(|part| {
                part.chars().count() <= 2 && part.chars().all(char::is_alphabetic) && !part.is_empty()
            });
        let half = matches!(core.to_ascii_lowercase().as_str(), "a.m" | "p.m");
        dotted.then_some(ends || (half && next_is_name))
    }

    /// `March 3`, `Mar 3rd`, `3 March`, `3rd of March`.
    fn date_in_words(&mut self, core: &str) -> bool {
        let written = self.pieces[self.at].written;
        let and = self.manner.and;
        // "Mar. 3": the stop is the abbreviation's.
        let short = self.pieces[self.at].trail == ['.'] && core.len() <= 4;
        let next = if short {
            self.pieces.get(self.at + 1).filter(|next| next.lead.is_empty())
        } else {
            self.following()
        };
        if let Some(month) = month(core)
            && let Some(next) = next
            && let Some((day, _)) = day(&next.core)
        {
            let next_written = next.written;
            self.word(month, written);
            if self.manner.day_first {
                self.word("the", next_written);
            }
            self.say(&numbers::ordinal(day, and), next_written);
            self.at += 1;
            return true;
        }
        let Some((day, is_ordinal)) = day(core) else { return false };
        let Some(next) = self.following() else { return false };
        let (Some(month), next_written) = (month(&next.core), next.written) else { return false };
        // "May" and "March" are words as well, but not after a number and with a capital.
        let after_the = self.said.last().is_some_and(|last| last.text.eq_ignore_ascii_case("the"));
        if !after_the && !is_ordinal {
            self.word("the", written);
        }
        self.say(&numbers::ordinal(day, and), written);
        self.word("of", written);
        self.word(month, next_written);
        self.at += 1;
        true
    }

    /// `Chapter IV`, `Henry VIII`.
    fn roman(&mut self, core: &str) -> bool {
        let Some(before) = self.at.checked_sub(1).map(|at| &self.pieces[at]).filter(|piece| piece.flows())
        else {
            return false;
        };
        let written = self.pieces[self.at].written;
        let Some(number) = numbers::roman(core) else { return false };
        if ROMAN_AFTER.iter().any(|word| word.eq_ignore_ascii_case(&before.core)) && before.is_capitalised() {
            self.say(&numbers::cardinal(number, false), written);
            return true;
        }
        if number > 1 && REGNAL.contains(&before.core.as_str()) {
            self.word("the", written);
            self.say(&numbers::ordinal(number, false), written);
            return true;
        }
        false
    }

    /// Anything without punctuation around it. `alone` says that it is the whole piece, and not a part of it.
    fn core(&mut self, core: &str, written: usize, alone: bool) {
        if let Some(words) = tables::symbol(core) {
            return self.words(words, written);
        }
        if !core.contains(|c: char| c.is_alphanumeric()) {
            return;
        }
        if alone && self.address(core, written) {
            return;
        }
        if core.contains(|c: char| c.is_ascii_digit())
            && (self.time(core, written)
                || self.date(core, written)
                || self.phone(core, written)
                || self.range(core, written)
                || self.number(core, written, alone)
                || self.mixed(core, written))
        {
            return;
        }
        if let Some(tag) = core.strip_prefix('#').or_else(|| core.strip_prefix('@')) {
            self.word(if core.starts_with('#') { "hashtag" } else { "at" }, written);
            return self.core(tag, written, false);
        }
        if core.contains('.') {
            let parts: Vec<&str> = core.split('.').filter(|part| !part.is_empty()).collect();
            for (index, part) in parts.iter().enumerate() {
                self.core(part, written, false);
                if index + 1 < parts.len() {
                    self.mark('.', written);
                }
            }
            return;
        }
        if let Some(at) = core.find([
            '&', '+', '=', ',', ';', ':', '%', '@', '—', '–', '…', '(', ')', '"', '!', '?', '$', '£', '€',
        ]) {
            let (before, rest) = core.split_at(at);
            let sign = rest.chars().next().unwrap_or(' ');
            let after = &rest[sign.len_utf8()..];
            // "AT&T", "R&D"
            let initials =
                |part: &str| sign == '&' && part.chars().count() <= 2 && part.chars().all(char::is_uppercase);
            if before.is_empty() {
            } else if initials(before) {
                self.letters(before, written);
            } else {
                self.core(before, written, false);
            }
            match sign {
                ',' | ';' | ':' | '—' | '…' | '!' | '?' => self.mark(sign, written),
                '–' => self.mark('—', written),
                sign => {
                    if let Some(words) = tables::symbol(&sign.to_string()) {
                        self.words(words, written);
                    }
                }
            }
            if after.is_empty() {
            } else if initials(after) {
                self.letters(after, written);
            } else {
                self.core(after, written, false);
            }
            return;
        }
        if core.contains('/') {
            for part in core.split('/').filter(|part| !part.is_empty()) {
                self.core(part, written, false);
            }
            return;
        }
        // Signs and pictures are not said.
        let word: String =
            core.chars().filter(|c| c.is_alphanumeric() || matches!(c, '\'' | '-' | '_' | '·')).collect();
        self.word(&word, written);
    }

    /// `7:30`, `7:30pm`, `14:05:10`; any other two numbers with a colon are a ratio.
    fn time(&mut self, core: &str, written: usize) -> bool {
        let digits_end = core.rfind(|c: char| c.is_ascii_digit()).map_or(0, |at| at + 1);
        let (clock, half) = core.split_at(digits_end);
        let fields: Vec<&str> = clock.split(':').collect();
        let numeric = fields
            .iter()
            .all(|field| (1..=2).contains(&field.len()) && field.bytes().all(|b| b.is_ascii_digit()));
        if !(2..=3).contains(&fields.len()) || !numeric {
            return false;
        }
        let half = half.replace('.', "").to_ascii_lowercase();
        let value = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
        let (Some(hour), Some(minute)) = (value(0), value(1)) else { return false };
        let second = value(2);
        if fields[1..].iter().any(|field| field.len() != 2) || hour > 24 || minute > 59 || second > Some(59) {
            if !half.is_empty() || fields.len() != 2 {
                return false;
            }
            self.say(&numbers::cardinal(hour, false), written);
            self.word("to", written);
            self.say(&numbers::cardinal(minute, false), written);
            return true;
        }
        if !matches!(half.as_str(), "" | "am" | "pm") {
            return false;
        }
        let half_follows = self.following().is_some_and(|next| {
            let next = next.core.replace('.', "").to_ascii_lowercase();
            next == "am" || next == "pm"
        });
        self.say(&numbers::cardinal(hour, false), written);
        match minute {
            0 if half.is_empty() && !half_follows && second.is_none() => self.word("o'clock", written),
            0 => {}
            1..10 => {
                self.word("oh", written);
                self.say(&numbers::cardinal(minute, false), written);
            }
            _ => self.say(&numbers::cardinal(minute, false), written),
        }
        if let Some(second) = second {
            self.word("and", written);
            self.say(&numbers::cardinal(second, false), written);
            self.word(if second == 1 { "second" } else { "seconds" }, written);
        }
        if !half.is_empty() {
            self.letters(&half, written);
        }
        true
    }

    /// `2026-03-15`, `3/15/2026`, `15.03.2026`, `1/2`, `24/7`.
    fn date(&mut self, core: &str, written: usize) -> bool {
        let fields = |separator: char| -> Option<Vec<(u64, usize)>> {
            core.split(separator)
                .map(|field| {
                    let right = (1..=4).contains(&field.len()) && field.bytes().all(|b| b.is_ascii_digit());
                    right.then(|| field.parse().ok().map(|value| (value, field.len()))).flatten()
                })
                .collect()
        };
        if let Some([(year, 4), (month, 2), (day, 2)]) = fields('-').as_deref() {
            return self.say_date(Some(*year), *month, *day, written);
        }
        if let Some([(day, 1 | 2), (month, 1 | 2), (year, 4)]) = fields('.').as_deref() {
            return self.say_date(Some(*year), *month, *day, written);
        }
        match fields('/').as_deref() {
            Some([(first, 1 | 2), (second, 1 | 2), (year, length @ (2 | 4))]) => {
                let year = match length {
                    4 => *year,
                    _ if *year > 50 => 1900 + year,
                    _ => 2000 + year,
                };
                let (month, day) = self.month_and_day(*first, *second);
                self.say_date(Some(year), month, day, written)
            }
            Some([(24, _), (7, _)] | [(50, _), (50, _)]) => {
                let (first, second) = core.split_once('/').unwrap_or((core, ""));
                self.say(&numbers::label(first), written);
                self.say(&numbers::label(second), written);
                true
            }
            Some([(upper, _), (lower @ 2..=10, _)]) if upper < lower && *upper > 0 => {
                self.say(&numbers::cardinal(*upper, false), written);
                let part = match lower {
                    2 => "half".to_owned(),
                    4 => "quarter".to_owned(),
                    _ => numbers::ordinal(*lower, false).concat(),
                };
                self.word(&if *upper == 1 { part } else { plural(&part) }, written);
                true
            }
            Some([(first, 1 | 2), (second, 1 | 2)]) => {
                let (month, day) = self.month_and_day(*first, *second);
                self.say_date(None, month, day, written)
            }
            _ => false,
        }
    }

    /// Two numbers of a date as the country has them, and the other way round when only that is a date.
    fn month_and_day(&self, first: u64, second: u64) -> (u64, u64) {
        let as_usual = if self.manner.day_first { (second, first) } else { (first, second) };
        if as_usual.0 <= 12 { as_usual } else { (as_usual.1, as_usual.0) }
    }

    fn say_date(&mut self, year: Option<u64>, month: u64, day: u64, written: usize) -> bool {
        let Some(name) = month.checked_sub(1).and_then(|month| MONTHS.get(month as usize)) else {
            return false;
        };
        if !(1..=31).contains(&day) {
            return false;
        }
        let day = numbers::ordinal(day, false);
        if self.manner.day_first {
            self.word("the", written);
            self.say(&day, written);
            self.word("of", written);
            self.word(name, written);
        } else {
            self.word(name, written);
            self.say(&day, written);
        }
        if let Some(year) = year {
            self.say(&numbers::year(year, self.manner.and), written);
        }
        true
    }

    /// Digits in groups of a telephone number's lengths.
    fn phone(&mut self, core: &str, written: usize) -> bool {
        let plain = core.strip_prefix('+').unwrap_or(core);
        if !plain.chars().all(|c| c.is_ascii_digit() || matches!(c, '-' | '.' | '(' | ')')) {
            return false;
        }
        let groups: Vec<&str> = plain.split(['-', '.', '(', ')']).filter(|group| !group.is_empty()).collect();
        let count: usize = groups.iter().map(|group| group.len()).sum();
        let national = match groups.iter().map(|group| group.len()).collect::<Vec<_>>()[..] {
            // "555.1234" is a number.
            [3, 4] => core.contains('-'),
            [3, 3, 4] => true,
            _ => false,
        };
        let international = core.starts_with('+') && (8..=15).contains(&count);
        if !(national || international || groups.len() >= 4 && (9..=15).contains(&count)) {
            return false;
        }
        if core.starts_with('+') {
            self.word("plus", written);
        }
        for (index, group) in groups.iter().enumerate() {
            if index > 0 {
                self.mark(',', written);
            }
            self.say(&numbers::digits(group), written);
        }
        true
    }

    /// A number with its sign, currency and unit.
    fn number(&mut self, core: &str, written: usize, alone: bool) -> bool {
        let Some(number) = Number::parse(core) else { return false };
        // "(555) 123-4567"
        if alone
            && core.len() == 3
            && self.pieces[self.at].lead == ['(']
            && self.pieces[self.at].trail == [')']
        {
            let next = self.pieces.get(self.at + 1).map(|next| next.core.as_str()).unwrap_or_default();
            if next.len() == 8 && next.as_bytes()[3] == b'-' {
                self.say(&numbers::digits(core), written);
                return true;
            }
        }
        let next = if alone { self.following().map(|next| (next.core.clone(), next.written)) } else { None };
        let next = next.as_ref().map(|(core, written)| (core.as_str(), *written));
        self.say(&number.before, written);
        if let Some(currency) = number.currency {
            return self.money(&number, currency, next, written);
        }
        let is_one = number.whole == "1" && number.fraction.is_none();
        let unit_of = |short: &str| {
            let (_, one, many) = UNITS.iter().find(|(unit, _, _)| *unit == short)?;
            Some(if is_one { *one } else { *many })
        };
        match number.suffix {
            "" => {
                if let Some((unit, unit_written)) = next
                    // "3 in one"
                    && unit != "in"
                    && let Some(words) = unit_of(unit).or_else(|| degrees(unit, is_one))
                {
                    self.amount(&number, false, written);
                    self.words(words, unit_written);
                    self.at += 1;
                    return true;
                }
                if let Some((sign, sign_written)) = next
                    && let Some(currency) = Currency::find(sign)
                {
                    self.at += 1;
                    self.amount(&number, false, written);
                    self.words(if is_one { currency.one } else { currency.many }, sign_written);
                    return true;
                }
                self.amount(&number, true, written);
            }
            "%" => {
                self.amount(&number, false, written);
                self.word("percent", written);
            }
            "+" => {
                self.amount(&number, false, written);
                self.word("plus", written);
            }
            "st" | "nd" | "rd" | "th" if number.fraction.is_none() => {
                let Ok(value) = number.whole.parse() else { return false };
                self.say(&numbers::ordinal(value, self.manner.and), written);
            }
            "s" | "'s" if number.fraction.is_none() => {
                let Ok(value) = number.whole.parse() else { return false };
                let words = if number.whole.len() == 4 && !number.grouped {
                    numbers::year(value, self.manner.and)
                } else {
                    numbers::cardinal(value, self.manner.and)
                };
                let Some((last, words)) = words.split_last() else { return false };
                self.say(words, written);
                self.word(&plural(last), written);
            }
            "K" if matches!(number.whole.as_str(), "2" | "4" | "8") && number.fraction.is_none() => {
                self.amount(&number, false, written);
                self.letters("K", written);
            }
            "x" | "X" | "×" => {
                self.amount(&number, false, written);
                self.word("times", written);
            }
            "am" | "pm" | "AM" | "PM" | "a.m" | "p.m" | "A.M" | "P.M" => {
                self.amount(&number, false, written);
                self.letters(number.suffix, written);
            }
            suffix => {
                if let Some(currency) = Currency::find(suffix) {
                    return self.money(&number, currency, None, written);
                }
                if let Some(words) = unit_of(suffix).or_else(|| degrees(suffix, is_one)) {
                    self.amount(&number, false, written);
                    self.words(words, written);
                } else if let Some((_, scale)) = SCALES.iter().find(|(short, _)| *short == suffix)
                    // "Room 305B"
                    && (number.fraction.is_some() || !matches!(suffix, "B" | "b" | "T"))
                {
                    self.amount(&number, false, written);
                    self.word(scale, written);
                } else {
                    // The sign was said already; the rest is a code.
                    let rest = core.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
                    return !number.before.is_empty() && {
                        self.core(rest, written, false);
                        true
                    };
                }
            }
        }
        true
    }

    fn money(
        &mut self,
        number: &Number<'_>,
        currency: &Currency,
        next: Option<(&str, usize)>,
        written: usize,
    ) -> bool {
        let scale = |short: &str| {
            let short = if short == "m" { "M" } else { short };
            SCALES.iter().find(|(known, _)| *known == short).map(|(_, scale)| *scale)
        };
        // "$5 million", "$5M"
        let (scale, scale_written, taken) = match (scale(number.suffix), next) {
            (Some(word), _) => (Some(word), written, 0),
            (None, Some((next, next_written))) if number.suffix.is_empty() => {
                let word =
                    tables::SCALE_WORDS.iter().find(|word| **word == next).copied().or_else(|| scale(next));
                (word, next_written, usize::from(word.is_some()))
            }
            _ => (None, written, 0),
        };
        if let Some(scale) = scale {
            self.amount(number, false, written);
            self.word(scale, scale_written);
            self.words(currency.many, scale_written);
            self.at += taken;
            return true;
        }
        if !number.suffix.is_empty() && Currency::find(number.suffix).is_none() && number.suffix != "+" {
            // "$5-off" and the like: the amount, then the rest.
            return self.money(&Number { suffix: "", ..number.clone() }, currency, None, written) && {
                self.core(number.suffix.trim_start_matches(['-', '/']), written, false);
                true
            };
        }
        let parts = match (&number.fraction, currency.part) {
            (Some(fraction), Some(part)) if fraction.len() == 2 => {
                fraction.parse::<u64>().ok().map(|n| (n, part))
            }
            _ => None,
        };
        let is_zero = number.whole.bytes().all(|b| b == b'0');
        let is_one = number.whole == "1";
        match parts {
            Some((0, _)) => {
                self.amount(&Number { fraction: None, ..number.clone() }, false, written);
                self.words(if is_one { currency.one } else { currency.many }, written);
            }
            Some((count, (one, many))) => {
                if !is_zero {
                    self.amount(&Number { fraction: None, ..number.clone() }, false, written);
                    self.words(if is_one { currency.one } else { currency.many }, written);
                    self.word("and", written);
                }
                self.say(&numbers::cardinal(count, false), written);
                self.word(if count == 1 { one } else { many }, written);
            }
            None => {
                self.amount(number, false, written);
                let one = is_one && number.fraction.is_none();
                self.words(if one { currency.one } else { currency.many }, written);
            }
        }
        if number.suffix == "+" {
            self.word("plus", written);
        }
        true
    }

    /// The digits of a number in words; four of them may be a year.
    fn amount(&mut self, number: &Number<'_>, may_be_year: bool, written: usize) {
        let whole = number.whole.as_str();
        let value = whole.parse::<u64>().ok();
        let code = whole.len() > 1 && whole.starts_with('0');
        match value {
            // Account and telephone numbers.
            Some(value)
                if !code && (number.grouped || whole.len() < 10 || value.is_multiple_of(1_000_000)) =>
            {
                let year =
                    may_be_year && number.fraction.is_none() && !number.grouped && number.before.is_empty();
                if year && (1100..2100).contains(&value) {
                    self.say(&numbers::year(value, self.manner.and), written);
                } else {
                    self.say(&numbers::cardinal(value, self.manner.and), written);
                }
            }
            _ => self.say(&numbers::digits(whole), written),
        }
        if let Some(fraction) = &number.fraction {
            self.word("point", written);
            self.say(&numbers::digits(fraction), written);
        }
    }

    /// `10-20`, `9am–5pm`, `$5-$10`.
    fn range(&mut self, core: &str, written: usize) -> bool {
        let Some((from, to)) = core.split_once(['-', '–', '—']) else { return false };
        let numeric = |text: &str| {
            Number::parse(text).is_some_and(|number| number.before.is_empty())
                || (text.contains(':') && text.starts_with(|c: char| c.is_ascii_digit()))
        };
        if !numeric(from) || !numeric(to) || to.contains(['-', '–']) {
            return false;
        }
        self.core(from, written, false);
        self.word("to", written);
        self.core(to, written, false);
        true
    }

    /// Letters and digits together: `COVID-19`, `A4`, `3-year-old`, `1.2.3`.
    fn mixed(&mut self, core: &str, written: usize) -> bool {
        if let Some((first, rest)) = core.split_once(['-', '–', '/', '_', ':', ',', '=', '+', '*']) {
            for part in [first, rest] {
                if !part.is_empty() {
                    self.core(part, written, false);
                }
            }
            return true;
        }
        let mut rest = core;
        while let Some(c) = rest.chars().next() {
            let same: fn(char) -> bool = if c.is_ascii_digit() {
                |c| c.is_ascii_digit()
            } else if c.is_alphabetic() {
                |c| c.is_alphabetic() || c == '\''
            } else {
                |c| !c.is_alphanumeric()
            };
            let end = rest.find(|c| !same(c)).unwrap_or(rest.len()).max(c.len_utf8());
            let (run, after) = rest.split_at(end);
            if c.is_ascii_digit() {
                self.say(&numbers::label(run), written);
            } else if c.is_alphabetic() {
                // A model's letters are spelt, words are read.
                if run.chars().count() == 1 || (run.len() <= 3 && !run.contains(char::is_lowercase)) {
                    self.letters(run, written);
                } else {
                    self.word(run, written);
                }
            } else if run == "." && after.starts_with(|c: char| c.is_ascii_digit()) {
                self.word("point", written);
            } else if let Some(words) = tables::symbol(run) {
                self.words(words, written);
            }
            rest = after;
        }
        true
    }

    /// `example.com/start`, `maria@example.com`.
    fn address(&mut self, core: &str, written: usize) -> bool {
        let lower = core.to_ascii_lowercase();
        let bare = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://"));
        let explicit = bare.is_some() || lower.starts_with("www.");
        let bare = bare.unwrap_or(&lower);
        let host = bare.split(['/', '?', '#', ':']).next().unwrap_or_default();
        let (name, domain) = host.rsplit_once('@').unwrap_or(("", host));
        let labels: Vec<&str> = domain.split('.').collect();
        let named = labels.len() > 1
            && labels
                .iter()
                .all(|label| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-'))
            && labels.last().is_some_and(|last| TOP_LEVEL.contains(last));
        if !(explicit && labels.len() > 1 || named && (name.is_empty() != host.contains('@'))) {
            return false;
        }
        let mut word = String::new();
        for c in bare.trim_end_matches('/').chars().chain([' ']) {
            if c.is_alphanumeric() {
                word.push(c);
                continue;
            }
            self.label(&std::mem::take(&mut word), written);
            let sign = match c {
                '.' => "dot",
                '/' => "slash",
                '@' => "at",
                '-' => "dash",
                '_' => "underscore",
                '?' => "question mark",
                '=' => "equals",
                '&' => "and",
                '#' => "hash",
                ':' => "colon",
                '+' => "plus",
                _ => continue,
            };
            self.words(sign, written);
        }
        true
    }

    /// A part of an address.
    fn label(&mut self, label: &str, written: usize) {
        if label.is_empty() {
        } else if label.contains(|c: char| c.is_ascii_digit()) {
            self.mixed(label, written);
        } else if matches!(
            label,
            "www" | "co" | "uk" | "de" | "fr" | "us" | "ca" | "au" | "tv" | "ai" | "eu" | "html"
        ) || !label.contains(['a', 'e', 'i', 'o', 'u', 'y'])
        {
            self.letters(label, written);
        } else {
            self.word(label, written);
        }
    }
}

/// A number as it is written.
#[derive(Clone)]
struct Number<'a> {
    /// Words for the signs in front.
    before: Vec<&'static str>,
    currency: Option<&'static Currency>,
    /// Digits without the commas between them; at least one.
    whole: String,
    /// Whether there were such commas.
    grouped: bool,
    fraction: Option<String>,
    suffix: &'a str,
}

impl<'a> Number<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut rest = text;
        let mut before = Vec::new();
        loop {
            let sign = rest.chars().next()?;
            before.push(match sign {
                '+' => "plus",
                '-' => "minus",
                '±' => "plus or minus",
                '~' | '≈' => "about",
                '<' => "under",
                '>' => "over",
                '#' | '№' => "number",
                '@' => "at",
                _ => break,
            });
            rest = &rest[sign.len_utf8()..];
        }
        let currency = CURRENCIES
            .iter()
            .flat_map(|currency| currency.signs.iter().map(move |sign| (sign, currency)))
            .filter_map(|(sign, currency)| Some((rest.strip_prefix(sign)?, currency)))
            .min_by_key(|(after, _)| after.len());
        let currency = currency.map(|(after, currency)| {
            rest = after.strip_prefix('-').inspect(|_| before.push("minus")).unwrap_or(after);
            currency
        });
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let mut whole = rest[..digits(rest)].to_owned();
        rest = &rest[whole.len()..];
        let mut grouped = false;
        if (1..=3).contains(&whole.len()) {
            while rest.starts_with(',') && digits(&rest[1..]) == 3 {
                whole.push_str(&rest[1..4]);
                rest = &rest[4..];
                grouped = true;
            }
        }
        let mut fraction = None;
        if let Some(after) = rest.strip_prefix('.') {
            let length = digits(after);
            if length > 0 {
                fraction = Some(after[..length].to_owned());
                rest = &after[length..];
            }
        }
        if whole.is_empty() {
            fraction.as_ref()?;
            whole.push('0');
        }
        // A second point or comma with digits makes it something else: a version, a list.
        let other = rest.starts_with(['.', ',', ':', '/']) && rest.contains(|c: char| c.is_ascii_digit());
        (!other).then_some(Number { before, currency, whole, grouped, fraction, suffix: rest })
    }
}

/// `st`, `nd` and so on.
fn day(text: &str) -> Option<(u64, bool)> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, suffix) = text.split_at(length);
    let day: u64 = digits.parse().ok().filter(|day| (1..=31).contains(day) && length <= 2)?;
    match suffix {
        "" => Some((day, false)),
        "st" | "nd" | "rd" | "th" => Some((day, true)),
        _ => None,
    }
}

/// The name of the month that this is, or is short for, beginning with a capital.
fn month(text: &str) -> Option<&'static str> {
    MONTHS.into_iter().find(|month| *month == text || is_short_for(text, month))
}

fn is_short_for(text: &str, name: &str) -> bool {
    (text.len() == 3 || matches!(text, "Sept" | "Tues" | "Thur" | "Thurs")) && name.starts_with(text)
}

fn degrees(text: &str, is_one: bool) -> Option<&'static str> {
    Some(match (text, is_one) {
        ("°" | "º", true) => "degree",
        ("°" | "º", false) => "degrees",
        ("°C" | "ºC" | "℃", true) => "degree Celsius",
        ("°C" | "ºC" | "℃", false) => "degrees Celsius",
        ("°F" | "ºF" | "℉", true) => "degree Fahrenheit",
        ("°F" | "ºF" | "℉", false) => "degrees Fahrenheit",
        _ => return None,
    })
}

fn plural(word: &str) -> String {
    if let Some(stem) = word.strip_suffix('y') {
        format!("{stem}ies")
    } else if word == "half" {
        "halves".to_owned()
    } else if word.ends_with('x') {
        format!("{word}es")
    } else {
        format!("{word}s")
    }
}

#[cfg(test)]
mod tests;
