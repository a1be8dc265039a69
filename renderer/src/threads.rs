//! The threads of GStreamer, which decode and encode.

/// Has all threads that GStreamer starts in this process run with the nice value and policy of the calling one. GLib notes them for its shared
/// pools when the first of those is made, so this does nothing once anything was decoded or encoded.
pub fn like_this_one() {
    if gst::init().is_ok() {
        // Without one, threads are as GLib makes them.
        drop(gst::glib::ThreadPool::shared(None));
    }
}
