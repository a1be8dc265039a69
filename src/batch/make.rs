//! Making one video of a batch.

use std::path::Path;

use crate::renderer::render::{Observer, RenderOptions};
use crate::templates::video::Video;
use crate::{Engine, Error, Template};

/// What came of one row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Made {
    /// Length of the video in seconds.
    pub seconds: f64,
    /// Length of the file in bytes.
    pub bytes: u64,
    /// Segments that were encoded for it.
    pub segments_new: u64,
    /// Segments that others had left behind.
    pub segments_reused: u64,
    /// What its maker should know about it, each in a line.
    pub warnings: Vec<String>,
}

/// Renders a filled video to the file at `target`, as a whole or not at all.
///
/// # Errors
/// A video that cannot be drawn, encoded or written; [`RenderError::Cancelled`](crate::renderer::error::RenderError) when the
/// observer says so.
pub(super) fn make(
    engine: &Engine,
    template: &Template,
    video: &Video,
    target: &Path,
    options: &RenderOptions,
    observer: &dyn Observer,
) -> Result<Made, Error> {
    let prepared = engine.prepare(template, video)?;
    let rendered = prepared.render(options, engine.stores(), observer)?;
    let bytes = rendered.write_mp4(target)?;
    Ok(Made {
        seconds: video.duration().as_seconds(),
        bytes,
        segments_new: rendered.new as u64,
        segments_reused: rendered.reused() as u64,
        warnings: prepared.warnings.iter().map(ToString::to_string).collect(),
    })
}
