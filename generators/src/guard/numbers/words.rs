//! Numbers that are written in words, of one word or several.

use std::collections::BTreeSet;

/// How a language says numbers.
struct Language {
    tag: &'static str,
    /// What says how many by itself, each value with its words.
    alone: &'static [(u64, &'static str)],
    /// What says it only beside others, since by itself it mostly means something else: `one` and `a`, `neuf` (new), `sei` (you are),
    /// `mille` and `mil` (of thanks).
    parts: &'static [(u64, &'static str)],
    /// What no number is made with.
    roughly: &'static [(u64, &'static str)],
    /// What stands between parts.
    and: &'static [&'static str],
    /// Where it stands.
    after: After,
    /// Whether several parts are written as one word, and only those from a million up for themselves.
    compound: bool,
}

/// Where `and` may stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    Nothing,
    /// *two hundred and five*.
    Hundreds,
    /// *treinta y dos*, *vingt et un*.
    Tens,
    /// *cento e vinte e dois*.
    Both,
    /// Between a unit and its tens, *einundzwanzig*, and after hundreds.
    Units,
}

/// The first is read in every text: models fall back into it.
const LANGUAGES: &[Language] = &[
    Language {
        tag: "en",
        alone: &[
            (2, "two"),
            (3, "three"),
            (4, "four"),
            (5, "five"),
            (6, "six"),
            (7, "seven"),
            (8, "eight"),
            (9, "nine"),
            (10, "ten"),
            (11, "eleven"),
            (12, "twelve"),
            (13, "thirteen"),
            (14, "fourteen"),
            (15, "fifteen"),
            (16, "sixteen"),
            (17, "seventeen"),
            (18, "eighteen"),
            (19, "nineteen"),
            (20, "twenty"),
            (30, "thirty"),
            (40, "forty"),
            (50, "fifty"),
            (60, "sixty"),
            (70, "seventy"),
            (80, "eighty"),
            (90, "ninety"),
            (100, "hundred"),
            (1000, "thousand"),
            (1_000_000, "million"),
        ],
        parts: &[(1, "one"), (1_000_000_000, "billion")],
        roughly: &[(12, "dozen"), (100, "hundreds"), (1000, "thousands"), (1_000_000, "millions")],
        and: &["and"],
        after: After::Hundreds,
        compound: false,
    },
    Language {
        tag: "de",
        alone: &[
            (2, "zwei"),
            (3, "drei"),
            (4, "vier"),
            (5, "fünf"),
            (6, "sechs"),
            (7, "sieben"),
            (8, "acht"),
            (9, "neun"),
            (10, "zehn"),
            (11, "elf"),
            (12, "zwölf"),
            (13, "dreizehn"),
            (14, "vierzehn"),
            (15, "fünfzehn"),
            (16, "sechzehn"),
            (17, "siebzehn"),
            (18, "achtzehn"),
            (19, "neunzehn"),
            (20, "zwanzig"),
            (30, "dreißig dreissig"),
            (40, "vierzig"),
            (50, "fünfzig"),
            (60, "sechzig"),
            (70, "siebzig"),
            (80, "achtzig"),
            (90, "neunzig"),
            (100, "hundert"),
        ],
        parts: &[(1, "ein eins eine"), (1000, "tausend"), (1_000_000, "million millionen")],
        roughly: &[(12, "dutzend"), (100, "hunderte"), (1000, "tausende")],
        and: &["und"],
        after: After::Units,
        compound: true,
    },
    Language {
        tag: "nl",
        alone: &[
            (2, "twee"),
            (3, "drie"),
            (4, "vier"),
            (5, "vijf"),
            (6, "zes"),
            (7, "zeven"),
            (8, "acht"),
            (9, "negen"),
            (10, "tien"),
            (11, "elf"),
            (12, "twaalf"),
            (13, "dertien"),
            (14, "veertien"),
            (15, "vijftien"),
            (16, "zestien"),
            (17, "zeventien"),
            (18, "achttien"),
            (19, "negentien"),
            (20, "twintig"),
            (30, "dertig"),
            (40, "veertig"),
            (50, "vijftig"),
            (60, "zestig"),
            (70, "zeventig"),
            (80, "tachtig"),
            (90, "negentig"),
            (100, "honderd"),
        ],
        parts: &[(1, "een één"), (1000, "duizend"), (1_000_000, "miljoen")],
        roughly: &[(12, "dozijn"), (100, "honderden"), (1000, "duizenden")],
        and: &["en", "ën"],
        after: After::Units,
        compound: true,
    },
    Language {
        tag: "fr",
        alone: &[
            (2, "deux"),
            (3, "trois"),
            (4, "quatre"),
            (5, "cinq"),
            (6, "six"),
            (7, "sept"),
            (8, "huit"),
            (10, "dix"),
            (11, "onze"),
            (12, "douze"),
            (13, "treize"),
            (14, "quatorze"),
            (15, "quinze"),
            (16, "seize"),
            (20, "vingt vingts"),
            (30, "trente"),
            (40, "quarante"),
            (50, "cinquante"),
            (60, "soixante"),
            (70, "septante"),
            (80, "huitante octante"),
            (90, "nonante"),
            (100, "cent cents"),
        ],
        parts: &[(1, "un une"), (9, "neuf"), (1000, "mille"), (1_000_000, "million millions")],
        roughly: &[(12, "douzaine"), (100, "centaines"), (1000, "milliers")],
        and: &["et"],
        after: After::Tens,
        compound: false,
    },
    Language {
        tag: "es",
        alone: &[
            (2, "dos"),
            (3, "tres"),
            (4, "cuatro"),
            (5, "cinco"),
            (6, "seis"),
            (7, "siete"),
            (8, "ocho"),
            (9, "nueve"),
            (10, "diez"),
            (12, "doce"),
            (13, "trece"),
            (14, "catorce"),
            (15, "quince"),
            (16, "dieciséis dieciseis"),
            (17, "diecisiete"),
            (18, "dieciocho"),
            (19, "diecinueve"),
            (20, "veinte"),
            (21, "veintiuno veintiún veintiuna"),
            (22, "veintidós veintidos"),
            (23, "veintitrés veintitres"),
            (24, "veinticuatro"),
            (25, "veinticinco"),
            (26, "veintiséis veintiseis"),
            (27, "veintisiete"),
            (28, "veintiocho"),
            (29, "veintinueve"),
            (30, "treinta"),
            (40, "cuarenta"),
            (50, "cincuenta"),
            (60, "sesenta"),
            (70, "setenta"),
            (80, "ochenta"),
            (90, "noventa"),
            (100, "cien"),
            (200, "doscientos doscientas"),
            (300, "trescientos trescientas"),
            (400, "cuatrocientos cuatrocientas"),
            (500, "quinientos quinientas"),
            (600, "seiscientos seiscientas"),
            (700, "setecientos setecientas"),
            (800, "ochocientos ochocientas"),
            (900, "novecientos novecientas"),
        ],
        parts: &[
            (1, "un uno una"),
            (11, "once"),
            (100, "ciento"),
            (1000, "mil"),
            (1_000_000, "millón millones"),
        ],
        roughly: &[(12, "docena"), (100, "cientos"), (1000, "miles")],
        and: &["y"],
        after: After::Tens,
        compound: false,
    },
    Language {
        tag: "it",
        alone: &[
            (2, "due"),
            (3, "tre"),
            (4, "quattro"),
            (5, "cinque"),
            (7, "sette"),
            (8, "otto"),
            (9, "nove"),
            (10, "dieci"),
            (11, "undici"),
            (12, "dodici"),
            (13, "tredici"),
            (14, "quattordici"),
            (15, "quindici"),
            (16, "sedici"),
            (17, "diciassette"),
            (18, "diciotto"),
            (19, "diciannove"),
            (20, "venti"),
            (30, "trenta"),
            (40, "quaranta"),
            (50, "cinquanta"),
            (60, "sessanta"),
            (70, "settanta"),
            (80, "ottanta"),
            (90, "novanta"),
            (100, "cento"),
        ],
        // Tens and hundreds lose their last vowel before another.
        parts: &[
            (1, "uno un una"),
            (3, "tré"),
            (6, "sei"),
            (20, "vent"),
            (30, "trent"),
            (40, "quarant"),
            (50, "cinquant"),
            (60, "sessant"),
            (70, "settant"),
            (80, "ottant"),
            (90, "novant"),
            (100, "cent"),
            (1000, "mille mila"),
            (1_000_000, "milione milioni"),
        ],
        roughly: &[(12, "dozzina"), (100, "centinaia"), (1000, "migliaia")],
        and: &[],
        after: After::Nothing,
        compound: true,
    },
    Language {
        tag: "pt",
        alone: &[
            (2, "dois duas"),
            (3, "três"),
            (4, "quatro"),
            (5, "cinco"),
            (6, "seis"),
            (7, "sete"),
            (8, "oito"),
            (9, "nove"),
            (10, "dez"),
            (11, "onze"),
            (12, "doze"),
            (13, "treze"),
            (14, "catorze quatorze"),
            (15, "quinze"),
            (16, "dezesseis dezasseis"),
            (17, "dezessete dezassete"),
            (18, "dezoito"),
            (19, "dezenove dezanove"),
            (20, "vinte"),
            (30, "trinta"),
            (40, "quarenta"),
            (50, "cinquenta"),
            (60, "sessenta"),
            (70, "setenta"),
            (80, "oitenta"),
            (90, "noventa"),
            (100, "cem"),
            (200, "duzentos duzentas"),
            (300, "trezentos trezentas"),
            (400, "quatrocentos quatrocentas"),
            (500, "quinhentos quinhentas"),
            (600, "seiscentos seiscentas"),
            (700, "setecentos setecentas"),
            (800, "oitocentos oitocentas"),
            (900, "novecentos novecentas"),
        ],
        parts: &[(1, "um uma"), (100, "cento"), (1000, "mil"), (1_000_000, "milhão milhões")],
        roughly: &[(12, "dúzia"), (100, "centenas"), (1000, "milhares")],
        and: &["e"],
        after: After::Both,
        compound: false,
    },
];

/// The longest word that is taken apart, in bytes.
const LONGEST: usize = 80;

/// The numbers in words in a text, in the language of `locale` and in English.
pub(super) fn spoken(text: &str, locale: &str) -> BTreeSet<u64> {
    let tag = locale.split(['-', '_']).next().unwrap_or_default().to_lowercase();
    let own = LANGUAGES.iter().skip(1).find(|language| language.tag == tag);
    let mut words = words(text);
    let mut found = BTreeSet::new();
    for language in own.into_iter().chain(LANGUAGES.first()) {
        language.read(&mut words, &mut found);
    }
    found
}

/// A word in small letters.
struct Word {
    text: String,
    /// Whether only spaces and hyphens are between it and the one before.
    follows: bool,
    /// Whether it is part of a number that was found.
    taken: bool,
}

fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut follows = false;
    for run in text.split_inclusive(|c: char| !c.is_alphabetic()) {
        let word = run.trim_end_matches(|c: char| !c.is_alphabetic());
        if !word.is_empty() {
            words.push(Word { text: word.to_lowercase(), follows, taken: false });
            follows = true;
        }
        let rest = &run[word.len()..];
        follows &= rest.chars().all(|c| c.is_whitespace() || matches!(c, '-' | '\u{2010}' | '\u{2011}'));
    }
    words
}

/// What parts come to, read one after the other.
#[derive(Clone, Copy, Default)]
struct Sum {
    /// What is said of thousands and above.
    total: u64,
    /// What is said below that.
    group: u64,
    /// The last of `thousand`, `million`; nothing as large comes after it.
    scale: Option<u64>,
    last: u64,
    parts: usize,
    /// Whether `and` was the last word.
    and: bool,
}

impl Language {
    /// Finds the numbers in words that are not taken.
    fn read(&self, words: &mut [Word], found: &mut BTreeSet<u64>) {
        let mut at = 0;
        while let Some(first) = words.get(at) {
            let (mut sum, mut best) = (Sum::default(), None);
            for (index, word) in words.iter().enumerate().skip(at) {
                if word.taken || (index > at && !word.follows) {
                    break;
                }
                let Some(next) = self.add_word(sum, &word.text) else { break };
                sum = next;
                if !sum.and {
                    best = Some((index + 1, sum));
                }
            }
            let is_said = |sum: &Sum| sum.parts > 1 || value_of(self.alone, &first.text).is_some();
            match best.filter(|(_, sum)| is_said(sum)) {
                Some((end, sum)) => {
                    found.insert(sum.value());
                    words[at..end].iter_mut().for_each(|word| word.taken = true);
                    at = end;
                }
                None => {
                    if let Some(value) = value_of(self.roughly, &first.text).filter(|_| !first.taken) {
                        found.insert(value);
                        words[at].taken = true;
                    }
                    at += 1;
                }
            }
        }
    }

    fn add_word(&self, sum: Sum, word: &str) -> Option<Sum> {
        let known = value_of(self.alone, word).or_else(|| value_of(self.parts, word));
        match known {
            Some(value) if self.compound && sum.parts > 0 && value < 1_000_000 => None,
            Some(value) => self.add(sum, value),
            None if self.compound => match sum.parts {
                0 if word.len() <= LONGEST => self.take_apart(sum, word),
                _ => None,
            },
            None => self.and.contains(&word).then(|| self.add_and(sum))?,
        }
    }

    /// Reads a word that is made of several.
    fn take_apart(&self, sum: Sum, word: &str) -> Option<Sum> {
        if word.is_empty() {
            return (!sum.and).then_some(sum);
        }
        let parts = self.alone.iter().chain(self.parts);
        let parts = parts.flat_map(|(value, names)| names.split(' ').map(move |name| (*value, name)));
        let part = parts.filter_map(|(value, name)| {
            let rest = word.strip_prefix(name)?;
            self.take_apart(self.add(sum, value)?, rest)
        });
        let and = self.and.iter().filter_map(|and| {
            let rest = word.strip_prefix(and)?;
            self.take_apart(self.add_and(sum)?, rest)
        });
        let mut ways = part.chain(and);
        ways.next()
    }

    fn add_and(&self, sum: Sum) -> Option<Sum> {
        let fits = match self.after {
            After::Nothing => false,
            After::Hundreds => sum.last >= 100,
            After::Tens => (20..100).contains(&sum.last),
            After::Both => sum.last >= 20,
            After::Units => sum.last >= 100 || (1..10).contains(&sum.last),
        };
        (fits && !sum.and).then_some(Sum { and: true, ..sum })
    }

    fn add(&self, sum: Sum, value: u64) -> Option<Sum> {
        let below = sum.group % 100;
        let french = self.tag == "fr";
        // A unit that waits for its tens.
        let waits = sum.and && sum.last < 10;
        let next = Sum { last: value, parts: sum.parts + 1, and: false, ..sum };
        let group = match value {
            1..20 => {
                let teens =
                    matches!(below, 60 | 80) || ((7..10).contains(&value) && matches!(below, 10 | 70 | 90));
                let fits = below == 0
                    || (value < 10 && below >= 20 && below.is_multiple_of(10))
                    || (french && teens);
                (fits && !waits).then_some(sum.group + value)
            }
            20..100 if waits => (below == sum.last && value.is_multiple_of(10)).then_some(sum.group + value),
            // Four twenties.
            20 if french && below == 4 && sum.last == 4 => Some(sum.group + 76),
            20..100 => (below == 0).then_some(sum.group + value),
            100 if (1..20).contains(&sum.group) && !sum.and => Some(sum.group * 100),
            100..1000 => (sum.group == 0 && !waits).then_some(value),
            _ if sum.and || sum.scale.is_some_and(|scale| value >= scale) => None,
            _ => {
                let many = sum.group.max(1).checked_mul(value)?;
                return Some(Sum { total: sum.total + many, group: 0, scale: Some(value), ..next });
            }
        };
        Some(Sum { group: group?, ..next })
    }
}

impl Sum {
    fn value(self) -> u64 {
        self.total + self.group
    }
}

fn value_of(list: &[(u64, &str)], word: &str) -> Option<u64> {
    let mut named = list.iter().filter(|(_, names)| names.split(' ').any(|name| name == word));
    named.next().map(|(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_several_words_are_one() {
        let table: &[(&str, &str, &[u64])] = &[
            ("en", "forty-two, twenty one and a hundred", &[21, 42, 100]),
            ("en", "two hundred and five; one thousand three hundred; Fifteen hundred", &[205, 1300, 1500]),
            ("en", "two million five hundred thousand and sixty", &[2_500_060]),
            ("en", "two, three and four hundred and you", &[2, 3, 400]),
            ("en", "between twenty and thirty, a dozen, hundreds", &[12, 20, 30, 100]),
            ("en", "a thousand and one", &[1001]),
            ("de", "einundzwanzig und Zweiundvierzig", &[21, 42]),
            ("de", "dreihundert, hundertundeins, neunzehnhundertachtundneunzig", &[101, 300, 1998]),
            (
                "de",
                "zweitausenddreihundertfünf, sechzehn, eine Million, drei Millionen",
                &[16, 2305, 1_000_000, 3_000_000],
            ),
            (
                "nl",
                "eenentwintig, tweeëntwintig, achtennegentig, honderdvijf, tweeduizend",
                &[21, 22, 98, 105, 2000],
            ),
            ("fr", "quatre-vingt-dix, vingt et un, soixante et onze", &[21, 71, 90]),
            ("fr", "quatre-vingts, quatre-vingt-dix-neuf, dix-sept, soixante-dix-huit", &[17, 78, 80, 99]),
            ("fr", "deux mille trois cent vingt-six", &[2326]),
            (
                "es",
                "treinta y dos, veintiún, ciento cinco, dos mil, mil quinientos",
                &[21, 32, 105, 1500, 2000],
            ),
            ("es", "entre veinte y treinta", &[20, 30]),
            (
                "it",
                "ventuno, trentotto, ventitré, duecentottanta, centouno, seicento, duemila",
                &[21, 23, 38, 101, 280, 600, 2000],
            ),
            (
                "pt",
                "vinte e dois, cento e vinte e três, dois mil e vinte, mil e duzentos",
                &[22, 123, 1200, 2020],
            ),
        ];
        for (locale, text, expected) in table {
            assert_eq!(spoken(text, locale), expected.iter().copied().collect(), "{locale}: {text}");
        }
    }

    #[test]
    fn what_mostly_means_something_else_is_none() {
        for (locale, text) in [
            ("en", "One of us, and one for all; a one-off, often, tension, anyone"),
            ("de", "Eins sein, ein Tag, eine Idee, tausend Dank, Achtung, und, achten, vierte"),
            ("nl", "Een dag om te vieren en te achten, duizend dank, tienen"),
            ("fr", "Un jour et une idée, un vélo neuf, mille mercis"),
            ("es", "Un día y una idea, mil gracias, uno más"),
            ("it", "Un giorno, una idea, sei pronta, mille grazie, per centro, ventola"),
            ("pt", "Um dia e uma ideia, mil vezes obrigado"),
        ] {
            assert_eq!(spoken(text, locale), BTreeSet::new(), "{locale}: {text}");
        }
    }

    #[test]
    fn long_words_are_left_alone() {
        assert_eq!(spoken(&"hunderttausend".repeat(1000), "de"), BTreeSet::new());
        assert_eq!(spoken(&"one thousand ".repeat(1000), "en"), [1000, 1001].into());
    }
}
