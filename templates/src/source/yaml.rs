//! YAML 1.2, core schema, from parser events.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use super::{Kind, Node, Place, Tree};

/// Reads one document into `tree`; stops at the first thing after which nothing can be trusted.
pub(super) fn read(text: &str, tree: &mut Tree) {
    let mut parser = Parser::new_from_str(text);
    let mut documents = 0;
    while let Some(event) = parser.next_event() {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                tree.fault(place(error.marker()), format!("this is not YAML: {}", error.info()), None);
                tree.root = None;
                return;
            }
        };
        let at = place(&span.start);
        let goes_on = match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => true,
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    tree.fault(
                        at,
                        "more than one document in the file",
                        Some("keep what stands before `---`"),
                    );
                }
                documents == 1
            }
            Event::Alias(_) => refuse_anchor(tree, at),
            Event::Scalar(_, _, anchor, _)
            | Event::SequenceStart(anchor, _)
            | Event::MappingStart(anchor, _)
                if anchor > 0 =>
            {
                refuse_anchor(tree, at)
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                tree.fault(
                    at,
                    "tags (`!`) are not supported",
                    Some("write the value without the tag, or in quotes"),
                );
                false
            }
            Event::Scalar(text, _, _, None) if tree.wants_key() => {
                tree.key(at, text.into_owned());
                true
            }
            Event::Scalar(text, style, _, None) => {
                let kind =
                    if style == ScalarStyle::Plain { plain(&text) } else { Kind::String(text.into_owned()) };
                tree.add(Node { place: at, kind })
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if tree.wants_key() => {
                tree.fault(at, "a field's name cannot be a list or a map", Some("put it in quotes"));
                false
            }
            Event::SequenceStart(..) => tree.begin(at, false),
            Event::MappingStart(..) => tree.begin(at, true),
            Event::SequenceEnd | Event::MappingEnd => tree.end(),
        };
        if !goes_on {
            tree.root = None;
            return;
        }
    }
}

fn place(marker: &Marker) -> Place {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Place { line: number(marker.line()), column: number(marker.col() + 1) }
}

fn refuse_anchor(tree: &mut Tree, at: Place) -> bool {
    tree.fault(
        at,
        "anchors and aliases (`&`, `*`) are not supported",
        Some("use `vars` or `styles` for what is needed twice, and put a text that starts with & or * in quotes"),
    );
    false
}

/// What a plain scalar is (YAML 1.2.2, section 10.3.2).
fn plain(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "true" | "True" | "TRUE" => Kind::Bool(true),
        "false" | "False" | "FALSE" => Kind::Bool(false),
        _ if is_number(text) => Kind::Number(text.to_owned()),
        _ => Kind::String(text.to_owned()),
    }
}

fn is_number(text: &str) -> bool {
    if let Some(digits) = text.strip_prefix("0x") {
        return !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return !digits.is_empty() && digits.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_holds = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    digits(whole) && digits(fraction) && (!whole.is_empty() || !fraction.is_empty()) && exponent_holds
}
