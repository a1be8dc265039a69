//! Runs requests of an asynchronous client for callers that wait.
//!
//! The runtime lives on a thread of its own. So a caller may be any thread, also one that runs a runtime itself
//! and must not start another, and connections stay open between calls.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::task::AbortHandle;

/// A thread with a runtime; it ends when this is dropped, and requests under way end with it.
pub(super) struct Crew {
    runtime: Handle,
    day: AbortHandle,
}

impl Crew {
    pub(super) fn start() -> io::Result<Crew> {
        let (ready, started) = mpsc::sync_channel(1);
        thread::Builder::new().name("vignette-objects".to_owned()).spawn(move || {
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    // Nobody who could hear it is left when this fails.
                    let _ = ready.send(Err(error));
                    return;
                }
            };
            let day = runtime.spawn(std::future::pending::<()>());
            let crew = Crew { runtime: runtime.handle().clone(), day: day.abort_handle() };
            if ready.send(Ok(crew)).is_ok() {
                // Ends when the task is aborted.
                let _ = runtime.block_on(day);
            }
        })?;
        started.recv().unwrap_or_else(|_| Err(io::Error::other("the thread ended at once")))
    }

    /// Runs `request` and waits for what comes of it; `None` when it panicked.
    pub(super) fn run<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        self.spawn(request, sender);
        receiver.recv().ok()
    }

    /// Runs `requests`, `width` at a time, and hands what comes of each to `take`, in their order; `None` for one
    /// that panicked. When `take` breaks off no more are started, and those under way are not waited for.
    pub(super) fn run_each<T, R>(
        &self,
        requests: impl Iterator<Item = R>,
        width: usize,
        mut take: impl FnMut(Option<T>) -> ControlFlow<()>,
    ) where
        T: Send + 'static,
        R: Future<Output = T> + Send + 'static,
    {
        let mut requests = requests.fuse();
        // Each has a channel, so that one that panics is seen to have done so.
        let mut under_way = VecDeque::new();
        loop {
            while under_way.len() < width {
                let Some(request) = requests.next() else { break };
                let (sender, receiver) = mpsc::sync_channel(1);
                self.spawn(request, sender);
                under_way.push_back(receiver);
            }
            let Some(first) = under_way.pop_front() else { return };
            if take(first.recv().ok()).is_break() {
                return;
            }
        }
    }

    fn spawn<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
        sender: mpsc::SyncSender<T>,
    ) {
        // There is room for the one answer, so this never blocks the runtime; the caller may have gone.
        self.runtime.spawn(async move {
            let _ = sender.send(request.await);
        });
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.day.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_panics_is_none_and_others_go_on() {
        let crew = Crew::start().unwrap();
        assert_eq!(crew.run(async { if true { panic!("as planned") } else { 1 } }), None);
        assert_eq!(crew.run(async { 2 }), Some(2));
    }

    #[test]
    fn many_requests_come_back_in_their_order() {
        let crew = Crew::start().unwrap();
        let mut seen = Vec::new();
        crew.run_each((0..100).map(|i| async move { i }), 7, |i| {
            seen.extend(i);
            if i == Some(49) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(seen, (0..50).collect::<Vec<i32>>());
    }

    #[test]
    fn a_thread_that_runs_a_runtime_may_call_and_drop_it() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let answer = runtime.block_on(async {
            let crew = Crew::start().unwrap();
            crew.run(async { 3 })
        });
        assert_eq!(answer, Some(3));
    }
}
