//! Packaging: samples that are already encoded, put into files. Nothing is encoded again.

mod boxes;
pub mod cmaf;
pub mod facts;
pub mod folder;
pub mod fragmented;
pub mod hls;
pub mod mp4;
pub mod preview;
pub mod webm;
pub mod webvtt;
