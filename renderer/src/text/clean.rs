//! Text as it came to text as it is laid out.

use swash::text::{Category, Codepoint, Script};

/// How many marks and joiners may follow one another: Unicode's stream-safe format (UAX #15, section 13)
/// allows 30, and no language needs more. Without a bound one character could grow without end.
const MAX_MARKS: usize = 30;

/// Makes every line end `\n` with no space before it and tabs spaces, leaves out control characters, which no
/// font draws, and shortens absurd stacks of marks.
pub(super) fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut marks = 0;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let c = match c {
            '\r' => {
                if chars.peek() == Some(&'\n') {
                    chars.next();
                }
                '\n'
            }
            '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => '\n',
            '\t' => ' ',
            _ => c,
        };
        if c != '\n' && (c.is_control() || is_bidi_override(c)) {
            continue;
        }
        if c == '\n' {
            trim_spaces(&mut cleaned);
        }
        if is_mark(c) {
            marks += 1;
            if marks > MAX_MARKS {
                continue;
            }
        } else {
            marks = 0;
        }
        cleaned.push(c);
    }
    trim_spaces(&mut cleaned);
    cleaned
}

/// Spaces at the end of a line would push what is centred or aligned to the right off its place.
fn trim_spaces(text: &mut String) {
    let end = text.trim_end_matches([' ', '\u{3000}']).len();
    text.truncate(end);
}

/// Overrides and embeddings turn the order of everything behind them; a name that carries one, by mistake or
/// malice, would mirror the sentence it stands in. Isolates and marks stay: they cannot leak.
fn is_bidi_override(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}')
}

fn is_mark(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{1f3fb}'..='\u{1f3ff}' | '\u{e0000}'..='\u{e0fff}')
        || matches!(
            c.category(),
            Category::Mark
                | Category::SpacingMark
                | Category::EnclosingMark
                | Category::NonspacingMark
                | Category::Format
        )
}

/// Whether a character is rightly invisible, so that having no glyph is no loss.
pub(super) fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Whether the letters of the character's script are written joined, so that nothing may come between them.
pub(super) fn is_joined(c: char) -> bool {
    c.script().is_joined() || matches!(c, '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{200d}')
}

/// The language whose forms of Han characters a text shows by its other letters, for viewers whose own
/// language says nothing about them.
pub(super) fn han_language(text: &str) -> Option<&'static str> {
    text.chars().find_map(|c| match c.script() {
        Script::Hiragana | Script::Katakana => Some("ja"),
        Script::Hangul => Some("ko"),
        Script::Bopomofo => Some("zh-TW"),
        _ => None,
    })
}

/// The direction of the first letter that has one; `None` for digits, signs and pictures alone.
pub(super) fn first_direction_is_rtl(text: &str) -> Option<bool> {
    use swash::text::BidiClass;
    text.chars().find_map(|c| match c.bidi_class() {
        BidiClass::L => Some(false),
        BidiClass::R | BidiClass::AL => Some(true),
        _ => None,
    })
}
