//! Viewings that are known, and the media names that their playlists announced. Bounded: what was not asked for longest goes first, and
//! comes back with the next request for its link.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::OnceCell;
use vignette_templates::blob::Digest;

use crate::uses::ViewerId;
use crate::viewing::{Place, Viewing};

/// A viewing that is there, or that one caller makes while others wait.
pub type Cell = Arc<OnceCell<Arc<Viewing>>>;

/// Known viewings.
pub struct Shelf {
    state: Mutex<State>,
    most: usize,
}

#[derive(Default)]
struct State {
    viewings: HashMap<Digest, Entry>,
    /// By use, oldest first.
    order: BTreeMap<u64, Digest>,
    /// Who announced a name, and what it stands for there; mostly one.
    names: HashMap<String, Vec<(Digest, Place)>>,
    clock: u64,
}

struct Entry {
    cell: Cell,
    used: u64,
    announced: bool,
    /// For whom it is; `None` is anybody.
    viewers: HashSet<Option<ViewerId>>,
}

/// Viewers that are told apart for one viewing; one with more is anybody's.
const MOST_VIEWERS: usize = 64;

impl Shelf {
    /// Knows at most `most` viewings.
    pub fn new(most: usize) -> Shelf {
        Shelf { state: Mutex::default(), most: most.max(1) }
    }

    /// The viewing of that name, to be made by the first who asks, for this viewer.
    pub fn cell(&self, id: Digest, viewer: Option<ViewerId>) -> Cell {
        let mut state = self.lock();
        if !state.viewings.contains_key(&id) {
            while state.viewings.len() >= self.most {
                state.forget_oldest();
            }
            let entry = Entry { cell: Cell::default(), used: 0, announced: false, viewers: HashSet::new() };
            state.viewings.insert(id, entry);
        }
        state.touch(&id);
        let Some(entry) = state.viewings.get_mut(&id) else { return Cell::default() };
        let viewer = viewer.filter(|_| entry.viewers.len() < MOST_VIEWERS);
        entry.viewers.insert(viewer);
        entry.cell.clone()
    }

    /// Forgets the viewings that are for this viewer alone, and gives those that were made.
    pub fn forget_viewer(&self, viewer: &ViewerId) -> Vec<Arc<Viewing>> {
        let mut state = self.lock();
        let alone = |(id, entry): (&Digest, &mut Entry)| {
            (entry.viewers.remove(&Some(*viewer)) && entry.viewers.is_empty()).then_some(*id)
        };
        let gone: Vec<Digest> = state.viewings.iter_mut().filter_map(alone).collect();
        gone.into_iter().filter_map(|id| state.forget(&id)).collect()
    }

    /// Forgets the viewings that need any of the segments or sounds that `is_gone` names, and gives them.
    pub fn forget_using(&self, is_gone: impl Fn(&Digest) -> bool) -> Vec<Arc<Viewing>> {
        let mut state = self.lock();
        let needs = |viewing: &Arc<Viewing>| {
            viewing.sound().is_some_and(|key| is_gone(&key))
                || viewing.sizes.iter().flat_map(|size| &size.plan.segments).any(|s| is_gone(s.key.digest()))
        };
        let made = state.viewings.iter();
        let gone: Vec<Digest> =
            made.filter(|(_, entry)| entry.cell.get().is_some_and(needs)).map(|(id, _)| *id).collect();
        gone.into_iter().filter_map(|id| state.forget(&id)).collect()
    }

    /// Lets the media of a viewing be found by name, as its playlists are about to tell them.
    pub fn announce(&self, viewing: &Arc<Viewing>) {
        let mut state = self.lock();
        match state.viewings.get_mut(&viewing.id) {
            Some(entry) if !entry.announced => entry.announced = true,
            _ => return,
        }
        for (name, place) in viewing.names() {
            let owners = state.names.entry(name).or_default();
            if !owners.iter().any(|(owner, _)| *owner == viewing.id) {
                owners.push((viewing.id, place));
            }
        }
    }

    /// What a name stands for, in the last viewing that announced it; rather in one whose player was let in, as whoever asks is one of those.
    pub fn find(&self, name: &str) -> Option<(Arc<Viewing>, Place)> {
        let mut state = self.lock();
        let owners = state.names.get(name)?;
        let viewing = |id: &Digest| state.viewings.get(id)?.cell.get();
        let is_in = |(id, _): &&(Digest, Place)| viewing(id).is_some_and(|viewing| viewing.is_in());
        let (id, place) = *owners.iter().rev().find(is_in).or_else(|| owners.last())?;
        let found = viewing(&id)?.clone();
        state.touch(&id);
        Some((found, place))
    }

    /// A viewing whose player is about to begin in the size that this first segment is of, and has not yet what it needs at once behind it.
    /// The name is that of many viewings; those that announced it last are looked at.
    pub fn beginner(&self, name: &str) -> Option<Arc<Viewing>> {
        const LAST: usize = 8;
        let state = self.lock();
        let owners = state.names.get(name)?.iter().rev().take(LAST);
        let of_first_size = owners.filter(|(_, place)| *place == Place::Picture(0, 0));
        let mut viewings = of_first_size.filter_map(|(id, _)| state.viewings.get(id)?.cell.get());
        viewings.find(|viewing| viewing.is_beginning()).cloned()
    }

    /// How many viewings are known.
    pub fn len(&self) -> usize {
        self.lock().viewings.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn touch(&mut self, id: &Digest) {
        self.clock += 1;
        let Some(entry) = self.viewings.get_mut(id) else { return };
        self.order.remove(&entry.used);
        entry.used = self.clock;
        self.order.insert(self.clock, *id);
    }

    fn forget_oldest(&mut self) {
        let Some((_, id)) = self.order.pop_first() else {
            self.viewings.clear();
            self.names.clear();
            return;
        };
        self.forget(&id);
    }

    fn forget(&mut self, id: &Digest) -> Option<Arc<Viewing>> {
        let entry = self.viewings.remove(id)?;
        self.order.remove(&entry.used);
        let viewing = entry.cell.get()?.clone();
        if entry.announced {
            for (name, _) in viewing.names() {
                if let Some(owners) = self.names.get_mut(&name) {
                    owners.retain(|(owner, _)| owner != id);
                    if owners.is_empty() {
                        self.names.remove(&name);
                    }
                }
            }
        }
        Some(viewing)
    }
}

/// Finished bytes in memory, by name, up to a bound; what was not asked for longest goes first.
pub struct Warm {
    state: Mutex<WarmState>,
    most: usize,
}

#[derive(Default)]
struct WarmState {
    entries: HashMap<String, (Bytes, u64)>,
    order: BTreeMap<u64, String>,
    bytes: usize,
    clock: u64,
}

impl Warm {
    /// Keeps at most `most` bytes.
    pub fn new(most: usize) -> Warm {
        Warm { state: Mutex::default(), most }
    }

    /// The bytes of that name.
    pub fn get(&self, name: &str) -> Option<Bytes> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        let (bytes, used) = state.entries.get_mut(name)?;
        state.clock += 1;
        let key = state.order.remove(used).unwrap_or_else(|| name.to_owned());
        *used = state.clock;
        state.order.insert(state.clock, key);
        Some(bytes.clone())
    }

    /// Keeps bytes, which follow from their name.
    pub fn put(&self, name: &str, bytes: &Bytes) {
        if bytes.len() > self.most / 8 {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.entries.contains_key(name) {
            return;
        }
        state.clock += 1;
        let used = state.clock;
        state.bytes += bytes.len();
        state.entries.insert(name.to_owned(), (bytes.clone(), used));
        state.order.insert(used, name.to_owned());
        while state.bytes > self.most {
            let Some((_, oldest)) = state.order.pop_first() else { break };
            if let Some((bytes, _)) = state.entries.remove(&oldest) {
                state.bytes -= bytes.len();
            }
        }
    }

    /// Forgets what `keep` does not want.
    pub fn retain(&self, keep: impl Fn(&str) -> bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *state;
        let gone: Vec<(u64, String)> = state
            .order
            .iter()
            .filter(|(_, name)| !keep(name))
            .map(|(used, name)| (*used, name.clone()))
            .collect();
        for (used, name) in gone {
            state.order.remove(&used);
            if let Some((bytes, _)) = state.entries.remove(&name) {
                state.bytes -= bytes.len();
            }
        }
    }

    /// Bytes that are kept.
    pub fn bytes(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_bytes_are_bounded_and_the_last_used_stay() {
        let warm = Warm::new(80);
        let ten = |sign: u8| Bytes::from(vec![sign; 10]);
        for number in 0..8 {
            warm.put(&number.to_string(), &ten(number));
        }
        assert_eq!(warm.bytes(), 80);
        assert_eq!(warm.get("0"), Some(ten(0)));
        warm.put("8", &ten(8));
        assert_eq!(warm.bytes(), 80);
        assert_eq!(warm.get("1"), None);
        assert_eq!(warm.get("0"), Some(ten(0)));
        warm.put("large", &Bytes::from(vec![0; 11]));
        assert_eq!(warm.get("large"), None, "one entry does not take the room of eight");
    }
}
