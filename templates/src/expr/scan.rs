//! Looks at an expression's tags before the Handlebars engine does, and refuses what must not reach it.
//!
//! The engine's parser and renderer recurse once per nested block, parenthesis and bracket, and expand inline partials
//! without a bound, so a hostile source overflows the stack or never ends. This scan is linear, keeps its own stack, and
//! lets through only shallow sources made of text, comments, values, helpers and blocks.

use super::ExprError;
use crate::units::quoted;

/// The longest source in bytes.
pub(super) const MAX_SOURCE: usize = 64 * 1024;
/// How deep blocks may nest; each `{{else if}}` counts as one level, because the engine nests it.
pub(super) const MAX_BLOCKS: usize = 32;
/// How deep parentheses may nest inside one tag.
pub(super) const MAX_PARENTHESES: usize = 32;
/// How many names a path may have.
pub(super) const MAX_PATH: usize = 32;
/// How many tags a source may have; the engine's parser takes time in proportion to tags times bytes.
pub(super) const MAX_TAGS: usize = 2000;

/// A tag that the engine turns into a value, a helper call or the start of a block, in order of the source.
#[derive(Debug)]
pub(super) struct Tag<'a> {
    /// Byte offset of its `{{`.
    pub offset: usize,
    /// Names, paths and bare literals in it with their byte offsets in the source.
    pub words: Vec<(usize, &'a str)>,
}

impl Tag<'_> {
    /// Where the helper called `name` stands; the tag's own place when it is not found.
    pub fn name(&self, name: &str) -> usize {
        self.words.iter().find(|(_, word)| *word == name).map_or(self.offset, |(at, _)| *at)
    }

    /// Where the argument `path` stands. The tag's first word is a helper's name unless it is alone, and data may be called
    /// like a helper.
    pub fn argument(&self, path: &str) -> Option<usize> {
        let (first, rest) = self.words.split_first()?;
        rest.iter().chain([first]).find(|(_, word)| *word == path).map(|(at, _)| *at)
    }
}

struct Block<'a> {
    name: &'a str,
    offset: usize,
    levels: usize,
}

/// The tags of `source` that give values or open blocks (also `{{else if}}`), all bounds kept.
pub(super) fn scan(source: &str) -> Result<Vec<Tag<'_>>, ExprError> {
    if source.len() > MAX_SOURCE {
        return Err(ExprError::new(0, format!("text of {} bytes is longer than {MAX_SOURCE}", source.len())));
    }
    let mut tags = Vec::new();
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut at = 0;
    let mut count = 0;
    while let Some(found) = source[at..].find("{{") {
        let open = at + found;
        count += 1;
        if count > MAX_TAGS {
            return Err(ExprError::new(open, format!("more than {MAX_TAGS} `{{{{` in one text")));
        }
        let backslashes = source[at..open].bytes().rev().take_while(|byte| *byte == b'\\').count();
        if backslashes == 1 {
            // `\{{` is text, and takes a directly following `{{` with it.
            at = open + 2;
            if source[at..].starts_with("{{") {
                at += 2;
            }
            continue;
        }
        let mut cursor = Cursor { source, at: open + 2, open };
        at = match cursor.tag()? {
            Found::Comment { end } => end,
            Found::Value { tag, end } => {
                tags.push(tag);
                end
            }
            Found::Open { tag, end } => {
                let name = tag.words.first().map_or("", |(_, word)| *word);
                blocks.push(Block { name, offset: open, levels: 1 });
                check_depth(&blocks, open)?;
                tags.push(tag);
                end
            }
            Found::Else { tag, end } => {
                let Some(block) = blocks.last_mut() else {
                    return Err(ExprError::new(open, "`{{else}}` outside a block")
                        .hint("open one before it, e.g. {{#if name}}"));
                };
                if let Some(tag) = tag {
                    block.levels += 1;
                    check_depth(&blocks, open)?;
                    tags.push(tag);
                }
                end
            }
            Found::Close { name, end } => {
                match blocks.pop() {
                    Some(block) if block.name == name => {}
                    Some(block) => {
                        let opened = block.name;
                        return Err(ExprError::new(
                            open,
                            format!("`{{{{#{opened}}}}}` is closed by `{{{{/{name}}}}}`"),
                        )
                        .hint(format!("write {{{{/{opened}}}}} first")));
                    }
                    None => {
                        return Err(ExprError::new(
                            open,
                            format!("`{{{{/{name}}}}}` closes a block that is not open"),
                        )
                        .hint(format!("remove it, or open the block with {{{{#{name} …}}}}")));
                    }
                }
                end
            }
        };
    }
    match blocks.pop() {
        Some(Block { name, offset, .. }) => {
            Err(ExprError::new(offset, format!("`{{{{#{name}}}}}` is never closed"))
                .hint(format!("write {{{{/{name}}}}} where it ends")))
        }
        None => Ok(tags),
    }
}

fn check_depth(blocks: &[Block<'_>], offset: usize) -> Result<(), ExprError> {
    // At most MAX_TAGS blocks of at most MAX_BLOCKS entries are ever summed.
    if blocks.iter().map(|block| block.levels).sum::<usize>() > MAX_BLOCKS {
        return Err(ExprError::new(offset, format!("blocks nest deeper than {MAX_BLOCKS}")));
    }
    Ok(())
}

enum Found<'a> {
    Comment { end: usize },
    Value { tag: Tag<'a>, end: usize },
    Open { tag: Tag<'a>, end: usize },
    Else { tag: Option<Tag<'a>>, end: usize },
    Close { name: &'a str, end: usize },
}

struct Cursor<'a> {
    source: &'a str,
    at: usize,
    /// Where the tag's `{{` is.
    open: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied()
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Skips white space and one `~` in it, the sign that trims the text next to the tag.
    fn skip_trim(&mut self) {
        self.skip_whitespace();
        if self.peek() == Some(b'~') {
            self.at += 1;
            self.skip_whitespace();
        }
    }

    fn fault(&self, message: impl Into<String>) -> ExprError {
        ExprError::new(self.open, message)
    }

    fn unclosed(&self) -> ExprError {
        self.fault("`{{` is never closed")
            .hint("write }} where the expression ends, or \\{{ for plain braces")
    }

    /// Reads one tag, from behind its `{{`.
    fn tag(&mut self) -> Result<Found<'a>, ExprError> {
        if self.rest().starts_with("{{") {
            return Err(self
                .fault("raw blocks `{{{{…}}}}` are not part of the language")
                .hint("write \\{{ for plain braces"));
        }
        if self.peek() == Some(b'!') {
            return self.comment();
        }
        self.skip_trim();
        let sigil = self.peek();
        let triple = sigil == Some(b'{');
        match sigil {
            Some(b'>') => return Err(self.partial()),
            Some(b'*') => return Err(self.decorator()),
            Some(b'#' | b'/' | b'&' | b'^' | b'{') => {
                self.at += 1;
                self.skip_whitespace();
            }
            _ => {}
        }
        if sigil == Some(b'#') {
            match self.peek() {
                Some(b'>') => return Err(self.partial()),
                Some(b'*') => return Err(self.decorator()),
                _ => {}
            }
        }
        let mut tag = self.body(triple)?;
        let end = self.at;
        let first = tag.words.first().map_or("", |(_, word)| *word);
        Ok(match sigil {
            Some(b'#') => Found::Open { tag, end },
            Some(b'/') => Found::Close { name: first, end },
            Some(b'^') if tag.words.is_empty() => Found::Else { tag: None, end },
            Some(b'^') => Found::Else { tag: Some(tag), end },
            _ if first == "else" => {
                tag.words.remove(0);
                Found::Else { tag: (!tag.words.is_empty()).then_some(tag), end }
            }
            _ if tag.words.is_empty() => {
                return Err(self.fault("the expression is empty").hint("write a name between {{ and }}"));
            }
            _ => Found::Value { tag, end },
        })
    }

    fn partial(&self) -> ExprError {
        self.fault("partials `{{> …}}` are not part of the language")
            .hint("use a value under `vars:` for text that is used twice")
    }

    fn decorator(&self) -> ExprError {
        self.fault("decorators `{{* …}}` are not part of the language")
            .hint("use a value under `vars:` for text that is used twice")
    }

    /// `{{! … }}` or `{{!-- … --}}`, the latter over any braces.
    fn comment(&mut self) -> Result<Found<'a>, ExprError> {
        self.at += 1;
        let short = self.at;
        self.skip_whitespace();
        if self.rest().starts_with("--")
            && let Some(length) = self.source[self.at + 2..].find("--}}")
        {
            return Ok(Found::Comment { end: self.at + 2 + length + 4 });
        }
        match self.source[short..].find("}}") {
            Some(length) => Ok(Found::Comment { end: short + length + 2 }),
            None => Err(self.unclosed()),
        }
    }

    /// Reads to behind the tag's `}}` (`}}}` when `triple`) and gives its words.
    fn body(&mut self, triple: bool) -> Result<Tag<'a>, ExprError> {
        let mut words = Vec::new();
        let mut depth = 0usize;
        loop {
            let Some(byte) = self.peek() else {
                return Err(self.unclosed());
            };
            match byte {
                b'}' => {
                    if depth > 0 {
                        return Err(self.fault("a parenthesis is never closed").hint("write ) before }}"));
                    }
                    if triple {
                        self.at += 1;
                        self.skip_trim();
                    }
                    if !self.rest().starts_with("}}") {
                        return Err(self.fault(match triple {
                            true => "`{{{` is not closed by `}}}`",
                            false => "a single `}` in an expression",
                        }));
                    }
                    self.at += 2;
                    return Ok(Tag { offset: self.open, words });
                }
                b'{' => {
                    return Err(ExprError::new(self.at, "a brace in an expression")
                        .hint("close the expression with }} before opening another; objects cannot be written in one"));
                }
                b'"' | b'\'' => self.string(byte)?,
                b'(' => {
                    depth += 1;
                    if depth > MAX_PARENTHESES {
                        return Err(ExprError::new(
                            self.at,
                            format!("parentheses nest deeper than {MAX_PARENTHESES}"),
                        ));
                    }
                    self.at += 1;
                }
                b')' => {
                    depth = depth.checked_sub(1).ok_or_else(|| {
                        ExprError::new(self.at, "`)` without `(`")
                            .hint("remove it, or write ( before the helper's name")
                    })?;
                    self.at += 1;
                }
                b' ' | b'\t' | b'\n' | b'\r' | b'=' | b'|' | b'~' => self.at += 1,
                _ => words.push(self.word()?),
            }
        }
    }

    /// Skips a string literal.
    fn string(&mut self, quote: u8) -> Result<(), ExprError> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => {
                    return Err(ExprError::new(start, "a quotation mark is never closed")
                        .hint(format!("write {} where the text ends", char::from(quote))));
                }
                Some(b'\\') => self.at += 2,
                Some(byte) => {
                    self.at += 1;
                    if byte == quote {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads a name, path or bare literal, `[segments like this]` in it included.
    fn word(&mut self) -> Result<(usize, &'a str), ExprError> {
        let start = self.at;
        let mut names = 1;
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | b'=' | b'|' | b'~' | b'(' | b')' | b'{' | b'}' | b'"'
                | b'\'' => break,
                b'[' => {
                    let open = self.at;
                    let length = self.rest().bytes().position(|byte| byte == b']');
                    let segment = length.map(|length| &self.rest()[1..length]);
                    match (length, segment) {
                        (Some(length), Some(segment)) if !segment.contains(['[', '{', '}', '"', '\'']) => {
                            self.at += length + 1;
                        }
                        (Some(_), _) => {
                            return Err(ExprError::new(open, "quotation marks or braces between [ and ]")
                                .hint(
                                    "lists cannot be written in an expression; [ ] holds one name of a path",
                                ));
                        }
                        (None, _) => {
                            return Err(
                                ExprError::new(open, "`[` is never closed").hint("write ] behind the name")
                            );
                        }
                    }
                }
                b'.' | b'/' => {
                    names += 1;
                    self.at += 1;
                }
                _ => self.at += 1,
            }
        }
        let word = &self.source[start..self.at];
        if names > MAX_PATH {
            return Err(ExprError::new(
                start,
                format!("path {} has more than {MAX_PATH} names", quoted(word)),
            ));
        }
        Ok((start, word))
    }
}
