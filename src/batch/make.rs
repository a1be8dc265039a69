//! Making one video of a batch.

use std::path::Path;

use super::sweep::sweep_tree;
use super::{Filled, bytes_in};
use crate::output::Output;
use crate::receipt::{Making, files_of};
use crate::renderer::render::Observer;
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

/// Renders a filled video to the file or folder at `target`.
///
/// # Errors
/// A video that cannot be drawn, encoded or written; [`RenderError::Cancelled`](crate::renderer::error::RenderError) when the
/// observer says so.
pub(super) fn make(
    engine: &Engine,
    template: &Template,
    row: &Filled,
    rendition: Option<&str>,
    target: &Path,
    output: &Output,
    observer: &dyn Observer,
) -> Result<Made, Error> {
    let personal = &row.personal;
    let video = &personal.video;
    let prepared = engine.prepare(template, video)?;
    if output.format().is_folder() {
        // What a process that was killed left behind in it is in nobody's way, but would count as part of it.
        sweep_tree(target);
    }
    let (written, rendered) = output.write_noted(engine, video, &prepared, target, observer)?;
    if let Some((path, key, data)) = &row.receipt {
        let making = Making { engine, template, data, rendition, personal, prepared: &prepared, output };
        let files = files_of(target, output.format().is_folder(), "video")?;
        making.receipt(key, &rendered, files)?.write(path)?;
    }
    Ok(Made {
        seconds: video.duration().as_seconds(),
        // All that is in a folder counts, so that a later run finds it as it is now.
        bytes: if output.format().is_folder() {
            bytes_in(target).unwrap_or(written.bytes)
        } else {
            written.bytes
        },
        segments_new: written.segments_new,
        segments_reused: written.segments_reused,
        warnings: prepared.warnings.iter().map(ToString::to_string).chain(written.notes).collect(),
    })
}
