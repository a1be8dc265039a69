//! What the files of a batch are called.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::Value;

use crate::Error;
use crate::templates::Data;
use crate::templates::blob::Digest;
use crate::templates::expr::{Expression, Locale};
use crate::templates::fault::did_you_mean;

/// The longest name without its ending, in bytes: file systems take 255.
const MAX_NAME: usize = 200;
/// The fewest digits of a row's number in a name.
const DIGITS: usize = 4;

/// A file name as Handlebars over one row's data, in which `row` is the row's number unless the data have a `row` of their
/// own.
#[derive(Clone, Debug, PartialEq)]
pub struct NamePattern(Expression);

impl NamePattern {
    /// Reads the pattern.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn parse(source: &str) -> Result<NamePattern, String> {
        let expression = Expression::parse(source).map_err(|error| error.to_string())?;
        match expression.is_literal() {
            false => Ok(NamePattern(expression)),
            true => {
                Err("every file would have the same name; write e.g. {{row}} or {{viewer_id}}".to_owned())
            }
        }
    }

    /// The pattern as it was written.
    pub fn source(&self) -> &str {
        self.0.source()
    }

    /// Whether rows with these columns, or with the fields of the schema, can have a name.
    pub(super) fn check(&self, columns: &[String], schema: &Value) -> Result<(), Error> {
        let fields = schema["properties"].as_object();
        let fields: Vec<&str> =
            fields.into_iter().flat_map(|fields| fields.keys().map(String::as_str)).collect();
        let known = || columns.iter().map(String::as_str).chain(fields.iter().copied()).chain(["row"]);
        for reference in self.0.references().iter().filter(|reference| !reference.guarded) {
            let Some(root) = reference.path.first() else { continue };
            if !known().any(|name| name == root) {
                let hint = did_you_mean(root, known().filter(|name| !name.is_empty()))
                    .map_or_else(String::new, |hint| format!("; {hint}"));
                return Err(Error::Input(format!("--name: no row has a field `{root}`{hint}")));
            }
        }
        Ok(())
    }

    fn fill(&self, row: u64, data: &Data) -> Result<String, String> {
        let mut fields = data.fields().clone();
        fields.entry("row").or_insert(Value::from(row));
        let text = self
            .0
            .render(&Value::Object(fields), &Locale::default())
            .map_err(|error| format!("--name: {error}"))?;
        safe(&text).ok_or_else(|| "--name: nothing of it can stand in a file name".to_owned())
    }
}

/// How all rows of a batch are named.
pub(super) struct Names<'a> {
    pattern: Option<&'a NamePattern>,
    digits: usize,
}

impl<'a> Names<'a> {
    /// By `pattern`, or else by number, with as many digits for each as the last of `rows` has.
    pub(super) fn new(pattern: Option<&'a NamePattern>, rows: u64) -> Self {
        Names { pattern, digits: rows.to_string().len().max(DIGITS) }
    }

    /// Whether two rows can get the same name.
    pub(super) fn may_collide(&self) -> bool {
        self.pattern.is_some()
    }

    /// The name of a row where its number alone decides it.
    pub(super) fn by_number(&self, row: u64) -> Option<String> {
        self.pattern.is_none().then(|| format!("{row:0digits$}", digits = self.digits))
    }

    /// The name of a row with these data.
    ///
    /// # Errors
    /// Why it has none.
    pub(super) fn of(&self, row: u64, data: &Data) -> Result<String, String> {
        match (self.pattern, self.by_number(row)) {
            (Some(pattern), _) => pattern.fill(row, data),
            (None, name) => Ok(name.unwrap_or_default()),
        }
    }
}

/// The names that rows have taken, in 16 bytes of a digest each.
#[derive(Default)]
pub(super) struct Owners(HashMap<[u8; 16], u64>);

impl Owners {
    /// Gives `name` to `row`, or tells which row has it.
    pub(super) fn claim(&mut self, name: &str, row: u64) -> Option<u64> {
        let mut key = [0; 16];
        key.copy_from_slice(&Digest::of(name.as_bytes()).0[..16]);
        match self.0.entry(key) {
            Entry::Occupied(owner) => Some(*owner.get()),
            Entry::Vacant(free) => {
                free.insert(row);
                None
            }
        }
    }
}

/// `text` as a name that is the same file wherever the folder is copied to, and that no shell or spreadsheet takes for
/// something else; `None` when nothing is left of it.
///
/// Separators, control characters and what other systems forbid become `_`, as do characters that turn the direction of what
/// follows. What stands at the start is no dot, dash or sign, at the end no dot and no space.
fn safe(text: &str) -> Option<String> {
    let replaced: String = text
        .chars()
        .map(|c| match c {
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
            c if c.is_control() => '_',
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => '_',
            c if c.is_whitespace() => ' ',
            c => c,
        })
        .collect();
    let begun = replaced.trim_start_matches(['.', '-', '=', '+', '@', '~', ' ']);
    let end = begun.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= MAX_NAME).last();
    let name = begun[..end.unwrap_or(0)].trim_end_matches(['.', ' ']);
    (!name.trim_matches('_').is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe() {
        for (text, name) in [
            ("Maria", Some("Maria")),
            ("../../etc/passwd", Some("_.._etc_passwd")),
            ("a/b\\c:d", Some("a_b_c_d")),
            (".hidden", Some("hidden")),
            ("-rf", Some("rf")),
            ("=cmd()", Some("cmd()")),
            ("a\nb\0c", Some("a_b_c")),
            ("trailing. . ", Some("trailing")),
            ("\u{202e}gpj", Some("_gpj")),
            ("  Li  Wei ", Some("Li  Wei")),
            ("山田", Some("山田")),
            ("", None),
            ("...", None),
            ("/", None),
        ] {
            assert_eq!(safe(text).as_deref(), name, "{text:?}");
        }
        let long = safe(&"名".repeat(500)).unwrap();
        assert_eq!(long, "名".repeat(66), "200 bytes end within the 67th character");
    }

    #[test]
    fn numbers_are_as_wide_as_the_last() {
        for (rows, row, name) in [(3, 1, "0001"), (9_999, 17, "0017"), (10_000, 17, "00017")] {
            assert_eq!(Names::new(None, rows).by_number(row).as_deref(), Some(name));
        }
    }

    #[test]
    fn a_pattern_is_checked_before_the_first_row() {
        assert!(NamePattern::parse("video").is_err_and(|error| error.contains("same name")));
        assert!(NamePattern::parse("{{#each}}").is_err());
        let pattern = NamePattern::parse("{{viewer}}-{{row}}").unwrap();
        let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(pattern.check(&columns(&["viewer"]), &Value::Null).is_ok());
        let schema = serde_json::json!({ "properties": { "viewer": {} } });
        assert!(pattern.check(&[], &schema).is_ok());
        let error = pattern.check(&columns(&["viewers"]), &Value::Null).unwrap_err().to_string();
        assert!(error.contains("did you mean `viewers`?"), "{error}");
        assert!(NamePattern::parse("{{default x \"a\"}}{{row}}").unwrap().check(&[], &Value::Null).is_ok());
    }

    #[test]
    fn the_first_row_keeps_a_name() {
        let mut owners = Owners::default();
        assert_eq!(owners.claim("a", 1), None);
        assert_eq!(owners.claim("b", 2), None);
        assert_eq!(owners.claim("a", 3), Some(1));
    }
}
