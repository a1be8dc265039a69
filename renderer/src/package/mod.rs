//! Packaging: samples that are already encoded, put into files. Nothing is encoded again.

pub mod mp4;
pub mod preview;
pub mod webm;
pub mod webvtt;
