//! Text: shaped, bidirectional, broken into lines, every character with a font that has it.
//!
//! [`FontLibrary`] knows the fonts; [`layout`] makes a [`TextLayout`] of a filled [`TextBlock`] once, and
//! [`TextLayout::draw`] paints it as often as wanted, at any place and scale. The same block, box, locale
//! and font files give the same pixels on every machine and thread.
//!
//! [`TextBlock`]: vignette_templates::video::TextBlock

mod catalog;
mod clean;
mod draw;
mod glyphs;
mod library;
mod shape;
#[cfg(test)]
mod tests;
mod whole;

use vignette_templates::blob::Digest;

pub use library::FontLibrary;
pub use shape::{TextLayout, layout};
pub use whole::draw_whole;

/// Most characters that one block lays out; see [`TextError::TooLong`].
pub const MAX_CHARS: usize = 20_000;

/// Largest font file that a template may bring, in bytes; see [`FontError::TooLarge`].
pub const MAX_FONT_BYTES: usize = 32 << 20;

/// Why a font cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FontError {
    /// A set of fonts of the engine's own library is not installed.
    #[error("fonts missing: no {path}; install the package {package} (apt-get install {package})")]
    MissingPackage {
        /// The package of Debian that brings them.
        package: &'static str,
        /// The file that was looked for.
        path: &'static str,
    },
    /// A template's font file is larger than [`MAX_FONT_BYTES`].
    #[error("font {font}: {bytes} bytes, at most {MAX_FONT_BYTES} are accepted; take a subset of the font")]
    TooLarge {
        /// The file.
        font: Digest,
        /// Its size.
        bytes: usize,
    },
    /// A template's font file cannot be read as a font.
    #[error("font {font}: {reason}")]
    Unreadable {
        /// The file.
        font: Digest,
        /// What is wrong with it, and what would be right.
        reason: &'static str,
    },
}

/// Why text cannot be laid out.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The text has more than [`MAX_CHARS`] characters.
    #[error("text of {chars} characters, at most {MAX_CHARS} are laid out; shorten it, e.g. with `truncate`")]
    TooLong {
        /// How many it has.
        chars: usize,
    },
    /// The library holds no family of this name.
    #[error("no font family `{0}` in the library")]
    UnknownFamily(String),
    /// The library was not given this font file.
    #[error("font {0} was not handed to the library")]
    UnknownAsset(Digest),
    /// The layout engine stopped in the middle, which no text or font should make it do.
    #[error("the text cannot be laid out with these fonts; take another font")]
    Failed,
    /// A size, weight or distance is not a usable number.
    #[error("{field} is {value}, expected {expected}")]
    OutOfRange {
        /// The field of the block.
        field: &'static str,
        /// What it holds.
        value: f32,
        /// What is accepted.
        expected: &'static str,
    },
}
