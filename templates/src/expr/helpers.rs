//! The helpers of the template language, and the registry that holds them.

use std::cmp::Ordering;
use std::sync::OnceLock;

use fixed_decimal::{Decimal, Sign, SignedRoundingMode, UnsignedRoundingMode};
use handlebars::template::{HelperTemplate, Parameter};
use handlebars::{
    Context, Handlebars, Helper, HelperDef, HelperResult, JsonTruthy, Output, PathAndJson, RenderContext,
    RenderError, ScopedJson,
};
use icu_calendar::{Date, Iso};
use icu_plurals::PluralCategory;
use icu_segmenter::GraphemeClusterSegmenter;
use serde_json::{Number, Value};

use super::locale::DateStyle;
use super::run::{self, Fault, show, type_name};
use super::{MAX_OUTPUT, blocks};
use crate::units::{did_you_mean, parse_number, quoted};

/// The internal helper that prints a value. No source can name it: it is no identifier.
pub(super) const SHOW: &str = "(show)";

/// What is known of a helper before it runs.
pub(super) struct Spec {
    pub name: &'static str,
    pub kind: Kind,
    /// How it is called, for messages.
    usage: &'static str,
    /// The least and the most arguments.
    arity: (usize, usize),
    /// The named arguments it knows.
    named: &'static [&'static str],
    /// Whether a missing variable as its direct argument is no fault.
    pub accepts_missing: bool,
    run: fn(&Arguments<'_, '_>) -> Answer,
}

/// How a helper is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `{{name …}}` or `(name …)`
    Value,
    /// `{{#name …}}…{{/name}}`
    Block,
}

/// A helper's value; `None` when there is none.
type Answer = Result<Option<Value>, Fault>;

const fn value(
    name: &'static str,
    usage: &'static str,
    arity: (usize, usize),
    run: fn(&Arguments<'_, '_>) -> Answer,
) -> Spec {
    Spec { name, kind: Kind::Value, usage, arity, named: &[], accepts_missing: false, run }
}

const fn block(name: &'static str, usage: &'static str, named: &'static [&'static str]) -> Spec {
    Spec { name, kind: Kind::Block, usage, arity: (1, 1), named, accepts_missing: true, run: |_| Ok(None) }
}

const CATEGORIES: [&str; 6] = ["zero", "one", "two", "few", "many", "other"];
const BINARY: [&str; 7] = ["+", "-", "*", "/", "%", "min", "max"];
const UNARY: [&str; 5] = ["-", "abs", "round", "floor", "ceil"];

static HELPERS: [Spec; 27] = [
    Spec { accepts_missing: true, ..value("default", "default name \"there\"", (2, 16), default) },
    value("upper", "upper name", (1, 1), |a| Ok(Some(run::locale().upper(&a.text(0)?).into()))),
    value("lower", "lower name", (1, 1), |a| Ok(Some(run::locale().lower(&a.text(0)?).into()))),
    value("title", "title name", (1, 1), |a| Ok(Some(run::locale().title(&a.text(0)?).into()))),
    value("truncate", "truncate text 40", (2, 2), truncate),
    Spec {
        named: &CATEGORIES,
        ..value("plural", "plural count one=\"# item\" other=\"# items\"", (1, 1), plural)
    },
    Spec { named: &["decimals"], ..value("number", "number count decimals=2", (1, 1), number) },
    value("currency", "currency price \"EUR\"", (2, 2), currency),
    value("date", "date day \"long\"", (1, 2), date),
    Spec { named: &["type"], ..value("list", "list names type=\"and\"", (1, 1), list) },
    value("join", "join names \", \"", (1, 2), join),
    value("length", "length names", (1, 1), length),
    value("lookup", "lookup object \"field\"", (2, 2), lookup),
    value("eq", "eq plan \"pro\"", (2, 2), |a| Ok(Some(same(a.value(0)?, a.value(1)?).into()))),
    value("ne", "ne plan \"pro\"", (2, 2), |a| Ok(Some((!same(a.value(0)?, a.value(1)?)).into()))),
    value("gt", "gt count 3", (2, 2), |a| Ok(Some(a.order()?.is_gt().into()))),
    value("gte", "gte count 3", (2, 2), |a| Ok(Some(a.order()?.is_ge().into()))),
    value("lt", "lt count 3", (2, 2), |a| Ok(Some(a.order()?.is_lt().into()))),
    value("lte", "lte count 3", (2, 2), |a| Ok(Some(a.order()?.is_le().into()))),
    Spec {
        accepts_missing: true,
        ..value("and", "and a b", (2, 16), |a| Ok(Some(a.all().all(|value| value.is_truthy(false)).into())))
    },
    Spec {
        accepts_missing: true,
        ..value("or", "or a b", (2, 16), |a| Ok(Some(a.all().any(|value| value.is_truthy(false)).into())))
    },
    Spec {
        accepts_missing: true,
        ..value("not", "not a", (1, 1), |a| Ok(Some((!a.all().any(|value| value.is_truthy(false))).into())))
    },
    value("math", "math a \"+\" b", (2, 3), math),
    block("if", "#if name", &["includeZero"]),
    block("unless", "#unless name", &["includeZero"]),
    block("each", "#each names", &[]),
    block("with", "#with customer", &[]),
];

/// The helper called `name`.
pub(super) fn find(name: &str) -> Option<&'static Spec> {
    HELPERS.iter().find(|spec| spec.name == name)
}

/// The names of all helpers.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    HELPERS.iter().map(|spec| spec.name)
}

/// The one registry of all expressions.
pub(super) fn registry() -> &'static Handlebars<'static> {
    static REGISTRY: OnceLock<Handlebars<'static>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let mut registry = Handlebars::new();
        registry.set_strict_mode(true);
        registry.register_escape_fn(handlebars::no_escape);
        for builtin in ["log", "raw", "len"] {
            registry.unregister_helper(builtin);
        }
        registry.register_helper(SHOW, Box::new(Show));
        registry.register_helper("each", Box::new(blocks::Each));
        registry.register_helper("with", Box::new(blocks::With));
        for spec in HELPERS.iter().filter(|spec| spec.kind == Kind::Value) {
            registry.register_helper(spec.name, Box::new(Call(spec)));
        }
        registry
    })
}

impl Spec {
    /// Checks what of a call is known before it runs: how many arguments, which named ones, literals where only some will do.
    ///
    /// # Errors
    /// The message and the hint.
    pub(super) fn check(&self, call: &HelperTemplate) -> Result<(), (String, String)> {
        let name = self.name;
        let usage = || format!("write {{{{{}}}}}", self.usage);
        let (least, most) = self.arity;
        let count = call.params.len();
        if count < least || count > most {
            let wanted = match (least, most) {
                (1, 1) => "1 argument".to_owned(),
                (least, most) if least == most => format!("{least} arguments"),
                (least, most) => format!("{least} to {most} arguments"),
            };
            return Err((format!("`{name}` takes {wanted}, found {count}"), usage()));
        }
        let mut unknown: Vec<&str> =
            call.hash.keys().map(String::as_str).filter(|key| !self.named.contains(key)).collect();
        unknown.sort_unstable();
        if let Some(key) = unknown.first() {
            let hint = match did_you_mean(key, self.named.iter().copied()) {
                Some(near) => format!("did you mean `{near}=`?"),
                None => usage(),
            };
            return Err((format!("`{name}` has no argument `{key}=`"), hint));
        }
        let literal = |index: usize| match call.params.get(index) {
            Some(Parameter::Literal(value)) => Some(value),
            _ => None,
        };
        let fault = |fault: Fault| (fault.message, fault.hint.unwrap_or_else(usage));
        match name {
            "plural" if !call.hash.contains_key("other") => {
                Err(("`plural` needs `other=`, the form for all other counts".to_owned(), usage()))
            }
            "date" => literal(1).map_or(Ok(()), |style| date_style(style).map(drop).map_err(fault)),
            "currency" => literal(1).map_or(Ok(()), |code| currency_code(code).map(drop).map_err(fault)),
            "truncate" => {
                literal(1).map_or(Ok(()), |count| whole(count, 1, 100_000).map(drop).map_err(fault))
            }
            "list" => match call.hash.get("type") {
                Some(Parameter::Literal(kind)) => list_kind(kind).map(drop).map_err(fault),
                _ => Ok(()),
            },
            "number" => match call.hash.get("decimals") {
                Some(Parameter::Literal(decimals)) => whole(decimals, 0, 20).map(drop).map_err(fault),
                _ => Ok(()),
            },
            "math" if count == 3 => {
                literal(1).map_or(Ok(()), |operator| operator_of(operator, &BINARY).map(drop).map_err(fault))
            }
            _ => Ok(()),
        }
    }
}

/// Prints a value of the data.
struct Show;

impl HelperDef for Show {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        Ok(ScopedJson::Derived(Arguments(helper).value(0)?.clone()))
    }

    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let value = Arguments(helper).value(0)?;
        if let Value::String(text) = value {
            return Ok(run::emit(out, text)?);
        }
        let mut text = String::new();
        let name = helper.param(0).and_then(PathAndJson::relative_path).map_or("", String::as_str);
        show(value, name, &mut text)?;
        Ok(run::emit(out, &text)?)
    }
}

/// A helper that gives a value.
struct Call(&'static Spec);

impl HelperDef for Call {
    fn call_inner<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        _: &'reg Handlebars<'reg>,
        _: &'rc Context,
        _: &mut RenderContext<'reg, 'rc>,
    ) -> Result<ScopedJson<'rc>, RenderError> {
        run::spend(1)?;
        let answer = (self.0.run)(&Arguments(helper)).map_err(|fault| {
            // The first argument is what a fault is about unless the helper knows better.
            match fault.about {
                Some(_) => fault,
                None => {
                    let subject = helper.params().iter().find_map(PathAndJson::relative_path);
                    Fault { message: format!("{}: {}", self.0.name, fault.message), ..fault }.about(subject)
                }
            }
        })?;
        Ok(answer.map_or(ScopedJson::Missing, ScopedJson::Derived))
    }

    fn call<'reg: 'rc, 'rc>(
        &self,
        helper: &Helper<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        state: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        match self.call_inner(helper, registry, context, state)? {
            ScopedJson::Missing => Err(Fault::new(format!("{} finds no value", self.0.name))
                .hint("write (default … \"text\")")
                .into()),
            value => match value.as_json() {
                Value::String(text) => Ok(run::emit(out, text)?),
                Value::Array(_) | Value::Object(_) => {
                    let found = type_name(value.as_json());
                    Err(Fault::new(format!("{} gives {found}, not text", self.0.name))
                        .hint(format!(
                            "loop over it with {{{{#each ({} …)}}}}, or write {{{{list (…)}}}}",
                            self.0.name
                        ))
                        .into())
                }
                other => {
                    let mut text = String::new();
                    show(other, self.0.name, &mut text)?;
                    Ok(run::emit(out, &text)?)
                }
            },
        }
    }
}

/// A helper's arguments.
struct Arguments<'a, 'rc>(&'a Helper<'rc>);

impl<'a> Arguments<'a, '_> {
    /// The argument at `index`, which must be there and have a value, be it null.
    fn value(&self, index: usize) -> Result<&'a Value, Fault> {
        match self.0.param(index) {
            Some(param) if param.is_value_missing() => Err(Fault::missing(param.relative_path())),
            Some(param) => Ok(param.value()),
            None => Err(Fault::new(format!("argument {} is missing", index + 1))),
        }
    }

    /// All arguments; null for those without a value.
    fn all(&self) -> impl Iterator<Item = &'a Value> {
        self.0.params().iter().map(PathAndJson::value)
    }

    fn named(&self, name: &str) -> Result<Option<&'a Value>, Fault> {
        match self.0.hash_get(name) {
            Some(param) if param.is_value_missing() => Err(Fault::missing(param.relative_path())),
            Some(param) => Ok(Some(param.value())),
            None => Ok(None),
        }
    }

    /// What `fault` says, about the argument at `index`.
    fn about(&self, index: usize, fault: Fault) -> Fault {
        let word = self.0.param(index).and_then(PathAndJson::relative_path);
        let message = format!("{}: {}", self.0.name(), fault.message);
        Fault { message, ..fault }.about(word)
    }

    fn text(&self, index: usize) -> Result<String, Fault> {
        text(self.value(index)?).map_err(|fault| self.about(index, fault))
    }

    fn decimal(&self, index: usize) -> Result<Decimal, Fault> {
        decimal(self.value(index)?).map_err(|fault| self.about(index, fault))
    }

    /// How the first two arguments compare: as numbers when both are, else as text.
    fn order(&self) -> Result<Ordering, Fault> {
        let (a, b) = (self.value(0)?, self.value(1)?);
        if let (Ok(a), Ok(b)) = (quantity(a), quantity(b)) {
            return Ok(a.as_f64().total_cmp(&b.as_f64()));
        }
        match (a, b) {
            (Value::String(a), Value::String(b)) => Ok(a.cmp(b)),
            _ => Err(Fault::new(format!("cannot compare {} with {}", type_name(a), type_name(b)))
                .hint("compare two numbers, or two texts")),
        }
    }
}

/// Whether the values are the same; text counts as the number or truth value that it spells.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(_), Value::Number(_) | Value::String(_)) | (Value::String(_), Value::Number(_)) => {
            match (quantity(a), quantity(b)) {
                (Ok(Quantity::Whole(a)), Ok(Quantity::Whole(b))) => a == b,
                (Ok(a), Ok(b)) => a.as_f64() == b.as_f64(),
                _ => false,
            }
        }
        (Value::Bool(flag), Value::String(text)) | (Value::String(text), Value::Bool(flag)) => {
            text == if *flag { "true" } else { "false" }
        }
        _ => a == b,
    }
}

/// A single value as text.
fn text(value: &Value) -> Result<String, Fault> {
    match value {
        Value::String(text) if text.len() > MAX_OUTPUT => {
            Err(Fault::new(format!("text of {} bytes is longer than {MAX_OUTPUT}", text.len())))
        }
        Value::String(text) => {
            run::spend(text.len() as u64 / 256)?;
            Ok(text.clone())
        }
        Value::Bool(_) | Value::Number(_) => {
            let mut out = String::new();
            show(value, "", &mut out)?;
            Ok(out)
        }
        other => Err(Fault::new(format!("expected text, found {}", type_name(other)))
            .hint("write (default … \"text\") for a value that may be missing")),
    }
}

/// A number, kept whole as long as it is.
#[derive(Clone, Copy, Debug)]
enum Quantity {
    Whole(i64),
    Real(f64),
}

impl Quantity {
    fn as_f64(self) -> f64 {
        match self {
            Quantity::Whole(value) => value as f64,
            Quantity::Real(value) => value,
        }
    }

    fn into_value(self) -> Option<Value> {
        // Up to 2^53 every whole number is exact as a float, so one without a fraction is meant as whole.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match self {
            Quantity::Whole(value) => Some(value.into()),
            Quantity::Real(value) if value.fract() == 0.0 && value.abs() <= EXACT => {
                Some((value as i64).into())
            }
            Quantity::Real(value) => Number::from_f64(value).map(Value::Number),
        }
    }
}

fn quantity(value: &Value) -> Result<Quantity, Fault> {
    match value {
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Ok(Quantity::Whole(whole)),
            (None, Some(real)) => Ok(Quantity::Real(real)),
            (None, None) => Err(Fault::new("a number that is too large")),
        },
        // Data from a spreadsheet holds numbers as text.
        Value::String(text) => match text.trim().parse::<i64>() {
            Ok(whole) => Ok(Quantity::Whole(whole)),
            Err(_) => parse_number(text).map(Quantity::Real).map_err(Fault::new),
        },
        other => Err(Fault::new(format!("expected a number, found {}", type_name(other)))),
    }
}

/// A number in decimal digits, for the formats of languages.
fn decimal(value: &Value) -> Result<Decimal, Fault> {
    // Beyond this people read powers of ten, and the digits of a float mean nothing.
    const LARGEST: f64 = 1e21;
    let number = quantity(value)?;
    if number.as_f64().abs() >= LARGEST {
        return Err(Fault::new("a number too large to write out").hint("write one below 1e21"));
    }
    let digits = match (number, value) {
        (Quantity::Whole(whole), _) => return Ok(Decimal::from(whole)),
        (Quantity::Real(_), Value::String(text)) => text.trim().to_owned(),
        (Quantity::Real(real), _) => format!("{real}"),
    };
    let mut decimal: Decimal = digits
        .parse()
        .or_else(|_| format!("{}", number.as_f64()).parse())
        .map_err(|_| Fault::new(format!("expected a number, found {}", quoted(&digits))))?;
    if decimal.sign() == Sign::Positive {
        decimal.set_sign(Sign::None);
    }
    decimal.trim_end();
    Ok(decimal)
}

/// A whole number between `least` and `most`.
fn whole(value: &Value, least: i64, most: i64) -> Result<i64, Fault> {
    let wrong =
        || Fault::new(format!("expected a whole number from {least} to {most}, found {}", brief(value)));
    match quantity(value) {
        Ok(Quantity::Whole(number)) if (least..=most).contains(&number) => Ok(number),
        Ok(Quantity::Real(real)) if real.fract() == 0.0 && (least as f64..=most as f64).contains(&real) => {
            Ok(real as i64)
        }
        _ => Err(wrong()),
    }
}

/// The value as a message shows it.
fn brief(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Number(number) => number.to_string(),
        other => type_name(other).to_owned(),
    }
}

// ---- the helpers ----

/// The first argument that says something: not missing, null or blank text. The last is taken as it is.
fn default(arguments: &Arguments<'_, '_>) -> Answer {
    let params = arguments.0.params();
    let says = |param: &&PathAndJson<'_>| match param.value() {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        _ => true,
    };
    match params.iter().find(says) {
        Some(param) => {
            run::spend(blocks::weight(param.value()))?;
            Ok(Some(param.value().clone()))
        }
        None => arguments.value(params.len().saturating_sub(1)).map(|value| Some(value.clone())),
    }
}

/// At most so many user-perceived characters, the last of them `…` when something is cut.
fn truncate(arguments: &Arguments<'_, '_>) -> Answer {
    let text = arguments.text(0)?;
    let most = whole(arguments.value(1)?, 1, 100_000).map_err(|fault| arguments.about(1, fault))? as usize;
    // Boundaries start with 0, so that boundary `n` ends cluster `n`.
    let mut boundaries = GraphemeClusterSegmenter::new().segment_str(&text);
    let Some(kept) = boundaries.nth(most - 1) else { return Ok(Some(text.into())) };
    if boundaries.next().is_none_or(|end| end == text.len()) {
        return Ok(Some(text.into()));
    }
    Ok(Some(format!("{}…", text[..kept].trim_end()).into()))
}

/// The form for the count: by the language's plural rules, `zero=` for 0 in every language, else `other=`.
fn plural(arguments: &Arguments<'_, '_>) -> Answer {
    let count = arguments.decimal(0)?;
    let locale = run::locale();
    let category = match locale.plural(&count).map_err(Fault::new)? {
        _ if count.absolute.is_zero() && arguments.named("zero")?.is_some() => "zero",
        PluralCategory::Zero => "zero",
        PluralCategory::One => "one",
        PluralCategory::Two => "two",
        PluralCategory::Few => "few",
        PluralCategory::Many => "many",
        PluralCategory::Other => "other",
    };
    let form = match arguments.named(category)? {
        Some(form) => Some(form),
        None => arguments.named("other")?,
    };
    let form = text(form.ok_or_else(|| Fault::new("no form `other=`"))?)?;
    if !form.contains('#') {
        return Ok(Some(form.into()));
    }
    let shown = locale.number(&rounded(count, None)).map_err(Fault::new)?;
    // Each # may grow to a long number: the result is bounded like every text.
    if form.len() + form.matches('#').count() * shown.len() > MAX_OUTPUT {
        return Err(Fault::new(format!("the text becomes longer than {MAX_OUTPUT} bytes")));
    }
    Ok(Some(form.replace('#', &shown).into()))
}

/// Rounded half away from zero to exactly `decimals` places, or to at most 3 when not given.
fn rounded(mut number: Decimal, decimals: Option<i16>) -> Decimal {
    const MOST: i16 = 3;
    let half_expand = SignedRoundingMode::Unsigned(UnsignedRoundingMode::HalfExpand);
    number.round_with_mode(-decimals.unwrap_or(MOST), half_expand);
    match decimals {
        Some(decimals) => number.pad_end(-decimals),
        None => number.trim_end(),
    }
    if number.absolute.is_zero() {
        number.set_sign(Sign::None);
    }
    number
}

fn number(arguments: &Arguments<'_, '_>) -> Answer {
    let decimals = match arguments.named("decimals")? {
        Some(decimals) => Some(whole(decimals, 0, 20)? as i16),
        None => None,
    };
    let shown = run::locale().number(&rounded(arguments.decimal(0)?, decimals));
    Ok(Some(shown.map_err(Fault::new)?.into()))
}

fn currency(arguments: &Arguments<'_, '_>) -> Answer {
    let code = currency_code(arguments.value(1)?).map_err(|fault| arguments.about(1, fault))?;
    let shown = run::locale().currency(&arguments.decimal(0)?, code);
    Ok(Some(shown.map_err(Fault::new)?.into()))
}

fn currency_code(value: &Value) -> Result<&str, Fault> {
    match value {
        Value::String(code) if code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic()) => {
            Ok(code)
        }
        other => Err(Fault::new(format!("expected a currency code, found {}", brief(other)))
            .hint("write its three letters, e.g. \"EUR\"")),
    }
}

fn date(arguments: &Arguments<'_, '_>) -> Answer {
    let style = match arguments.0.param(1) {
        Some(_) => date_style(arguments.value(1)?).map_err(|fault| arguments.about(1, fault))?,
        None => DateStyle::Medium,
    };
    let day = iso_date(arguments.value(0)?).map_err(|fault| arguments.about(0, fault))?;
    Ok(Some(run::locale().date(&day, style).map_err(Fault::new)?.into()))
}

fn date_style(value: &Value) -> Result<DateStyle, Fault> {
    match value.as_str() {
        Some("short") => Ok(DateStyle::Short),
        Some("medium") => Ok(DateStyle::Medium),
        Some("long") => Ok(DateStyle::Long),
        Some("full") => Ok(DateStyle::Full),
        _ => Err(Fault::new(format!("unknown date style {}", brief(value)))
            .hint("write \"short\", \"medium\", \"long\" or \"full\"")),
    }
}

/// The day of an ISO 8601 date, or of a date and time as its own clock shows it: `2026-01-15`, `2026-01-15T09:30:00+01:00`.
fn iso_date(value: &Value) -> Result<Date<Iso>, Fault> {
    let wrong = || {
        Fault::new(format!("expected a date, found {}", brief(value)))
            .hint("write year, month and day like 2026-01-15, or with a time 2026-01-15T09:30:00Z")
    };
    let text = value.as_str().map(str::trim).ok_or_else(wrong)?;
    let (day, time) = text.split_at_checked(10).ok_or_else(wrong)?;
    let bytes = day.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes[range]
            .iter()
            .try_fold(0i32, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i32::from(byte - b'0')))
    };
    let (Some(year), Some(month), Some(day)) = (digits(0..4), digits(5..7), digits(8..10)) else {
        return Err(wrong());
    };
    if bytes[4] != b'-' || bytes[7] != b'-' || !is_time(time) {
        return Err(wrong());
    }
    Date::try_new_iso(year, month as u8, day as u8).map_err(|_| wrong())
}

/// Whether `text` is empty or an ISO 8601 time of day behind `T` or a space, with a zone or without.
fn is_time(text: &str) -> bool {
    if text.is_empty() {
        return true;
    }
    let Some(time) = text.strip_prefix(['T', 't', ' ']) else { return false };
    let clock = match time.find(['Z', 'z', '+', '-']) {
        Some(at) if matches!(time.as_bytes()[at], b'Z' | b'z') => {
            if at + 1 != time.len() {
                return false;
            }
            &time[..at]
        }
        Some(at) => {
            let zone = &time[at + 1..];
            if !(zone.len() == 5 && is_clock(zone)
                || zone.len() == 4 && zone.bytes().all(|byte| byte.is_ascii_digit()))
            {
                return false;
            }
            &time[..at]
        }
        None => time,
    };
    is_clock(clock)
}

fn is_clock(text: &str) -> bool {
    let (clock, fraction) =
        text.split_once('.').map_or((text, None), |(clock, fraction)| (clock, Some(fraction)));
    let parts: Vec<&str> = clock.split(':').take(4).collect();
    let in_range =
        |(part, limit): (&&str, u8)| part.len() == 2 && part.parse::<u8>().is_ok_and(|value| value < limit);
    matches!(parts.len(), 2 | 3)
        && parts.iter().zip([24, 60, 61]).all(in_range)
        && fraction.is_none_or(|digits| {
            parts.len() == 3
                && (1..=9).contains(&digits.len())
                && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
}

/// The items of a list as text.
fn items(arguments: &Arguments<'_, '_>) -> Result<Vec<String>, Fault> {
    match arguments.value(0)? {
        Value::Array(items) => {
            run::spend(items.len() as u64)?;
            items.iter().map(text).collect::<Result<_, _>>().map_err(|fault| arguments.about(0, fault))
        }
        other => Err(arguments.about(0, Fault::new(format!("expected a list, found {}", type_name(other))))),
    }
}

fn list(arguments: &Arguments<'_, '_>) -> Answer {
    let or = arguments.named("type")?.map(list_kind).transpose()?.unwrap_or(false);
    let items = items(arguments)?;
    Ok(Some(run::locale().list(&items, or).map_err(Fault::new)?.into()))
}

/// Whether a list is of alternatives.
fn list_kind(value: &Value) -> Result<bool, Fault> {
    match value.as_str() {
        Some("and") => Ok(false),
        Some("or") => Ok(true),
        _ => Err(Fault::new(format!("unknown list type {}", brief(value)))
            .hint("write type=\"and\" or type=\"or\"")),
    }
}

fn join(arguments: &Arguments<'_, '_>) -> Answer {
    let separator = match arguments.0.param(1) {
        Some(_) => arguments.text(1)?,
        None => ", ".to_owned(),
    };
    let items = items(arguments)?;
    let length = items.iter().map(String::len).sum::<usize>() + separator.len() * items.len();
    if length > MAX_OUTPUT {
        return Err(Fault::new(format!("the text becomes longer than {MAX_OUTPUT} bytes")));
    }
    Ok(Some(items.join(&separator).into()))
}

/// How many items, fields or user-perceived characters.
fn length(arguments: &Arguments<'_, '_>) -> Answer {
    let count = match arguments.value(0)? {
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        Value::String(_) => {
            GraphemeClusterSegmenter::new().segment_str(&arguments.text(0)?).count().saturating_sub(1)
        }
        other => {
            return Err(arguments
                .about(0, Fault::new(format!("expected a list or text, found {}", type_name(other)))));
        }
    };
    Ok(Some(count.into()))
}

fn lookup(arguments: &Arguments<'_, '_>) -> Answer {
    let found = match (arguments.value(0)?, arguments.value(1)?) {
        (Value::Object(fields), Value::String(name)) => fields.get(name),
        (Value::Object(fields), Value::Number(name)) => fields.get(&name.to_string()),
        (Value::Array(items), index) => match quantity(index) {
            Ok(Quantity::Whole(index)) => usize::try_from(index).ok().and_then(|index| items.get(index)),
            _ => {
                return Err(arguments
                    .about(1, Fault::new(format!("expected a position from 0, found {}", brief(index)))));
            }
        },
        (Value::Null, _) => None,
        (other, Value::String(_) | Value::Number(_)) => {
            let fault = Fault::new(format!("expected an object or a list, found {}", type_name(other)));
            return Err(arguments.about(0, fault));
        }
        (_, name) => {
            return Err(
                arguments.about(1, Fault::new(format!("expected a field's name, found {}", type_name(name))))
            );
        }
    };
    if let Some(value) = found {
        run::spend(blocks::weight(value))?;
    }
    Ok(found.cloned())
}

/// `a op b` with + - * / % min max; `op a` or `a op` with - abs round floor ceil; `a "round" decimals`.
fn math(arguments: &Arguments<'_, '_>) -> Answer {
    let quantity_at =
        |index: usize| quantity(arguments.value(index)?).map_err(|fault| arguments.about(index, fault));
    let result = match arguments.0.params().len() {
        2 => {
            let (operator, operand) = match (arguments.value(0)?, arguments.value(1)?) {
                (Value::String(word), _) if UNARY.contains(&word.as_str()) => (word.as_str(), 1),
                (_, Value::String(word)) if UNARY.contains(&word.as_str()) => (word.as_str(), 0),
                (_, other) => (operator_of(other, &UNARY)?, 0),
            };
            unary(operator, quantity_at(operand)?)
        }
        _ => {
            let operator = operator_of(arguments.value(1)?, &BINARY)?;
            binary(operator, quantity_at(0)?, quantity_at(2)?)?
        }
    };
    match result.into_value() {
        Some(value) => Ok(Some(value)),
        None => Err(Fault::new("the result is not a finite number")),
    }
}

fn operator_of<'a>(value: &'a Value, known: &[&str]) -> Result<&'a str, Fault> {
    match value.as_str() {
        Some(operator) if known.contains(&operator) => Ok(operator),
        _ => Err(Fault::new(format!("unknown operator {}", brief(value)))
            .hint(format!("operators are {}", [&BINARY[..], &UNARY[1..]].concat().join(" ")))),
    }
}

fn unary(operator: &str, a: Quantity) -> Quantity {
    match (operator, a) {
        ("-", Quantity::Whole(a)) => a.checked_neg().map_or(Quantity::Real(-(a as f64)), Quantity::Whole),
        ("abs", Quantity::Whole(a)) => {
            a.checked_abs().map_or(Quantity::Real((a as f64).abs()), Quantity::Whole)
        }
        (_, Quantity::Whole(a)) => Quantity::Whole(a),
        ("-", Quantity::Real(a)) => Quantity::Real(-a),
        ("abs", Quantity::Real(a)) => Quantity::Real(a.abs()),
        ("floor", Quantity::Real(a)) => Quantity::Real(a.floor()),
        ("ceil", Quantity::Real(a)) => Quantity::Real(a.ceil()),
        (_, Quantity::Real(a)) => Quantity::Real(a.round()),
    }
}

fn binary(operator: &str, a: Quantity, b: Quantity) -> Result<Quantity, Fault> {
    if matches!(operator, "/" | "%") && b.as_f64() == 0.0 {
        return Err(Fault::new("division by zero").hint("guard it, e.g. {{#if count}}…{{/if}}"));
    }
    if let (Quantity::Whole(a), Quantity::Whole(b)) = (a, b) {
        let exact = match operator {
            "+" => a.checked_add(b),
            "-" => a.checked_sub(b),
            "*" => a.checked_mul(b),
            "/" if a.checked_rem(b) == Some(0) => a.checked_div(b),
            "%" => a.checked_rem(b),
            "min" => Some(a.min(b)),
            "max" => Some(a.max(b)),
            _ => None,
        };
        if let Some(exact) = exact {
            return Ok(Quantity::Whole(exact));
        }
    }
    let (a, b) = (a.as_f64(), b.as_f64());
    let result = match operator {
        "+" => a + b,
        "-" => a - b,
        "*" => a * b,
        "/" => a / b,
        "%" => a % b,
        "min" => a.min(b),
        _ => a.max(b),
    };
    // Fifteen significant digits survive any decimal that people write; the digits behind them are the float's own
    // error: 0.1 + 0.2 is 0.3.
    Ok(Quantity::Real(format!("{result:.14e}").parse().unwrap_or(f64::NAN)))
}
