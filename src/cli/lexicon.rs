//! How the words of an audience are said: a table of `word` and `say`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use vignette::Error;
use vignette::audience::Audience;
use vignette::templates::pronunciation;

use super::{Stop, complain};

/// The most words of a lexicon.
const MAX_WORDS: usize = 200_000;

/// The entries of the file at `path`, word by word in small letters. Rows in which a field is empty count for nothing.
///
/// # Errors
/// A file without the columns `word` and `say`; rows that cannot be read, each told with its number.
pub(super) fn load(path: &Path) -> Result<BTreeMap<String, String>, Stop> {
    let audience = Audience::open(path).map_err(Error::from)?;
    let columns = audience.columns();
    for wanted in ["word", "say"] {
        if !columns.iter().any(|column| column == wanted) {
            return Err(Stop::Usage(format!(
                "{} has no column `{wanted}`; a lexicon has the columns `word` and `say`",
                path.display()
            )));
        }
    }
    let (mut lexicon, mut wrong) = (BTreeMap::new(), 0u64);
    for row in audience.rows().map_err(Error::from)? {
        let row = row.map_err(Error::from)?;
        let number = row.number();
        let mut fault = |reason: &str| {
            wrong += 1;
            complain(&format!("{}: row {number}: {reason}", path.display()));
        };
        let Ok(value) = row.value(&json!({})) else {
            fault("it cannot be read");
            continue;
        };
        let text = |column: &str| value.get(column).and_then(Value::as_str).unwrap_or_default().trim();
        let (word, say) = (text("word"), text("say"));
        if word.is_empty() || say.is_empty() {
            continue;
        }
        match pronunciation::of_words(word, say) {
            Ok(pairs) => lexicon.extend(pairs.into_iter().map(|(word, say)| (word.to_lowercase(), say))),
            Err(reason) => fault(&reason),
        }
        if lexicon.len() > MAX_WORDS {
            return Err(Stop::Usage(format!("{} has more than {MAX_WORDS} words", path.display())));
        }
    }
    match wrong {
        0 => Ok(lexicon),
        _ => Err(Stop::Said),
    }
}
