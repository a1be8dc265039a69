//! Which threads go first: those that answer requests take a moment now and then, those that compose and encode take all that there is.

/// What a thread that steps back adds to its nice value, see setpriority(2).
#[cfg(target_os = "linux")]
const STEP: libc::c_int = 5;

/// Has the calling thread step back behind the others of this process, and all threads that it starts from now on.
pub(super) fn step_back() {
    #[cfg(target_os = "linux")]
    // SAFETY: setpriority(2) may be called at any time. On Linux it is for the calling thread, though POSIX says for its process; adding to a nice
    // value needs no right.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, STEP);
    }
}

/// Has the threads of GStreamer step back; to be called before anything else uses it.
pub(super) fn have_media_step_back() {
    #[cfg(target_os = "linux")]
    {
        let primed = std::thread::Builder::new().name("precedence".into()).spawn(|| {
            step_back();
            vignette::renderer::threads::like_this_one();
        });
        // Without it all go alike.
        if let Ok(primed) = primed {
            let _ = primed.join();
        }
    }
}
