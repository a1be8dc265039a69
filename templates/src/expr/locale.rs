//! The viewer's language: which formats, casing and plural rules helpers use.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::str::FromStr;
use std::sync::Arc;

use fixed_decimal::Decimal;
use icu_calendar::{Date, Iso};
use icu_casemap::options::{TitlecaseOptions, TrailingCase};
use icu_casemap::{CaseMapper, TitlecaseMapper};
use icu_datetime::DateTimeFormatter;
use icu_datetime::fieldsets::{YMD, YMDE};
use icu_decimal::DecimalFormatter;
use icu_experimental::dimension::currency::CurrencyType;
use icu_experimental::dimension::currency::formatter::CurrencyFormatter;
use icu_list::ListFormatter;
use icu_locale_core::LanguageIdentifier;
use icu_plurals::{PluralCategory, PluralRules};

use crate::units::quoted;

/// A language and region (BCP 47) that decides how numbers, dates, lists and letters' cases come out.
///
/// Cheap to clone. Default: `en`.
#[derive(Clone, PartialEq, Eq)]
pub struct Locale(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    tag: String,
    locale: icu_locale_core::Locale,
}

impl Locale {
    /// The locale named by `tag`, read leniently: `pt-BR`, `pt_br`, `pt_BR.UTF-8`.
    ///
    /// # Errors
    /// Text that is no language tag, quoted.
    pub fn parse(tag: &str) -> Result<Self, String> {
        // Longer tags are well-formed, but no one's language; the bound keeps caches small.
        const LONGEST: usize = 64;
        let wrong =
            || format!("expected a language tag, found {}; write e.g. en, pt-BR or zh-Hant", quoted(tag));
        let bare = tag.trim().split(['.', '@']).next().unwrap_or_default();
        if bare.is_empty() || bare.len() > LONGEST {
            return Err(wrong());
        }
        let locale = icu_locale_core::Locale::try_from_str(&bare.replace('_', "-")).map_err(|_| wrong())?;
        Ok(Locale(Arc::new(Inner { tag: locale.to_string(), locale })))
    }

    /// The language subtag, e.g. `pt`; `und` when it is not known.
    pub fn language(&self) -> &str {
        self.0.locale.id.language.as_str()
    }

    /// The normalised tag, e.g. `pt-BR`.
    pub fn as_str(&self) -> &str {
        &self.0.tag
    }

    pub(super) fn upper(&self, text: &str) -> String {
        CaseMapper::new().uppercase_to_string(text, self.language_identifier()).into_owned()
    }

    pub(super) fn lower(&self, text: &str) -> String {
        CaseMapper::new().lowercase_to_string(text, self.language_identifier()).into_owned()
    }

    /// Each word with its first letter in title case. The rest of a word stays as it is (`McDonald`), unless all of `text`
    /// is in capitals: then it was not meant (`MARIA GARCÍA` gives `Maria García`).
    pub(super) fn title(&self, text: &str) -> String {
        let shouted = text.chars().any(char::is_uppercase) && !text.chars().any(char::is_lowercase);
        let mut options = TitlecaseOptions::default();
        options.trailing_case = Some(if shouted { TrailingCase::Lower } else { TrailingCase::Unchanged });
        let mapper = TitlecaseMapper::new();
        let mut out = String::with_capacity(text.len());
        for word in text
            .split_inclusive(|c: char| c.is_whitespace() || matches!(c, '-' | '\u{2010}' | '–' | '—' | '/'))
        {
            out.push_str(&mapper.titlecase_segment_to_string(word, self.language_identifier(), options));
        }
        out
    }

    fn language_identifier(&self) -> &LanguageIdentifier {
        &self.0.locale.id
    }

    pub(super) fn number(&self, value: &Decimal) -> Result<String, String> {
        self.with_formatters(|formatters| {
            let number = kept(&mut formatters.number, || {
                DecimalFormatter::try_new((&self.0.locale).into(), Default::default())
            });
            Ok(number.map_err(|_| self.no_data("number"))?.format(value).to_string())
        })
    }

    pub(super) fn plural(&self, value: &Decimal) -> Result<PluralCategory, String> {
        self.with_formatters(|formatters| {
            let rules =
                kept(&mut formatters.plural, || PluralRules::try_new_cardinal((&self.0.locale).into()));
            Ok(rules.map_err(|_| self.no_data("plural"))?.category_for(value))
        })
    }

    /// `value` in the currency with the ISO 4217 code `code`, with as many decimals as it has.
    pub(super) fn currency(&self, value: &Decimal, code: &str) -> Result<String, String> {
        // Only what is a code at all is kept, 26^3 of them at most.
        let currency = CurrencyType::try_from_str(code)
            .map_err(|_| format!("expected a currency code, found {}; write e.g. \"EUR\"", quoted(code)))?;
        self.with_formatters(|formatters| {
            let formatter = match formatters.currencies.entry(currency.as_str().to_owned()) {
                std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::hash_map::Entry::Vacant(entry) => entry.insert(
                    CurrencyFormatter::try_new_symbol((&self.0.locale).into(), currency, Default::default())
                        .map_err(|_| self.no_data("currency"))?,
                ),
            };
            Ok(formatter.format_fixed_decimal(value).to_string())
        })
    }

    pub(super) fn date(&self, date: &Date<Iso>, style: DateStyle) -> Result<String, String> {
        let wrong = |_| self.no_data("date");
        let preferences = || (&self.0.locale).into();
        self.with_formatters(|formatters| {
            if style == DateStyle::Full {
                let full =
                    kept(&mut formatters.full, || DateTimeFormatter::try_new(preferences(), YMDE::long()));
                return Ok(full.map_err(wrong)?.format(date).to_string());
            }
            let (slot, fields) = match style {
                DateStyle::Short => (&mut formatters.short, YMD::short()),
                DateStyle::Medium => (&mut formatters.medium, YMD::medium()),
                DateStyle::Long | DateStyle::Full => (&mut formatters.long, YMD::long()),
            };
            let formatter = kept(slot, || DateTimeFormatter::try_new(preferences(), fields));
            Ok(formatter.map_err(wrong)?.format(date).to_string())
        })
    }

    pub(super) fn list(&self, items: &[String], or: bool) -> Result<String, String> {
        self.with_formatters(|formatters| {
            let preferences = (&self.0.locale).into();
            let list = match or {
                false => {
                    kept(&mut formatters.and, || ListFormatter::try_new_and(preferences, Default::default()))
                }
                true => {
                    kept(&mut formatters.or, || ListFormatter::try_new_or(preferences, Default::default()))
                }
            };
            Ok(list.map_err(|_| self.no_data("list"))?.format(items.iter()).to_string())
        })
    }

    fn no_data(&self, what: &str) -> String {
        format!("no {what} format is known for locale {}", quoted(&self.0.tag))
    }

    fn with_formatters<T>(&self, work: impl FnOnce(&mut Formatters) -> T) -> T {
        let formatters = FORMATTERS.with_borrow_mut(|all| match all.get(&self.0.tag) {
            Some(formatters) => Rc::clone(formatters),
            None => {
                // The locale comes with the viewer's data: a stream of invented ones must not fill the memory.
                if all.len() >= MAX_LOCALES {
                    all.clear();
                }
                let formatters = Rc::new(RefCell::new(Formatters::default()));
                all.insert(self.0.tag.clone(), Rc::clone(&formatters));
                formatters
            }
        });
        let mut formatters = formatters.borrow_mut();
        if formatters.currencies.len() > MAX_CURRENCIES {
            formatters.currencies.clear();
        }
        work(&mut formatters)
    }
}

impl Default for Locale {
    fn default() -> Self {
        let locale = icu_locale_core::locale!("en");
        Locale(Arc::new(Inner { tag: locale.to_string(), locale }))
    }
}

impl fmt::Display for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Locale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Locale({})", self.as_str())
    }
}

impl FromStr for Locale {
    type Err = String;

    fn from_str(tag: &str) -> Result<Self, String> {
        Locale::parse(tag)
    }
}

/// How much of a date is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DateStyle {
    /// `1/15/26`
    Short,
    /// `Jan 15, 2026`
    Medium,
    /// `January 15, 2026`
    Long,
    /// `Thursday, January 15, 2026`
    Full,
}

/// Formatters of this many locales are kept per thread.
const MAX_LOCALES: usize = 64;
/// Formatters of this many currencies are kept per locale.
const MAX_CURRENCIES: usize = 32;

thread_local! {
    /// Formatters by locale. Building one costs tens of microseconds, using one less than one.
    static FORMATTERS: RefCell<HashMap<String, Rc<RefCell<Formatters>>>> = RefCell::default();
}

#[derive(Default)]
struct Formatters {
    number: Option<DecimalFormatter>,
    plural: Option<PluralRules>,
    and: Option<ListFormatter>,
    or: Option<ListFormatter>,
    short: Option<DateTimeFormatter<YMD>>,
    medium: Option<DateTimeFormatter<YMD>>,
    long: Option<DateTimeFormatter<YMD>>,
    full: Option<DateTimeFormatter<YMDE>>,
    currencies: HashMap<String, CurrencyFormatter<DecimalFormatter>>,
}

/// What `slot` holds, made when it is empty.
fn kept<T, E>(slot: &mut Option<T>, make: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
    let value = match slot.take() {
        Some(value) => value,
        None => make()?,
    };
    Ok(slot.insert(value))
}
