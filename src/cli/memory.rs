//! What glibc does with the large buffers of encoders and frames when they are freed. An x264 at 1920 x 1080 takes some 300 MB, and each segment has
//! an encoder of its own.

/// Has large buffers given back to the system when they are freed. glibc would raise the size from which it does so to that of the
/// largest frame that was freed, and from then on keep holes of that size in every thread's heap: a quarter more at the peak.
pub(super) fn return_large_buffers() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt(3) may be called at any time.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1 << 20);
    }
}

/// Has large buffers kept for the next encoder, in few heaps that all threads share. A service encodes short segments while somebody waits: to clear
/// fresh pages for each encoder took longer than encoding the first half second of a video. To be called before other threads run.
pub(super) fn keep_large_buffers() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt(3) may be called at any time; the number of heaps counts for threads that begin later.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 30);
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}
