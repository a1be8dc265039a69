//! Leaves alone for a while what keeps failing.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How much failing is borne before a store is left alone, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Failures in a row after which the store is left alone. Default: 3.
    pub failures: u32,
    /// A call that takes longer counts as a failure, although its answer is used; one second more for each MiB
    /// that it gives. Default: 2 s.
    pub slow: Duration,
    /// How long the store is left alone at first. Then one call tries it; if that fails too, the time doubles.
    /// Default: 10 s.
    pub rest: Duration,
    /// The longest that it is left alone at a time. Default: 5 min.
    pub longest_rest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            failures: 3,
            slow: Duration::from_secs(2),
            rest: Duration::from_secs(10),
            longest_rest: Duration::from_secs(300),
        }
    }
}

/// Counts failures of one kind of call.
#[derive(Default)]
pub(super) struct Circuit {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failures: u32,
    /// How long the last rest was, and when it ends.
    resting: Option<(Duration, Instant)>,
}

/// Leave to make a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// Nothing is wrong.
    Usual,
    /// A rest has just ended, and this call tries whether things are well again.
    Trial,
}

impl Circuit {
    /// Whether to make a call now.
    pub(super) fn pass(&self, now: Instant) -> Option<Pass> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut state.resting {
            None => Some(Pass::Usual),
            Some((_, until)) if now < *until => None,
            Some((rest, until)) => {
                // Until this call is back the others go on resting, also if it never comes back.
                *until = now + *rest;
                Some(Pass::Trial)
            }
        }
    }

    /// Notes how a call ended.
    pub(super) fn ended(&self, pass: Pass, well: bool, now: Instant, patience: &Patience) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if well {
            *state = State::default();
            return;
        }
        state.failures = state.failures.saturating_add(1);
        let rest = match (pass, state.resting) {
            (Pass::Trial, Some((rest, _))) => (rest * 2).min(patience.longest_rest),
            (_, None) if state.failures >= patience.failures => patience.rest,
            // It had begun before the rest did, and tells nothing new.
            _ => return,
        };
        state.resting = Some((rest, now + rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        failures: 3,
        slow: Duration::from_secs(1),
        rest: Duration::from_secs(10),
        longest_rest: Duration::from_secs(30),
    };

    #[test]
    fn it_opens_rests_tries_and_closes() {
        let circuit = Circuit::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let ended = |pass, well, seconds| circuit.ended(pass, well, at(seconds), &PATIENCE);

        for second in 0..3 {
            assert_eq!(circuit.pass(at(second)), Some(Pass::Usual));
            ended(Pass::Usual, false, second);
        }
        assert_eq!(circuit.pass(at(2)), None, "three failures");
        ended(Pass::Usual, false, 5);
        assert_eq!(circuit.pass(at(11)), None, "a late failure does not lengthen the rest");
        assert_eq!(circuit.pass(at(12)), Some(Pass::Trial));
        assert_eq!(circuit.pass(at(12)), None, "one tries");
        ended(Pass::Trial, false, 13);
        assert_eq!(circuit.pass(at(32)), None, "twice as long");
        assert_eq!(circuit.pass(at(33)), Some(Pass::Trial));
        ended(Pass::Trial, false, 33);
        assert_eq!(circuit.pass(at(62)), None);
        assert_eq!(circuit.pass(at(63)), Some(Pass::Trial), "never longer than the longest");
        ended(Pass::Trial, true, 63);
        for _ in 0..2 {
            assert_eq!(circuit.pass(at(63)), Some(Pass::Usual), "well again");
            ended(Pass::Usual, false, 63);
        }
    }

    #[test]
    fn failures_that_are_not_in_a_row_do_not_count() {
        let circuit = Circuit::default();
        let now = Instant::now();
        for turn in 0..20 {
            assert_eq!(circuit.pass(now), Some(Pass::Usual), "turn {turn}");
            circuit.ended(Pass::Usual, turn % 3 == 2, now, &PATIENCE);
        }
    }

    #[test]
    fn a_trial_that_never_comes_back_is_followed_by_another() {
        let circuit = Circuit::default();
        let now = Instant::now();
        for _ in 0..3 {
            circuit.ended(Pass::Usual, false, now, &PATIENCE);
        }
        assert_eq!(circuit.pass(now + PATIENCE.rest), Some(Pass::Trial));
        assert_eq!(circuit.pass(now + PATIENCE.rest), None);
        assert_eq!(circuit.pass(now + PATIENCE.rest * 2), Some(Pass::Trial));
    }
}
