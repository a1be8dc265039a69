//! Renders a filled [`Video`](vignette_templates::video::Video).
//!
//! ```text
//! Video ── prepare ──► Prepared ── plan ──► Plan ── compose, encode ──► segments ── package ──► file
//! ```
//!
//! A frame is a pure function of the filled video. [`render::prepare`] opens every asset and lays out every
//! text; [`plan`] cuts the video into segments that are named by their content; [`compose`] gives frames,
//! [`encode`] access units, [`audio`] the sound, and [`package`] puts them into files.

pub mod audio;
pub mod compose;
pub mod encode;
pub mod error;
pub mod frame;
pub mod media;
pub mod package;
pub mod patience;
pub mod plan;
pub mod plates;
pub mod render;
pub mod scale;
pub mod segment;
pub mod store;
pub mod text;
pub mod threads;
mod wide;
