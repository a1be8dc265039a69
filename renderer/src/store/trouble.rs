//! Failures that a render lived with, in words.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::StoreError;

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TroubleKind {
    /// An entry was not what was put.
    Corrupt,
    /// The device has no room.
    Full,
    /// An entry can never fit.
    TooLarge,
    /// The system does not let this process write.
    ReadOnly,
    /// The object store refused the credentials.
    Denied,
    /// No answer came in time.
    TimedOut,
    /// The answer came, but later than it took to make the entry.
    Slow,
    /// Anything else that failed.
    Failed,
}

/// All failures of one kind in one store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The store, as [`Store::place`](super::Store::place) calls it.
    pub place: String,
    /// What kind they were.
    pub kind: TroubleKind,
    /// How many.
    pub count: u64,
    /// The first of them, in words, on one line.
    pub first: String,
}

impl TroubleKind {
    /// What helps, in words.
    pub fn remedy(self) -> &'static str {
        match self {
            TroubleKind::Corrupt => "if that goes on, check the disk and what else writes there",
            TroubleKind::Full => "free some space or name another store",
            TroubleKind::TooLarge => "raise the bound of the store",
            TroubleKind::ReadOnly => "allow this user to write there or name another store",
            TroubleKind::Denied => "check the credentials (AWS_ACCESS_KEY_ID and kin) and their rights",
            TroubleKind::TimedOut => "check the way to the store",
            TroubleKind::Slow => "name a store that is nearer",
            TroubleKind::Failed => "see that the store is there and well",
        }
    }

    /// What happened once, and what happened several times.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            TroubleKind::Corrupt => ("a damaged entry was made again", "damaged entries were made again"),
            TroubleKind::Full => {
                ("once there was no room to keep an entry", "times there was no room to keep an entry")
            }
            TroubleKind::TooLarge => {
                ("an entry was too large to be kept", "entries were too large to be kept")
            }
            TroubleKind::ReadOnly => (
                "a write was not allowed, and nothing was kept",
                "writes were not allowed, and nothing was kept",
            ),
            TroubleKind::Denied => ("a request was refused", "requests were refused"),
            TroubleKind::TimedOut => ("a request had no answer in time", "requests had no answer in time"),
            TroubleKind::Slow => (
                "an answer took longer than making the entry would",
                "answers took longer than making the entries would",
            ),
            TroubleKind::Failed => ("a request failed", "requests failed"),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Trouble { place, kind, count, first } = self;
        let ((one, many), remedy) = (kind.words(), kind.remedy());
        match count {
            1 => write!(f, "store {place}: {one} ({first}); {remedy}"),
            _ => write!(f, "store {place}: {count} {many} (first: {first}); {remedy}"),
        }
    }
}

/// Troubles until somebody asks.
#[derive(Default)]
pub(super) struct Troubles {
    list: Mutex<BTreeMap<(String, TroubleKind), Trouble>>,
}

impl Troubles {
    pub(super) fn note(&self, error: &StoreError) {
        if let Some(kind) = error.kind() {
            self.add(Trouble {
                place: error.place().to_owned(),
                kind,
                count: 1,
                first: one_line(error, kind),
            });
        }
    }

    pub(super) fn add(&self, trouble: Trouble) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.entry((trouble.place.clone(), trouble.kind))
            .and_modify(|known| known.count += trouble.count)
            .or_insert(trouble);
    }

    /// Every trouble since this was last called.
    pub(super) fn take(&self) -> Vec<Trouble> {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *list).into_values().collect()
    }
}

/// Bytes of a message that are kept: servers answer with whole pages at times.
const MESSAGE_BYTES: usize = 400;

fn one_line(error: &StoreError, kind: TroubleKind) -> String {
    let text = error.to_string();
    // The place and the remedy stand around it already.
    let text = text.strip_prefix(&format!("store {}: ", error.place())).unwrap_or(&text);
    let text = text.strip_suffix(&format!("; {}", kind.remedy())).unwrap_or(text);
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() > MESSAGE_BYTES {
        line.truncate(line.floor_char_boundary(MESSAGE_BYTES));
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(place: &str, message: &str) -> StoreError {
        let source = std::io::Error::other(message.to_owned());
        StoreError::reading(place.to_owned(), "read an entry", source)
    }

    #[test]
    fn each_kind_is_told_once_with_its_count() {
        let troubles = Troubles::default();
        troubles.note(&failed("here", "first"));
        troubles.note(&failed("here", "second"));
        troubles.note(&failed("there", "third"));
        troubles.note(&StoreError::TooLarge { place: "here".into(), bytes: 9, bound: 8 });
        troubles.note(&StoreError::Resting { place: "here".into() });
        let told: Vec<String> = troubles.take().iter().map(Trouble::to_string).collect();
        assert_eq!(
            told,
            [
                "store here: an entry was too large to be kept \
                 (an entry of 9 bytes exceeds the bound of 8 bytes); raise the bound of the store",
                "store here: 2 requests failed (first: read an entry: first); \
                 see that the store is there and well",
                "store there: a request failed (read an entry: third); see that the store is there and well",
            ]
        );
        assert_eq!(troubles.take(), []);
    }

    #[test]
    fn a_page_becomes_a_line() {
        let page = format!("<html>\n  <body>{}</body>", "ä".repeat(1000));
        let line = one_line(&failed("here", &page), TroubleKind::Failed);
        assert!(line.starts_with("read an entry: <html> <body>ää"), "{line}");
        assert!(line.len() < 410 && line.ends_with('…'), "{line}");
    }
}
