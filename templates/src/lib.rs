//! The template language of Vignette.

#![forbid(unsafe_code)]

pub mod blob;
pub mod expr;
pub mod generate;
pub mod time;
pub mod units;
pub mod video;
