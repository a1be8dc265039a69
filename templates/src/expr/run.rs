//! One filling of one expression: its locale, its allowance of steps, its output, and the faults of helpers.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;

use handlebars::{Output, RenderError, RenderErrorReason};
use serde_json::Value;

use super::locale::Locale;
use super::{MAX_OUTPUT, MAX_STEPS};
use crate::generate::Piece;

thread_local! {
    // The engine hands helpers no state of the caller's but the data, so it is kept here while it runs on this thread.
    static LOCALE: RefCell<Option<Locale>> = const { RefCell::new(None) };
    static STEPS: Cell<u64> = const { Cell::new(0) };
    static MARKS: Cell<bool> = const { Cell::new(false) };
}

/// Stand around a value in a text that is filled for [`pieces`]. Unicode never assigns them, and values that hold them lose them.
const BEGIN: char = '\u{FDD0}';
const END: char = '\u{FDD1}';

/// Does `work`, in which values are marked in what is written.
pub(super) fn marking<T>(work: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            MARKS.set(self.0);
        }
    }
    let _restore = Restore(MARKS.replace(true));
    work()
}

/// Writes a value into a text.
pub(super) fn emit(out: &mut dyn Output, value: &str) -> io::Result<()> {
    if !MARKS.get() {
        return out.write(value);
    }
    out.write(&format!("{BEGIN}{}{END}", value.replace([BEGIN, END], "")))
}

/// A text in which values are marked, in pieces.
pub(super) fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let written = |text: &str| text.replace([BEGIN, END], "");
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let (value, after) = after.split_once(END).unwrap_or((after, ""));
        pieces.push(Piece::Written(written(before)));
        pieces.push(Piece::Value(written(value)));
        rest = after;
    }
    pieces.push(Piece::Written(written(rest)));
    pieces.retain(|piece| !matches!(piece, Piece::Written(text) if text.is_empty()));
    pieces
}

/// Does `work` with `locale` and a full allowance of steps for the helpers that it calls.
pub(super) fn with<T>(locale: &Locale, work: impl FnOnce() -> T) -> T {
    struct Restore(Option<Locale>, u64);
    impl Drop for Restore {
        fn drop(&mut self) {
            LOCALE.set(self.0.take());
            STEPS.set(self.1);
        }
    }
    let _restore = Restore(LOCALE.replace(Some(locale.clone())), STEPS.replace(MAX_STEPS));
    work()
}

/// The locale of the expression that is being filled.
pub(super) fn locale() -> Locale {
    LOCALE.with_borrow(|locale| locale.clone().unwrap_or_default())
}

/// Takes `steps` off the allowance.
pub(super) fn spend(steps: u64) -> Result<(), Fault> {
    match STEPS.get().checked_sub(steps) {
        Some(left) => {
            STEPS.set(left);
            Ok(())
        }
        None => Err(Fault::new(format!("the expression takes more than {MAX_STEPS} steps"))
            .hint("loop over fewer items, and over one list at a time")),
    }
}

/// What a helper refuses, before its place is known.
#[derive(Debug)]
pub(super) struct Fault {
    pub message: String,
    pub hint: Option<String>,
    /// The word of the source that it is about.
    pub about: Option<String>,
    /// Whether the variable that it is about does not exist.
    pub missing: bool,
}

impl Fault {
    pub fn new(message: impl Into<String>) -> Self {
        Fault { message: message.into(), hint: None, about: None, missing: false }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn about(mut self, word: Option<&String>) -> Self {
        self.about = word.cloned();
        self
    }

    /// The variable `name` does not exist.
    pub fn missing(name: Option<&String>) -> Self {
        let shown = name.map_or_else(|| "value".to_owned(), |name| format!("variable `{name}`"));
        Fault { missing: name.is_some(), ..Fault::new(format!("unknown {shown}")).about(name) }
    }

    /// What an error of the engine says.
    pub fn of(error: &RenderError) -> Self {
        match error.reason() {
            RenderErrorReason::NestedError(inner) => match inner.downcast_ref::<Fault>() {
                Some(fault) => Fault {
                    message: fault.message.clone(),
                    hint: fault.hint.clone(),
                    about: fault.about.clone(),
                    missing: fault.missing,
                },
                None => Fault::new(inner.to_string()),
            },
            RenderErrorReason::MissingVariable(name) => Fault::missing(name.as_ref()),
            RenderErrorReason::IOError(_) => {
                Fault::new(format!("the text becomes longer than {MAX_OUTPUT} bytes"))
                    .hint("shorten it with truncate, or loop over fewer items")
            }
            RenderErrorReason::InvalidJsonIndex(name) => {
                Fault::new(format!("`{name}` is not a position in a list"))
                    .hint("write a number, or {{#each}}")
            }
            other => Fault::new(other.to_string()),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for RenderError {
    fn from(fault: Fault) -> Self {
        RenderErrorReason::NestedError(Box::new(fault)).into()
    }
}

/// The text of a result, never longer than [`MAX_OUTPUT`].
#[derive(Default)]
pub(super) struct BoundedOutput {
    pub text: String,
}

impl Output for BoundedOutput {
    fn write(&mut self, piece: &str) -> io::Result<()> {
        if self.text.len() + piece.len() > MAX_OUTPUT {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "output limit"));
        }
        self.text.push_str(piece);
        Ok(())
    }
}

/// Writes `value`, which the source calls `name`, as text; null is empty.
pub(super) fn show(value: &Value, name: &str, out: &mut String) -> Result<(), Fault> {
    check_length(value, name)?;
    match value {
        Value::Null => {}
        Value::String(text) => out.push_str(text),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::Array(_) => {
            return Err(Fault::new(format!("`{name}` is a list, not text"))
                .hint(format!("write {{{{list {name}}}}} or {{{{#each {name}}}}}…{{{{/each}}}}"))
                .about(Some(&name.to_owned())));
        }
        Value::Object(_) => {
            return Err(Fault::new(format!("`{name}` is an object, not text"))
                .hint(format!("name one of its fields, e.g. {{{{{name}.…}}}}"))
                .about(Some(&name.to_owned())));
        }
    }
    Ok(())
}

/// Refuses `value`, which the source calls `name`, when it is text longer than [`MAX_OUTPUT`].
pub(super) fn check_length(value: &Value, name: &str) -> Result<(), Fault> {
    match value {
        Value::String(text) if text.len() > MAX_OUTPUT => {
            Err(Fault::new(format!("`{name}` has {} bytes; a text has at most {MAX_OUTPUT}", text.len()))
                .hint("shorten it in the data")
                .about(Some(&name.to_owned())))
        }
        _ => Ok(()),
    }
}

/// What kind of value it is, for messages.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
