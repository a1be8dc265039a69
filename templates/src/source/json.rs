//! JSON (RFC 8259) with places, because a JSON text is not always YAML: tabs indent it and escapes pair up.

use super::{Kind, Node, Place, Tree};

/// Reads one value into `tree`; stops at the first thing after which nothing can be trusted.
pub(super) fn read(text: &str, tree: &mut Tree) {
    let mut reader = Reader { rest: text, place: Place { line: 1, column: 1 } };
    if let Err((place, message)) = reader.document(tree) {
        if !message.is_empty() {
            tree.fault(place, message, None);
        }
        tree.root = None;
    }
}

/// Where reading stopped and why; the reason is empty when the tree has said it already.
type Stop = (Place, String);

struct Reader<'a> {
    rest: &'a str,
    place: Place,
}

impl Reader<'_> {
    /// A loop over what is expected next: the open lists and maps are the tree's, not the stack's.
    fn document(&mut self, tree: &mut Tree) -> Result<(), Stop> {
        self.skip_space();
        if self.rest.is_empty() {
            return Ok(());
        }
        // Each turn reads one value, then closes what ends after it.
        loop {
            let at = self.place;
            let refused = || (at, String::new());
            match self.peek() {
                Some(open @ ('[' | '{')) => {
                    self.next();
                    if !tree.begin(at, open == '{') {
                        return Err(refused());
                    }
                    self.skip_space();
                    let close = if open == '{' { '}' } else { ']' };
                    if self.peek() != Some(close) {
                        if open == '{' {
                            self.field_name(tree)?;
                        }
                        continue;
                    }
                }
                _ => {
                    let kind = self.scalar()?;
                    if !tree.add(Node { place: at, kind }) {
                        return Err(refused());
                    }
                }
            }
            loop {
                self.skip_space();
                let Some(in_map) =
                    tree.open.last().map(|open| matches!(open.content, super::Content::Map { .. }))
                else {
                    return match self.rest.is_empty() {
                        true => Ok(()),
                        false => Err((self.place, "expected the end of the file".into())),
                    };
                };
                let at = self.place;
                match self.next() {
                    Some(',') => {
                        self.skip_space();
                        if in_map {
                            self.field_name(tree)?;
                        }
                        break;
                    }
                    Some('}') if in_map => {}
                    Some(']') if !in_map => {}
                    _ => return Err((at, format!("expected `,` or `{}`", if in_map { '}' } else { ']' }))),
                }
                if !tree.end() {
                    return Err((at, String::new()));
                }
            }
        }
    }

    fn field_name(&mut self, tree: &mut Tree) -> Result<(), Stop> {
        let at = self.place;
        if self.peek() != Some('"') {
            return Err((at, "expected a field's name in quotes".into()));
        }
        let name = self.string()?;
        tree.key(at, name);
        self.skip_space();
        let at = self.place;
        if self.next() != Some(':') {
            return Err((at, "expected `:` after the field's name".into()));
        }
        self.skip_space();
        Ok(())
    }

    fn scalar(&mut self) -> Result<Kind, Stop> {
        let at = self.place;
        match self.peek() {
            Some('"') => return self.string().map(Kind::String),
            None => return Err((at, "the file ends where a value should stand".into())),
            _ => {}
        }
        let end = self.rest.find([',', ']', '}', ' ', '\t', '\n', '\r', ':', '"']).unwrap_or(self.rest.len());
        let word = &self.rest[..end];
        let kind = match word {
            "null" => Kind::Null,
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            _ if is_number(word) => Kind::Number(word.to_owned()),
            _ => {
                let shown = crate::fault::quoted(word);
                return Err((at, format!("expected a value, found {shown}; words stand in double quotes")));
            }
        };
        self.place.column += word.chars().count() as u32;
        self.rest = &self.rest[end..];
        Ok(kind)
    }

    fn string(&mut self) -> Result<String, Stop> {
        self.next();
        let mut text = String::new();
        loop {
            let at = self.place;
            match self.next() {
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape(at)?),
                Some(c) if c >= ' ' => text.push(c),
                Some(_) => {
                    return Err((
                        at,
                        "a line break or control character inside a string; write it as \\n".into(),
                    ));
                }
                None => return Err((at, "the string is not closed".into())),
            }
        }
    }

    fn escape(&mut self, at: Place) -> Result<char, Stop> {
        let wrong = |what: &str| (at, format!("{what} is not an escape of JSON"));
        Ok(match self.next() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let first = self.hex().ok_or_else(|| wrong("this"))?;
                if !(0xd800..0xdc00).contains(&first) {
                    return char::from_u32(first).ok_or_else(|| wrong("half a surrogate pair"));
                }
                let second = match (self.next(), self.next()) {
                    (Some('\\'), Some('u')) => self.hex(),
                    _ => None,
                };
                let second = second.filter(|unit| (0xdc00..0xe000).contains(unit));
                let second = second.ok_or_else(|| wrong("half a surrogate pair"))?;
                let scalar = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                char::from_u32(scalar).ok_or_else(|| wrong("this"))?
            }
            _ => return Err(wrong("this")),
        })
    }

    fn hex(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |value, _| Some(value * 16 + self.next()?.to_digit(16)?))
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.rest = &self.rest[character.len_utf8()..];
        match character {
            '\n' => self.place = Place { line: self.place.line + 1, column: 1 },
            _ => self.place.column += 1,
        }
        Some(character)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\n' | '\r')) {
            self.next();
        }
    }
}

/// Whether `text` is a number by RFC 8259, section 6.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let leads_with_zero =
        unsigned.len() > 1 && unsigned.starts_with('0') && unsigned.as_bytes()[1].is_ascii_digit();
    let starts_with_digit = unsigned.starts_with(|c: char| c.is_ascii_digit());
    let dot_is_followed =
        unsigned.split_once('.').is_none_or(|(_, tail)| tail.starts_with(|c: char| c.is_ascii_digit()));
    let known = unsigned
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    known && starts_with_digit && !leads_with_zero && dot_is_followed && unsigned.parse::<f64>().is_ok()
}
