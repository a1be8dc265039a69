//! Every asset decoded: bytes that a stranger may have made become pictures and frames, or an error.
//!
//! What a file is, is decided by its first bytes alone ([`Container`]); GStreamer then gets one pinned demuxer, parser and
//! decoder from a list. Nothing here sniffs, follows a reference or opens another file.

pub(crate) mod demux;
mod error;
mod fit;
mod image;
mod source;
mod svg;
mod video;

pub use self::demux::{Container, warm_up};
pub use self::error::{MediaError, MediaFault};
pub use self::fit::{Fitted, fit};
pub use self::image::{MAX_PIXELS, MAX_SIDE, Picture, PictureOptions};
pub use self::video::{ConformSpec, Reader, VideoClip, VideoInfo};
