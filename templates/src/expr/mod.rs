//! Expressions: the Handlebars in a template's strings, checked when the template is opened and filled per viewer.
//!
//! [`Expression::parse`] bounds and checks the source, [`Expression::references`] tells what it needs of the data,
//! [`Expression::render`] and [`Expression::evaluate`] fill it. The `handlebars` engine parses and renders; what surrounds
//! it here keeps strangers' templates and strangers' data within bounds, gives faults their place, and brings helpers that
//! know the viewer's language.
//!
//! # Guarantees
//! Parsing and filling never panic and take bounded time and memory: a source and a result of at most 64 KiB, at most
//! [`MAX_STEPS`] steps of loops and helpers, at most [`MAX_DATA`] bytes of data looked at. A filled text is a function of
//! source, data and locale alone.

mod blocks;
mod helpers;
mod locale;
mod resolve;
mod run;
mod scan;
#[cfg(test)]
mod tests;

use std::fmt;

use handlebars::template::{Parameter, Subexpression, TemplateElement};
use handlebars::{Context, RenderContext, Renderable, Template, TemplateErrorReason};
use serde_json::{Map, Value};

pub use locale::Locale;
use run::{BoundedOutput, Fault};

use crate::generate::Piece;
use crate::units::{did_you_mean, quoted};

/// The longest result of an expression in bytes.
pub const MAX_OUTPUT: usize = 64 * 1024;
/// The most steps that filling one expression takes: one per helper call and per turn of a loop, more for long texts.
pub const MAX_STEPS: u64 = 50_000;
/// The most data that one expression may refer to, in bytes of text and 16 for each value.
pub const MAX_DATA: usize = 4 * 1024 * 1024;

/// A string of a template, read once and filled for many viewers; plain text is one too.
#[derive(Clone)]
pub struct Expression {
    source: String,
    form: Form,
    references: Vec<Reference>,
    roots: Vec<Vec<String>>,
}

#[derive(Clone)]
enum Form {
    /// No expression in it; the text with `\{{` resolved.
    Literal(String),
    /// Nothing but one value of the data.
    Path,
    /// Nothing but one helper's value.
    Call { template: Template, call: Parameter },
    /// Text with expressions in it.
    Mixed(Template),
}

/// A value of the data that an expression reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The names that lead to it from the root of the data, e.g. `["customer", "name"]`. Empty when the data as a whole is
    /// read (`this`). What is read of a list's items inside `each` is not listed, the list itself is.
    pub path: Vec<String>,
    /// Where it stands in the source, in bytes.
    pub offset: usize,
    /// Whether its absence is provided for: it is an argument of `default`, `and`, `or`, `not`, `if`, `unless`, `each` or
    /// `with`, or stands in a branch that is only taken when it (or a value around or inside it) is there.
    pub guarded: bool,
}

/// What is wrong with an expression, or with filling it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprError {
    /// Where in the source, in bytes.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl ExprError {
    pub(crate) fn new(offset: usize, message: impl Into<String>) -> Self {
        ExprError { offset, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for ExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ExprError {}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Expression {}

impl Expression {
    /// Reads `source`, which may be plain text.
    ///
    /// # Errors
    /// The first of: a bound that is passed (64 KiB, 32 nested blocks, 32 nested parentheses, 32 names in a path, 2000
    /// tags), partials, decorators and raw blocks, faulty syntax, an unknown helper, wrong arguments.
    pub fn parse(source: &str) -> Result<Self, ExprError> {
        let tags = scan::scan(source)?;
        let literal = |text: String| Expression {
            source: source.to_owned(),
            form: Form::Literal(text),
            references: Vec::new(),
            roots: Vec::new(),
        };
        if !source.contains("{{") {
            return Ok(literal(source.to_owned()));
        }
        let mut template = Template::compile(source).map_err(|error| syntax_fault(source, &error))?;
        let resolved = resolve::resolve(&mut template, &tags)?;
        if template.elements.iter().all(is_text) {
            let texts = template.elements.iter().filter_map(|element| match element {
                TemplateElement::RawString(text) => Some(text.as_str()),
                _ => None,
            });
            return Ok(literal(texts.collect()));
        }
        let form = match &template.elements[..] {
            [TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call)] => {
                let shown = call.name.as_name() == Some(helpers::SHOW);
                if shown && resolved.references.len() == 1 {
                    Form::Path
                } else {
                    let call = Subexpression::new(call.name.clone(), call.params.clone(), call.hash.clone());
                    Form::Call { template, call: Parameter::Subexpression(call) }
                }
            }
            _ => Form::Mixed(template),
        };
        Ok(Expression {
            source: source.to_owned(),
            form,
            references: resolved.references,
            roots: resolved.roots,
        })
    }

    /// The text as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it is plain text: the same for every viewer.
    pub fn is_literal(&self) -> bool {
        matches!(self.form, Form::Literal(_))
    }

    /// What it reads of the data, in order of places, once for each place.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// The reference, when the expression is nothing but one value of the data, as in `{{modules}}`.
    pub fn whole_reference(&self) -> Option<&Reference> {
        match self.form {
            Form::Path => self.references.first(),
            _ => None,
        }
    }

    /// The text for `data`, formatted for `locale`. A value that is null comes out empty.
    ///
    /// # Errors
    /// A value that is missing (unless guarded), a list or an object where text is needed, an argument that a helper cannot
    /// use, or a bound that is passed.
    pub fn render(&self, data: &Value, locale: &Locale) -> Result<String, ExprError> {
        match &self.form {
            Form::Literal(text) => Ok(text.clone()),
            Form::Path => {
                let mut out = String::new();
                self.value(data)
                    .and_then(|value| self.fault_at(run::show(value, self.path_name(), &mut out)))?;
                Ok(out)
            }
            Form::Call { template, .. } | Form::Mixed(template) => {
                let context = Context::from(self.project(data)?);
                let mut out = BoundedOutput::default();
                let result = run::with(locale, || {
                    template.render(helpers::registry(), &context, &mut RenderContext::new(None), &mut out)
                });
                result.map_err(|error| self.engine_fault(&error, data))?;
                Ok(out.text)
            }
        }
    }

    /// The text for `data` as [`Expression::render`] gives it, parted into what the template's author wrote and what the data
    /// put in.
    ///
    /// # Errors
    /// As for [`render`](Self::render).
    pub fn render_pieces(&self, data: &Value, locale: &Locale) -> Result<Vec<Piece>, ExprError> {
        Ok(match &self.form {
            Form::Literal(text) => vec![Piece::Written(text.clone())],
            Form::Path => vec![Piece::Value(self.render(data, locale)?)],
            Form::Call { .. } | Form::Mixed(_) => run::pieces(&run::marking(|| self.render(data, locale))?),
        })
    }

    /// The value for `data`: of the type that the value or helper has when the expression is nothing but it, as in
    /// `{{modules}}` or `{{gt count 3}}`; otherwise the text that [`render`](Self::render) gives.
    ///
    /// # Errors
    /// As for [`render`](Self::render).
    pub fn evaluate(&self, data: &Value, locale: &Locale) -> Result<Value, ExprError> {
        match &self.form {
            Form::Path => {
                let value = self.value(data)?;
                self.fault_at(run::check_length(value, self.path_name()))?;
                Ok(value.clone())
            }
            Form::Call { call, .. } => {
                let context = Context::from(self.project(data)?);
                let result = run::with(locale, || {
                    let mut state = RenderContext::new(None);
                    call.expand(helpers::registry(), &context, &mut state).map(|value| {
                        // A value found missing is told from one that is null.
                        (!value.is_value_missing()).then(|| value.value().clone())
                    })
                });
                match result.map_err(|error| self.engine_fault(&error, data))? {
                    Some(value) => Ok(value),
                    None => {
                        Err(ExprError::new(0, "the expression has no value")
                            .hint("write (default … \"text\")"))
                    }
                }
            }
            Form::Literal(_) | Form::Mixed(_) => self.render(data, locale).map(Value::String),
        }
    }

    /// The value that the expression is.
    fn value<'a>(&self, data: &'a Value) -> Result<&'a Value, ExprError> {
        let path = self.references.first().map_or(&[][..], |reference| &reference.path);
        walk(data, path)
            .map_err(|depth| self.unknown(data, path, depth, self.path_offset(), self.path_name()))
    }

    fn path_offset(&self) -> usize {
        self.references.first().map_or(0, |reference| reference.offset)
    }

    /// The path of an expression that is nothing else, as written.
    fn path_name(&self) -> &str {
        let rest = &self.source[self.path_offset().min(self.source.len())..];
        rest.split(['}', '~', ' ', '\t', '\r', '\n', ')']).next().unwrap_or_default()
    }

    fn fault_at<T>(&self, result: Result<T, Fault>) -> Result<T, ExprError> {
        result.map_err(|fault| ExprError {
            offset: self.path_offset(),
            message: fault.message,
            hint: fault.hint,
        })
    }

    /// The part of `data` that the expression can reach. The engine owns what it renders from: copying this little instead
    /// of all the viewer's data keeps the cost of a text in proportion to the text.
    fn project(&self, data: &Value) -> Result<Value, ExprError> {
        let mut budget = MAX_DATA;
        let mut projected = Value::Object(Map::new());
        for root in &self.roots {
            copy_path(data, root, &mut projected, &mut budget).ok_or_else(|| {
                ExprError::new(0, format!("the expression reads more than {MAX_DATA} bytes of data"))
                    .hint("refer to the fields that are needed instead of what holds them")
            })?;
        }
        Ok(projected)
    }

    fn unknown(&self, data: &Value, path: &[String], depth: usize, offset: usize, shown: &str) -> ExprError {
        let error = ExprError::new(offset, format!("unknown variable `{shown}`"));
        let (Some(wanted), Ok(parent)) = (path.get(depth), walk(data, &path[..depth])) else {
            return error;
        };
        let parent_name = match depth {
            0 => "the data".to_owned(),
            _ => format!("`{}`", path[..depth].join(".")),
        };
        match parent {
            Value::Object(fields) => match did_you_mean(wanted, fields.keys().map(String::as_str)) {
                Some(near) => {
                    let mut right = path.to_vec();
                    right[depth] = near.to_owned();
                    error.hint(format!("did you mean `{}`?", right.join(".")))
                }
                // The names of the data's own fields are the template author's, never the viewer's values.
                None => error.hint(format!(
                    "{parent_name} has no field {}; write (default {shown} \"…\") if it may be missing",
                    quoted(wanted)
                )),
            },
            Value::Array(items) => error.hint(format!(
                "{parent_name} is a list of {}; write {{{{#each}}}} or a position",
                items.len()
            )),
            other => error.hint(format!("{parent_name} is {}, which has no fields", run::type_name(other))),
        }
    }

    /// What the engine found wrong, with the place of the name it is about.
    fn engine_fault(&self, error: &handlebars::RenderError, data: &Value) -> ExprError {
        let tag = match (error.line_no, error.column_no) {
            (Some(line), Some(column)) => offset_of(&self.source, line, column),
            _ => self.source.find("{{").unwrap_or(0),
        };
        let fault = Fault::of(error);
        let offset = match &fault.about {
            Some(word) => self.offset_of_word(word, tag).unwrap_or(tag),
            None => tag,
        };
        if let (true, Some(word)) = (fault.missing, &fault.about) {
            let reference = self.references.iter().find(|reference| reference.offset == offset);
            return match reference {
                Some(reference) => match walk(data, &reference.path) {
                    Err(depth) => self.unknown(data, &reference.path, depth, offset, word),
                    Ok(_) => ExprError::new(offset, format!("unknown variable `{word}`")),
                },
                None => ExprError::new(offset, format!("unknown variable `{word}`")).hint(format!(
                    "not every item of the list has it; write (default {word} \"…\") if it may be missing"
                )),
            };
        }
        ExprError { offset, message: fault.message, hint: fault.hint }
    }

    /// The first place where `word` is an argument of a tag at or behind `from`.
    fn offset_of_word(&self, word: &str, from: usize) -> Option<usize> {
        let tags = scan::scan(&self.source).ok()?;
        tags.iter().filter(|tag| tag.offset >= from).find_map(|tag| tag.argument(word))
    }
}

fn is_text(element: &TemplateElement) -> bool {
    matches!(element, TemplateElement::RawString(_) | TemplateElement::Comment(_))
}

/// The value at `path`, or how many of its names lead somewhere.
fn walk<'a>(data: &'a Value, path: &[String]) -> Result<&'a Value, usize> {
    let mut value = data;
    for (depth, name) in path.iter().enumerate() {
        value = match value {
            Value::Object(fields) => fields.get(name),
            Value::Array(items) => name.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        }
        .ok_or(depth)?;
    }
    Ok(value)
}

/// Copies what stands at `path` in `from` to the same place in `to`, as far as it exists; a list on the way is copied whole,
/// so that positions stay. `None` when `budget` does not reach.
fn copy_path(from: &Value, path: &[String], to: &mut Value, budget: &mut usize) -> Option<()> {
    match (path.split_first(), from, to) {
        (Some((name, rest)), Value::Object(fields), Value::Object(copied)) => {
            if let Some(value) = fields.get(name) {
                let empty = if value.is_object() && !rest.is_empty() {
                    Value::Object(Map::new())
                } else {
                    Value::Null
                };
                copy_path(value, rest, copied.entry(name.as_str()).or_insert(empty), budget)?;
            }
            Some(())
        }
        // Another path through the same list has copied it.
        (_, Value::Array(_), Value::Array(_)) => Some(()),
        (_, from, to) => {
            *to = copy(from, budget)?;
            Some(())
        }
    }
}

fn copy(value: &Value, budget: &mut usize) -> Option<Value> {
    *budget = budget.checked_sub(16)?;
    Some(match value {
        Value::String(text) => {
            *budget = budget.checked_sub(text.len())?;
            Value::String(text.clone())
        }
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| copy(item, budget)).collect::<Option<_>>()?)
        }
        Value::Object(fields) => {
            let mut copied = Map::new();
            for (name, field) in fields {
                *budget = budget.checked_sub(name.len())?;
                copied.insert(name.clone(), copy(field, budget)?);
            }
            Value::Object(copied)
        }
        other => other.clone(),
    })
}

/// The byte offset of line `line` (from 1), character `column` (from 1).
fn offset_of(source: &str, line: usize, column: usize) -> usize {
    let mut start = 0;
    for _ in 1..line {
        match source[start..].find('\n') {
            Some(length) => start += length + 1,
            None => return source.len(),
        }
    }
    source[start..].char_indices().nth(column.saturating_sub(1)).map_or(source.len(), |(at, _)| start + at)
}

/// What the engine's parser refused although the scan did not. Its own messages speak of grammar rules.
fn syntax_fault(source: &str, error: &handlebars::TemplateError) -> ExprError {
    let offset = error.pos().map_or(0, |(line, column)| offset_of(source, line, column));
    match error.reason() {
        TemplateErrorReason::InvalidParam(text) => {
            let offset = source.find(text.as_str()).unwrap_or(offset);
            ExprError::new(offset, format!("cannot read the literal {}", quoted(text)))
                .hint("write text in \"…\" without backslashes, and numbers like 1 or 0.5")
        }
        _ => {
            let found = match source.get(offset..).filter(|rest| !rest.is_empty()) {
                Some(rest) => quoted(rest),
                None => "the end".to_owned(),
            };
            ExprError::new(offset, format!("faulty expression, found {found}"))
                .hint("write {{name}}, {{helper value}} or {{#if name}}…{{/if}}; text inside in \"…\"")
        }
    }
}
