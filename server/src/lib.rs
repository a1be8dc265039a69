//! Vignette over HTTP: links that play while they are made, and renders on request.
//!
//! ```text
//! link ── follow ──► Viewing: filled, planned, playlists ── announce ──► media names
//!                                                                          │ asked for
//!                                                                          ▼
//!                    Studio: pieces, each made once for all who ask ◄── media, movie, jobs
//! ```
//!
//! [`run`] is the service. What it needs of the engine is a [`Workshop`](workshop::Workshop), which the program hands in.
#![forbid(unsafe_code)]

mod admission;
mod app;
pub mod artefacts;
pub mod auth;
mod batches;
mod body;
mod catalog;
pub mod clock;
pub mod config;
#[cfg(test)]
mod conformance;
mod cors;
pub mod database;
mod erase;
mod files;
mod group;
mod hooks;
mod jobs;
mod limit;
mod links;
mod log;
mod media;
mod metrics;
mod movie;
mod operate;
pub mod output;
mod page;
mod permits;
mod problem;
mod processes;
pub mod quota;
pub mod records;
pub mod remote;
mod routes;
mod run;
mod secrets;
mod shelf;
mod signed;
mod sitting;
mod status;
mod stills;
mod templates;
mod traces;
mod uses;
mod viewing;
mod watch;
pub mod workshop;

pub use self::config::Config;
pub use self::run::{Started, run};
