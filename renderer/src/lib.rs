//! From a filled video to frames, segments and files.

pub mod frame;
