//! A sitting: threads that make one viewing's pieces while somebody watches it.
//!
//! ```text
//! request ── want ──► pieces of a sitting ──► worker: permit, then the store, then compose and encode ──► all who wait
//! ```
//!
//! What is laid out for a viewing, and the decoders that run through it, are kept as long as the sitting lasts. Pieces are made once for
//! all who ask, the most urgent first. A piece that nobody waits for any more is dropped, between two frames if it is under way.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use vignette_renderer::audio::AacTrack;
use vignette_renderer::encode::VideoProfile;
use vignette_renderer::frame::I420Frame;
use vignette_renderer::plan::Segment;
use vignette_renderer::render::{Desk, Prepared, Stores};
use vignette_renderer::segment::EncodedSegment;
use vignette_renderer::store::{Lookup, Turn};
use vignette_templates::blob::Digest;

use crate::admission::{Costs, overrun};
use crate::metrics::Metrics;
use crate::permits::{Class, Keeps, Permits};
use crate::traces::Span;
use crate::viewing::Viewing;
use crate::workshop::{MakeError, Workshop};

/// What can be made of a viewing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Piece {
    /// A segment: size, and its number in the plan.
    Picture(usize, usize),
    /// The whole programme.
    Sound,
    /// One frame of the canvas' own size.
    Still(u32),
}

/// A piece that was made.
#[derive(Clone)]
pub enum Made {
    /// A segment.
    Picture(Arc<EncodedSegment>),
    /// The whole programme.
    Sound(Arc<AacTrack>),
    /// One frame.
    Still(Arc<I420Frame>),
}

/// A wait for a piece. Dropping it says that it is not wanted any more.
pub struct Ticket(oneshot::Receiver<Result<Made, MakeError>>);

impl Future for Ticket {
    type Output = Result<Made, MakeError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|made| made.unwrap_or(Err(MakeError::Cancelled)))
    }
}

impl Ticket {
    /// Waits for a segment.
    ///
    /// # Errors
    /// What kept it from being made.
    pub async fn picture(self) -> Result<Arc<EncodedSegment>, MakeError> {
        match self.await? {
            Made::Picture(segment) => Ok(segment),
            _ => Err(MakeError::Machine("another piece came than was asked for".into())),
        }
    }

    /// Waits for the sound.
    ///
    /// # Errors
    /// What kept it from being made.
    pub async fn sound(self) -> Result<Arc<AacTrack>, MakeError> {
        match self.await? {
            Made::Sound(track) => Ok(track),
            _ => Err(MakeError::Machine("another piece came than was asked for".into())),
        }
    }

    /// Waits for a frame.
    ///
    /// # Errors
    /// What kept it from being made.
    pub async fn still(self) -> Result<Arc<I420Frame>, MakeError> {
        match self.await? {
            Made::Still(frame) => Ok(frame),
            _ => Err(MakeError::Machine("another piece came than was asked for".into())),
        }
    }
}

/// So much is watched that another viewing must wait, for that long by estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full(pub Duration);

/// All sittings.
pub struct Studio {
    workshop: Arc<dyn Workshop>,
    permits: Arc<Permits>,
    metrics: Arc<Metrics>,
    workers: usize,
    most: usize,
    sittings: Mutex<BTreeMap<Digest, Arc<Sitting>>>,
    costs: Costs,
    /// Held while somebody is let in, so that two are not let into the same room.
    door: Mutex<()>,
    /// How urgent pieces are to sittings that wait for another one's, by what the store calls them.
    urged: Mutex<HashMap<Digest, Class>>,
}

/// How long a sitting without work lasts.
const IDLE: Duration = Duration::from_secs(20);

/// How long a worker without work keeps its decoders.
const REST: Duration = Duration::from_secs(5);

/// How much later than at once a player may begin.
const PATIENCE: Duration = Duration::from_millis(1000);

/// A player that goes on asks for the next segment within that time: the longest lasts two seconds.
const WATCHED: Duration = Duration::from_millis(2500);

/// When to come again where nothing tells how long it takes.
const BUSY: Duration = Duration::from_secs(2);

/// How long a piece is made ahead for a player that does not come for it.
const AHEAD: Duration = Duration::from_secs(10);

/// How long is waited at a time for what others make, before it is asked whether to go on.
const PAUSE: Duration = Duration::from_millis(50);

impl Studio {
    /// A studio that uses `cores` cores for at most `most` viewings at a time.
    pub fn new(workshop: Arc<dyn Workshop>, metrics: Arc<Metrics>, cores: usize, most: usize) -> Studio {
        let permits = Arc::new(Permits::new(cores));
        // One more than there are cores, for a worker that waits for what another sitting makes.
        Studio {
            workshop,
            permits,
            metrics,
            workers: cores + 1,
            most: most.max(1),
            sittings: Mutex::default(),
            costs: Costs::default(),
            door: Mutex::default(),
            urged: Mutex::default(),
        }
    }

    /// What is found and kept.
    pub fn stores(&self) -> &Stores {
        self.workshop.stores()
    }

    /// The permits to use a core, for work beside that of sittings.
    pub fn permits(&self) -> &Permits {
        &self.permits
    }

    /// How many viewings have a sitting.
    pub fn sittings(&self) -> usize {
        lock(&self.sittings).len()
    }

    /// Wants a piece; it is made once for all who want it.
    ///
    /// # Errors
    /// When too many other viewings are being made.
    pub fn want(
        self: &Arc<Self>,
        viewing: &Arc<Viewing>,
        piece: Piece,
        class: Class,
    ) -> Result<Ticket, Full> {
        if viewing.is_over() {
            return Err(Full(BUSY));
        }
        loop {
            let sitting = self.sitting(viewing)?;
            if let Some(ticket) = sitting.want(piece, class) {
                return Ok(ticket);
            }
            // It ended just now.
            self.remove(&sitting);
        }
    }

    /// Wants the first segment of a size, for a viewer who has seen nothing yet. Blocks as [`Studio::let_in`].
    ///
    /// # Errors
    /// As [`Studio::let_in`].
    pub fn admit(self: &Arc<Self>, viewing: &Arc<Viewing>, size: usize) -> Result<Ticket, Full> {
        self.let_in(viewing, size)?;
        self.want(viewing, Piece::Picture(size, 0), Class::now())
    }

    /// Lets a viewer begin to play a size, at once or in up to a second: refused when somebody would stand still for it even so. Looks into the
    /// store for every segment that any of them will need, so it may take a few milliseconds; not again for a viewing that was let in and may
    /// still be played.
    ///
    /// # Errors
    /// When too much is being made for others; with the time after which that will have passed, by estimate.
    pub fn let_in(&self, viewing: &Viewing, size: usize) -> Result<(), Full> {
        if viewing.is_in() {
            return Ok(());
        }
        let _door = lock(&self.door);
        let now = Instant::now();
        let mut known = HashSet::new();
        let mut work = Vec::new();
        let sittings: Vec<Arc<Sitting>> = lock(&self.sittings).values().cloned().collect();
        let watched =
            |sitting: &&Arc<Sitting>| sitting.viewing.id != viewing.id && lock(&sitting.state).is_watched();
        for other in sittings.iter().filter(watched).map(|sitting| &sitting.viewing) {
            self.missing(other, other.ahead_of_player(now), &mut known, &mut work);
        }
        let others = work.len();
        self.missing(viewing, viewing.played_from(size, now), &mut known, &mut work);
        let (cores, own) = (self.permits.cores(), others..work.len());
        let mut late = Duration::ZERO;
        if !own.is_empty() {
            late = overrun(work.clone(), cores, now).min(PATIENCE);
            work[own].iter_mut().for_each(|(due, _)| *due += late);
            let over = overrun(work, cores, now);
            // A video that is too much for this machine all by itself is made nevertheless.
            if others > 0 && !over.is_zero() {
                return Err(Full(over));
            }
        }
        viewing.enter(size, late);
        Ok(())
    }

    /// Adds what is to be made of `segments` to `work`, each segment once.
    fn missing<'v>(
        &self,
        viewing: &Viewing,
        segments: impl Iterator<Item = (Instant, VideoProfile, &'v Segment)>,
        known: &mut HashSet<Digest>,
        work: &mut Vec<(Instant, Duration)>,
    ) {
        let canvas = viewing.canvas();
        for (due, profile, segment) in segments {
            let key = segment.key.digest();
            if known.insert(*key) && !self.stores().vault.contains(key) {
                work.push((due, self.costs.of(canvas, &profile, segment.range.len())));
            }
        }
    }

    /// Has pieces made that will soon be wanted, where there is a sitting.
    pub fn ahead(self: &Arc<Self>, viewing: &Arc<Viewing>, pieces: &[Piece]) {
        let Ok(sitting) = self.sitting(viewing) else { return };
        let mut state = lock(&sitting.state);
        if state.closed {
            return;
        }
        let until = Some(Instant::now() + AHEAD);
        for piece in pieces {
            let class = Class::Ahead(match piece {
                Piece::Picture(size, number) => viewing.due(*size, *number),
                Piece::Sound | Piece::Still(_) => Instant::now(),
            });
            state.pieces.entry(*piece).or_insert_with(|| sitting.fresh(*piece, class)).ahead = until;
        }
        sitting.changed.notify_all();
    }

    /// A player went away before the end: another one may have its place.
    pub fn left(&self, viewing: &Digest) {
        if let Some(sitting) = lock(&self.sittings).get(viewing) {
            lock(&sitting.state).asked = None;
        }
    }

    /// Ends the sitting of one viewing; what it makes is given up.
    pub fn end(&self, viewing: &Digest) {
        if let Some(sitting) = lock(&self.sittings).get(viewing) {
            lock(&sitting.state).closed = true;
            sitting.changed.notify_all();
        }
    }

    /// Ends all sittings; what they make is given up.
    pub fn close(&self) {
        for sitting in lock(&self.sittings).values() {
            lock(&sitting.state).closed = true;
            sitting.changed.notify_all();
        }
    }

    fn sitting(self: &Arc<Self>, viewing: &Arc<Viewing>) -> Result<Arc<Sitting>, Full> {
        let mut sittings = lock(&self.sittings);
        if let Some(sitting) = sittings.get(&viewing.id) {
            return Ok(sitting.clone());
        }
        if sittings.len() >= self.most {
            // The one that was not used for longest makes room, if it has nothing to do.
            let idle = sittings.values().filter_map(|sitting| {
                let state = lock(&sitting.state);
                state.pieces.is_empty().then(|| (state.used, sitting.clone()))
            });
            let (_, oldest) = idle.min_by_key(|(used, _)| *used).ok_or(Full(BUSY))?;
            lock(&oldest.state).closed = true;
            oldest.changed.notify_all();
            sittings.remove(&oldest.viewing.id);
        }
        let state = State { pieces: BTreeMap::new(), used: Instant::now(), asked: None, closed: false };
        let sitting = Arc::new(Sitting {
            viewing: viewing.clone(),
            workers: self.workers,
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        sittings.insert(viewing.id, sitting.clone());
        drop(sittings);
        let (own, studio) = (sitting.clone(), self.clone());
        let begun = std::thread::Builder::new().name("sitting".into()).spawn(move || {
            studio.workshop.step_back();
            own.run(&studio);
            studio.remove(&own);
        });
        if begun.is_err() {
            // The system has no thread to give: that is being full, too.
            self.remove(&sitting);
            return Err(Full(BUSY));
        }
        Ok(sitting)
    }

    fn remove(&self, sitting: &Arc<Sitting>) {
        let mut sittings = lock(&self.sittings);
        if sittings.get(&sitting.viewing.id).is_some_and(|known| Arc::ptr_eq(known, sitting)) {
            sittings.remove(&sitting.viewing.id);
        }
    }
}

struct Sitting {
    viewing: Arc<Viewing>,
    workers: usize,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    pieces: BTreeMap<Piece, Work>,
    used: Instant,
    /// When somebody who watches last asked for a piece.
    asked: Option<Instant>,
    /// Takes no more work.
    closed: bool,
}

impl State {
    /// Whether a player waits for a piece, or asked for one a moment ago. One that has enough for the moment asks again soon.
    fn is_watched(&self) -> bool {
        let waits = |work: &Work| {
            matches!(work.class, Class::Wanted(_)) && work.waiting.iter().any(|waiting| !waiting.is_closed())
        };
        self.asked.is_some_and(|asked| asked.elapsed() < WATCHED) || self.pieces.values().any(waits)
    }

    /// The most urgent piece that nobody makes yet. One of the `workers` is left to what is watched, which would wait behind what is not.
    fn first(&self, workers: usize) -> Option<Piece> {
        let unwatched = self.pieces.values().filter(|work| work.begun && !work.class.is_watched()).count();
        let may = |work: &Work| !work.begun && (work.class.is_watched() || unwatched + 1 < workers);
        let open = self.pieces.iter().filter(|(_, work)| may(work));
        open.min_by_key(|(piece, work)| (work.class, **piece)).map(|(piece, _)| *piece)
    }

    /// How urgent a piece is: as urgent as the one that waits until one of the `workers` has made its own.
    fn class_of(&self, piece: Piece, workers: usize) -> Class {
        let own = self.pieces.get(&piece).map_or(Class::Job, |work| work.class);
        let begun = self.pieces.values().filter(|work| work.begun).count();
        if begun < workers || !own.is_watched() {
            return own;
        }
        self.pieces.values().filter(|work| !work.begun).map(|work| work.class).fold(own, Class::min)
    }
}

struct Work {
    class: Class,
    waiting: Vec<oneshot::Sender<Result<Made, MakeError>>>,
    /// Until when it is made although nobody waits.
    ahead: Option<Instant>,
    begun: bool,
    /// In the trace of whoever asked first.
    span: Span,
}

impl Work {
    fn is_wanted(&self) -> bool {
        self.waiting.iter().any(|waiting| !waiting.is_closed())
            || self.ahead.is_some_and(|until| Instant::now() < until)
    }
}

/// What is still to be kept in the store, and the turn to do so.
type Unkept<'s> = (Turn<'s>, Vec<u8>);

impl Sitting {
    /// `None` when it has ended.
    fn want(&self, piece: Piece, class: Class) -> Option<Ticket> {
        let (tell, told) = oneshot::channel();
        let mut state = lock(&self.state);
        if state.closed {
            return None;
        }
        state.used = Instant::now();
        if matches!(class, Class::Wanted(_)) {
            state.asked = Some(state.used);
        }
        let work = state.pieces.entry(piece).or_insert_with(|| self.fresh(piece, class));
        work.class = work.class.min(class);
        if !work.span.is_sampled() && !work.begun {
            work.span = self.span(piece, class);
        }
        work.span.is_waited_for_here();
        work.waiting.retain(|waiting| !waiting.is_closed());
        work.waiting.push(tell);
        self.changed.notify_all();
        Some(Ticket(told))
    }

    fn fresh(&self, piece: Piece, class: Class) -> Work {
        Work { class, waiting: Vec::new(), ahead: None, begun: false, span: self.span(piece, class) }
    }

    /// The span of a piece, from being asked for until it is there.
    fn span(&self, piece: Piece, class: Class) -> Span {
        let name = match piece {
            Piece::Picture(..) => "segment",
            Piece::Sound => "sound",
            Piece::Still(_) => "still",
        };
        let span = Span::begin(name);
        if !span.is_sampled() {
            return span;
        }
        span.set("vignette.class", class.name());
        match piece {
            Piece::Picture(size, number) => {
                span.set("vignette.segment", number as i64);
                if let Some(size) = self.viewing.sizes.get(size) {
                    span.set("vignette.width", i64::from(size.plan.profile.width));
                    span.set("vignette.height", i64::from(size.plan.profile.height));
                    let frames = size.plan.segments.get(number).map_or(0, |segment| segment.range.len());
                    span.set("vignette.frames", i64::from(frames));
                }
            }
            Piece::Sound => {}
            Piece::Still(frame) => span.set("vignette.frame", i64::from(frame)),
        }
        span
    }

    fn run(&self, studio: &Studio) {
        let prepared = catch_unwind(AssertUnwindSafe(|| self.viewing.template.prepare(&self.viewing.video)));
        let prepared = prepared.unwrap_or_else(|_| Err(MakeError::Machine("laying out panicked".into())));
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return self.end(&error),
        };
        std::thread::scope(|scope| {
            for _ in 0..studio.workers {
                let spawned = std::thread::Builder::new()
                    .name("maker".into())
                    .spawn_scoped(scope, || self.work(&prepared, studio));
                if spawned.is_err() {
                    break;
                }
            }
        });
        self.end(&MakeError::Cancelled);
    }

    /// Takes no more work, and tells those who still wait.
    fn end(&self, error: &MakeError) {
        let mut state = lock(&self.state);
        state.closed = true;
        for waiting in std::mem::take(&mut state.pieces).into_values().flat_map(|work| work.waiting) {
            // Who has gone away need not know.
            let _ = waiting.send(Err(error.clone()));
        }
    }

    fn work(&self, prepared: &Prepared<'_>, studio: &Studio) {
        let mut desk = prepared.desk();
        while let Some(piece) = self.next(|| desk = prepared.desk()) {
            let made = catch_unwind(AssertUnwindSafe(|| self.make(piece, prepared, &mut desk, studio)));
            let made = made.unwrap_or_else(|_| {
                // Whatever state it was left in, the next piece begins afresh.
                desk = prepared.desk();
                Err(MakeError::Machine("making a piece panicked".into()))
            });
            let mut state = lock(&self.state);
            state.used = Instant::now();
            let Some(work) = state.pieces.remove(&piece) else { continue };
            if matches!(made, Err(MakeError::Cancelled)) && work.is_wanted() && !state.closed {
                // Somebody came for it just as it was given up.
                state.pieces.insert(piece, Work { begun: false, ..work });
                self.changed.notify_all();
                continue;
            }
            if let Err(error) = &made {
                work.span.fail(error.kind());
            }
            // Before the spans of those who wait for it.
            drop(work.span);
            drop(state);
            let (made, keep) = match made {
                Ok((made, keep)) => (Ok(made), keep),
                Err(error) => (Err(error), None),
            };
            for waiting in work.waiting {
                let _ = waiting.send(made.clone());
            }
            // Nobody waits for that: who asks for it now is given it from the store, or waits for it there.
            if let Some((turn, bytes)) = keep {
                turn.keep(bytes.into());
            }
        }
    }

    /// The piece to make now; `None` when the sitting is over. `rest` is called once when there has been nothing to do for a while.
    fn next(&self, mut rest: impl FnMut()) -> Option<Piece> {
        let (since, mut rested) = (Instant::now(), false);
        let mut state = lock(&self.state);
        loop {
            if state.closed {
                return None;
            }
            state.pieces.retain(|_, work| work.begun || work.is_wanted());
            if let Some(piece) = state.first(self.workers) {
                if let Some(work) = state.pieces.get_mut(&piece) {
                    work.begun = true;
                }
                return Some(piece);
            }
            if state.pieces.is_empty() && state.used.elapsed() >= IDLE {
                state.closed = true;
                self.changed.notify_all();
                return None;
            }
            if !rested && since.elapsed() >= REST {
                drop(state);
                rest();
                rested = true;
                state = lock(&self.state);
                continue;
            }
            state = self
                .changed
                .wait_timeout(state, REST)
                .map_or_else(|error| error.into_inner().0, |(state, _)| state);
        }
    }

    /// Makes a piece, or finds it; with what is still to be kept in the store, and where.
    fn make<'s>(
        &self,
        piece: Piece,
        prepared: &Prepared<'_>,
        desk: &mut Desk<'_>,
        studio: &'s Studio,
    ) -> Result<(Made, Option<Unkept<'s>>), MakeError> {
        let cancelled = || {
            let state = lock(&self.state);
            state.closed || !state.pieces.get(&piece).is_some_and(Work::is_wanted)
        };
        let own = || lock(&self.state).class_of(piece, self.workers);
        let permits = &*studio.permits;
        let place = lock(&self.state).pieces.get(&piece).map(|work| work.span.place()).unwrap_or_default();
        // One span for the first permit, and one for however many turns of waiting for another sitting.
        let mut wait = Some(place.begin("permit"));
        let mut shared = false;
        let key = match piece {
            Piece::Still(frame) => {
                let _permit = permits.acquire(&own, &cancelled).ok_or(MakeError::Cancelled)?;
                drop(wait);
                let _span = place.begin("make");
                return Ok((Made::Still(prepared.frame(frame)?), None));
            }
            Piece::Sound => self.viewing.sound(),
            Piece::Picture(size, number) => {
                let plan = self.viewing.sizes.get(size).map(|size| &size.plan);
                plan.and_then(|plan| plan.segments.get(number)).map(|segment| *segment.key.digest())
            }
        };
        let key = key.ok_or_else(|| MakeError::Machine("a piece that is not in the plan".into()))?;
        let vault = &studio.stores().vault;
        let class = || {
            let urged = lock(&studio.urged).get(&key).copied();
            urged.map_or_else(own, |urged| urged.min(own()))
        };
        loop {
            // What is there needs no core.
            if let Some(made) = vault.find(&key).and_then(|bytes| self.read(piece, &bytes)) {
                studio.metrics.reused.fetch_add(1, Ordering::Relaxed);
                place.set("vignette.found", true);
                return Ok((made, None));
            }
            let permit = permits.acquire(&class, &cancelled).ok_or(MakeError::Cancelled)?;
            if !shared {
                drop(wait.take());
            }
            // Begun with the permit in hand, so that whoever holds a turn goes on.
            match vault.begin(&key) {
                Lookup::Found(bytes) => {
                    let known = self.read(piece, &bytes);
                    if let Some(made) = known {
                        studio.metrics.reused.fetch_add(1, Ordering::Relaxed);
                        place.set("vignette.found", true);
                        return Ok((made, None));
                    }
                    vault.distrust(&key);
                }
                Lookup::Mine(turn) => {
                    drop(wait.take());
                    let span = place.begin("make");
                    let (started, away) = (Instant::now(), Mutex::new(Duration::ZERO));
                    let permit = Mutex::new(Some(permit));
                    let over = || {
                        let asked = Instant::now();
                        let over = !permits.give_way(&mut lock(&permit), Keeps::Encoder, &class, &cancelled);
                        *lock(&away) += asked.elapsed();
                        over
                    };
                    let (made, bytes, frames) = self.render(piece, prepared, desk, studio, &over)?;
                    let took = started.elapsed().saturating_sub(*lock(&away));
                    studio.metrics.made(frames, took);
                    if let Piece::Picture(size, _) = piece
                        && let Some(size) = self.viewing.sizes.get(size)
                    {
                        studio.costs.observe(self.viewing.canvas(), &size.plan.profile, frames, took);
                    }
                    span.set("vignette.away_ms", lock(&away).as_millis() as i64);
                    drop(span);
                    place.set("vignette.found", false);
                    return Ok((made, Some((turn, bytes))));
                }
                Lookup::Busy(waiting) => {
                    // The core is for those who can use it. Who makes it is as hurried as those who wait for it.
                    drop(permit);
                    if !shared {
                        shared = true;
                        wait.replace(place.begin("elsewhere"));
                    }
                    let urged = own();
                    lock(&studio.urged)
                        .entry(key)
                        .and_modify(|known| *known = urged.min(*known))
                        .or_insert(urged);
                    drop(waiting.wait(PAUSE));
                    lock(&studio.urged).remove(&key);
                    if cancelled() {
                        return Err(MakeError::Cancelled);
                    }
                }
            }
        }
    }

    /// What the store had, if it is what it should be.
    fn read(&self, piece: Piece, bytes: &[u8]) -> Option<Made> {
        match piece {
            Piece::Picture(size, number) => {
                let segment = self.viewing.sizes.get(size)?.plan.segments.get(number)?;
                Some(Made::Picture(Arc::new(segment_from(bytes, segment)?)))
            }
            Piece::Sound => Some(Made::Sound(Arc::new(AacTrack::from_bytes(bytes)?))),
            Piece::Still(_) => None,
        }
    }

    /// Composes and encodes: the piece, what the store keeps of it, and its frames.
    fn render(
        &self,
        piece: Piece,
        prepared: &Prepared<'_>,
        desk: &mut Desk<'_>,
        studio: &Studio,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<(Made, Vec<u8>, u32), MakeError> {
        let missing = || MakeError::Machine("a piece that is not in the plan".into());
        match piece {
            Piece::Picture(size, number) => {
                let plan = &self.viewing.sizes.get(size).ok_or_else(missing)?.plan;
                let segment = plan.segments.get(number).ok_or_else(missing)?;
                let made = desk.encode(plan.profile, segment, &studio.stores().plates, &cancelled)?;
                let bytes = made.to_bytes();
                Ok((Made::Picture(Arc::new(made)), bytes, segment.range.len()))
            }
            Piece::Sound => {
                let track = prepared.programme(cancelled)?;
                let bytes = track.to_bytes();
                Ok((Made::Sound(Arc::new(track)), bytes, 0))
            }
            Piece::Still(_) => Err(missing()),
        }
    }
}

/// The segment that the store had, if it is what it should be.
pub fn segment_from(bytes: &[u8], planned: &Segment) -> Option<EncodedSegment> {
    EncodedSegment::from_bytes(bytes).filter(|known| known.frames() == planned.range.len())
}

/// What is kept behind these locks is whole at every moment, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKERS: usize = 3;

    /// Pieces by their numbers, with whether they are begun.
    fn state(pieces: &[(usize, Class, bool)]) -> State {
        let work = |&(number, class, begun): &(usize, Class, bool)| {
            let work = Work { class, waiting: Vec::new(), ahead: None, begun, span: Span::default() };
            (Piece::Picture(0, number), work)
        };
        let pieces = pieces.iter().map(work).collect();
        State { pieces, used: Instant::now(), asked: None, closed: false }
    }

    #[test]
    fn one_worker_is_left_to_what_is_watched() {
        let now = Instant::now();
        let mut pieces = vec![(0, Class::Job, true), (1, Class::Batch, true), (2, Class::Job, false)];
        assert_eq!(state(&pieces).first(WORKERS), None);
        assert_eq!(state(&pieces[1..]).first(WORKERS), Some(Piece::Picture(0, 2)));
        pieces.extend([(3, Class::Ahead(now), false), (4, Class::Wanted(now), false)]);
        assert_eq!(state(&pieces).first(WORKERS), Some(Piece::Picture(0, 4)));
    }

    #[test]
    fn what_somebody_waits_behind_is_as_urgent() {
        let now = Instant::now();
        let (ahead, wanted) = (Class::Ahead(now), Class::Wanted(now));
        let pieces = [(0, ahead, true), (1, ahead, true), (2, Class::Job, true), (3, wanted, false)];
        let class = |pieces: &[_], number| state(pieces).class_of(Piece::Picture(0, number), WORKERS);
        assert_eq!(class(&pieces, 0), wanted);
        // What is not watched never takes the last worker, so nobody watching waits behind it.
        assert_eq!(class(&pieces, 2), Class::Job);
        // One worker is free.
        assert_eq!(class(&pieces[1..], 1), ahead);
        assert_eq!(class(&pieces[..3], 0), ahead);
    }
}
