//! How long GStreamer may make no progress before it counts as hanging: one setting for all that is decoded and encoded in this process.
//!
//! A pipeline whose element hangs cannot be stopped by who uses it: stopping waits for the element. So it is left to a thread of its own, which
//! ends when the element lets go; whoever waited gets an error and goes on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gst::prelude::*;

/// Unless [`set`] says otherwise: generous, for a machine with much else to do.
pub const DEFAULT: Duration = Duration::from_secs(60);

static MILLIS: AtomicU64 = AtomicU64::new(DEFAULT.as_millis() as u64);

/// How long a single step may take.
pub fn get() -> Duration {
    Duration::from_millis(MILLIS.load(Ordering::Relaxed))
}

/// Sets how long a single step may take, at least a millisecond, for everything that begins to wait from now on.
pub fn set(patience: Duration) {
    let millis = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
    MILLIS.store(millis.max(1), Ordering::Relaxed);
}

/// Stops a pipeline; one that `hangs` elsewhere, since that may take for ever.
pub(crate) fn stop(pipeline: &gst::Pipeline, hangs: bool) {
    if hangs {
        let own = pipeline.clone();
        let stopping = std::thread::Builder::new().name("stopping".into()).spawn(move || {
            let _ = own.set_state(gst::State::Null);
        });
        if stopping.is_ok() {
            return;
        }
        // No thread is to be had: then it stays as it is, which costs its memory and no one's time.
        std::mem::forget(pipeline.clone());
        return;
    }
    // Stopping can only fail for a pipeline that already stands still.
    let _ = pipeline.set_state(gst::State::Null);
}
