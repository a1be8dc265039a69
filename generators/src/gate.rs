//! What stands before a provider that costs something: rate limit, budget, circuit breaker.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use vignette_templates::generate::Cost;

use crate::error::GenerateError;

/// The grain in which a rate limit is counted: what was sent within one counts until all of it is a minute old.
const GRAIN: Duration = Duration::from_millis(100);
/// The grains of a minute, with one more for that which is not full yet.
const GRAINS: u64 = 601;

/// Bounds of what a provider may be asked. What is `None` is not bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bounds {
    /// Requests, retries included.
    pub requests: Option<u64>,
    /// Tokens, read and written.
    pub tokens: Option<u64>,
    /// Characters to speak.
    pub characters: Option<u64>,
    /// Money, in millionths of the configuration's currency.
    pub micros: Option<u64>,
}

/// When a provider is asked, and when it is left alone.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// In any 60 seconds.
    pub per_minute: Bounds,
    /// In all, for as long as the engine lives, with what was booked before.
    pub budget: Bounds,
    /// Requests under way at a time.
    pub concurrent: usize,
    /// So many faults in a row open the circuit.
    pub faults: u32,
    /// How long it stays open before one request may try.
    pub rest: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            per_minute: Bounds::default(),
            budget: Bounds::default(),
            concurrent: 8,
            faults: 5,
            rest: Duration::from_secs(30),
        }
    }
}

/// What a provider was asked so far, and what that took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Usage {
    /// The provider's name.
    pub provider: String,
    /// Requests that got a whole answer.
    pub answered: u64,
    /// Requests that did not.
    pub failed: u64,
    /// Requests under way.
    pub waiting: u64,
    /// What was taken of the budget. A request without a whole answer counts as what it could have taken at most.
    pub used: Cost,
    /// What may be taken in all.
    pub budget: Bounds,
    /// Whether its circuit is open: it failed several times in a row and is left alone for a while.
    pub resting: bool,
}

/// Is told before each request what its provider has taken of its budget, that request and those under way counted as what they can
/// take at most; and again when a request has ended. A request whose telling gives `false` is not sent.
pub type Ledger = Arc<dyn Fn(&str, Cost) -> bool + Send + Sync>;

/// Lets requests through to one provider.
pub struct Gate {
    provider: String,
    limits: Limits,
    start: Instant,
    state: Mutex<State>,
    changed: Condvar,
    ledger: Mutex<Option<Ledger>>,
}

#[derive(Default)]
struct State {
    used: Cost,
    /// What the requests under way can take at most.
    reserved: Cost,
    /// What was sent in each grain of the window, oldest first.
    window: VecDeque<(u64, Cost)>,
    waiting: usize,
    answered: u64,
    failed: u64,
    /// Faults since the last whole answer.
    faults: u32,
    /// Why and until when nothing is sent.
    open: Option<(Instant, String)>,
    /// Whether the one request that may try an open circuit is under way.
    trying: bool,
    /// The provider itself asked to be left alone until then.
    paused: Option<Instant>,
    /// Nobody wants an answer any more.
    halted: bool,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    /// A whole answer, which took this.
    Answered(Cost),
    /// A refusal that costs nothing, for being asked too often: no fault of either side.
    Throttled(Option<Duration>),
    /// A refusal that costs nothing.
    Refused(String),
    /// A refusal of everything that would be asked, such as a wrong key.
    Hopeless(String),
    /// No whole answer; what it took is not known.
    Lost(String),
}

impl Gate {
    pub(crate) fn new(provider: &str, limits: Limits) -> Self {
        Gate {
            provider: provider.to_owned(),
            limits,
            start: Instant::now(),
            state: Mutex::default(),
            changed: Condvar::new(),
            ledger: Mutex::default(),
        }
    }

    /// How many requests may be under way at a time.
    pub(crate) fn concurrent(&self) -> usize {
        self.limits.concurrent.max(1)
    }

    /// Counts what was taken of the budget before.
    pub(crate) fn book(&self, spent: Cost) {
        let mut state = self.lock();
        state.used = sum(state.used, spent);
    }

    /// Lets nothing through, and ends all waiting; or lets requests through again.
    pub(crate) fn halt(&self, halted: bool) {
        self.lock().halted = halted;
        self.changed.notify_all();
    }

    /// Waits so long, or until it is halted.
    pub(crate) fn rest(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut state = self.lock();
        while !state.halted {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Tells `ledger` from now on what is taken of the budget.
    pub(crate) fn tell(&self, ledger: Option<Ledger>) {
        *self.ledger.lock().unwrap_or_else(PoisonError::into_inner) = ledger;
    }

    /// Tells the ledger. The state stays locked meanwhile, so that what is told last is what came last.
    fn note(&self, state: &State, most: Cost) -> bool {
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner).clone();
        ledger.is_none_or(|ledger| ledger(&self.provider, sum(sum(state.used, state.reserved), most)))
    }

    /// What was asked so far.
    pub(crate) fn usage(&self) -> Usage {
        let state = self.lock();
        Usage {
            provider: self.provider.clone(),
            answered: state.answered,
            failed: state.failed,
            waiting: state.waiting as u64,
            used: state.used,
            budget: self.limits.budget,
            resting: state.open.as_ref().is_some_and(|(until, _)| *until > Instant::now()),
        }
    }

    /// Leave to send one request that can take `most`, waiting for it until `latest` where waiting helps.
    ///
    /// # Errors
    /// [`GenerateError::Limit`] when the budget does not allow it, the circuit is open, or its turn comes later.
    pub(crate) fn enter(&self, most: Cost, latest: Instant) -> Result<Permit<'_>, GenerateError> {
        let most = Cost { requests: 1, ..most };
        let limit = |reason: String| GenerateError::Limit { provider: self.provider.clone(), reason };
        let mut state = self.lock();
        loop {
            if state.halted {
                return Err(limit("not asked, because the work was ended".to_owned()));
            }
            let now = Instant::now();
            let mut trial = false;
            if let Some((until, why)) = &state.open {
                if *until > now || state.trying {
                    return Err(limit(format!(
                        "not asked for a while, after {} faults in a row: {why}",
                        state.faults
                    )));
                }
                trial = true;
            }
            if let Some(what) = passes(&self.limits.budget, sum(state.used, most)) {
                return Err(limit(format!(
                    "not asked, because its budget of {what} does not allow another request"
                )));
            }
            // What is under way may turn out to take less than it could.
            let settling = passes(&self.limits.budget, sum(sum(state.used, state.reserved), most)).is_some();
            let turn = self.turn(&mut state, most, now).map_err(limit)?;
            if turn > now && turn > latest {
                let wait = turn.duration_since(now).as_secs_f64();
                return Err(limit(format!(
                    "not asked, because its rate limit is reached for another {wait:.1} s"
                )));
            }
            let full = state.waiting >= self.limits.concurrent.max(1);
            if !settling && !full && turn <= now {
                if !self.note(&state, most) {
                    return Err(limit("not asked, because what it costs could not be noted".to_owned()));
                }
                state.waiting += 1;
                state.reserved = sum(state.reserved, most);
                state.trying |= trial;
                let grain = self.grain(now);
                match state.window.back_mut() {
                    Some((last, cost)) if *last == grain => *cost = sum(*cost, most),
                    _ => state.window.push_back((grain, most)),
                }
                return Ok(Permit { gate: self, most, grain, trial, ended: false });
            }
            if now >= latest {
                return Err(limit("not asked, because those before it took too long".to_owned()));
            }
            let until = if settling || full { latest } else { turn.min(latest) };
            let patience = until.saturating_duration_since(now).max(Duration::from_millis(1));
            state = self.changed.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// When the rate limit lets a request of this size through.
    fn turn(&self, state: &mut State, most: Cost, now: Instant) -> Result<Instant, String> {
        if let Some(what) = passes(&self.limits.per_minute, most) {
            return Err(format!(
                "not asked, because this one request is larger than its rate limit of {what} a minute"
            ));
        }
        let current = self.grain(now);
        while state.window.front().is_some_and(|(grain, _)| grain + GRAINS <= current) {
            state.window.pop_front();
        }
        let mut left = state.window.iter().fold(most, |total, (_, cost)| sum(total, *cost));
        let mut turn = state.paused.filter(|until| *until > now).unwrap_or(now);
        for (grain, cost) in &state.window {
            if passes(&self.limits.per_minute, left).is_none() {
                break;
            }
            left = less(left, *cost);
            let leaves = GRAIN.saturating_mul(u32::try_from(grain + GRAINS).unwrap_or(u32::MAX));
            turn = turn.max(self.start + leaves);
        }
        Ok(turn)
    }

    fn grain(&self, now: Instant) -> u64 {
        (now.duration_since(self.start).as_millis() / GRAIN.as_millis()) as u64
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, permit: &Permit<'_>, end: &End) {
        let mut state = self.lock();
        state.waiting = state.waiting.saturating_sub(1);
        state.reserved = less(state.reserved, permit.most);
        let took = match end {
            End::Answered(cost) => Cost { requests: 1, ..*cost },
            End::Throttled(_) | End::Refused(_) | End::Hopeless(_) => Cost { requests: 1, ..Cost::default() },
            End::Lost(_) => permit.most,
        };
        state.used = sum(state.used, took);
        self.note(&state, Cost::default());
        // The window counts what was really sent, too.
        if let Some((_, cost)) = state.window.iter_mut().rev().find(|(grain, _)| *grain == permit.grain) {
            *cost = sum(less(*cost, permit.most), took);
        }
        if permit.trial {
            state.trying = false;
        }
        let now = Instant::now();
        match end {
            End::Answered(_) => {
                state.answered += 1;
                state.faults = 0;
                state.open = None;
            }
            End::Throttled(after) => {
                state.failed += 1;
                let until = now + after.unwrap_or(Duration::from_secs(1)).min(Duration::from_secs(3600));
                state.paused = Some(state.paused.map_or(until, |paused| paused.max(until)));
            }
            End::Refused(why) | End::Lost(why) | End::Hopeless(why) => {
                state.failed += 1;
                state.faults += 1;
                if state.faults >= self.limits.faults.max(1)
                    || matches!(end, End::Hopeless(_))
                    || permit.trial
                {
                    state.open = Some((now + self.limits.rest, why.clone()));
                }
            }
        }
        drop(state);
        self.changed.notify_all();
    }
}

/// Leave to send one request.
pub(crate) struct Permit<'a> {
    gate: &'a Gate,
    most: Cost,
    grain: u64,
    trial: bool,
    ended: bool,
}

impl Permit<'_> {
    /// Tells how it ended, and what it took of the budget.
    pub(crate) fn end(mut self, end: &End) -> Cost {
        self.ended = true;
        self.gate.end(&self, end);
        match end {
            End::Answered(cost) => Cost { requests: 1, ..*cost },
            End::Lost(_) => self.most,
            End::Throttled(_) | End::Refused(_) | End::Hopeless(_) => Cost { requests: 1, ..Cost::default() },
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.gate.end(self, &End::Lost("it was abandoned".to_owned()));
        }
    }
}

pub(crate) fn sum(a: Cost, b: Cost) -> Cost {
    Cost {
        requests: a.requests.saturating_add(b.requests),
        tokens: a.tokens.saturating_add(b.tokens),
        characters: a.characters.saturating_add(b.characters),
        micros: a.micros.saturating_add(b.micros),
    }
}

fn less(a: Cost, b: Cost) -> Cost {
    Cost {
        requests: a.requests.saturating_sub(b.requests),
        tokens: a.tokens.saturating_sub(b.tokens),
        characters: a.characters.saturating_sub(b.characters),
        micros: a.micros.saturating_sub(b.micros),
    }
}

/// The bound that `cost` passes, in words.
fn passes(bounds: &Bounds, cost: Cost) -> Option<String> {
    let Bounds { requests, tokens, characters, micros } = bounds;
    let beyond = |bound: &Option<u64>, cost: u64| bound.filter(|bound| cost > *bound);
    beyond(requests, cost.requests)
        .map(|bound| format!("{bound} requests"))
        .or_else(|| beyond(tokens, cost.tokens).map(|bound| format!("{bound} tokens")))
        .or_else(|| beyond(characters, cost.characters).map(|bound| format!("{bound} characters")))
        .or_else(|| beyond(micros, cost.micros).map(|bound| format!("{} in money", bound as f64 / 1e6)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(limits: Limits) -> Gate {
        Gate::new("p", limits)
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(50)
    }

    const ONE: Cost = Cost { requests: 1, tokens: 0, characters: 0, micros: 0 };

    fn tokens(tokens: u64) -> Cost {
        Cost { tokens, ..Cost::default() }
    }

    fn refusal(result: Result<Permit<'_>, GenerateError>) -> String {
        result.map(drop).expect_err("it should be refused").to_string()
    }

    #[test]
    fn a_budget_is_never_passed() {
        let bounds = [
            ("requests", Bounds { requests: Some(3), ..Bounds::default() }, ONE),
            ("tokens", Bounds { tokens: Some(30), ..Bounds::default() }, tokens(10)),
            (
                "characters",
                Bounds { characters: Some(30), ..Bounds::default() },
                Cost { characters: 10, ..ONE },
            ),
            ("money", Bounds { micros: Some(30), ..Bounds::default() }, Cost { micros: 10, ..ONE }),
        ];
        for (name, budget, most) in bounds {
            let gate = gate(Limits { budget, ..Limits::default() });
            for _ in 0..3 {
                gate.enter(most, soon())
                    .unwrap_or_else(|error| panic!("{name}: {error}"))
                    .end(&End::Answered(most));
            }
            let message = refusal(gate.enter(most, soon()));
            assert!(message.contains("budget of") && message.contains(name), "{name}: {message}");
        }
    }

    #[test]
    fn what_was_spent_before_counts_and_what_is_spent_is_told() {
        let budget = Bounds { tokens: Some(100), ..Bounds::default() };
        let gate = gate(Limits { budget, ..Limits::default() });
        gate.book(Cost { requests: 4, tokens: 70, ..Cost::default() });
        assert!(refusal(gate.enter(tokens(31), soon())).contains("budget of 100 tokens"));
        let told = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&told);
        gate.tell(Some(Arc::new(move |name: &str, cost: Cost| {
            assert_eq!(name, "p");
            log.lock().unwrap().push((cost.requests, cost.tokens));
            true
        })));
        gate.enter(tokens(20), soon()).unwrap().end(&End::Answered(tokens(5)));
        assert_eq!(*told.lock().unwrap(), [(5, 90), (5, 75)]);
        gate.tell(Some(Arc::new(|_: &str, _: Cost| false)));
        assert!(refusal(gate.enter(tokens(20), soon())).contains("could not be noted"));
        assert_eq!((gate.usage().used.tokens, gate.usage().waiting), (75, 0));
    }

    #[test]
    fn nobody_waits_for_what_nobody_wants() {
        let gate = gate(Limits { concurrent: 1, ..Limits::default() });
        let first = gate.enter(ONE, soon()).unwrap();
        let hour = Duration::from_secs(3600);
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| refusal(gate.enter(ONE, Instant::now() + hour)));
            let rests = scope.spawn(|| gate.rest(hour));
            gate.halt(true);
            assert!(waits.join().unwrap().contains("the work was ended"));
            rests.join().unwrap();
        });
        first.end(&End::Answered(ONE));
        gate.halt(false);
        gate.enter(ONE, soon()).unwrap().end(&End::Answered(ONE));
    }

    #[test]
    fn requests_under_way_hold_their_share() {
        let budget = Bounds { tokens: Some(30), ..Bounds::default() };
        let gate = gate(Limits { budget, ..Limits::default() });
        let first = gate.enter(tokens(20), soon()).unwrap();
        // Not enough left while the first may still take 20; enough once it turns out to have taken 5.
        assert!(refusal(gate.enter(tokens(20), soon())).contains("took too long"));
        first.end(&End::Answered(tokens(5)));
        drop(gate.enter(tokens(20), soon()).unwrap());
        // Nobody said how the second ended: it counts in full.
        assert_eq!(gate.usage().used.tokens, 25);
        assert_eq!((gate.usage().answered, gate.usage().failed), (1, 1));
    }

    #[test]
    fn a_rate_limit_bounds_every_minute() {
        let per_minute = Bounds { requests: Some(2), tokens: Some(100), ..Bounds::default() };
        let gate = gate(Limits { per_minute, ..Limits::default() });
        gate.enter(tokens(90), soon()).unwrap().end(&End::Answered(tokens(10)));
        // The 80 tokens that were not needed may be used.
        gate.enter(tokens(90), soon()).unwrap().end(&End::Answered(tokens(90)));
        let message = refusal(gate.enter(ONE, soon()));
        assert!(message.contains("rate limit is reached for another"), "{message}");
        assert!(refusal(gate.enter(tokens(101), soon())).contains("larger than its rate limit"), "{message}");
        let turn = gate.turn(&mut gate.lock(), ONE, Instant::now()).unwrap();
        let wait = turn.duration_since(Instant::now());
        assert!(wait > Duration::from_secs(55) && wait <= GRAIN * GRAINS as u32, "{wait:?}");
    }

    #[test]
    fn faults_open_the_circuit_and_one_try_closes_it() {
        let rest = Duration::from_millis(40);
        let gate = gate(Limits { faults: 2, rest, ..Limits::default() });
        let fault = End::Refused("status 500".to_owned());
        gate.enter(ONE, soon()).unwrap().end(&fault);
        gate.enter(ONE, soon()).unwrap().end(&fault);
        let message = refusal(gate.enter(ONE, soon()));
        assert!(message.contains("after 2 faults in a row: status 500"), "{message}");
        assert!(gate.usage().resting);
        std::thread::sleep(rest + Duration::from_millis(10));
        let trial = gate.enter(ONE, soon()).unwrap();
        refusal(gate.enter(ONE, soon()));
        trial.end(&End::Answered(ONE));
        gate.enter(ONE, soon()).unwrap().end(&End::Answered(ONE));
        gate.enter(ONE, soon()).unwrap().end(&End::Hopeless("the key is wrong".to_owned()));
        assert!(refusal(gate.enter(ONE, soon())).contains("the key is wrong"));
    }

    #[test]
    fn being_asked_to_wait_pauses_everybody() {
        let gate = gate(Limits::default());
        gate.enter(ONE, soon()).unwrap().end(&End::Throttled(Some(Duration::from_secs(30))));
        assert!(refusal(gate.enter(ONE, soon())).contains("rate limit"));
        assert!(!gate.usage().resting, "it is no fault");
    }

    #[test]
    fn only_so_many_are_under_way() {
        let gate = gate(Limits { concurrent: 1, ..Limits::default() });
        let first = gate.enter(ONE, soon()).unwrap();
        assert!(refusal(gate.enter(ONE, soon())).contains("took too long"));
        std::thread::scope(|scope| {
            let second = scope.spawn(|| gate.enter(ONE, Instant::now() + Duration::from_secs(60)).map(drop));
            first.end(&End::Answered(ONE));
            assert!(second.join().unwrap().is_ok());
        });
    }
}
