//! A sitting: threads that make one viewing's pieces while somebody watches it.
//!
//! ```text
//! request ── want ──► pieces of a sitting ──► worker: permit, then the store, then compose and encode ──► all who wait
//! ```
//!
//! What is laid out for a viewing, and the decoders that run through it, are kept as long as the sitting lasts. Pieces are made once for
//! all who ask, the most urgent first. A piece that nobody waits for any more is dropped, between two frames if it is under way.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use vignette_renderer::audio::AacTrack;
use vignette_renderer::frame::I420Frame;
use vignette_renderer::render::{Desk, Prepared, Stores};
use vignette_renderer::segment::EncodedSegment;
use vignette_renderer::store::Lookup;
use vignette_templates::blob::Digest;

use crate::metrics::Metrics;
use crate::permits::{Class, Permits};
use crate::viewing::Viewing;
use crate::workshop::MakeError;

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

/// So many viewings are watched that another one must wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// All sittings.
pub struct Studio {
    stores: Stores,
    permits: Arc<Permits>,
    metrics: Arc<Metrics>,
    workers: usize,
    most: usize,
    sittings: Mutex<BTreeMap<Digest, Arc<Sitting>>>,
}

/// How long a sitting without work lasts.
const IDLE: Duration = Duration::from_secs(20);

/// How long a piece is made ahead for a player that does not come for it.
const AHEAD: Duration = Duration::from_secs(10);

/// How long is waited at a time for what others make, before it is asked whether to go on.
const PAUSE: Duration = Duration::from_millis(50);

impl Studio {
    /// A studio that uses `cores` cores for at most `most` viewings at a time.
    pub fn new(stores: Stores, metrics: Arc<Metrics>, cores: usize, most: usize) -> Studio {
        let permits = Arc::new(Permits::new(cores));
        // One more than there are cores, for a worker that waits for what another sitting makes.
        Studio { stores, permits, metrics, workers: cores + 1, most: most.max(1), sittings: Mutex::default() }
    }

    /// What is found and kept.
    pub fn stores(&self) -> &Stores {
        &self.stores
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
            return Err(Full);
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

    /// Has pieces made that will soon be wanted, where there is a sitting.
    pub fn ahead(self: &Arc<Self>, viewing: &Arc<Viewing>, pieces: &[Piece]) {
        let Ok(sitting) = self.sitting(viewing) else { return };
        let mut state = lock(&sitting.state);
        if state.closed {
            return;
        }
        let until = Some(Instant::now() + AHEAD);
        for piece in pieces {
            let fresh = || Work { class: Class::Ahead, waiting: Vec::new(), ahead: None, begun: false };
            state.pieces.entry(*piece).or_insert_with(fresh).ahead = until;
        }
        sitting.changed.notify_all();
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
            let (_, oldest) = idle.min_by_key(|(used, _)| *used).ok_or(Full)?;
            lock(&oldest.state).closed = true;
            oldest.changed.notify_all();
            sittings.remove(&oldest.viewing.id);
        }
        let state = State { pieces: BTreeMap::new(), used: Instant::now(), closed: false };
        let sitting =
            Arc::new(Sitting { viewing: viewing.clone(), state: Mutex::new(state), changed: Condvar::new() });
        sittings.insert(viewing.id, sitting.clone());
        drop(sittings);
        let (own, studio) = (sitting.clone(), self.clone());
        let begun = std::thread::Builder::new().name("sitting".into()).spawn(move || {
            own.run(&studio);
            studio.remove(&own);
        });
        if begun.is_err() {
            // The system has no thread to give: that is being full, too.
            self.remove(&sitting);
            return Err(Full);
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
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    pieces: BTreeMap<Piece, Work>,
    used: Instant,
    /// Takes no more work.
    closed: bool,
}

struct Work {
    class: Class,
    waiting: Vec<oneshot::Sender<Result<Made, MakeError>>>,
    /// Until when it is made although nobody waits.
    ahead: Option<Instant>,
    begun: bool,
}

impl Work {
    fn is_wanted(&self) -> bool {
        self.waiting.iter().any(|waiting| !waiting.is_closed())
            || self.ahead.is_some_and(|until| Instant::now() < until)
    }
}

impl Sitting {
    /// `None` when it has ended.
    fn want(&self, piece: Piece, class: Class) -> Option<Ticket> {
        let (tell, told) = oneshot::channel();
        let mut state = lock(&self.state);
        if state.closed {
            return None;
        }
        state.used = Instant::now();
        let fresh = || Work { class, waiting: Vec::new(), ahead: None, begun: false };
        let work = state.pieces.entry(piece).or_insert_with(fresh);
        work.class = work.class.min(class);
        work.waiting.retain(|waiting| !waiting.is_closed());
        work.waiting.push(tell);
        self.changed.notify_all();
        Some(Ticket(told))
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
        while let Some(piece) = self.next() {
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
            for waiting in work.waiting {
                let _ = waiting.send(made.clone());
            }
        }
    }

    /// The most urgent piece that nobody makes yet; `None` when the sitting is over.
    fn next(&self) -> Option<Piece> {
        let mut state = lock(&self.state);
        loop {
            if state.closed {
                return None;
            }
            state.pieces.retain(|_, work| work.begun || work.is_wanted());
            let open = state.pieces.iter().filter(|(_, work)| !work.begun);
            let first = open.min_by_key(|(piece, work)| (work.class, **piece)).map(|(piece, _)| *piece);
            if let Some(piece) = first {
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
            state = self
                .changed
                .wait_timeout(state, IDLE / 4)
                .map_or_else(|error| error.into_inner().0, |(state, _)| state);
        }
    }

    fn make(
        &self,
        piece: Piece,
        prepared: &Prepared<'_>,
        desk: &mut Desk<'_>,
        studio: &Studio,
    ) -> Result<Made, MakeError> {
        let cancelled = || {
            let state = lock(&self.state);
            state.closed || !state.pieces.get(&piece).is_some_and(Work::is_wanted)
        };
        let class = || lock(&self.state).pieces.get(&piece).map_or(Class::Job, |work| work.class);
        let key = match piece {
            Piece::Still(frame) => {
                let _permit = studio.permits.acquire(class(), &cancelled).ok_or(MakeError::Cancelled)?;
                return Ok(Made::Still(prepared.frame(frame)?));
            }
            Piece::Sound => self.viewing.sound(),
            Piece::Picture(size, number) => {
                let plan = self.viewing.sizes.get(size).map(|size| &size.plan);
                plan.and_then(|plan| plan.segments.get(number)).map(|segment| *segment.key.digest())
            }
        };
        let key = key.ok_or_else(|| MakeError::Machine("a piece that is not in the plan".into()))?;
        let vault = &studio.stores.vault;
        loop {
            let permit = studio.permits.acquire(class(), &cancelled).ok_or(MakeError::Cancelled)?;
            // Begun with the permit in hand, so that whoever holds a turn goes on.
            match vault.begin(&key) {
                Lookup::Found(bytes) => {
                    let known = self.read(piece, &bytes);
                    if let Some(made) = known {
                        studio.metrics.reused.fetch_add(1, Ordering::Relaxed);
                        return Ok(made);
                    }
                    vault.distrust(&key);
                }
                Lookup::Mine(turn) => {
                    let started = Instant::now();
                    let (made, bytes, frames) = self.render(piece, prepared, desk, studio, &cancelled)?;
                    studio.metrics.made(frames, started.elapsed());
                    turn.keep(bytes.into());
                    return Ok(made);
                }
                Lookup::Busy(waiting) => {
                    // The core is for those who can use it.
                    drop(permit);
                    drop(waiting.wait(PAUSE));
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
                let known = EncodedSegment::from_bytes(bytes)?;
                (known.frames() == segment.range.len()).then(|| Made::Picture(Arc::new(known)))
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
                let made = desk.encode(plan.profile, segment, &studio.stores.plates, &cancelled)?;
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

/// What is kept behind these locks is whole at every moment, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
