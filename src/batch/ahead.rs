//! Rows are filled ahead of their turn, several at a time, and come out in their order.
//!
//! ```text
//! reader ── draft ──► fillers (several) ── settle ──► next, in order
//! ```
//!
//! No row is read that is more than a bound ahead of the one whose turn it is, so that memory does not grow with their number, however
//! long one of them takes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long is waited at a time before it is asked whether to go on.
const PAUSE: Duration = Duration::from_millis(100);

/// What is between those who read, fill and make rows. Rows are counted from 1.
pub(super) struct Ahead<D, W> {
    /// So many rows may be under way besides the one whose turn it is.
    most: u64,
    state: Mutex<State<D, W>>,
    changed: Condvar,
}

struct State<D, W> {
    /// The row whose turn it is.
    next: u64,
    /// Rows that are to be filled.
    drafts: VecDeque<(u64, D)>,
    /// Rows that wait for their turn.
    ready: BTreeMap<u64, W>,
    /// The last row that comes, once that is known.
    last: Option<u64>,
    /// Nobody wants more.
    closed: bool,
}

impl<D, W> Ahead<D, W> {
    pub(super) fn new(most: usize) -> Self {
        let state =
            State { next: 1, drafts: VecDeque::new(), ready: BTreeMap::new(), last: None, closed: false };
        Ahead { most: most as u64, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Waits until `row` may be read; `false` when nobody wants it.
    pub(super) fn has_room(&self, row: u64) -> bool {
        let mut state = self.lock();
        while !state.closed && row > state.next + self.most {
            state = self.wait(state);
        }
        !state.closed
    }

    /// Has a row filled.
    pub(super) fn draft(&self, row: u64, draft: D) {
        self.lock().drafts.push_back((row, draft));
        self.changed.notify_all();
    }

    /// A row that is ready for its turn.
    pub(super) fn settle(&self, row: u64, work: W) {
        self.lock().ready.insert(row, work);
        self.changed.notify_all();
    }

    /// No row comes after `last`.
    pub(super) fn end(&self, last: u64) {
        self.lock().last.get_or_insert(last);
        self.changed.notify_all();
    }

    /// Nobody wants more.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits for a row to fill; nothing when none comes any more.
    pub(super) fn next_draft(&self) -> Option<(u64, D)> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(draft) = state.drafts.pop_front() {
                return Some(draft);
            }
            if state.last.is_some() {
                return None;
            }
            state = self.wait(state);
        }
    }

    /// Waits for the row whose turn it is; nothing after the last one, or when `goes_on`, asked now and then, says no.
    pub(super) fn next(&self, goes_on: &dyn Fn() -> bool) -> Option<(u64, W)> {
        let mut state = self.lock();
        loop {
            let row = state.next;
            if let Some(work) = state.ready.remove(&row) {
                state.next += 1;
                drop(state);
                self.changed.notify_all();
                return Some((row, work));
            }
            if state.last.is_some_and(|last| row > last) {
                return None;
            }
            drop(state);
            if !goes_on() {
                return None;
            }
            state = self.lock();
            if !state.ready.contains_key(&row) && state.last.is_none_or(|last| row <= last) {
                state = self.wait(state);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<D, W>> {
        // What is kept behind the lock is whole between any two statements.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State<D, W>>) -> MutexGuard<'a, State<D, W>> {
        self.changed.wait_timeout(state, PAUSE).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Does something however the thread that holds it ends: those who wait for it must not wait for ever.
pub(super) struct Finally<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn rows_come_in_order_and_no_more_than_allowed_are_under_way() {
        let ahead: Ahead<u64, u64> = Ahead::new(5);
        let (made, most) = (AtomicU64::new(0), AtomicU64::new(0));
        let rows: Vec<u64> = std::thread::scope(|scope| {
            scope.spawn(|| {
                for row in 1..=200 {
                    assert!(ahead.has_room(row));
                    most.fetch_max(row - made.load(Ordering::SeqCst), Ordering::SeqCst);
                    if row % 3 == 0 { ahead.settle(row, row) } else { ahead.draft(row, row) }
                }
                ahead.end(200);
            });
            for filler in 0..4 {
                let ahead = &ahead;
                scope.spawn(move || {
                    while let Some((row, draft)) = ahead.next_draft() {
                        if (row + filler) % 5 == 0 {
                            std::thread::sleep(Duration::from_millis(2));
                        }
                        ahead.settle(row, draft);
                    }
                });
            }
            let next = || ahead.next(&|| true).inspect(|(row, _)| made.store(*row, Ordering::SeqCst));
            std::iter::from_fn(next).map(|(_, work)| work).collect()
        });
        assert_eq!(rows, (1..=200).collect::<Vec<_>>());
        // The one whose turn it is was taken before it was counted.
        assert!(most.load(Ordering::SeqCst) <= 7, "{most:?}");
    }

    #[test]
    fn everybody_ends_when_nobody_wants_more() {
        let ahead: Ahead<u64, u64> = Ahead::new(2);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| (1..).take_while(|row| ahead.has_room(*row)).count());
            let filler = scope.spawn(|| ahead.next_draft());
            assert_eq!(ahead.next(&|| false), None);
            ahead.close();
            // It may be told before it has read anything.
            assert!(reader.join().unwrap() <= 3);
            assert_eq!(filler.join().unwrap(), None);
        });
    }
}
