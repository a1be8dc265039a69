//! What a batch has taken of its providers' budgets holds for all its runs together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::journal::Journal;
use crate::generators::Engine;
use crate::templates::generate::Cost;

/// Ends the noting.
pub(super) struct Noting<'a>(&'a Engine);

impl Drop for Noting<'_> {
    fn drop(&mut self) {
        self.0.tell_spending(None);
    }
}

/// Books what earlier runs of the batch took, and notes in its journal what this one takes, before it is taken: a process that is ended
/// at any moment has taken no more than its journal says. Until the result is dropped.
pub(super) fn note<'a>(generators: &'a Engine, journal: &Arc<Mutex<Journal>>) -> Noting<'a> {
    let earlier = journal.lock().unwrap_or_else(PoisonError::into_inner).spent();
    // What the engine took for others is not the batch's.
    let before: BTreeMap<String, Cost> =
        generators.usage().into_iter().map(|(_, usage)| (usage.provider, usage.used)).collect();
    for (provider, spent) in earlier {
        generators.book(&provider, spent);
    }
    let journal = Arc::clone(journal);
    generators.tell_spending(Some(Arc::new(move |provider: &str, taken: Cost| {
        let spent = less(taken, before.get(provider).copied().unwrap_or_default());
        journal.lock().unwrap_or_else(PoisonError::into_inner).spend(provider, spent).is_ok()
    })));
    Noting(generators)
}

fn less(a: Cost, b: Cost) -> Cost {
    Cost {
        requests: a.requests.saturating_sub(b.requests),
        tokens: a.tokens.saturating_sub(b.tokens),
        characters: a.characters.saturating_sub(b.characters),
        micros: a.micros.saturating_sub(b.micros),
    }
}
