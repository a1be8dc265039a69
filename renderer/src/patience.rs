//! How long GStreamer may make no progress before it counts as hanging: one setting for all that is decoded and encoded in this process.
//!
//! A pipeline whose element hangs cannot be stopped by who uses it: stopping waits for the element. So one that is not at its end is stopped by
//! a thread of its own, which ends when the element lets go; whoever used it gets an error, or waits no longer than that, and goes on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
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

/// How a pipeline stands when it is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It came to its end.
    Ended,
    /// It is given up on the way, and may hang without anybody having noticed.
    Running,
    /// It made no progress.
    Hangs,
}

/// Stops a pipeline, for which nobody waits longer than [`get`] says.
pub(crate) fn stop(pipeline: &gst::Pipeline, standing: Standing) {
    // Stopping can only fail for a pipeline that already stands still.
    if standing == Standing::Ended {
        let _ = pipeline.set_state(gst::State::Null);
        return;
    }
    let own = pipeline.clone();
    let (done, stopped) = mpsc::channel::<()>();
    let stopping = std::thread::Builder::new().name("stopping".into()).spawn(move || {
        let _ = own.set_state(gst::State::Null);
        drop(own);
        drop(done);
    });
    match (stopping, standing) {
        (Ok(_), Standing::Running) => drop(stopped.recv_timeout(get())),
        (Ok(_), _) => {}
        // No thread is to be had. One that hangs then stays as it is, which costs its memory and no one's time.
        (Err(_), Standing::Hangs) => std::mem::forget(pipeline.clone()),
        (Err(_), _) => drop(pipeline.set_state(gst::State::Null)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_given_up_is_stopped_when_that_is_over() {
        gst::init().unwrap();
        for standing in [Standing::Ended, Standing::Running] {
            let pipeline = gst::Pipeline::new();
            let parts = ["fakesrc", "fakesink"].map(|name| gst::ElementFactory::make(name).build().unwrap());
            pipeline.add_many(&parts).unwrap();
            gst::Element::link_many(&parts).unwrap();
            pipeline.set_state(gst::State::Playing).unwrap();
            stop(&pipeline, standing);
            assert_eq!(pipeline.current_state(), gst::State::Null, "{standing:?}");
        }
    }
}
